//! The scheme `exact` on EVM chains by EIP-3009: one signed transfer of exactly the amount.
//!
//! Owns what an offer must say before it is signed, and the payload. Must not know how many keys there are.
//! A known asset's EIP-712 name and version come from the built-in table, and an offer that states others
//! is refused instead of corrected: its server and its facilitator would refuse the signature anyway, or
//! the asset is not what it claims to be.

use super::eip712::{self, Domain, Transfer};
use crate::error::{Error, printable};
use crate::money::{Amount, EvmAddress, KnownAsset, TransferMethod, known_asset};
use crate::protocol::{Offer, Version};
use crate::scheme::{Authorization, VALIDITY_S_MAX};
use crate::wallet::EvmKey;
use alloy_primitives::hex;
use serde_json::Value;
use std::fmt::Write;
use zeroize::Zeroizing;

/// How far back a version 1 authorization reaches, for clocks that are behind ours.
const V1_VALID_AFTER_BACK_S: u64 = 600;

/// Room for any payload beside its signature, so that none is moved while it grows and leaves a copy behind.
const PAYLOAD_BYTES_MAX: usize = 512;

/// An offer, checked: every value that is signed except the time and the nonce.
pub(super) struct Terms<'a> {
    payee: EvmAddress,
    amount: Amount,
    domain: Domain<'a>,
    known: Option<&'static KnownAsset>,
    version: Version,
    timeout_s: u64,
}

/// Checks `offer`; the error begins with the name of the field in the way.
pub(super) fn terms(offer: &Offer) -> Result<Terms<'_>, String> {
    let chain_id =
        offer.network.evm_chain_id().ok_or_else(|| format!("network is {}, which is no EVM chain", offer.network))?;
    check_flow(offer)?;
    check_method(offer)?;
    let payee = address("payTo", &offer.payee)?;
    let contract = address("asset", &offer.asset)?;
    let name = domain_text(offer, "name")?;
    let version = domain_text(offer, "version")?;
    let known = known_asset(&offer.network, &offer.asset);
    if let Some(asset) = known {
        check_known(asset, name, version)?;
    }
    let domain = Domain { name, version, chain_id, contract };
    Ok(Terms { payee, amount: offer.amount, domain, known, version: offer.version, timeout_s: offer.max_timeout_s })
}

/// When the server settles does not change what is signed; a flow nobody has defined might.
fn check_flow(offer: &Offer) -> Result<(), String> {
    match optional_text(offer, "paymentFlow")? {
        None | Some("authorization" | "upfront" | "escrow") => Ok(()),
        Some(other) => Err(format!("extra.paymentFlow is {:?}, which is unknown", printable(other))),
    }
}

fn check_method(offer: &Offer) -> Result<(), String> {
    match optional_text(offer, "assetTransferMethod")? {
        None | Some("eip3009") => Ok(()),
        Some(other) => {
            Err(format!("extra.assetTransferMethod is {:?}, but only eip3009 can be signed here", printable(other)))
        }
    }
}

fn check_known(asset: &KnownAsset, name: &str, version: &str) -> Result<(), String> {
    if asset.method != TransferMethod::Eip3009 {
        return Err(format!("asset is {} of {}, which has no EIP-3009 transfers", asset.symbol, asset.network));
    }
    for (field, stated, right) in [("name", name, asset.eip712_name), ("version", version, asset.eip712_version)] {
        if stated != right {
            return Err(format!(
                "extra.{field} is {:?}, but {} of {} signs with {right:?}",
                printable(stated),
                asset.symbol,
                asset.network
            ));
        }
    }
    Ok(())
}

fn address(field: &str, text: &str) -> Result<EvmAddress, String> {
    let address = EvmAddress::parse(text).map_err(|why| format!("{field} {why}"))?;
    if address.is_zero() {
        return Err(format!("{field} is the zero address, to which nothing can be paid"));
    }
    Ok(address)
}

/// A member of the token's EIP-712 domain: never guessed, because a wrong one voids the signature.
fn domain_text<'a>(offer: &'a Offer, field: &str) -> Result<&'a str, String> {
    match optional_text(offer, field)? {
        Some(text) if !text.is_empty() => Ok(text),
        Some(_) => Err(format!("extra.{field} is empty, but the token's EIP-712 {field} is needed to sign")),
        None => Err(format!("extra.{field} is missing, but the token's EIP-712 {field} is needed to sign")),
    }
}

fn optional_text<'a>(offer: &'a Offer, field: &str) -> Result<Option<&'a str>, String> {
    // A handful of members are compared sooner than one name is hashed.
    match offer.extra.iter().find(|(name, _)| *name == field).map(|(_, value)| value) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("extra.{field} is not a string")),
    }
}

/// Signs the transfer and lays out the payload (x402 v1 and v2, scheme `exact`, EVM).
pub(super) fn authorize(terms: &Terms<'_>, key: &EvmKey, now_s: u64, nonce: [u8; 32]) -> Result<Authorization, Error> {
    let valid_after_s = match terms.version {
        Version::V1 => now_s.saturating_sub(V1_VALID_AFTER_BACK_S),
        Version::V2 => 0,
    };
    let valid_before_s = now_s.saturating_add(terms.timeout_s.min(VALIDITY_S_MAX));
    let transfer = Transfer {
        from: EvmAddress::from_bytes(key.address_bytes()),
        to: terms.payee,
        value: terms.amount,
        valid_after_s,
        valid_before_s,
        nonce,
    };
    let separator = terms.known.and_then(eip712::known_separator).unwrap_or_else(|| terms.domain.separator());
    let digest = eip712::digest(&separator, &transfer.struct_hash());
    let signature = key.sign_typed(&digest, || transfer.typed_data_json(&terms.domain))?;
    let payer = key.address().to_string();
    Ok(Authorization { payload: payload(&transfer, &payer, &signature), payer, nonce, valid_before_s })
}

/// Nothing in it needs an escape: addresses, decimal and hexadecimal digits. The order of the members is that
/// of the official TypeScript client.
fn payload(transfer: &Transfer, payer: &str, signature: &[u8]) -> Zeroizing<String> {
    let Transfer { to, value, valid_after_s, valid_before_s, .. } = transfer;
    let mut nonce = hex::Buffer::<32, true>::new();
    let nonce = nonce.format(&transfer.nonce);
    let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX + 2 * signature.len()));
    // Writing to a String cannot fail.
    let _ = write!(
        json,
        r#"{{"authorization":{{"from":"{payer}","to":"{to}","value":"{value}","validAfter":"{valid_after_s}","#
    );
    let _ = write!(json, r#""validBefore":"{valid_before_s}","nonce":"{nonce}"}},"signature":""#);
    let mut shown = Zeroizing::new(vec![0; 2 * signature.len()]);
    // Invariant: two digits a byte always fit, and are ASCII.
    if hex::encode_to_slice(signature, shown.as_mut_slice()).is_ok() {
        json.push_str("0x");
        json.push_str(str::from_utf8(&shown).unwrap_or_default());
    }
    json.push_str(r#""}"#);
    json
}
