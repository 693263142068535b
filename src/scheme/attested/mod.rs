//! What a server signed: its offers, and its receipts (extension `offer-receipt`).
//!
//! Owns the question whether such a statement holds: it says what it is beside, it is in time, and the signature is
//! by the key that it names. Its one decision: only a key that the terms themselves name can make a statement valid,
//! and that is the payee's (EIP-712) or the one written into the key's own name (`did:key`, `did:jwk`); whose that
//! is, nobody offline can say, so the signer is told. A statement that contradicts what it is beside is worse than
//! none, because somebody changed one of the two on the way. Pure; must not know keys that sign.

mod eip712;
mod jws;
mod keys;

pub(super) use eip712::signer;

use crate::body::digest;
use crate::error::printable;
use crate::money::EvmAddress;
use crate::protocol::{Challenge, Offer, Receipt};
use serde_json::{Map, Value};

const NAME: &str = "offer-receipt";
/// Signed offers that are looked at.
const OFFERS_MAX: usize = 64;
/// How far a receipt's time may be from that of the payment, either way: a signature is valid no longer.
const RECEIPT_AGE_S_MAX: u64 = super::VALIDITY_S_MAX;

/// Without the URLs, which may hold a caller's key.
const OTHER_RESOURCE: &str = "its resourceUrl is another than that of the terms";

/// What became of the proof of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The named key signed it, and it says what it should.
    Valid,
    /// It does not contradict anything, and whether the signer may speak for the seller cannot be told here.
    Unverified,
    /// Its content or its signature is wrong, for this reason.
    Invalid(String),
}

/// One statement's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    pub verdict: Verdict,
    /// An EVM address or a DID; "" where it cannot be read.
    pub signer: String,
}

impl Attestation {
    fn invalid(reason: impl Into<String>) -> Attestation {
        Attestation { verdict: Verdict::Invalid(reason.into()), signer: String::new() }
    }

    pub fn verdict_name(&self) -> &'static str {
        match self.verdict {
            Verdict::Valid => "valid",
            Verdict::Unverified => "unverified",
            Verdict::Invalid(_) => "invalid",
        }
    }
}

/// What a receipt is held against.
#[derive(Clone, Debug, Default)]
pub struct Expected<'a> {
    /// The [`resource_id`] of what the terms called the resource, if they named one.
    pub resource: Option<[u8; 32]>,
    /// CAIP-2.
    pub network: &'a str,
    pub payer: &'a str,
    pub payee: &'a str,
    /// Who signed the offer, if that could be told.
    pub offer_signer: Option<&'a str>,
    /// Seconds since 1970.
    pub paid_s: u64,
}

/// What a URL is known by where it must not be shown.
pub fn resource_id(url: &str) -> [u8; 32] {
    digest::of_parts(&[url.as_bytes()])
}

/// What the challenge states about `offer` under a signature, if it states anything.
pub fn offer(challenge: &Challenge, offer: &Offer, now_s: u64) -> Option<Attestation> {
    let extension = challenge.extension(NAME)?;
    let statements = extension["info"]["offers"].as_array()?;
    let read: Vec<(&Value, Option<Map<String, Value>>)> =
        statements.iter().take(OFFERS_MAX).map(|statement| (statement, payload(statement))).collect();
    let says = |payload: &Map<String, Value>| contradiction(payload, offer).is_none();
    let exact = read.iter().find(|(_, payload)| payload.as_ref().is_some_and(says));
    let meant = |(statement, payload): &&(&Value, Option<Map<String, Value>>)| match statement.get("acceptIndex") {
        Some(index) => index.as_u64() == u64::try_from(offer.index).ok(),
        None => payload.as_ref().is_some_and(|payload| same_kind(payload, offer)),
    };
    let (statement, payload) = exact.or_else(|| read.iter().find(meant))?;
    let Some(payload) = payload else { return Some(Attestation::invalid("it cannot be read")) };
    if let Some(why) = contradiction(payload, offer) {
        return Some(Attestation::invalid(why));
    }
    if let (Some(asked), Some(signed)) = (challenge.resource_url.as_deref(), text(payload, "resourceUrl"))
        && asked != signed
    {
        return Some(Attestation::invalid(OTHER_RESOURCE));
    }
    match payload.get("validUntil").and_then(Value::as_u64) {
        Some(until_s) if until_s != 0 && until_s < now_s => Some(Attestation::invalid("validUntil has passed")),
        _ => Some(proof(statement, payload, eip712::offer_digest, &[&offer.payee])),
    }
}

/// What the receipt states under a signature, if it states anything.
pub fn receipt(receipt: &Receipt, expected: &Expected<'_>) -> Option<Attestation> {
    let extension = receipt.extension(NAME)?;
    let statement = extension["info"].get("receipt").filter(|statement| !statement.is_null())?;
    let Some(payload) = payload(statement) else { return Some(Attestation::invalid("it cannot be read")) };
    let transaction = text(&payload, "transaction").unwrap_or_default();
    let wrong = [
        ("network", text(&payload, "network").unwrap_or_default(), expected.network),
        ("payer", text(&payload, "payer").unwrap_or_default(), expected.payer),
        ("transaction", transaction, &receipt.transaction),
    ]
    .into_iter()
    .find(|(field, stated, known)| {
        let is_left_out = *field == "transaction" && stated.is_empty();
        !is_left_out && !stated.eq_ignore_ascii_case(known)
    });
    if let Some((field, stated, known)) = wrong {
        return Some(Attestation::invalid(differs(field, stated, known)));
    }
    let resource = text(&payload, "resourceUrl").map(resource_id);
    if expected.resource.is_some() && resource != expected.resource {
        return Some(Attestation::invalid(OTHER_RESOURCE));
    }
    let issued_s = payload.get("issuedAt").and_then(Value::as_u64);
    if issued_s.is_none_or(|issued_s| issued_s.abs_diff(expected.paid_s) > RECEIPT_AGE_S_MAX) {
        return Some(Attestation::invalid("issuedAt is not within an hour of the payment"));
    }
    let signers: Vec<&str> = [Some(expected.payee), expected.offer_signer].into_iter().flatten().collect();
    Some(proof(statement, &payload, eip712::receipt_digest, &signers))
}

/// What a statement says: beside its signature, or inside of it.
fn payload(statement: &Value) -> Option<Map<String, Value>> {
    match statement["format"].as_str()? {
        "eip712" => statement["payload"].as_object().cloned(),
        "jws" => jws::payload(statement["signature"].as_str()?),
        _ => None,
    }
}

/// Judges the signature. `known` are the addresses that may sign EIP-712.
fn proof(
    statement: &Value,
    payload: &Map<String, Value>,
    digest: fn(&Map<String, Value>) -> Option<[u8; 32]>,
    known: &[&str],
) -> Attestation {
    let signature = statement["signature"].as_str().unwrap_or_default();
    if statement["format"] == "jws" {
        return jws::verify(signature);
    }
    // A version of the statement that is not known here; whoever knows it can judge it.
    let Some(digest) = digest(payload) else {
        return Attestation { verdict: Verdict::Unverified, signer: String::new() };
    };
    match eip712::signer(&digest, signature) {
        None => Attestation::invalid("the signature is not one of 65 bytes by any key"),
        Some(signer) => {
            let is_known = known.iter().any(|address| EvmAddress::parse(address) == Ok(signer));
            let verdict = if is_known { Verdict::Valid } else { Verdict::Unverified };
            Attestation { verdict, signer: signer.to_string() }
        }
    }
}

fn text<'a>(payload: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    payload.get(name).and_then(Value::as_str)
}

/// Whether a statement without an index can only mean this offer or one like it.
fn same_kind(payload: &Map<String, Value>, offer: &Offer) -> bool {
    text(payload, "scheme") == Some(&offer.scheme)
        && text(payload, "network") == Some(offer.network.as_str())
        && text(payload, "asset").is_some_and(|asset| asset.eq_ignore_ascii_case(&offer.asset))
}

/// The first member that does not say what the offer says.
fn contradiction(payload: &Map<String, Value>, offer: &Offer) -> Option<String> {
    let amount = offer.amount.to_string();
    let members = [
        ("scheme", offer.scheme.as_str(), false),
        ("network", offer.network.as_str(), false),
        ("asset", offer.asset.as_str(), true),
        ("payTo", offer.payee.as_str(), true),
        ("amount", amount.as_str(), false),
    ];
    members.into_iter().find_map(|(name, asked, is_address)| {
        let stated = text(payload, name).unwrap_or_default();
        // An EVM address has several spellings, one of another chain has one.
        let ignores_case = is_address && offer.network.namespace() == "eip155";
        let is_same = if ignores_case { stated.eq_ignore_ascii_case(asked) } else { stated == asked };
        (!is_same).then(|| differs(name, stated, asked))
    })
}

fn differs(field: &str, stated: &str, known: &str) -> String {
    format!("it says {field} \"{}\", and what it is beside says \"{}\"", printable(stated), printable(known))
}

#[cfg(test)]
mod tests;
