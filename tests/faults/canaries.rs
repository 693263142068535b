//! Proof that the checks notice what they are for: invariants broken on purpose, in the world and in the evidence.
//!
//! Owns the breaking. Each of these tests fails if nothing is noticed.

use super::check::{Evidence, violations};
use super::lab::Row;
use super::plan::{self, Fault};
use super::shapes::{SHAPES, Shape};
use super::support::payment::hex;
use super::{Bench, Broken, traced};
use std::collections::BTreeSet;

fn shape(name: &str) -> &'static Shape {
    SHAPES.iter().find(|shape| shape.name == name).unwrap()
}

fn noticed(evidence: &Evidence<'_>) -> BTreeSet<u8> {
    violations(evidence).into_iter().map(|(number, _)| number).collect()
}

/// The process ends, in this way, when the answer to the payment was read.
fn after_the_payment(trace: &str, action: &str) -> Fault {
    let mut answers = plan::all(trace).into_iter().filter(|fault| fault.operation == "recv" && fault.action == action);
    answers.next_back().expect("an answer is received")
}

fn experiment(action: &str, broken: Broken) -> BTreeSet<u8> {
    let shape = shape("get");
    let fault = after_the_payment(&traced(shape), action);
    let folder = tempfile::tempdir().unwrap();
    noticed(&Bench::new(shape).experiment(shape, Some(&fault), folder.path(), broken))
}

#[test]
fn a_disk_that_lies_is_noticed() {
    assert_eq!(experiment("cut", Broken::Nothing), [].into());
    let noticed = experiment("cut", Broken::DiskLies);
    assert!(noticed.is_superset(&[2, 3].into()), "a signature without an entry, and then a second one: {noticed:?}");
}

#[test]
fn a_ledger_that_is_deleted_is_noticed() {
    assert_eq!(experiment("kill", Broken::Nothing), [].into());
    let noticed = experiment("kill", Broken::LedgerLost);
    assert!(noticed.is_superset(&[2, 3].into()), "a signature without an entry, and then a second one: {noticed:?}");
}

#[test]
fn a_sent_payment_that_is_given_up_and_paid_again_is_noticed() {
    let noticed = experiment("kill", Broken::GivenUp);
    assert!(noticed.is_superset(&[2, 3].into()), "a second signature, and a first that does not count: {noticed:?}");
}

type Breaking = fn(&mut Evidence<'_>);

/// Adds a line to what the last process said.
fn say(evidence: &mut Evidence<'_>, line: &str) {
    let text = &mut evidence.scenes.last_mut().unwrap().run.text;
    text.push_str(line);
    text.push('\n');
}

fn replace(evidence: &mut Evidence<'_>, step: &str, from: &str, to: &str) {
    let text = &mut evidence.scenes[0].run.text;
    let line = text.lines().find(|line| line.contains(&format!("\"step\": \"{step}\""))).unwrap().to_string();
    assert!(line.contains(from), "{line} holds no {from}");
    *text = text.replace(&line, &line.replacen(from, to, 1));
}

fn write(evidence: &mut Evidence<'_>, bytes: Vec<u8>) {
    evidence.written.push(("a file".into(), bytes));
}

fn signature(evidence: &Evidence<'_>) -> String {
    evidence.scenes[0].sent[0].signature.clone()
}

const BREAKINGS: [(u8, &str, Breaking); 24] = [
    (0, "a hang", |evidence| evidence.scenes[1].run.hung = true),
    (0, "an exit", |evidence| evidence.scenes[1].run.succeeded = false),
    (0, "a step left out", |evidence| replace(evidence, "free", "free", "nothing")),
    (1, "over the budget", |evidence| {
        let books = evidence.scenes[1].books.as_mut().unwrap();
        books.rows.push(Row { nonce: None, ..books.rows[0].clone() });
        books.running_total = books.counted();
    }),
    (1, "a total that is not the sum", |evidence| evidence.scenes[1].books.as_mut().unwrap().running_total -= 1),
    (1, "budget that is lost", |evidence| evidence.scenes[1].server.counts.payments_settled -= 1),
    (2, "a second signature", |evidence| {
        let mut second = evidence.scenes[1].sent[0].clone();
        second.nonce = "0x00".into();
        evidence.scenes[1].sent.push(second);
    }),
    (2, "a settlement too many", |evidence| evidence.scenes[1].server.counts.payments_settled += 1),
    (3, "an entry that does not count", |evidence| {
        evidence.scenes[0].books.as_mut().unwrap().rows[0].state = "released".into();
    }),
    (3, "no entry", |evidence| evidence.scenes[0].books.as_mut().unwrap().rows.clear()),
    (3, "no ledger", |evidence| evidence.scenes[0].books = Err("gone".into())),
    (4, "another origin", |evidence| {
        let requests = &mut evidence.scenes[1].server.requests_seen;
        let pays = |name: &str| name.eq_ignore_ascii_case("payment-signature");
        requests.iter_mut().find(|seen| seen.headers.iter().any(|(name, _)| pays(name))).unwrap().origin =
            "other".into();
    }),
    (5, "another body", |evidence| {
        let requests = &mut evidence.scenes[1].server.requests_seen;
        requests.iter_mut().find(|seen| seen.target.starts_with("/buy")).unwrap().body_sha256 = Some("00".into());
    }),
    (6, "the key", |evidence| write(evidence, hex(&evidence.keys[0]).into_bytes())),
    (6, "the second key", |evidence| write(evidence, hex(&evidence.keys[1]).into_bytes())),
    (6, "the key's bytes", |evidence| write(evidence, evidence.keys[0].to_vec())),
    (6, "a signature", |evidence| write(evidence, signature(evidence).into_bytes())),
    (6, "a signature's bytes", |evidence| {
        let digits = signature(evidence);
        let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
        write(evidence, (1..33).map(byte).collect());
    }),
    (6, "a payment header", |evidence| write(evidence, evidence.scenes[0].sent[0].header.clone().into_bytes())),
    (7, "unpaid, and paid", |evidence| replace(evidence, "buy:a", "\"money\": \"paid\"", "\"money\": \"unpaid\"")),
    (7, "paid, and not settled", |evidence| {
        evidence.scenes[0].server.payments_seen.iter_mut().for_each(|seen| seen.settled = false);
    }),
    (8, "a descriptor left open", |evidence| replace(evidence, "end", "\"descriptors\": 0", "\"descriptors\": 1")),
    (8, "many descriptors open", |evidence| replace(evidence, "buy:a", "\"open\": ", "\"open\": 2")),
    (10, "a free call changed", |evidence| replace(evidence, "free", "\"http\": 200", "\"http\": 500")),
];

#[test]
fn every_check_notices_its_violation() {
    let shape = shape("post");
    let folder = tempfile::tempdir().unwrap();
    let whole = Bench::new(shape).experiment(shape, None, folder.path(), Broken::Nothing);
    assert_eq!(violations(&whole), []);
    for (number, what, breaking) in BREAKINGS {
        let mut broken = whole.clone();
        breaking(&mut broken);
        assert!(noticed(&broken).contains(&number), "{what} is not noticed as {number}");
    }
    let mut other_402 = whole.clone();
    say(
        &mut other_402,
        r#"{"step":"buy:x","http":402,"sent":0,"sha256":"00","body_error":null,"money":"refused","payment":null}"#,
    );
    assert!(noticed(&other_402).contains(&9), "a 402 that was changed is not noticed");
    let mut told = whole.clone();
    let nonce = told.scenes[0].sent[0].nonce.clone();
    say(&mut told, &format!(r#"{{"step":"log","line":"{nonce}"}}"#));
    assert!(noticed(&told).contains(&6), "a nonce that was told is not noticed");
}
