//! The ledger file: crashes, other processes, and everything that can be wrong with a file.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};

/// Told to a child: where the ledger is, and what to do.
const CHILD_PATH: &str = "X402_LEDGER_TEST_PATH";
const CHILD_TASK: &str = "X402_LEDGER_TEST_TASK";

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Folder { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    fn bench(&self, budgets: &[Budget]) -> Bench {
        let ledger = Ledger::open(Some(&self.path())).unwrap();
        Bench { ledger, budgets: budgets.to_vec(), _folder: None }
    }

    fn open_fails(&self, part: &str) {
        let error = Ledger::open(Some(&self.path())).unwrap_err();
        assert_eq!(error.status, Status::Ledger);
        assert!(error.message.contains(part), "{}", error.message);
    }

    fn child(&self, task: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ledger::tests::file::as_a_child", "--nocapture"])
            .env(CHILD_PATH, self.path())
            .env(CHILD_TASK, task)
            .spawn()
            .unwrap()
    }
}

fn purchase() -> Purchase {
    Purchase { id: "order-17".into(), named: false }
}

fn dime() -> Vec<Budget> {
    vec![budget(Scope::All, 0, "0.0050 USD"), budget(Scope::Host, 3600, "0.0050 USD")]
}

/// Not a test by itself: what the other tests run in processes of their own.
#[test]
fn as_a_child() {
    let Ok(path) = std::env::var(CHILD_PATH) else { return };
    let bench = Bench { ledger: Ledger::open(Some(path.as_ref())).unwrap(), budgets: dime(), _folder: None };
    match std::env::var(CHILD_TASK).unwrap().as_str() {
        "spend" => {
            for _ in 0..40 {
                if let Ok(reservation) = bench.reserve(intent("100", "a", NOW_S)) {
                    keep(reservation);
                }
            }
        }
        "die" => {
            let grant = bench.order(intent("1000", "a", NOW_S), Some(&purchase()), RetryRule::Proven).unwrap();
            let Grant::New(mut reservation, _) = grant else { panic!("a signature stood") };
            reservation.commit();
            // SIGKILL to oneself: nothing runs after it, no destructor either.
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
        "die while it is handed over" => {
            let grant = bench.order(intent("1000", "a", NOW_S), Some(&purchase()), RetryRule::Proven).unwrap();
            let Grant::New(mut reservation, _) = grant else { panic!("a signature stood") };
            reservation.commit();
            let _delivery = reservation.paid("0xabc", None).unwrap();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
        "draw" => {
            for _ in 0..20 {
                let grant = bench.order(super::channels::drawing(), None, RetryRule::Proven);
                if let Ok(Grant::New(mut reservation, _)) = grant {
                    reservation.commit();
                    reservation.paid_by_channel("0xabc", Acknowledged::default()).unwrap();
                }
            }
        }
        "die drawing" => {
            let grant = bench.order(super::channels::drawing(), Some(&purchase()), RetryRule::Proven).unwrap();
            let Grant::New(mut reservation, _) = grant else { panic!("a signature stood") };
            reservation.commit();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
        other => panic!("{other}"),
    }
}

/// What the totals say of the channels, added up: balance, charged, signed_max.
fn channels(bench: &Bench) -> [u64; 3] {
    let totals: Value = serde_json::from_str(&bench.ledger.totals().unwrap()).unwrap();
    let rows: Vec<&Value> = totals.as_array().unwrap().iter().filter(|row| row["scope"] == "channel").collect();
    let sum = |name: &str| rows.iter().map(|row| row[name].as_str().unwrap().parse::<u64>().unwrap()).sum();
    ["amount", "charged", "signed_max"].map(sum)
}

#[test]
fn processes_share_channels_and_each_payment_is_drawn_once() {
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    let mut children: Vec<Child> = (0..2).map(|_| folder.child("draw")).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let [deposited, charged, signed] = channels(&bench);
    assert_eq!((charged, signed), (4000, 4000), "40 payments of 100, each over what was charged before");
    assert_eq!(bench.total(), deposited.to_string());
    assert!((4000..=5000).contains(&deposited), "{deposited}");
}

#[test]
fn a_killed_process_leaves_its_channel_to_others_and_its_voucher_to_the_same_purchase() {
    let folder = Folder::new();
    assert!(!folder.child("die drawing").wait().unwrap().success());
    let bench = folder.bench(&dime());
    assert_eq!((bench.total(), channels(&bench)), ("500".into(), [0, 0, 100]));
    let (standing, recipe) = bench.ledger.standing(&purchase(), RetryRule::Proven, NOW_S).unwrap().unwrap();
    let first = recipe.draw.unwrap();
    assert_eq!((first.claimable, first.deposit), (Amount::from(100), Amount::from(500)));
    // While it is presented again its channel is in hand, and a second purchase takes the next one.
    let beside = Purchase { id: "order-18".into(), named: false };
    let order = || bench.order(super::channels::drawing(), Some(&beside), RetryRule::Proven).unwrap();
    let Grant::New(next, recipe) = order() else { panic!() };
    assert_eq!(recipe.draw.unwrap().salt, 1);
    drop(next);
    standing.unknown(TurnedDown::No).unwrap();
    let Grant::New(_, recipe) = order() else { panic!() };
    let second = recipe.draw.unwrap();
    assert_eq!((second.channel, second.claimable), (first.channel, first.claimable), "no sum of the two");
}

#[test]
fn a_file_of_version_1_opens_keeps_its_entries_and_learns_channels() {
    let folder = Folder::new();
    let old = rusqlite::Connection::open(folder.path()).unwrap();
    old.execute_batch(include_str!("../schema.sql")).unwrap();
    old.execute_batch(
        "INSERT INTO entries VALUES (1, 'unknown', 5, 'a', 'p', 'u', '1000', '1000', 'order-17', 1, 0, '', '', '0xpayer', 5,
           65, zeroblob(32), '{\"x402Version\":2,\"accepts\":[]}', '');
         INSERT INTO totals VALUES ('all', '', 'u', '1000');
         PRAGMA application_id = 0x78343032; PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let bench = folder.bench(&dime());
    assert_eq!(bench.total(), "1000");
    let named = Purchase { named: true, ..purchase() };
    let (_, recipe) = bench.ledger.standing(&named, RetryRule::Proven, 5).unwrap().unwrap();
    assert_eq!((recipe.signed_s, recipe.draw), (5, None));
    let Ok(Grant::New(drawn, _)) = bench.order(super::channels::drawing(), None, RetryRule::Proven) else { panic!() };
    keep(drawn);
    drop(bench);
    let version = rusqlite::Connection::open(folder.path()).unwrap();
    let version: i64 = version.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
    assert_eq!(channels(&folder.bench(&dime())), [0, 0, 100]);
}

#[test]
fn processes_share_one_budget_to_the_last_unit() {
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    let mut children: Vec<Child> = (0..3).map(|_| folder.child("spend")).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(bench.total(), "5000");
    assert!(bench.reserve(intent("1", "b", NOW_S)).is_err());
}

#[test]
fn a_killed_process_leaves_a_signature_that_another_presents_again() {
    let folder = Folder::new();
    assert!(!folder.child("die").wait().unwrap().success());
    let bench = folder.bench(&dime());
    assert_eq!(bench.total(), "1000");
    let entries: Vec<Value> = serde_json::from_str(&bench.ledger.entries(0, 10).unwrap()).unwrap();
    assert_eq!((entries[0]["state"].as_str(), entries[0]["in_flight"].as_bool()), (Some("open"), Some(false)));
    let found = bench.ledger.standing(&purchase(), RetryRule::Proven, NOW_S).unwrap();
    let (mut again, recipe) = found.expect("the dead process's signature");
    assert_eq!((recipe.nonce, recipe.signed_s, recipe.terms.as_str()), ([7; 32], NOW_S, TERMS));
    again.commit();
    again.paid("0xabc", None).unwrap();
    assert_eq!(bench.total(), "1000");
}

#[test]
fn a_dead_process_entry_can_be_abandoned() {
    let folder = Folder::new();
    assert!(!folder.child("die").wait().unwrap().success());
    let bench = folder.bench(&dime());
    bench.ledger.abandon(1).unwrap();
    assert_eq!(bench.total(), "0");
    assert!(bench.ledger.standing(&purchase(), RetryRule::Proven, NOW_S).unwrap().is_none());
}

#[test]
fn what_was_spent_is_there_after_reopening_and_the_file_is_private() {
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    keep(bench.reserve(intent("5000", "a", NOW_S)).unwrap());
    drop(bench);
    let mode = fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let bench = folder.bench(&dime());
    assert!(bench.reserve(intent("1", "a", NOW_S)).is_err());
    for beside in ["-wal", "-shm"] {
        let mut path = folder.path().into_os_string();
        path.push(beside);
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0, "{beside}");
    }
}

#[test]
fn a_late_receipt_for_an_abandoned_entry_counts_it_again() {
    let folder = Folder::new();
    let bench = folder.bench(&[]);
    let order = |rule| bench.order(intent("1000", "a", NOW_S), Some(&Purchase { named: true, ..purchase() }), rule);
    let Ok(Grant::New(first, _)) = order(RetryRule::Proven) else { panic!() };
    first.unknown(TurnedDown::No).unwrap();
    let borrowed = Reservation {
        ledger: Arc::clone(&bench.ledger),
        id: 1,
        hold: Hold::Borrowed,
        transaction: String::new(),
        open: true,
        forgettable: false,
    };
    bench.ledger.abandon(1).unwrap();
    borrowed.paid("0xabc", None).unwrap();
    assert_eq!(bench.total(), "1000");
}

#[test]
fn a_file_that_is_no_ledger_is_left_as_it_is() {
    let folder = Folder::new();
    fs::write(folder.path(), "not a database, but long enough to look like one".repeat(100)).unwrap();
    folder.open_fails("chmod 600");
    let private = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    private(&folder.path());
    folder.open_fails("is not a ledger");
    assert!(fs::read(folder.path()).unwrap().starts_with(b"not a database"));

    fs::remove_file(folder.path()).unwrap();
    let other = rusqlite::Connection::open(folder.path()).unwrap();
    other.execute_batch("CREATE TABLE accounts (x)").unwrap();
    private(&folder.path());
    folder.open_fails("another program's");
}

#[test]
fn a_newer_version_a_folder_and_a_missing_folder_are_refused() {
    let folder = Folder::new();
    drop(folder.bench(&[]));
    let newer = rusqlite::Connection::open(folder.path()).unwrap();
    newer.pragma_update(None, "user_version", 3).unwrap();
    folder.open_fails("version 3");

    let error = Ledger::open(Some(folder.folder.path())).unwrap_err();
    assert!(error.message.contains("not a regular file"), "{}", error.message);
    let error = Ledger::open(Some(&folder.folder.path().join("none/ledger"))).unwrap_err();
    assert!(error.message.contains("cannot be made"), "{}", error.message);
}

#[test]
fn a_file_whose_pages_are_damaged_gives_an_error_and_no_reservation() {
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    keep(bench.reserve(intent("100", "a", NOW_S)).unwrap());
    drop(bench);
    let mut bytes = fs::read(folder.path()).unwrap();
    for byte in &mut bytes[4096..] {
        *byte = 0x5a;
    }
    fs::write(folder.path(), bytes).unwrap();
    folder.open_fails("corrupt");
}

#[test]
fn what_was_paid_for_and_not_handed_over_when_a_process_died_is_not_bought_anew() {
    let folder = Folder::new();
    assert!(!folder.child("die while it is handed over").wait().unwrap().success());
    let bench = folder.bench(&dime());
    let unsettled = bench.ledger.unsettled(0, 10).unwrap();
    assert!(unsettled.contains("\"broke_off\":true"), "{unsettled}");
    let (again, _) = bench.ledger.standing(&purchase(), RetryRule::Proven, NOW_S).unwrap().unwrap();
    let delivery = again.paid("0xabc", None).unwrap();
    drop(delivery);
    assert!(bench.ledger.standing(&purchase(), RetryRule::Proven, NOW_S).unwrap().is_none(), "handed over, it is over");
    assert_eq!((bench.ledger.unsettled(0, 10).unwrap().as_str(), bench.total().as_str()), ("[]", "1000"));
}

#[test]
fn equal_requests_while_the_first_is_handed_over_are_other_purchases() {
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    let buy = || match bench.order(intent("1000", "a", NOW_S), Some(&purchase()), RetryRule::Proven).unwrap() {
        Grant::New(mut reservation, _) => {
            reservation.commit();
            reservation
        }
        Grant::Standing(..) => panic!("a signature stood"),
    };
    let first = buy().paid("0xabc", None).unwrap();
    let second = buy().paid("0xdef", None).unwrap();
    drop(first);
    assert!(second.broke_off(&recipe(NOW_S)).unwrap());
    let again = bench.ledger.standing(&purchase(), RetryRule::Proven, NOW_S).unwrap();
    assert!(again.is_some(), "the one that broke off is presented again");
}

#[test]
fn what_one_handle_could_not_record_another_of_the_same_process_presents_again() {
    let folder = Folder::new();
    let (bench, other_bench) = (folder.bench(&dime()), folder.bench(&dime()));
    let Store::File(file) = &bench.ledger.0 else { panic!() };
    let grant = bench.order(intent("1000", "a", NOW_S), Some(&purchase()), RetryRule::Proven).unwrap();
    let Grant::New(mut reservation, _) = grant else { panic!() };
    reservation.commit();
    let entry = reservation.entry();
    assert!(other_bench.ledger.abandon(entry).is_err(), "it is in flight");
    file.wait_briefly_for_a_test();
    let lock = rusqlite::Connection::open(folder.path()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    reservation.unknown(TurnedDown::No).unwrap_err();
    lock.execute_batch("ROLLBACK").unwrap();
    let (again, _) = other_bench.ledger.standing(&purchase(), RetryRule::Proven, NOW_S).unwrap().unwrap();
    again.unknown(TurnedDown::No).unwrap();
    other_bench.ledger.abandon(entry).unwrap();
    assert_eq!(bench.total(), "0");
}

#[test]
fn one_whose_entry_was_taken_over_does_not_free_it() {
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    let named = Purchase { named: true, ..purchase() };
    let grant = bench.order(intent("1000", "a", NOW_S), Some(&named), RetryRule::Proven).unwrap();
    let Grant::New(mut reservation, _) = grant else { panic!() };
    reservation.commit();
    // As a process of another container does it, which cannot see this one.
    let other = rusqlite::Connection::open(folder.path()).unwrap();
    other.execute("UPDATE entries SET owner = 'boot pid:[1] 1 1', shared = 1", []).unwrap();
    reservation.never_left().unwrap();
    assert_eq!(bench.total(), "1000");
    assert!(bench.ledger.standing(&named, RetryRule::Proven, NOW_S).unwrap().is_some());
}

#[test]
fn a_full_disk_refuses_the_reservation_and_later_ones_go_on() {
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    let Store::File(file) = &bench.ledger.0 else { panic!() };
    file.limit_pages_for_a_test(Some(0));
    let long = "x".repeat(100_000);
    let denied = bench.reserve_with_terms(&long).unwrap_err();
    let Denied::Failed(error) = denied else { panic!("{denied:?}") };
    assert!(error.message.contains("disk is full"), "{}", error.message);
    assert_eq!(bench.total(), "0");
    file.limit_pages_for_a_test(None);
    assert!(bench.reserve_with_terms(&long).is_ok());
}

#[test]
fn a_file_that_is_locked_too_long_says_so() {
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    let Store::File(file) = &bench.ledger.0 else { panic!() };
    file.wait_briefly_for_a_test();
    let other = rusqlite::Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let denied = bench.order(intent("100", "a", NOW_S), None, RetryRule::Proven).unwrap_err();
    let Denied::Failed(error) = denied else { panic!("{denied:?}") };
    assert!(error.message.contains("locked"), "{}", error.message);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(bench.reserve(intent("100", "a", NOW_S)).is_ok());
}

/// Both waits: in SQLite for another process, and for a thread of this one that waits there.
#[test]
fn whoever_has_no_time_left_waits_no_longer_and_reserves_nothing() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    const FAR_LESS_THAN_A_WAIT: std::time::Duration = std::time::Duration::from_secs(4);
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    let other = rusqlite::Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (is_over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let (bench, is_over, asked) = (&bench, is_over.clone(), asked.clone());
                scope.spawn(move || {
                    let look = move || {
                        asked.fetch_add(1, Ordering::SeqCst);
                        is_over.load(Ordering::SeqCst)
                    };
                    let order = || bench.order(intent("100", "a", NOW_S), None, RetryRule::Proven);
                    crate::ledger::patient(std::rc::Rc::new(look), order)
                })
            })
            .collect();
        while asked.load(Ordering::SeqCst) < 10 {
            std::thread::yield_now();
        }
        is_over.store(true, Ordering::SeqCst);
        for waiter in waiters {
            let Err(Denied::Failed(error)) = waiter.join().unwrap() else { panic!("it was locked") };
            assert_eq!(error.status, Status::Ledger);
        }
    });
    assert!(begun.elapsed() < FAR_LESS_THAN_A_WAIT, "{:?}", begun.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(bench.total(), "0");
    assert!(bench.reserve(intent("100", "a", NOW_S)).is_ok(), "without a bound of its own it waits as before");
}

/// What became of a payment is written by a call that was cancelled too: in hand for ever, it would pass for one that is
/// under way, and its repeat for another purchase.
#[test]
fn an_outcome_waits_for_its_turn_though_the_call_has_no_time_left() {
    use std::sync::atomic::{AtomicBool, Ordering};
    const LOOKS: usize = 1000;
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    let Store::File(file) = &bench.ledger.0 else { panic!() };
    let grant = bench.order(intent("1000", "a", NOW_S), Some(&purchase()), RetryRule::Proven).unwrap();
    let Grant::New(mut reservation, _) = grant else { panic!() };
    reservation.commit();
    let begun = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let turn = file.lock_for_a_test();
        let writer = scope.spawn(|| {
            begun.store(true, Ordering::SeqCst);
            crate::ledger::patient(std::rc::Rc::new(|| true), || reservation.unknown(TurnedDown::No))
        });
        while !begun.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        for _ in 0..LOOKS {
            assert!(!writer.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        drop(turn);
        writer.join().unwrap().unwrap();
    });
    assert!(bench.ledger.standing(&purchase(), RetryRule::Proven, NOW_S).unwrap().is_some(), "the same is presented");
}

#[test]
fn an_outcome_that_cannot_be_written_leaves_an_entry_that_counts_and_is_presented_again() {
    let folder = Folder::new();
    let bench = folder.bench(&dime());
    let Store::File(file) = &bench.ledger.0 else { panic!() };
    let grant = bench.order(intent("1000", "a", NOW_S), Some(&purchase()), RetryRule::Proven).unwrap();
    let Grant::New(mut reservation, _) = grant else { panic!() };
    reservation.commit();
    file.wait_briefly_for_a_test();
    let other = rusqlite::Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(reservation.unknown(TurnedDown::No).unwrap_err().status, Status::Ledger);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(bench.total(), "1000");
    assert!(bench.ledger.standing(&purchase(), RetryRule::Proven, NOW_S).unwrap().is_some());
}

#[test]
fn a_file_that_cannot_be_written_is_refused_when_it_is_opened() {
    let folder = Folder::new();
    drop(folder.bench(&[]));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o400)).unwrap();
    match Ledger::open(Some(&folder.path())) {
        // The superuser writes where nobody else can.
        Ok(_) => assert!(rustix::process::geteuid().is_root()),
        Err(error) => assert!(error.message.contains("writ"), "{}", error.message),
    }
}

impl Bench {
    fn reserve_with_terms(&self, terms: &str) -> Result<Grant, Denied> {
        let intent = intent("100", "a", NOW_S);
        let recipe = Recipe {
            payer: "0xpayer".into(),
            nonce: [7; 32],
            signed_s: NOW_S,
            valid_before_s: NOW_S + 60,
            terms: terms.into(),
            facts: r#"{"a":"b"}"#.into(),
            draw: None,
        };
        let order = Order { intent: &intent, recipe, rule: RetryRule::Proven, budgets: &self.budgets };
        self.ledger.reserve(order)
    }
}

/// What a reservation and its outcome cost, and over which store; `strace -c -e fdatasync,fsync` counts the waits.
#[test]
#[ignore = "a measurement"]
fn price_of_a_reservation() {
    let rounds: u32 = 1000;
    for path in [None, std::env::var("X402_LEDGER_PRICE_DIR").ok().map(|folder| PathBuf::from(folder).join("ledger"))] {
        let ledger = Ledger::open(path.as_deref()).unwrap();
        let bench = Bench { ledger, budgets: vec![budget(Scope::All, 0, "1000 USD")], _folder: None };
        let (mut reserving, mut closing) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        for round in 0..rounds {
            let purchase = Purchase { id: format!("{round}"), named: false };
            let begun = std::time::Instant::now();
            let grant = bench.order(intent("1", "a", NOW_S), Some(&purchase), RetryRule::Proven).unwrap();
            reserving += begun.elapsed();
            let Grant::New(mut reservation, _) = grant else { panic!() };
            reservation.commit();
            let begun = std::time::Instant::now();
            reservation.paid("0xabc", None).unwrap();
            closing += begun.elapsed();
        }
        println!("{path:?}: reserve {:?}, outcome {:?}", reserving / rounds, closing / rounds);
    }
}
