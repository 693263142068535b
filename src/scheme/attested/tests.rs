//! Signed offers and receipts: those that were recorded, and what is wrong with others.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;

const RECORDED: &str = include_str!("../../../tests/vectors/extensions-misc.json");
const NOW_S: u64 = 1_740_672_089;

fn recorded() -> Value {
    serde_json::from_str(RECORDED).unwrap()
}

/// A challenge with the recorded offer in `accepts`, after `change`, and one statement beside it.
fn challenge(statement: &Value, change: impl FnOnce(&mut Value)) -> Challenge {
    let payload = &recorded()["offer"]["payload"];
    let mut terms = json!({
        "x402Version": 2,
        "resource": {"url": payload["resourceUrl"]},
        "accepts": [{"scheme": payload["scheme"], "network": payload["network"], "asset": payload["asset"],
            "payTo": payload["payTo"], "amount": payload["amount"], "maxTimeoutSeconds": 60}],
        "extensions": {NAME: {"info": {"offers": [statement]}}},
    });
    change(&mut terms);
    Challenge::parse(None, terms.to_string().as_bytes()).unwrap()
}

fn judged(statement: &Value, change: impl FnOnce(&mut Value)) -> Option<Attestation> {
    let challenge = challenge(statement, change);
    offer(&challenge, &challenge.offers[0], NOW_S)
}

fn eip712() -> Value {
    let recorded = recorded();
    json!({"format": "eip712", "acceptIndex": 0, "payload": recorded["offer"]["payload"],
        "signature": recorded["offer"]["signature"]})
}

fn unchanged(_: &mut Value) {}

#[test]
fn recorded_digests_and_signers_are_reproduced() {
    let recorded = recorded();
    for (name, digest_of) in [
        ("offer", eip712::offer_digest as fn(&Map<String, Value>) -> Option<[u8; 32]>),
        ("receipt", eip712::receipt_digest),
    ] {
        let vector = &recorded[name];
        let digest = digest_of(vector["payload"].as_object().unwrap()).unwrap();
        assert_eq!(alloy_primitives::hex::encode_prefixed(digest), vector["digest"].as_str().unwrap());
        let signer = eip712::signer(&digest, vector["signature"].as_str().unwrap()).unwrap();
        assert_eq!(signer.to_string(), vector["signer"].as_str().unwrap());
    }
}

#[test]
fn a_signed_offer_is_valid_only_by_the_payee() {
    // Recorded with a signer other than the payee: nobody here can tell whether it may sign for him.
    let attestation = judged(&eip712(), unchanged).unwrap();
    let signer = recorded()["offer"]["signer"].as_str().unwrap().to_string();
    assert_eq!((attestation.verdict, attestation.signer), (Verdict::Unverified, signer.clone()));
    // The same terms with the signer as the payee, signed by him.
    let mut payload = recorded()["offer"]["payload"].clone();
    payload["payTo"] = json!(signer);
    let digest = eip712::offer_digest(payload.as_object().unwrap()).unwrap();
    let mut wallet = crate::wallet::Wallet::new();
    wallet.add_evm_key("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80").unwrap();
    let signature = wallet.evm_keys()[0].sign_typed(&digest, String::new).unwrap();
    let statement =
        json!({"format": "eip712", "payload": payload, "signature": alloy_primitives::hex::encode_prefixed(signature)});
    let attestation = judged(&statement, |terms| terms["accepts"][0]["payTo"] = json!(signer)).unwrap();
    assert_eq!(attestation, Attestation { verdict: Verdict::Valid, signer });
}

#[test]
fn what_contradicts_the_offer_is_invalid() {
    let invalid = |statement: &Value, field: &str, change: &dyn Fn(&mut Value)| {
        let attestation = judged(statement, change).unwrap_or_else(|| panic!("{field} is not stated"));
        let Verdict::Invalid(why) = &attestation.verdict else { panic!("{field}: {attestation:?}") };
        assert!(why.contains(field), "{field}: {why}");
    };
    let index = eip712();
    let mut like = eip712();
    like.as_object_mut().unwrap().shift_remove("acceptIndex");
    for statement in [&index, &like] {
        invalid(statement, "payTo", &|terms| {
            terms["accepts"][0]["payTo"] = json!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
        });
        invalid(statement, "amount", &|terms| terms["accepts"][0]["amount"] = json!("10001"));
        invalid(statement, "resourceUrl", &|terms| terms["resource"]["url"] = json!("https://evil.example/"));
    }
    invalid(&index, "network", &|terms| terms["accepts"][0]["network"] = json!("eip155:84532"));
    let mut old = eip712();
    old["payload"]["validUntil"] = json!(NOW_S - 1);
    invalid(&old, "validUntil", &unchanged);
    for signature in [json!("0x12"), json!("not hex"), Value::Null, json!(format!("0x{}", "ff".repeat(65)))] {
        let mut torn = eip712();
        torn["signature"] = signature;
        invalid(&torn, "signature", &unchanged);
    }
}

#[test]
fn an_offer_that_nothing_is_stated_about_is_as_before() {
    assert_eq!(judged(&json!({"format": "smoke-signal", "signature": ""}), unchanged), None);
    assert_eq!(judged(&eip712(), |terms| terms["extensions"] = json!({NAME: {"info": {}}})), None);
    assert_eq!(judged(&eip712(), |terms| terms["extensions"] = json!({"other": {}})), None);
    // Of another offer.
    let mut other = eip712();
    other["acceptIndex"] = json!(1);
    other["payload"]["amount"] = json!("1");
    assert_eq!(judged(&other, unchanged), None);
}

fn compact(header: &Value, payload: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Value {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    json!({"format": "jws", "signature": format!("{signed}.{signature}")})
}

fn jwk(value: &Value) -> String {
    format!("did:jwk:{}#0", URL_SAFE_NO_PAD.encode(value.to_string()))
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// One signed statement by a key of each kind: its `kid`, its algorithm, and a way to sign.
fn signers() -> Vec<(String, &'static str, Sign)> {
    let seed: Vec<u8> = (1..=32).collect();
    let ed25519 = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let x = URL_SAFE_NO_PAD.encode(ed25519.public_key().as_ref());
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
    let point = p256.public_key().as_ref().to_vec();
    let k256 = k256::ecdsa::SigningKey::from_slice(&[1; 32]).unwrap();
    let k256_point = k256.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    let ec = |curve: &str, point: &[u8]| {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        jwk(&json!({"kty": "EC", "crv": curve, "x": encode(&point[1..33]), "y": encode(&point[33..])}))
    };
    let sign_k256 = move |message: &[u8]| -> Vec<u8> {
        let signature: k256::ecdsa::Signature = k256::ecdsa::signature::Signer::sign(&k256, message);
        signature.to_bytes().to_vec()
    };
    vec![
        (
            jwk(&json!({"kty": "OKP", "crv": "Ed25519", "x": x})),
            "EdDSA",
            Box::new(move |message| ed25519.sign(message).as_ref().to_vec()),
        ),
        (
            ec("P-256", &point),
            "ES256",
            Box::new(move |message| p256.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()),
        ),
        (ec("secp256k1", &k256_point), "ES256K", Box::new(sign_k256)),
    ]
}

#[test]
fn a_jws_is_valid_by_the_key_in_its_own_name_and_by_no_other() {
    let payload = &recorded()["offer"]["payload"];
    for (kid, algorithm, sign) in signers() {
        let header = json!({"alg": algorithm, "kid": kid});
        let good = compact(&header, payload, &sign);
        let attestation = judged(&good, unchanged).unwrap();
        assert_eq!(attestation.verdict, Verdict::Valid, "{algorithm}");
        let torn = compact(&header, payload, |message| {
            let mut signature = sign(message);
            signature[5] ^= 1;
            signature
        });
        let other_algorithm = compact(&json!({"alg": "none", "kid": kid}), payload, &sign);
        for bad in [torn, other_algorithm] {
            assert!(matches!(judged(&bad, unchanged).unwrap().verdict, Verdict::Invalid(_)), "{algorithm}");
        }
        let fetched = compact(&json!({"alg": algorithm, "kid": "did:web:api.example.com#key-1"}), payload, &sign);
        let attestation = judged(&fetched, unchanged).unwrap();
        assert_eq!(attestation.verdict, Verdict::Unverified);
        assert_eq!(attestation.signer, "did:web:api.example.com#key-1");
    }
}

#[test]
fn a_receipt_is_held_against_the_payment() {
    let vector = &recorded()["receipt"];
    let signer = vector["signer"].as_str().unwrap();
    let url = vector["payload"]["resourceUrl"].as_str().unwrap();
    let good = Expected {
        resource: Some(resource_id(url)),
        network: "eip155:8453",
        payer: "0xF39FD6E51AAD88F6F4CE6AB8827279CFFFB92266",
        payee: signer,
        offer_signer: None,
        paid_s: NOW_S,
    };
    let statement = json!({"format": "eip712", "payload": vector["payload"], "signature": vector["signature"]});
    let judged = |statement: &Value, expected: &Expected<'_>| {
        let settled = json!({"success": true, "transaction": "0xabc", "network": "eip155:8453",
            "extensions": {NAME: {"info": {"receipt": statement}}}});
        let header = STANDARD.encode(settled.to_string());
        let read = Receipt::parse(Some(header.as_bytes()), None).unwrap().unwrap();
        receipt(&read, expected)
    };
    let verdict = |expected: &Expected<'_>| judged(&statement, expected).unwrap().verdict;
    assert_eq!(verdict(&good), Verdict::Valid);
    assert_eq!(verdict(&Expected { payee: url, offer_signer: Some(signer), ..good.clone() }), Verdict::Valid);
    assert_eq!(
        verdict(&Expected { payee: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", ..good.clone() }),
        Verdict::Unverified
    );
    for wrong in [
        Expected { resource: Some(resource_id("https://api.example.com/")), ..good.clone() },
        Expected { network: "eip155:1", ..good.clone() },
        Expected { payer: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", ..good.clone() },
        Expected { paid_s: NOW_S - 3601, ..good.clone() },
        Expected { paid_s: NOW_S + 3601, ..good.clone() },
    ] {
        assert!(matches!(verdict(&wrong), Verdict::Invalid(_)), "{wrong:?}");
    }
    let mut other_transaction = statement.clone();
    other_transaction["payload"]["transaction"] = json!("0xdef");
    assert!(matches!(judged(&other_transaction, &good).unwrap().verdict, Verdict::Invalid(_)));
    assert_eq!(judged(&Value::Null, &good), None);
}
