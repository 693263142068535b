//! Payment channels over both stores: what is deposited and drawn, whose turn it is, and what claims may move.

use super::*;
use crate::money::OnChain;
use std::collections::HashMap;

fn id(number: u8) -> ChannelId {
    ChannelId::from_bytes([number; 32])
}

/// A payment of 100 by one of the channels 0 to 2; a deposit is 500 where it may be.
pub(super) fn drawing() -> Intent {
    let candidates = (0..3).map(id).collect();
    let (deposit_wanted, deposit_max) = (Amount::from(500), Amount::from(1000));
    let channel = ChannelOrder { candidates, deposit_wanted, deposit_max, on_chain: None };
    Intent { channel: Some(channel), lasting: true, ..intent("100", "a", NOW_S) }
}

impl Bench {
    fn draw(&self, intent: Intent) -> (Reservation, Draw) {
        match self.order(intent, None, RetryRule::Proven) {
            Ok(Grant::New(mut reservation, recipe)) => {
                reservation.commit();
                (reservation, recipe.draw.unwrap())
            }
            other => panic!("{other:?}"),
        }
    }

    /// What the totals say of a channel: balance, charged, signed_max.
    fn channel(&self, channel: ChannelId) -> [u64; 3] {
        let totals: Value = serde_json::from_str(&self.ledger.totals().unwrap()).unwrap();
        let row = totals.as_array().unwrap().iter().find(|row| row["key"] == channel.to_string()).unwrap();
        assert_eq!(row["scope"], "channel");
        ["amount", "charged", "signed_max"].map(|name| row[name].as_str().unwrap().parse().unwrap())
    }
}

fn numbers(draw: &Draw) -> [u64; 3] {
    [draw.charged, draw.claimable, draw.deposit].map(|amount| amount.to_u64().unwrap())
}

#[test]
fn a_deposit_counts_once_and_the_vouchers_after_it_do_not() {
    each_store(&[budget(Scope::All, 0, "0.000600 USD")], |bench| {
        let (first, draw) = bench.draw(drawing());
        assert_eq!((draw.channel, numbers(&draw)), (id(0), [0, 100, 500]));
        assert_eq!((bench.total(), bench.channel(id(0))), ("500".into(), [0, 0, 100]));
        first.paid_by_channel("0xabc", Acknowledged::default()).unwrap();
        for paid in 1..5 {
            let (next, draw) = bench.draw(drawing());
            assert_eq!(numbers(&draw), [100 * paid, 100 * paid + 100, 0]);
            next.paid_by_channel("", Acknowledged::default()).unwrap();
        }
        assert_eq!((bench.total(), bench.channel(id(0))), ("500".into(), [500, 500, 500]));
        // The budget leaves room for what is missing and no more.
        let (top_up, draw) = bench.draw(drawing());
        assert_eq!(numbers(&draw), [500, 600, 100]);
        top_up.paid_by_channel("0xdef", Acknowledged::default()).unwrap();
        let refused = bench.order(drawing(), None, RetryRule::Proven).unwrap_err();
        assert!(matches!(refused, Denied::Refused(why) if why.contains("the deposit asks 0.0001 USD")));
        assert_eq!(bench.total(), "600");
    });
}

#[test]
fn an_entry_shows_its_channel_and_makes_the_same_draw_again() {
    each_store(&[], |bench| {
        let named = Purchase { id: "order-17".into(), named: true };
        let order = |now_s| bench.order(Intent { now_s, ..drawing() }, Some(&named), RetryRule::Proven);
        let Ok(Grant::New(mut first, recipe)) = order(NOW_S) else { panic!() };
        first.commit();
        first.unknown(TurnedDown::Unproven).unwrap();
        let entries: Value = serde_json::from_str(&bench.ledger.unsettled(0, 9).unwrap()).unwrap();
        let entry = &entries[0];
        assert_eq!((&entry["channel"], &entry["deposit"]), (&id(0).to_string().into(), &"500".into()));
        assert_eq!((&entry["amount"], &entry["counted"]), (&"500".into(), &"500".into()));
        // Its deposit is void by then, its voucher is not.
        let Ok(Grant::Standing(again, same)) = order(NOW_S + 1_000_000) else { panic!("a second voucher") };
        assert_eq!((same.draw, same.nonce, same.signed_s), (recipe.draw, recipe.nonce, NOW_S));
        again.never_left().unwrap();
        bench.ledger.abandon(1).unwrap();
        assert_eq!((bench.total(), bench.channel(id(0))), ("0".into(), [0, 0, 100]));
        let Ok(Grant::New(_, recipe)) = order(NOW_S) else { panic!("given up, and not signed anew") };
        assert_eq!(recipe.draw.unwrap().signed_before, Some(Amount::from(100)));
    });
}

#[test]
fn a_voucher_that_never_left_or_was_not_taken_is_none_that_a_receipt_can_speak_of() {
    let ends: [fn(Reservation); 2] = [
        |drawn| drawn.never_left().unwrap(),
        |drawn| {
            drawn.unknown(TurnedDown::Proven).unwrap();
        },
    ];
    for end in ends {
        each_store(&[], |bench| {
            // The first use of a channel leaves nothing behind.
            end(bench.draw(drawing()).0);
            let (first, draw) = bench.draw(drawing());
            assert_eq!(draw.signed_before, None);
            drop(first.paid_by_channel("0xabc", Acknowledged::default()).unwrap());
            assert_eq!(bench.channel(id(0)), [500, 100, 100]);
            // A dear voucher that came to nothing does not let a receipt for a cheap one claim its price.
            let dear = Intent { amount: Amount::from(300), ..drawing() };
            end(bench.draw(dear).0);
            assert_eq!(bench.channel(id(0)), [500, 100, 100]);
            let (cheap, draw) = bench.draw(Intent { amount: Amount::from(1), ..drawing() });
            assert_eq!((draw.claimable, draw.signed_before), (Amount::from(101), Some(Amount::from(100))));
            let lie = Acknowledged { charged: None, charged_in_all: Some(Amount::from(400)) };
            drop(cheap.paid_by_channel("0xdef", lie).unwrap());
            assert_eq!(bench.channel(id(0))[1], 100, "not believed, and the next 402 corrects it");
        });
    }
}

#[test]
fn payments_at_once_use_channels_of_their_own_and_not_without_end() {
    each_store(&[], |bench| {
        let held: Vec<(Reservation, Draw)> = (0..3).map(|_| bench.draw(drawing())).collect();
        let salts: Vec<u64> = held.iter().map(|(_, draw)| draw.salt).collect();
        assert_eq!(salts, [0, 1, 2]);
        let refused = bench.order(drawing(), None, RetryRule::Proven).unwrap_err();
        assert!(matches!(refused, Denied::Refused(why) if why.contains("3 channels")));
        let channel = drawing().channel.unwrap();
        assert!(bench.ledger.outlook(&channel, Amount::from(100)).is_err());
        let mut held = held.into_iter();
        held.next().unwrap().0.unknown(TurnedDown::No).unwrap();
        // What was not acknowledged is no balance: deposited again, and the same voucher.
        let (_, draw) = bench.draw(drawing());
        assert_eq!((draw.channel, numbers(&draw)), (id(0), [0, 100, 500]));
    });
}

#[test]
fn a_correction_that_comes_with_the_outcome_is_kept() {
    each_store(&[], |bench| {
        let outlook = || bench.ledger.outlook(&drawing().channel.unwrap(), Amount::from(100)).unwrap();
        assert_eq!(outlook(), Outlook { channel: id(0), needs_deposit: true, is_uncertain: true });
        let (first, _) = bench.draw(drawing());
        let (charged, signed, balance) = (Amount::from(300), Amount::from(350), Some(Amount::from(900)));
        first.corrected(TurnedDown::Proven, Correction::Proven { charged, signed, balance }).unwrap();
        assert_eq!(bench.channel(id(0)), [900, 300, 350]);
        let (second, draw) = bench.draw(drawing());
        assert_eq!(numbers(&draw), [300, 400, 0]);
        assert_eq!(draw.signed_before, Some(Amount::from(350)));
        second.corrected(TurnedDown::Proven, Correction::Doubt).unwrap();
        assert_eq!(outlook(), Outlook { channel: id(0), needs_deposit: false, is_uncertain: true });
        let mut told = drawing();
        let on_chain = OnChain { channel: id(0), balance: Amount::from(700), claimed: Amount::from(200) };
        told.channel.as_mut().unwrap().on_chain = Some(on_chain);
        let (_, draw) = bench.draw(told);
        assert_eq!((numbers(&draw), bench.channel(id(0))), ([200, 300, 0], [700, 200, 350]));
    });
}

/// A row of random numbers that is the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What the books must say, by the words of the rules and not by the code.
#[derive(Default)]
struct Model {
    balance: u64,
    charged: u64,
    signed_max: u64,
    deposits: u64,
}

#[test]
fn both_stores_follow_a_small_model_through_random_lives() {
    for seed in 1..40 {
        each_store(&[budget(Scope::All, 0, "0.01 USD")], |bench| {
            let mut dice = Dice(seed * 7919);
            let mut channels: HashMap<ChannelId, Model> = HashMap::new();
            let mut held: Vec<(Reservation, Draw)> = Vec::new();
            let mut counted = 0;
            for _ in 0..60 {
                if held.len() < 3 && dice.below(2) == 0 {
                    let Ok(grant) = bench.order(drawing(), None, RetryRule::Proven) else {
                        assert!(counted + 100 > 10_000, "refused with {counted}");
                        continue;
                    };
                    let Grant::New(mut reservation, recipe) = grant else { panic!() };
                    let draw = recipe.draw.unwrap();
                    let model = channels.entry(draw.channel).or_default();
                    let missing = (model.charged + 100).saturating_sub(model.balance);
                    let wanted = if missing == 0 { 0 } else { missing.max(500) };
                    let deposit = if counted + wanted > 10_000 { missing } else { wanted };
                    assert_eq!(numbers(&draw), [model.charged, model.charged + 100, deposit]);
                    assert!(held.iter().all(|(_, other)| other.channel != draw.channel));
                    model.signed_max = model.signed_max.max(model.charged + 100);
                    counted += deposit;
                    if dice.below(8) == 0 {
                        drop(reservation);
                        counted -= deposit;
                    } else {
                        reservation.commit();
                        held.push((reservation, draw));
                    }
                } else if !held.is_empty() {
                    let (reservation, draw) = held.swap_remove(dice.below(held.len() as u64) as usize);
                    let model = channels.get_mut(&draw.channel).unwrap();
                    let [before, _, deposit] = numbers(&draw);
                    if dice.below(3) == 0 {
                        reservation.unknown(TurnedDown::No).unwrap();
                    } else {
                        let charged = dice.below(150);
                        let in_all = dice.below(2_000);
                        let receipt = Acknowledged {
                            charged: Some(Amount::from(charged)),
                            charged_in_all: Some(Amount::from(in_all)),
                        };
                        reservation.paid_by_channel("0xabc", receipt).unwrap();
                        let ours = before + if charged > 100 { 100 } else { charged };
                        let larger = ours.max(in_all);
                        model.charged = if larger <= model.signed_max { larger } else { before };
                        model.balance += deposit;
                        model.deposits += deposit;
                    }
                    assert!(model.charged <= model.signed_max);
                    assert_eq!(bench.channel(draw.channel), [model.balance, model.charged, model.signed_max]);
                    assert!(model.signed_max <= model.deposits + counted, "no voucher above what was deposited");
                }
                assert_eq!(bench.total(), counted.to_string());
                assert!(counted <= 10_000);
            }
        });
    }
}

#[test]
fn threads_on_one_payee_deposit_within_the_budget_and_sign_nothing_above_it() {
    each_store(&[budget(Scope::All, 0, "0.0020 USD")], |bench| {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        if let Ok(Grant::New(mut reservation, _)) = bench.order(drawing(), None, RetryRule::Proven) {
                            reservation.commit();
                            reservation.paid_by_channel("0xabc", Acknowledged::default()).unwrap();
                        }
                    }
                });
            }
        });
        let known: Vec<[u64; 3]> = {
            let totals: Value = serde_json::from_str(&bench.ledger.totals().unwrap()).unwrap();
            let rows = totals.as_array().unwrap().iter().filter(|row| row["scope"] == "channel");
            rows.map(|row| ["amount", "charged", "signed_max"].map(|name| row[name].as_str().unwrap().parse().unwrap()))
                .collect()
        };
        let deposited: u64 = known.iter().map(|[balance, ..]| balance).sum();
        assert_eq!(bench.total(), deposited.to_string());
        assert!(deposited <= 2000, "{deposited}");
        assert!(known.iter().all(|[balance, charged, signed_max]| charged == signed_max && signed_max <= balance));
    });
}
