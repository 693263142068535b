//! A purchase that is repeated: which signature it gets, and what an operator may do about it.

use super::*;

fn named() -> Purchase {
    Purchase { id: "order-17".into(), named: true }
}

fn derived() -> Purchase {
    Purchase { id: "GET /paid".into(), named: false }
}

fn buy(bench: &Bench, purchase: &Purchase, now_s: u64) -> Grant {
    bench.order(intent("10000", "a", now_s), Some(purchase), RetryRule::Proven).unwrap()
}

fn new(grant: Grant) -> Reservation {
    match grant {
        Grant::New(mut reservation, _) => {
            reservation.commit();
            reservation
        }
        Grant::Standing(..) => panic!("a signature stood"),
    }
}

fn standing(grant: Grant) -> (Reservation, Recipe) {
    match grant {
        Grant::Standing(mut reservation, recipe) => {
            reservation.commit();
            (reservation, recipe)
        }
        Grant::New(..) => panic!("a second signature"),
    }
}

#[test]
fn a_lost_answer_is_answered_by_the_same_signature_until_it_is_void() {
    for purchase in [named(), derived()] {
        each_store(&[budget(Scope::All, 0, "0.02 USD")], |bench| {
            new(buy(bench, &purchase, NOW_S)).unknown(TurnedDown::No).unwrap();
            let void_s = NOW_S + 60 + EXPIRY_MARGIN_S;
            let (again, recipe) = standing(buy(bench, &purchase, void_s));
            assert_eq!((recipe.signed_s, recipe.nonce, recipe.terms.as_str()), (NOW_S, [7; 32], TERMS));
            again.unknown(TurnedDown::No).unwrap();
            assert_eq!(bench.total(), "10000");
            drop(new(buy(bench, &purchase, void_s + 1)));
            assert_eq!(bench.total(), "20000", "the second counts on top of the first");
        });
    }
}

#[test]
fn two_equal_requests_at_once_are_two_purchases_unless_they_bear_one_name() {
    each_store(&[], |bench| {
        let first = new(buy(bench, &derived(), NOW_S));
        let second = new(buy(bench, &derived(), NOW_S));
        assert_ne!(first.entry(), second.entry());
        let first = new(buy(bench, &named(), NOW_S));
        let (second, _) = standing(buy(bench, &named(), NOW_S));
        assert_eq!(first.entry(), second.entry());
        second.unknown(TurnedDown::Unproven).unwrap();
        first.paid("0xabc", None).unwrap();
        assert_eq!(bench.total(), "30000");
    });
}

#[test]
fn a_named_purchase_that_is_paid_is_paid_for_ever_and_another_is_over() {
    each_store(&[], |bench| {
        new(buy(bench, &named(), NOW_S)).paid("0xabc", None).unwrap();
        let (again, _) = standing(buy(bench, &named(), NOW_S + 1_000_000));
        again.unknown(TurnedDown::Proven).unwrap();
        standing(buy(bench, &named(), NOW_S + 2_000_000));
        new(buy(bench, &derived(), NOW_S)).paid("0xabc", None).unwrap();
        new(buy(bench, &derived(), NOW_S)).paid("0xdef", None).unwrap();
        assert_eq!(bench.total(), "30000");
    });
}

#[test]
fn a_refusal_before_settlement_allows_a_second_signature_that_counts_on_top() {
    for purchase in [named(), derived()] {
        each_store(&[budget(Scope::All, 0, "0.02 USD")], |bench| {
            new(buy(bench, &purchase, NOW_S)).unknown(TurnedDown::Proven).unwrap();
            let proof = new(buy(bench, &purchase, NOW_S)).unknown(TurnedDown::Proven).unwrap();
            assert_eq!(proof, TurnedDown::Proven);
            let third = bench.order(intent("10000", "a", NOW_S), Some(&purchase), RetryRule::Proven);
            assert!(matches!(third, Err(Denied::Refused(reason)) if reason.contains("budget")));
        });
    }
}

#[test]
fn a_refusal_of_one_of_several_sendings_proves_nothing() {
    each_store(&[], |bench| {
        // The first was lost and may have settled; that may be why the second is refused.
        new(buy(bench, &named(), NOW_S)).unknown(TurnedDown::No).unwrap();
        let second = standing(buy(bench, &named(), NOW_S)).0;
        assert_eq!(second.unknown(TurnedDown::Proven).unwrap(), TurnedDown::Unproven);
        standing(buy(bench, &named(), NOW_S));
    });
    each_store(&[], |bench| {
        // Two at once, and the one that signed is refused while the other is paid for.
        let first = new(buy(bench, &named(), NOW_S));
        let second = standing(buy(bench, &named(), NOW_S)).0;
        assert_eq!(first.unknown(TurnedDown::Proven).unwrap(), TurnedDown::Unproven);
        let third = standing(buy(bench, &named(), NOW_S)).0;
        second.paid("0xabc", None).unwrap();
        third.unknown(TurnedDown::Proven).unwrap();
        standing(buy(bench, &named(), NOW_S + 1_000_000));
        assert_eq!(bench.total(), "10000");
    });
}

#[test]
fn what_never_left_one_caller_and_was_presented_by_another_counts() {
    let ends: [fn(Reservation); 3] = [
        |reservation| reservation.never_left().unwrap(),
        drop,
        |reservation| {
            reservation.unknown(TurnedDown::Proven).unwrap();
        },
    ];
    for end in ends {
        each_store(&[], |bench| {
            let Grant::New(first, _) = buy(bench, &named(), NOW_S) else { panic!("a signature stood") };
            let second = standing(buy(bench, &named(), NOW_S)).0;
            end(first);
            assert_eq!(bench.total(), "10000", "the second has it");
            second.unknown(TurnedDown::No).unwrap();
            let third = standing(buy(bench, &named(), NOW_S)).0;
            assert_eq!(bench.total(), "10000");
            third.paid("0xabc", None).unwrap();
            standing(buy(bench, &named(), NOW_S + 1_000_000));
        });
    }
}

#[test]
fn a_named_purchase_in_flight_is_not_signed_anew_however_old_it_is() {
    for rule in [RetryRule::Proven, RetryRule::UpTo(9)] {
        each_store(&[], |bench| {
            let buy = |now_s| bench.order(intent("10000", "a", now_s), Some(&named()), rule).unwrap();
            let first = new(buy(NOW_S));
            standing(buy(NOW_S + 60 + EXPIRY_MARGIN_S + 1));
            first.unknown(TurnedDown::No).unwrap();
            new(buy(NOW_S + 60 + EXPIRY_MARGIN_S + 1));
        });
    }
}

#[test]
fn asking_for_the_price_of_many_payees_makes_no_accounts() {
    let budgets = [budget(Scope::Payee, 3600, "1.00 USD"), budget(Scope::Host, 3600, "1.00 USD")];
    each_store(&budgets, |bench| {
        for number in 0..100 {
            let payee = format!("0x209693Bc6afc0C5328bA36FaF03C514EF3{number:06}");
            bench.check(&Intent { payee, ..intent("10000", "a", NOW_S) }).unwrap();
        }
        if let Store::Memory(memory) = &bench.ledger.0 {
            assert_eq!(memory.accounts_for_a_test(), 0);
        }
        // And what is spent counts in its window from the first payment on.
        new(bench.order(intent("600000", "a", NOW_S), None, RetryRule::Proven).unwrap()).paid("0x1", None).unwrap();
        assert!(bench.check(&intent("600000", "a", NOW_S + 3599)).is_err());
        bench.check(&intent("600000", "a", NOW_S + 3600)).unwrap();
    });
}

#[test]
fn the_signatures_of_one_purchase_have_a_budget_together() {
    for purchase in [named(), derived()] {
        let atomic = format!("25000 {BASE}/erc20:{USDC}");
        each_store(&[budget(Scope::Purchase, 0, "0.05 USD"), budget(Scope::Purchase, 3600, &atomic)], |bench| {
            let retry =
                |units, at_s| bench.order(intent(units, "a", at_s), Some(&purchase), RetryRule::UpTo(9)).map(new);
            for _ in 0..2 {
                retry("10000", NOW_S).unwrap().unknown(TurnedDown::Unproven).unwrap();
            }
            let Err(Denied::Refused(reason)) = retry("5001", NOW_S) else { panic!("the budget was passed") };
            assert!(reason.contains("20000 atomic units of the purchase budget of 25000"), "{reason}");
            assert!(reason.contains("budget \"purchase\""), "{reason}");
            let other = Purchase { id: "another".into(), ..purchase.clone() };
            new(bench.order(intent("25000", "a", NOW_S), Some(&other), RetryRule::Proven).unwrap());
            new(bench.order(intent("25000", "a", NOW_S), None, RetryRule::Proven).unwrap());
            assert!(bench.order(intent("25001", "a", NOW_S), None, RetryRule::Proven).is_err());
            // The window has moved on, and what has no window has not; an unnamed purchase is over by then.
            let later_s = NOW_S + 3600;
            let later = retry("25000", later_s);
            assert!(later.is_ok(), "{later:?}");
            later.unwrap().unknown(TurnedDown::Unproven).unwrap();
            let last = retry("5001", later_s + 3600);
            assert_eq!(last.is_err(), purchase.named, "{last:?}");
        });
    }
}

#[test]
fn equal_requests_without_a_name_that_are_paid_or_in_flight_are_other_purchases() {
    each_store(&[budget(Scope::Purchase, 0, "0.01 USD")], |bench| {
        let first = new(buy(bench, &derived(), NOW_S));
        let second = new(buy(bench, &derived(), NOW_S));
        first.paid("0xabc", None).unwrap();
        second.paid("0xdef", None).unwrap();
        new(buy(bench, &derived(), NOW_S)).paid("0xfed", None).unwrap();
        assert_eq!(bench.total(), "30000");
    });
}

#[test]
fn a_rule_that_forbids_repeats_says_what_stands_and_until_when() {
    each_store(&[], |bench| {
        new(buy(bench, &named(), NOW_S)).unknown(TurnedDown::No).unwrap();
        let refused = bench.order(intent("10000", "a", NOW_S), Some(&named()), RetryRule::Never);
        let Err(Denied::Stands(stood)) = refused else { panic!("{refused:?}") };
        let Stood { reason, entry, at_risk: Some((amount, Some(usd))), is_paid: false } = *stood else {
            panic!("{stood:?}")
        };
        assert_eq!((entry, amount, usd.to_string().as_str()), (1, Amount::from(10_000), "0.01"));
        for part in ["10000 atomic units", "retry_policy never", &(NOW_S + 60).to_string(), "entry 1"] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
    });
}

#[test]
fn what_is_taken_over_and_not_presented_stands_as_before() {
    each_store(&[], |bench| {
        new(buy(bench, &named(), NOW_S)).unknown(TurnedDown::Unproven).unwrap();
        let (taken, _) = bench.ledger.standing(&named(), RetryRule::Proven, NOW_S).unwrap().unwrap();
        drop(taken);
        let up_to_two = bench.order(intent("10000", "a", NOW_S), Some(&named()), RetryRule::UpTo(2)).unwrap();
        drop(new(up_to_two));
    });
}

#[test]
fn an_abandoned_entry_counts_no_more_and_a_late_receipt_counts_it_again() {
    each_store(&[], |bench| {
        let live = new(buy(bench, &named(), NOW_S));
        let entry = live.entry();
        assert!(bench.ledger.abandon(entry).unwrap_err().message.contains("in flight"));
        assert!(bench.ledger.abandon(entry + 7).unwrap_err().message.contains("no entry"));
        live.unknown(TurnedDown::No).unwrap();
        bench.ledger.abandon(entry).unwrap();
        assert_eq!(bench.total(), "0");
        assert!(bench.ledger.abandon(entry).is_err());
        drop(new(buy(bench, &named(), NOW_S)));
        assert_eq!(bench.total(), "10000");
    });
    for purchase in [named(), derived()] {
        each_store(&[], |bench| {
            let first = new(buy(bench, &purchase, NOW_S));
            first.unknown(TurnedDown::No).unwrap();
            let (second, _) = standing(buy(bench, &purchase, NOW_S));
            let entry = second.entry();
            // Somebody borrows it while the second has it, and hears of the money after it was given up.
            let late = (purchase.named).then(|| standing(buy(bench, &purchase, NOW_S)).0);
            second.unknown(TurnedDown::No).unwrap();
            bench.ledger.abandon(entry).unwrap();
            assert_eq!(bench.total(), "0");
            if let Some(late) = late {
                drop(late.paid("0xabc", None).unwrap());
                assert_eq!(bench.total(), "10000");
                standing(buy(bench, &purchase, NOW_S + 1_000_000));
            }
        });
    }
}

#[test]
fn a_paid_purchase_whose_answer_broke_off_is_presented_again_until_it_is_void_or_given_up() {
    let bought = |bench: &Bench, purchase: &Purchase| {
        let grant = buy(bench, purchase, NOW_S);
        let Grant::New(mut reservation, _) = grant else { panic!("a signature stood") };
        reservation.commit();
        let entry = reservation.entry();
        let delivery = reservation.paid("0xabc", None).unwrap();
        assert!(delivery.broke_off(&recipe(NOW_S)).unwrap());
        entry
    };
    each_store(&[], |bench| {
        let entry = bought(bench, &derived());
        let (again, kept) = standing(buy(bench, &derived(), NOW_S));
        assert_eq!((kept.nonce, kept.terms.as_str()), ([7; 32], TERMS));
        again.unknown(TurnedDown::Unproven).unwrap();
        let (again, kept) = standing(buy(bench, &derived(), NOW_S + 60 + EXPIRY_MARGIN_S));
        let delivery = again.paid("0xabc", None).unwrap();
        assert!(delivery.broke_off(&kept).unwrap());
        let listed: Value = serde_json::from_str(&bench.ledger.entries(0, 9).unwrap()).unwrap();
        assert_eq!((&listed[0]["broke_off"], &listed[0]["state"]), (&true.into(), &"paid".into()));
        assert!(bench.ledger.unsettled(0, 9).unwrap().contains("\"broke_off\":true"));
        assert_eq!(bench.total(), "10000", "presented again, it counts once");

        // Given up, only the answer is gone: the amount counts, and the next request is another purchase.
        bench.ledger.abandon(entry).unwrap();
        assert!(bench.ledger.abandon(entry).is_err());
        let other = bought(bench, &derived());
        assert_ne!(other, entry);
        assert_eq!(bench.total(), "20000");
        new(buy(bench, &derived(), NOW_S + 60 + EXPIRY_MARGIN_S + 1));
    });
    each_store(&[], |bench| {
        bought(bench, &derived());
        drop(standing(buy(bench, &derived(), NOW_S)).0.paid("0xabc", None).unwrap());
        drop(new(buy(bench, &derived(), NOW_S)));
        assert_eq!(bench.total(), "20000", "handed over the second time, it is over");
        let Grant::New(nobody, _) = bench.order(intent("1", "a", NOW_S), None, RetryRule::Proven).unwrap() else {
            panic!()
        };
        assert!(!nobody.paid("0xabc", None).unwrap().broke_off(&recipe(NOW_S)).unwrap());
    });
}

#[test]
fn a_receipt_lowers_what_counts_and_never_raises_it() {
    let budgets = [budget(Scope::All, 0, "0.01 USD"), budget(Scope::Host, 3600, "0.01 USD")];
    each_store(&budgets, |bench| {
        let paid = |charged| drop(new(buy(bench, &named(), NOW_S)).paid("0xabc", Some(Amount::from(charged))).unwrap());
        paid(4_000);
        assert_eq!(bench.total(), "4000");
        assert!(bench.check(&intent("6000", "a", NOW_S)).is_ok(), "in windows too");
        assert!(bench.check(&intent("6001", "a", NOW_S)).is_err());
        let again = |charged| {
            let Grant::Standing(standing, _) = buy(bench, &named(), NOW_S) else { panic!("a second signature") };
            drop(standing.paid("0xabc", Some(Amount::from(charged))).unwrap());
        };
        again(9_000);
        assert_eq!(bench.total(), "4000");
        again(0);
        assert_eq!(bench.total(), "0");
        let listed: Value = serde_json::from_str(&bench.ledger.entries(0, 1).unwrap()).unwrap();
        assert_eq!((&listed[0]["amount"], &listed[0]["counted"]), (&"10000".into(), &"0".into()));
    });
    each_store(&budgets, |bench| {
        drop(new(buy(bench, &named(), NOW_S)).paid("0xabc", Some(Amount::from(10_001))).unwrap());
        assert_eq!(bench.total(), "10000");
    });
}

#[test]
fn a_listing_pages_through_entries_and_shows_nothing_to_pay_with() {
    each_store(&[], |bench| {
        for _ in 0..3 {
            new(bench.order(intent("10000", "a", NOW_S), None, RetryRule::Proven).unwrap())
                .unknown(TurnedDown::No)
                .unwrap();
        }
        let page = |after, limit| -> Vec<Value> {
            serde_json::from_str(&bench.ledger.entries(after, limit).unwrap()).unwrap()
        };
        assert_eq!((page(0, 2).len(), page(2, 2).len(), page(3, 2).len()), (2, 1, 0));
        assert_eq!(page(0, 1)[0]["state"], "unknown");
        assert_eq!(page(0, 1)[0]["usd"], "0.01");
        new(bench.order(intent("10000", "a", NOW_S), Some(&named()), RetryRule::Proven).unwrap())
            .paid("0xabc", None)
            .unwrap();
        let in_flight = new(bench.order(intent("10000", "a", NOW_S), None, RetryRule::Proven).unwrap());
        let open: Vec<Value> = serde_json::from_str(&bench.ledger.unsettled(1, 10).unwrap()).unwrap();
        let open: Vec<(u64, bool)> =
            open.iter().map(|row| (row["id"].as_u64().unwrap(), row["in_flight"].as_bool().unwrap())).collect();
        assert_eq!(open, [(2, false), (3, false), (in_flight.entry(), true)]);
        assert_eq!(bench.ledger.unsettled(1, 1).unwrap().matches("\"id\":").count(), 1);
        let text = bench.ledger.entries(0, 10).unwrap();
        assert!(!text.contains("nonce") && !text.contains("x402Version") && !text.contains("0707"), "{text}");
    });
}
