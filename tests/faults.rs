//! Every operation of a paid call fails once, in every way that fits, and ten invariants are checked after each.
//!
//! A driver program buys through the C library; a shim before the system numbers each operation (disk, network, clock,
//! randomness, callback) and makes one of them fail: an error, half of the bytes, an effect whose answer is lost, the
//! end of the process, the end of the power (what no fsync confirmed is undone). The purchase is then repeated, in the
//! same process and in a second one on the same ledger, and everything is judged from outside: from the server's
//! record, from what the shim saw leave, and from the ledger file read past the library.
//!
//!  1. what counts is at most the budget, and covers all that left
//!  2. one signature a purchase, settled at most once
//!  3. a signature that left has a durable entry
//!  4. a payment goes only to the origin that asked
//!  5. the body that arrives is the body
//!  6. no key, signature or payment header in a file, a log line, an error or a JSON
//!  7. who is told that nothing was taken sent nothing; who is told that he paid did
//!  8. no socket, descriptor or handle is left open
//!  9. a 402 that is not paid comes back whole
//! 10. what costs nothing passes untouched
//!
//! There are fourteen shapes of a call, about 4,300 operations and 18,200 failures, and 1,850 more of purchases from a
//! payment channel (`faults/channel.rs`). A run takes a sample by a seed that is printed and that `X402_SEED` repeats;
//! `X402_FAULTS_ALL=1` takes everything, `X402_FAULTS_SHAPE=get` one shape of it (`channel` is one too), and with
//! `X402_FAULTS_NUMBER=207` one operation.

#[path = "faults/canaries.rs"]
mod canaries;
#[path = "faults/chance.rs"]
mod chance;
#[path = "faults/channel.rs"]
mod channel;
#[path = "faults/check.rs"]
mod check;
#[path = "faults/lab.rs"]
mod lab;
#[path = "faults/plan.rs"]
mod plan;
#[path = "faults/shapes.rs"]
mod shapes;
#[path = "support/mod.rs"]
mod support;

use check::{Evidence, Scene, violations};
use lab::{Books, Chosen, Lab, Order, PRICE, captured, in_parallel, scenario};
use plan::{Dice, Fault};
use shapes::{SHAPES, Shape};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use support::Server;
use support::exchange::sha256;

const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// Experiments of an ordinary run.
const SAMPLE: usize = 1000;
/// Of so many failures one may find nothing to fail.
const MISSED_SHARE: usize = 20;
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// A server that serves one experiment after the other.
struct Bench {
    server: Server,
    original: (String, String),
}

impl Bench {
    fn new(shape: &Shape) -> Bench {
        let server = Server::start(&scenario(shape.offer(), shape.paid())).unwrap();
        let original = original(&server);
        Bench { server, original }
    }

    /// The processes of one experiment, and what was seen of them.
    fn experiment<'a>(
        &self,
        shape: &'a Shape,
        fault: Option<&'a Fault>,
        folder: &Path,
        break_it: Broken,
    ) -> Evidence<'a> {
        self.server.state().reset();
        let chosen = || fault.map_or(Chosen::Traced, Chosen::One);
        let mut scenes = vec![self.scene(shape, chosen(), folder, shape.first_steps(), break_it)];
        scenes[0].killed = fault.is_some_and(Fault::ends_process);
        if break_it == Broken::LedgerLost {
            for name in ["ledger", "ledger-wal", "ledger-shm"] {
                let _ = std::fs::remove_file(folder.join(name));
            }
        }
        if let Some(mut steps) = shape.second_steps() {
            if break_it == Broken::GivenUp {
                steps.insert(0, "abandon");
            }
            scenes.push(self.scene(shape, Chosen::Nothing, folder, steps, Broken::Nothing));
        }
        let written = written(folder);
        let evm: [u8; 32] = std::array::from_fn(|at| u8::from_str_radix(&KEY[2 * at..2 * at + 2], 16).unwrap());
        // The driver's second key, of the seed 01 02 ... 20.
        let solana = std::array::from_fn(|at| at as u8 + 1);
        Evidence { shape, fault, scenes, original: self.original.clone(), written, keys: [evm, solana] }
    }

    fn scene(
        &self,
        shape: &Shape,
        fault: Chosen<'_>,
        folder: &Path,
        steps: Vec<&'static str>,
        break_it: Broken,
    ) -> Scene {
        let mut arguments = shape.arguments(self.server.url("base"), self.server.url("other"), folder);
        arguments.extend(steps.iter().map(|step| step.to_string()));
        let output = format!("output-{}", steps[0].trim_start_matches('+'));
        let order = Order { folder, arguments, fault, disk_lies: break_it == Broken::DiskLies, output };
        let run = Lab::get().run(&order);
        assert!(self.server.wait_closed(CLOSED_WITHIN), "a connection stays open");
        let spoken = |step: &&str| {
            step.starts_with("buy:") || step.starts_with("pay:") || step.starts_with("free") || *step == "elsewhere"
        };
        Scene {
            run,
            steps: steps.into_iter().filter(spoken).collect(),
            killed: false,
            server: self.server.snapshot(),
            books: Books::read(folder),
            sent: captured(folder),
        }
    }
}

/// What is broken on purpose, to see that it is noticed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// The disk says that it has what it has not.
    DiskLies,
    /// Somebody deletes the ledger between the two processes.
    LedgerLost,
    /// An operator gives up a payment that was sent.
    GivenUp,
}

/// The 402 as it goes out: the hash of its body, and its header.
fn original(server: &Server) -> (String, String) {
    use std::io::{Read, Write};
    let address = server.url("base").trim_start_matches("http://");
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.write_all(b"GET /buy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let line = head.lines().find_map(|line| line.strip_prefix("PAYMENT-REQUIRED: ")).unwrap();
    (sha256(body.as_bytes()), line.to_string())
}

/// Every file of an experiment but what the shim caught on its way to the server.
fn written(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let name = |file: &std::fs::DirEntry| file.file_name().into_string().unwrap();
    files
        .filter(|file| name(file) != "captured")
        .map(|file| (name(&file), std::fs::read(file.path()).unwrap()))
        .collect()
}

/// The operations of an undisturbed call; every one of its checks passes.
fn traced(shape: &Shape) -> String {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(shape);
    let evidence = bench.experiment(shape, None, folder.path(), Broken::Nothing);
    assert_eq!(violations(&evidence), [], "{} without a failure", shape.name);
    let asked = evidence.scenes[0].server.requests_seen.iter().filter(|seen| seen.target.ends_with("what=a")).count();
    assert!(!shape.prepaid || asked == 3, "{}: {asked} requests for a purchase and a prepaid one", shape.name);
    std::fs::read_to_string(folder.path().join("notes")).unwrap()
}

fn everything() -> bool {
    std::env::var("X402_FAULTS_ALL").is_ok_and(|value| value == "1")
}

/// Every violation, by what caused it, and how many failures took place: a run that took one operation less than the
/// traced one may end before its own.
fn run_all(experiments: Vec<(usize, Fault)>) -> (Vec<String>, usize) {
    let results = in_parallel(experiments, BTreeMap::new, |benches: &mut BTreeMap<usize, Bench>, (at, fault)| {
        let shape = &SHAPES[at];
        let bench = benches.entry(at).or_insert_with(|| Bench::new(shape));
        let folder = tempfile::tempdir().unwrap();
        let evidence = bench.experiment(shape, Some(&fault), folder.path(), Broken::Nothing);
        let met = !std::fs::read(folder.path().join("notes")).unwrap().is_empty();
        let lines: Vec<String> =
            violations(&evidence).iter().map(|(number, what)| format!("  {number}: {what}")).collect();
        (met, (!lines.is_empty()).then(|| format!("{} {fault:?}\n{}", shape.name, lines.join("\n"))))
    });
    let met = results.iter().filter(|(met, _)| *met).count();
    (results.into_iter().filter_map(|(_, found)| found).collect(), met)
}

#[test]
fn whatever_fails_the_invariants_hold() {
    let mut dice = Dice::seeded();
    let mut experiments = Vec::new();
    let only = std::env::var("X402_FAULTS_SHAPE").ok();
    let number: Option<usize> = std::env::var("X402_FAULTS_NUMBER").ok().and_then(|text| text.parse().ok());
    for (at, shape) in
        SHAPES.iter().enumerate().filter(|(_, shape)| only.as_deref().is_none_or(|only| only == shape.name))
    {
        let trace = traced(shape);
        let mut faults = plan::all(&trace);
        // A ledger in memory ends with its process, and nothing is left to look at.
        faults.retain(|fault| shape.file || !fault.ends_process());
        faults.retain(|fault| number.is_none_or(|number| number == fault.number));
        println!("{}: {} operations, {} failures", shape.name, trace.lines().count(), faults.len());
        experiments.extend(faults.into_iter().map(|fault| (at, fault)));
    }
    let total = experiments.len();
    if !everything() {
        experiments = plan::sample(experiments, SAMPLE, &mut dice);
    }
    println!("{} of {total} failures are tried", experiments.len());
    let tried = experiments.len();
    let (found, met) = run_all(experiments);
    println!("{met} took place");
    assert!(found.is_empty(), "{} failures break an invariant:\n{}", found.len(), found.join("\n"));
    assert!(tried - met <= tried / MISSED_SHARE, "{met} of {tried} failures took place");
}

/// Nothing that the library asks of the system goes past the shim.
#[test]
fn every_import_of_the_library_is_an_operation_or_known_to_be_none() {
    /// Memory, threads, texts, unwinding and names: nothing that a disk, a network or a clock is asked for. `syscall` is
    /// the standard library's futex; `readdir64` and its kin list folders of certificates when a client is set up so.
    const NONE: [&str; 51] = [
        "_ITM_",
        "_Unwind_",
        "__cxa_",
        "__errno_location",
        "__gmon_start__",
        "__register_atfork",
        "__res_init",
        "__stack_chk_fail",
        "__tls_get_addr",
        "__xpg_strerror_r",
        "abort",
        "bcmp",
        "calloc",
        "closedir",
        "dirfd",
        "dl_iterate_phdr",
        "dlsym",
        "environ",
        "free",
        "freeaddrinfo",
        "gai_strerror",
        "getauxval",
        "getcwd",
        "getenv",
        "geteuid",
        "getpid",
        "gettid",
        "gmtime",
        "gnu_get_libc_version",
        "localtime_r",
        "madvise",
        "malloc",
        "mem",
        "mlock",
        "mprotect",
        "mremap",
        "opendir",
        "pause",
        "posix_memalign",
        "pthread_",
        "readdir64",
        "realloc",
        "realpath",
        "sched_",
        "sig",
        "stpcpy",
        "str",
        "syscall",
        "sysconf",
        "log",
        "exp",
    ];
    let (shim, library) = Lab::get().symbols();
    assert!(library.len() > 50 && shim.len() > 30, "the symbols were not found");
    let past: Vec<&String> = library
        .iter()
        .filter(|name| !shim.contains(name) && !NONE.iter().any(|known| name.starts_with(known)))
        .collect();
    assert!(past.is_empty(), "not numbered: {past:?}; give the shim a function for it, or say that it is no operation");
}
