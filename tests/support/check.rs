//! Holds what a driver reported and what the server saw against what a case expects.
//!
//! Owns the vocabulary of `expect` and `expect_server`; a word it does not know is a failure, so that a
//! misspelt expectation cannot pass. Beside what a case says, some things must hold in every case: no key or
//! signature in a result, nothing settled that no request owns up to, no connection left open.

use super::case::{content_bytes, requests};
use crate::support::exchange::sha256;
use serde_json::{Value, json};

/// Everything that is not as expected; empty when all is well.
pub fn check(case: &Value, result: &Value, seen: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let requests = requests(case);
    let results = result["results"].as_array().cloned().unwrap_or_default();
    if let Some(expected) = case.get("expect_setup") {
        check_setup(expected, &result["setup_error"], &mut problems);
    } else if results.len() != requests.len() {
        problems.push(format!("{} results for {} requests: {result}", results.len(), requests.len()));
    }
    for (index, (request, outcome)) in requests.iter().zip(&results).enumerate() {
        let before = problems.len();
        check_request(&request["expect"], outcome, &mut problems);
        for problem in &mut problems[before..] {
            *problem = format!("request {index}: {problem}");
        }
        if problems.len() > before {
            problems.push(format!("request {index} came to {outcome}"));
        }
    }
    let before = problems.len();
    check_server(&case["expect_server"], seen, &mut problems);
    check_always(case, result, &results, seen, &mut problems);
    if problems.len() > before {
        problems.push(format!("the server saw {seen}"));
    }
    problems
}

fn check_setup(expected: &Value, error: &Value, problems: &mut Vec<String>) {
    for (word, wanted) in expected.as_object().into_iter().flatten() {
        match word.as_str() {
            "error" => same("setup error", &error["status"], wanted, problems),
            "message_contains" => contains("setup message", &error["message"], wanted, problems),
            _ => problems.push(format!("expect_setup does not know {word:?}")),
        }
    }
}

fn same(what: &str, got: &Value, wanted: &Value, problems: &mut Vec<String>) {
    if got != wanted {
        problems.push(format!("{what} is {got}, expected {wanted}"));
    }
}

/// Every text of the list `wanted` is in `got`, upper and lower case alike.
fn contains(what: &str, got: &Value, wanted: &Value, problems: &mut Vec<String>) {
    let text = got.as_str().unwrap_or("").to_lowercase();
    for part in wanted.as_array().into_iter().flatten() {
        if !text.contains(&part.as_str().unwrap_or("?").to_lowercase()) {
            problems.push(format!("{what} {got} does not say {part}"));
        }
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(u64::MAX)
}

/// One request's outcome.
fn check_request(expect: &Value, got: &Value, problems: &mut Vec<String>) {
    let error = if got["outcome"] == "error" { &got["error"] } else { &got["body_error"] };
    if expect.get("error").is_none() && got["outcome"] == "error" {
        problems.push(format!("an error instead of an answer: {}", got["error"]));
    }
    for (word, wanted) in expect.as_object().into_iter().flatten() {
        match word.as_str() {
            "status" | "url" | "money" => same(word, &got[word], wanted, problems),
            "error" => {
                same("outcome", &got["outcome"], &json!("error"), problems);
                same("error", &error["status"], wanted, problems);
            }
            "body_error" => same("body_error", &error["status"], wanted, problems),
            "retry" | "callback_value" => same(word, &error[word], wanted, problems),
            "message_contains" => contains("message", &error["message"], wanted, problems),
            "refusal_contains" => contains("refusal", &got["payment"]["refusal"], wanted, problems),
            "refusal" | "amount" | "asset" | "network" | "payee" => {
                same(word, &got["payment"][word], wanted, problems);
            }
            "transaction" => check_transaction(wanted, &got["payment"]["transaction"], problems),
            "payment_json" => check_subset(word, &got["payment"]["json"], wanted, problems),
            "payment" => same("whether there is a payment", &json!(got["payment"].is_object()), wanted, problems),
            "headers" => check_headers(wanted, &got["headers"], problems),
            "no_headers" => check_no_headers(wanted, &got["headers"], problems),
            "body" => check_body(wanted, &got["body"], problems),
            "quote" => check_subset("quote", &got["quote"], wanted, problems),
            "pulled" | "rewinds" => same(word, &got["reader"][word], wanted, problems),
            "pulled_max" if number(&got["reader"]["pulled"]) <= number(wanted) => {}
            "pulled_max" => problems.push(format!("the reader gave {}, at most {wanted}", got["reader"]["pulled"])),
            _ => problems.push(format!("expect does not know {word:?}")),
        }
    }
}

fn check_transaction(wanted: &Value, got: &Value, problems: &mut Vec<String>) {
    let length = got.as_str().map_or(0, str::len);
    let holds = match wanted.as_bool() {
        // A hash of an EVM chain, or a signature of Solana.
        Some(true) => length == 66 || (80..=88).contains(&length),
        _ => length == 0,
    };
    if !holds {
        problems.push(format!("transaction is {got}, expected one: {wanted}"));
    }
}

/// The values of one header in a list of pairs.
fn values<'a>(headers: &'a Value, name: &str) -> Vec<&'a str> {
    let pairs = headers.as_array().into_iter().flatten();
    let named = pairs.filter(|pair| pair[0].as_str().is_some_and(|other| other.eq_ignore_ascii_case(name)));
    named.filter_map(|pair| pair[1].as_str()).collect()
}

fn check_headers(wanted: &Value, headers: &Value, problems: &mut Vec<String>) {
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let got = values(headers, name);
        let holds = match value {
            Value::Array(all) => all.iter().map(|one| one.as_str().unwrap_or("")).eq(got.iter().copied()),
            one => got == [one.as_str().unwrap_or("")],
        };
        if !holds {
            problems.push(format!("the header {name} is {got:?}, expected {value}"));
        }
    }
}

fn check_no_headers(names: &Value, headers: &Value, problems: &mut Vec<String>) {
    for name in names.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !values(headers, name).is_empty() {
            problems.push(format!("the header {name} should not be there"));
        }
    }
}

/// Every member of `wanted` is in `got`, at any depth; lists have the same length.
fn check_subset(at: &str, got: &Value, wanted: &Value, problems: &mut Vec<String>) {
    match (wanted, got) {
        (Value::Object(members), _) => {
            for (name, value) in members {
                check_subset(&format!("{at}.{name}"), &got[name], value, problems);
            }
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            for (index, (item, other)) in items.iter().zip(others).enumerate() {
                check_subset(&format!("{at}[{index}]"), other, item, problems);
            }
        }
        _ => same(at, got, wanted, problems),
    }
}

fn check_body(wanted: &Value, body: &Value, problems: &mut Vec<String>) {
    let text = body["text"].as_str().unwrap_or("");
    for (word, value) in wanted.as_object().into_iter().flatten() {
        match word.as_str() {
            "text" | "length" => same(&format!("body {word}"), &body[word], value, problems),
            "content" => same("body sha256", &body["sha256"], &json!(sha256(&content_bytes(value))), problems),
            "json" => match serde_json::from_str(text) {
                Ok(got) => check_subset("body", &got, value, problems),
                Err(_) => problems.push(format!("the body {text:?} is not JSON")),
            },
            "hash_of" => {
                let bytes = content_bytes(value);
                let got: Value = serde_json::from_str(text).unwrap_or_default();
                same("length that the server hashed", &got["length"], &json!(bytes.len()), problems);
                same("hash of the server", &got["sha256"], &json!(sha256(&bytes)), problems);
            }
            _ => problems.push(format!("body does not know {word:?}")),
        }
    }
}

/// What the server counted: any count by its name, with `_max` or `_min` for a bound.
fn check_server(expect: &Value, seen: &Value, problems: &mut Vec<String>) {
    for (word, wanted) in expect.as_object().into_iter().flatten() {
        match word.as_str() {
            "seen" => check_seen(wanted, &seen["requests_seen"], problems),
            "refusals" => same("refusals", &seen["refusals"], wanted, problems),
            "valid_for_s_max" => {
                for payment in seen["payments_seen"].as_array().into_iter().flatten() {
                    if payment.get("valid_for_s").is_some_and(|seconds| number(seconds) > number(wanted)) {
                        problems.push(format!("an authorization lives {} s", payment["valid_for_s"]));
                    }
                }
            }
            _ => check_count(word, wanted, seen, problems),
        }
    }
}

fn check_count(word: &str, wanted: &Value, seen: &Value, problems: &mut Vec<String>) {
    let (name, holds): (&str, fn(u64, u64) -> bool) = match word {
        _ if word.ends_with("_max") => (word.trim_end_matches("_max"), |got, wanted| got <= wanted),
        _ if word.ends_with("_min") => (word.trim_end_matches("_min"), |got, wanted| got >= wanted),
        _ => (word, |got, wanted| got == wanted),
    };
    match seen.get(name).and_then(Value::as_u64) {
        None => problems.push(format!("expect_server does not know {word:?}")),
        Some(got) if holds(got, number(wanted)) => {}
        Some(got) => problems.push(format!("the server counted {name} {got}, expected {word} {wanted}")),
    }
}

/// The requests one by one, in their order.
fn check_seen(wanted: &Value, seen: &Value, problems: &mut Vec<String>) {
    let none = Vec::new();
    let (wanted, seen) = (wanted.as_array().unwrap_or(&none), seen.as_array().unwrap_or(&none));
    if wanted.len() != seen.len() {
        problems.push(format!("the server saw {} requests, expected {}", seen.len(), wanted.len()));
    }
    for (index, (expect, request)) in wanted.iter().zip(seen).enumerate() {
        let before = problems.len();
        for (word, value) in expect.as_object().into_iter().flatten() {
            let names = || value.as_array().into_iter().flatten().filter_map(Value::as_str);
            let headers = &request["headers"];
            match word.as_str() {
                "method" | "target" | "origin" | "status" | "body_bytes" | "body_whole" => {
                    same(word, &request[word], value, problems);
                }
                "body_bytes_max" if number(&request["body_bytes"]) <= number(value) => {}
                "body_bytes_max" => problems.push(format!("{} body bytes came", request["body_bytes"])),
                "body_of" => {
                    same("body hash", &request["body_sha256"], &json!(sha256(&content_bytes(value))), problems);
                }
                "has" => {
                    let missing = names().filter(|name| values(headers, name).len() != 1);
                    problems.extend(missing.map(|name| format!("the header {name} came not exactly once")));
                }
                "lacks" => check_no_headers(value, headers, problems),
                "headers" => check_headers(value, headers, problems),
                "same_connection_as" => {
                    let other = &seen[number(value) as usize];
                    same("connection", &request["connection"], &other["connection"], problems);
                }
                _ => problems.push(format!("seen does not know {word:?}")),
            }
        }
        for problem in &mut problems[before..] {
            *problem = format!("request {index} at the server: {problem}");
        }
    }
}

/// What holds in every case.
fn check_always(case: &Value, result: &Value, results: &[Value], seen: &Value, problems: &mut Vec<String>) {
    let text = result.to_string().to_lowercase();
    let keys = ["keys", "solana_keys"].into_iter().filter_map(|family| case["client"][family].as_array()).flatten();
    for key in keys.filter_map(Value::as_str) {
        let bare = key.trim_start_matches("0x").to_lowercase();
        if bare.len() > 8 && text.contains(&bare) {
            problems.push("a key is in the result".to_string());
        }
    }
    // An approval is as long, and known by its beginning: `approve` for Permit2.
    const APPROVE: &str = "095ea7b3000000000000000000000000000000000022d473030f116ddee9f6b43ac78ba3";
    if longest_hex_run(&text.replace(APPROVE, "")) >= 130 {
        problems.push("something as long as a signature is in the result".to_string());
    }
    let count = |state: &str| results.iter().filter(|result| result["money"] == state).count() as u64;
    let known = ["none", "refused", "unpaid", "paid", "unknown"];
    for result in results.iter().filter(|result| result["outcome"] != "quote") {
        if !known.iter().any(|state| result["money"] == *state) {
            problems.push(format!("money is {}", result["money"]));
        }
    }
    let settled = number(&seen["payments_settled"]);
    if settled > count("paid") + count("unknown") {
        problems.push(format!("{settled} payments settled, and the results own up to fewer"));
    }
    // A purchase that was presented again names the same transaction.
    let paid = results.iter().filter(|result| result["money"] == "paid");
    let transactions: std::collections::HashSet<String> =
        paid.map(|result| result["payment"]["transaction"].to_string()).collect();
    if transactions.len() as u64 > settled {
        problems.push(format!("{} transactions are called paid, and {settled} payments settled", transactions.len()));
    }
    same("connections left open", &seen["connections_open"], &json!(0), problems);
    if let Some(live) = result.get("live_handles") {
        same("live handles", live, &json!(0), problems);
    }
}

fn longest_hex_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for byte in text.bytes() {
        run = if byte.is_ascii_hexdigit() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}
