//! The extension `sign-in-with-x`: who has paid before shows that it is him, instead of paying again.
//!
//! Owns what a server asks to be signed, whether it may ask that, and the texts (EIP-4361, and its like for Solana).
//! The message names the server's origin, so that a signature is good for nobody else; a request that names another
//! origin than the one that answered is somebody trying to use ours elsewhere. Must not know keys: it takes an
//! address and hands out what is to be signed.

use crate::error::printable;
use crate::money::Network;
use crate::protocol::base64_text;
use crate::protocol::json::{Document, Json};
use crate::protocol::timestamp;
use crate::protocol::wire::{self, Fault};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;

/// The request header that signs in.
pub const SIGN_IN_HEADER_NAME: &str = "sign-in-with-x";

pub(super) const NAME: &str = "sign-in-with-x";
const CHAINS_MAX: usize = 64;
const RESOURCES_MAX: usize = 64;
/// EIP-4361: at least 8, letters and digits.
const NONCE_BYTES: std::ops::RangeInclusive<usize> = 8..=128;

/// How an account signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInKind {
    /// A text for people, on EVM chains (`personal_sign`, EIP-191).
    Eip191,
    /// The text itself, on Solana.
    Ed25519,
}

/// An account that the server would know again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInChain {
    pub network: Network,
    pub kind: SignInKind,
    /// Echoed.
    signature_scheme: Option<String>,
}

/// What a server asks to be signed. Every text is one line.
#[derive(Clone, Debug)]
pub struct SignIn {
    domain: String,
    uri: String,
    uri_origin: String,
    nonce: String,
    issued_at: String,
    expiration_time: Option<String>,
    not_before: Option<String>,
    request_id: Option<String>,
    statement: Option<String>,
    resources: Vec<String>,
    /// In the server's order.
    pub chains: Vec<SignInChain>,
    /// Seconds since 1970.
    pub expires_s: Option<u64>,
    not_before_s: Option<u64>,
}

/// What is asked for, if the extension is declared; an error names the field and is the rest of a sentence.
pub(in crate::protocol) fn read(extensions: &RawValue) -> Option<Result<SignIn, String>> {
    if !extensions.get().contains(NAME) {
        return None;
    }
    let document = Document::read(extensions.get()).ok()?;
    let [declared] = wire::members(document.root(), &[NAME], "extensions").ok()?;
    let declared = wire::present(declared)?;
    Some(read_declared(declared).map_err(|fault| format!("{}.{} {}", NAME, fault.field, fault.reason)))
}

fn read_declared(declared: Json<'_>) -> Result<SignIn, Fault> {
    let [info, chains] = wire::members(declared, &["info", "supportedChains"], "extension")?;
    let names = [
        "domain",
        "uri",
        "version",
        "nonce",
        "issuedAt",
        "expirationTime",
        "notBefore",
        "requestId",
        "statement",
        "resources",
    ];
    let info = wire::required("info", info)?;
    let [domain, uri, version, nonce, issued_at, expires, not_before, request_id, statement, resources] =
        wire::members(info, &names, "info")?;
    let version = required_line("version", version)?;
    if version != "1" {
        return Err(Fault::new("version", format!("is {:?}, and only \"1\" is known", printable(&version))));
    }
    let nonce = required_line("nonce", nonce)?;
    if !NONCE_BYTES.contains(&nonce.len()) || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Fault::new("nonce", "is not 8 to 128 letters and digits"));
    }
    let uri = required_line("uri", uri)?;
    let parsed = Url::parse(&uri).map_err(|why| Fault::new("uri", format!("is not a URL: {why}")))?;
    let issued_at = required_line("issuedAt", issued_at)?;
    time("issuedAt", &issued_at)?;
    let (expiration_time, not_before) = (line("expirationTime", expires)?, line("notBefore", not_before)?);
    let time_of = |field, text: &Option<String>| text.as_deref().map(|text| time(field, text)).transpose();
    Ok(SignIn {
        domain: required_line("domain", domain)?,
        uri_origin: parsed.origin().ascii_serialization(),
        uri,
        nonce,
        issued_at,
        expires_s: time_of("expirationTime", &expiration_time)?,
        not_before_s: time_of("notBefore", &not_before)?,
        expiration_time,
        not_before,
        request_id: line("requestId", request_id)?,
        statement: line("statement", statement)?,
        resources: read_resources(resources)?,
        chains: read_chains(chains)?,
    })
}

/// A text without a line break or another control character, which could pass for a line of the message.
fn line(field: &str, value: Option<Json<'_>>) -> Result<Option<String>, Fault> {
    let Some(text) = wire::optional_text(field, value)? else { return Ok(None) };
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(Fault::new(field, "holds a line break or another control character"));
    }
    Ok(Some(text.into_owned()))
}

fn required_line(field: &str, value: Option<Json<'_>>) -> Result<String, Fault> {
    wire::required(field, value)?;
    line(field, value)?.filter(|text| !text.is_empty()).ok_or_else(|| Fault::new(field, "is empty"))
}

fn time(field: &str, text: &str) -> Result<u64, Fault> {
    timestamp::unix_s(text)
        .ok_or_else(|| Fault::new(field, format!("is {:?}, which is not a time (RFC 3339)", printable(text))))
}

fn read_resources(value: Option<Json<'_>>) -> Result<Vec<String>, Fault> {
    let Some(list) = wire::present(value) else { return Ok(Vec::new()) };
    let entries = wire::elements("resources", list, RESOURCES_MAX)?;
    entries.into_iter().map(|entry| required_line("resources", Some(entry))).collect()
}

/// The chains that are understood; of the others, one more server may know a kind that we do not.
fn read_chains(value: Option<Json<'_>>) -> Result<Vec<SignInChain>, Fault> {
    let entries = wire::elements("supportedChains", wire::required("supportedChains", value)?, CHAINS_MAX)?;
    let chains: Vec<SignInChain> = entries.into_iter().filter_map(|entry| read_chain(entry).ok()).collect();
    if chains.is_empty() {
        return Err(Fault::new("supportedChains", "names no chain that can be signed in with"));
    }
    Ok(chains)
}

fn read_chain(entry: Json<'_>) -> Result<SignInChain, Fault> {
    let [chain, kind, scheme] = wire::members(entry, &["chainId", "type", "signatureScheme"], "chain")?;
    let network = Network::parse(&wire::name("chainId", chain)?).map_err(|why| Fault::new("chainId", why))?;
    let kind = match (network.namespace(), &*wire::name("type", kind)?) {
        ("eip155", "eip191") => SignInKind::Eip191,
        ("solana", "ed25519") => SignInKind::Ed25519,
        _ => return Err(Fault::new("type", "does not belong to the chain")),
    };
    Ok(SignInChain { network, kind, signature_scheme: line("signatureScheme", scheme)? })
}

impl SignIn {
    /// Whether the server at `url` may ask for this at `now_s`; else why not.
    pub fn check(&self, url: &Url, now_s: u64) -> Result<(), String> {
        let host = url.host_str().unwrap_or_default();
        let authority = url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        if self.domain != authority {
            let shown = printable(&self.domain);
            return Err(format!("domain is \"{shown}\", but {authority} asks; it would be good for another server"));
        }
        let origin = url.origin().ascii_serialization();
        if self.uri_origin != origin {
            return Err(format!("uri is of {}, but {origin} asks", printable(&self.uri_origin)));
        }
        if let Some(expires_s) = self.expires_s
            && expires_s <= now_s
        {
            return Err("expirationTime has passed".into());
        }
        if self.not_before_s.is_some_and(|not_before_s| not_before_s > now_s) {
            return Err("notBefore is still to come".into());
        }
        Ok(())
    }

    /// The text to be signed by `address` on `chain`.
    pub fn message(&self, chain: &SignInChain, address: &str) -> String {
        let (family, statement) = match (chain.kind, &self.statement) {
            (SignInKind::Eip191, Some(statement)) => ("Ethereum", format!("{statement}\n\n")),
            // EIP-4361 leaves the statement's line out and both blank lines in; Solana's form has one.
            (SignInKind::Eip191, None) => ("Ethereum", "\n".to_string()),
            (SignInKind::Ed25519, Some(statement)) => ("Solana", format!("{statement}\n\n")),
            (SignInKind::Ed25519, None) => ("Solana", String::new()),
        };
        let SignIn { domain, uri, nonce, issued_at, .. } = self;
        let chain_id = chain.network.reference();
        let mut text = format!(
            "{domain} wants you to sign in with your {family} account:\n{address}\n\n{statement}URI: {uri}\nVersion: 1\n\
             Chain ID: {chain_id}\nNonce: {nonce}\nIssued At: {issued_at}"
        );
        let optional = [
            ("Expiration Time", &self.expiration_time),
            ("Not Before", &self.not_before),
            ("Request ID", &self.request_id),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                text.extend(["\n", name, ": ", value]);
            }
        }
        if !self.resources.is_empty() {
            text.push_str("\nResources:");
            text.extend(self.resources.iter().flat_map(|resource| ["\n- ", resource]));
        }
        text
    }

    /// What the header carries, as base64 of JSON in the order of the official TypeScript client.
    pub fn header_value(&self, chain: &SignInChain, address: &str, signature: &str) -> String {
        let mut json = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                json.insert(name.into(), value.into());
            }
        };
        put("domain", Some(&self.domain));
        put("address", Some(address));
        put("statement", self.statement.as_deref());
        put("uri", Some(&self.uri));
        put("version", Some("1"));
        put("chainId", Some(chain.network.as_str()));
        put("type", Some(if chain.kind == SignInKind::Eip191 { "eip191" } else { "ed25519" }));
        put("nonce", Some(&self.nonce));
        put("issuedAt", Some(&self.issued_at));
        put("expirationTime", self.expiration_time.as_deref());
        put("notBefore", self.not_before.as_deref());
        put("requestId", self.request_id.as_deref());
        if !self.resources.is_empty() {
            json.insert("resources".into(), self.resources.clone().into());
        }
        if let Some(scheme) = &chain.signature_scheme {
            json.insert("signatureScheme".into(), scheme.as_str().into());
        }
        json.insert("signature".into(), signature.into());
        base64_text::encoded(Value::Object(json).to_string().as_bytes()).to_string()
    }
}
