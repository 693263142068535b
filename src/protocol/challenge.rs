//! The terms of payment that come with a 402.
//!
//! Owns where they are looked for and what is kept of them. Must not judge whether an offer can or should be
//! paid. A header that is present but broken ends the search: falling back to the body would let whoever
//! can damage a header choose between two sets of terms.

use super::limits::{CHALLENGE_BODY_BYTES_MAX, CHALLENGE_HEADER_BYTES_MAX};
use super::wire::{self, Fault};
use super::x402::names::{self, NetworkNames};
use super::{Version, x402};
use crate::money::{Amount, Network};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;

const HEADER_PLACE: &str = "PAYMENT-REQUIRED header";
const BODY_PLACE: &str = "body of the 402";
const RECORD_PLACE: &str = "record of the terms";

/// Room for what stands around the texts in a record of terms.
const TERMS_BYTES_TYPICAL: usize = 64;

/// One way to pay, well-formed; whether anyone here can pay it is another question.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Position in `accepts`, counted from 0, malformed entries included.
    pub index: usize,
    pub version: Version,
    pub scheme: String,
    pub network: Network,
    /// The network as the server wrote it: a short name in version 1.
    pub network_text: String,
    /// `amount` (v2) or `maxAmountRequired` (v1).
    pub amount: Amount,
    /// The token, as the server wrote it.
    pub asset: String,
    /// `payTo`, as the server wrote it.
    pub payee: String,
    /// At least 1. What is signed is bounded by the scheme.
    pub max_timeout_s: u64,
    /// Members that the scheme defines; empty when absent.
    pub extra: Map<String, Value>,
    /// Of the offer (v1) or of the resource (v2).
    pub description: Option<String>,
    /// The entry of `accepts` byte for byte: version 2 servers compare what comes back.
    pub raw: Box<str>,
}

/// An entry of `accepts` that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedOffer {
    pub index: usize,
    /// The field that is wrong, such as `amount` or `extra.name`.
    pub field: String,
    /// The rest of a sentence that begins with the field.
    pub reason: String,
    /// What could be read of the scheme and the network, for people; perhaps empty.
    pub scheme: String,
    pub network: String,
}

/// The terms of one 402.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub version: Version,
    /// In the server's order; perhaps none.
    pub offers: Vec<Offer>,
    pub malformed: Vec<MalformedOffer>,
    /// Why the server asks, or why it refused an earlier payment.
    pub error: Option<String>,
    /// Echoed byte for byte (v2 only).
    pub resource: Option<Box<RawValue>>,
    /// What the server says is being paid for. A claim, nothing is fetched from it.
    pub resource_url: Option<String>,
    /// Echoed byte for byte (v2 only).
    pub extensions: Option<Box<RawValue>>,
}

/// Why a 402 has no terms that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeError {
    /// The 402 does not speak x402 at all.
    Absent,
    Malformed {
        /// The header or the body.
        place: &'static str,
        field: String,
        /// The rest of a sentence that begins with the field.
        reason: String,
    },
}

impl Challenge {
    /// Reads the `PAYMENT-REQUIRED` header if it is present and not empty, else the body (x402 v1, and v2 as
    /// some servers send it). A version 1 object in the header is read as version 1.
    pub fn parse(payment_required: Option<&[u8]>, body: &[u8]) -> Result<Challenge, ChallengeError> {
        Challenge::parse_with(payment_required, body, &NetworkNames::NONE)
    }

    /// As [`Challenge::parse`], where the caller says what some network names of version 1 mean.
    pub fn parse_with(
        payment_required: Option<&[u8]>,
        body: &[u8],
        names: &NetworkNames,
    ) -> Result<Challenge, ChallengeError> {
        let at =
            |place| move |fault: Fault| ChallengeError::Malformed { place, field: fault.field, reason: fault.reason };
        let header = payment_required.map(<[u8]>::trim_ascii).filter(|value| !value.is_empty());
        if let Some(value) = header {
            let json = wire::decode_header(value, CHALLENGE_HEADER_BYTES_MAX).map_err(at(HEADER_PLACE))?;
            let document = wire::read_object(&json).map_err(at(HEADER_PLACE))?;
            return x402::read_challenge(document.root(), names).map_err(at(HEADER_PLACE));
        }
        let body = body.trim_ascii();
        if !body.starts_with(b"{") {
            return Err(ChallengeError::Absent);
        }
        let document = body_text(body).and_then(wire::read_object).map_err(at(BODY_PLACE))?;
        if !x402::is_challenge(document.root()).map_err(at(BODY_PLACE))? {
            return Err(ChallengeError::Absent);
        }
        x402::read_challenge(document.root(), names).map_err(at(BODY_PLACE))
    }
}

impl Challenge {
    /// A challenge with `offer` alone, as JSON: what its payment is made from, byte for byte. [`Challenge::recorded`]
    /// gives an offer that is answered by the same bytes.
    pub fn terms_of(&self, offer: &Offer) -> String {
        self.terms_with(&[offer], self.extensions.as_deref())
    }

    /// The challenge without what a server makes anew for each answer: what can be paid again later. A server accepts a
    /// payment that leaves an extension out.
    pub fn lasting_terms(&self) -> String {
        let offers: Vec<&Offer> = self.offers.iter().collect();
        let extensions = self.extensions.as_deref().and_then(x402::extensions::lasting);
        self.terms_with(&offers, extensions.as_deref())
    }

    /// Reads what [`Challenge::terms_of`] or [`Challenge::lasting_terms`] wrote. Network names mean what they meant when
    /// it was written; only our own records are believed that, never a server.
    pub fn recorded(terms: &str) -> Result<Challenge, ChallengeError> {
        let at =
            |fault: Fault| ChallengeError::Malformed { place: RECORD_PLACE, field: fault.field, reason: fault.reason };
        let document = body_text(terms.as_bytes()).and_then(wire::read_object).map_err(at)?;
        let names = NetworkNames::recorded(document.root()).map_err(at)?;
        x402::read_challenge(document.root(), &names).map_err(at)
    }

    fn terms_with(&self, offers: &[&Offer], extensions: Option<&RawValue>) -> String {
        let echoed = [("resource", self.resource.as_deref()), ("extensions", extensions)];
        let echoed_bytes: usize = echoed.iter().filter_map(|(_, raw)| *raw).map(|raw| raw.get().len()).sum();
        let offers_bytes: usize = offers.iter().map(|offer| offer.raw.len() + 1).sum();
        let mut json = String::with_capacity(TERMS_BYTES_TYPICAL + echoed_bytes + offers_bytes);
        json.push_str(if self.version == Version::V1 { r#"{"x402Version":1"# } else { r#"{"x402Version":2"# });
        for (at, offer) in offers.iter().enumerate() {
            json.push_str(if at == 0 { r#","accepts":["# } else { "," });
            json.push_str(&offer.raw);
        }
        json.push_str(if offers.is_empty() { r#","accepts":[]"# } else { "]" });
        for (name, raw) in echoed {
            if let Some(raw) = raw {
                json.extend([",\"", name, "\":", raw.get()]);
            }
        }
        if self.version == Version::V1
            && let Some(own) =
                names::recorded_member(offers.iter().map(|offer| (offer.network_text.as_str(), &offer.network)))
        {
            json.extend([",\"", names::RECORDED_MEMBER, "\":", own.as_str()]);
        }
        json.push('}');
        json
    }

    /// Whether the server asks for an id of the payment (extension `payment-identifier`).
    pub fn wants_identifier(&self) -> bool {
        self.extensions.as_deref().is_some_and(x402::extensions::identifier::is_wanted)
    }

    /// Puts `id` where the extension `payment-identifier` wants it, unless the server put one there itself.
    pub fn identify(&mut self, id: &str) {
        if let Some(extensions) = &self.extensions
            && let Some(with_id) = x402::extensions::identifier::with_id(extensions, id)
        {
            self.extensions = Some(with_id);
        }
    }

    /// An extension as it is declared; for those that nothing is added to.
    pub fn extension(&self, name: &str) -> Option<Value> {
        let extensions = self.extensions.as_deref().filter(|all| all.get().contains(name))?;
        let mut all: Map<String, Value> = serde_json::from_str(extensions.get()).ok()?;
        all.remove(name)
    }

    /// This challenge with `additions`, a JSON object, merged into its extensions; `None` where that is not possible.
    pub fn extended(&self, additions: &str) -> Option<Challenge> {
        let merged = x402::extensions::extended(self.extensions.as_deref()?, additions)?;
        Some(Challenge { extensions: Some(merged), ..self.clone() })
    }

    /// What the server asks to be signed to know an account again (extension `sign-in-with-x`), if it asks; an error
    /// is a sentence that begins with the field.
    pub fn sign_in(&self) -> Option<Result<x402::extensions::sign_in::SignIn, String>> {
        self.extensions.as_deref().and_then(x402::extensions::sign_in::read)
    }

    /// Adds the caller's codes where the extension `builder-code` is declared.
    pub fn add_builder_codes(&mut self, codes: &[String]) {
        if let Some(extensions) = &self.extensions
            && !codes.is_empty()
            && let Some(with_codes) = x402::extensions::builder_code::with_codes(extensions, codes)
        {
            self.extensions = Some(with_codes);
        }
    }
}

fn body_text(body: &[u8]) -> Result<&str, Fault> {
    if body.len() > CHALLENGE_BODY_BYTES_MAX {
        return Err(Fault::new("JSON", format!("is longer than {CHALLENGE_BODY_BYTES_MAX} bytes")));
    }
    str::from_utf8(body).map_err(|_| Fault::new("JSON", "is not UTF-8"))
}

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChallengeError::Absent => f.write_str(
                "The server answered 402 without terms of payment: no PAYMENT-REQUIRED header, no x402 body.",
            ),
            ChallengeError::Malformed { place, field, reason } => {
                write!(f, "The {place} is malformed: {field} {reason}.")
            }
        }
    }
}

impl std::error::Error for ChallengeError {}

impl fmt::Display for MalformedOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accepts[{}].{} {}", self.index, self.field, self.reason)
    }
}
