//! A body file is read a second time to know its purchase again: only where that matters, and never past its caller.
//!
//! The file here has no end that a test could live to see (it is all hole), so whoever reads it whole is found out.

#[path = "support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::Server;
use x402::body::Source;
use x402::client::{Client, Config, Failure, Request, Response};
use x402::error::{Money, Status};
use x402::policy::Policy;
use x402::wallet::Wallet;

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ENDLESS_BYTES: u64 = 1 << 40;
/// A call that reads the file anyway ends here, and fails.
const PATIENCE_MS: &str = "20000";

/// Answers 402 before the body comes.
fn shop() -> Server {
    let early = json!({"early": "stop_reading"});
    Server::start(&json!({"routes": {"/paid": {"terms": {}, "unpaid": [early]}}})).unwrap()
}

struct Endless {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn endless() -> Endless {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    File::create(&path).unwrap().set_len(ENDLESS_BYTES).unwrap();
    Endless { _folder: folder, path }
}

fn client(with_key: bool, policy: Option<&Policy>, settings: &[(&str, &str)]) -> Client {
    let mut config = Config::new().unwrap();
    let mut wallet = Wallet::new();
    if with_key {
        wallet.add_evm_key(KEY).unwrap();
    }
    config.wallet(&wallet);
    if let Some(policy) = policy {
        config.policy(policy);
    }
    for (key, value) in [("expect_continue", "always"), ("total_timeout_ms", PATIENCE_MS)].iter().chain(settings) {
        config.set(key, value).unwrap();
    }
    Client::new(&config).unwrap()
}

fn elsewhere() -> Policy {
    let mut policy = Policy::new().unwrap();
    policy.allow("network", "eip155:1").unwrap();
    policy
}

fn upload(server: &Server, file: &Endless) -> Request {
    let url = server.expand(&json!("{base}/paid"));
    let mut request = Request::new("POST", url.as_str().unwrap()).unwrap();
    request.body(Source::File(file.path.clone()));
    request
}

fn is_refused(outcome: Result<Response, Failure>, why: &str) {
    let response = outcome.unwrap();
    assert_eq!((response.status(), response.money()), (402, Money::Refused));
    let refusal = response.payment().unwrap().refusal();
    assert!(refusal.contains(why), "{refusal}");
}

#[test]
fn what_wallet_or_rules_refuse_is_refused_unread() {
    let (server, file) = (shop(), endless());
    is_refused(client(false, None, &[]).send(&mut upload(&server, &file)), "wallet");
    is_refused(client(true, Some(&elsewhere()), &[]).send(&mut upload(&server, &file)), "network");
}

#[test]
fn a_402_of_the_callers_own_is_refused_unread_too() {
    let (server, file) = (shop(), endless());
    let request = upload(&server, &file);
    let mut probe = client(false, None, &[]).send(&mut upload(&server, &file)).unwrap();
    let headers = probe.headers().to_vec();
    let body = probe.read_all(1 << 20).unwrap();
    for (client, why) in [(client(false, None, &[]), "wallet"), (client(true, Some(&elsewhere()), &[]), "network")] {
        let failure = client.pay_request(&request, 402, &headers, &body).err().unwrap();
        assert_eq!((failure.error.status, failure.error.money), (Status::Refused, Money::Refused));
        assert!(failure.error.message.contains(why), "{}", failure.error.message);
    }
    let broken = [("payment-required".to_string(), b"nonsense".to_vec())];
    let failure = client(true, None, &[]).pay_request(&request, 402, &broken, b"").err().unwrap();
    assert_eq!(failure.error.status, Status::Challenge);
}

#[test]
fn the_reading_ends_with_the_time_of_the_call() {
    let (server, file) = (shop(), endless());
    let hurried = client(true, None, &[("total_timeout_ms", "500")]);
    let failure = hurried.send(&mut upload(&server, &file)).err().unwrap();
    assert_eq!((failure.error.status, failure.error.money), (Status::Timeout, Money::None));
    assert!(failure.error.message.contains("reading the body file"), "{}", failure.error.message);
    assert_eq!(record(&server)["payments_presented"], 0);
}

#[test]
fn the_reading_ends_when_the_call_is_cancelled() {
    let (server, file) = (shop(), endless());
    let mut request = upload(&server, &file);
    let cancel = request.cancel_handle();
    let (told, task) = std::sync::mpsc::channel();
    let sending = std::thread::spawn(move || {
        // SAFETY: gettid() takes nothing and cannot fail.
        told.send(unsafe { libc::gettid() }).unwrap();
        client(true, None, &[]).send(&mut request)
    });
    wait_until_it_reads(task.recv().unwrap());
    cancel.cancel();
    let failure = sending.join().unwrap().err().unwrap();
    assert_eq!((failure.error.status, failure.error.money), (Status::Cancelled, Money::None));
    assert!(failure.error.message.contains("reading the body file"), "{}", failure.error.message);
    assert_eq!(record(&server)["payments_presented"], 0);
}

/// Returns once the thread has read more than any answer holds.
fn wait_until_it_reads(task: i32) {
    const READ_BYTES_MIN: u64 = 64 << 20;
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        let seen = std::fs::read_to_string(format!("/proc/self/task/{task}/io")).unwrap();
        let read = seen.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        if read.parse::<u64>().unwrap() > READ_BYTES_MIN {
            return;
        }
        std::thread::yield_now();
    }
    panic!("the file was never read");
}

fn record(server: &Server) -> Value {
    serde_json::to_value(server.snapshot()).unwrap()
}
