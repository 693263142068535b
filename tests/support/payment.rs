//! A payment as the server sees it: decoded, held against the offers, its signature recovered; and its receipt.
//!
//! Owns the reasons (the names official facilitators use) and is a pure function of its input and `now`;
//! whether a nonce was used before is the state's to know.

use super::batch;
use super::eip712::{Domain, Transfer, digest, keccak, signer};
use super::permit2;
use super::solana;
use super::terms::Challenge;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::{Value, json};

/// A payment whose every field and signature holds.
#[derive(Clone, Debug, Serialize)]
pub struct Payment {
    pub version: u8,
    pub network: String,
    pub asset: String,
    pub amount: String,
    pub payee: String,
    pub payer: String,
    pub nonce: String,
    pub valid_after: u64,
    pub valid_before: u64,
    /// How long the authorization lives from the moment it was seen.
    pub valid_for_s: u64,
    /// What it does to a channel, where it is by one.
    #[serde(skip)]
    pub drawn: Option<batch::Drawn>,
}

/// Verifies the value of a payment header of x402 `version` against `challenge` at `now_s`. An error is the reason,
/// as it goes into the next 402.
pub fn verify(version: u8, header: &[u8], challenge: &Challenge, now_s: u64) -> Result<Payment, String> {
    let bytes = BASE64.decode(header).map_err(|_| "invalid_payload: not base64")?;
    let sent: Value = serde_json::from_slice(&bytes).map_err(|_| "invalid_payload: not JSON")?;
    if version != challenge.version || sent["x402Version"] != json!(version) {
        return Err("invalid_x402_version".into());
    }
    let offer = if version == 1 { matching_v1(&sent, challenge)? } else { matching_v2(&sent, challenge)? };
    if solana::asks_for_it(offer) {
        return solana::verify(version, &sent["payload"], offer, now_s);
    }
    if batch::asks_for_it(offer) {
        return batch::verify(&sent, offer, challenge.unapproved, now_s);
    }
    match permit2::asks_for_it(offer) {
        true => permit2::verify(&sent, offer, challenge.unapproved, now_s),
        false => verify_transfer(version, &sent["payload"], offer, now_s),
    }
}

/// v2 §accepted: the whole offer comes back, member for member.
fn matching_v2<'a>(sent: &Value, challenge: &'a Challenge) -> Result<&'a Value, String> {
    let accepted = &sent["accepted"];
    let offer = challenge.offers.iter().find(|offer| *offer == accepted).ok_or("No matching payment requirements")?;
    if sent.get("resource") != challenge.resource.as_ref() {
        return Err("resource_echo_mismatch".into());
    }
    if let (Some(asked), Some(echoed)) = (&challenge.extensions, sent.get("extensions"))
        && !holds(echoed, asked)
    {
        return Err("extension_echo_mismatch".into());
    }
    Ok(offer)
}

/// Whether `echoed` holds all that `asked` does; a client may add members to objects.
fn holds(echoed: &Value, asked: &Value) -> bool {
    match (echoed, asked) {
        (Value::Object(echoed), Value::Object(asked)) => {
            asked.iter().all(|(name, asked)| echoed.get(name).is_some_and(|echoed| holds(echoed, asked)))
        }
        _ => echoed == asked,
    }
}

fn matching_v1<'a>(sent: &Value, challenge: &'a Challenge) -> Result<&'a Value, String> {
    let same = |offer: &&Value| offer["scheme"] == sent["scheme"] && offer["network"] == sent["network"];
    challenge.offers.iter().find(same).ok_or_else(|| "No matching payment requirements".into())
}

fn verify_transfer(version: u8, payload: &Value, offer: &Value, now_s: u64) -> Result<Payment, String> {
    let sent = &payload["authorization"];
    let amount = text(&offer[if version == 1 { "maxAmountRequired" } else { "amount" }])?;
    if offer["scheme"] != "exact" {
        return Err("unsupported_scheme".into());
    }
    if text(&sent["value"])? != amount {
        return Err("invalid_exact_evm_authorization_value".into());
    }
    let transfer = Transfer {
        from: hex_array(&sent["from"])?,
        to: hex_array(&sent["to"])?,
        value: decimal_word(amount)?,
        valid_after: decimal_word(text(&sent["validAfter"])?)?,
        valid_before: decimal_word(text(&sent["validBefore"])?)?,
        nonce: hex_array(&sent["nonce"])?,
    };
    if transfer.to != hex_array::<20>(&offer["payTo"])? {
        return Err("invalid_exact_evm_recipient_mismatch".into());
    }
    let (valid_after, valid_before) = (word_u64(&transfer.valid_after), word_u64(&transfer.valid_before));
    if valid_after > now_s {
        return Err("invalid_exact_evm_payload_authorization_valid_after".into());
    }
    if valid_before <= now_s {
        return Err("invalid_exact_evm_payload_authorization_valid_before".into());
    }
    let network = text(&offer["network"])?;
    let domain = Domain {
        name: text(&offer["extra"]["name"])?,
        version: text(&offer["extra"]["version"])?,
        chain_id: chain_id(version, network).ok_or("invalid_network")?,
        contract: hex_array(&offer["asset"])?,
    };
    let recovered = signer(digest(&domain, &transfer), &hex_array(&payload["signature"])?);
    if recovered.as_ref() != Ok(&transfer.from) {
        return Err("invalid_exact_evm_signature".into());
    }
    Ok(Payment {
        version,
        network: network.into(),
        asset: text(&offer["asset"])?.into(),
        amount: amount.into(),
        payee: hex(&transfer.to),
        payer: hex(&transfer.from),
        nonce: hex(&transfer.nonce),
        valid_after,
        valid_before,
        valid_for_s: valid_before - now_s,
        drawn: None,
    })
}

impl Payment {
    /// The hash of a transaction that never was; the same payment always has the same one.
    pub fn transaction(&self) -> String {
        // A voucher alone is settled off the chain.
        if self.drawn.as_ref().is_some_and(|drawn| drawn.deposit == 0) {
            return String::new();
        }
        match self.network.starts_with("solana") {
            true => solana::transaction_id(&self.nonce),
            false => hex(&keccak(&[b"settled", self.nonce.as_bytes()])),
        }
    }

    /// The reason for which it is not settled a second time.
    pub fn used_reason(&self) -> &'static str {
        match self.network.starts_with("solana") {
            true => "duplicate_settlement",
            false => "invalid_exact_evm_nonce_already_used",
        }
    }

    /// A settlement response, in base64. `charged` is what was taken, where it is said; `extra` speaks of a channel, and
    /// then the amount is what was deposited.
    pub fn receipt(&self, failed_because: Option<&str>, charged: Option<&str>, extra: Option<Value>) -> String {
        let mut value = match failed_because {
            None => json!({"success": true, "transaction": self.transaction(), "network": self.network,
                "payer": self.payer}),
            Some(reason) => json!({"success": false, "errorReason": reason, "transaction": "",
                "network": self.network, "payer": self.payer}),
        };
        let deposited = self.drawn.as_ref().map(|drawn| match drawn.deposit {
            0 => String::new(),
            deposit => deposit.to_string(),
        });
        if let Some(amount) = deposited.as_deref().or(charged) {
            value["amount"] = amount.into();
        }
        if let Some(extra) = extra {
            value["extra"] = extra;
        }
        BASE64.encode(value.to_string())
    }
}

/// `0x` and lower-case digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(2 + 2 * bytes.len());
    out.push_str("0x");
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
    out
}

pub(super) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("invalid_payload: {value} is not a string"))
}

pub(super) fn hex_array<const N: usize>(value: &Value) -> Result<[u8; N], String> {
    let bad = || format!("invalid_payload: {value} is not {N} bytes of hex");
    let digits = text(value)?.strip_prefix("0x").ok_or_else(bad)?.as_bytes();
    if digits.len() != 2 * N {
        return Err(bad());
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
        let digit = |c: u8| (c as char).to_digit(16).ok_or_else(bad);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Ok(out)
}

/// A decimal number without sign or leading zero, as 32 bytes, big end first.
pub fn decimal_word(digits: &str) -> Result<[u8; 32], String> {
    let bad = || format!("invalid_payload: {digits:?} is not a number");
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return Err(bad());
    }
    let mut out = [0u8; 32];
    for c in digits.bytes() {
        if !c.is_ascii_digit() {
            return Err(bad());
        }
        let mut carry = u32::from(c - b'0');
        for byte in out.iter_mut().rev() {
            carry += u32::from(*byte) * 10;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return Err(bad());
        }
    }
    Ok(out)
}

/// The value, or the greatest `u64` where it is more.
pub(super) fn word_u64(word: &[u8; 32]) -> u64 {
    if word[..24].iter().any(|byte| *byte != 0) {
        return u64::MAX;
    }
    word[24..].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn chain_id(version: u8, network: &str) -> Option<u64> {
    if version != 1 {
        return network.strip_prefix("eip155:")?.parse().ok();
    }
    match network {
        "base-sepolia" => Some(84532),
        "base" => Some(8453),
        "avalanche" => Some(43114),
        "avalanche-fuji" => Some(43113),
        "polygon" => Some(137),
        "polygon-amoy" => Some(80002),
        "ethereum" => Some(1),
        // What this server means by it; others mean another chain.
        "story" => Some(1514),
        _ => None,
    }
}
