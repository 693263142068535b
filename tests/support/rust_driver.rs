//! The driver that runs a case through the Rust client.
//!
//! Owns the translation both ways: a case's words into calls, what came back into the result's words. It is
//! written against the public interface alone, as a user would write it.

use super::case::content_bytes;
use super::driver::{CASE_TIME_MAX, Driver};
use crate::support::exchange::sha256;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use x402::body::{BodyReader, Source};
use x402::client::{Client, Config, Failure, Request, Response};
use x402::error::{Error, Money, Status};
use x402::payer::Payment;
use x402::policy::Policy;
use x402::wallet::Wallet;

/// More than any case answers.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bodies up to this long are repeated as text.
const TEXT_BYTES_MAX: usize = 64 * 1024;

pub struct RustDriver;

impl Driver for RustDriver {
    /// In a thread of its own: a call that hangs fails its case and no other.
    fn run(&self, input: &Value) -> Result<Value, String> {
        let input = input.clone();
        let (done, answer) = mpsc::channel();
        thread::spawn(move || done.send(run_case(&input)));
        answer.recv_timeout(CASE_TIME_MAX).map_err(|_| format!("no result within {CASE_TIME_MAX:?}"))?
    }
}

fn run_case(input: &Value) -> Result<Value, String> {
    let client = match client(&input["client"]) {
        Ok(client) => client,
        Err(error) => return Ok(json!({"results": [], "setup_error": error_json(&error)})),
    };
    let requests = input["requests"].as_array().ok_or("no requests")?;
    let results: Vec<Value> = requests.iter().map(|request| run_request(&client, request)).collect();
    Ok(json!({"results": results}))
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn client(spec: &Value) -> Result<Client, Error> {
    let mut wallet = Wallet::new();
    for key in items(spec, "keys") {
        wallet.add_evm_key(text(key))?;
    }
    for key in items(spec, "solana_keys") {
        wallet.add_solana_key(text(key))?;
    }
    let mut config = Config::new()?;
    config.wallet(&wallet);
    if spec["policy"].is_object() {
        config.policy(&policy(&spec["policy"])?);
    }
    for (key, value) in spec["settings"].as_object().into_iter().flatten() {
        config.set(key, text(value))?;
    }
    Client::new(&config)
}

fn policy(spec: &Value) -> Result<Policy, Error> {
    let mut policy = Policy::new()?;
    for amount in items(spec, "max_per_payment") {
        policy.max_per_payment(text(amount))?;
    }
    for budget in items(spec, "budget") {
        policy.budget(text(&budget[0]), budget[1].as_u64().unwrap_or(0), text(&budget[2]))?;
    }
    for rule in items(spec, "allow") {
        policy.allow(text(&rule[0]), text(&rule[1]))?;
    }
    for rule in items(spec, "prefer") {
        policy.prefer(text(&rule[0]), text(&rule[1]))?;
    }
    if let Some(answer) = spec["approve"].as_i64() {
        policy.approve(Arc::new(move |offer: &str| match serde_json::from_str::<Value>(offer) {
            Ok(_) => answer as i32,
            Err(_) => 99,
        }));
    }
    Ok(policy)
}

fn run_request(client: &Client, spec: &Value) -> Value {
    let counts = Arc::new(Counts::default());
    let mut out = match request(spec, &counts) {
        Err(error) => error_outcome(&Failure { error, payment: None }),
        Ok(mut request) if spec["call"] == "quote" => match client.quote_json(&mut request) {
            Ok(quote) => {
                json!({"outcome": "quote", "quote": serde_json::from_str::<Value>(&quote).unwrap_or_default()})
            }
            Err(failure) => error_outcome(&failure),
        },
        Ok(mut request) => match client.send(&mut request) {
            Ok(response) => response_outcome(response),
            Err(failure) => error_outcome(&failure),
        },
    };
    out["reader"] =
        json!({"pulled": counts.pulled.load(Ordering::SeqCst), "rewinds": counts.rewinds.load(Ordering::SeqCst)});
    out
}

fn request(spec: &Value, counts: &Arc<Counts>) -> Result<Request, Error> {
    let mut request = Request::new(text(&spec["method"]), text(&spec["url"]))?;
    for header in items(spec, "headers") {
        request.header(text(&header[0]), text(&header[1]).as_bytes())?;
    }
    for (key, value) in spec["settings"].as_object().into_iter().flatten() {
        request.set(key, text(value))?;
    }
    if let Some(content) = spec["body"].get("bytes") {
        request.body(Source::Bytes(content_bytes(content).into()));
    } else if let Some(path) = spec["body"]["file"].as_str() {
        request.body(Source::File(PathBuf::from(path)));
    } else if let Some(reader) = spec["body"].get("reader") {
        let content = content_bytes(&reader["content"]);
        let length = match reader.get("declare") {
            None => Some(content.len() as u64),
            Some(declared) => declared.as_u64(),
        };
        request.body(Source::Reader { reader: Box::new(Scripted::new(reader, content, counts)), length });
    }
    if let Some(at) = spec["stop_progress_at"].as_u64() {
        let value = spec["stop_with"].as_i64().unwrap_or(1) as i32;
        request.progress(Box::new(move |sent, _, _, _| match sent >= at {
            true => {
                Err(Error::new(Status::Callback, "the progress callback stopped the call").with_callback_value(value))
            }
            false => Ok(()),
        }));
    }
    Ok(request)
}

#[derive(Default)]
struct Counts {
    pulled: AtomicU64,
    rewinds: AtomicU64,
}

/// A reader that fails, ends or goes on as the case says.
struct Scripted {
    content: Vec<u8>,
    at: usize,
    chunk: usize,
    fail_at: Option<usize>,
    fail_with: i32,
    can_rewind: bool,
    rewind_fails: bool,
    counts: Arc<Counts>,
}

impl Scripted {
    fn new(spec: &Value, content: Vec<u8>, counts: &Arc<Counts>) -> Scripted {
        Scripted {
            content,
            at: 0,
            chunk: spec["chunk"].as_u64().unwrap_or(u64::MAX) as usize,
            fail_at: spec["fail_at"].as_u64().map(|at| at as usize),
            fail_with: spec["fail_with"].as_i64().unwrap_or(1) as i32,
            can_rewind: spec["rewind"].as_bool().unwrap_or(false),
            rewind_fails: spec["rewind_fails"].as_bool().unwrap_or(false),
            counts: counts.clone(),
        }
    }

    fn failure(&self) -> Error {
        Error::new(Status::BodyCallback, "the body callback failed").with_callback_value(self.fail_with)
    }
}

impl BodyReader for Scripted {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let end = self.fail_at.unwrap_or(usize::MAX).min(self.content.len());
        let count = buffer.len().min(self.chunk).min(end - self.at.min(end));
        if count == 0 && self.fail_at.is_some_and(|at| self.at >= at) {
            return Err(self.failure());
        }
        buffer[..count].copy_from_slice(&self.content[self.at..self.at + count]);
        self.at += count;
        self.counts.pulled.fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }

    fn can_rewind(&self) -> bool {
        self.can_rewind
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.counts.rewinds.fetch_add(1, Ordering::SeqCst);
        if self.rewind_fails {
            return Err(self.failure());
        }
        self.at = 0;
        Ok(())
    }
}

fn money_name(money: Money) -> &'static str {
    match money {
        Money::None => "none",
        Money::Refused => "refused",
        Money::Unpaid => "unpaid",
        Money::Paid => "paid",
        Money::Unknown => "unknown",
    }
}

fn error_json(error: &Error) -> Value {
    let name = Status::ALL.iter().find(|(status, _)| *status == error.status).map(|(_, name)| *name);
    json!({"status": name, "message": error.message, "money": money_name(error.money), "retry": error.retry.name(),
        "callback_value": error.callback_value})
}

fn payment_json(payment: &Payment) -> Value {
    let members: [(&str, &str); 6] = [
        ("amount", payment.amount()),
        ("asset", payment.asset()),
        ("network", payment.network()),
        ("payee", payment.payee()),
        ("transaction", payment.transaction()),
        ("refusal", payment.refusal()),
    ];
    let mut out: Map<String, Value> = members.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    out.insert("json".into(), serde_json::from_str(payment.json()).unwrap_or_default());
    Value::Object(out)
}

fn error_outcome(failure: &Failure) -> Value {
    json!({"outcome": "error", "error": error_json(&failure.error), "money": money_name(failure.error.money),
        "payment": failure.payment.as_ref().map(payment_json)})
}

fn response_outcome(mut response: Response) -> Value {
    let headers: Vec<Value> = response
        .headers()
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let mut body = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let body_error = loop {
        match response.read(&mut buffer) {
            Ok(0) => break None,
            Ok(_) if body.len() > BODY_BYTES_MAX => {
                break Some(Error::new(Status::ResponseLimit, "the body is too long"));
            }
            Ok(count) => body.extend_from_slice(&buffer[..count]),
            Err(error) => break Some(error),
        }
    };
    let text = (body.len() <= TEXT_BYTES_MAX).then(|| String::from_utf8(body.clone()).ok()).flatten();
    json!({"outcome": "response", "status": response.status(), "url": response.url(), "headers": headers,
        "body": {"length": body.len(), "sha256": sha256(&body), "text": text},
        "body_error": body_error.as_ref().map(error_json), "money": money_name(response.money()),
        "payment": response.payment().map(payment_json)})
}
