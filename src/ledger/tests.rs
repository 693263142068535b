//! Budgets at their edges: exactly full, over by one, windows that move, reservations given back or kept.

use super::*;

const BASE: &str = "eip155:8453";
const USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";

fn intent(amount: &str, host: &str, now_s: u64) -> Intent {
    Intent {
        host: host.into(),
        payee: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".into(),
        network: Network::parse(BASE).unwrap(),
        asset: USDC.into(),
        amount: Amount::parse(amount).unwrap(),
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
    let ledger = Ledger::in_memory(&[budget(Scope::All, 0, "0.03 USD")]);
    keep(ledger.reserve(intent("29999", "a", 0)).unwrap());
    let refusal = ledger.reserve(intent("2", "a", 0)).unwrap_err();
    assert!(refusal.contains("budget \"all\"") && refusal.contains("0.03"), "{refusal}");
    keep(ledger.reserve(intent("1", "a", 0)).unwrap());
    assert!(ledger.reserve(intent("1", "a", 0)).is_err());
}

#[test]
fn an_unsigned_reservation_is_given_back_and_a_signed_one_is_not() {
    let ledger = Ledger::in_memory(&[budget(Scope::All, 0, "0.01 USD")]);
    drop(ledger.reserve(intent("10000", "a", 0)).unwrap());
    let mut signed = ledger.reserve(intent("10000", "a", 0)).unwrap();
    signed.commit();
    drop(signed);
    assert!(ledger.reserve(intent("1", "a", 0)).is_err());
}

#[test]
fn a_signature_that_never_left_frees_its_amount() {
    let ledger = Ledger::in_memory(&[budget(Scope::Host, 60, "0.01 USD")]);
    let mut signed = ledger.reserve(intent("10000", "a", 5)).unwrap();
    signed.commit();
    signed.never_left();
    assert!(ledger.check(&intent("10000", "a", 5)).is_ok());
}

#[test]
fn a_window_moves_and_a_clock_that_goes_back_frees_nothing() {
    let ledger = Ledger::in_memory(&[budget(Scope::All, 10, "0.01 USD")]);
    keep(ledger.reserve(intent("10000", "a", 100)).unwrap());
    assert!(ledger.check(&intent("1", "a", 109)).is_err());
    assert!(ledger.check(&intent("1", "a", 5)).is_err());
    assert!(ledger.check(&intent("10000", "a", 110)).is_ok());
}

#[test]
fn hosts_have_budgets_of_their_own() {
    let ledger = Ledger::in_memory(&[budget(Scope::Host, 0, "0.01 USD")]);
    keep(ledger.reserve(intent("10000", "a:443", 0)).unwrap());
    assert!(ledger.reserve(intent("1", "A:443", 0)).is_err());
    keep(ledger.reserve(intent("10000", "b:443", 0)).unwrap());
}

#[test]
fn a_refusal_by_one_budget_leaves_the_others_untouched() {
    let ledger = Ledger::in_memory(&[budget(Scope::All, 0, "0.05 USD"), budget(Scope::Host, 0, "0.01 USD")]);
    for _ in 0..20 {
        assert!(ledger.reserve(intent("20000", "a", 0)).is_err());
    }
    keep(ledger.reserve(intent("10000", "a", 0)).unwrap());
    assert!(ledger.check(&intent("10000", "b", 0)).is_ok());
}

#[test]
fn atomic_units_and_dollars_are_counted_apart() {
    let atomic = format!("15000 {BASE}/erc20:{USDC}");
    let ledger = Ledger::in_memory(&[budget(Scope::All, 0, "1 USD"), budget(Scope::All, 0, &atomic)]);
    keep(ledger.reserve(intent("10000", "a", 0)).unwrap());
    let refusal = ledger.reserve(intent("10000", "a", 0)).unwrap_err();
    assert!(refusal.contains("atomic units"), "{refusal}");
}

#[test]
fn threads_never_pass_one_budget_together() {
    let ledger = Ledger::in_memory(&[budget(Scope::All, 0, "0.0100 USD")]);
    let paid = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    if let Ok(reservation) = ledger.reserve(intent("100", "a", 0)) {
                        keep(reservation);
                        paid.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(paid.into_inner(), 100);
}
