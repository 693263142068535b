//! The ten invariants, held against what was seen of an experiment from outside.
//!
//! Owns the judgement and nothing else: it is a pure function of the evidence, so that each invariant can be shown to
//! notice its own violation. The numbers are those of the list in `tests/faults.rs`.

use super::lab::{Books, FREE, PRICE, Run, Sent, what_of};
use super::plan::Fault;
use super::shapes::{BUDGET_PAYMENTS, Shape};
use crate::support::exchange::sha256;
use crate::support::state::Snapshot;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// What was seen after one process: its words, the server's record of it and all before, the ledger.
#[derive(Clone)]
pub struct Scene {
    pub run: Run,
    /// The steps that nothing can have kept from being taken, unless the process was killed.
    pub steps: Vec<&'static str>,
    /// Whether the failure was to kill it.
    pub killed: bool,
    pub server: Snapshot,
    pub books: Result<Books, String>,
    /// Payments that left so far.
    pub sent: Vec<Sent>,
}

/// One experiment.
#[derive(Clone)]
pub struct Evidence<'a> {
    pub shape: &'a Shape,
    pub fault: Option<&'a Fault>,
    pub scenes: Vec<Scene>,
    /// The server's 402 as it goes out: its body's hash and its header.
    pub original: (String, String),
    /// Everything that the processes wrote: name and bytes.
    pub written: Vec<(String, Vec<u8>)>,
    /// The wallet's keys.
    pub keys: [[u8; 32]; 2],
}

/// Every violation, with the invariant's number. 0: the experiment itself did not go as it should.
pub fn violations(evidence: &Evidence<'_>) -> Vec<(u8, String)> {
    let mut out = Problems(Vec::new());
    for scene in &evidence.scenes {
        ran_to_its_end(scene, &mut out);
        moneys_are_true(scene, &mut out);
        payments_went_where_they_were_asked(scene, &mut out);
        bodies_are_whole(evidence, scene, &mut out);
        nothing_leaks(evidence, scene, &mut out);
        declined_402s_are_whole(evidence, scene, &mut out);
        free_calls_pass(scene, &mut out);
        if evidence.shape.file {
            budgets_hold(scene, &mut out);
            signatures_are_recorded(scene, &mut out);
        }
    }
    one_signature_a_purchase(evidence, &mut out);
    secrets_stay_secret(evidence, &mut out);
    purchase_ends_paid(evidence, &mut out);
    out.0
}

struct Problems(Vec<(u8, String)>);

impl Problems {
    fn add(&mut self, invariant: u8, what: impl Into<String>) {
        self.0.push((invariant, what.into()));
    }
}

fn ran_to_its_end(scene: &Scene, out: &mut Problems) {
    if scene.run.hung {
        out.add(0, "the process hangs");
    } else if !scene.killed && !scene.run.succeeded {
        out.add(0, format!("the process ended by itself: {}", scene.run.text));
    }
    for step in scene.steps.iter().filter(|step| !scene.killed && scene.run.said(step).is_empty()) {
        out.add(0, format!("the step {step} was not taken: {}", scene.run.text));
    }
}

/// 1. What counts is at most the budget, is the sum of its entries, and covers all that left.
fn budgets_hold(scene: &Scene, out: &mut Problems) {
    let Ok(books) = &scene.books else { return };
    let counted = books.counted();
    if counted > BUDGET_PAYMENTS * PRICE {
        out.add(1, format!("{counted} count under a budget of {}", BUDGET_PAYMENTS * PRICE));
    }
    if counted != books.running_total {
        out.add(1, format!("the entries add up to {counted} and the running total is {}", books.running_total));
    }
    let left = distinct(scene.sent.iter().map(|sent| &sent.nonce)) as u64 * PRICE;
    if left > counted {
        out.add(1, format!("payments of {left} left and {counted} counts"));
    }
}

fn distinct<'a>(items: impl Iterator<Item = &'a String>) -> usize {
    items.collect::<HashSet<_>>().len()
}

/// 2. One signature a purchase. Without a name, a purchase that is paid is over, and the next is another.
fn one_signature_a_purchase(evidence: &Evidence<'_>, out: &mut Problems) {
    let Some(last) = evidence.scenes.last() else { return };
    let paid_before = match &evidence.scenes[0].books {
        Ok(books) if !evidence.shape.named => books.rows.iter().filter(|row| row.state == "paid").count(),
        _ => 0,
    };
    let mut purchases: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for sent in &last.sent {
        purchases.entry(&sent.what).or_default().insert(&sent.nonce);
    }
    for (what, nonces) in &mut purchases {
        if evidence.fault.is_some_and(Fault::is_jump) {
            // A signature of a wrong clock can be void, with proof; then only what can settle is counted.
            let live =
                |nonce: &str| last.server.payments_seen.iter().any(|seen| seen.settled && nonce_of(seen) == nonce);
            nonces.retain(|nonce| live(nonce));
        }
        let most = match *what {
            "a" if evidence.shape.detached => evidence.scenes.len(),
            "a" => 1 + paid_before,
            _ => 1,
        };
        if nonces.len() > most {
            out.add(2, format!("{} signatures left for the purchase {what}, at most {most} may", nonces.len()));
        }
    }
    if last.server.counts.payments_settled > BUDGET_PAYMENTS {
        out.add(2, format!("{} payments were settled", last.server.counts.payments_settled));
    }
}

fn nonce_of(seen: &crate::support::state::PaymentSeen) -> &str {
    seen.payment.as_ref().map_or("", |payment| payment.nonce.as_str())
}

/// 3. What left is in the ledger, and counts.
fn signatures_are_recorded(scene: &Scene, out: &mut Problems) {
    let books = match &scene.books {
        Ok(books) => books,
        Err(why) => return out.add(3, why.clone()),
    };
    for sent in &scene.sent {
        let settled = scene.server.payments_seen.iter().find(|seen| nonce_of(seen) == sent.nonce);
        let transaction = settled.and_then(|seen| seen.transaction.clone()).unwrap_or_default();
        let of_it = |row: &&super::lab::Row| {
            let by_transaction = row.nonce.is_none() && !transaction.is_empty() && row.transaction == transaction;
            let by_nonce = row.nonce.as_ref().is_some_and(|nonce| nonce.starts_with(&sent.entry_nonce));
            row.counts() && (by_nonce || by_transaction)
        };
        if !books.rows.iter().any(|row| of_it(&row)) {
            out.add(3, format!("the signature {} left and has no entry that counts: {:?}", sent.nonce, books.rows));
        }
    }
}

/// 4. A payment goes to the origin that asked and to no other.
fn payments_went_where_they_were_asked(scene: &Scene, out: &mut Problems) {
    for request in &scene.server.requests_seen {
        let pays = request.headers.iter().any(|(_, value)| value.starts_with("sha256:"));
        if pays && (request.origin != "base" || !request.target.starts_with("/buy")) {
            out.add(4, format!("a payment went to {} {}", request.origin, request.target));
        }
    }
}

/// 5. Every body that arrived whole is the body; nothing is settled for another.
fn bodies_are_whole(evidence: &Evidence<'_>, scene: &Scene, out: &mut Problems) {
    let body = evidence.shape.body();
    let hash = sha256(&body);
    for request in scene.server.requests_seen.iter().filter(|request| request.target.starts_with("/buy")) {
        if request.body_whole && (request.body_sha256.as_ref(), request.body_bytes) != (Some(&hash), body.len() as u64)
        {
            out.add(5, format!("another body of {} bytes arrived as whole", request.body_bytes));
        }
    }
}

/// 6. No key, signature or payment header in a file, a line of the log, an error or a JSON; no nonce in words.
fn secrets_stay_secret(evidence: &Evidence<'_>, out: &mut Problems) {
    let latin = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    let hex = |bytes: &[u8]| crate::support::payment::hex(bytes)[2..].to_string();
    let mut secrets: Vec<(&str, String)> =
        evidence.keys.iter().flat_map(|key| [("a key", hex(key)), ("a key's bytes", latin(key))]).collect();
    let sent: HashSet<&Sent> = evidence.scenes.iter().flat_map(|scene| &scene.sent).collect();
    for sent in sent {
        let digits = &sent.signature[2..];
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..64).map(|at| byte(2 * at)).collect();
        secrets.extend([
            ("a payment header", sent.header.clone()),
            ("a signature", digits[..64].to_string()),
            ("a signature's bytes", latin(&bytes[..32])),
        ]);
    }
    for (name, bytes) in &evidence.written {
        let text = latin(bytes);
        for (what, secret) in secrets.iter().filter(|(_, secret)| text.contains(secret)) {
            out.add(6, format!("{name} holds {what}, {} characters", secret.len()));
        }
    }
    for scene in &evidence.scenes {
        let tells = |nonce: &str| scene.run.text.contains(nonce.trim_start_matches("0x"));
        if scene.sent.iter().any(|sent| tells(&sent.nonce) || tells(&sent.entry_nonce)) {
            out.add(6, "a nonce was told");
        }
    }
}

fn text<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name].as_str().unwrap_or("")
}

fn purchase_of(line: &Value) -> Option<&str> {
    let step = text(line, "step");
    step.strip_prefix("buy:").or(step.strip_prefix("pay:"))
}

fn buys(scene: &Scene) -> Vec<Value> {
    scene.run.lines().into_iter().filter(|line| purchase_of(line).is_some()).collect()
}

/// 7. Who is told that nothing was taken sent nothing; who is told that he paid did.
fn moneys_are_true(scene: &Scene, out: &mut Problems) {
    for line in buys(scene) {
        let what = purchase_of(&line).unwrap_or("");
        let sent = line["sent"].as_u64().unwrap_or(0);
        let nonces: HashSet<&String> =
            scene.sent.iter().filter(|sent| sent.what == what).map(|sent| &sent.nonce).collect();
        let settled = scene
            .server
            .payments_seen
            .iter()
            .any(|seen| seen.settled && nonces.iter().any(|nonce| nonce_of(seen) == *nonce));
        match text(&line, "money") {
            "paid" if settled && sent > 0 => {}
            "paid" => out.add(7, format!("paid, says the library, and not so the server: {line}")),
            "unknown" => {}
            "none" | "refused" | "unpaid" if sent == 0 => {}
            _ => out.add(7, format!("{sent} payments left: {line}")),
        }
        let payment = &line["payment"];
        if !payment.is_null() && payment["money"] != line["money"] {
            out.add(7, format!("two words about one money: {line}"));
        }
    }
}

/// 8. Nothing is left open at the end, and never more than is needed: three files of the ledger, a connection for each
///    origin, a spooled body and its temporary folder.
fn nothing_leaks(evidence: &Evidence<'_>, scene: &Scene, out: &mut Problems) {
    const OPEN_MAX: i64 = 7;
    for end in scene.run.said("end") {
        if end["handles"] != 0 || (end["descriptors"] != 0 && !evidence.shape.queued) {
            out.add(8, format!("left open: {end}"));
        }
    }
    for line in scene.run.lines() {
        if line["open"].as_i64().is_some_and(|open| open > OPEN_MAX && !evidence.shape.queued) {
            out.add(8, format!("more is open than needed: {line}"));
        }
    }
}

/// 9. A 402 that is not paid comes back as it came.
fn declined_402s_are_whole(evidence: &Evidence<'_>, scene: &Scene, out: &mut Problems) {
    for line in buys(scene) {
        let declined = line["http"] == 402 && line["sent"] == 0 && line["body_error"].is_null();
        if declined && (text(&line, "sha256"), text(&line, "challenge")) != (&evidence.original.0, &evidence.original.1)
        {
            out.add(9, format!("not the 402 that the server sent: {line}"));
        }
    }
}

/// 10. What costs nothing passes untouched.
fn free_calls_pass(scene: &Scene, out: &mut Problems) {
    let free = sha256(FREE.as_bytes());
    for line in ["free", "elsewhere"].into_iter().flat_map(|step| scene.run.said(step)) {
        let passed = line["http"] == 200 && text(&line, "sha256") == free && line["payment"].is_null();
        if !passed || line["money"] != "none" || !line["challenge"].is_null() {
            out.add(10, format!("a free call came back as {line}"));
        }
    }
}

/// After every failure a repeat is paid, once, and the rest of the budget can be used, to its end.
fn purchase_ends_paid(evidence: &Evidence<'_>, out: &mut Problems) {
    if evidence.fault.is_some_and(Fault::is_jump) {
        return;
    }
    let Some(last) = evidence.scenes.last() else { return };
    if evidence.shape.detached {
        let counted = last.books.as_ref().map_or(0, Books::counted);
        if counted != BUDGET_PAYMENTS * PRICE {
            out.add(1, format!("{counted} counts after a budget of {} was used", BUDGET_PAYMENTS * PRICE));
        }
        return;
    }
    let lines = last.run.said("buy:a");
    if lines.last().is_none_or(|line| line["money"] != "paid") {
        out.add(7, format!("the repeat was not paid: {lines:?}"));
    }
    if last.server.counts.payments_settled != BUDGET_PAYMENTS {
        let settled = last.server.counts.payments_settled;
        out.add(1, format!("{settled} payments were settled where {BUDGET_PAYMENTS} fit into the budget"));
    }
    let asked = last.server.requests_seen.iter().filter_map(|request| what_of(&request.target));
    if !asked.into_iter().any(|what| what == "f3") {
        out.add(0, "the budget was never used to its end");
    }
}
