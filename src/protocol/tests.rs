//! Challenges and receipts as a hostile server would write them.

use super::limits::*;
use super::*;
use crate::money::{Amount, Network};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use serde_json::{Value, json};

const OFFER: &str = concat!(
    r#"{"scheme":"exact","network":"eip155:84532","amount":"10000","#,
    r#""asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","payTo":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C","#,
    r#""maxTimeoutSeconds":60,"extra":{"name":"USDC","version":"2"}}"#,
);

fn challenge_of(offers: &str) -> String {
    format!(r#"{{"x402Version":2,"accepts":[{offers}]}}"#)
}

fn parse_header(json: &str) -> Result<Challenge, ChallengeError> {
    Challenge::parse(Some(STANDARD.encode(json).as_bytes()), b"")
}

fn field_of(parsed: Result<Challenge, ChallengeError>) -> String {
    match parsed {
        Err(ChallengeError::Malformed { field, .. }) => field,
        other => panic!("not malformed: {other:?}"),
    }
}

/// The field for which an offer with this one change is dropped.
fn dropped_for(from: &str, to: &str) -> String {
    assert_eq!(OFFER.matches(from).count(), 1, "{from}");
    let challenge = parse_header(&challenge_of(&OFFER.replace(from, to))).unwrap();
    assert!(challenge.offers.is_empty(), "{to} was read as an offer");
    challenge.malformed[0].field.clone()
}

#[test]
fn depth_is_bounded_wherever_it_hides() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    // The outer object is one level.
    let at_limit = format!(r#"{{"x402Version":2,"accepts":[],"x":{}}}"#, deep(JSON_DEPTH_MAX - 1));
    assert!(parse_header(&at_limit).is_ok());
    let beyond = format!(r#"{{"x402Version":2,"accepts":[],"x":{}}}"#, deep(JSON_DEPTH_MAX));
    assert_eq!(field_of(parse_header(&beyond)), "JSON");
    let unclosed = "{\"a\":".repeat(100_000);
    assert_eq!(field_of(Challenge::parse(None, unclosed.as_bytes())), "JSON");
    let brackets_in_text = format!(r#"{{"x402Version":2,"accepts":[],"error":"\"\\{}"}}"#, "[{".repeat(1000));
    assert!(parse_header(&brackets_in_text).is_ok());
    let receipt = format!(r#"{{"success":true,"transaction":"","network":"n","x":{}}}"#, deep(JSON_DEPTH_MAX));
    let parsed = Receipt::parse(Some(STANDARD.encode(receipt).as_bytes()), None).unwrap();
    assert_eq!(parsed.unwrap_err().field, "JSON");
}

#[test]
fn sizes_are_bounded() {
    let pad = |bytes: usize| " ".repeat(bytes);
    let empty = challenge_of("");
    let fits = format!("{empty}{}", pad(CHALLENGE_HEADER_BYTES_MAX - empty.len()));
    assert!(parse_header(&fits).is_ok());
    assert_eq!(field_of(parse_header(&format!("{fits}{}", pad(3)))), "base64");
    let body = format!(r#"{{"x402Version":1,"accepts":[],"x":"{}"}}"#, "y".repeat(CHALLENGE_BODY_BYTES_MAX));
    assert_eq!(field_of(Challenge::parse(None, body.as_bytes())), "JSON");
    let echo = format!(r#"{{"x402Version":2,"accepts":[],"extensions":{{"a":"{}"}}}}"#, "y".repeat(ECHO_BYTES_MAX));
    assert_eq!(field_of(Challenge::parse(None, echo.as_bytes())), "extensions");
    let error = format!(r#"{{"x402Version":2,"accepts":[],"error":"{}"}}"#, "y".repeat(TEXT_BYTES_MAX + 1));
    assert_eq!(field_of(parse_header(&error)), "error");
    let long = "1".repeat(NAME_BYTES_MAX + 1);
    assert_eq!(dropped_for("10000", &long), "amount");
    assert_eq!(dropped_for("eip155:84532", &format!("eip155:{long}")), "network");
    assert_eq!(dropped_for("exact", &long), "scheme");
}

#[test]
fn offers_are_counted_before_they_are_read() {
    let many = |count: usize| challenge_of(&vec![OFFER; count].join(","));
    assert_eq!(parse_header(&many(OFFERS_MAX)).unwrap().offers.len(), OFFERS_MAX);
    assert_eq!(field_of(parse_header(&many(OFFERS_MAX + 1))), "accepts");
    let zeros = format!(r#"{{"x402Version":1,"accepts":[{}0]}}"#, "0,".repeat(400_000));
    assert_eq!(field_of(Challenge::parse(None, zeros.as_bytes())), "accepts");
}

#[test]
fn one_bad_offer_does_not_hide_the_others() {
    let offers = [&OFFER.replace("10000", "-1"), OFFER, "7", "null", "{}", "[]"].join(",");
    let challenge = parse_header(&challenge_of(&offers)).unwrap();
    assert_eq!(challenge.offers.iter().map(|offer| offer.index).collect::<Vec<_>>(), [1]);
    let fields: Vec<_> = challenge.malformed.iter().map(|bad| (bad.index, bad.field.as_str())).collect();
    assert_eq!(fields, [(0, "amount"), (2, "offer"), (3, "offer"), (4, "scheme"), (5, "offer")]);
    let first = &challenge.malformed[0];
    assert_eq!((first.scheme.as_str(), first.network.as_str()), ("exact", "eip155:84532"));
    assert_eq!(first.to_string(), r#"accepts[0].amount is "-1", but must be decimal digits only"#);
}

#[test]
fn no_field_may_appear_twice() {
    assert_eq!(dropped_for(r#""amount":"10000""#, r#""amount":"10000","amount":"10000""#), "amount");
    assert_eq!(dropped_for(r#""amount":"10000""#, r#""amount":"1","amo\u0075nt":"10000""#), "amount");
    assert_eq!(dropped_for(r#""payTo":"#, r#""payTo":null,"payTo":"#), "payTo");
    assert_eq!(dropped_for(r#""name":"USDC""#, r#""name":"USDC","name":"USDT""#), "extra.name");
    let twice = format!(r#"{{"accepts":[],"x402Version":2,"accepts":[{OFFER}]}}"#);
    assert_eq!(field_of(parse_header(&twice)), "accepts");
    let url = r#"{"x402Version":2,"accepts":[],"resource":{"url":"https://a","url":"https://b"}}"#;
    assert_eq!(field_of(parse_header(url)), "resource.url");
    let receipt = r#"{"success":false,"success":true,"transaction":"","network":"n"}"#;
    let parsed = Receipt::parse(Some(STANDARD.encode(receipt).as_bytes()), None).unwrap();
    assert_eq!(parsed.unwrap_err().field, "success");
    let unread = OFFER.replace(r#""amount""#, r#""later":1,"later":2,"amount""#);
    let challenge = parse_header(&challenge_of(&unread)).unwrap();
    assert_eq!(&*challenge.offers[0].raw, unread, "what is not read is echoed as it came");
}

#[test]
fn a_type_is_never_converted() {
    for timeout in
        ["\"60\"", "60.0", "6e1", "-60", "0", "1e400", "1e20", "100000000000000000000", "true", "null", "[60]"]
    {
        let field = dropped_for(r#""maxTimeoutSeconds":60"#, &format!(r#""maxTimeoutSeconds":{timeout}"#));
        assert_eq!(field, "maxTimeoutSeconds", "{timeout}");
    }
    for amount in ["10000", "1e400", "null", "true", "{}", "\"\"", "\"0x10\"", "\"1e4\"", "\"٣\"", "\"\\ud800\""] {
        assert_eq!(dropped_for(r#""amount":"10000""#, &format!(r#""amount":{amount}"#)), "amount", "{amount}");
    }
    for extra in ["[]", "\"{}\"", "1", "{\"x\":1e400}"] {
        let field = dropped_for(r#""extra":{"name":"USDC","version":"2"}"#, &format!(r#""extra":{extra}"#));
        assert_eq!(field, "extra", "{extra}");
    }
    for version in ["3", "0", "-2", "2.5", "2e0", "1e400", "\"2\"", "null", "true", "[2]"] {
        let json = format!(r#"{{"x402Version":{version},"accepts":[{OFFER}]}}"#);
        assert_eq!(field_of(parse_header(&json)), "x402Version", "{version}");
    }
}

#[test]
fn base64_is_the_standard_alphabet_with_or_without_padding() {
    let json = format!(r#"{{"x402Version":2,"accepts":[{OFFER}],"error":"???>>>~~~"}}"#);
    let (padded, bare) = (STANDARD.encode(&json), STANDARD_NO_PAD.encode(&json));
    assert!(padded.contains(['+', '/']));
    for text in [&padded, &bare, &format!(" {padded}\t")] {
        assert_eq!(Challenge::parse(Some(text.as_bytes()), b"").unwrap().offers.len(), 1);
    }
    let spaced = format!("{} {}", &padded[..8], &padded[8..]);
    for text in [URL_SAFE.encode(&json), spaced, format!("{padded}="), format!("\u{feff}{padded}"), json.clone()] {
        assert_eq!(field_of(Challenge::parse(Some(text.as_bytes()), b"")), "base64", "{text}");
    }
    assert_eq!(field_of(Challenge::parse(Some(STANDARD.encode(b"{\"\xff\":1}").as_bytes()), b"")), "JSON");
    assert_eq!(field_of(Challenge::parse(None, b"{\"x402Version\":1,\"\xff\":1}")), "JSON");
}

#[test]
fn a_broken_header_is_not_followed_by_the_body() {
    let body = challenge_of(OFFER);
    assert!(Challenge::parse(None, body.as_bytes()).is_ok());
    for header in ["!", "e30", &STANDARD.encode(r#"{"x402Version":2}"#)] {
        assert!(matches!(
            Challenge::parse(Some(header.as_bytes()), body.as_bytes()),
            Err(ChallengeError::Malformed { place: "PAYMENT-REQUIRED header", .. })
        ));
    }
}

#[test]
fn a_402_of_another_kind_has_no_terms() {
    let bodies = ["", "{}", "null", "[]", "Pay up!", "<!doctype html>", r#"{"error":"card declined","code":402}"#];
    for body in bodies {
        assert_eq!(Challenge::parse(None, body.as_bytes()).unwrap_err(), ChallengeError::Absent, "{body}");
    }
}

#[test]
fn version_1_names_stand_for_one_chain_or_none() {
    let parse = |network: &str| {
        let offer = OFFER.replace("eip155:84532", network).replace("amount", "maxAmountRequired");
        Challenge::parse(None, format!(r#"{{"x402Version":1,"accepts":[{offer}]}}"#).as_bytes()).unwrap()
    };
    let known = [("base", 8453), ("sepolia", 11_155_111), ("monad-testnet", 10_143), ("flare", 14), ("celo", 42_220)];
    for (name, chain_id) in known {
        let offer = &parse(name).offers[0];
        assert_eq!((offer.network.evm_chain_id(), offer.network_text.as_str()), (Some(chain_id), name));
    }
    assert_eq!(parse("solana").offers[0].network.namespace(), "solana");
    for name in ["story", "educhain", "skale-base-sepolia"] {
        let malformed = &parse(name).malformed[0];
        assert_eq!((malformed.field.as_str(), malformed.network.as_str()), ("network", name));
        assert!(malformed.reason.contains("some clients"), "{malformed}");
    }
    for name in ["", "Base", "eip155:8453", "bitcoin"] {
        assert_eq!(parse(name).malformed[0].field, "network", "{name}");
    }
}

#[test]
fn a_name_means_what_the_caller_says_only_where_nobody_else_does() {
    let names = NetworkNames::parse(" story=eip155:1514  my-chain=eip155:7 ").unwrap();
    let body = |network: &str| {
        let offer = OFFER.replace("eip155:84532", network).replace("amount", "maxAmountRequired");
        format!(r#"{{"x402Version":1,"accepts":[{offer}],"networks":{{"educhain":"eip155:1"}}}}"#)
    };
    for (name, chain_id) in [("story", 1514), ("my-chain", 7), ("base", 8453)] {
        let challenge = Challenge::parse_with(None, body(name).as_bytes(), &names).unwrap();
        let offer = &challenge.offers[0];
        assert_eq!((offer.network.evm_chain_id(), offer.network_text.as_str()), (Some(chain_id), name));
        // What is on record stays readable, and the same, without the setting.
        for recorded in [challenge.terms_of(offer), challenge.lasting_terms()] {
            let again = Challenge::recorded(&recorded).unwrap();
            assert_eq!((&again.offers[0].network, &again.offers[0].raw), (&offer.network, &offer.raw), "{recorded}");
            assert_eq!(recorded.contains("networks"), name != "base", "{recorded}");
        }
    }
    // A server says nothing about names.
    let challenge = Challenge::parse_with(None, body("educhain").as_bytes(), &names).unwrap();
    assert!(challenge.malformed[0].reason.contains("set v1_networks"), "{}", challenge.malformed[0]);
    assert!(challenge.offers.is_empty());
    // Version 2 knows no names.
    let v2 = challenge_of(&OFFER.replace("eip155:84532", "story"));
    assert!(Challenge::parse_with(None, v2.as_bytes(), &names).unwrap().offers.is_empty());
    assert_eq!(NetworkNames::parse(" "), Ok(NetworkNames::NONE));
}

#[test]
fn a_bad_meaning_of_a_name_is_refused() {
    let long = format!("{}=eip155:1", "n".repeat(NAME_BYTES_MAX + 1));
    for (pairs, part) in [
        ("base=eip155:1514", "\"base\" stands for eip155:8453 everywhere"),
        ("base=eip155:8453", "no other meaning"),
        ("story", "no pair"),
        ("story=", "the network of \"story\" is \"\""),
        ("story=1514", "CAIP-2"),
        ("story=eip155:0x5ea", "decimal"),
        ("=eip155:1", "no name"),
        ("eip155:1=eip155:2", "no name"),
        (long.as_str(), "no name"),
        ("story=eip155:1514 story=eip155:1514", "given twice"),
    ] {
        let error = NetworkNames::parse(pairs).unwrap_err();
        assert!(error.contains(part), "{pairs}: {error}");
    }
}

#[test]
fn version_1_takes_its_description_and_url_from_the_offer() {
    let body = json!({"x402Version": 1, "error": "pay", "accepts": [{
        "scheme": "exact", "network": "base", "maxAmountRequired": "5", "resource": "https://a/b", "description": "d",
        "mimeType": "x", "outputSchema": null, "payTo": "p", "maxTimeoutSeconds": 1, "asset": "a", "extra": null,
    }]});
    let challenge = Challenge::parse(None, body.to_string().as_bytes()).unwrap();
    let offer = &challenge.offers[0];
    assert_eq!((challenge.version, challenge.error.as_deref()), (Version::V1, Some("pay")));
    assert_eq!((challenge.resource_url.as_deref(), offer.description.as_deref()), (Some("https://a/b"), Some("d")));
    assert_eq!((offer.amount, offer.max_timeout_s, offer.extra.len()), (Amount::from(5), 1, 0));
    assert_eq!(offer.network, Network::parse("eip155:8453").unwrap());
}

#[test]
fn version_2_echoes_text_that_a_parser_would_change() {
    let offer = OFFER.replace("60,", "60 , \"ratio\":1.0, \"big\":12345678901234567890123,\"esc\":\"\\u0041\",");
    let json = format!(
        r#"{{"x402Version":2,"accepts":[{offer}],"resource":{{"url":"u","n":1e3}},"extensions":{{"a":{{}}}}}}"#
    );
    let challenge = parse_header(&json).unwrap();
    let credential = Credential::new(&challenge, &challenge.offers[0], r#"{"signature":"0xsecret"}"#);
    let sent = String::from_utf8(STANDARD.decode(credential.header_value()).unwrap()).unwrap();
    let before = r#"{"x402Version":2,"payload":{"signature":"0xsecret"},"extensions":{"a":{}}"#;
    let expected = format!(r#"{before},"resource":{{"url":"u","n":1e3}},"accepted":{offer}}}"#);
    assert_eq!(sent, expected);
    assert!(serde_json::from_str::<Value>(&sent).is_ok());
    assert!(PAYMENT_HEADER_NAMES.contains(&credential.header_name().to_lowercase().as_str()));
    assert!(!format!("{credential:?}").contains(credential.header_value()));
}

#[test]
fn receipts_are_strict_about_types() {
    let receipt = |json: &str| Receipt::parse(Some(STANDARD.encode(json).as_bytes()), None).unwrap();
    let good = r#"{"success":true,"transaction":"0x1","network":"eip155:1","amount":"7","payer":"p"}"#;
    assert_eq!(receipt(good).unwrap().amount, Some(Amount::from(7)));
    let moved_nothing = receipt(r#"{"success":true,"transaction":"","network":"n","amount":""}"#).unwrap();
    assert_eq!((moved_nothing.amount, moved_nothing.extra()), (None, serde_json::Value::Null));
    let cases = [
        (r#""success":true"#, r#""success":"false""#, "success"),
        (r#""success":true"#, r#""success":1"#, "success"),
        (r#""success":true"#, r#""success":null"#, "success"),
        (r#""success":true,"#, "", "success"),
        (r#""transaction":"0x1""#, r#""transaction":null"#, "transaction"),
        (r#""transaction":"0x1""#, r#""transaction":1"#, "transaction"),
        (r#""network":"eip155:1""#, r#""network":1"#, "network"),
        (r#""amount":"7""#, r#""amount":7"#, "amount"),
        (r#""amount":"7""#, r#""amount":"-7""#, "amount"),
        (r#""payer":"p""#, r#""payer":[]"#, "payer"),
    ];
    for (from, to, field) in cases {
        assert_eq!(receipt(&good.replace(from, to)).unwrap_err().field, field, "{to}");
    }
    let huge = format!("{good}{}", " ".repeat(RECEIPT_BYTES_MAX));
    assert_eq!(receipt(&huge).unwrap_err().field, "base64");
    let broken_first = Receipt::parse(Some(b"!"), Some(STANDARD.encode(good).as_bytes())).unwrap();
    assert!(broken_first.is_err(), "a broken header is not followed by the other");
}
