//! Each rule at its edge: what it lets through, what it refuses, and that the refusal names the setter.

use super::*;
use crate::money::Amount;
use crate::protocol::Challenge;
use serde_json::{Value, json};

const BASE_USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

fn offer_with(change: impl FnOnce(&mut Value)) -> Offer {
    let mut accepts = json!({
        "scheme": "exact", "network": "eip155:8453", "amount": "10000", "asset": BASE_USDC, "payTo": PAYEE,
        "maxTimeoutSeconds": 60, "extra": {"name": "USD Coin", "version": "2"},
    });
    change(&mut accepts);
    let body = json!({"x402Version": 2, "resource": {"url": "https://a.example/"}, "accepts": [accepts]});
    let mut challenge = Challenge::parse(None, body.to_string().as_bytes()).unwrap();
    assert!(challenge.malformed.is_empty(), "{:?}", challenge.malformed);
    challenge.offers.remove(0)
}

fn offer(amount: &str) -> Offer {
    offer_with(|accepts| accepts["amount"] = json!(amount))
}

fn asker(host: &str) -> Asker {
    Asker {
        host: host.into(),
        port: 443,
        https: true,
        loopback: false,
        redirected_from: None,
        method: "GET".into(),
        url: format!("https://{host}/"),
    }
}

fn refusal(policy: &Policy, asker: &Asker, offer: &Offer) -> String {
    policy.check(asker, offer).expect_err("the policy let it through")
}

#[test]
fn the_default_allows_one_dollar_and_not_an_atomic_unit_more() {
    let policy = Policy::new().unwrap();
    assert_eq!(policy.check(&asker("a.example"), &offer("1000000")), Ok(()));
    let reason = refusal(&policy, &asker("a.example"), &offer("1000001"));
    assert!(reason.contains("1.000001 USD") && reason.contains("max_per_payment"), "{reason}");
    assert_eq!(policy.budgets()[0].limit, Price::parse("10 USD").unwrap());
}

#[test]
fn plain_http_is_paid_on_this_machine_or_where_it_was_allowed() {
    let mut policy = Policy::new().unwrap();
    let http = Asker { https: false, ..asker("a.example") };
    assert!(refusal(&policy, &http, &offer("1")).contains("plain_http_host \"a.example\""));
    assert_eq!(policy.check(&Asker { loopback: true, ..http.clone() }, &offer("1")), Ok(()));
    policy.allow("plain_http_host", "a.example").unwrap();
    assert_eq!(policy.check(&http, &offer("1")), Ok(()));
    let other = Asker { host: "b.example".into(), ..http };
    assert!(policy.check(&other, &offer("1")).is_err());
}

#[test]
fn who_was_reached_by_a_redirect_is_not_paid_unless_allowed() {
    let mut policy = Policy::new().unwrap();
    let moved = Asker { redirected_from: Some("https://a.example".into()), ..asker("b.example") };
    assert!(refusal(&policy, &moved, &offer("1")).contains("allow host \"b.example\""));
    policy.allow("host", "*.other.example").unwrap();
    assert!(policy.check(&moved, &offer("1")).is_err());
    policy.allow("host", "b.example:443").unwrap();
    assert_eq!(policy.check(&moved, &offer("1")), Ok(()));
}

#[test]
fn each_list_forbids_what_it_does_not_name() {
    for (what, pattern, fits) in [
        ("network", "eip155:1", false),
        ("network", "eip155:*", true),
        ("scheme", "upto", false),
        ("scheme", "exact", true),
        ("payee", "0x0000000000000000000000000000000000000001", false),
        ("payee", &PAYEE.to_lowercase(), true),
        ("host", "b.example", false),
        ("host", "*", true),
        ("asset", "USDT0", false),
        ("asset", "USDC", true),
        ("asset", "eip155:8453/erc20:0x833589fcd6edb6e08f4c7c32d4f71b54bda02913", true),
    ] {
        let mut policy = Policy::new().unwrap();
        policy.allow(what, pattern).unwrap();
        let verdict = policy.check(&asker("a.example"), &offer("1"));
        assert_eq!(verdict.is_ok(), fits, "{what} {pattern}: {verdict:?}");
        if let Err(reason) = verdict {
            assert!(reason.contains(&format!("allow {what}")), "{reason}");
        }
    }
}

#[test]
fn receipts_are_believed_only_of_upto_and_only_when_that_was_said() {
    let mut policy = Policy::new().unwrap();
    assert!(!policy.believes_receipts("upto"));
    for bad in ["exact", "*", "up*"] {
        let error = policy.allow("receipt", bad).unwrap_err();
        assert!(error.status == Status::Pattern && error.message.contains("upto"), "{}", error.message);
    }
    policy.allow("receipt", "upto").unwrap();
    assert!(policy.believes_receipts("upto") && !policy.believes_receipts("exact"));
    assert_eq!(policy.check(&asker("a.example"), &offer("1")), Ok(()), "it forbids nothing");
}

#[test]
fn an_unknown_asset_needs_leave_a_limit_and_a_budget() {
    let token = "0x00000000000000000000000000000000000000A1";
    let unknown = offer_with(|accepts| {
        accepts["asset"] = json!(token.to_lowercase());
        accepts["extra"] = json!({"name": "USD Coin", "version": "2"});
    });
    let caip = format!("eip155:8453/erc20:{token}");
    let mut policy = Policy::new().unwrap();
    assert!(refusal(&policy, &asker("a"), &unknown).contains("allow asset"));
    policy.allow("asset", &caip).unwrap();
    assert!(refusal(&policy, &asker("a"), &unknown).contains("max_per_payment"));
    policy.max_per_payment(&format!("10000 {caip}")).unwrap();
    assert!(refusal(&policy, &asker("a"), &unknown).contains("budget"));
    policy.budget("all", 0, &format!("20000 {caip}")).unwrap();
    assert_eq!(policy.check(&asker("a"), &unknown), Ok(()));
    let dearer = Offer { amount: Amount::from(10_001), ..unknown };
    assert!(refusal(&policy, &asker("a"), &dearer).contains("10000"));
}

#[test]
fn a_token_that_only_calls_itself_usdc_is_not_usdc() {
    let impostor = offer_with(|accepts| accepts["asset"] = json!("0x00000000000000000000000000000000000000a1"));
    let mut policy = Policy::new().unwrap();
    policy.allow("asset", "USDC").unwrap();
    assert!(policy.check(&asker("a"), &impostor).is_err());
}

#[test]
fn preferences_weigh_in_the_order_they_were_given_then_the_price() {
    let cheap = offer_with(|accepts| accepts["amount"] = json!("1"));
    let sepolia = Offer {
        index: 1,
        ..offer_with(|accepts| {
            accepts["network"] = json!("eip155:84532");
            accepts["asset"] = json!("0x036CbD53842c5426634e7929541eC2318f3dCF7e");
            accepts["extra"] = json!({"name": "USDC", "version": "2"});
        })
    };
    let upfront = Offer { index: 2, ..offer_with(|accepts| accepts["extra"]["paymentFlow"] = json!("upfront")) };
    let mut policy = Policy::new().unwrap();
    assert!(policy.rank(&cheap) < policy.rank(&sepolia));
    assert!(policy.rank(&sepolia) < policy.rank(&upfront));
    policy.prefer("network", "eip155:84532").unwrap();
    policy.prefer("network", "eip155:8453").unwrap();
    assert!(policy.rank(&sepolia) < policy.rank(&cheap));
}

#[test]
fn a_setter_replaces_its_own_unit_and_names_what_it_cannot_read() {
    let mut policy = Policy::new().unwrap();
    policy.max_per_payment("0.02 USD").unwrap();
    policy.max_per_payment("5.00 USD").unwrap();
    assert_eq!(policy.check(&asker("a"), &offer("5000000")), Ok(()));
    policy.budget("all", 0, "1 USD").unwrap();
    policy.budget("host", 60, "1 USD").unwrap();
    assert_eq!(policy.budgets().len(), 2);
    for (outcome, part) in [
        (policy.budget("galaxy", 0, "1 USD"), "galaxy"),
        (policy.allow("colour", "red"), "colour"),
        (policy.prefer("payee", "*"), "payee"),
        (policy.max_per_payment("1"), "0.10 USD"),
    ] {
        let error = outcome.unwrap_err();
        assert!(error.message.contains(part), "{}", error.message);
    }
}

/// In whatever order a server lists its offers, the same one is chosen; only among equals does its order count.
#[test]
fn the_choice_does_not_depend_on_the_servers_order() {
    let mut policy = Policy::new().unwrap();
    policy.prefer("scheme", "ex*").unwrap();
    policy.prefer("network", "eip155:8*").unwrap();
    let make = |scheme: &str, network: &str, amount: &str| {
        offer_with(|accepts| {
            (accepts["scheme"], accepts["network"], accepts["amount"]) = (json!(scheme), json!(network), json!(amount))
        })
    };
    // Best first: the scheme weighs more than the network, and both more than the price.
    let sorted = [
        make("exact", "eip155:8453", "100"),
        make("exact", "eip155:8453", "200"),
        make("exact", "eip155:137", "1"),
        make("upto", "eip155:8453", "1"),
        make("upto", "eip155:137", "2"),
    ];
    let mut state = 0x9e37_79b9_u64;
    for _ in 0..200 {
        let mut offers = sorted.to_vec();
        for at in (1..offers.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            offers.swap(at, (state >> 33) as usize % (at + 1));
        }
        offers.iter_mut().enumerate().for_each(|(index, offer)| offer.index = index);
        offers.sort_by_key(|offer| policy.rank(offer));
        let order = |offers: &[Offer]| offers.iter().map(|offer| offer.raw.clone()).collect::<Vec<_>>();
        assert_eq!(order(&offers), order(&sorted));
    }
    let (mut first, mut second) = (sorted[0].clone(), sorted[0].clone());
    (first.index, second.index) = (0, 1);
    assert!(policy.rank(&first) < policy.rank(&second));
}

#[test]
fn a_deposit_needs_consent_which_is_an_amount() {
    let channel = |amount: &str| {
        offer_with(|accepts| {
            accepts["scheme"] = json!("batch-settlement");
            accepts["amount"] = json!(amount);
        })
    };
    let mut policy = Policy::new().unwrap();
    let reason = refusal(&policy, &asker("a"), &channel("10000"));
    assert!(reason.contains("allow deposit") && reason.contains(BASE_USDC), "{reason}");
    assert_eq!((policy.check(&asker("a"), &offer("10000")), policy.deposit_max(&channel("1"))), (Ok(()), None));
    for bad in ["", "unlimited", "*", "-1 USD"] {
        assert_eq!(policy.allow("deposit", bad).unwrap_err().status, Status::Amount, "{bad:?}");
    }
    policy.allow("deposit", "5.0000009 USD").unwrap();
    assert_eq!(policy.check(&asker("a"), &channel("10000")), Ok(()));
    assert_eq!(policy.deposit_max(&channel("1")), Some(Amount::from(5_000_000)), "rounded down");
    assert!(refusal(&policy, &asker("a"), &channel("1000001")).contains("max_per_payment"));
    policy.allow("deposit", "2 USD").unwrap();
    assert_eq!(policy.deposit_max(&channel("1")), Some(Amount::from(2_000_000)));
    policy.allow("deposit", &format!("7 eip155:8453/erc20:{BASE_USDC}")).unwrap();
    assert_eq!(policy.deposit_max(&channel("1")), Some(Amount::from(7)), "the asset's own units before dollars");
    let unknown = Offer { asset: "0x00000000000000000000000000000000000000a1".into(), ..channel("1") };
    assert_eq!(policy.deposit_max(&unknown), None);
    assert!(policy.prefer("deposit", "1 USD").is_err());
}

#[test]
fn at_one_price_an_offer_without_a_deposit_comes_first_and_a_preference_before_both() {
    let (exact, channel) = (offer("1"), offer_with(|accepts| accepts["amount"] = json!("1")));
    let channel = Offer { scheme: "batch-settlement".into(), index: 0, ..channel };
    let exact = Offer { index: 1, ..exact };
    let mut policy = Policy::new().unwrap();
    let first = |policy: &Policy, deposits| policy.rank(&channel).with_deposit(deposits) < policy.rank(&exact);
    assert_eq!((first(&policy, true), first(&policy, false)), (false, true));
    policy.prefer("scheme", "batch-*").unwrap();
    assert!(first(&policy, true));
}
