//! Budgets at their edges and entries through their lives, over both stores.

use super::*;
use crate::money::{Amount, ChannelId, Network, Price, Scope};
use std::path::PathBuf;

mod channels;
mod file;
mod repeats;

const BASE: &str = "eip155:8453";
const USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
const TERMS: &str = r#"{"x402Version":2,"accepts":[]}"#;
const NOW_S: u64 = 1_740_672_089;

/// A ledger with the budgets that its one client has.
struct Bench {
    ledger: Arc<Ledger>,
    budgets: Vec<Budget>,
    _folder: Option<tempfile::TempDir>,
}

/// The same test over a ledger in memory and one in a file.
fn each_store(budgets: &[Budget], test: impl Fn(&Bench)) {
    test(&Bench { ledger: Ledger::in_memory(), budgets: budgets.to_vec(), _folder: None });
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(Some(&folder.path().join("ledger"))).unwrap();
    test(&Bench { ledger, budgets: budgets.to_vec(), _folder: Some(folder) });
}

impl Bench {
    fn order(&self, intent: Intent, purchase: Option<&Purchase>, rule: RetryRule) -> Result<Grant, Denied> {
        let intent = Intent { purchase: purchase.cloned(), ..intent };
        let signed_s = intent.now_s;
        let recipe = recipe(signed_s);
        self.ledger.reserve(Order { intent: &intent, recipe, rule, budgets: &self.budgets })
    }

    fn reserve(&self, intent: Intent) -> Result<Reservation, String> {
        match self.order(intent, None, RetryRule::Proven) {
            Ok(Grant::New(reservation, _)) => Ok(reservation),
            Err(Denied::Refused(reason)) => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    fn check(&self, intent: &Intent) -> Result<(), Denied> {
        self.ledger.check(&self.budgets, intent)
    }

    fn total(&self) -> String {
        let totals: Value = serde_json::from_str(&self.ledger.totals().unwrap()).unwrap();
        let all = totals.as_array().unwrap().iter().find(|row| row["scope"] == "all");
        all.map_or_else(|| "0".into(), |row| row["amount"].as_str().unwrap().to_string())
    }
}

fn recipe(signed_s: u64) -> Recipe {
    let (payer, terms, facts) = ("0xpayer".into(), TERMS.into(), String::new());
    Recipe { payer, nonce: [7; 32], signed_s, valid_before_s: signed_s + 60, terms, facts, draw: None }
}

fn intent(amount: &str, host: &str, now_s: u64) -> Intent {
    Intent {
        host: host.into(),
        payee: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".into(),
        network: Network::parse(BASE).unwrap(),
        asset: USDC.into(),
        amount: Amount::parse(amount).unwrap(),
        lasting: false,
        channel: None,
        purchase: None,
        now_s,
    }
}

fn budget(scope: Scope, window_s: u64, limit: &str) -> Budget {
    Budget { scope, window_s, limit: Price::parse(limit).unwrap() }
}

fn keep(mut reservation: Reservation) {
    reservation.commit();
}

#[test]
fn a_budget_holds_to_the_last_unit() {
    each_store(&[budget(Scope::All, 0, "0.03 USD")], |bench| {
        keep(bench.reserve(intent("29999", "a", 0)).unwrap());
        let refusal = bench.reserve(intent("2", "a", 0)).unwrap_err();
        assert!(refusal.contains("budget \"all\"") && refusal.contains("0.03"), "{refusal}");
        keep(bench.reserve(intent("1", "a", 0)).unwrap());
        assert!(bench.reserve(intent("1", "a", 0)).is_err());
    });
}

#[test]
fn an_unsigned_reservation_is_given_back_and_a_signed_one_is_not() {
    each_store(&[budget(Scope::All, 0, "0.01 USD")], |bench| {
        drop(bench.reserve(intent("10000", "a", 0)).unwrap());
        let mut signed = bench.reserve(intent("10000", "a", 0)).unwrap();
        signed.commit();
        drop(signed);
        assert!(bench.reserve(intent("1", "a", 0)).is_err());
    });
}

#[test]
fn a_signature_that_never_left_frees_its_amount() {
    each_store(&[budget(Scope::Host, 60, "0.01 USD"), budget(Scope::All, 0, "0.01 USD")], |bench| {
        let mut signed = bench.reserve(intent("10000", "a", 5)).unwrap();
        signed.commit();
        signed.never_left().unwrap();
        assert!(bench.check(&intent("10000", "a", 5)).is_ok());
        assert_eq!(bench.total(), "0");
    });
}

#[test]
fn a_window_moves_and_a_clock_that_goes_back_frees_nothing() {
    each_store(&[budget(Scope::All, 10, "0.01 USD")], |bench| {
        keep(bench.reserve(intent("10000", "a", 100)).unwrap());
        assert!(bench.check(&intent("1", "a", 109)).is_err());
        assert!(bench.check(&intent("1", "a", 5)).is_err());
        assert!(bench.check(&intent("10000", "a", 110)).is_ok());
        keep(bench.reserve(intent("10000", "a", 110)).unwrap());
        assert!(bench.check(&intent("1", "a", 119)).is_err());
    });
}

#[test]
fn hosts_and_payees_have_budgets_of_their_own() {
    each_store(&[budget(Scope::Host, 0, "0.01 USD"), budget(Scope::Payee, 100, "0.02 USD")], |bench| {
        keep(bench.reserve(intent("10000", "a:443", 0)).unwrap());
        assert!(bench.reserve(intent("1", "A:443", 0)).is_err());
        keep(bench.reserve(intent("10000", "b:443", 0)).unwrap());
        let refusal = bench.reserve(intent("1", "c:443", 0)).unwrap_err();
        assert!(refusal.contains("budget \"payee\""), "{refusal}");
    });
}

#[test]
fn a_refusal_by_one_budget_leaves_the_others_untouched() {
    each_store(&[budget(Scope::All, 0, "0.05 USD"), budget(Scope::Host, 0, "0.01 USD")], |bench| {
        for _ in 0..20 {
            assert!(bench.reserve(intent("20000", "a", 0)).is_err());
        }
        keep(bench.reserve(intent("10000", "a", 0)).unwrap());
        assert!(bench.check(&intent("10000", "b", 0)).is_ok());
    });
}

#[test]
fn atomic_units_and_dollars_are_counted_apart() {
    let atomic = format!("15000 {BASE}/erc20:{USDC}");
    each_store(&[budget(Scope::All, 0, "1 USD"), budget(Scope::All, 0, &atomic)], |bench| {
        keep(bench.reserve(intent("10000", "a", 0)).unwrap());
        let refusal = bench.reserve(intent("10000", "a", 0)).unwrap_err();
        assert!(refusal.contains("atomic units"), "{refusal}");
    });
}

#[test]
fn dollars_add_up_over_assets_and_amounts_beyond_64_bits_stay_exact() {
    let mega_usd = Intent {
        network: Network::parse("eip155:4326").unwrap(),
        asset: "0xFAfDdbb3FC7688494971a79cc65DCa3EF82079E7".into(),
        ..intent("123456789012345678901", "a", 0)
    };
    each_store(&[budget(Scope::All, 0, "123.47 USD")], |bench| {
        keep(bench.reserve(mega_usd.clone()).unwrap());
        keep(bench.reserve(intent("13210", "a", 0)).unwrap());
        let refusal = bench.reserve(intent("1", "a", 0)).unwrap_err();
        assert!(refusal.contains("123.469999012345678901"), "{refusal}");
    });
}

#[test]
fn clients_with_other_budgets_share_what_was_spent() {
    each_store(&[], |bench| {
        keep(bench.reserve(intent("10000", "a", NOW_S)).unwrap());
        let window = [budget(Scope::All, 3600, "0.01 USD")];
        for strict in [&[budget(Scope::Host, 0, "0.01 USD")], &window] {
            assert!(matches!(bench.ledger.check(strict, &intent("1", "a", NOW_S)), Err(Denied::Refused(_))));
        }
        assert!(bench.ledger.check(&window, &intent("10000", "a", NOW_S + 3600)).is_ok());
    });
}

#[test]
fn threads_never_pass_one_budget_together() {
    each_store(&[budget(Scope::All, 0, "0.0020 USD")], |bench| {
        let paid = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        if let Ok(reservation) = bench.reserve(intent("100", "a", 0)) {
                            keep(reservation);
                            paid.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(paid.into_inner(), 20);
        assert_eq!(bench.total(), "2000");
    });
}
