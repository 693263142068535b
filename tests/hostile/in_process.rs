//! The rows that a case cannot say: logs, clocks, threads, callbacks, and what exactly was signed.
//!
//! Owns a client made for each of them, with its log kept. Every function gives back what was seen, to be held
//! against the table; what else must hold goes into `problems`.

use super::Seen;
use crate::support::Server;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x402::client::{Client, Config, Failure, Request, Response};
use x402::error::{Error, Money, Status};
use x402::ledger::{Ledger, RetryRule};
use x402::payer::{self, Identity, Means, Payment};
use x402::policy::{Asker, Policy};
use x402::protocol::Challenge;
use x402::wallet::Wallet;
use x402::world::{Deadline, Entropy, FixedEntropy, ManualClock, World};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const BODY_BYTES_MAX: usize = 1 << 20;
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

type Outcome = Result<Response, Failure>;

fn wallet() -> Wallet {
    let mut wallet = Wallet::new();
    wallet.add_evm_key(KEY).unwrap();
    wallet
}

fn budget(amount: &str) -> Policy {
    let mut policy = Policy::new().unwrap();
    policy.budget("all", 0, amount).unwrap();
    policy
}

/// A client and every line that it logs.
struct Logged {
    client: Client,
    lines: Arc<Mutex<Vec<String>>>,
}

fn logged(policy: &Policy, world: World) -> Logged {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let mut config = Config::new().unwrap();
    config.wallet(&wallet());
    config.policy(policy);
    let kept = lines.clone();
    config.log(Arc::new(move |_, line| kept.lock().unwrap().push(line.to_string())));
    Logged { client: Client::in_world(&config, world).unwrap(), lines }
}

impl Logged {
    fn get(&self, url: &str) -> Outcome {
        self.client.send(&mut Request::new("GET", url).unwrap())
    }

    fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

fn name_of(money: Money) -> &'static str {
    match money {
        Money::None => "none",
        Money::Refused => "refused",
        Money::Unpaid => "unpaid",
        Money::Paid => "paid",
        Money::Unknown => "unknown",
    }
}

fn note_of(payment: &Payment) -> String {
    let json: Value = serde_json::from_str(payment.json()).unwrap();
    json["note"].as_str().unwrap_or("").to_string()
}

fn take(seen: &mut Seen, outcome: &mut Outcome) {
    match outcome {
        Ok(response) => {
            let read = response.read_all(BODY_BYTES_MAX).err().map(|error| error.message).unwrap_or_default();
            let money = name_of(response.money());
            match response.payment() {
                Some(payment) => {
                    seen.take_call(money, payment.amount(), &[payment.refusal(), &note_of(payment), &read])
                }
                None => seen.take_call(money, "0", &[&read]),
            }
        }
        Err(failure) => {
            let amount = failure.payment.as_ref().map_or("0", Payment::amount);
            seen.take_call(name_of(failure.error.money), amount, &[&failure.error.message]);
        }
    }
}

/// The calls are over and nothing holds a connection: the server's record is final.
fn counted(mut seen: Seen, server: &Server, client: Logged) -> Seen {
    drop(client);
    server.wait_closed(CLOSED_WITHIN);
    seen.take_counts(&serde_json::to_value(server.snapshot()).unwrap());
    seen
}

fn server(routes: Value) -> Server {
    Server::start(&json!({"routes": routes})).unwrap()
}

fn shop() -> Server {
    server(json!({"/paid": {"terms": {}, "paid": [{"body": {"text": "goods"}}]}}))
}

fn expect(seen: &mut Seen, holds: bool, what: &str) {
    if !holds {
        seen.problems.push(what.to_string());
    }
}

/// What leaves the client for an offer with approval extensions: one transfer of the amount, and the echo.
pub fn one_transfer_and_no_approval() -> Seen {
    let extensions = json!({"eip2612GasSponsoring": {"info": {"description": "approve", "version": "1"}},
        "erc20ApprovalGasSponsoring": {"info": {"spender": "0x1111111111111111111111111111111111111111"}}});
    let payee = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
    let terms = json!({"x402Version": 2, "extensions": extensions, "accepts": [{"scheme": "exact",
        "network": "eip155:84532", "amount": "10000", "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        "payTo": payee, "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"}}]});
    let challenge = Challenge::parse(Some(BASE64.encode(terms.to_string()).as_bytes()), b"").unwrap();
    let asker = Asker {
        host: "shop.example".into(),
        port: 443,
        https: true,
        loopback: false,
        redirected_from: None,
        method: "GET".into(),
        url: "https://shop.example/".into(),
    };
    let (wallet, policy) = (wallet(), Policy::new().unwrap());
    let ledger = Ledger::in_memory();
    // Randomness for one nonce: a second signature would have none.
    let clock = Box::new(ManualClock::at(now_s()));
    let world = World { clock, entropy: Box::new(FixedEntropy::new([7; 32])) };
    let means = Means {
        wallet: &wallet,
        policy: &policy,
        ledger: &ledger,
        world: &world,
        deadline: Deadline::NONE,
        may_deposit: true,
    };
    let identity = Identity { purchase: None, rule: RetryRule::Proven };
    let quoted = payer::quote(Arc::new(challenge), &asker, identity, &means).unwrap();
    let authorized = quoted.reserve(identity, &means).ok().unwrap().authorize(&wallet).unwrap();
    let sent: Value = serde_json::from_slice(&BASE64.decode(authorized.header().1).unwrap()).unwrap();
    let mut seen = Seen { signatures: 1, ..Seen::default() };
    let payload = sent["payload"].as_object().unwrap();
    let names: Vec<&str> = payload.keys().map(String::as_str).collect();
    expect(&mut seen, names == ["authorization", "signature"], "the payload holds more than one signed transfer");
    expect(&mut seen, payload["signature"].as_str().unwrap().len() == 132, "the signature is not one of 65 bytes");
    let authorization = &payload["authorization"];
    let right = authorization["to"] == payee && authorization["value"] == "10000";
    expect(&mut seen, right, "the transfer is not of the amount to the payee");
    expect(&mut seen, sent["extensions"] == extensions, "the extensions do not come back as they were");
    let payment = authorized.payment().clone();
    seen.take_call(name_of(payment.money()), payment.amount(), &names);
    seen
}

/// Loosening the policy that a client was made from changes nothing for the client.
pub fn rules_are_sealed() -> Seen {
    let server = shop();
    let mut policy = Policy::new().unwrap();
    policy.max_per_payment("0.001 USD").unwrap();
    let client = logged(&policy, World::system());
    policy.max_per_payment("1000 USD").unwrap();
    let mut seen = Seen::default();
    take(&mut seen, &mut client.get(&format!("{}/paid", server.url("base"))));
    counted(seen, &server, client)
}

const EVIL: &str = "\u{1b}[31m\r\nlevel=3 paid\u{0}\u{7f}\u{9b}\u{202e}";

fn has_controls(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

/// Every text of the server's that a caller, a log or a terminal may get to see.
pub fn texts_hold_no_control_characters() -> Seen {
    let evil = |rest: &str| format!("{EVIL}{rest}");
    let receipt = |success: bool| {
        json!({"json": {"success": success, "transaction": evil("tx"), "network": evil("n"), "payer": evil("p"),
            "errorReason": evil("settlement"), "errorMessage": evil("m")}})
    };
    let offers = json!([{"payTo": evil("")}, {"asset": evil("")}, {"network": evil("")}, {"scheme": evil("")},
        {"amount": evil("")}, {"maxTimeoutSeconds": evil("")}, {"extra": {"name": evil(""), "version": "2"}},
        {"extra": {"name": "USDC", "version": "2", "assetTransferMethod": evil("")}},
        {"extra": {"name": "USDC", "version": "2", "paymentFlow": evil("")}}, {"network": format!("eip155:{EVIL}")}]);
    let resource = json!({"url": evil("u"), "description": evil("d")});
    let server = server(json!({
        "/offers": {"terms": {"error": evil("e"), "resource": resource, "offers": offers}},
        "/error": {"terms": {"error": evil("e"), "resource": resource}, "paid": [{"status": 402, "error": evil("why")}]},
        "/receipt": {"terms": {}, "paid": [{"receipt": receipt(true)}]},
        "/failed": {"terms": {}, "paid": [{"settle": "no", "receipt": receipt(false)}]},
        "/away": {"answers": [{"status": 302, "headers": [["Location", "nonsense://\u{9b}31m\u{202e}"]]}]},
    }));
    let policy = {
        let mut policy = Policy::new().unwrap();
        policy.allow("asset", "*").unwrap();
        policy
    };
    let client = logged(&policy, World::system());
    let mut seen = Seen::default();
    let mut texts: Vec<(String, String)> = Vec::new();
    for path in ["offers", "error", "receipt", "failed", "away"] {
        let mut outcome = client.get(&format!("{}/{path}", server.url("base")));
        let payment = match &outcome {
            Ok(response) => response.payment().cloned(),
            Err(failure) => {
                texts.push((format!("{path}: message"), failure.error.message.clone()));
                texts.push((format!("{path}: display"), failure.error.to_string()));
                failure.payment.clone()
            }
        };
        if let Some(payment) = payment {
            let lines: Vec<&str> = payment.refusal().split('\n').collect();
            let wanted = if path == "offers" { 10 } else { 1 };
            expect(&mut seen, lines.len() == wanted, &format!("{path}: the refusal has {} lines", lines.len()));
            texts.extend(lines.iter().map(|line| (format!("{path}: refusal"), line.to_string())));
            let parts = [payment.amount(), payment.asset(), payment.network(), payment.payee(), payment.transaction()];
            texts.extend(parts.iter().map(|part| (format!("{path}: part"), part.to_string())));
            texts.push((format!("{path}: note"), note_of(&payment)));
            let raw = payment.json().chars().any(char::is_control);
            expect(&mut seen, !raw, &format!("{path}: the JSON holds control characters"));
        }
        take(&mut seen, &mut outcome);
    }
    let mut quoted = Request::new("GET", &format!("{}/error", server.url("base"))).unwrap();
    let quote = client.client.quote_json(&mut quoted).unwrap();
    let quote: Value = serde_json::from_str(&quote).unwrap();
    texts.push(("quote: description".into(), quote["offers"][0]["description"].as_str().unwrap().to_string()));
    texts.push(("quote: error".into(), quote["error"].as_str().unwrap().to_string()));
    texts.extend(client.log().into_iter().map(|line| ("log".to_string(), line)));
    for (place, text) in texts {
        expect(&mut seen, !has_controls(&text), &format!("{place} holds control characters: {text:?}"));
    }
    counted(seen, &server, client)
}

pub fn a_cache_is_warned_of() -> Seen {
    let aged = json!([{"headers": [["Age", "86400"]]}]);
    let server = server(json!({"/paid": {"terms": {}, "unpaid": aged, "paid": aged}}));
    let client = logged(&Policy::new().unwrap(), World::system());
    let mut seen = Seen::default();
    take(&mut seen, &mut client.get(&format!("{}/paid?key=secret", server.url("base"))));
    let warnings: Vec<String> = client.log().into_iter().filter(|line| line.contains("cache")).collect();
    expect(&mut seen, warnings.len() == 2, &format!("{} warnings for two answers", warnings.len()));
    expect(&mut seen, !warnings.concat().contains("secret"), "a warning shows the query");
    seen.texts.push_str(&warnings.join("\n"));
    counted(seen, &server, client)
}

/// Whether a text holds something as long as a signature, in hexadecimal or base64.
fn may_hold_a_signature(text: &str) -> bool {
    let longest =
        |member: fn(&u8) -> bool| text.as_bytes().split(|byte| !member(byte)).map(<[u8]>::len).max().unwrap_or(0);
    longest(u8::is_ascii_hexdigit) >= 100
        || longest(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')) >= 180
}

/// The server repeats a signature wherever it can; log, errors and Debug show none, nor the nonce.
pub fn nothing_that_pays_is_logged() -> Seen {
    let signature = format!("0x{}", "ab".repeat(65));
    let receipt = json!({"success": false, "transaction": "", "network": "eip155:84532",
        "errorReason": format!("settlement failed {signature}"), "errorMessage": signature});
    let paid = json!([{"status": 402, "error": signature, "receipt": {"json": receipt}}]);
    let server = server(json!({"/paid": {"terms": {}, "paid": paid}}));
    let nonce: Vec<u8> = (0..32).map(|at| 0xa0 + at % 16).collect();
    let hex: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    let clock = Box::new(ManualClock::at(now_s()));
    let client = logged(&Policy::new().unwrap(), World { clock, entropy: Box::new(FixedEntropy::new(nonce.clone())) });
    let mut seen = Seen::default();
    let mut outcome = client.get(&format!("{}/paid?key=secret", server.url("base")));
    let debug = format!("{:?}", outcome.as_ref().map(Response::payment));
    take(&mut seen, &mut outcome);
    let payment = outcome.as_ref().ok().and_then(Response::payment).map_or("", Payment::json).to_string();
    let log = client.log().join("\n");
    expect(&mut seen, log.lines().count() >= 2, "nothing was logged of a payment");
    expect(&mut seen, !log.contains("secret"), "the log shows the query");
    for (place, text) in [("log", log), ("Debug", debug), ("texts", seen.texts.clone()), ("JSON", payment)] {
        expect(&mut seen, !may_hold_a_signature(&text), &format!("{place} holds a signature: {text}"));
        expect(&mut seen, !text.contains(&hex), &format!("{place} holds the nonce"));
        expect(&mut seen, !text.contains(&KEY[2..]), &format!("{place} holds the key"));
    }
    counted(seen, &server, client)
}

/// A receipt of success without a settlement is believed as a claim; the amount counts all the same.
pub fn success_that_never_was() -> Seen {
    let receipt = json!({"success": true, "transaction": format!("0x{}", "12".repeat(32)), "network": "eip155:84532",
        "amount": "0"});
    let paid = json!([{"settle": "no", "receipt": {"json": receipt}}]);
    let server = server(json!({"/paid": {"terms": {}, "paid": paid}}));
    let client = logged(&budget("0.015 USD"), World::system());
    let mut seen = Seen::default();
    for call in 0..2 {
        take(&mut seen, &mut client.get(&format!("{}/paid?{call}", server.url("base"))));
    }
    counted(seen, &server, client)
}

pub fn an_approval_that_panics() -> Seen {
    let server = shop();
    let mut policy = budget("0.01 USD");
    let asked = AtomicU32::new(0);
    policy.approve(Arc::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => panic!("the approval failed"),
        _ => 0,
    }));
    let client = logged(&policy, World::system());
    let mut seen = Seen::default();
    let url = format!("{}/paid", server.url("base"));
    match catch_unwind(AssertUnwindSafe(|| client.get(&url).map(|response| response.money()))) {
        Err(_) => seen.texts.push_str("panicked\n"),
        Ok(outcome) => seen.problems.push(format!("the panic was taken for {:?}", outcome.ok())),
    }
    expect(&mut seen, server.snapshot().counts.payments_presented == 0, "paid without an approval");
    take(&mut seen, &mut client.get(&url));
    counted(seen, &server, client)
}

/// Fails once, then gives bytes that nobody used before.
struct FailsOnce(AtomicU32);

impl Entropy for FailsOnce {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::new(Status::System, "no randomness today")),
            times => {
                out.fill(times as u8);
                Ok(())
            }
        }
    }
}

/// The budget holds one payment: had the failed one kept its part, the second would be refused.
pub fn a_signer_that_fails() -> Seen {
    let server = shop();
    let world = World { clock: Box::new(ManualClock::at(now_s())), entropy: Box::new(FailsOnce(AtomicU32::new(0))) };
    let client = logged(&budget("0.01 USD"), world);
    let mut seen = Seen::default();
    for _ in 0..2 {
        take(&mut seen, &mut client.get(&format!("{}/paid", server.url("base"))));
    }
    counted(seen, &server, client)
}

const THREADS: usize = 16;
const CALLS_A_THREAD: usize = 4;
const ALL: [&str; THREADS * CALLS_A_THREAD] = {
    let mut all = ["refused"; THREADS * CALLS_A_THREAD];
    let mut at = 0;
    while at < 10 {
        all[at] = "paid";
        at += 1;
    }
    all
};
pub const TEN_OF_64: &[&str] = &ALL;

pub fn threads_share_one_budget() -> Seen {
    let server = shop();
    let client = logged(&budget("0.10 USD"), World::system());
    let seen = Mutex::new(Seen::default());
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (client, server, seen, start) = (&client, &server, &seen, &start);
            scope.spawn(move || {
                start.wait();
                for call in 0..CALLS_A_THREAD {
                    let mut outcome = client.get(&format!("{}/paid?{thread}-{call}", server.url("base")));
                    take(&mut seen.lock().unwrap(), &mut outcome);
                }
            });
        }
    });
    let mut seen = seen.into_inner().unwrap();
    seen.money.sort();
    counted(seen, &server, client)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// One payment with our clock at `at_s`; an honest server judges it by the right time.
fn with_our_clock_at(at_s: u64, version: u8) -> Seen {
    let server = server(json!({"/paid": {"terms": {"version": version}}}));
    let world = World { clock: Box::new(ManualClock::at(at_s)), entropy: World::system().entropy };
    let client = logged(&Policy::new().unwrap(), world);
    let mut seen = Seen::default();
    take(&mut seen, &mut client.get(&format!("{}/paid", server.url("base"))));
    for payment in &server.snapshot().payments_seen {
        let lives_s = payment.payment.as_ref().map_or(0, |payment| payment.valid_before.saturating_sub(at_s));
        expect(&mut seen, lives_s <= 60, "the signature lives longer by our clock than the offer asked");
    }
    counted(seen, &server, client)
}

pub fn our_clock_is_behind() -> Seen {
    with_our_clock_at(now_s() - 3600, 2)
}

pub fn our_clock_is_ahead() -> Seen {
    with_our_clock_at(now_s() + 3600, 2)
}

pub fn our_clock_is_ahead_a_little_v1() -> Seen {
    with_our_clock_at(now_s() + 300, 1)
}

pub fn our_clock_is_ahead_v1() -> Seen {
    with_our_clock_at(now_s() + 3600, 1)
}
