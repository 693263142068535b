//! Terms of payment as they go over the wire: the challenge of a 402, versions 1 and 2.
//!
//! Owns the defaults of an offer and the encoding. Knows nothing of verification; it hands out the offers as
//! values, so that a payment can be held against exactly what was asked.

use super::scenario::{Place, Terms};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

/// The payee of every default offer.
pub const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
/// USDC on Base Sepolia.
pub const ASSET: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

/// A 402's terms, ready to send and ready to compare with.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub version: u8,
    pub offers: Vec<Value>,
    pub resource: Option<Value>,
    pub extensions: Option<Value>,
    /// What it says of why it asks, where that is not the usual.
    pub error: Option<String>,
    /// The value of `PAYMENT-REQUIRED`, if it goes there.
    pub header: Option<String>,
    pub body: Vec<u8>,
    /// See [`Terms::unapproved`].
    pub unapproved: bool,
}

impl Challenge {
    /// `url` is the resource's. `error` replaces the error of the terms.
    pub fn new(terms: &Terms, url: &str, error: Option<&str>) -> Challenge {
        let version = terms.version.unwrap_or(2);
        let accepts = terms.offers_raw.clone().unwrap_or_else(|| offers(version, &terms.offers, url));
        let resource = match (&terms.resource, version) {
            (Some(Value::Null), _) | (None, 1) => None,
            (Some(given), _) => Some(given.clone()),
            (None, _) => Some(json!({"url": url, "description": "a test resource", "mimeType": "application/json"})),
        };
        let mut members = Map::new();
        members.insert("x402Version".into(), version.into());
        let usual = if version == 1 { "X-PAYMENT header is required" } else { "PAYMENT-SIGNATURE header is required" };
        members.insert("error".into(), error.or(terms.error.as_deref()).unwrap_or(usual).into());
        if let Some(resource) = &resource {
            members.insert("resource".into(), resource.clone());
        }
        members.insert("accepts".into(), accepts.clone());
        if let Some(extensions) = &terms.extensions {
            members.insert("extensions".into(), extensions.clone());
        }
        members.extend(terms.members.clone());
        let text = padded(Value::Object(members).to_string(), terms);
        let (header, body) = place(terms, version, &text);
        let offers = accepts.as_array().cloned().unwrap_or_default();
        Challenge {
            version,
            offers,
            resource,
            extensions: terms.extensions.clone(),
            error: error.or(terms.error.as_deref()).map(str::to_string),
            header,
            body,
            unapproved: terms.unapproved,
        }
    }
}

fn place(terms: &Terms, version: u8, text: &str) -> (Option<String>, Vec<u8>) {
    let in_header = match terms.place {
        Place::Usual => version != 1,
        Place::Header | Place::Both => true,
        Place::Body => false,
    };
    let in_body = match terms.place {
        Place::Usual => version == 1,
        Place::Body | Place::Both => true,
        Place::Header => false,
    };
    let header = terms.raw_header.clone().or_else(|| in_header.then(|| BASE64.encode(text)));
    let body = match &terms.raw_body {
        Some(raw) => raw.clone().into_bytes(),
        None if in_body => text.as_bytes().to_vec(),
        None => b"{}".to_vec(),
    };
    (header, body)
}

/// Text surgery, not values: a value this deep would overflow the stack of whoever drops it.
fn padded(mut text: String, terms: &Terms) -> String {
    if terms.pad_bytes > 0 {
        text.pop();
        text = format!("{text},\"padding\":\"{}\"}}", "x".repeat(terms.pad_bytes));
    }
    if terms.depth > 0 {
        text.pop();
        text = format!("{text},\"nested\":{}{}}}", "[".repeat(terms.depth), "]".repeat(terms.depth));
    }
    text
}

fn offers(version: u8, given: &[Value], url: &str) -> Value {
    let usual = [json!({})];
    let given = if given.is_empty() { &usual[..] } else { given };
    given.iter().map(|offer| completed(version, offer, url)).collect()
}

/// The default offer with the given members in place of its own; `price` stands for the amount of either version.
fn completed(version: u8, offer: &Value, url: &str) -> Value {
    let mut out = if version == 1 {
        json!({"scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "10000", "resource": url,
            "description": "a test resource", "mimeType": "application/json", "payTo": PAYEE,
            "maxTimeoutSeconds": 60, "asset": ASSET, "extra": {"name": "USDC", "version": "2"}})
    } else {
        json!({"scheme": "exact", "network": "eip155:84532", "amount": "10000", "asset": ASSET, "payTo": PAYEE,
            "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"}})
    };
    let amount = if version == 1 { "maxAmountRequired" } else { "amount" };
    for (name, value) in offer.as_object().into_iter().flatten() {
        let name = if name == "price" { amount } else { name };
        out[name] = value.clone();
    }
    out
}
