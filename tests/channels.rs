//! Payment channels over HTTP by many threads and two clients at once, with answers lost, charges lowered and forgotten.
//!
//! After it the payee was never vouched for more than was deposited, the budget holds every deposit, and no purchase that
//! is called paid was charged more than its price. The second test ends one client and begins another with its ledger.

#[path = "support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::thread;
use support::Server;
use x402::client::{Client, Config, Request};
use x402::error::Money;
use x402::ledger::Ledger;
use x402::policy::Policy;
use x402::wallet::Wallet;

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const PRICE: u64 = 10_000;
const THREADS: u64 = 8;
const PURCHASES_EACH: u64 = 20;
const BUDGET: u64 = 3_000_000;

fn client(ledger: &Path) -> Client {
    let (mut wallet, mut policy, mut config) = (Wallet::new(), Policy::new().unwrap(), Config::new().unwrap());
    wallet.add_evm_key(KEY).unwrap();
    policy.allow("deposit", "0.05 USD").unwrap();
    policy.budget("all", 0, "3.00 USD").unwrap();
    config.wallet(&wallet);
    config.policy(&policy);
    config.ledger(&Ledger::open(Some(ledger)).unwrap());
    Client::new(&config).unwrap()
}

fn server(paid: Value) -> Server {
    let extra = json!({"name": "USDC", "version": "2", "withdrawDelay": 900,
        "receiverAuthorizer": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"});
    let offer = json!({"scheme": "batch-settlement", "extra": extra});
    let route = json!({"terms": {"offers": [offer]}, "paid": paid, "replayed": "accepted"});
    Server::start(&json!({"routes": {"/paid": route}})).unwrap()
}

/// What one purchase came to: where the money is, and what its JSON says.
fn buy(client: &Client, url: &str) -> (Money, Value) {
    let payment = match client.send(&mut Request::new("GET", url).unwrap()) {
        Ok(mut response) => {
            response.read_all(1 << 20).unwrap();
            response.payment().cloned()
        }
        Err(failure) => failure.payment,
    };
    let payment = payment.expect("every call asks for a payment");
    (payment.money(), serde_json::from_str(payment.json()).unwrap())
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn channels(ledger: &Path) -> (u64, Vec<Value>) {
    let totals: Vec<Value> = serde_json::from_str(&Ledger::open(Some(ledger)).unwrap().totals().unwrap()).unwrap();
    let all = totals.iter().find(|row| row["scope"] == "all").map_or(0, |row| number(&row["amount"]));
    (all, totals.into_iter().filter(|row| row["scope"] == "channel").collect())
}

#[test]
fn many_at_once_vouch_for_no_more_than_was_deposited_and_count_every_deposit() {
    // Each answer in its turn, so that losses and lies fall on whoever comes.
    let script = json!([{}, {"charged": "3000"}, {"fault": "close"}, {}, {"forgets": true}, {}, {"charged": "0"},
        {"fault": "close", "charged": "7000"}, {"status": 500}, {"receipt": "none"}]);
    let script: Vec<Value> = (0..40).flat_map(|_| script.as_array().unwrap().clone()).collect();
    let server = server(json!(script));
    let base = server.expand(&json!("{base}/paid")).as_str().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let clients = [client(&ledger), client(&ledger)];
    let outcomes: Vec<(Money, Value)> = thread::scope(|scope| {
        let worker = |number: u64| {
            let (client, base) = (&clients[number as usize % 2], &base);
            move || -> Vec<_> {
                let url = |purchase| format!("{base}?purchase={number}-{purchase}");
                (0..PURCHASES_EACH).map(|purchase| buy(client, &url(purchase))).collect()
            }
        };
        let workers: Vec<_> = (0..THREADS).map(|number| scope.spawn(worker(number))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let (counted, known) = channels(&ledger);
    let at_server = server.channels();
    let deposited: u64 = at_server.values().map(|(balance, _)| balance).sum();
    assert!(deposited <= counted && counted <= BUDGET, "{deposited} deposited, {counted} counted");
    assert!(known.len() <= 8, "{} channels", known.len());
    for row in &known {
        let (balance, charged) = at_server[row["key"].as_str().unwrap()];
        assert!(charged <= balance, "the server itself checks each voucher against what it holds");
        assert!(number(&row["charged"]) <= number(&row["signed_max"]), "{row}");
        assert!(number(&row["amount"]) <= balance, "only what was deposited is a balance: {row}");
    }
    let paid: Vec<&Value> = outcomes.iter().filter(|(money, _)| *money == Money::Paid).map(|(_, json)| json).collect();
    assert!(paid.len() > 40, "only {} of {} were paid", paid.len(), outcomes.len());
    for json in paid {
        assert!(number(&json["charged"]) <= PRICE, "{json}");
        assert_eq!(number(&json["claimable"]) % 1000, 0);
    }
    assert!(outcomes.iter().all(|(money, _)| matches!(money, Money::Paid | Money::Unknown | Money::Refused)));
}

#[test]
fn another_client_with_the_same_ledger_goes_on_without_a_deposit() {
    let server = server(json!([{}]));
    let url = |purchase: u32| format!("{}?{purchase}", server.expand(&json!("{base}/paid")).as_str().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    for purchase in 0..5 {
        let (money, json) = buy(&client(&ledger), &url(purchase));
        let deposit = if purchase == 0 { "50000" } else { "0" };
        assert_eq!((money, &json["deposit"]), (Money::Paid, &json!(deposit)), "{json}");
    }
    let (counted, known) = channels(&ledger);
    assert_eq!((counted, known.len()), (50_000, 1));
    assert_eq!(["amount", "charged", "signed_max"].map(|name| number(&known[0][name])), [50_000; 3]);
}
