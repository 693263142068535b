//! Inputs and outputs recorded from the official SDKs (TypeScript `@x402/*` 2.27.0 and Python `x402` 2.25.0).
//!
//! Signatures and headers are reproduced byte for byte. For each challenge and receipt our own outcome is
//! written down here: the SDKs' where they are sane, and a refusal that names the field where they disagree
//! with each other or sign nonsense. No case is passed over: every table must have exactly the recorded ids.

use alloy_primitives::hex;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::HashSet;
use x402::error::Status;
use x402::money::{Amount, TransferMethod};
use x402::protocol::{Challenge, ChallengeError, Credential, Offer, Receipt, Version};
use x402::scheme::{Ingredients, Payable, authorize, payable};
use x402::wallet::Wallet;

/// Account 0 of the well-known development mnemonic, with which the challenges were recorded.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const NOW_S: u64 = 1_740_672_089;

fn load(file: &str) -> Value {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(text(value)).unwrap().try_into().unwrap()
}

fn wallet(key: &str) -> Wallet {
    let mut wallet = Wallet::new();
    wallet.add_evm_key(key).unwrap();
    wallet
}

/// Every offer that could be paid.
fn signable<'c>(challenge: &'c Challenge, wallet: &Wallet) -> Vec<(&'c Offer, Payable)> {
    challenge.offers.iter().filter_map(|offer| Some((offer, payable(offer, wallet).ok()?))).collect()
}

// ---- signatures -------------------------------------------------------------------------------------

#[test]
fn exact_eip3009_v1_is_reproduced_byte_for_byte() {
    // Official clients sign these two names for different chains, so the offers are refused.
    let ambiguous = ["eip3009-v1-educhain", "eip3009-v1-skale-base-sepolia"];
    let vectors = load("exact-evm-eip3009-v1");
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 16);
    let mut refused = 0;
    for vector in vectors {
        if ambiguous.contains(&text(&vector["id"])) {
            let challenge = Challenge::parse(None, vector["paymentRequired"].to_string().as_bytes()).unwrap();
            assert!(challenge.offers.is_empty());
            assert_eq!(challenge.malformed[0].field, "network");
            assert!(challenge.malformed[0].reason.contains("some clients"));
            refused += 1;
        } else {
            check_payment(vector, None, vector["paymentRequired"].to_string().as_bytes());
        }
    }
    assert_eq!(refused, ambiguous.len());
}

#[test]
fn exact_eip3009_v2_is_reproduced_byte_for_byte() {
    let vectors = load("exact-evm-eip3009-v2");
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 22);
    for vector in vectors {
        let header = STANDARD.encode(vector["paymentRequired"].to_string());
        check_payment(vector, Some(header.as_bytes()), b"{}");
    }
}

/// The whole way from the challenge to the header.
fn check_payment(vector: &Value, header: Option<&[u8]>, body: &[u8]) {
    let id = text(&vector["id"]);
    let wallet = wallet(text(&vector["privateKey"]));
    let challenge = Challenge::parse(header, body).unwrap();
    let [(offer, payable)] = &signable(&challenge, &wallet)[..] else { panic!("{id}: not one offer to sign") };
    assert_eq!((payable.payer.as_str(), payable.method), (text(&vector["payer"]), TransferMethod::Eip3009));
    let nonce = bytes(&vector["random32"][0]);
    let now_s = vector["now"].as_u64().unwrap();
    let signed = authorize(offer, payable, &wallet, &Ingredients::plain(now_s, nonce)).unwrap();
    let recorded = &vector["signed"][0];
    let payload: Value = serde_json::from_str(&signed.payload).unwrap();
    assert_eq!(payload["signature"], recorded["signature"], "{id}");
    assert_eq!(payload["authorization"], recorded["message"], "{id}");
    assert_eq!(signed.valid_before_s.to_string(), text(&recorded["message"]["validBefore"]), "{id}");
    let credential = Credential::new(&challenge, offer, &signed.payload);
    assert_eq!(credential.header_name(), text(&vector["headerName"]), "{id}");
    let json = String::from_utf8(STANDARD.decode(credential.header_value()).unwrap()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), vector["paymentPayload"], "{id}");
    assert_eq!(json, text(&vector["paymentPayloadJson"]), "{id}");
    assert_eq!(credential.header_value(), text(&vector["headerValue"]), "{id}");
    let shown = format!("{credential:?} {signed:?} {wallet:?}");
    let secrets = [text(&vector["headerValue"]), text(&recorded["signature"]), &text(&vector["privateKey"])[2..]];
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{id}: {shown}");
}

// ---- challenges -------------------------------------------------------------------------------------

/// What becomes of a challenge here.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// The offer at this position is signed, exactly as recorded.
    Signed(usize),
    /// There are no terms at all.
    Absent,
    /// The challenge as a whole is malformed in this field.
    Challenge(&'static str),
    /// The challenge is read, and has no offers.
    NoOffers,
    /// The only offer is malformed in this field.
    Malformed(&'static str),
    /// The only offer is well-formed, and refused for this field.
    Unpayable(&'static str),
}

use Outcome::{Absent, Challenge as Bad, Malformed, NoOffers, Signed, Unpayable};

/// Both SDKs sign, and so do we.
const SIGNED: [(&str, Outcome); 12] = [
    ("valid-minimal", Signed(0)),
    ("valid-full", Signed(0)),
    ("valid-two-accepts", Signed(1)),
    ("valid-error-null", Signed(0)),
    ("valid-unknown-top-field", Signed(0)),
    ("valid-whitespace-json", Signed(0)),
    ("valid-utf8", Signed(0)),
    ("v1-object-in-v2-header", Signed(0)),
    // 2.0 is the same JSON number as 2.
    ("bad-version-float", Signed(0)),
    ("bad-resource-missing", Signed(0)),
    ("cap-exactly-1-usd", Signed(0)),
    // Whether a token that is not in the table may be paid is for the policy to say.
    ("cap-unlisted-token", Signed(0)),
];

/// Both SDKs refuse, and so do we.
const REFUSED_BY_ALL: [(&str, Outcome); 28] = [
    ("bad-empty", Absent),
    ("bad-url-safe-alphabet", Bad("base64")),
    ("bad-length-1-mod-4", Bad("base64")),
    ("bad-length-5", Bad("base64")),
    ("bad-pad-in-middle", Bad("base64")),
    ("bad-json-truncated", Bad("JSON")),
    ("bad-json-trailing", Bad("JSON")),
    ("bad-json-single-quote", Bad("JSON")),
    ("bad-utf8-bytes", Bad("JSON")),
    ("bad-json-array", Bad("JSON")),
    ("bad-json-string", Bad("JSON")),
    ("bad-raw-json-unencoded", Bad("base64")),
    ("bad-accepts-empty", NoOffers),
    ("bad-accepts-object", Bad("accepts")),
    ("bad-scheme-missing", Malformed("scheme")),
    ("bad-scheme-unknown", Unpayable("scheme")),
    ("bad-network-unknown", Unpayable("network")),
    ("bad-network-eip155-hex", Malformed("network")),
    ("bad-network-missing", Malformed("network")),
    ("bad-amount-decimal", Malformed("amount")),
    ("bad-amount-exponent", Malformed("amount")),
    ("bad-asset-missing", Malformed("asset")),
    ("bad-asset-short", Unpayable("asset")),
    ("bad-asset-symbol", Unpayable("asset")),
    ("bad-payto-missing", Malformed("payTo")),
    ("bad-timeout-fraction", Malformed("maxTimeoutSeconds")),
    ("bad-extra-array", Malformed("extra")),
    ("bad-upto-no-facilitator", Unpayable("extra.facilitatorAddress")),
];

/// One SDK refuses and the other signs: we refuse.
const DISPUTED: [(&str, Outcome); 11] = [
    ("bad-inner-space", Bad("base64")),
    ("bad-bom", Bad("JSON")),
    ("bad-version-missing", Bad("x402Version")),
    ("bad-version-string", Bad("x402Version")),
    ("bad-resource-string", Bad("resource")),
    ("bad-network-huge", Malformed("network")),
    ("bad-amount-number", Malformed("amount")),
    ("bad-amount-hex", Malformed("amount")),
    ("bad-extra-no-version", Unpayable("extra.version")),
    ("bad-extra-no-name", Unpayable("extra.name")),
    ("bad-extensions-array", Bad("extensions")),
];

/// Both SDKs sign what nobody should: we refuse.
const STRICTER: [(&str, Outcome); 9] = [
    // Which of two values was meant cannot be known.
    ("valid-duplicate-key-json", Bad("x402Version")),
    ("bad-amount-leading-zero", Malformed("amount")),
    ("bad-amount-space", Malformed("amount")),
    ("bad-payto-checksum", Unpayable("payTo")),
    ("bad-payto-zero", Unpayable("payTo")),
    ("bad-timeout-zero", Malformed("maxTimeoutSeconds")),
    ("bad-timeout-negative", Malformed("maxTimeoutSeconds")),
    ("bad-timeout-huge", Malformed("maxTimeoutSeconds")),
    ("bad-method-unknown", Unpayable("extra.assetTransferMethod")),
];

#[test]
fn every_recorded_challenge_has_our_outcome() {
    let file = load("payment-required-headers");
    let vectors = file["vectors"].as_array().unwrap();
    let mut seen = HashSet::new();
    // By how many of the SDKs each table's cases are signed.
    for (table, signers) in [(&SIGNED[..], 2), (&REFUSED_BY_ALL, 0), (&DISPUTED, 1), (&STRICTER, 2)] {
        for (id, outcome) in table {
            let matching: Vec<_> = vectors.iter().filter(|vector| vector["id"] == *id).collect();
            let [vector] = matching[..] else { panic!("{id} is recorded {} times", matching.len()) };
            let signs = |run: &str| usize::from(vector[run]["result"] == "signed");
            assert_eq!(signs("tsPayNoCaps") + signs("pyPayNoCaps"), signers, "{id} is in the wrong table");
            check_outcome(vector, *outcome);
            assert!(seen.insert(*id), "{id} has two outcomes");
        }
    }
    assert_eq!((seen.len(), vectors.len()), (60, 60), "a recorded case has no outcome");
}

fn check_outcome(vector: &Value, outcome: Outcome) {
    let id = text(&vector["id"]);
    let wallet = wallet(KEY);
    let parsed = Challenge::parse(Some(text(&vector["header"]).as_bytes()), b"");
    let offers = parsed.as_ref().map_or(Vec::new(), |challenge| signable(challenge, &wallet));
    if let Signed(index) = outcome {
        let challenge = parsed.as_ref().unwrap_or_else(|why| panic!("{id}: {why}"));
        let [(offer, payable)] = &offers[..] else { panic!("{id}: {} offers can be signed", offers.len()) };
        assert_eq!(offer.index, index, "{id}");
        let recorded = &vector["tsPayNoCaps"];
        let nonce = bytes(&recorded["authorization"]["nonce"]);
        let signed = authorize(offer, payable, &wallet, &Ingredients::plain(NOW_S, nonce)).unwrap();
        let payload: Value = serde_json::from_str(&signed.payload).unwrap();
        assert_eq!(payload["authorization"], recorded["authorization"], "{id}");
        let credential = Credential::new(challenge, offer, &signed.payload);
        assert_eq!(credential.header_name(), text(&recorded["header"]), "{id}");
        check_echo(id, challenge, offer, &credential);
        return;
    }
    assert!(offers.is_empty(), "{id} must not be signable");
    match (outcome, &parsed) {
        (Absent, Err(ChallengeError::Absent)) => {}
        (NoOffers, Ok(challenge)) => assert!(challenge.offers.is_empty() && challenge.malformed.is_empty(), "{id}"),
        (Bad(expected), Err(error @ ChallengeError::Malformed { place, field, .. })) => {
            assert_eq!((field.as_str(), *place), (expected, "PAYMENT-REQUIRED header"), "{id}");
            assert!(error.to_string().contains(expected), "{id}: {error}");
        }
        (Malformed(expected), Ok(challenge)) => {
            assert!(challenge.offers.is_empty(), "{id}");
            let [malformed] = &challenge.malformed[..] else { panic!("{id}: {:?}", challenge.malformed) };
            assert_eq!(malformed.field, expected, "{id}: {malformed}");
        }
        (Unpayable(expected), Ok(challenge)) => check_unpayable(id, expected, challenge, &wallet),
        _ => panic!("{id}: expected {outcome:?}, got {parsed:?}"),
    }
}

/// Refused with the field named, and not signed either where the refusal is passed over.
fn check_unpayable(id: &str, expected: &str, challenge: &Challenge, wallet: &Wallet) {
    let [offer] = &challenge.offers[..] else { panic!("{id}: {} offers", challenge.offers.len()) };
    let reason = payable(offer, wallet).unwrap_err();
    assert!(reason.starts_with(&format!("{expected} ")), "{id}: {reason}");
    let payer = wallet.address("eip155", 0).unwrap().to_string();
    let forced = Payable { key_index: 0, method: TransferMethod::Eip3009, payer };
    let error = authorize(offer, &forced, wallet, &Ingredients::plain(NOW_S, [7; 32])).unwrap_err();
    assert_eq!(error.status, Status::Sign, "{id}");
    assert!(error.message.contains(expected), "{id}: {error}");
}

/// Version 2 sends back the chosen offer, the resource and the extensions byte for byte; version 1 nothing.
fn check_echo(id: &str, challenge: &Challenge, offer: &Offer, credential: &Credential) {
    let json = String::from_utf8(STANDARD.decode(credential.header_value()).unwrap()).unwrap();
    let sent: Value = serde_json::from_str(&json).unwrap();
    let raw = |raw: &serde_json::value::RawValue| serde_json::from_str::<Value>(raw.get()).unwrap();
    if challenge.version == Version::V1 {
        let keys: Vec<_> = sent.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["x402Version", "scheme", "network", "payload"], "{id}");
        assert_eq!(sent["network"], offer.network_text, "{id}");
        return;
    }
    assert_eq!(sent["accepted"], serde_json::from_str::<Value>(&offer.raw).unwrap(), "{id}");
    assert!(json.contains(&*offer.raw), "{id}: the offer is not byte for byte");
    assert_eq!(sent.get("resource").cloned(), challenge.resource.as_deref().map(raw), "{id}");
    assert_eq!(sent.get("extensions").cloned(), challenge.extensions.as_deref().map(raw), "{id}");
}

#[test]
fn the_header_is_read_before_the_body() {
    // What is picked, or why nothing is; beside it what both SDKs do.
    type Picked = Result<(Version, u64), &'static str>;
    let expected: [(&str, Picked); 7] = [
        ("header-v2-body-v1", Ok((Version::V2, 10_000))),
        ("header-v2-body-v2-different", Ok((Version::V2, 10_000))),
        // The SDKs recorded here find nothing; the official Go client reads it, and so do we.
        ("no-header-body-v2", Ok((Version::V2, 10_000))),
        ("empty-header-body-v1", Ok((Version::V1, 10_000))),
        ("no-header-empty-body", Err("without terms")),
        ("no-header-body-version-missing", Err("x402Version")),
        ("v1-header-object-body-v2", Ok((Version::V1, 10_000))),
    ];
    let file = load("payment-required-headers");
    let vectors = file["headerAndBody"].as_array().unwrap();
    assert_eq!(vectors.len(), expected.len());
    for (id, outcome) in expected {
        let vector = vectors.iter().find(|vector| vector["id"] == id).unwrap();
        let body = if vector["body"].is_null() { String::new() } else { vector["body"].to_string() };
        let parsed = Challenge::parse(vector["header"].as_str().map(str::as_bytes), body.as_bytes());
        match (outcome, parsed) {
            (Ok((version, amount)), Ok(challenge)) => {
                let picked = signable(&challenge, &wallet(KEY));
                assert_eq!((challenge.version, picked[0].0.amount), (version, Amount::from(amount)), "{id}");
                let number = if version == Version::V1 { 1 } else { 2 };
                let as_sdks = json!({ "picked": format!("v{number} amount {amount}") });
                assert_eq!(vector["ts"] == as_sdks && vector["py"] == as_sdks, id != "no-header-body-v2", "{id}");
            }
            (Err(expected), Err(error)) => {
                assert!(error.to_string().contains(expected), "{id}: {error}");
                assert!(vector["ts"]["error"].is_string() && vector["py"]["error"].is_string(), "{id}");
            }
            (expected, parsed) => panic!("{id}: expected {expected:?}, got {parsed:?}"),
        }
    }
}

// ---- receipts ---------------------------------------------------------------------------------------

#[test]
fn every_recorded_receipt_has_our_outcome() {
    let expected: [(&str, Result<bool, &str>); 12] = [
        ("valid-success", Ok(true)),
        ("valid-amount", Ok(true)),
        ("valid-failure-message", Ok(false)),
        ("valid-extensions", Ok(true)),
        ("valid-v1-network", Ok(true)),
        ("valid-nulls", Ok(true)),
        ("bad-chars", Err("base64")),
        ("bad-json", Err("JSON")),
        // The TypeScript client counts these two as settled, the Python client refuses them.
        ("bad-no-transaction", Err("transaction")),
        ("bad-no-network", Err("network")),
        ("bad-null", Err("JSON")),
        // Named for what stricter decoders make of it; both clients read it.
        ("bad-unpadded", Ok(true)),
    ];
    let file = load("payment-response-headers");
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), expected.len());
    for (id, outcome) in expected {
        let vector = vectors.iter().find(|vector| vector["id"] == id).unwrap();
        let header = text(&vector["header"]).as_bytes();
        let parsed = Receipt::parse(Some(header), None).unwrap();
        match (outcome, parsed) {
            (Ok(success), Ok(receipt)) => {
                assert_eq!(receipt.success, success, "{id}");
                let ours = json!({
                    "success": receipt.success, "transaction": receipt.transaction, "network": receipt.network,
                    "payer": receipt.payer, "errorReason": receipt.error_reason,
                    "errorMessage": receipt.error_message, "amount": receipt.amount.map(|it| it.to_string()),
                });
                let recorded = &vector["py"]["ok"];
                for (field, value) in ours.as_object().unwrap() {
                    assert_eq!(Some(value), recorded.get(field).or(Some(&Value::Null)), "{id}: {field}");
                }
                let raw: Value = serde_json::from_str(receipt.raw.get()).unwrap();
                assert_eq!(raw, vector["ts"]["ok"], "{id}");
                let old_name = Receipt::parse(Some(b""), Some(header)).unwrap().unwrap();
                assert_eq!(old_name.raw.get(), receipt.raw.get(), "{id}: the version 1 header reads the same");
            }
            (Err(field), Err(error)) => {
                assert_eq!(error.field, field, "{id}: {error}");
                assert!(vector["py"]["error"].is_string(), "{id}");
            }
            (expected, parsed) => panic!("{id}: expected {expected:?}, got {parsed:?}"),
        }
    }
    assert!(Receipt::parse(None, None).is_none() && Receipt::parse(Some(b" "), Some(b"")).is_none());
}
