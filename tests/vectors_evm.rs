//! Payments on EVM chains recorded from the official TypeScript SDK (`@x402/*` 2.27.0), reproduced.
//!
//! Every signature is made again byte for byte, and the whole payment is the recorded one. A third implementation
//! (alloy-dyn-abi, k256) hashes what was recorded and recovers who signed it, so that the recording itself is checked.

use alloy_dyn_abi::TypedData;
use alloy_primitives::{hex, keccak256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use serde_json::Value;
use x402::ledger::{ChannelOrder, Grant, Intent, Ledger, Order, Recipe, RetryRule};
use x402::money::{Amount, Draw, OnChain};
use x402::protocol::{Challenge, Credential, Offer};
use x402::scheme::{ChannelTerms, Facts, Ingredients, Need, authorize, channels, needs, payable};
use x402::wallet::Wallet;

fn load(file: &str, count: usize) -> Vec<Value> {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let vectors = json["vectors"].as_array().unwrap().clone();
    assert_eq!(vectors.len(), count, "{file}");
    vectors
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(text(value)).unwrap().try_into().unwrap()
}

/// The address whose key made `signature` over `digest`.
fn signer(digest: &[u8; 32], signature: &[u8; 65]) -> String {
    let recovery = RecoveryId::from_byte(signature[64] - 27).unwrap();
    let recoverable = Signature::from_slice(&signature[..64]).unwrap();
    let key = VerifyingKey::recover_from_prehash(digest, &recoverable, recovery).unwrap();
    let point = key.to_sec1_point(false);
    hex::encode_prefixed(&keccak256(&point.as_bytes()[1..])[12..])
}

/// The recorded typed data hashes to the recorded digest, and the payer signed it.
fn check_recording(vector: &Value) {
    let id = text(&vector["id"]);
    for signed in vector["signed"].as_array().unwrap().iter().filter(|signed| signed["primaryType"].is_string()) {
        let typed: TypedData = serde_json::from_value(signed.clone()).unwrap();
        let digest = typed.eip712_signing_hash().unwrap().0;
        assert_eq!(digest, bytes::<32>(&signed["digest"]), "{id}");
        let recovered = signer(&digest, &bytes(&signed["signature"]));
        assert_eq!(recovered, text(&vector["payer"]).to_lowercase(), "{id}");
    }
}

/// The whole way from the challenge to the header. Gives the JSON that was sent.
fn check_payment(vector: &Value, facts: &Facts) -> String {
    let id = text(&vector["id"]);
    check_recording(vector);
    let mut wallet = Wallet::new();
    wallet.add_evm_key(text(&vector["privateKey"])).unwrap();
    let header = STANDARD.encode(vector["paymentRequired"].to_string());
    let challenge = Challenge::parse(Some(header.as_bytes()), b"{}").unwrap();
    let [offer] = &challenge.offers[..] else { panic!("{id}: not one offer") };
    let payable = payable(offer, &wallet).unwrap_or_else(|reason| panic!("{id}: {reason}"));
    assert_eq!(payable.payer, text(&vector["payer"]), "{id}");
    let (now_s, nonce) = (vector["now"].as_u64().unwrap(), bytes(&vector["random32"][0]));
    let extensions = challenge.extensions.as_deref();
    let ingredients = Ingredients { now_s, nonce, facts, extensions, draw: None };
    let signed = authorize(offer, &payable, &wallet, &ingredients).unwrap_or_else(|error| panic!("{id}: {error}"));
    assert_eq!(signed.valid_before_s, now_s + 60, "{id}");
    let extended = signed.extensions.as_ref().map(|additions| challenge.extended(additions).unwrap());
    let credential = Credential::new(extended.as_ref().unwrap_or(&challenge), offer, &signed.payload);
    assert_eq!(credential.header_name(), text(&vector["headerName"]), "{id}");
    let json = String::from_utf8(STANDARD.decode(credential.header_value()).unwrap()).unwrap();
    let sent: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(sent, vector["paymentPayload"], "{id}");
    let shown = format!("{credential:?} {signed:?}");
    assert!(!shown.contains(&text(&vector["signed"][0]["signature"])[2..]), "{id}: {shown}");
    json
}

/// The same, and the JSON is the same text.
fn check_bytes(file: &str, count: usize) {
    for vector in load(file, count) {
        let json = check_payment(&vector, &Facts::default());
        assert_eq!(json, text(&vector["paymentPayloadJson"]), "{}", vector["id"]);
        assert_eq!(STANDARD.encode(json), text(&vector["headerValue"]), "{}", vector["id"]);
    }
}

#[test]
fn the_recorded_eip3009_transfers_are_what_they_say() {
    for vector in load("exact-evm-eip3009-v1", 16).iter().chain(&load("exact-evm-eip3009-v2", 22)) {
        check_recording(vector);
    }
}

#[test]
fn exact_by_permit2_is_reproduced_byte_for_byte() {
    check_bytes("exact-evm-permit2", 6);
}

#[test]
fn upto_is_reproduced_byte_for_byte() {
    check_bytes("upto-evm", 3);
}

#[test]
fn auth_capture_is_reproduced_byte_for_byte() {
    check_bytes("auth-capture-evm", 3);
}

/// What the recorded node said, under the needs that we have, answered as a node answers them.
fn facts_of(vector: &Value) -> Facts {
    let challenge = Challenge::parse(None, vector["paymentRequired"].to_string().as_bytes()).unwrap();
    let mut wallet = Wallet::new();
    wallet.add_evm_key(text(&vector["privateKey"])).unwrap();
    let offer = &challenge.offers[0];
    let payable = payable(offer, &wallet).unwrap();
    let chain = &vector["chain"];
    let word = |name: &str| format!("0x{:064x}", text(&chain[name]).parse::<u64>().unwrap());
    let mut facts = Facts::default();
    for need in needs(offer, &payable, challenge.extensions.as_deref(), true) {
        let answer = match &need {
            Need::EvmCall { data, .. } if data[..4] == [0xdd, 0x62, 0xed, 0x3e] => word("allowance"),
            Need::EvmCall { .. } => word("eip2612Nonce"),
            Need::EvmTransactionCount(_) => text(&chain["txNonce"]).to_string(),
            Need::EvmFees => {
                format!("{} {}", text(&chain["maxFeePerGas"]), text(&chain["maxPriorityFeePerGas"]))
            }
            other => panic!("{other:?}"),
        };
        facts.add(&need, answer);
    }
    facts
}

#[test]
fn sponsored_approvals_are_reproduced() {
    for vector in load("gas-sponsoring-evm", 5) {
        check_payment(&vector, &facts_of(&vector));
    }
}

/// What is signed for a channel, on what the ledger decides where a channel holds and was charged what the vector says.
#[test]
fn channels_vouchers_and_deposits_are_reproduced() {
    for vector in load("batch-settlement-evm", 4) {
        let id = text(&vector["id"]);
        check_recording(&vector);
        let mut wallet = Wallet::new();
        wallet.add_evm_key(text(&vector["privateKey"])).unwrap();
        let body = vector["paymentRequired"].to_string();
        let challenge = Challenge::parse(None, body.as_bytes()).unwrap();
        let [offer] = &challenge.offers[..] else { panic!("{id}: not one offer") };
        let payable = payable(offer, &wallet).unwrap();
        let terms = channels(offer, &payable, &wallet).unwrap();
        let channel = terms.candidates[0];
        assert_eq!(channel.bytes(), bytes::<32>(&vector["channelId"]), "{id}");
        let (balance, charged) = if id == "batch-topup" { (5000, 4500) } else { (0, 0) };
        let draw = drawn(offer, terms, balance, charged);
        let sign = |draw: &Draw| {
            let (now_s, nonce) = (vector["now"].as_u64().unwrap(), bytes(&vector["random32"][0]));
            let ingredients = Ingredients { draw: Some(draw), ..Ingredients::plain(now_s, nonce) };
            authorize(offer, &payable, &wallet, &ingredients)
        };
        let sent: Value = serde_json::from_str(&sign(&draw).unwrap().payload).unwrap();
        assert_eq!(sent, vector["paymentPayload"]["payload"], "{id}");
        // Where the channel covers the voucher nothing is deposited.
        let sent: Value =
            serde_json::from_str(&sign(&Draw { deposit: Amount::ZERO, ..draw.clone() }).unwrap().payload).unwrap();
        assert_eq!((&sent["type"], sent.get("deposit")), (&"voucher".into(), None), "{id}");
        // Nothing is signed that is not what was decided.
        let other = Draw { salt: 1, ..draw.clone() };
        let dearer = Draw { claimable: Amount::from(charged + 1001), ..draw };
        for wrong in [other, dearer] {
            assert!(sign(&wrong).unwrap_err().message.contains("for which the channel was chosen"), "{id}");
        }
    }
}

/// What a ledger decides on that a node told what the channel holds and what was claimed of it.
fn drawn(offer: &Offer, terms: ChannelTerms, balance: u64, claimed: u64) -> Draw {
    let (balance, claimed) = (Amount::from(balance), Amount::from(claimed));
    let on_chain = Some(OnChain { channel: terms.candidates[0], balance, claimed });
    let channel = ChannelOrder {
        candidates: terms.candidates,
        deposit_wanted: terms.deposit_wanted,
        deposit_max: Amount::from(1_000_000),
        on_chain,
    };
    let intent = Intent {
        host: "shop.example:443".into(),
        payee: offer.payee.clone(),
        network: offer.network.clone(),
        asset: offer.asset.clone(),
        amount: offer.amount,
        lasting: true,
        channel: Some(channel),
        purchase: None,
        now_s: 0,
    };
    let recipe = Recipe {
        payer: String::new(),
        nonce: [0; 32],
        signed_s: 0,
        valid_before_s: 0,
        terms: String::new(),
        facts: String::new(),
        draw: None,
    };
    let order = Order { intent: &intent, recipe, rule: RetryRule::Proven, budgets: &[] };
    match Ledger::in_memory().reserve(order) {
        Ok(Grant::New(_, recipe)) => recipe.draw.unwrap(),
        other => panic!("{other:?}"),
    }
}
