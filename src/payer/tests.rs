//! The steps of a purchase: what each holds, what each gives back, and where the money is at every end.

use super::*;
use crate::money::Amount;
use crate::protocol::{Receipt, ReceiptError};
use crate::world::{FixedEntropy, ManualClock};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

const NOBODY: Identity<'static> = Identity { purchase: None, rule: RetryRule::Proven };

struct Bench {
    wallet: Wallet,
    policy: Policy,
    ledger: Arc<Ledger>,
    world: World,
    deadline: Deadline,
}

impl Bench {
    fn new(budget: &str, random_bytes: usize) -> Self {
        let mut wallet = Wallet::new();
        wallet.add_evm_key(KEY).unwrap();
        let mut policy = Policy::new().unwrap();
        policy.budget("all", 0, budget).unwrap();
        let ledger = Ledger::in_memory();
        let entropy = Box::new(FixedEntropy::new(vec![7; random_bytes]));
        let world = World { clock: Box::new(ManualClock::at(1_740_672_089)), entropy };
        Bench { wallet, policy, ledger, world, deadline: Deadline::NONE }
    }

    fn means(&self) -> Means<'_> {
        Means {
            may_deposit: true,
            wallet: &self.wallet,
            policy: &self.policy,
            ledger: &self.ledger,
            world: &self.world,
            deadline: self.deadline,
        }
    }

    fn authorize(&self, offers: Value) -> Result<Authorized, Declined> {
        quote(Arc::new(challenge(offers)), &asker(), NOBODY, &self.means())?
            .reserve(NOBODY, &self.means())?
            .authorize(&self.wallet)
    }

    /// How many atomic units of USDC would still fit, in steps of 1,000.
    fn free_units(&self) -> u64 {
        let offer = challenge(json!([usdc("1")])).offers.remove(0);
        let fits = |units: &u64| {
            let intent = Intent {
                host: "a.example:443".into(),
                payee: offer.payee.clone(),
                network: offer.network.clone(),
                asset: offer.asset.clone(),
                amount: Amount::from(*units),
                lasting: false,
                channel: None,
                purchase: None,
                now_s: 0,
            };
            self.ledger.check(self.policy.budgets(), &intent).is_ok()
        };
        (0..=100).rev().map(|thousands| thousands * 1000).find(fits).unwrap()
    }
}

fn usdc(amount: &str) -> Value {
    json!({
        "scheme": "exact", "network": "eip155:84532", "amount": amount, "payTo": PAYEE, "maxTimeoutSeconds": 60,
        "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "extra": {"name": "USDC", "version": "2"},
    })
}

fn challenge(offers: Value) -> Challenge {
    let body = json!({"x402Version": 2, "resource": {"url": "https://a.example/"}, "accepts": offers});
    Challenge::parse(None, body.to_string().as_bytes()).unwrap()
}

fn asker() -> crate::policy::Asker {
    crate::policy::Asker {
        host: "a.example".into(),
        port: 443,
        https: true,
        loopback: false,
        redirected_from: None,
        method: "GET".into(),
        url: "https://a.example/".into(),
    }
}

fn receipt(success: bool) -> Option<Result<Receipt, String>> {
    read_receipt(&json!({
        "success": success, "transaction": "0xabc", "network": "eip155:84532", "errorReason": "settlement_pending",
    }))
}

fn read_receipt(json: &Value) -> Option<Result<Receipt, String>> {
    use base64::Engine;
    let header = base64::engine::general_purpose::STANDARD.encode(json.to_string());
    Receipt::parse(Some(header.as_bytes()), None).map(|receipt| receipt.map_err(|e: ReceiptError| e.to_string()))
}

#[test]
fn a_settled_payment_is_paid_and_keeps_its_amount() {
    let bench = Bench::new("0.10 USD", 32);
    let authorized = bench.authorize(json!([usdc("10000")])).ok().unwrap();
    assert_eq!(authorized.header().0, "PAYMENT-SIGNATURE");
    let payment = authorized.send().answered(200, receipt(true), None);
    assert_eq!((payment.money(), payment.transaction(), payment.amount()), (Money::Paid, "0xabc", "10000"));
    assert_eq!(bench.free_units(), 90_000);
    let json: Value = serde_json::from_str(payment.json()).unwrap();
    assert_eq!((&json["money"], &json["receipt"]["success"]), (&json!("paid"), &json!(true)));
}

#[test]
fn without_a_receipt_that_says_paid_the_outcome_is_unknown_and_counts() {
    let bench = Bench::new("0.10 USD", 32 * 5);
    let lost = Error::new(crate::error::Status::ConnectionLost, "gone");
    let ends: [fn(Sent, &Error) -> Payment; 5] = [
        |sent, _| sent.answered(200, None, None),
        |sent, _| sent.answered(402, receipt(false), None),
        |sent, _| sent.answered(200, Some(Err("success is a string".into())), None),
        |sent, _| sent.answered(500, None, None),
        |sent, error| sent.lost(error),
    ];
    for (at, end) in ends.iter().enumerate() {
        let payment = end(bench.authorize(json!([usdc("10000")])).ok().unwrap().send(), &lost);
        assert_eq!(payment.money(), Money::Unknown, "end {at}");
        assert_eq!(payment.retry(), Retry::SameBytes, "end {at}");
        assert_eq!(bench.free_units(), 100_000 - 10_000 * (at as u64 + 1));
    }
}

#[test]
fn a_settlement_that_failed_says_why() {
    let bench = Bench::new("0.10 USD", 32);
    let payment = bench.authorize(json!([usdc("10000")])).ok().unwrap().send().answered(402, receipt(false), None);
    assert_eq!(payment.refusal(), "settlement_pending");
}

#[test]
fn a_payment_that_never_left_is_unpaid_and_frees_its_amount() {
    let bench = Bench::new("0.01 USD", 32);
    let payment = bench.authorize(json!([usdc("10000")])).ok().unwrap().never_sent();
    assert_eq!((payment.money(), payment.retry()), (Money::Unpaid, Retry::Safe));
    assert_eq!(bench.free_units(), 10_000);
}

#[test]
fn a_signed_payment_that_is_dropped_keeps_its_amount() {
    let bench = Bench::new("0.01 USD", 32);
    drop(bench.authorize(json!([usdc("10000")])).ok().unwrap());
    assert_eq!(bench.free_units(), 0);
}

#[test]
fn a_signer_that_fails_gives_the_amount_back_and_says_why() {
    let bench = Bench::new("0.01 USD", 31);
    let declined = bench.authorize(json!([usdc("10000")])).err().unwrap();
    assert!(declined.payment().refusal().contains("signing failed"), "{}", declined.payment().refusal());
    assert_eq!(declined.payment().money(), Money::Refused);
    assert_eq!(bench.free_units(), 10_000);
}

#[test]
fn every_offer_leaves_its_reason_in_the_servers_order() {
    let bench = Bench::new("0.01 USD", 32);
    let mut solana = usdc("1");
    solana["network"] = json!("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp");
    let mut float = usdc("1");
    float["amount"] = json!(1.5);
    let declined = bench.authorize(json!([usdc("20000"), float, solana, usdc("2000000")])).err().unwrap();
    let payment = declined.payment();
    let lines: Vec<&str> = payment.refusal().lines().collect();
    assert_eq!(lines.len(), 4, "{}", payment.refusal());
    for (line, part) in lines.iter().zip(["budget", "amount", "solana", "max_per_payment"]) {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(payment.amount(), "20000", "the nearest offer");
}

#[test]
fn the_next_offer_is_taken_when_the_best_does_not_fit_the_budget() {
    let mut bench = Bench::new("0.01 USD", 32);
    bench.policy.prefer("network", "eip155:84532").unwrap();
    let mut cheap = usdc("5000");
    cheap["network"] = json!("eip155:8453");
    cheap["asset"] = json!("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913");
    cheap["extra"] = json!({"name": "USD Coin", "version": "2"});
    let authorized = bench.authorize(json!([usdc("20000"), cheap])).ok().unwrap();
    assert_eq!((authorized.payment().amount(), authorized.payment().network()), ("5000", "eip155:8453"));
    assert!(authorized.payment().clone().noted(String::new()).json().contains("refusals"));
}

#[test]
fn the_approve_callback_sees_what_will_be_signed_and_its_word_is_last() {
    let mut bench = Bench::new("0.10 USD", 32);
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    bench.policy.approve(Arc::new(move |json| {
        kept.lock().unwrap().push(serde_json::from_str::<Value>(json).unwrap());
        7
    }));
    let mut offer = usdc("10000");
    offer["extra"]["paymentFlow"] = json!("authorization");
    let declined = bench.authorize(json!([offer])).err().unwrap();
    assert!(declined.payment().refusal().contains("refused with 7"));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (&seen[0]["amount"], &seen[0]["payee"], &seen[0]["usd"]),
        (&json!("10000"), &json!(PAYEE), &json!("0.01"))
    );
    assert_eq!(bench.free_units(), 100_000);
}

#[test]
fn what_a_server_took_is_told_and_changes_nothing() {
    let receipt = |amount: &str| {
        let receipt = json!({"success": true, "transaction": "0xabc", "network": "eip155:84532", "amount": amount});
        read_receipt(&receipt).unwrap()
    };
    for (taken, charged, noted) in
        [("1", json!("1"), false), ("10000", Value::Null, false), ("10001", Value::Null, true)]
    {
        let bench = Bench::new("0.10 USD", 32);
        let mut offer = usdc("10000");
        offer["scheme"] = json!("upto");
        offer["extra"]["facilitatorAddress"] = json!(PAYEE);
        let sent = bench.authorize(json!([offer])).ok().unwrap().send();
        let payment = sent.answered(200, Some(receipt(taken)), None);
        let json: Value = serde_json::from_str(payment.json()).unwrap();
        assert_eq!((payment.money(), payment.amount(), &json["charged"]), (Money::Paid, "10000", &charged));
        assert_eq!(json["note"].as_str().unwrap_or_default().contains("took 10001"), noted);
        assert_eq!(bench.free_units(), 90_000, "the ceiling counts");
    }
}

#[test]
fn what_comes_after_the_deadline_is_refused_and_the_amount_is_free() {
    for slow_approval in [true, false] {
        let mut bench = Bench::new("0.01 USD", 32);
        let soon = Duration::from_millis(if slow_approval { 20 } else { 0 });
        bench.deadline = Deadline::after(Some(soon), "sign_timeout_ms");
        if slow_approval {
            let deadline = bench.deadline;
            bench.policy.approve(Arc::new(move |_| {
                while deadline.check("").is_ok() {
                    std::thread::yield_now();
                }
                0
            }));
        }
        let payment = bench.authorize(json!([usdc("10000")])).err().unwrap().payment();
        let what = if slow_approval { "the approve callback's word came" } else { "the signature came" };
        for part in [what, "raise sign_timeout_ms"] {
            assert!(payment.refusal().contains(part), "{}", payment.refusal());
        }
        assert_eq!((payment.money(), bench.free_units()), (Money::Refused, 10_000));
    }
}

#[test]
fn a_quote_judges_every_offer_and_holds_nothing() {
    let bench = Bench::new("0.01 USD", 0);
    let text = quote_json(&challenge(json!([usdc("20000"), usdc("10000")])), &asker(), NOBODY, &bench.means());
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["chosen"], json!(1));
    assert_eq!((&json["offers"][0]["verdict"], &json["offers"][1]["verdict"]), (&json!("refused"), &json!("payable")));
    assert_eq!(bench.free_units(), 10_000);
}

#[test]
fn a_quote_tells_what_each_rule_says_to_each_offer() {
    let mut bench = Bench::new("0.01 USD", 0);
    bench.policy.allow("payee", "0x0000000000000000000000000000000000000001").unwrap();
    bench.policy.budget("payee", 3600, "5.00 USD").unwrap();
    bench.policy.approve(Arc::new(|_| panic!("a quote asks nobody")));
    let text = quote_json(&challenge(json!([usdc("2000000")])), &asker(), NOBODY, &bench.means());
    let json: Value = serde_json::from_str(&text).unwrap();
    let rules = json["offers"][0]["rules"].as_array().unwrap();
    let said = |rule: &Value| format!("{} {}", rule["rule"].as_str().unwrap(), rule["verdict"].as_str().unwrap());
    let expected = [
        "plain_http_host allowed",
        "host allowed",
        "network allowed",
        "scheme allowed",
        "payee refused",
        "asset allowed",
        "max_per_payment refused",
        "wallet allowed",
        "budget refused",
        "budget allowed",
        "approve not asked",
    ];
    assert_eq!(rules.iter().map(said).collect::<Vec<_>>(), expected);
    assert_eq!((&rules[8]["scope"], &rules[9]["window_s"]), (&json!("all"), &json!(3600)));
    assert_eq!(json["offers"][0]["reason"], rules[4]["reason"], "the first that refuses");
    assert_eq!((&json["offers"][0]["usd"], &json["chosen"]), (&json!("2.00"), &Value::Null));
}

#[test]
fn the_json_says_what_may_settle_yet_and_which_entry_it_is() {
    let bench = Bench::new("0.10 USD", 32 * 3);
    let lost = Error::new(crate::error::Status::ConnectionLost, "gone");
    type End = fn(Sent, &Error) -> Payment;
    let ends: [(End, &str); 2] =
        [(|sent, error| sent.lost(error), "10000"), (|sent, _| sent.answered(200, receipt(true), None), "0")];
    for (at, (end, at_risk)) in ends.iter().enumerate() {
        let payment = end(bench.authorize(json!([usdc("10000")])).ok().unwrap().send(), &lost);
        let json: Value = serde_json::from_str(payment.json()).unwrap();
        assert_eq!((&json["at_risk"], &json["entry"]), (&json!(at_risk), &json!(at + 1)), "{json}");
        assert_eq!(json["at_risk_usd"], if *at_risk == "0" { Value::Null } else { json!("0.01") });
    }
    let unsent = bench.authorize(json!([usdc("10000")])).ok().unwrap().never_sent();
    assert!(unsent.json().contains(r#""at_risk":"0""#), "{}", unsent.json());
    let declined = bench.authorize(json!([usdc("2000000")])).err().unwrap().payment();
    let json: Value = serde_json::from_str(declined.json()).unwrap();
    assert_eq!((&json["at_risk"], &json["entry"]), (&json!("0"), &Value::Null));
}

#[test]
fn a_purchase_that_may_not_be_repeated_says_what_is_at_risk() {
    let bench = Bench::new("0.10 USD", 32);
    let purchase = Purchase { id: "GET /paid".into(), named: false };
    let once = Identity { purchase: Some(&purchase), rule: RetryRule::Never };
    let terms = Arc::new(challenge(json!([usdc("10000")])));
    let first = quote(terms.clone(), &asker(), once, &bench.means()).ok().unwrap();
    let first = first.reserve(once, &bench.means()).ok().unwrap().authorize(&bench.wallet).ok().unwrap();
    first.send().answered(500, None, None);
    let payment = next(terms, &asker(), once, &bench.means()).err().unwrap().payment();
    let json: Value = serde_json::from_str(payment.json()).unwrap();
    assert_eq!((payment.money(), payment.retry()), (Money::Unknown, Retry::Never));
    let found = (&json["at_risk"], &json["at_risk_usd"], &json["entry"]);
    assert_eq!(found, (&json!("10000"), &json!("0.01"), &json!(1)), "{json}");
}

#[test]
fn a_receipt_that_repeats_the_payment_does_not_reach_the_record() {
    use base64::Engine;
    let bench = Bench::new("0.10 USD", 32);
    let authorized = bench.authorize(json!([usdc("10000")])).ok().unwrap();
    let value = authorized.header().1.to_string();
    let encoding = base64::engine::general_purpose::STANDARD;
    let sent: Value = serde_json::from_slice(&encoding.decode(&value).unwrap()).unwrap();
    let signature = sent["payload"]["signature"].as_str().unwrap().to_string();
    for transaction in [signature.as_str(), &value[..128], "0xabc"] {
        let lie = json!({"success": true, "transaction": transaction, "network": "eip155:84532", "payer": "0x1",
            "extra": {"echo": [sent], "header": value, signature.as_str(): 1}, "amount": "7"});
        let receipt = Receipt::parse(Some(encoding.encode(lie.to_string()).as_bytes()), None).unwrap().unwrap();
        let payment = authorized.payment().clone().settled(receipt);
        let record = format!("{} {} {payment:?}", payment.json(), payment.transaction());
        assert!(!record.contains(&signature[2..]) && !record.contains(&value[..100]), "{record}");
        assert!(record.contains(r#""amount":"7""#) && record.contains("eip155:84532"), "{record}");
    }
}

#[test]
fn a_receipt_of_upto_lowers_what_counts_only_where_the_policy_believes_it() {
    let with_amount = |success: bool| {
        use base64::Engine;
        let json = json!({"success": success, "transaction": "0xabc", "network": "eip155:84532", "amount": "2000"});
        let header = base64::engine::general_purpose::STANDARD.encode(json.to_string());
        Receipt::parse(Some(header.as_bytes()), None).map(|receipt| receipt.map_err(|e: ReceiptError| e.to_string()))
    };
    for (believes, success, free) in [(false, true, 90_000), (true, true, 98_000), (true, false, 90_000)] {
        let bench = Bench::new("0.10 USD", 32);
        let mut authorized = bench.authorize(json!([usdc("10000")])).ok().unwrap();
        assert!(!authorized.believes, "the scheme is exact");
        authorized.believes = believes;
        authorized.send().answered(200, with_amount(success), None);
        assert_eq!(bench.free_units(), free, "{believes} {success}");
    }
}

#[test]
fn no_record_of_a_payment_holds_what_could_be_presented_again() {
    let bench = Bench::new("0.10 USD", 32);
    let authorized = bench.authorize(json!([usdc("10000")])).ok().unwrap();
    let value = authorized.header().1.to_string();
    let payment = authorized.send().answered(200, receipt(true), None);
    let record = format!("{} {payment:?}", payment.json());
    assert!(!record.contains(&value) && !record.contains("signature"), "{record}");
}

#[test]
fn a_repeat_after_a_lost_answer_carries_the_same_bytes_whatever_the_nonce_source_gives() {
    let bench = Bench::new("0.01 USD", 64);
    let purchase = Purchase { id: "GET /paid".into(), named: false };
    let identity = Identity { purchase: Some(&purchase), rule: RetryRule::Proven };
    let mut terms = challenge(json!([usdc("10000")]));
    let extensions = r#"{"payment-identifier":{"info":{"required":false}}}"#.to_string();
    terms.extensions = serde_json::value::RawValue::from_string(extensions).ok();
    let quoted = quote(Arc::new(terms.clone()), &asker(), identity, &bench.means()).ok().unwrap();
    let first = quoted.reserve(identity, &bench.means()).ok().unwrap().authorize(&bench.wallet).ok().unwrap();
    let bytes = first.header().1.to_string();
    let lost = Error::new(crate::error::Status::ConnectionLost, "gone");
    assert_eq!(first.send().lost(&lost).money(), Money::Unknown);

    let claim = standing(&terms, &asker(), identity, &bench.means()).ok().unwrap().expect("it stands");
    let again = claim.authorize().ok().unwrap();
    assert!(!again.is_first() && again.header().1 == bytes);
    let unsent = again.never_sent();
    assert_eq!((unsent.money(), unsent.retry()), (Money::Unknown, Retry::SameBytes));
    assert_eq!(bench.free_units(), 0);
    let dearer = challenge(json!([usdc("10001")]));
    let declined = standing(&dearer, &asker(), identity, &bench.means()).err().unwrap().payment();
    assert!(declined.refusal().contains("other terms"), "{}", declined.refusal());
    assert_eq!((declined.money(), declined.amount()), (Money::Unknown, "10000"));
}

#[test]
fn a_standing_signature_is_made_again_by_the_key_that_made_it() {
    const OTHER_KEY: &str = "0x0000000000000000000000000000000000000000000000000000000000000001";
    let mut bench = Bench::new("0.02 USD", 64);
    let purchase = Purchase { id: "order-17".into(), named: true };
    let identity = Identity { purchase: Some(&purchase), rule: RetryRule::Proven };
    let terms = Arc::new(challenge(json!([usdc("10000")])));
    let quoted = quote(terms.clone(), &asker(), identity, &bench.means()).ok().unwrap();
    let first = quoted.reserve(identity, &bench.means()).ok().unwrap().authorize(&bench.wallet).ok().unwrap();
    let bytes = first.header().1.to_string();
    let lost = Error::new(crate::error::Status::ConnectionLost, "gone");
    first.send().lost(&lost);

    let mut wallet = Wallet::new();
    wallet.add_evm_key(OTHER_KEY).unwrap();
    bench.wallet = wallet.clone();
    let refused = standing(&terms, &asker(), identity, &bench.means()).err().unwrap().payment();
    assert!(refused.refusal().contains("whose key the wallet does not hold"), "{}", refused.refusal());
    assert_eq!((refused.money(), bench.free_units()), (Money::Unknown, 10_000));

    wallet.add_evm_key(KEY).unwrap();
    bench.wallet = wallet;
    // By the first look at the ledger, and by the one under its lock.
    let stands = standing(&terms, &asker(), identity, &bench.means()).ok().unwrap().expect("it stands");
    assert!(stands.authorize().ok().unwrap().header().1 == bytes);
    let quoted = quote(terms, &asker(), identity, &bench.means()).ok().unwrap();
    let again = quoted.reserve(identity, &bench.means()).ok().unwrap().authorize(&bench.wallet).ok().unwrap();
    assert!(!again.is_first() && again.header().1 == bytes);
    assert_eq!(bench.free_units(), 10_000);
}

fn by_channel() -> Value {
    let mut offer = usdc("10000");
    offer["scheme"] = json!("batch-settlement");
    offer["extra"]["receiverAuthorizer"] = json!(PAYEE);
    offer
}

#[test]
fn a_deposit_counts_and_is_at_risk_until_a_receipt_says_paid() {
    let mut bench = Bench::new("0.10 USD", 96);
    let refused = bench.authorize(json!([by_channel()])).err().unwrap().payment();
    assert!(refused.refusal().contains("allow deposit"), "{}", refused.refusal());
    bench.policy.allow("deposit", "0.03 USD").unwrap();
    let authorized = bench.authorize(json!([by_channel()])).ok().unwrap();
    let told: Value = serde_json::from_str(authorized.payment().json()).unwrap();
    assert_eq!(
        (&told["amount"], &told["deposit"], &told["at_risk"]),
        (&json!("10000"), &json!("30000"), &json!("30000"))
    );
    assert_eq!(
        (&told["usd"], &told["at_risk_usd"], &told["claimable"]),
        (&json!("0.01"), &json!("0.03"), &json!("10000"))
    );
    assert_eq!(bench.free_units(), 70_000);
    authorized.send().answered(200, receipt(true), None);
    let voucher = bench.authorize(json!([by_channel()])).ok().unwrap();
    let told: Value = serde_json::from_str(voucher.payment().json()).unwrap();
    assert_eq!(
        (&told["deposit"], &told["at_risk"], &told["claimable"]),
        (&json!("0"), &json!("10000"), &json!("20000"))
    );
    assert_eq!(bench.free_units(), 70_000, "it counted with the deposit");
    let left = voucher.never_sent();
    assert_eq!((left.money(), bench.free_units()), (Money::Unpaid, 70_000));
}

#[test]
fn a_quote_of_an_offer_by_channel_says_what_a_payment_would_meet() {
    let mut bench = Bench::new("0.009 USD", 0);
    let rules = |bench: &Bench| -> Vec<Value> {
        let text = quote_json(&challenge(json!([by_channel()])), &asker(), NOBODY, &bench.means());
        let json: Value = serde_json::from_str(&text).unwrap();
        json["offers"][0]["rules"].as_array().unwrap().clone()
    };
    let of = |rules: &[Value], name: &str| rules.iter().find(|rule| rule["rule"] == name).unwrap().clone();
    assert_eq!(of(&rules(&bench), "deposit")["verdict"], "refused");
    bench.policy.allow("deposit", "0.05 USD").unwrap();
    let rules = rules(&bench);
    assert_eq!(of(&rules, "deposit")["verdict"], "allowed");
    let reason = of(&rules, "budget")["reason"].as_str().unwrap().to_string();
    assert!(reason.contains("the deposit asks 0.01 USD"), "{reason}");
}

#[test]
fn the_approve_callback_is_told_that_money_may_be_deposited() {
    let mut bench = Bench::new("0.10 USD", 64);
    bench.policy.allow("deposit", "0.05 USD").unwrap();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    bench.policy.approve(Arc::new(move |json| {
        kept.lock().unwrap().push(serde_json::from_str::<Value>(json).unwrap()["deposit_max"].clone());
        0
    }));
    bench.authorize(json!([by_channel()])).ok().unwrap().send().answered(200, receipt(true), None);
    bench.authorize(json!([by_channel()])).ok().unwrap().send().answered(200, receipt(true), None);
    assert_eq!(*seen.lock().unwrap(), [json!("50000"), Value::Null]);
}

#[test]
fn a_second_claim_is_another_voucher_and_elsewhere_only_if_the_first_gave_nothing() {
    let mut bench = Bench::new("1.00 USD", 224);
    bench.policy.allow("deposit", "0.05 USD").unwrap();
    let offers = || json!([by_channel()]);
    let claim = || quote(Arc::new(challenge(offers())), &asker(), NOBODY, &bench.means()).ok().unwrap();
    let claim = || claim().reserve(NOBODY, &bench.means()).ok().unwrap();
    let why = |claim: Result<Claim, Declined>| claim.err().unwrap().payment().refusal().to_string();
    let lost = || Error::new(Status::ConnectionLost, "a test");

    let fresh = bench.authorize(offers()).ok().unwrap();
    let former = fresh.payment().clone();
    fresh.send().lost(&lost());
    assert!(why(claim().unlike(&former)).contains("proves nothing"), "the same voucher once more");
    let held = bench.authorize(offers()).ok().unwrap();
    assert!(why(claim().unlike(&former)).contains("took the channel"));
    assert!(held.payment().draw().unwrap().gives_nothing() && !former.draw().unwrap().gives_nothing());
    assert!(claim().unlike(held.payment()).is_ok());
    held.send().answered(200, receipt(true), None);
    assert!(claim().unlike(&former).is_ok(), "the next voucher of the same channel");
}
