//! The paying test server's own eyes for Solana: what it takes for a payment, and that nothing else is one.
//!
//! What it must take was recorded from the official client; what it must refuse is the same, changed in every way.

#[path = "support/mod.rs"]
mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use support::solana;

const NOW_S: u64 = 1_740_672_089;
/// Two places for signatures before the message.
const MESSAGE_AT: usize = 1 + 2 * 64;

fn vectors(file: &str) -> Vec<Value> {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    document["vectors"].as_array().unwrap().clone()
}

fn vector(file: &str, id: &str) -> Value {
    vectors(file).into_iter().find(|vector| vector["id"] == id).unwrap()
}

fn verify(vector: &Value) -> Result<support::payment::Payment, String> {
    let version = vector["paymentRequired"]["x402Version"].as_u64().unwrap() as u8;
    let offer = &vector["paymentRequired"]["accepts"][0];
    assert!(solana::asks_for_it(offer));
    solana::verify(version, &vector["paymentPayload"]["payload"], offer, NOW_S)
}

#[test]
fn what_the_official_client_sends_is_a_payment() {
    let mut taken = 0;
    for vector in vectors("exact-svm").iter().chain(&vectors("upto-svm")) {
        match verify(vector) {
            Ok(payment) => {
                assert_eq!(payment.payer, vector["payer"].as_str().unwrap());
                assert_eq!(payment.payee, vector["payTo"].as_str().unwrap());
                assert_eq!(payment.transaction().len(), solana::transaction_id("x").len());
                taken += 1;
            }
            Err(reason) => assert_eq!(vector["id"], "svm-v2-fee-payer-is-payer", "{reason}"),
        }
    }
    assert_eq!(taken, 8);
}

fn transaction(vector: &Value, member: &str) -> Vec<u8> {
    STANDARD.decode(vector["paymentPayload"]["payload"][member].as_str().unwrap()).unwrap()
}

/// Whether the payment holds with these bytes.
fn holds(vector: &mut Value, member: &str, bytes: &[u8]) -> bool {
    vector["paymentPayload"]["payload"][member] = STANDARD.encode(bytes).into();
    verify(vector).is_ok()
}

#[test]
fn no_byte_of_a_payment_may_differ() {
    // Where the offer says nothing: limit and price of computing, and a memo that is random.
    let recorded = [
        ("exact-svm", "svm-v2-seller-memo", "transaction", vec![298..=301, 306..=313]),
        ("upto-svm", "upto-svm-mainnet-usdc", "openTransaction", vec![522..=525, 530..=537, 625..=656]),
    ];
    let seed: [u8; 32] = std::array::from_fn(|at| at as u8 + 1);
    let key = SigningKey::from_bytes(&seed);
    for (file, id, member, free) in recorded {
        let mut vector = vector(file, id);
        let whole = transaction(&vector, member);
        assert!(holds(&mut vector, member, &whole));
        let mut taken = 0;
        for at in 0..whole.len() {
            for flip in [1, 0x80] {
                let mut changed = whole.clone();
                changed[at] ^= flip;
                assert!(!holds(&mut vector, member, &changed), "{id}: byte {at}");
                if at < MESSAGE_AT {
                    continue;
                }
                // The payer agrees to the change: then what the offer does not say may differ, and nothing else.
                let signature = key.sign(&changed[MESSAGE_AT..]).to_bytes();
                changed[65..MESSAGE_AT].copy_from_slice(&signature);
                if holds(&mut vector, member, &changed) {
                    assert!(free.iter().any(|places| places.contains(&(at - MESSAGE_AT))), "{id}: byte {at}");
                    taken += 1;
                }
            }
        }
        assert!(taken > 0, "{id}: no change is ever taken");
        for length in [0, 1, 64, MESSAGE_AT, whole.len() - 1] {
            assert!(!holds(&mut vector, member, &whole[..length]), "{id}: {length} bytes");
        }
        assert!(!holds(&mut vector, member, &[&whole[..], &[0]].concat()), "{id}: one byte more");
    }
}

#[test]
fn other_terms_are_refused_by_the_official_names() {
    let cases = [
        ("payTo", json!("GyGKxMyg1p9SsHfm15MkNUu1u9TN2JtTspcdmrtGUdse"), "recipient_mismatch"),
        ("amount", json!("10001"), "amount_mismatch"),
        ("asset", json!("CXk2AMBfi3TwaEL2468s6zP8xq9NxTXjp9gjMgzeUynM"), "no_transfer_instruction"),
        ("asset", json!("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"), "mint_mismatch"),
        ("scheme", json!("exactly"), "unsupported_scheme"),
    ];
    for (field, value, reason) in cases {
        let mut vector = vector("exact-svm", "svm-v2-mainnet-usdc-random-memo");
        vector["paymentRequired"]["accepts"][0][field] = value;
        assert!(verify(&vector).unwrap_err().ends_with(reason), "{field}: {:?}", verify(&vector));
    }
    let extras = [
        ("feePayer", json!("9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu"), "fee_payer_not_managed_by_facilitator"),
        ("memo", json!("other"), "memo_mismatch"),
        ("recentBlockhash", json!("9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu"), "blockhash not found"),
    ];
    for (field, value, reason) in extras {
        let mut vector = vector("exact-svm", "svm-v2-mainnet-usdc-random-memo");
        vector["paymentRequired"]["accepts"][0]["extra"][field] = value;
        assert!(verify(&vector).unwrap_err().ends_with(reason), "{field}: {:?}", verify(&vector));
    }
    for (field, value) in [
        ("deposit", json!("1")),
        ("maxAmount", json!("1")),
        ("channelId", json!("9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu")),
        ("nonce", json!("1")),
        ("openSlot", json!("1")),
        ("from", json!("9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu")),
        ("expiresAt", json!(NOW_S)),
        ("validAfter", json!(NOW_S + 1)),
    ] {
        let mut vector = vector("upto-svm", "upto-svm-mainnet-usdc");
        vector["paymentPayload"]["payload"][field] = value;
        assert!(verify(&vector).is_err(), "{field}");
    }
}
