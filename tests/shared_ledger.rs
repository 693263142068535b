//! One budget among many: processes with many threads each share a ledger file and are killed while they pay.
//!
//! The test runs itself again as its workers. A worker pays purchase after purchase until the budget refuses, and two
//! processes each buy the same things at the same time; the server loses, breaks, delays and doubles answers, by a seed
//! that is printed and that `X402_SEED` repeats. After it: the budget was used up and not exceeded by one unit, no
//! purchase was signed twice, by the ledger's word and by the server's, and the server settled no more than the ledger
//! counts. `X402_SOAK_PAYMENTS` makes a longer run.

#[path = "support/mod.rs"]
mod support;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use support::Server;
use x402::client::{Client, Config, Failure, Request, Response};
use x402::error::Money;
use x402::ledger::Ledger;
use x402::policy::Policy;
use x402::wallet::Wallet;

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const PROCESSES: usize = 8;
const THREADS: usize = 32;
const PAYMENTS: u64 = 1_000;
const PRICE: u64 = 10_000;
/// How often one of the processes is killed; well more often than it takes a worker to start.
const KILL_EVERY: Duration = Duration::from_millis(400);
const KILLS_MIN: u32 = 3;
/// For [`PAYMENTS`] on a machine that is busy with something else; alone it takes a quarter of that.
const RUN_MAX: Duration = Duration::from_secs(180);
/// How often a purchase whose outcome is unknown is sent again before the worker goes on to the next.
const REPEATS: u32 = 5;
/// How often a worker tries to open a ledger that others keep locked.
const LOCKED_TRIES: u32 = 5;
/// A worker ends with this when the budget refuses.
const EXHAUSTED: i32 = 7;

const WORKER: &str = "X402_SOAK_WORKER";
const DIRECTORY: &str = "X402_SOAK_DIRECTORY";
const URL: &str = "X402_SOAK_URL";

fn payments() -> u64 {
    std::env::var("X402_SOAK_PAYMENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(PAYMENTS)
}

/// Numbers in a fixed order (xorshift), so that a seed repeats a run's script.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What the server does to a payment that holds: it is settled always, and answered as the dice say.
fn answers(dice: &mut Dice, count: u64) -> Vec<Value> {
    let answer = |dice: &mut Dice| match dice.throw(10) {
        0 => json!({"fault": "close"}),
        1 => json!({"fault": "reset"}),
        2 => json!({"status": 500, "body": {"text": "oops"}, "receipt": "none"}),
        3 => json!({"body": {"text": "goods"}, "fault": {"truncate_at": 2}}),
        4 => json!({"body": {"text": "goods"}, "fault": "twice"}),
        _ => json!({"body": {"text": "goods"}, "delay_ms": 100 + dice.throw(900)}),
    };
    (0..count).map(|_| answer(dice)).collect()
}

#[test]
fn a_budget_is_never_exceeded_by_processes_that_share_it_and_die() {
    let seed = std::env::var("X402_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1
    });
    println!("X402_SEED={seed}");
    let mut dice = Dice(seed);
    let paid = answers(&mut dice, payments() * 2);
    let route = json!({"terms": {"offers": [{"price": PRICE.to_string()}]}, "paid": paid, "replayed": "accepted"});
    let server = Server::start(&json!({"routes": {"/buy": route}})).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let kills = run_workers(&mut dice, directory.path(), server.url("base"));
    server.wait_closed(Duration::from_secs(5));
    let counts = server.snapshot().counts;
    let ledger = Totals::read(&directory.path().join("ledger"));
    println!("{kills} kills, {ledger:?}, settled {}", counts.payments_settled);

    assert_eq!(ledger.counted, payments(), "the budget was not used to its last payment, or was exceeded");
    assert_eq!(ledger.running_total, payments() * PRICE, "the running total differs from the entries");
    assert_eq!(ledger.purchases_signed_twice, 0, "a purchase was signed twice");
    assert_eq!(counts.payments_of_one_target, 1, "the server was shown more than one payment for a purchase");
    assert!(counts.payments_distinct <= payments(), "{} signatures were presented", counts.payments_distinct);
    assert!(counts.payments_settled <= ledger.counted, "more was settled than counts");
    assert!(counts.payments_settled >= payments() / 2, "too little was paid for this to say anything");
    assert!(kills >= KILLS_MIN, "{kills} kills: the run was too short to say anything about them");
}

/// Runs all workers until the budget is used up, killing one now and then; how many were killed.
fn run_workers(dice: &mut Dice, directory: &Path, url: &str) -> u32 {
    let until = Instant::now() + RUN_MAX * u32::try_from(payments().div_ceil(PAYMENTS)).unwrap();
    let mut workers: Vec<Option<Child>> = (0..PROCESSES).map(|slot| Some(start(slot, directory, url))).collect();
    let (mut kills, mut next_kill) = (0, Instant::now() + KILL_EVERY);
    while workers.iter().any(Option::is_some) {
        assert!(Instant::now() < until, "the workers did not use up the budget in time");
        for slot in &mut workers {
            if let Some(status) = slot.as_mut().and_then(|worker| worker.try_wait().unwrap()) {
                assert_eq!(status.code(), Some(EXHAUSTED), "a worker failed");
                *slot = None;
            }
        }
        if Instant::now() >= next_kill {
            next_kill += KILL_EVERY;
            let victim = dice.throw(PROCESSES as u64) as usize;
            if let Some(mut worker) = workers[victim].take() {
                worker.kill().unwrap();
                worker.wait().unwrap();
                kills += 1;
                workers[victim] = Some(start(victim, directory, url));
            }
        }
        // A look at the clock and at the workers a hundred times a second; nothing depends on how often.
        thread::park_timeout(Duration::from_millis(10));
    }
    kills
}

fn start(slot: usize, directory: &Path, url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_worker", "--nocapture", "--test-threads=1"])
        .env(WORKER, slot.to_string())
        .env(DIRECTORY, directory)
        .env(URL, url)
        // Closed when this process ends, however it ends: a worker does not outlive its test.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The body of a worker process; as a test of its own it has nothing to do.
#[test]
fn a_worker() {
    let Ok(slot) = std::env::var(WORKER) else { return };
    let directory = PathBuf::from(std::env::var_os(DIRECTORY).unwrap());
    let url = std::env::var(URL).unwrap();
    thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    let client = client(&directory.join("ledger"));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (client, url, mark) = (&client, &url, directory.join(format!("at-{slot}-{number}")));
            // Slots 0 and 1 buy the same, and so on.
            let name = format!("{}-{number}", slot.parse::<usize>().unwrap() / 2);
            scope.spawn(move || buy_until_refused(client, url, &name, &mark));
        }
    });
    std::process::exit(EXHAUSTED);
}

fn client(ledger: &Path) -> Client {
    let mut wallet = Wallet::new();
    wallet.add_evm_key(KEY).unwrap();
    let mut policy = Policy::new().unwrap();
    // One payment is one cent.
    policy.budget("all", 0, &format!("{}.{:02} USD", payments() / 100, payments() % 100)).unwrap();
    let mut config = Config::new().unwrap();
    config.wallet(&wallet);
    config.policy(&policy);
    let opened = (0..LOCKED_TRIES).find_map(|_| match Ledger::open(Some(ledger)) {
        Err(error) if error.message.contains("locked by another process") => None,
        other => Some(other.unwrap()),
    });
    config.ledger(&opened.unwrap());
    Client::new(&config).unwrap()
}

/// Buys one thing after the other, beginning with the one that a killed predecessor had in hand.
fn buy_until_refused(client: &Client, url: &str, name: &str, mark: &Path) {
    let mut number: u64 = std::fs::read_to_string(mark).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    loop {
        std::fs::write(mark, number.to_string()).unwrap();
        for _ in 0..=REPEATS {
            match buy(client, url, &format!("{name}-{number}")) {
                Bought::Yes => break,
                Bought::Unknown => {}
                Bought::Refused => return,
            }
        }
        number += 1;
    }
}

enum Bought {
    Yes,
    Unknown,
    Refused,
}

fn buy(client: &Client, url: &str, purchase: &str) -> Bought {
    let mut request = Request::new("GET", &format!("{url}/buy?what={purchase}")).unwrap();
    request.set("purchase_key", purchase).unwrap();
    let (money, refusal) = match client.send(&mut request) {
        Ok(mut response) => read(&mut response),
        Err(Failure { payment: Some(payment), .. }) => (payment.money(), payment.refusal().to_string()),
        Err(Failure { .. }) => (Money::None, String::new()),
    };
    match money {
        Money::Paid => Bought::Yes,
        Money::Refused if refusal.contains("budget \"all\"") => Bought::Refused,
        // On a busy machine a transaction of the others can outlast the wait for it; nothing was signed then.
        Money::Refused if refusal.contains("locked by another process") => Bought::Unknown,
        Money::Refused => panic!("refused for another reason: {refusal}"),
        Money::None | Money::Unpaid | Money::Unknown => Bought::Unknown,
    }
}

fn read(response: &mut Response) -> (Money, String) {
    // A body that breaks off changes nothing about the money.
    let _ = response.read_all(1 << 20);
    (response.money(), response.payment().map_or_else(String::new, |payment| payment.refusal().to_string()))
}

/// What the ledger file says, read past the library.
#[derive(Debug)]
struct Totals {
    counted: u64,
    running_total: u64,
    purchases_signed_twice: u64,
}

impl Totals {
    fn read(path: &Path) -> Totals {
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        let number = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64;
        let counted = "state IN ('open', 'unknown', 'paid')";
        Totals {
            counted: number(&format!("SELECT count(*) FROM entries WHERE {counted}")),
            running_total: number("SELECT CAST(amount AS INTEGER) FROM totals WHERE scope = 'all'"),
            purchases_signed_twice: number(&format!(
                "SELECT count(*) FROM (SELECT 1 FROM entries WHERE {counted} GROUP BY purchase HAVING count(*) > 1)"
            )),
        }
    }
}
