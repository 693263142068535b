//! An approval that a payment brings along, as the server sees it: an EIP-2612 permit, or a signed `approve` transaction.
//!
//! Owns the reading of both from the payment's extensions, by the standards' text and not by the library's code.

use super::eip712::{Domain, domain_separator, keccak, signer, word};
use super::payment::{decimal_word, hex_array, text, word_u64};
use super::permit2::PERMIT2;
use serde_json::{Value, json};

/// How long a permit must live yet, as official facilitators ask.
const PERMIT_S_MIN: u64 = 6;

/// 2^256 - 1.
const UNLIMITED: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

/// Whether `sent` brings an approval of `offer`'s token by `payer`, of at least `amount`.
pub fn verify(
    sent: &Value,
    offer: &Value,
    amount: &str,
    payer: &[u8; 20],
    chain_id: u64,
    now_s: u64,
) -> Result<(), String> {
    let permit = &sent["extensions"]["eip2612GasSponsoring"]["info"];
    if permit.get("signature").is_some() {
        return verify_permit(permit, offer, amount, payer, chain_id, now_s);
    }
    let approval = &sent["extensions"]["erc20ApprovalGasSponsoring"]["info"];
    if approval.get("signedTransaction").is_some() {
        return verify_transaction(approval, offer, payer, chain_id);
    }
    Err("permit2_allowance_required".into())
}

fn same_parties(info: &Value, offer: &Value, payer: &[u8; 20]) -> Result<bool, String> {
    Ok(hex_array::<20>(&info["from"])? == *payer
        && hex_array::<20>(&info["asset"])? == hex_array::<20>(&offer["asset"])?
        && hex_array::<20>(&info["spender"])? == hex_array::<20>(&json!(PERMIT2))?)
}

fn verify_permit(
    info: &Value,
    offer: &Value,
    least: &str,
    payer: &[u8; 20],
    chain_id: u64,
    now_s: u64,
) -> Result<(), String> {
    if !same_parties(info, offer, payer)? || info["version"] != "1" {
        return Err("invalid_eip2612_extension".into());
    }
    let (amount, deadline) = (decimal_word(text(&info["amount"])?)?, decimal_word(text(&info["deadline"])?)?);
    if amount < decimal_word(least)? {
        return Err("permit2_2612_amount_mismatch".into());
    }
    if word_u64(&deadline) < now_s + PERMIT_S_MIN {
        return Err("eip2612_deadline_expired".into());
    }
    let spender = hex_array::<20>(&json!(PERMIT2))?;
    let message = keccak(&[
        &keccak(&[b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"]),
        &word(payer),
        &word(&spender),
        &amount,
        &decimal_word(text(&info["nonce"])?)?,
        &deadline,
    ]);
    let domain = Domain {
        name: text(&offer["extra"]["name"])?,
        version: text(&offer["extra"]["version"])?,
        chain_id,
        contract: hex_array(&offer["asset"])?,
    };
    let digest = keccak(&[b"\x19\x01", &domain_separator(&domain), &message]);
    match signer(digest, &hex_array(&info["signature"])?) {
        Ok(recovered) if recovered == *payer => Ok(()),
        _ => Err("eip2612_signature".into()),
    }
}

/// EIP-1559: `02 || rlp([chain, nonce, tip, fee, gas, to, value, data, access list, y parity, r, s])`.
fn verify_transaction(info: &Value, offer: &Value, payer: &[u8; 20], chain_id: u64) -> Result<(), String> {
    let bad = || "erc20_approval_transaction".to_string();
    if !same_parties(info, offer, payer)? || info["amount"] != UNLIMITED {
        return Err(bad());
    }
    let digits = text(&info["signedTransaction"])?.strip_prefix("0x02").ok_or_else(bad)?;
    let bytes: Vec<u8> = (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).map_err(|_| bad()))
        .collect::<Result<_, _>>()?;
    let (list, rest) = item(&bytes).ok_or_else(bad)?;
    let mut fields = Vec::new();
    let mut left = list.content;
    while !left.is_empty() {
        let (field, after) = item(left).ok_or_else(bad)?;
        fields.push(field);
        left = after;
    }
    let [chain, _, _, _, _, to, value, data, access, parity, r, s] = &fields[..] else { return Err(bad()) };
    let approve = [&[0x09, 0x5e, 0xa7, 0xb3][..], &word(&hex_array(&json!(PERMIT2))?), &[0xff; 32]].concat();
    let chain_bytes = chain_id.to_be_bytes();
    let chain_bytes = &chain_bytes[chain_bytes.iter().position(|byte| *byte != 0).unwrap_or(0)..];
    let holds = rest.is_empty()
        && chain.content == chain_bytes
        && to.content == hex_array::<20>(&offer["asset"])?
        && value.content.is_empty()
        && data.content == approve
        && access.content.is_empty();
    if !holds {
        return Err(bad());
    }
    // What was signed: the same list without the last three.
    let unsigned_bytes: Vec<u8> = fields[..9].iter().flat_map(|field| field.whole.to_vec()).collect();
    let digest = keccak(&[&[2], &list_header(unsigned_bytes.len()), &unsigned_bytes]);
    let mut signature = [0; 65];
    signature[32 - r.content.len()..32].copy_from_slice(r.content);
    signature[64 - s.content.len()..64].copy_from_slice(s.content);
    signature[64] = 27 + parity.content.first().copied().unwrap_or(0);
    match signer(digest, &signature) {
        Ok(recovered) if recovered == *payer => Ok(()),
        _ => Err(bad()),
    }
}

struct Item<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// The first RLP item, and what follows it.
fn item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let first = usize::from(*bytes.first()?);
    let (header, length) = match first {
        0..0x80 => (0, 1),
        0x80..0xb8 => (1, first - 0x80),
        0xc0..0xf8 => (1, first - 0xc0),
        _ => {
            let width = first - if first < 0xc0 { 0xb7 } else { 0xf7 };
            let length = bytes.get(1..1 + width)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (1 + width, length)
        }
    };
    let whole = bytes.get(..header + length)?;
    Some((Item { whole, content: &whole[header..] }, &bytes[header + length..]))
}

fn list_header(length: usize) -> Vec<u8> {
    match length {
        0..56 => vec![0xc0 + length as u8],
        56..256 => vec![0xf8, length as u8],
        _ => vec![0xf9, (length >> 8) as u8, length as u8],
    }
}
