//! How an official client behaves over HTTP, exchange by exchange, and ours beside it.
//!
//! `vectors/fetch-behaviour.json` records what `@x402/fetch` sent and got from a scripted server. The table
//! below says how each script goes here; an exchange without a `safer` must come out as recorded, one with it
//! says what we do instead and why that is safer.

#[path = "support/case.rs"]
mod case;
#[path = "support/driver.rs"]
mod driver;
#[path = "support/rust_driver.rs"]
mod rust_driver;
#[path = "support/mod.rs"]
mod support;

use case::{Case, driver_input};
use driver::{Driver, drivers_of_environment};
use serde_json::{Value, json};
use support::Server;
use support::exchange::sha256;

const VECTORS: &str = include_str!("vectors/fetch-behaviour.json");
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// What we do where the official client does something less safe.
struct Safer {
    why: &'static str,
    /// How many of the recorded requests we send.
    requests: usize,
    status: u16,
    body: &'static str,
    /// What the refusal says.
    refusal: &'static str,
}

struct Exchange {
    id: &'static str,
    route: Value,
    request: Value,
    policy: Value,
    safer: Option<Safer>,
}

fn exchange(id: &'static str, route: Value) -> Exchange {
    Exchange { id, route, request: json!({"method": "GET"}), policy: Value::Null, safer: None }
}

fn paywall(paid: Value) -> Value {
    json!({"terms": {}, "paid": [paid]})
}

/// Headers that any HTTP client adds, one that only means something in a browser, and ours that keeps a paid exchange out
/// of shared caches.
const NOT_COMPARED: [&str; 8] = [
    "host",
    "user-agent",
    "accept",
    "connection",
    "content-length",
    "transfer-encoding",
    "access-control-expose-headers",
    "cache-control",
];

fn table() -> Vec<Exchange> {
    let plain = || exchange("plain-200", json!({"answers": [{"body": {"text": "free"}}]}));
    let paid = || json!({"body": {"text": "paid"}});
    let hello =
        json!({"method": "POST", "headers": [["Content-Type", "text/plain"]], "body": {"bytes": {"text": "hello"}}});
    let stream = json!({"method": "POST", "settings": {"expect_continue": "never"},
        "body": {"reader": {"content": {"text": "stream"}, "declare": null}}});
    let recovered = "a hook may make the official client sign a second time for one purchase; one call signs once";
    let thrown = "the official client throws and the server's answer is lost; ours hands the 402 over, with the reason";
    vec![
        plain(),
        exchange("402-then-200", paywall(paid())),
        Exchange { request: hello, ..exchange("402-post-body", paywall(paid())) },
        Exchange { request: stream, ..exchange("402-stream-body", paywall(paid())) },
        exchange("402-then-402-required", paywall(json!({"status": 402, "error": "no"}))),
        exchange("402-then-402-response-failed", paywall(json!({"status": 402, "settle": "fail"}))),
        exchange("402-then-412", paywall(json!({"status": 412, "error": "permit2_allowance_required"}))),
        exchange("402-then-500", paywall(json!({"status": 500, "body": {"text": "oops"}}))),
        Exchange {
            safer: Some(Safer { why: thrown, requests: 1, status: 402, body: "what?", refusal: "" }),
            ..exchange("402-unparsable", json!({"answers": [{"status": 402, "bare": true, "body": {"text": "what?"}}]}))
        },
        exchange("402-v1-body", json!({"terms": {"version": 1}, "paid": [paid()]})),
        Exchange {
            request: json!({"method": "GET", "headers": [["PAYMENT-SIGNATURE", "bWluZQ=="]]}),
            safer: Some(Safer { why: thrown, requests: 1, status: 402, body: "{}", refusal: "payment-signature" }),
            ..exchange("caller-set-PAYMENT-SIGNATURE", paywall(paid()))
        },
        Exchange {
            safer: Some(Safer { why: recovered, requests: 2, status: 402, body: "{}", refusal: "once more" }),
            ..exchange(
                "recovered-hook-third-request",
                json!({"terms": {}, "paid": [{"status": 402, "error": "once more"}, paid()]}),
            )
        },
        Exchange {
            safer: Some(Safer { why: recovered, requests: 2, status: 402, body: "{}", refusal: "once more" }),
            ..exchange("recovered-hook-still-402", paywall(json!({"status": 402, "error": "once more"})))
        },
        Exchange {
            policy: json!({"approve": 1}),
            safer: Some(Safer { why: thrown, requests: 1, status: 402, body: "{}", refusal: "approve" }),
            ..exchange("before-hook-abort", paywall(paid()))
        },
        Exchange {
            safer: Some(Safer { why: thrown, requests: 1, status: 402, body: "{}", refusal: "max_per_payment" }),
            ..exchange("default-cap-1-usd", json!({"terms": {"offers": [{"price": "1000001"}]}, "paid": [paid()]}))
        },
    ]
}

fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

/// Runs one exchange and compares.
fn compare(exchange: &Exchange, recorded: &Value, driver: &dyn Driver) {
    let id = exchange.id;
    let scenario = json!({"hash_bodies": true, "routes": {"/premium-data": exchange.route}});
    let server = Server::start(&scenario).unwrap();
    let mut request = exchange.request.clone();
    request["url"] = "{base}/premium-data".into();
    let client = json!({"keys": [KEY], "policy": exchange.policy});
    let case = Case { name: id.into(), value: json!({"client": client, "requests": [request]}) };
    let directory = tempfile::tempdir().unwrap();
    let result = driver.run(&driver_input(&case, &server, directory.path())).unwrap();
    let got = &result["results"][0];
    let seen = server.snapshot();

    let recorded_requests = recorded["requests"].as_array().unwrap();
    let requests = exchange.safer.as_ref().map_or(recorded_requests.len(), |safer| safer.requests);
    assert_eq!(seen.requests_seen.len(), requests, "{id}: {got}");
    for (ours, theirs) in seen.requests_seen.iter().zip(recorded_requests) {
        assert_eq!(ours.method, theirs["method"], "{id}");
        assert_eq!(ours.body_sha256, Some(sha256(theirs["body"].as_str().unwrap().as_bytes())), "{id}");
        let mut names: Vec<String> = ours.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.retain(|name| !NOT_COMPARED.contains(&name.as_str()));
        names.sort();
        let theirs = theirs["headers"].as_array().unwrap().iter().filter_map(Value::as_str);
        let theirs: Vec<&str> = theirs.filter(|name| !NOT_COMPARED.contains(name)).collect();
        assert_eq!(names, theirs, "{id}");
    }
    assert!(seen.counts.payments_distinct <= 1, "{id}: more than one signature");
    match &exchange.safer {
        None => {
            assert_eq!(got["status"], recorded["result"]["status"], "{id}: {got}");
            assert_eq!(got["body"]["text"], recorded["result"]["body"], "{id}");
        }
        Some(safer) => {
            assert_eq!(got["status"], safer.status, "{id}: {got}");
            assert_eq!(got["body"]["text"], safer.body, "{id}");
            let refusal = got["payment"]["refusal"].as_str().unwrap_or("").to_lowercase();
            assert!(refusal.contains(safer.refusal), "{id}: {refusal:?} ({})", safer.why);
        }
    }
}

fn run_all(driver: &dyn Driver) {
    for recorded in vectors() {
        let table = table();
        let exchange = table.iter().find(|exchange| recorded["id"] == exchange.id).unwrap();
        compare(exchange, &recorded, driver);
    }
}

/// Every recorded exchange has its row, and a row that differs from the record differs to the safe side: it
/// never sends more requests, and so never more signatures.
#[test]
fn every_recorded_exchange_has_its_row() {
    let (table, vectors) = (table(), vectors());
    assert_eq!((table.len(), vectors.len()), (15, 15));
    for recorded in &vectors {
        let row = table.iter().find(|exchange| recorded["id"] == exchange.id);
        let row = row.unwrap_or_else(|| panic!("{} has no row", recorded["id"]));
        let theirs = recorded["requests"].as_array().unwrap().len();
        match &row.safer {
            None => assert!(recorded["result"]["status"].is_u64(), "{}: an error cannot be matched", row.id),
            Some(safer) => assert!(safer.requests <= theirs && !safer.why.is_empty(), "{}", row.id),
        }
    }
}

#[test]
fn the_rust_client_behaves_as_recorded_or_safer() {
    run_all(&rust_driver::RustDriver);
}

/// Set by the build that makes a driver; without any there is nothing to run here.
#[test]
fn every_driver_behaves_as_recorded_or_safer() {
    for driver in drivers_of_environment() {
        eprintln!("driver {}", driver.name);
        run_all(&driver);
    }
}
