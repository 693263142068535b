//! Hostile servers: every known way to hurt a paying client, and what it comes to here.
//!
//! Owns the table's promise: each mode has a row, each row runs, and what the row says of signatures, amounts,
//! settlements, money and reasons is what the server counted and the caller was told. The modes are numbered S1
//! to S27; a row that leaves something open says what, and what bounds the loss.

#[path = "support/case.rs"]
mod case;
#[path = "support/check.rs"]
mod check;
#[path = "hostile/dies.rs"]
mod dies;
#[allow(dead_code)] // Driver programs run the same cases elsewhere.
#[path = "support/driver.rs"]
mod driver;
#[path = "hostile/in_process.rs"]
mod in_process;
#[path = "support/rust_driver.rs"]
mod rust_driver;
#[path = "support/mod.rs"]
mod support;
#[path = "hostile/table.rs"]
mod table;

use case::{Case, driver_input, load_all, requests};
use driver::Driver;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use support::Server;
use table::{MODES, Outcome, ROWS, Row, Shown};

const ROWS_AT_ONCE: usize = 4;
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

/// What a row came to: the server's counts, and what the caller was told.
#[derive(Debug, Default)]
pub struct Seen {
    /// Different payments that reached the server.
    pub signatures: u64,
    /// Atomic units over them, as the caller was told.
    pub signed: u128,
    pub settled: u64,
    /// One a call.
    pub money: Vec<String>,
    /// Every refusal, error message and note.
    pub texts: String,
    /// What else is not as it should be.
    pub problems: Vec<String>,
}

impl Seen {
    /// Takes in the server's record; what it verified must be what the caller was told.
    pub fn take_counts(&mut self, record: &Value) {
        let count = |name: &str| record[name].as_u64().unwrap_or(u64::MAX);
        (self.signatures, self.settled) = (count("payments_distinct"), count("payments_settled"));
        let mut amounts = BTreeMap::new();
        for payment in record["payments_seen"].as_array().into_iter().flatten() {
            if let Some(amount) = payment["amount"].as_str() {
                amounts.insert(payment["header_sha256"].to_string(), amount.parse::<u128>().unwrap_or(u128::MAX));
            }
        }
        let verified: u128 = amounts.values().sum();
        let told = self.signed;
        if verified > told
            || (verified < told && count("payments_refused") == 0 && amounts.len() as u64 == self.signatures)
        {
            self.problems.push(format!("the server holds payments of {verified}, and the caller was told of {told}"));
        }
    }

    /// Takes in what one call came to.
    pub fn take_call(&mut self, money: &str, amount: &str, texts: &[&str]) {
        if matches!(money, "paid" | "unknown" | "unpaid") {
            self.signed += amount.parse::<u128>().unwrap_or(u128::MAX / 2);
        }
        self.money.push(money.to_string());
        for text in texts {
            self.texts.push_str(text);
            self.texts.push('\n');
        }
    }

    fn hold_against(&self, outcome: &Outcome, problems: &mut Vec<String>) {
        let mut same = |what: &str, got: &dyn std::fmt::Debug, wanted: &dyn std::fmt::Debug| {
            let (got, wanted) = (format!("{got:?}"), format!("{wanted:?}"));
            if got != wanted {
                problems.push(format!("{what}: {got}, the table says {wanted}"));
            }
        };
        same("signatures", &self.signatures, &outcome.signatures);
        same("amount signed", &self.signed, &outcome.signed);
        same("settled", &self.settled, &outcome.settled);
        same("money", &self.money, &outcome.money);
        let texts = self.texts.to_lowercase();
        for part in outcome.says {
            if !texts.contains(&part.to_lowercase()) {
                problems.push(format!("the caller is not told {part:?} but {:?}", self.texts));
            }
        }
        problems.extend(self.problems.iter().cloned());
    }
}

/// A case through the Rust client, held against itself; and what the table is held against.
fn run_case(case: &Case, outcome: &Outcome, problems: &mut Vec<String>) -> Option<Seen> {
    says_the_same(case, outcome, problems);
    let mut scenario = case.value["server"].clone();
    scenario["hash_bodies"] = true.into();
    let server = Server::start(&scenario).map_err(|problem| problems.push(problem)).ok()?;
    let directory = tempfile::tempdir().unwrap();
    let result = rust_driver::RustDriver.run(&driver_input(case, &server, directory.path()));
    let result = result.map_err(|problem| problems.push(problem)).ok()?;
    server.wait_closed(CLOSED_WITHIN);
    let record = serde_json::to_value(server.snapshot()).unwrap();
    problems.extend(check::check(&server.expand(&case.value), &result, &record));
    let (mut seen, mut entries) = (Seen::default(), BTreeSet::new());
    for result in result["results"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or("").to_string();
        let payment = &result["payment"];
        let told = [
            &payment["refusal"],
            &payment["json"]["note"],
            &result["error"]["message"],
            &result["body_error"]["message"],
        ];
        let told: Vec<String> = told.into_iter().map(text).collect();
        let money = if result["outcome"] == "quote" { "none".to_string() } else { text(&result["money"]) };
        // Presented again, an entry of the ledger is the signature that was counted already.
        let again = payment["json"]["entry"].as_u64().is_some_and(|entry| !entries.insert(entry));
        let amount = if again { "0".to_string() } else { text(&payment["amount"]) };
        seen.take_call(&money, &amount, &told.iter().map(String::as_str).collect::<Vec<_>>());
    }
    seen.take_counts(&record);
    Some(seen)
}

/// The case as it is written promises what the table says, so that every other language is held to it too.
fn says_the_same(case: &Case, outcome: &Outcome, problems: &mut Vec<String>) {
    let money = |request: &Value| match request["expect"].get("quote") {
        Some(_) => "none".to_string(),
        None => request["expect"]["money"].as_str().unwrap_or("").to_string(),
    };
    let promised: Vec<String> = requests(&case.value).iter().map(money).collect();
    if promised != outcome.money {
        problems.push(format!("the case promises money {promised:?}, the table {:?}", outcome.money));
    }
    let server = &case.value["expect_server"];
    if server["payments_settled"] != outcome.settled {
        problems
            .push(format!("the case promises {} settled, the table {}", server["payments_settled"], outcome.settled));
    }
    let signatures = server.get("payments_distinct").or(server.get("payments_presented"));
    if case.name.starts_with("hostile-") && signatures.is_none_or(|count| *count != outcome.signatures) {
        problems.push(format!("the case promises {signatures:?} signatures, the table {}", outcome.signatures));
    }
}

fn run_row(row: &Row, cases: &BTreeMap<String, Case>) -> Vec<String> {
    let mut problems = Vec::new();
    let seen = match row.shown {
        Shown::Here(run) => Some(run()),
        Shown::Case(name) => match cases.get(name) {
            Some(case) => run_case(case, &row.outcome, &mut problems),
            None => {
                problems.push(format!("there is no case {name}"));
                None
            }
        },
    };
    if let Some(seen) = seen {
        seen.hold_against(&row.outcome, &mut problems);
    }
    problems
}

#[test]
fn every_row_comes_to_what_it_says() {
    let cases: BTreeMap<String, Case> = load_all().into_iter().map(|case| (case.name.clone(), case)).collect();
    let only = std::env::var("X402_ROW").unwrap_or_default();
    let waiting: Mutex<VecDeque<&Row>> =
        Mutex::new(ROWS.iter().filter(|row| only.is_empty() || row.id == only).collect());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..ROWS_AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = { waiting.lock().unwrap().pop_front() } {
                    let problems = run_row(row, &cases);
                    if !problems.is_empty() {
                        let what = format!("{} ({})", row.id, row.does);
                        failures.lock().unwrap().push(format!("{what}:\n    {}", problems.join("\n    ")));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{} rows failed\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_mode_has_a_row_and_every_row_says_what_it_is() {
    let modes: BTreeSet<String> = (1..=MODES).map(|number| format!("S{number}")).collect();
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.id.to_string()).collect();
    assert_eq!(modes, rows);
    for row in ROWS {
        assert!(row.does.len() > 10, "{} does not say what the server does", row.id);
        assert!(!row.outcome.money.is_empty(), "{}: {}: no money state", row.id, row.does);
        assert!(row.outcome.settled <= row.outcome.signatures, "{}: {}", row.id, row.does);
        let signed = row.outcome.money.iter().any(|money| matches!(*money, "paid" | "unknown"));
        assert_eq!(signed, row.outcome.signatures > 0, "{}: {}", row.id, row.does);
        let told = row.outcome.money.iter().any(|money| matches!(*money, "refused" | "unknown"));
        assert!(!told || !row.outcome.says.is_empty(), "{}: {}: no reason", row.id, row.does);
    }
}

/// A case of this name and no row would be a mode that the table forgot.
#[test]
fn every_hostile_case_is_in_the_table() {
    let named: BTreeSet<&str> =
        ROWS.iter().filter_map(|row| if let Shown::Case(name) = row.shown { Some(name) } else { None }).collect();
    for case in load_all().iter().filter(|case| case.name.starts_with("hostile-")) {
        assert!(named.contains(case.name.as_str()), "{} is in no row", case.name);
    }
}

/// A table that nothing can contradict would prove nothing.
#[test]
fn an_outcome_that_did_not_happen_is_found() {
    let row = ROWS.iter().find(|row| row.outcome.signatures > 0).unwrap();
    let mut problems = Vec::new();
    Seen::default().hold_against(&row.outcome, &mut problems);
    assert!(problems.len() >= 4, "{problems:?}");
}
