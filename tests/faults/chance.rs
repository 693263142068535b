//! Failures by chance in many threads of several processes that share a ledger file, under a server that misbehaves.
//!
//! Owns the run. Processes die and are started again with the purchases they had; at the end each goes through them
//! once more without failures. The seed is printed; with threads it repeats the script and not every step.
//! `tests/shared_ledger.rs` is the same without failures of the system and with the disk's own fsync.

use super::lab::{Books, Chosen, Lab, Order, captured, scenario};
use super::plan::{self, Dice};
use super::support::Server;
use super::{CLOSED_WITHIN, KEY, PRICE};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;

const PROCESSES: usize = 3;
const THREADS: usize = 6;
const PURCHASES_A_THREAD: usize = 4;
/// Fewer than are asked for, so that the budget has to refuse.
const BUDGET_PAYMENTS: u64 = 50;
/// So many of a million operations fail.
const PER_MILLION: u32 = 6_000;
/// How often a process that died is started again before its last run, in which nothing fails.
const STARTS: usize = 8;
const FAILURES_MIN: usize = 10;

fn answers(dice: &mut Dice, count: usize) -> Value {
    let answer = |dice: &mut Dice| match dice.throw(10) {
        0 => json!({"fault": "close"}),
        1 => json!({"fault": "reset"}),
        2 => json!({"status": 500, "body": {"text": "oops"}, "receipt": "none"}),
        3 => json!({"body": {"text": "goods"}, "fault": {"truncate_at": 2}}),
        _ => json!({"body": {"text": "goods"}, "delay_ms": dice.throw(20)}),
    };
    let mut list: Vec<Value> = (0..count).map(|_| answer(dice)).collect();
    list.push(json!({"body": {"text": "goods"}}));
    list.into()
}

/// One process after the other under the same name, until one ends by itself; then one without failures.
fn worker(number: usize, server: &Server, folder: &Path, seeds: &[u64], table: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut run = |output: String, fault: Chosen<'_>| {
        let arguments = [
            format!("base={}", server.url("base")),
            format!("ledger={}", folder.join("ledger").display()),
            format!("budget={}.{:02} USD", BUDGET_PAYMENTS / 100, BUDGET_PAYMENTS % 100),
            format!("worker={number}"),
            format!("threads={THREADS}"),
            "named=1".into(),
            "+".into(),
            format!("many:{PURCHASES_A_THREAD}"),
            "close".into(),
            "-".into(),
        ];
        let order = Order { folder, arguments: arguments.to_vec(), fault, disk_lies: false, output };
        let run = Lab::get().run(&order);
        assert!(!run.hung, "a process hangs: {}", run.text);
        for end in run.said("end") {
            assert_eq!((&end["handles"], &end["descriptors"]), (&json!(0), &json!(0)), "left open");
        }
        lines.extend(run.lines());
        run.succeeded
    };
    for (start, seed) in seeds.iter().enumerate() {
        let fault = Chosen::Random { seed: *seed, per_million: PER_MILLION, table };
        if run(format!("output-{number}-{start}"), fault) {
            break;
        }
    }
    assert!(run(format!("output-{number}-last"), Chosen::Nothing), "a process without failures failed");
    lines
}

#[test]
fn failures_by_chance_in_many_threads_break_no_invariant() {
    let mut dice = Dice::seeded();
    let server = Server::start(&scenario(json!({"price": PRICE.to_string()}), answers(&mut dice, 150))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let seeds: Vec<Vec<u64>> = (0..PROCESSES).map(|_| (0..STARTS).map(|_| dice.throw(1 << 60)).collect()).collect();
    let table = plan::table();
    let work = |(number, seeds): (usize, &Vec<u64>)| worker(number, &server, folder.path(), seeds, &table);
    let lines: Vec<Value> = thread::scope(|scope| {
        let workers: Vec<_> = seeds.iter().enumerate().map(|item| scope.spawn(move || work(item))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(server.wait_closed(CLOSED_WITHIN), "a connection stays open");
    judge(&server, folder.path(), &lines);
}

fn judge(server: &Server, folder: &Path, lines: &[Value]) {
    let failures = std::fs::read_to_string(folder.join("notes")).unwrap().lines().count();
    let books = Books::read(folder).unwrap();
    let sent = captured(folder);
    let counts = server.snapshot().counts;
    let mut purchases: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for sent in &sent {
        purchases.entry(&sent.what).or_default().insert(&sent.nonce);
    }
    let names = |money: &str| -> BTreeSet<&str> {
        let of_it = lines.iter().filter(|line| line["money"] == money);
        of_it.filter_map(|line| line["step"].as_str()).filter(|step| step.starts_with("buy:")).collect()
    };
    let (counted, settled) = (books.counted() / PRICE, counts.payments_settled);
    println!("{failures} failures, {} presentations, {settled} settled, {counted} counted", sent.len());

    assert!(failures >= FAILURES_MIN, "{failures} failures: too few to say anything");
    assert_eq!(counted, BUDGET_PAYMENTS, "the budget was not used to its end, or was exceeded");
    assert_eq!(books.counted(), books.running_total, "the running total differs from the entries");
    for (what, nonces) in &purchases {
        assert_eq!(nonces.len(), 1, "{what} was signed {} times", nonces.len());
    }
    for sent in &sent {
        let entry = books.rows.iter().find(|row| row.nonce.as_ref() == Some(&sent.nonce));
        assert!(entry.is_some_and(super::lab::Row::counts), "{} left and does not count: {entry:?}", sent.what);
    }
    assert!(settled <= counted && names("paid").len() as u64 <= settled, "more is called paid than was settled");
    assert!(names("refused").len() > PROCESSES, "the budget never refused");
    let written = lines.iter().map(Value::to_string).collect::<String>();
    let secrets = sent.iter().flat_map(|sent| [&sent.header, &sent.nonce]);
    assert!(!written.contains(KEY) && !secrets.into_iter().any(|secret| written.contains(secret)), "a secret was told");
}
