//! The driver under its shim: built once, run again and again, and what is to be seen of a run from outside.
//!
//! Owns processes and files; judges nothing. The ledger is read past the library, from a copy, because looking at a
//! database that lost its writer already changes it.

use super::plan::Fault;
use base64::Engine;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than any timeout of the driver's; a run that takes longer hangs.
const RUN_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The programs, in a folder that lives as long as the test.
pub struct Lab {
    folder: TempDir,
}

impl Lab {
    pub fn get() -> &'static Lab {
        static LAB: OnceLock<Lab> = OnceLock::new();
        LAB.get_or_init(Lab::build)
    }

    fn build() -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let library = library();
        // A copy: another build may replace the file while this test runs.
        std::fs::copy(&library, folder.path().join("libx402.so.0")).unwrap();
        let source = |name: &str| root.join("tests").join(name).into_os_string();
        let compile = |arguments: Vec<std::ffi::OsString>| {
            let mut compiler = Command::new(std::env::var_os("CC").unwrap_or("cc".into()));
            compiler.args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"]).args(arguments);
            assert!(compiler.status().expect("a C compiler is needed (CC)").success());
        };
        let lab = Lab { folder };
        compile(vec![
            "-shared".into(),
            "-fPIC".into(),
            source("faults/shim.c"),
            "-o".into(),
            lab.path("shim.so").into(),
            "-ldl".into(),
        ]);
        compile(vec![
            format!("-I{}", root.join("include").display()).into(),
            source("faults/driver.c"),
            source("c/json.c"),
            library.into(),
            format!("-Wl,-rpath,{}", lab.folder.path().display()).into(),
            "-o".into(),
            lab.path("driver").into(),
            "-lm".into(),
            "-lpthread".into(),
        ]);
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the shim stands in front of, and what the library asks of the system: the symbols of both.
    pub fn symbols(&self) -> (Vec<String>, Vec<String>) {
        (symbols(&self.path("shim.so"), "--defined-only"), symbols(&library(), "--undefined-only"))
    }

    pub fn start(&self, order: &Order<'_>) -> Child {
        let mut command = Command::new(self.path("driver"));
        command.args(&order.arguments).env("LD_PRELOAD", self.path("shim.so"));
        command.env("X402_FAULT_CAPTURE", order.folder.join("captured"));
        let notes = || order.folder.join("notes");
        match order.fault {
            Chosen::Nothing => {}
            Chosen::Traced => drop(command.env("X402_FAULT_NOTES", notes())),
            Chosen::One(fault) => {
                command.env("X402_FAULT_NOTES", notes()).env("X402_FAULT_PLAN", fault.plan());
                command.env("X402_FAULT_ROOT", order.folder.join("ledger"));
            }
            Chosen::Random { seed, per_million, table } => {
                command.env("X402_FAULT_NOTES", notes()).env("X402_FAULT_TABLE", table);
                command.env("X402_FAULT_RANDOM", format!("{seed} {per_million}"));
            }
        }
        if order.disk_lies {
            command.env("X402_FAULT_FORGETS", "1");
        }
        let output = std::fs::File::create(order.folder.join(&order.output)).unwrap();
        let errors = output.try_clone().unwrap();
        command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().unwrap()
    }

    /// Runs the driver to its end.
    pub fn run(&self, order: &Order<'_>) -> Run {
        let mut child = self.start(order);
        let until = Instant::now() + RUN_MAX;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > until => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(LOOK_EVERY),
            }
        };
        let text = std::fs::read_to_string(order.folder.join(&order.output)).unwrap();
        Run { hung: status.is_none(), succeeded: status.is_some_and(|status| status.success()), text }
    }
}

/// The library as this very build made it.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let beside = |folder: &Path| Some(folder.join("libx402.so")).filter(|path| path.exists());
    test.ancestors().skip(1).take(2).find_map(beside).expect("libx402.so lies beside the tests")
}

fn symbols(file: &Path, which: &str) -> Vec<String> {
    let out = Command::new("nm").args(["-D", which]).arg(file).output().expect("nm comes with the compiler");
    let text = String::from_utf8(out.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split_whitespace().last());
    names.map(|name| name.split('@').next().unwrap().to_string()).collect()
}

/// Does `work` on as many threads as there are processors and one, each with something of its own that `start` makes.
pub fn in_parallel<T: Send, S, R: Send>(
    items: Vec<T>,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> R + Sync,
) -> Vec<R> {
    let (queue, results) = (Mutex::new(items), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from) + 1;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = start();
                loop {
                    let Some(item) = queue.lock().unwrap().pop() else { break };
                    let result = work(&mut own, item);
                    results.lock().unwrap().push(result);
                }
            });
        }
    });
    results.into_inner().unwrap()
}

/// Which operations fail.
pub enum Chosen<'a> {
    Nothing,
    /// None, and each is noted.
    Traced,
    One(&'a Fault),
    Random {
        seed: u64,
        per_million: u32,
        table: &'a str,
    },
}

/// One run of the driver.
pub struct Order<'a> {
    /// Holds the ledger, and takes the notes.
    pub folder: &'a Path,
    pub arguments: Vec<String>,
    pub fault: Chosen<'a>,
    /// Nothing is durable, whatever fsync says.
    pub disk_lies: bool,
    /// The name of the file that takes the driver's words.
    pub output: String,
}

/// What a run said. A process that was killed says nothing after its end.
#[derive(Clone, Debug)]
pub struct Run {
    pub hung: bool,
    pub succeeded: bool,
    pub text: String,
}

impl Run {
    /// Every whole line; the last one of a killed process may be torn.
    pub fn lines(&self) -> Vec<Value> {
        self.text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The lines of a step.
    pub fn said(&self, step: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["step"] == step).collect()
    }
}

/// One signature in the ledger file.
#[derive(Clone, Debug)]
pub struct Row {
    pub state: String,
    pub amount: u64,
    /// `0x…`; wiped once it can never be presented again.
    pub nonce: Option<String>,
    pub transaction: String,
}

impl Row {
    pub fn counts(&self) -> bool {
        ["open", "unknown", "paid"].contains(&self.state.as_str())
    }
}

/// The ledger file, read past the library.
#[derive(Clone, Debug, Default)]
pub struct Books {
    pub rows: Vec<Row>,
    pub running_total: u64,
}

pub fn copy_ledger(from: &Path, to: &Path) {
    for name in ["ledger", "ledger-wal", "ledger-journal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

impl Books {
    pub fn read(folder: &Path) -> Result<Books, String> {
        let copy = tempfile::tempdir_in(folder).unwrap();
        copy_ledger(folder, copy.path());
        let path = copy.path().join("ledger");
        if !path.exists() {
            return Ok(Books::default());
        }
        Self::read_file(&path).map_err(|error| format!("the ledger cannot be read: {error}"))
    }

    fn read_file(path: &Path) -> rusqlite::Result<Books> {
        let file = Connection::open(path)?;
        let tables: i64 =
            file.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'entries'", [], |row| row.get(0))?;
        if tables == 0 {
            return Ok(Books::default());
        }
        let check: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        assert_eq!(check, "ok", "the database is damaged");
        let mut entries = file.prepare("SELECT state, amount, nonce, transaction_id FROM entries ORDER BY id")?;
        let row = |row: &rusqlite::Row<'_>| {
            let nonce: Option<Vec<u8>> = row.get(2)?;
            Ok(Row {
                state: row.get(0)?,
                amount: row.get::<_, String>(1)?.parse().unwrap(),
                nonce: nonce.map(|bytes| crate::support::payment::hex(&bytes)),
                transaction: row.get(3)?,
            })
        };
        let rows = entries.query_map([], row)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let total = "SELECT coalesce(sum(CAST(amount AS INTEGER)), 0) FROM totals WHERE scope = 'all'";
        let running_total = file.query_row(total, [], |row| row.get::<_, i64>(0))? as u64;
        Ok(Books { rows, running_total })
    }

    /// What counts under a budget, entry by entry.
    pub fn counted(&self) -> u64 {
        self.rows.iter().filter(|row| row.counts()).map(|row| row.amount).sum()
    }
}

/// A payment that was handed to the system for sending, if only in part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sent {
    /// What it was to buy.
    pub what: String,
    pub header: String,
    /// As the server names it.
    pub nonce: String,
    /// `0x…`: what the nonce of its entry in the ledger begins with.
    pub entry_nonce: String,
    /// `0x…`
    pub signature: String,
}

impl Sent {
    /// Reads the payload of one of the kinds that the shapes pay by.
    fn read(what: String, header: &str, payload: &Value) -> Option<Sent> {
        use crate::support::payment::{decimal_word, hex};
        let header = header.to_string();
        let text = |value: &Value| value.as_str().map(str::to_string);
        if let Some(transaction) = payload["transaction"].as_str() {
            // How many signatures, the fee payer's, the payer's, and the message; its last call is the memo.
            let transaction = base64::engine::general_purpose::STANDARD.decode(transaction).ok()?;
            let (signatures, message) = transaction.split_at_checked(1 + 2 * 64)?;
            let memo = message.get(message.len() - 33..message.len() - 1)?;
            let entry_nonce = format!("0x{}", String::from_utf8(memo.to_vec()).ok()?);
            let nonce = hex(ring::digest::digest(&ring::digest::SHA256, message).as_ref());
            return Some(Sent { what, header, nonce, entry_nonce, signature: hex(&signatures[65..]) });
        }
        let nonce = match payload["permit2Authorization"]["nonce"].as_str() {
            Some(decimal) => hex(&decimal_word(decimal).ok()?),
            None => text(&payload["authorization"]["nonce"])?,
        };
        Some(Sent { what, header, entry_nonce: nonce.clone(), nonce, signature: text(&payload["signature"])? })
    }
}

/// What the shim saw leave. A torn line is of a process that was killed before it sent what stood there.
pub fn captured(folder: &Path) -> Vec<Sent> {
    let text = std::fs::read_to_string(folder.join("captured")).unwrap_or_default();
    let sent = |line: &str| {
        let (request, header) = line.split_once('\t')?;
        let json = base64::engine::general_purpose::STANDARD.decode(header).ok()?;
        let value: Value = serde_json::from_slice(&json).ok()?;
        let sent = Sent::read(what_of(request).unwrap_or_default(), header, &value["payload"]);
        Some(sent.unwrap_or_else(|| panic!("a payment of no known kind left: {value}")))
    };
    text.lines().filter_map(sent).collect()
}

/// The purchase that a request line or target names.
pub fn what_of(target: &str) -> Option<String> {
    let rest = target.split_once("?what=")?.1;
    Some(rest.split([' ', '&']).next().unwrap_or("").to_string())
}

/// The server's script: a charge, a free path on either origin, and a redirect to the charge. `paid` are the answers.
pub fn scenario(offer: Value, paid: Value) -> Value {
    json!({"origins": {"base": "http", "other": "http"}, "hash_bodies": true, "routes": {
        "/buy": {"terms": {"place": "both", "offers": [offer]}, "paid": paid,
                 "replayed": "accepted"},
        "/moved": {"answers": [{"status": 307, "headers": [["Location", "/buy?what=a"]]}]},
        "/free": {"answers": [{"body": {"text": FREE}}]},
        "other:/free": {"answers": [{"body": {"text": FREE}}]}}})
}

pub const PRICE: u64 = 10_000;
pub const FREE: &str = "free of charge";
