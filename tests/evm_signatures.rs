//! What is signed on EVM chains, accepted by somebody else: for random offers, a verifier that shares no code with the
//! library (alloy's typed data, k256) rebuilds each message from what was sent and recovers the payer.
//!
//! The types are written out here once more, from the standards; every value is taken from the offer, so that a payload
//! that says one thing and signs another, or says what was not asked, is found.

use alloy_dyn_abi::{DynSolValue, TypedData};
use alloy_primitives::{Address, B256, U256, address, hex, keccak256};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use serde_json::{Value, json};
use x402::money::{Amount, Draw};
use x402::protocol::Challenge;
use x402::scheme::{Authorization, Facts, Ingredients, Need, VALIDITY_S_MAX, authorize, channels, needs, payable};
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
        if scheme == "batch-settlement" {
            extra["receiverAuthorizer"] = self.address().into();
            extra["withdrawDelay"] = (900 + self.below(2_592_000 - 899)).into();
        }
        let bits = match scheme {
            "auth-capture" => 120,
            "batch-settlement" => 100,
            _ => 256,
        };
        json!({
            "scheme": scheme, "network": format!("eip155:{}", 1 + self.below(1 << 53)), "asset": self.address(),
            "amount": self.amount(bits), "payTo": self.address(),
            "maxTimeoutSeconds": 1 + self.below(2 * VALIDITY_S_MAX), "extra": extra,
        })
    }
}

fn challenge(offer: &Value, extensions: Value) -> Challenge {
    let body = json!({"x402Version": 2, "accepts": [offer], "extensions": extensions}).to_string();
    Challenge::parse(None, body.as_bytes()).unwrap()
}

fn wallet() -> Wallet {
    let mut wallet = Wallet::new();
    wallet.add_evm_key(KEY).unwrap();
    wallet
}

/// The payload that is sent for `offer`.
fn payload(offer: &Value, nonce: [u8; 32]) -> Value {
    let (challenge, wallet) = (challenge(offer, json!({})), wallet());
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

const CONFIG: &[(&str, &str)] = &[
    ("address", "payer"),
    ("address", "payerAuthorizer"),
    ("address", "receiver"),
    ("address", "receiverAuthorizer"),
    ("address", "token"),
    ("uint40", "withdrawDelay"),
    ("bytes32", "salt"),
];
const DEPOSIT_PERMIT: &[(&str, &str)] = &[
    ("TokenPermissions", "permitted"),
    ("address", "spender"),
    ("uint256", "nonce"),
    ("uint256", "deadline"),
    ("DepositWitness", "witness"),
];

fn channel_domain(offer: &Value) -> Value {
    json!({"name": "x402 Batch Settlement", "version": "1", "chainId": chain_id(offer),
        "verifyingContract": "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003"})
}

/// What names the channel: the digest of its configuration, as typed data.
fn channel_id(offer: &Value, config: &Value) -> String {
    let domain = [("string", "name"), ("string", "version"), ("uint256", "chainId"), ("address", "verifyingContract")];
    let types = json!({"EIP712Domain": fields(&domain), "ChannelConfig": fields(CONFIG)});
    let typed =
        json!({"types": types, "primaryType": "ChannelConfig", "domain": channel_domain(offer), "message": config});
    let typed: TypedData = serde_json::from_value(typed).unwrap();
    typed.eip712_signing_hash().unwrap().to_string()
}

/// Who signed a deposit of `amount` into the channel, by what stands in the payload and nothing else.
fn depositor(offer: &Value, sent: &Value, amount: &str, channel: &str, nonce: [u8; 32]) -> String {
    let authorization = &sent["deposit"]["authorization"];
    assert_eq!(sent["deposit"]["amount"], amount);
    if offer["extra"]["assetTransferMethod"] == "eip3009" {
        let stated = &authorization["erc3009Authorization"];
        assert_eq!(stated["salt"], B256::new(nonce).to_string());
        let parts = [channel.parse::<B256>().unwrap().0, nonce].concat();
        let message = json!({"from": PAYER, "to": "0x4020806089470a89826cB9fB1f4059150b550004", "value": amount,
            "validAfter": "0", "validBefore": deadline(offer), "nonce": keccak256(parts).to_string()});
        assert_eq!((&stated["validAfter"], &stated["validBefore"]), (&message["validAfter"], &message["validBefore"]));
        let types: &[_] = &[("ReceiveWithAuthorization", TRANSFER)];
        return signer(token_domain(offer), "ReceiveWithAuthorization", types, &message, &stated["signature"]);
    }
    let mut stated = authorization["permit2Authorization"].clone();
    let signature = stated.as_object_mut().unwrap().remove("signature").unwrap();
    let message = json!({"permitted": {"token": offer["asset"], "amount": amount},
        "spender": "0x4020425FAf3B746C082C2f942b4E5159887B0005", "nonce": U256::from_be_bytes(nonce).to_string(),
        "deadline": deadline(offer), "witness": {"channelId": channel}});
    assert_eq!(stated.as_object_mut().unwrap().remove("from").unwrap(), PAYER);
    assert_eq!(stated, message);
    let witness: &[_] = &[("bytes32", "channelId")];
    let kind = "PermitWitnessTransferFrom";
    let types: &[_] = &[(kind, DEPOSIT_PERMIT), TOKEN_PERMISSIONS, ("DepositWitness", witness)];
    signer(permit2_domain(offer), kind, types, &message, &signature)
}

#[test]
fn vouchers_and_deposits_are_signed_for_what_was_drawn() {
    let mut random = Random(0x0bac_0bac_0bac_0bac);
    for round in 0..2 * ROUNDS as u64 {
        let method = if round % 2 == 0 { "eip3009" } else { "permit2" };
        let (offer, nonce) = (random.offer("batch-settlement", method), random.bytes::<32>());
        let (challenge, wallet) = (challenge(&offer, json!({})), wallet());
        let parsed = &challenge.offers[0];
        let payable = payable(parsed, &wallet).unwrap();
        let candidates = channels(parsed, &payable, &wallet).unwrap().candidates;
        let salt = random.below(candidates.len() as u64);
        let amount = |text: &str| Amount::parse(text).unwrap();
        let price: u128 = offer["amount"].as_str().unwrap().parse().unwrap();
        let charged: u128 = random.amount(100).parse().unwrap();
        let deposit = if random.below(3) == 0 { "0".to_string() } else { random.amount(100) };
        let claimable = (charged + price).to_string();
        let draw = Draw {
            channel: candidates[salt as usize],
            salt,
            charged: amount(&charged.to_string()),
            claimable: amount(&claimable),
            deposit: amount(&deposit),
            signed_before: None,
        };
        let ingredients = Ingredients { draw: Some(&draw), ..Ingredients::plain(NOW_S, nonce) };
        let sent = authorize(parsed, &payable, &wallet, &ingredients).unwrap().payload;
        let sent: Value = serde_json::from_str(&sent).unwrap();
        let config = json!({"payer": PAYER, "payerAuthorizer": PAYER, "receiver": offer["payTo"],
            "receiverAuthorizer": offer["extra"]["receiverAuthorizer"], "token": offer["asset"],
            "withdrawDelay": offer["extra"]["withdrawDelay"], "salt": B256::from(U256::from(salt)).to_string()});
        assert_eq!(sent["channelConfig"], config);
        let channel = channel_id(&offer, &config);
        let message = json!({"channelId": channel, "maxClaimableAmount": claimable});
        let mut voucher = sent["voucher"].clone();
        let signature = voucher.as_object_mut().unwrap().remove("signature").unwrap();
        assert_eq!(voucher, message);
        let types: &[(_, &[_])] = &[("Voucher", &[("bytes32", "channelId"), ("uint128", "maxClaimableAmount")])];
        assert_eq!(signer(channel_domain(&offer), "Voucher", types, &message, &signature), PAYER, "{offer}");
        assert_eq!(sent["type"], if deposit == "0" { "voucher" } else { "deposit" });
        match deposit.as_str() {
            "0" => assert!(sent.get("deposit").is_none()),
            some => assert_eq!(depositor(&offer, &sent, some, &channel, nonce), PAYER, "{offer}"),
        }
    }
}

/// What is signed where a node says that the token lets Permit2 move nothing, and which nonce is next.
fn sponsored(offer: &Value, next: U256, nonce: [u8; 32]) -> Authorization {
    let extension = json!({"eip2612GasSponsoring": {"info": {"version": "1"}, "schema": {}}});
    let (challenge, wallet) = (challenge(offer, extension), wallet());
    let parsed = &challenge.offers[0];
    let payable = payable(parsed, &wallet).unwrap();
    let extensions = challenge.extensions.as_deref();
    let mut facts = Facts::default();
    for need in needs(parsed, &payable, extensions, false) {
        let Need::EvmCall { data, .. } = &need else { panic!("{need:?}") };
        // allowance(address,address), or nonces(address).
        let word = if data[..4] == [0xdd, 0x62, 0xed, 0x3e] { U256::ZERO } else { next };
        facts.add(&need, format!("0x{word:064x}"));
    }
    let ingredients = Ingredients { facts: &facts, extensions, ..Ingredients::plain(NOW_S, nonce) };
    authorize(parsed, &payable, &wallet, &ingredients).unwrap()
}

#[test]
fn approvals_by_permit_are_signed_for_the_amount_and_no_more() {
    let mut random = Random(0x2612_2612_2612_2612);
    for round in 0..ROUNDS {
        let offer = random.offer(if round % 2 == 0 { "upto" } else { "exact" }, "permit2");
        let next = U256::from_be_bytes(random.bytes::<32>());
        let sent = sponsored(&offer, next, random.bytes());
        let added: Value = serde_json::from_str(sent.extensions.as_ref().unwrap()).unwrap();
        let mut info = added["eip2612GasSponsoring"]["info"].clone();
        let signature = info.as_object_mut().unwrap().remove("signature").unwrap();
        let stated = json!({"from": PAYER, "asset": offer["asset"], "spender": PERMIT2, "amount": offer["amount"],
            "nonce": next.to_string(), "deadline": deadline(&offer), "version": "1"});
        assert_eq!(info, stated);
        let message = json!({"owner": PAYER, "spender": PERMIT2, "value": offer["amount"], "nonce": next.to_string(),
            "deadline": deadline(&offer)});
        let permit: &[_] = &[
            ("address", "owner"),
            ("address", "spender"),
            ("uint256", "value"),
            ("uint256", "nonce"),
            ("uint256", "deadline"),
        ];
        assert_eq!(
            signer(token_domain(&offer), "Permit", &[("Permit", permit)], &message, &signature),
            PAYER,
            "{offer}"
        );
    }
}
