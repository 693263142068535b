//! What is signed on EVM chains, accepted by somebody else: for random offers, a verifier that shares no code with the
//! library (alloy's typed data, k256) rebuilds each message from what was sent and recovers the payer.
//!
//! The types are written out here once more, from the standards; every value is taken from the offer, so that a payload
//! that says one thing and signs another, or says what was not asked, is found.

use alloy_dyn_abi::{DynSolValue, TypedData};
use alloy_primitives::{Address, B256, U256, address, hex, keccak256};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use serde_json::{Value, json};
use x402::protocol::Challenge;
use x402::scheme::{Ingredients, VALIDITY_S_MAX, authorize, payable};
use x402::wallet::Wallet;

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const PAYER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const PERMIT2: &str = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
const NOW_S: u64 = 1_740_672_089;
const ROUNDS: usize = 60;

/// Pseudo-random bytes from a fixed seed (xorshift64*), the same in every run.
struct Random(u64);

impl Random {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
        })
    }

    fn below(&mut self, bound: u64) -> u64 {
        u64::from_be_bytes(self.bytes()) % bound
    }

    fn address(&mut self) -> String {
        Address::new(self.bytes()).to_checksum(None)
    }

    /// Of any size up to `bits`.
    fn amount(&mut self, bits: u64) -> String {
        (U256::from_be_bytes(self.bytes::<32>()) >> (256 - 1 - self.below(bits) as usize)).to_string()
    }

    fn offer(&mut self, scheme: &str, method: &str) -> Value {
        let (name, version) =
            (["USD₮0", "x \"y\"", "Token"][self.below(3) as usize], ["1", "2.0"][self.below(2) as usize]);
        let capture = NOW_S + VALIDITY_S_MAX + self.below(1 << 40);
        let min_fee = self.below(10_001);
        let mut extra = json!({
            "name": name, "version": version, "assetTransferMethod": method, "facilitatorAddress": self.address(),
            "captureAuthorizer": self.address(), "feeRecipient": self.address(), "captureDeadline": capture,
            "refundDeadline": capture + self.below(1 << 30), "minFeeBps": min_fee,
            "maxFeeBps": min_fee + self.below(10_001 - min_fee),
        });
        if self.below(2) == 0 {
            extra["policy"] = self.address().into();
        }
        json!({
            "scheme": scheme, "network": format!("eip155:{}", 1 + self.below(1 << 53)), "asset": self.address(),
            "amount": self.amount(if scheme == "auth-capture" { 120 } else { 256 }), "payTo": self.address(),
            "maxTimeoutSeconds": 1 + self.below(2 * VALIDITY_S_MAX), "extra": extra,
        })
    }
}

/// The payload that is sent for `offer`.
fn payload(offer: &Value, nonce: [u8; 32]) -> Value {
    let body = json!({"x402Version": 2, "accepts": [offer]}).to_string();
    let challenge = Challenge::parse(None, body.as_bytes()).unwrap();
    let mut wallet = Wallet::new();
    wallet.add_evm_key(KEY).unwrap();
    let offer = &challenge.offers.first().unwrap_or_else(|| panic!("{:?}", challenge.malformed));
    let payable = payable(offer, &wallet).unwrap();
    let signed = authorize(offer, &payable, &wallet, &Ingredients::plain(NOW_S, nonce)).unwrap();
    serde_json::from_str(&signed.payload).unwrap()
}

fn fields(list: &[(&str, &str)]) -> Value {
    list.iter().map(|(kind, name)| json!({"name": name, "type": kind})).collect()
}

/// Who signed the message; the types of its parts beside its own.
fn signer(domain: Value, kind: &str, types: &[(&str, &[(&str, &str)])], message: &Value, signature: &Value) -> String {
    let mut domain_fields = vec![("string", "name")];
    if domain.get("version").is_some() {
        domain_fields.push(("string", "version"));
    }
    domain_fields.extend([("uint256", "chainId"), ("address", "verifyingContract")]);
    let mut all = json!({"EIP712Domain": fields(&domain_fields)});
    for (name, members) in types {
        all[*name] = fields(members);
    }
    let typed = json!({"types": all, "primaryType": kind, "domain": domain, "message": message});
    let typed: TypedData = serde_json::from_value(typed).unwrap();
    let digest = typed.eip712_signing_hash().unwrap();
    let bytes: [u8; 65] = hex::decode(signature.as_str().unwrap()).unwrap().try_into().unwrap();
    let recovery = RecoveryId::from_byte(bytes[64] - 27).unwrap();
    let signature = Signature::from_slice(&bytes[..64]).unwrap();
    let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, recovery).unwrap();
    let point = key.to_sec1_point(false);
    Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..]).to_checksum(None)
}

fn chain_id(offer: &Value) -> u64 {
    offer["network"].as_str().unwrap()["eip155:".len()..].parse().unwrap()
}

fn deadline(offer: &Value) -> String {
    (NOW_S + offer["maxTimeoutSeconds"].as_u64().unwrap().min(VALIDITY_S_MAX)).to_string()
}

fn token_domain(offer: &Value) -> Value {
    json!({"name": offer["extra"]["name"], "version": offer["extra"]["version"], "chainId": chain_id(offer),
        "verifyingContract": offer["asset"]})
}

fn permit2_domain(offer: &Value) -> Value {
    json!({"name": "Permit2", "chainId": chain_id(offer), "verifyingContract": PERMIT2})
}

const TRANSFER: &[(&str, &str)] = &[
    ("address", "from"),
    ("address", "to"),
    ("uint256", "value"),
    ("uint256", "validAfter"),
    ("uint256", "validBefore"),
    ("bytes32", "nonce"),
];
const TOKEN_PERMISSIONS: (&str, &[(&str, &str)]) = ("TokenPermissions", &[("address", "token"), ("uint256", "amount")]);

#[test]
fn transfers_are_signed_for_what_was_asked() {
    let mut random = Random(0x3009_3009_3009_3009);
    for _ in 0..ROUNDS {
        let (offer, nonce) = (random.offer("exact", "eip3009"), random.bytes());
        let sent = payload(&offer, nonce);
        let message = json!({"from": PAYER, "to": offer["payTo"], "value": offer["amount"], "validAfter": "0",
            "validBefore": deadline(&offer), "nonce": B256::new(nonce).to_string()});
        assert_eq!(sent["authorization"], message);
        let types: &[_] = &[("TransferWithAuthorization", TRANSFER)];
        let kind = "TransferWithAuthorization";
        assert_eq!(signer(token_domain(&offer), kind, types, &message, &sent["signature"]), PAYER, "{offer}");
    }
}

#[test]
fn permits_are_signed_for_what_was_asked() {
    let mut random = Random(0x0402_0402_0402_0402);
    for round in 0..2 * ROUNDS {
        let upto = round % 2 == 0;
        let (offer, nonce) = (random.offer(if upto { "upto" } else { "exact" }, "permit2"), random.bytes::<32>());
        let sent = payload(&offer, nonce);
        let spender = match upto {
            true => "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002",
            false => "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
        };
        let mut witness = json!({"to": offer["payTo"], "validAfter": "0"});
        let mut witness_type = vec![("address", "to"), ("uint256", "validAfter")];
        if upto {
            witness["facilitator"] = offer["extra"]["facilitatorAddress"].clone();
            witness_type.insert(1, ("address", "facilitator"));
        }
        let message = json!({"permitted": {"token": offer["asset"], "amount": offer["amount"]}, "spender": spender,
            "nonce": U256::from_be_bytes(nonce).to_string(), "deadline": deadline(&offer), "witness": witness});
        let mut stated = message.clone();
        stated["from"] = PAYER.into();
        assert_eq!(sent["permit2Authorization"], stated);
        let kind = "PermitWitnessTransferFrom";
        let permit: &[_] = &[
            ("TokenPermissions", "permitted"),
            ("address", "spender"),
            ("uint256", "nonce"),
            ("uint256", "deadline"),
            ("Witness", "witness"),
        ];
        let types: &[_] = &[(kind, permit), TOKEN_PERMISSIONS, ("Witness", &witness_type)];
        assert_eq!(signer(permit2_domain(&offer), kind, types, &message, &sent["signature"]), PAYER, "{offer}");
    }
}

/// The nonce that binds an escrow to its terms, as the contract computes it (`abi.encode` and Keccak).
fn escrow_nonce(offer: &Value, salt: &Value) -> B256 {
    let extra = &offer["extra"];
    let address = |value: &Value| DynSolValue::Address(value.as_str().unwrap().parse().unwrap());
    let number = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        DynSolValue::Uint(text.parse().unwrap(), 256)
    };
    let encode = |values: Vec<DynSolValue>| keccak256(DynSolValue::Tuple(values).abi_encode_params());
    let kind = keccak256(
        "PaymentInfo(address operator,address payer,address receiver,address token,uint120 maxAmount,\
         uint48 preApprovalExpiry,uint48 authorizationExpiry,uint48 refundExpiry,uint16 minFeeBps,uint16 maxFeeBps,\
         address feeReceiver,uint256 salt)",
    );
    let salt = U256::from_str_radix(&salt.as_str().unwrap()[2..], 16).unwrap();
    let info = encode(vec![
        DynSolValue::FixedBytes(kind, 32),
        address(&extra["captureAuthorizer"]),
        DynSolValue::Address(Address::ZERO),
        address(&offer["payTo"]),
        address(&offer["asset"]),
        number(&offer["amount"]),
        number(&deadline(offer).into()),
        number(&extra["captureDeadline"]),
        number(&extra["refundDeadline"]),
        number(&extra["minFeeBps"]),
        number(&extra["maxFeeBps"]),
        address(&extra["feeRecipient"]),
        DynSolValue::Uint(salt, 256),
    ]);
    encode(vec![
        DynSolValue::Uint(U256::from(chain_id(offer)), 256),
        DynSolValue::Address(address!("f96815976523E00e65Be8f34cA5e64b4f41EB19c")),
        DynSolValue::FixedBytes(info, 32),
    ])
}

#[test]
fn escrows_are_signed_for_with_all_their_terms() {
    let mut random = Random(0xe5c0_e5c0_e5c0_e5c0);
    for round in 0..2 * ROUNDS {
        let method = if round % 2 == 0 { "eip3009" } else { "permit2" };
        let (offer, random_nonce) = (random.offer("auth-capture", method), random.bytes::<32>());
        let sent = payload(&offer, random_nonce);
        let own = B256::new(random_nonce).to_string();
        let bound = offer["extra"]["policy"].is_string();
        assert_eq!(sent[if bound { "saltNonce" } else { "salt" }], own);
        assert_eq!(sent.get("saltNonce").is_some(), bound);
        let nonce = escrow_nonce(&offer, &sent["salt"]);
        if method == "eip3009" {
            let message = json!({"from": PAYER, "to": "0x8612dfdc421f80336cd14E8EF9cb1E765dB5ab88",
                "value": offer["amount"], "validAfter": "0", "validBefore": deadline(&offer), "nonce": nonce.to_string()});
            assert_eq!(sent["authorization"], message);
            let types: &[_] = &[("ReceiveWithAuthorization", TRANSFER)];
            let kind = "ReceiveWithAuthorization";
            assert_eq!(signer(token_domain(&offer), kind, types, &message, &sent["signature"]), PAYER, "{offer}");
        } else {
            let message = json!({"permitted": {"token": offer["asset"], "amount": offer["amount"]},
                "spender": "0xD69831Aed5bfe262067ec4c751f4F830EcdD446e",
                "nonce": U256::from_be_bytes(nonce.0).to_string(), "deadline": deadline(&offer)});
            let mut stated = message.clone();
            stated["from"] = PAYER.into();
            assert_eq!(sent["permit2Authorization"], stated);
            let kind = "PermitTransferFrom";
            let permit: &[_] = &[
                ("TokenPermissions", "permitted"),
                ("address", "spender"),
                ("uint256", "nonce"),
                ("uint256", "deadline"),
            ];
            let types: &[_] = &[(kind, permit), TOKEN_PERMISSIONS];
            assert_eq!(signer(permit2_domain(&offer), kind, types, &message, &sent["signature"]), PAYER, "{offer}");
        }
    }
}
