//! Extensions as the official TypeScript client (`@x402/*` 2.27.0) recorded them: sign-ins, byte for byte, and those
//! that must not be signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::Url;
use x402::protocol::{Challenge, SIGN_IN_HEADER_NAME, SignIn};
use x402::scheme::sign_in;
use x402::wallet::Wallet;

fn load(file: &str) -> Value {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

/// The challenge of a server that declares the recorded one.
fn asked(info: &Value, chain: &Value) -> Option<Result<SignIn, String>> {
    let mut info = info.clone();
    for member in ["chainId", "type"] {
        info.as_object_mut().unwrap().shift_remove(member);
    }
    let extension = json!({"info": info, "supportedChains": [chain], "schema": {}});
    let terms = json!({"x402Version": 2, "accepts": [], "extensions": {SIGN_IN_HEADER_NAME: extension, "other": {}}});
    Challenge::parse(None, terms.to_string().as_bytes()).unwrap().sign_in()
}

fn chain_of(challenge: &Value) -> Value {
    json!({"chainId": challenge["chainId"], "type": challenge["type"]})
}

#[test]
fn recorded_sign_ins_are_reproduced_byte_for_byte() {
    let recorded = load("siwx");
    let vectors = recorded["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 10);
    for vector in vectors {
        let id = &vector["id"];
        let asked = asked(&vector["challenge"], &chain_of(&vector["challenge"])).unwrap().unwrap();
        let url = Url::parse(text(&vector["requestUrl"])).unwrap();
        asked.check(&url, recorded["now"].as_u64().unwrap()).unwrap();
        let address = text(&vector["payload"]["address"]);
        assert_eq!(asked.message(&asked.chains[0], address), text(&vector["message"]), "{id}");
        let mut wallet = Wallet::new();
        wallet.add_evm_key(text(&vector["privateKey"])).unwrap();
        let value = sign_in(&asked, &wallet).unwrap().unwrap();
        let sent = String::from_utf8(STANDARD.decode(value.as_bytes()).unwrap()).unwrap();
        assert_eq!(sent, text(&vector["payloadJson"]), "{id}");
        assert_eq!(*value, text(&vector["headerValue"]), "{id}");
        assert_eq!(text(&vector["headerName"]), SIGN_IN_HEADER_NAME);
    }
}

#[test]
fn what_official_clients_refuse_to_sign_is_refused() {
    let recorded = load("siwx");
    let refusals = recorded["refusals"].as_array().unwrap();
    let fields = [
        ("domain-mismatch", "domain"),
        ("uri-origin-mismatch", "uri"),
        ("uri-not-url", "uri"),
        ("domain-without-port", "domain"),
        ("bad-evm-chain", "supportedChains"),
        ("siwe-short-nonce", "nonce"),
        ("siwe-version-2", "version"),
        ("siwe-newline-statement", "statement"),
    ];
    assert_eq!(refusals.len(), fields.len());
    for (refusal, (id, field)) in refusals.iter().zip(fields) {
        assert_eq!(refusal["id"], id);
        let url = Url::parse(text(&refusal["requestUrl"])).unwrap();
        let read = asked(&refusal["challenge"], &chain_of(&refusal["challenge"])).unwrap();
        let why = read.and_then(|asked| asked.check(&url, recorded["now"].as_u64().unwrap())).unwrap_err();
        assert!(why.contains(field), "{id}: {why}");
    }
}

/// One member of a good request replaced at a time.
#[test]
fn a_request_that_could_be_used_elsewhere_or_later_is_refused() {
    let recorded = load("siwx");
    let good = &recorded["vectors"][0]["challenge"];
    let now_s = recorded["now"].as_u64().unwrap();
    let url = Url::parse("https://api.example.com/premium-data").unwrap();
    let verdict = |info: &Value, url: &Url, now_s: u64| {
        asked(info, &chain_of(good)).unwrap().and_then(|asked| asked.check(url, now_s))
    };
    assert_eq!(verdict(good, &url, now_s), Ok(()));
    for (member, value) in [
        ("domain", json!("api.example.com:443")),
        ("domain", json!("API.example.com")),
        ("domain", json!("evil.example\napi.example.com")),
        ("domain", json!(["api.example.com"])),
        ("uri", json!("http://api.example.com/premium-data")),
        ("uri", json!("https://api.example.com:8443/")),
        ("uri", json!("https://api.example.com/a\nVersion: 2")),
        ("nonce", json!("a1b2c3d")),
        ("nonce", json!("a1b2c3d4\nIssued At: x")),
        ("nonce", json!("a".repeat(129))),
        ("nonce", json!(12345678)),
        ("issuedAt", json!("yesterday")),
        ("issuedAt", Value::Null),
        ("expirationTime", json!("2025-02-27T16:01:29.000Z")),
        ("expirationTime", json!(1740672389)),
        ("notBefore", json!("2025-02-27T16:01:30Z")),
        ("requestId", json!("a\u{0}b")),
        ("statement", json!("a\u{2028}b")),
        ("resources", json!(["https://a.example\n- https://b.example"])),
        ("resources", json!([7])),
        ("resources", json!("https://a.example")),
    ] {
        let mut info = good.clone();
        info[member] = value.clone();
        let why = verdict(&info, &url, now_s).unwrap_err();
        assert!(why.contains(member), "{member} {value}: {why}");
        info.as_object_mut().unwrap().shift_remove(member);
        let needed = ["domain", "uri", "nonce", "issuedAt"].contains(&member);
        assert_eq!(verdict(&info, &url, now_s).is_err(), needed, "without {member}");
    }
    let elsewhere = Url::parse("https://other.example.com/premium-data").unwrap();
    assert!(verdict(good, &elsewhere, now_s).is_err());
}

#[test]
fn the_first_chain_that_the_wallet_can_sign_for_is_taken() {
    let recorded = load("siwx");
    let mut info = recorded["vectors"][2]["challenge"].clone();
    for member in ["chainId", "type"] {
        info.as_object_mut().unwrap().shift_remove(member);
    }
    let chains = json!([
        {"chainId": "cosmos:hub", "type": "adr36"},
        {"chainId": "eip155:1", "type": "ed25519"},
        {"chainId": "eip155:137", "type": "eip191", "signatureScheme": "eip191"},
        {"chainId": "eip155:1", "type": "eip191"},
    ]);
    let extension = json!({"info": info, "supportedChains": chains});
    let terms = json!({"x402Version": 2, "accepts": [], "extensions": {SIGN_IN_HEADER_NAME: extension}});
    let asked = Challenge::parse(None, terms.to_string().as_bytes()).unwrap().sign_in().unwrap().unwrap();
    assert_eq!(asked.chains.len(), 2);
    assert!(sign_in(&asked, &Wallet::new()).is_none());
    let mut wallet = Wallet::new();
    wallet.add_evm_key(text(&recorded["vectors"][0]["privateKey"])).unwrap();
    let value = sign_in(&asked, &wallet).unwrap().unwrap();
    let sent: Value = serde_json::from_slice(&STANDARD.decode(value.as_bytes()).unwrap()).unwrap();
    assert_eq!((text(&sent["chainId"]), text(&sent["signatureScheme"])), ("eip155:137", "eip191"));
}

/// No client recorded one for Solana: the form is the protocol's, and the signature is held against another verifier.
#[test]
fn a_sign_in_for_solana_is_its_own_text_and_verifies() {
    use ring::signature::{ED25519, UnparsedPublicKey};
    let recorded = load("siwx");
    let seed: Vec<u8> = (1..=32).collect();
    let public = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let public = ring::signature::KeyPair::public_key(&public).as_ref().to_vec();
    let mut wallet = Wallet::new();
    wallet.add_solana_key(&json!([seed, public.clone()].concat()).to_string()).unwrap();
    let network = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
    for (vector, statement) in [(0, "Sign in to access your purchased content\n\n"), (2, "")] {
        let chain = json!({"chainId": network, "type": "ed25519"});
        let asked = asked(&recorded["vectors"][vector]["challenge"], &chain).unwrap().unwrap();
        let address = wallet.address("solana", 0).unwrap();
        let message = asked.message(&asked.chains[0], address);
        let start = format!(
            "api.example.com wants you to sign in with your Solana account:\n{address}\n\n{statement}URI: \
             https://api.example.com/premium-data\nVersion: 1\nChain ID: EtWTRABZaYq6iMfeYKouRu166VU2xqa1\nNonce: "
        );
        assert!(message.starts_with(&start), "{message}");
        let value = sign_in(&asked, &wallet).unwrap().unwrap();
        let sent: Value = serde_json::from_slice(&STANDARD.decode(value.as_bytes()).unwrap()).unwrap();
        let identity = (text(&sent["address"]), text(&sent["chainId"]), text(&sent["type"]));
        assert_eq!(identity, (address, network, "ed25519"));
        let mut signature = [0; 64];
        five8::decode_64(text(&sent["signature"]), &mut signature).unwrap();
        UnparsedPublicKey::new(&ED25519, &public).verify(message.as_bytes(), &signature).unwrap();
    }
}
