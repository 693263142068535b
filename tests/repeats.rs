//! A purchase that outlives its process, and one that outlives its signature, over HTTP.
//!
//! The first test runs itself again as the process that is killed: the server holds the paid request, the process dies by
//! SIGKILL without an answer, and this process, with the same ledger file, presents the very same bytes. The second moves
//! a clock by hand. The third gives up on answers that are under way.

#[path = "support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::Server;
use x402::client::{Client, Config, Request, Response};
use x402::error::{Money, Retry, Status};
use x402::ledger::{EXPIRY_MARGIN_S, Ledger};
use x402::wallet::Wallet;
use x402::world::{Clock, ManualClock, World};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const LEDGER: &str = "X402_REPEATS_LEDGER";
const URL: &str = "X402_REPEATS_URL";
const PRESENTED_WITHIN: Duration = Duration::from_secs(20);

fn client(ledger: &Path, world: World) -> Client {
    let (mut wallet, mut config) = (Wallet::new(), Config::new().unwrap());
    wallet.add_evm_key(KEY).unwrap();
    config.wallet(&wallet);
    config.ledger(&Ledger::open(Some(ledger)).unwrap());
    Client::in_world(&config, world).unwrap()
}

fn get(client: &Client, url: &str) -> Response {
    let mut response = client.send(&mut Request::new("GET", url).unwrap()).unwrap();
    response.read_all(1 << 20).unwrap();
    response
}

fn record(server: &Server) -> Value {
    serde_json::to_value(server.snapshot()).unwrap()
}

fn paid_url(server: &Server) -> String {
    server.expand(&json!("{base}/paid")).as_str().unwrap().to_string()
}

/// What the killed process runs; as a test of its own it has nothing to do.
#[test]
fn a_process_that_is_killed() {
    let Some(ledger) = std::env::var_os(LEDGER) else { return };
    get(&client(Path::new(&ledger), World::system()), &std::env::var(URL).unwrap());
}

#[test]
fn a_purchase_outlives_its_process_and_is_settled_once() {
    let held = json!({"settle": "yes", "hold": true});
    let scenario = json!({"routes": {"/paid": {"terms": {}, "paid": [held, {}], "replayed": "accepted"}}});
    let server = Server::start(&scenario).unwrap();
    let (url, folder) = (paid_url(&server), tempfile::tempdir().unwrap());
    let ledger = folder.path().join("ledger");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_is_killed"])
        .env(LEDGER, &ledger)
        .env(URL, &url)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while record(&server)["payments_presented"] == 0 && start.elapsed() < PRESENTED_WITHIN {
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(record(&server)["payments_presented"], 1, "the paid request was not received in time");
    let response = get(&client(&ledger, World::system()), &url);
    assert_eq!((response.status(), response.money()), (200, Money::Paid));
    let seen = record(&server);
    let counts =
        ["payments_presented", "payments_distinct", "payments_settled"].map(|name| seen[name].as_u64().unwrap());
    assert_eq!(counts, [2, 1, 1]);
}

/// A clock that the test keeps a hand on.
struct Shared(Arc<ManualClock>);

impl Clock for Shared {
    fn unix_s(&self) -> u64 {
        self.0.unix_s()
    }
}

#[test]
fn a_signature_that_is_void_by_time_is_followed_by_another_that_counts_on_top() {
    let scenario = json!({"routes": {"/paid": {"terms": {"offers": [{"maxTimeoutSeconds": 60}]},
        "paid": [{"status": 500, "settle": "no", "receipt": "none"}], "replayed": "accepted"}}});
    let server = Server::start(&scenario).unwrap();
    let (url, folder) = (paid_url(&server), tempfile::tempdir().unwrap());
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let clock = Arc::new(ManualClock::at(now_s));
    let world = World { clock: Box::new(Shared(clock.clone())), entropy: World::system().entropy };
    let path = folder.path().join("ledger");
    let client = client(&path, world);
    let distinct_after = |advance_s: u64| {
        clock.advance(advance_s);
        assert_eq!(get(&client, &url).money(), Money::Unknown);
        record(&server)["payments_distinct"].as_u64().unwrap()
    };
    assert_eq!(distinct_after(0), 1);
    assert_eq!(distinct_after(60 + EXPIRY_MARGIN_S), 1, "until its margin is past, the same bytes");
    assert_eq!(distinct_after(1), 2);
    let totals: Value = serde_json::from_str(&Ledger::open(Some(&path)).unwrap().totals().unwrap()).unwrap();
    let all = totals.as_array().unwrap().iter().find(|row| row["scope"] == "all").unwrap();
    assert_eq!(all["amount"], "20000");
}

#[test]
fn an_answer_that_was_cancelled_is_asked_for_again_with_the_same_payment() {
    let goods = json!({"body": {"pattern": 1_000_000}});
    let scenario = json!({"routes": {"/paid": {"terms": {}, "paid": [goods], "replayed": "accepted"}}});
    let server = Server::start(&scenario).unwrap();
    let (url, folder) = (paid_url(&server), tempfile::tempdir().unwrap());
    for ledger in [Ledger::in_memory(), Ledger::open(Some(&folder.path().join("ledger"))).unwrap()] {
        let (mut wallet, mut config) = (Wallet::new(), Config::new().unwrap());
        wallet.add_evm_key(KEY).unwrap();
        config.wallet(&wallet);
        config.ledger(&ledger);
        let client = Client::new(&config).unwrap();
        let before = record(&server)["payments_distinct"].as_u64().unwrap();
        let mut request = Request::new("GET", &url).unwrap();
        let mut response = client.send(&mut request).unwrap();
        assert_eq!(response.read(&mut [0; 100]).unwrap(), 100);
        request.cancel_handle().cancel();
        // What had arrived may still be read.
        let error = (0..10_000).find_map(|_| response.read(&mut [0; 1000]).err()).unwrap();
        assert_eq!((error.status, error.retry), (Status::Cancelled, Retry::SameBytes));
        let mut request = Request::new("GET", &url).unwrap();
        let response = client.send(&mut request).unwrap();
        // Nobody reads on: the deadline of a caller above, whose library frees what it cancelled.
        request.cancel_handle().cancel();
        drop(response);
        assert_eq!(get(&client, &url).money(), Money::Paid);
        assert_eq!(record(&server)["payments_distinct"], before + 1, "one payment, presented three times");
        get(&client, &url);
        assert_eq!(record(&server)["payments_distinct"], before + 2, "read to its end, it is over");
    }
}

/// Another process holds the ledger: the call ends by its own limit or cancel, and nothing is signed.
#[test]
fn a_call_waits_for_its_ledger_no_longer_than_it_may() {
    const FAR_LESS_THAN_A_WAIT: Duration = Duration::from_secs(4);
    let server = Server::start(&json!({"routes": {"/paid": {"terms": {}, "paid": [{}]}}})).unwrap();
    let (url, folder) = (paid_url(&server), tempfile::tempdir().unwrap());
    let ledger = folder.path().join("ledger");
    let client = client(&ledger, World::system());
    let other = rusqlite::Connection::open(&ledger).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    let mut request = Request::new("GET", &url).unwrap();
    request.set("total_timeout_ms", "200").unwrap();
    let failure = client.send(&mut request).err().unwrap();
    assert_eq!((failure.error.status, failure.error.retry), (Status::Timeout, Retry::Safe));
    assert!(
        failure.error.message.contains("total_timeout_ms passed while waiting for the ledger"),
        "{}",
        failure.error
    );

    let mut request = Request::new("GET", &url).unwrap();
    let cancel = request.cancel_handle();
    let failure = thread::scope(|scope| {
        let call = scope.spawn(|| client.send(&mut request).err().unwrap());
        // The 402 was read, and the ledger is waited for.
        while record(&server)["requests"].as_u64() < Some(2) && begun.elapsed() < PRESENTED_WITHIN {
            thread::yield_now();
        }
        cancel.cancel();
        call.join().unwrap()
    });
    assert_eq!(failure.error.status, Status::Cancelled);
    assert!(begun.elapsed() < FAR_LESS_THAN_A_WAIT, "{:?}", begun.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(get(&client, &url).money(), Money::Paid);
    assert_eq!(record(&server)["payments_presented"], 1);
}

/// The state of an authorization as a node would tell it, in one word; for Permit2, the bit of the nonce that was used.
fn usage_word(server: &Server, is_permit2: bool, is_used: bool) -> String {
    let nonce = server.snapshot().payments_seen[0].payment.as_ref().unwrap().nonce.clone();
    let bit = if is_permit2 { u8::from_str_radix(&nonce[nonce.len() - 2..], 16).unwrap() } else { 0 };
    let mut word = [0; 32];
    // Every other bit, which is some other payment's.
    if is_permit2 {
        word.fill(0xff);
    }
    let mask = 1 << (bit % 8);
    word[31 - usize::from(bit / 8)] &= !mask;
    if is_used {
        word[31 - usize::from(bit / 8)] |= mask;
    }
    word.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A node for one question, that answers once the word is known: whether the first payment was used.
fn node(words: std::sync::mpsc::Receiver<String>) -> (String, thread::JoinHandle<String>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&seen).contains("\"latest\"") {
            let count = socket.read(&mut piece).unwrap();
            assert!(count > 0, "the question ends too early");
            seen.extend_from_slice(&piece[..count]);
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "result": format!("0x{}", words.recv().unwrap())}).to_string();
        let length = body.len();
        write!(socket, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
        String::from_utf8(seen).unwrap()
    });
    (url, asked)
}

/// A named purchase whose answer was lost, and whose signature is void by now: a node tells whether it settled before.
#[test]
fn a_named_purchase_that_settled_without_a_word_is_not_paid_again_where_a_node_knows() {
    for (method, is_used) in [("eip3009", true), ("eip3009", false), ("permit2", true), ("permit2", false)] {
        let offer =
            json!({"maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2", "assetTransferMethod": method}});
        // Twice, because the library asks once more on another connection.
        let paid = json!([{"settle": "yes", "fault": "close"}, {"fault": "close"}, {}]);
        let terms = json!({"terms": {"offers": [offer]}, "replayed": "accepted", "paid": paid});
        let server = Server::start(&json!({"routes": {"/paid": terms}})).unwrap();
        let url = paid_url(&server);
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let clock = Arc::new(ManualClock::at(now_s));
        let (word, words) = std::sync::mpsc::channel();
        let (node_url, asked) = node(words);
        let (mut wallet, mut config) = (Wallet::new(), Config::new().unwrap());
        wallet.add_evm_key(KEY).unwrap();
        config.wallet(&wallet);
        config.set("evm_rpc", &node_url).unwrap();
        config.set("purchase_key", "a report").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger");
        // Both stores of a ledger.
        config.ledger(&Ledger::open((method == "permit2").then_some(file.as_path())).unwrap());
        let world = World { clock: Box::new(Shared(clock.clone())), entropy: World::system().entropy };
        let client = Client::in_world(&config, world).unwrap();
        let lost = client.send(&mut Request::new("GET", &url).unwrap()).err().unwrap();
        assert_eq!(lost.error.money, Money::Unknown);
        clock.advance(60 + EXPIRY_MARGIN_S + 1);
        word.send(usage_word(&server, method == "permit2", is_used)).unwrap();
        let response = get(&client, &url);
        let refusal = response.payment().unwrap().refusal().to_string();
        let selector = if method == "permit2" { "0x4fe02b44" } else { "0xe94a0102" };
        assert!(asked.join().unwrap().contains(selector), "{method}");
        let distinct = record(&server)["payments_distinct"].as_u64().unwrap();
        if is_used {
            assert!(refusal.contains("was paid already"), "{refusal}");
            assert_eq!((response.status(), response.money(), distinct), (402, Money::Refused, 1), "{method}");
        } else {
            assert_eq!((response.status(), response.money(), distinct), (200, Money::Paid, 2), "{method}: {refusal}");
        }
    }
}
