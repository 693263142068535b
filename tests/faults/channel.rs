//! Every failure of two purchases from a payment channel: the first one deposits, the second is a voucher alone.
//!
//! Owns the script and its own judgement, because other sums hold than for payments that are settled one by one: what
//! counts is the deposit, and each voucher says how much of it is the payee's in all. The purchases are repeated in the
//! same process and in a second one, which then buys until the channel is empty and the budget refuses another deposit.

use super::lab::{self, Chosen, FREE, Lab, Order, Run, in_parallel, scenario, what_of};
use super::plan::{self, Dice, Fault};
use super::support::Server;
use super::{CLOSED_WITHIN, KEY, MISSED_SHARE, PRICE, everything};
use base64::Engine;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Experiments of an ordinary run.
const SAMPLE: usize = 200;
/// Five purchases, and all of the budget.
const DEPOSIT: u64 = 5 * PRICE;
const FIRST_STEPS: [&str; 7] = ["+", "buy:a", "buy:b", "close", "-", "buy:a", "buy:b"];
const SECOND_STEPS: [&str; 6] = ["buy:a", "buy:b", "buy:c", "buy:d", "buy:e", "buy:f"];

/// A voucher that was handed to the system for sending, if only in part.
struct Voucher {
    what: String,
    header: String,
    channel: String,
    claimable: u64,
    signature: String,
    /// What it deposits, and the signature that does.
    deposit: Option<(u64, String)>,
}

fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no amount"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_string()
}

fn captured(folder: &Path) -> Vec<Voucher> {
    let lines = std::fs::read_to_string(folder.join("captured")).unwrap_or_default();
    let read = |line: &str| {
        let (request, header) = line.split_once('\t')?;
        let json = base64::engine::general_purpose::STANDARD.decode(header).ok()?;
        let value: Value = serde_json::from_slice(&json).ok()?;
        let (voucher, deposit) = (&value["payload"]["voucher"], &value["payload"]["deposit"]);
        let authorization = &deposit["authorization"]["erc3009Authorization"];
        Some(Voucher {
            what: what_of(request).unwrap_or_default(),
            header: header.into(),
            channel: text(&voucher["channelId"]),
            claimable: number(&voucher["maxClaimableAmount"]),
            signature: text(&voucher["signature"]),
            deposit: (!deposit.is_null()).then(|| (number(&deposit["amount"]), text(&authorization["signature"]))),
        })
    };
    lines.lines().filter_map(read).collect()
}

/// The ledger file, read past the library.
#[derive(Default)]
struct Books {
    /// Of entries that count: what they count, which channel they draw from, and what their voucher says.
    draws: Vec<(u64, String, u64)>,
    running_total: u64,
    /// Of each channel the most that was signed.
    signed_max: BTreeMap<String, u64>,
}

impl Books {
    fn read(folder: &Path) -> Books {
        let copy = tempfile::tempdir_in(folder).unwrap();
        lab::copy_ledger(folder, copy.path());
        let path = copy.path().join("ledger");
        let read = |file: &Connection| -> rusqlite::Result<Books> {
            let amount = |row: &rusqlite::Row<'_>, at| -> rusqlite::Result<u64> {
                Ok(row.get::<_, String>(at)?.parse().unwrap())
            };
            let mut draws = file.prepare(
                "SELECT counted, channel, claimable FROM entries JOIN draws ON entry = id \
                 WHERE state IN ('open', 'unknown', 'paid')",
            )?;
            let draws = draws.query_map([], |row| Ok((amount(row, 0)?, row.get(1)?, amount(row, 2)?)))?;
            let mut channels = file.prepare("SELECT channel, signed_max FROM channels")?;
            let signed_max = channels.query_map([], |row| Ok((row.get(0)?, amount(row, 1)?)))?;
            let total = "SELECT coalesce(sum(CAST(amount AS INTEGER)), 0) FROM totals WHERE scope = 'all'";
            let running_total = file.query_row(total, [], |row| row.get::<_, i64>(0))? as u64;
            let (draws, signed_max) = (draws.collect::<Result<_, _>>()?, signed_max.collect::<Result<_, _>>()?);
            Ok(Books { draws, running_total, signed_max })
        };
        // A process that was killed early leaves no file, or one without tables.
        let file = Connection::open(&path).unwrap();
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('entries', 'channels')";
        match file.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap() {
            2 => read(&file).unwrap(),
            _ => Books::default(),
        }
    }
}

/// What was seen after one process.
struct Scene {
    run: Run,
    killed: bool,
    vouchers: Vec<Voucher>,
    books: Books,
    /// What the server holds of each channel: deposited, charged.
    channels: BTreeMap<String, (u64, u64)>,
}

fn purchases(run: &Run) -> Vec<(String, Value)> {
    let bought = |line: Value| Some((line["step"].as_str()?.strip_prefix("buy:")?.to_string(), line));
    run.lines().into_iter().filter_map(bought).collect()
}

impl Scene {
    /// What does not hold, said as a sentence.
    fn violations(&self, told_paid: &BTreeSet<String>, clock_is_wrong: bool) -> Vec<String> {
        let mut out = Vec::new();
        let mut must = |holds: bool, what: String| {
            if !holds {
                out.push(what);
            }
        };
        must(!self.run.hung && (self.killed || self.run.succeeded), format!("it did not end: {}", self.run.text));
        let counted: u64 = self.books.draws.iter().map(|(counted, ..)| counted).sum();
        let total = self.books.running_total;
        must(counted == total && counted <= DEPOSIT, format!("{counted} counts of {DEPOSIT}, in total {total}"));
        let deposits: BTreeSet<_> = self.vouchers.iter().filter_map(|voucher| voucher.deposit.clone()).collect();
        let deposited: u64 = deposits.iter().map(|(amount, _)| amount).sum();
        must(deposited <= counted, format!("deposits of {deposited} left and {counted} counts"));
        let mut signatures: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for voucher in &self.vouchers {
            signatures.entry(&voucher.what).or_default().insert(&voucher.signature);
            let signed_max = self.books.signed_max.get(&voucher.channel).copied().unwrap_or(0);
            let (what, claimable) = (&voucher.what, voucher.claimable);
            // What was turned down with proof, a deposit that is void by time, can be taken from nobody.
            must(
                claimable <= signed_max || clock_is_wrong,
                format!("{what}: {claimable} vouched for, {signed_max} in the ledger"),
            );
            let is_it = |draw: &&(u64, String, u64)| draw.1 == voucher.channel && draw.2 == claimable;
            must(self.books.draws.iter().any(|draw| is_it(&draw)), format!("{what}: {claimable} has no entry"));
        }
        for (what, signatures) in &signatures {
            must(signatures.len() == 1, format!("{} vouchers left for {what}", signatures.len()));
        }
        let charged: u64 = self.channels.values().map(|(_, charged)| charged).sum();
        let most = signatures.len() as u64 * PRICE;
        must(charged <= most, format!("{charged} charged for {} purchases", signatures.len()));
        let least = told_paid.len() as u64 * PRICE;
        must(charged >= least, format!("{charged} charged, and {told_paid:?} are said to be paid"));
        for (what, line) in purchases(&self.run) {
            let (money, sent) = (line["money"].as_str().unwrap_or(""), line["sent"].as_u64().unwrap_or(0));
            let is_true = match money {
                "paid" => sent > 0,
                "unknown" => true,
                "none" | "refused" | "unpaid" => sent == 0,
                _ => false,
            };
            must(is_true, format!("{what}: {money}, and {sent} left: {line}"));
        }
        for end in self.run.said("end") {
            must((&end["handles"], &end["descriptors"]) == (&json!(0), &json!(0)), format!("left open: {end}"));
        }
        out
    }
}

/// Nothing that pays, and no key, in a file or in words.
fn leaks(folder: &Path, scenes: &[Scene]) -> Vec<String> {
    let mut secrets = vec![KEY.to_string()];
    for voucher in scenes.iter().flat_map(|scene| &scene.vouchers) {
        let signatures = [Some(&voucher.signature), voucher.deposit.as_ref().map(|(_, signature)| signature)];
        secrets.extend(signatures.into_iter().flatten().map(|signature| signature[2..66].to_string()));
        secrets.push(voucher.header.clone());
    }
    let files = super::written(folder);
    let holds = |bytes: &[u8], secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    let found = files.iter().flat_map(|(name, bytes)| {
        secrets.iter().filter(|secret| holds(bytes, secret)).map(move |secret| format!("{name} holds {:.8}...", secret))
    });
    found.collect()
}

fn experiment(server: &Server, fault: Option<&Fault>, folder: &Path) -> Vec<String> {
    server.state().reset();
    let mut told_paid = BTreeSet::new();
    let (mut out, mut scenes) = (Vec::new(), Vec::new());
    for (output, steps) in [("output-first", FIRST_STEPS.as_slice()), ("output-second", SECOND_STEPS.as_slice())] {
        let is_first = scenes.is_empty();
        let mut arguments = vec![
            format!("base={}", server.url("base")),
            format!("ledger={}", folder.join("ledger").display()),
            "budget=0.05 USD".into(),
            "deposit=0.05 USD".into(),
            "named=1".into(),
        ];
        arguments.extend(steps.iter().map(|step| step.to_string()));
        let chosen = if is_first { fault.map_or(Chosen::Traced, Chosen::One) } else { Chosen::Nothing };
        let order = Order { folder, arguments, fault: chosen, disk_lies: false, output: output.into() };
        let run = Lab::get().run(&order);
        assert!(server.wait_closed(CLOSED_WITHIN), "a connection stays open");
        server.snapshot();
        let paid = |(what, line): (String, Value)| (line["money"] == "paid").then_some(what);
        told_paid.extend(purchases(&run).into_iter().filter_map(paid));
        let killed = is_first && fault.is_some_and(Fault::ends_process);
        let (vouchers, books) = (captured(folder), Books::read(folder));
        let channels = server.channels().into_iter().collect();
        let scene = Scene { run, killed, vouchers, books, channels };
        out.extend(scene.violations(&told_paid, fault.is_some_and(Fault::is_jump)));
        scenes.push(scene);
    }
    out.extend(leaks(folder, &scenes));
    // After a clock that was wrong a server may refuse what is signed for some time.
    if !fault.is_some_and(Fault::is_jump) {
        let [_, last] = scenes.as_slice() else { return out };
        let moneys: Vec<_> = purchases(&last.run).into_iter().map(|(_, line)| line["money"].clone()).collect();
        if moneys != ["paid", "paid", "paid", "paid", "paid", "refused"] {
            out.push(format!("five purchases fit into the deposit: {moneys:?}\n{}", last.run.text));
        }
        if last.channels.values().collect::<Vec<_>>() != [&(DEPOSIT, DEPOSIT)] {
            out.push(format!("one channel, emptied: {:?}", last.channels));
        }
    }
    out
}

fn start() -> Server {
    let extra = json!({"name": "USDC", "version": "2", "withdrawDelay": 900,
        "receiverAuthorizer": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"});
    let offer = json!({"scheme": "batch-settlement", "price": PRICE.to_string(), "extra": extra});
    Server::start(&scenario(offer, json!([{"body": {"text": FREE}}]))).unwrap()
}

#[test]
fn whatever_fails_no_channel_is_charged_twice_and_every_deposit_counts() {
    if std::env::var("X402_FAULTS_SHAPE").is_ok_and(|only| only != "channel") {
        return;
    }
    let mut dice = Dice::seeded();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(experiment(&start(), None, folder.path()), Vec::<String>::new(), "without a failure");
    let trace = std::fs::read_to_string(folder.path().join("notes")).unwrap();
    let number: Option<usize> = std::env::var("X402_FAULTS_NUMBER").ok().and_then(|text| text.parse().ok());
    let mut experiments: Vec<(usize, Fault)> = plan::all(&trace).into_iter().map(|fault| (0, fault)).collect();
    experiments.retain(|(_, fault)| number.is_none_or(|number| number == fault.number));
    println!("channel: {} operations, {} failures", trace.lines().count(), experiments.len());
    if !everything() {
        experiments = plan::sample(experiments, SAMPLE, &mut dice);
    }
    let tried = experiments.len();
    let results = in_parallel(experiments, start, |server, (_, fault)| {
        let folder = tempfile::tempdir().unwrap();
        let problems = experiment(server, Some(&fault), folder.path());
        let met = !std::fs::read(folder.path().join("notes")).unwrap().is_empty();
        (met, (!problems.is_empty()).then(|| format!("{fault:?}\n  {}", problems.join("\n  "))))
    });
    let met = results.iter().filter(|(met, _)| *met).count();
    println!("{met} of {tried} took place");
    let found: Vec<String> = results.into_iter().filter_map(|(_, found)| found).collect();
    assert!(found.is_empty(), "{} failures break an invariant:\n{}", found.len(), found.join("\n"));
    assert!(tried - met <= tried / MISSED_SHARE, "{met} of {tried} failures took place");
}
