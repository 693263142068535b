//! Terms that come again, terms that only look alike, and what must not be kept.

use super::*;
use crate::client::held::Answer;
use crate::client::response::Received;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};

const OFFER: &str = r#"{
    "scheme": "exact", "network": "eip155:8453", "amount": "1", "maxTimeoutSeconds": 60,
    "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    "extra": {"name": "USDC", "version": "2"}}"#;

fn json(version: u8, url: &str) -> String {
    format!(r#"{{"x402Version":{version},"resource":{{"url":"{url}"}},"accepts":[{OFFER}]}}"#)
}

fn held(headers: &[&str]) -> Held {
    held_with(headers.iter().map(|json| STANDARD.encode(json)).collect(), "")
}

fn held_with(values: Vec<String>, body: &str) -> Held {
    let name = HeaderName::from_static("payment-required");
    let headers = values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap()));
    let body = Box::new(std::io::Cursor::new(body.to_string()));
    let answer = Answer { status: 402, headers: headers.collect(), body, received: Received::of_a_test() };
    Held::read(answer, "https://a.example/".into()).unwrap()
}

fn read(readings: &Readings, json: &str) -> Arc<Challenge> {
    readings.challenge(&held(&[json]), &NetworkNames::NONE).unwrap()
}

#[test]
fn the_same_bytes_are_read_once_and_others_are_not_taken_for_them() {
    let readings = Readings::default();
    let first = read(&readings, &json(2, "https://a.example/x"));
    assert!(Arc::ptr_eq(&first, &read(&readings, &json(2, "https://a.example/x"))));
    let dearer = json(2, "https://a.example/x").replace(r#""amount": "1""#, r#""amount": "2""#);
    let other = read(&readings, &dearer);
    assert_eq!((first.offers[0].amount.to_string(), other.offers[0].amount.to_string()), ("1".into(), "2".into()));
    assert!(Arc::ptr_eq(&first, &read(&readings, &json(2, "https://a.example/x"))));
}

#[test]
fn what_may_hold_a_callers_secret_or_depends_on_settings_is_not_kept() {
    let readings = Readings::default();
    for url in ["https://a.example/x?key=1", r"https://a.example/x\u003fkey=1"] {
        read(&readings, &json(2, url));
    }
    let short = json(1, "https://a.example/x").replace("eip155:8453", "base").replace("amount", "maxAmountRequired");
    read(&readings, &short);
    let long = json(2, &format!("https://a.example/{}", "x".repeat(HEADER_BYTES_MAX)));
    read(&readings, &long);
    assert!(readings.0.lock().unwrap().is_empty());
}

#[test]
fn two_headers_are_a_list_and_no_terms_though_each_is_known() {
    let readings = Readings::default();
    let terms = json(2, "https://a.example/x");
    read(&readings, &terms);
    assert!(readings.challenge(&held(&[&terms, &terms]), &NetworkNames::NONE).is_err());
}

#[test]
fn few_are_kept_and_the_oldest_goes_first() {
    let readings = Readings::default();
    for number in 0..2 * KEPT_MAX {
        read(&readings, &json(2, &format!("https://a.example/{number}")));
    }
    let kept = readings.0.lock().unwrap();
    let urls: Vec<_> = kept.iter().map(|(_, challenge)| challenge.resource_url.clone().unwrap()).collect();
    let newest: Vec<_> = (KEPT_MAX..2 * KEPT_MAX).rev().map(|number| format!("https://a.example/{number}")).collect();
    assert_eq!(urls, newest);
}

#[test]
fn an_empty_header_says_nothing_and_the_body_is_read_each_time() {
    let readings = Readings::default();
    let cheap = json(2, "https://a.example/x");
    let dear = cheap.replace(r#""amount": "1""#, r#""amount": "2""#);
    for (body, amount) in [(&cheap, "1"), (&dear, "2")] {
        let held = held_with(vec![" ".to_string()], body);
        let read = readings.challenge(&held, &NetworkNames::NONE).unwrap();
        assert_eq!(read.offers[0].amount.to_string(), amount);
    }
    assert!(readings.0.lock().unwrap().is_empty());
}
