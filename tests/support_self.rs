//! The test server, tested: what it takes for a payment, and that it misbehaves exactly as the script says.
//!
//! Payments are built here by other means than the server verifies them with (alloy's typed data, k256), so a
//! payment that passes was understood alike by two implementations.

#[path = "support/mod.rs"]
mod support;

use alloy_dyn_abi::TypedData;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::Server;

/// The first development account, known to everyone.
const KEY: [u8; 32] = [
    0xac, 0x09, 0x74, 0xbe, 0xc3, 0x9a, 0x17, 0xe3, 0x6b, 0xa4, 0xa6, 0xb4, 0xd2, 0x38, 0xff, 0x94, 0x4b, 0xac, 0xb4,
    0x78, 0xcb, 0xed, 0x5e, 0xfc, 0xae, 0x78, 0x4d, 0x7b, 0xf4, 0xf2, 0xff, 0x80,
];
const PAYER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Everything received, interim answers included.
    raw: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn challenge(&self) -> Value {
        match self.header("payment-required") {
            Some(header) => serde_json::from_slice(&BASE64.decode(header).unwrap()).unwrap(),
            None => self.json(),
        }
    }

    fn parse(raw: Vec<u8>) -> Answer {
        let mut rest = &raw[..];
        loop {
            let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Answer { status: 0, headers: Vec::new(), body: Vec::new(), raw };
            };
            let head = String::from_utf8(rest[..end].to_vec()).unwrap();
            rest = &rest[end + 4..];
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            if (100..200).contains(&status) {
                continue;
            }
            let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_string(), value.to_string()));
            let headers = head.split("\r\n").skip(1).filter_map(header).collect();
            return Answer { status, headers, body: rest.to_vec(), raw };
        }
    }
}

fn connect(server: &Server, origin: &str) -> TcpStream {
    let socket = TcpStream::connect(server.url(origin).split_once("://").unwrap().1).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Sends a request that ends its connection, and reads to the end.
fn call(server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut socket = connect(server, "base");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(b"\r\n").unwrap();
    let _ = socket.write_all(body);
    let mut raw = Vec::new();
    let _ = socket.read_to_end(&mut raw);
    Answer::parse(raw)
}

fn start(scenario: Value) -> Server {
    Server::start(&scenario).unwrap()
}

/// A payment for `offer`, as another client would make it.
fn authorization(offer: &Value, chain_id: u64, nonce: u8) -> Value {
    let amount = offer.get("amount").unwrap_or(&offer["maxAmountRequired"]);
    let authorization = json!({"from": PAYER, "to": offer["payTo"], "value": amount, "validAfter": "0",
        "validBefore": (now_s() + 60).to_string(), "nonce": format!("0x{}", format!("{nonce:02x}").repeat(32))});
    json!({"authorization": authorization, "signature": signature(offer, chain_id, &authorization, &KEY)})
}

fn signature(offer: &Value, chain_id: u64, authorization: &Value, key: &[u8; 32]) -> String {
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind});
    let typed: TypedData = serde_json::from_value(json!({
        "types": {
            "EIP712Domain": [field("name", "string"), field("version", "string"), field("chainId", "uint256"),
                field("verifyingContract", "address")],
            "TransferWithAuthorization": [field("from", "address"), field("to", "address"), field("value", "uint256"),
                field("validAfter", "uint256"), field("validBefore", "uint256"), field("nonce", "bytes32")],
        },
        "primaryType": "TransferWithAuthorization",
        "domain": {"name": offer["extra"]["name"], "version": offer["extra"]["version"], "chainId": chain_id,
            "verifyingContract": offer["asset"]},
        "message": authorization,
    }))
    .unwrap();
    let digest = typed.eip712_signing_hash().unwrap();
    let (signature, id) = SigningKey::from_slice(key).unwrap().sign_prehash_recoverable(digest.as_slice());
    let mut bytes = signature.to_bytes().to_vec();
    bytes.push(27 + id.to_byte());
    support::payment::hex(&bytes)
}

fn payment_v2(challenge: &Value, nonce: u8) -> Value {
    let accepted = &challenge["accepts"][0];
    json!({"x402Version": 2, "payload": authorization(accepted, 84532, nonce), "accepted": accepted,
        "resource": challenge["resource"]})
}

fn encoded(payment: &Value) -> String {
    BASE64.encode(payment.to_string())
}

fn present(server: &Server, payment: &Value) -> Answer {
    call(server, "GET", "/paid", &[("PAYMENT-SIGNATURE", &encoded(payment))], b"")
}

fn paywall() -> Server {
    start(json!({"routes": {"/paid": {"terms": {}, "paid": [{"body": {"text": "goods"}}]}}}))
}

fn reason(answer: &Answer) -> String {
    assert_eq!(answer.status, 402);
    answer.challenge()["error"].as_str().unwrap().to_string()
}

#[test]
fn a_payment_made_by_other_means_is_verified_and_settled_once() {
    let server = paywall();
    let asked = call(&server, "GET", "/paid", &[], b"");
    assert_eq!(asked.status, 402);
    let payment = payment_v2(&asked.challenge(), 7);
    let answer = present(&server, &payment);
    assert_eq!((answer.status, &answer.body[..]), (200, &b"goods"[..]));
    let receipt = BASE64.decode(answer.header("payment-response").unwrap()).unwrap();
    let receipt: Value = serde_json::from_slice(&receipt).unwrap();
    assert_eq!(receipt["success"], true);
    assert_eq!(receipt["payer"], PAYER.to_lowercase());
    assert_eq!(receipt["transaction"].as_str().unwrap().len(), 66);

    assert_eq!(reason(&present(&server, &payment)), "invalid_exact_evm_nonce_already_used");
    let seen = server.snapshot();
    let counts = &seen.counts;
    assert_eq!((counts.payments_presented, counts.payments_distinct), (2, 1));
    assert_eq!((counts.payments_verified, counts.payments_settled, counts.payments_refused), (1, 1, 1));
    assert_eq!(seen.payments_seen[0].transaction.as_deref(), receipt["transaction"].as_str());
    assert_eq!(seen.refusals["invalid_exact_evm_nonce_already_used"], 1);
    let kept = serde_json::to_string(&seen).unwrap();
    assert!(!kept.contains(&encoded(&payment)), "the record holds a payment header");
    assert!(!kept.contains(payment["payload"]["signature"].as_str().unwrap()), "the record holds a signature");
}

#[test]
fn version_1_is_verified_too() {
    let server = start(json!({"routes": {"/paid": {"terms": {"version": 1}, "paid": [{"body": {"text": "goods"}}]}}}));
    let asked = call(&server, "GET", "/paid", &[], b"");
    assert_eq!((asked.status, asked.header("payment-required")), (402, None));
    let offer = &asked.json()["accepts"][0];
    let payment = json!({"x402Version": 1, "scheme": "exact", "network": "base-sepolia",
        "payload": authorization(offer, 84532, 1)});
    let wrong_header = call(&server, "GET", "/paid", &[("PAYMENT-SIGNATURE", &encoded(&payment))], b"");
    assert_eq!(wrong_header.json()["error"], "invalid_x402_version");
    let answer = call(&server, "GET", "/paid", &[("X-PAYMENT", &encoded(&payment))], b"");
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-payment-response").is_some());
}

#[test]
fn a_payment_with_any_field_changed_is_refused() {
    let server = paywall();
    let good = payment_v2(&call(&server, "GET", "/paid", &[], b"").challenge(), 9);
    let zero = "0x0000000000000000000000000000000000000001";
    let (soon, past) = ((now_s() + 50).to_string(), (now_s() - 1).to_string());
    let later = (now_s() + 1000).to_string();
    let other_nonce = format!("0x{}", "99".repeat(32));
    let changes: [(&str, Value, &str); 17] = [
        ("/payload/authorization/from", zero.into(), "invalid_exact_evm_signature"),
        ("/payload/authorization/to", zero.into(), "invalid_exact_evm_recipient_mismatch"),
        ("/payload/authorization/value", "9999".into(), "invalid_exact_evm_authorization_value"),
        ("/payload/authorization/value", 10000.into(), "invalid_payload: 10000 is not a string"),
        ("/payload/authorization/validAfter", "1".into(), "invalid_exact_evm_signature"),
        ("/payload/authorization/validAfter", later.into(), "invalid_exact_evm_payload_authorization_valid_after"),
        ("/payload/authorization/validBefore", soon.into(), "invalid_exact_evm_signature"),
        ("/payload/authorization/validBefore", past.into(), "invalid_exact_evm_payload_authorization_valid_before"),
        ("/payload/authorization/nonce", other_nonce.into(), "invalid_exact_evm_signature"),
        ("/accepted/amount", "1".into(), "No matching payment requirements"),
        ("/accepted/payTo", zero.into(), "No matching payment requirements"),
        ("/accepted/maxTimeoutSeconds", json!(60.0), "No matching payment requirements"),
        ("/accepted/extra/name", "Other".into(), "No matching payment requirements"),
        ("/accepted/asset", zero.into(), "No matching payment requirements"),
        ("/accepted/network", "eip155:1".into(), "No matching payment requirements"),
        ("/resource/url", "http://elsewhere/".into(), "resource_echo_mismatch"),
        ("/x402Version", 1.into(), "invalid_x402_version"),
    ];
    for (field, value, expected) in changes {
        let mut changed = good.clone();
        *changed.pointer_mut(field).unwrap() = value;
        assert_eq!(reason(&present(&server, &changed)), expected, "{field}");
    }
    let mut more = good.clone();
    more["accepted"]["more"] = true.into();
    assert_eq!(reason(&present(&server, &more)), "No matching payment requirements");
    assert_eq!(server.snapshot().counts.payments_settled, 0);
    assert_eq!(present(&server, &good).status, 200, "the unchanged payment still holds");
}

#[test]
fn a_signature_that_is_not_the_payers_is_refused() {
    let server = paywall();
    let good = payment_v2(&call(&server, "GET", "/paid", &[], b"").challenge(), 3);
    let signed = good["payload"]["signature"].as_str().unwrap().to_string();
    let mut key_1 = [0; 32];
    key_1[31] = 1;
    let other = signature(&good["accepted"], 84532, &good["payload"]["authorization"], &key_1);
    let other_chain = signature(&good["accepted"], 8453, &good["payload"]["authorization"], &KEY);
    let low_v = format!("{}00", &signed[..130]);
    let flipped = format!("{}{}", &signed[..130], if signed.ends_with("1b") { "1c" } else { "1b" });
    for bad in [other, other_chain, low_v, flipped, high_s(&signed)] {
        let mut changed = good.clone();
        changed["payload"]["signature"] = bad.into();
        assert_eq!(reason(&present(&server, &changed)), "invalid_exact_evm_signature");
    }
    for header in ["%%%", "bm90IGpzb24="] {
        let answer = call(&server, "GET", "/paid", &[("PAYMENT-SIGNATURE", header)], b"");
        assert!(reason(&answer).starts_with("invalid_payload"), "{header}");
    }
    assert_eq!(present(&server, &good).status, 200);
}

/// The same signature with s mirrored: valid mathematics, refused by token contracts.
fn high_s(signature: &str) -> String {
    let order =
        alloy_primitives::U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
            .unwrap();
    let s = alloy_primitives::U256::from_str_radix(&signature[66..130], 16).unwrap();
    let v = if signature.ends_with("1b") { "1c" } else { "1b" };
    format!("{}{:064x}{v}", &signature[..66], order - s)
}

#[test]
fn a_replay_is_answered_again_where_the_script_allows_and_settles_once() {
    let server = start(json!({"routes": {"/paid": {"terms": {}, "replayed": "accepted",
        "paid": [{"fault": "close"}, {"body": {"text": "goods"}}]}}}));
    let payment = payment_v2(&call(&server, "GET", "/paid", &[], b"").challenge(), 5);
    assert_eq!(present(&server, &payment).status, 0, "the first answer is lost after the settlement");
    assert_eq!(server.snapshot().counts.payments_settled, 1);
    assert_eq!(present(&server, &payment).body, b"goods");
    assert_eq!(server.snapshot().counts.payments_settled, 1);
}

#[test]
fn a_settlement_can_fail_and_a_second_402_can_ask_for_more() {
    let server = start(json!({"routes": {"/paid": {"terms": {}, "paid": [
        {"status": 402, "settle": "fail", "settle_reason": "insufficient_funds"},
        {"status": 402, "error": "more, please", "terms": {"offers": [{"price": "20000"}]}},
        {"status": 500, "settle": "yes", "receipt": "none"},
        {"receipt": {"raw": "%%%"}}]}}}));
    let challenge = call(&server, "GET", "/paid", &[], b"").challenge();
    let failed = present(&server, &payment_v2(&challenge, 1));
    let receipt: Value =
        serde_json::from_slice(&BASE64.decode(failed.header("payment-response").unwrap()).unwrap()).unwrap();
    assert_eq!(
        (failed.status, &receipt["success"], &receipt["errorReason"]),
        (402, &json!(false), &json!("insufficient_funds"))
    );
    let more = present(&server, &payment_v2(&challenge, 2));
    assert_eq!((reason(&more).as_str(), &more.challenge()["accepts"][0]["amount"]), ("more, please", &json!("20000")));
    assert_eq!(server.snapshot().counts.payments_settled, 0);
    let broken = present(&server, &payment_v2(&challenge, 3));
    assert_eq!((broken.status, broken.header("payment-response")), (500, None));
    assert_eq!(server.snapshot().counts.payments_settled, 1);
    assert_eq!(present(&server, &payment_v2(&challenge, 4)).header("payment-response"), Some("%%%"));
}

/// Sends a large body until the answer came or nothing more can be sent; says the status and what happened then.
fn early(server: &Server, path: &str) -> (u16, io::Result<usize>) {
    let mut socket = connect(server, "base");
    socket.write_all(format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n").as_bytes()).unwrap();
    socket.write_all(&[0; 1000]).unwrap();
    let mut raw = vec![0; 4096];
    let count = socket.read(&mut raw).unwrap();
    raw.truncate(count);
    let status = Answer::parse(raw).status;
    if path == "/stop_reading" {
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    }
    if path == "/keep_reading" {
        socket.write_all(&vec![0; 999_000]).unwrap();
        socket.write_all(b"GET /free HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    }
    (status, socket.read(&mut [0; 4096]))
}

#[test]
fn early_answers_end_as_their_kind_says() {
    let kinds = ["keep_reading", "stop_reading", "reset", "reset_late", "linger_close"];
    let routes: serde_json::Map<String, Value> = kinds
        .iter()
        .map(|kind| (format!("/{kind}"), json!({"terms": {}, "unpaid": [{"early": kind, "early_after_bytes": 1}]})))
        .chain([("/free".to_string(), json!({}))])
        .collect();
    let server = start(json!({"routes": routes}));
    for kind in kinds {
        let (status, then) = early(&server, &format!("/{kind}"));
        assert_eq!(status, 402, "{kind}");
        match kind {
            "keep_reading" => assert!(then.unwrap() > 0, "the connection serves on"),
            "stop_reading" => assert_eq!(then.unwrap_err().kind(), io::ErrorKind::WouldBlock, "the socket stays open"),
            "linger_close" => assert_eq!(then.unwrap(), 0),
            "reset_late" => assert_eq!(then.unwrap_err().kind(), io::ErrorKind::ConnectionReset),
            _ => assert!(matches!(then, Ok(0)) || then.is_err()),
        }
    }
    assert!(server.state().wait_quiet(Duration::from_secs(5)), "every exchange ends with its client");
    let seen = server.snapshot();
    assert_eq!((seen.counts.requests, seen.counts.connections), (6, 5));
    let whole = |request: &support::state::RequestSeen| request.body_whole && request.body_bytes == 1_000_000;
    assert_eq!(seen.requests_seen.iter().filter(|request| whole(request)).count(), 1);
}

#[test]
fn expectations_are_met_as_scripted() {
    let modes = ["honour", "ignore", "continue", "with_final", "refuse"];
    let mut routes = serde_json::Map::new();
    for mode in modes {
        routes.insert(
            format!("/early/{mode}"),
            json!({"terms": {}, "unpaid": [{"early": "linger_close", "expect": mode}]}),
        );
        routes.insert(format!("/late/{mode}"), json!({"answers": [{"body": "count", "expect": mode}]}));
    }
    let server = start(json!({"routes": routes}));
    let expected = [
        ("/early/honour", "402"),
        ("/early/ignore", "402"),
        ("/early/continue", "100 402"),
        ("/early/with_final", "100 402"),
        ("/early/refuse", "417"),
        ("/late/honour", "100 200"),
        ("/late/ignore", "200"),
        ("/late/continue", "100 200"),
        ("/late/refuse", "417"),
    ];
    for (path, statuses) in expected {
        let answer = call(&server, "POST", path, &[("Expect", "100-continue")], b"hello");
        let text = String::from_utf8_lossy(&answer.raw).into_owned();
        let seen: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|rest| &rest[..3]).collect();
        assert_eq!(seen.join(" "), statuses, "{path}");
    }
}

#[test]
fn faults_break_the_answer_where_they_should() {
    let server = start(json!({"routes": {
        "/truncate": {"answers": [{"body": {"text": "hello world"}, "fault": {"truncate_at": 5}}]},
        "/chunk_end": {"answers": [{"body": {"text": "hello"}, "framing": "chunked", "fault": {"truncate_at": 10}}]},
        "/reset": {"answers": [{"fault": "reset"}]},
        "/close": {"answers": [{"fault": "close"}]},
        "/garbage": {"answers": [{"fault": {"garbage": "SSH-2.0-nothing\r\n"}}]},
        "/steps": {"answers": [{"body": {"text": "1"}}, {"body": {"text": "2"}}]},
        "/gzip": {"answers": [{"body": {"pattern": 1000}, "coding": "gzip"}]},
        "/big_head": {"answers": [{"head_padding_bytes": 70000}]}}}));
    let get = |path: &str| call(&server, "GET", path, &[], b"");
    let short = get("/truncate");
    assert_eq!((short.header("content-length"), &short.body[..]), (Some("11"), &b"hello"[..]));
    assert_eq!(get("/chunk_end").body, b"5\r\nhello\r\n");
    assert!(get("/reset").raw.is_empty() && get("/close").raw.is_empty());
    assert_eq!(get("/garbage").raw, b"SSH-2.0-nothing\r\n");
    assert_eq!([get("/steps").body, get("/steps").body, get("/steps").body], [b"1", b"2", b"2"]);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&get("/gzip").body[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, support::scenario::pattern(1000));
    assert_eq!(get("/big_head").header("x-padding").unwrap().len(), 70000);
    assert_eq!(get("/nowhere").status, 404);
}

#[test]
fn a_stale_connection_is_closed_only_when_it_is_reused() {
    let server =
        start(json!({"routes": {"/stale": {"answers": [{"fault": "close_if_reused", "body": {"text": "x"}}]}}}));
    let mut socket = connect(&server, "base");
    let request = b"GET /stale HTTP/1.1\r\nHost: t\r\n\r\n";
    socket.write_all(request).unwrap();
    let mut buffer = [0; 4096];
    assert!(socket.read(&mut buffer).unwrap() > 0);
    socket.write_all(request).unwrap();
    assert_eq!(socket.read(&mut buffer).unwrap(), 0);
    assert_eq!(server.snapshot().counts.requests, 2);
}

#[test]
fn a_held_answer_waits_for_its_release_and_looking_is_not_counted() {
    let server = start(json!({"routes": {"/held": {"answers": [{"hold": true, "body": {"text": "now"}}]}}}));
    let answer = std::thread::scope(|scope| {
        let held = scope.spawn(|| call(&server, "GET", "/held", &[], b""));
        while call(&server, "GET", "/_server/state?now", &[], b"").json()["requests"] == 0 {}
        assert!(!held.is_finished());
        call(&server, "POST", "/_server/release", &[], b"");
        held.join().unwrap()
    });
    assert_eq!(answer.body, b"now");
    let counts = call(&server, "GET", "/_server/state", &[], b"").json();
    assert_eq!((&counts["requests"], &counts["connections"]), (&json!(1), &json!(1)));
    assert_eq!(call(&server, "POST", "/_server/reset", &[], b"").status, 200);
    assert_eq!(server.snapshot().counts.requests, 0);
}

#[test]
fn the_record_tells_bodies_headers_and_connections() {
    let server = start(json!({"hash_bodies": true, "routes": {"/echo": {"answers": [{"body": "echo"}]}}}));
    let mut socket = connect(&server, "base");
    let request = "POST /echo?x=1 HTTP/1.1\r\nHost: t\r\nX-A: 1\r\nX-A: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n";
    socket.write_all(request.as_bytes()).unwrap();
    socket.write_all(b"GET /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    let mut raw = Vec::new();
    socket.read_to_end(&mut raw).unwrap();
    assert!(raw.windows(9).any(|part| part == b"\r\n\r\nabcde"));
    let seen = server.snapshot();
    assert_eq!((seen.counts.requests, seen.counts.connections, seen.counts.connections_open_peak), (2, 1, 1));
    assert_eq!(seen.counts.body_bytes, 5);
    let first = &seen.requests_seen[0];
    assert_eq!((first.target.as_str(), first.body_bytes, first.body_whole, first.status), ("/echo?x=1", 5, true, 200));
    assert_eq!(first.headers.iter().filter(|(name, _)| name == "X-A").count(), 2);
    assert_eq!(first.body_sha256.as_deref(), Some("36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c"));
}

fn tls_get(server: &Server, origin: &str, client_certificate: bool) -> Result<Vec<u8>, String> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.authority.ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client_certificate {
        true => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(server.authority.client_cert_pem.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(server.authority.client_key_pem.as_bytes()).unwrap(),
            )
            .unwrap(),
        false => builder.with_no_client_auth(),
    };
    let connection = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, connect(server, origin));
    stream
        .write_all(b"GET /free HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .map_err(|error| error.to_string())?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).map_err(|error| error.to_string())?;
    Ok(raw)
}

#[test]
fn tls_origins_hold_or_fail_as_named() {
    let server = start(json!({"origins": {"good": "https", "mutual": "https_client_certificate",
        "untrusted": "https_untrusted", "expired": "https_expired", "wrong": "https_wrong_name"},
        "routes": {"/free": {"answers": [{"body": {"text": "over tls"}}]}}}));
    assert!(tls_get(&server, "good", false).unwrap().ends_with(b"over tls"));
    assert!(tls_get(&server, "mutual", true).unwrap().ends_with(b"over tls"));
    assert!(tls_get(&server, "mutual", false).unwrap_err().contains("CertificateRequired"));
    assert!(tls_get(&server, "untrusted", false).unwrap_err().contains("UnknownIssuer"));
    assert!(tls_get(&server, "expired", false).unwrap_err().contains("xpired"));
    assert!(tls_get(&server, "wrong", false).unwrap_err().contains("not valid for name"));
}

#[test]
fn the_proxy_brings_every_host_to_base() {
    let server =
        start(json!({"origins": {"proxy": "proxy"}, "routes": {"/free": {"answers": [{"body": {"text": "here"}}]}}}));
    let mut socket = connect(&server, "proxy");
    socket.write_all(b"CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example:80\r\n\r\n").unwrap();
    let mut buffer = [0; 256];
    let count = socket.read(&mut buffer).unwrap();
    assert!(buffer[..count].starts_with(b"HTTP/1.1 200"));
    socket.write_all(b"GET /free HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").unwrap();
    let mut raw = Vec::new();
    socket.read_to_end(&mut raw).unwrap();
    assert!(raw.ends_with(b"here"));
    assert_eq!(server.snapshot().requests_seen[0].headers[0], ("Host".to_string(), "shop.example".to_string()));
}

#[test]
fn a_misspelt_script_is_refused() {
    for bad in [
        json!({"routes": {"/a": {"answers": [{"stauts": 200}]}}}),
        json!({"routes": {"/a": {"answers": []}}}),
        json!({"routes": {"a": {}}}),
        json!({"origins": {"base": "htps"}}),
    ] {
        assert!(Server::start(&bad).is_err(), "{bad}");
    }
    assert!(Server::start(&serde_json::from_str(support::DEMO).unwrap()).is_ok());
}
