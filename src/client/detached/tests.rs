//! Payments without our sockets: what is signed and what is not, what counts, and what an answer makes of it.

use super::*;
use crate::client::Config;
use crate::error::{Money, Retry};
use crate::ledger::Ledger;
use crate::policy::Policy;
use crate::wallet::Wallet;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::sync::Mutex;

/// As a caller has them from another HTTP client.
type Header = (String, Vec<u8>);

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const URL: &str = "https://api.example/report?key=hidden";

fn client_with(config: impl FnOnce(&mut Config), policy: impl FnOnce(&mut Policy)) -> Client {
    let (mut wallet, mut rules, mut all) = (Wallet::new(), Policy::new().unwrap(), Config::new().unwrap());
    wallet.add_evm_key(KEY).unwrap();
    policy(&mut rules);
    all.wallet(&wallet);
    all.policy(&rules);
    config(&mut all);
    Client::new(&all).unwrap()
}

fn client() -> Client {
    client_with(|_| {}, |_| {})
}

const NO_HEADERS: &[Header] = &[];

fn header(name: &str, value: &Value) -> Header {
    (name.to_string(), BASE64.encode(value.to_string()).into_bytes())
}

fn offer(amount: &str) -> Value {
    json!({"scheme": "exact", "network": "eip155:84532", "amount": amount, "payTo":
        "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"}})
}

fn asking(accepts: Value) -> Vec<Header> {
    let resource = json!({"url": URL});
    vec![header("Payment-Required", &json!({"x402Version": 2, "resource": resource, "accepts": accepts}))]
}

fn receipt(success: bool) -> Header {
    let reason = if success { Value::Null } else { "insufficient_funds".into() };
    let value = json!({"success": success, "transaction": if success { "0xabc" } else { "" }, "network": "eip155:84532",
        "errorReason": reason});
    header("PAYMENT-RESPONSE", &value)
}

fn pay(client: &Client, headers: &[Header]) -> Result<Detached, Failure> {
    client.pay("GET", URL, 402, headers, b"")
}

/// The failure's status, its money, and the whole refusal.
fn refused(outcome: Result<Detached, Failure>) -> (Status, Money, String) {
    let failure = outcome.unwrap_err();
    assert_eq!(failure.error.money, failure.payment.as_ref().map_or(Money::None, Payment::money));
    let refusal = failure.payment.map(|payment| payment.refusal().to_string()).unwrap_or_default();
    (failure.error.status, failure.error.money, refusal)
}

#[test]
fn a_payment_is_unknown_until_its_answer_is_read_and_paid_by_a_receipt_alone() {
    let client = client();
    for (status, headers, money, transaction) in [
        (200, vec![receipt(true)], Money::Paid, "0xabc"),
        (500, vec![receipt(true)], Money::Paid, "0xabc"),
        (200, vec![], Money::Unknown, ""),
        (200, vec![("payment-response".to_string(), b"%%%".to_vec())], Money::Unknown, ""),
        (402, vec![receipt(false)], Money::Unknown, ""),
        (502, vec![], Money::Unknown, ""),
    ] {
        let mut payment = pay(&client, &asking(json!([offer("10000")]))).unwrap();
        assert_eq!((payment.payment().money(), payment.payment().amount()), (Money::Unknown, "10000"));
        assert_eq!(payment.header().unwrap().0, "PAYMENT-SIGNATURE");
        let settled = payment.settle(status, &headers).unwrap();
        assert_eq!((settled.money(), settled.transaction()), (money, transaction), "{status} {headers:?}");
        assert!(payment.header().is_none());
    }
}

#[test]
fn what_the_server_says_of_a_payment_is_kept() {
    let client = client();
    let mut payment = pay(&client, &asking(json!([offer("10000")]))).unwrap();
    let again = header("PAYMENT-REQUIRED", &json!({"x402Version": 2, "error": "nonce_used", "accepts": []}));
    assert_eq!(payment.settle(402, &[again]).unwrap().refusal(), "nonce_used");
    let mut payment = pay(&client, &asking(json!([offer("10000")]))).unwrap();
    assert_eq!(payment.settle(402, &[receipt(false)]).unwrap().refusal(), "insufficient_funds");
}

#[test]
fn an_answer_is_read_once_and_no_interim_one_is_it() {
    let mut payment = pay(&client(), &asking(json!([offer("10000")]))).unwrap();
    for status in [0, 100, 103, 1000] {
        let error = payment.settle(status, &[receipt(true)]).unwrap_err();
        assert_eq!((error.status, error.money), (Status::Argument, Money::Unknown), "{status}");
    }
    assert_eq!(payment.settle(200, &[receipt(true)]).unwrap().money(), Money::Paid);
    let error = payment.settle(402, &[receipt(false)]).unwrap_err();
    assert_eq!((error.status, error.money), (Status::Argument, Money::Paid));
    assert_eq!(payment.payment().money(), Money::Paid);
}

#[test]
fn nothing_is_signed_where_nothing_may_be_paid() {
    let terms = asking(json!([offer("10000")]));
    let twice = [terms.clone(), terms.clone()].concat();
    let bad = vec![("payment-required".to_string(), b"!".to_vec())];
    let cases = [
        ("policy", asking(json!([offer("1000001"), offer("2000000")])), Status::Refused, Money::Refused),
        ("no offer", asking(json!([])), Status::Refused, Money::Refused),
        ("an offer that is malformed", asking(json!([offer("1e4")])), Status::Refused, Money::Refused),
        ("two challenges", twice, Status::Challenge, Money::Refused),
        ("no challenge", vec![], Status::Challenge, Money::None),
        ("a broken challenge", bad, Status::Challenge, Money::Refused),
        ("an answer to a payment", [terms.clone(), vec![receipt(false)]].concat(), Status::Refused, Money::Refused),
    ];
    let client = client_with(|_| {}, |policy| policy.budget("all", 0, "0.01 USD").unwrap());
    for (what, headers, status, money) in cases {
        let (got, got_money, refusal) = refused(pay(&client, &headers));
        assert_eq!((got, got_money), (status, money), "{what}: {refusal}");
        assert!(!refusal.is_empty(), "{what}");
        assert_eq!(refusal.lines().count(), if what == "policy" { 2 } else { 1 }, "{what}: {refusal}");
    }
    assert_eq!(refused(client.pay("GET", URL, 200, &terms, b"")).0, Status::Argument);
    assert_eq!(refused(client.pay("GET", "ftp://x/", 402, &terms, b"")).0, Status::Url);
    assert_eq!(refused(client.pay("G T", URL, 402, &terms, b"")).0, Status::Method);
    // None of these took anything from a budget that is enough for one payment.
    assert!(pay(&client, &terms).is_ok());
}

#[test]
fn the_channel_is_judged_by_the_url_alone() {
    let terms = asking(json!([offer("10000")]));
    let through = |key: &'static str, value: &'static str| client_with(move |c| c.set(key, value).unwrap(), |_| {});
    let plain = client();
    assert!(plain.pay("GET", "http://127.0.0.1:1/", 402, &terms, b"").is_ok());
    assert!(plain.pay("GET", "http://[::1]/", 402, &terms, b"").is_ok());
    for (client, url) in [
        (plain, "http://api.example/"),
        // Neither says anything of how the caller's own client got there.
        (through("unix_socket", "/run/x.sock"), "http://api.example/"),
        (through("proxy", "http://127.0.0.1:1"), "http://127.0.0.1:2/"),
    ] {
        let (status, _, refusal) = refused(client.pay("GET", url, 402, &terms, b""));
        assert_eq!(status, Status::Refused, "{url}");
        assert!(refusal.contains("plain http"), "{url}: {refusal}");
    }
}

#[test]
fn a_payment_that_is_let_go_counts_and_says_so() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    let client = client_with(
        move |config| {
            config.log(Arc::new(move |level, line: &str| log.lock().unwrap().push((level, line.to_string()))))
        },
        |policy| policy.budget("all", 0, "0.02 USD").unwrap(),
    );
    let terms = asking(json!([offer("10000")]));
    let first = pay(&client, &terms).unwrap();
    let value = first.header().unwrap().1.to_string();
    let record = format!("{first:?} {}", first.payment().json());
    drop(first);
    pay(&client, &terms).unwrap().settle(402, &[receipt(false)]).unwrap();
    let (status, money, refusal) = refused(pay(&client, &terms));
    assert_eq!((status, money), (Status::Refused, Money::Refused));
    assert!(refusal.contains("budget"), "{refusal}");
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|(level, line)| *level == 2 && line.contains("let go")), "{lines:?}");
    let told = format!("{record} {lines:?}");
    let decoded: Value = serde_json::from_slice(&BASE64.decode(&value).unwrap()).unwrap();
    let signature = decoded["payload"]["signature"].as_str().unwrap();
    let nonce = decoded["payload"]["authorization"]["nonce"].as_str().unwrap();
    for secret in [&value, signature, nonce, "hidden"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

#[test]
fn a_version_1_server_is_paid_by_its_body() {
    let mut offer = offer("10000");
    let members = offer.as_object_mut().unwrap();
    let amount = members.remove("amount").unwrap();
    members.extend([("maxAmountRequired".to_string(), amount), ("network".to_string(), "base-sepolia".into())]);
    members.extend([("resource".to_string(), URL.into()), ("description".to_string(), "".into())]);
    let body = json!({"x402Version": 1, "error": "pay", "accepts": [offer]}).to_string();
    let mut payment = client().pay("POST", URL, 402, NO_HEADERS, body.as_bytes()).unwrap();
    assert_eq!(payment.header().unwrap().0, "X-PAYMENT");
    let (_, value) = receipt(true);
    assert_eq!(payment.settle(200, &[("X-Payment-Response", value)]).unwrap().money(), Money::Paid);
}

#[test]
fn builder_codes_go_into_the_payment_where_they_are_declared() {
    let client = client_with(|config| config.set("builder_code", "my_app,sdk2").unwrap(), |_| {});
    let declared = json!({"builder-code": {"info": {"a": "app", "s": ["srv"]}}, "other": {"n": 1}});
    for (extensions, expected) in [
        (declared, json!({"builder-code": {"info": {"a": "app", "s": ["my_app", "sdk2", "srv"]}}, "other": {"n": 1}})),
        (json!({"other": {"n": 1}}), json!({"other": {"n": 1}})),
    ] {
        let terms =
            json!({"x402Version": 2, "resource": {"url": URL}, "accepts": [offer("10000")], "extensions": extensions});
        let paid = pay(&client, &[header("Payment-Required", &terms)]).unwrap();
        let sent = BASE64.decode(paid.header().unwrap().1).unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent["extensions"], expected);
    }
}

#[test]
fn a_request_with_a_body_or_a_name_is_known_again_until_it_is_settled() {
    use crate::body::Source;
    let client = client();
    let request = |body: &str, name: Option<&str>| {
        let mut request = Request::new("POST", URL).unwrap();
        request.body(Source::Bytes(body.as_bytes().into()));
        name.into_iter().for_each(|name| request.set("purchase_key", name).unwrap());
        request
    };
    let value = |request: &Request| {
        let paid = client.pay_request(request, 402, &asking(json!([offer("10000")])), b"").unwrap();
        let value = paid.header().unwrap().1.to_string();
        (paid, value)
    };
    let (lost, first) = value(&request("one", None));
    let (held, other_while_held) = value(&request("one", None));
    assert_ne!(first, other_while_held, "two at once are two purchases");
    drop(lost);
    let (mut again, same) = value(&request("one", None));
    assert_eq!(first, same, "let go and not settled, it is presented again");
    assert_ne!(value(&request("two", None)).1, first, "another body is another purchase");
    again.settle(200, &[receipt(true)]).unwrap();
    drop(held);
    let (_, named) = value(&request("one", Some("order 17")));
    assert_eq!(value(&request("two", Some("order 17"))).1, named);
    assert_ne!(value(&request("two", Some("order 18"))).1, named);
    let mut reader = Request::new("POST", URL).unwrap();
    reader.set("retry_policy", "never").unwrap();
    reader.set("purchase_key", "order 17").unwrap();
    let (status, money, refusal) = refused(client.pay_request(&reader, 402, &asking(json!([offer("10000")])), b""));
    assert_eq!((status, money), (Status::Refused, Money::Unknown));
    assert!(refusal.contains("retry_policy never"), "{refusal}");
}

#[test]
fn what_the_server_signed_is_told_with_the_payment() {
    let recorded: Value = serde_json::from_str(include_str!("../../../tests/vectors/extensions-misc.json")).unwrap();
    let statement = &recorded["offer"];
    let mut payload = statement["payload"].clone();
    let mut asked = offer("10000");
    for member in ["network", "asset", "payTo", "amount"] {
        payload[member] = asked[member].clone();
    }
    payload["validUntil"] = json!(0);
    asked["extra"] = json!({"name": "USDC", "version": "2"});
    let offers =
        json!([{"format": "eip712", "acceptIndex": 0, "payload": payload, "signature": statement["signature"]}]);
    let terms = json!({"x402Version": 2, "resource": {"url": payload["resourceUrl"]}, "accepts": [asked],
        "extensions": {"offer-receipt": {"info": {"offers": offers}}}});
    let paid = pay(&client(), &[header("Payment-Required", &terms)]).unwrap();
    let told: Value = serde_json::from_str(paid.payment().json()).unwrap();
    assert_eq!(told["offer_signature"], "unverified");
    assert!(told["offer_signer"].as_str().is_some_and(|signer| signer.starts_with("0x")));
    let plain = pay(&client(), &asking(json!([offer("10000")]))).unwrap();
    assert!(!plain.payment().json().contains("offer_signature"));
}

/// An offer that is paid by a channel; `extra` is what a server says of the channel.
fn channel_offer(extra: &Value) -> Value {
    let mut offer = offer("10000");
    offer["scheme"] = "batch-settlement".into();
    offer["extra"]["receiverAuthorizer"] = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".into();
    for (name, value) in extra.as_object().into_iter().flatten() {
        offer["extra"][name] = value.clone();
    }
    offer
}

/// The payload of a payment's header.
fn payload(paid: &Detached) -> Value {
    let sent: Value = serde_json::from_slice(&BASE64.decode(paid.header().unwrap().1).unwrap()).unwrap();
    sent["payload"].clone()
}

#[test]
fn settling_moves_the_channel_and_a_correction_makes_the_next_payment_another() {
    let ledger = Ledger::in_memory();
    let with_ledger = |config: &mut Config| config.ledger(&ledger);
    let client = client_with(with_ledger, |policy| policy.allow("deposit", "0.05 USD").unwrap());
    let next = || pay(&client, &asking(json!([channel_offer(&json!({}))]))).unwrap();
    let claimable = |paid: &Detached| payload(paid)["voucher"]["maxClaimableAmount"].as_str().unwrap().to_string();
    let mut first = next();
    assert_eq!((payload(&first)["deposit"]["amount"].clone(), claimable(&first)), (json!("50000"), "10000".into()));
    let charged = |amount: &str| {
        header(
            "PAYMENT-RESPONSE",
            &json!({"success": true, "transaction": "0xabc", "network": "eip155:84532",
            "amount": "50000", "extra": {"chargedAmount": amount}}),
        )
    };
    let told: Value = serde_json::from_str(first.settle(200, &[charged("4000")]).unwrap().json()).unwrap();
    assert_eq!((&told["money"], &told["charged"], &told["deposit"]), (&json!("paid"), &json!("4000"), &json!("50000")));
    assert_eq!((&told["amount"], told.get("note")), (&json!("10000"), None));
    // Held payments use channels of their own; those that were let go are unknown and leave theirs.
    let (second, beside) = (next(), next());
    assert_eq!(claimable(&second), "14000");
    assert_ne!(payload(&second)["channelConfig"]["salt"], payload(&beside)["channelConfig"]["salt"]);
    let voucher = payload(&second)["voucher"].clone();
    drop((second, beside));
    let named = |name: &str| {
        let mut request = Request::new("GET", URL).unwrap();
        request.set("purchase_key", name).unwrap();
        let asking = asking(json!([channel_offer(&json!({}))]));
        client.pay_request(&request, 402, &asking, b"").unwrap()
    };
    let mut third = named("order 17");
    assert_eq!(claimable(&third), "14000", "what was lost is not added");
    let state = json!({"channelState": {"chargedCumulativeAmount": "14000"}, "voucherState": {"signedMaxClaimable": "14000",
        "signature": voucher["signature"]}});
    let corrective = json!({"x402Version": 2, "accepts": [channel_offer(&state)],
        "error": "invalid_batch_settlement_evm_cumulative_amount_mismatch"});
    // What he sent twice may have been charged by the first: the same voucher again, and no other.
    let settled = third.settle(402, &[header("Payment-Required", &corrective)]).unwrap();
    assert_eq!((settled.money(), settled.retry()), (Money::Unknown, Retry::SameBytes));
    assert!(!settled.json().contains(voucher["signature"].as_str().unwrap()));
    assert_eq!(claimable(&named("order 17")), "14000");
    let mut fourth = named("order 18");
    assert_eq!(claimable(&fourth), "24000");
    // What the server proves not to have charged it did not charge for any sending of it.
    let state = json!({"channelState": {"chargedCumulativeAmount": "4000"}, "voucherState": {"signedMaxClaimable": "14000",
        "signature": voucher["signature"]}});
    let forgotten = json!({"x402Version": 2, "accepts": [channel_offer(&state)],
        "error": "invalid_batch_settlement_evm_cumulative_amount_mismatch"});
    let settled = fourth.settle(402, &[header("Payment-Required", &forgotten)]).unwrap();
    assert_eq!((settled.money(), settled.retry()), (Money::Unknown, Retry::NewQuote));
    let fifth = named("order 18");
    assert_eq!(claimable(&fifth), "14000");
    let totals = ledger.totals().unwrap();
    assert!(totals.contains(r#""charged":"4000""#) && totals.contains(r#""signed_max":"14000""#), "{totals}");
}
