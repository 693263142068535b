//! What others say of a payment channel: the chain, and a server that turns a voucher down.
//!
//! Owns the reading of both as claims, and what proves one. Must not know what the ledger makes of it. A server may hold
//! vouchers that this ledger knows nothing of (it was lost, or another one signed them); the payer's own signature over
//! what it states is the only word of it that is believed.

use super::batch;
use super::eip712::{Message, Value, digest};
use super::messages::VOUCHER;
use crate::money::{Amount, CLAIMABLE_BITS, ChannelId, Correction, Draw, EvmAddress, Network, OnChain};
use crate::protocol::{Challenge, Offer};
use crate::scheme::{Facts, Need, attested};
use alloy_primitives::{U256, hex};
use serde_json::{Map, Value as Json};

/// The codes with which a server says that the voucher does not continue what was charged.
const CORRECTIVE_CODES: [&str; 2] = [
    "invalid_batch_settlement_evm_cumulative_amount_mismatch",
    "invalid_batch_settlement_evm_cumulative_below_claimed",
];
/// The codes with which it says that the channel holds less than is thought here.
const DOUBT_CODES: [&str; 2] =
    ["invalid_batch_settlement_evm_cumulative_exceeds_balance", "invalid_batch_settlement_evm_channel_not_found"];

/// `channels(bytes32)`, which gives what is deposited and what was claimed.
const CHANNELS_SELECTOR: [u8; 4] = hex!("7a7ebd7b");
const WORD_BYTES: usize = 32;

pub(super) fn need(channel: ChannelId) -> Need {
    Need::EvmCall { to: batch::CHANNELS, data: [&CHANNELS_SELECTOR[..], &channel.bytes()].concat() }
}

/// The answer to [`need`], where it is one that the contract can give.
pub(super) fn on_chain(channel: ChannelId, facts: &Facts) -> Option<OnChain> {
    let bytes = hex::decode(facts.get(&need(channel))?).ok()?;
    let (balance, claimed) = bytes.split_at_checked(WORD_BYTES)?;
    let number = |word: &[u8]| {
        let number = <[u8; WORD_BYTES]>::try_from(word).ok().map(U256::from_be_bytes)?;
        (number.bit_len() <= CLAIMABLE_BITS).then(|| Amount::from_u256(number))
    };
    let (balance, claimed) = (number(balance)?, number(claimed)?);
    (claimed <= balance).then_some(OnChain { channel, balance, claimed })
}

/// What the server says when it turns down the voucher of `draw`, which was signed by `payer` for `offer`; `None` where
/// it says nothing of the channel.
pub(super) fn correction(offer: &Offer, draw: &Draw, payer: EvmAddress, answer: &Challenge) -> Option<Correction> {
    let code = answer.error.as_deref()?;
    if DOUBT_CODES.contains(&code) {
        return Some(Correction::Doubt);
    }
    if !CORRECTIVE_CODES.contains(&code) {
        return None;
    }
    let corrected = answer.offers.iter().filter(|other| is_same(offer, other));
    let proven = corrected.filter_map(|other| proven(&offer.network, draw, payer, &other.extra)).next();
    Some(proven.unwrap_or(Correction::Doubt))
}

/// Whether both ask the same amount of the same asset for the same payee, by the same scheme.
fn is_same(signed: &Offer, other: &Offer) -> bool {
    (&signed.scheme, &signed.network, signed.amount) == (&other.scheme, &other.network, other.amount)
        && signed.network.is_same_address(&signed.asset, &other.asset)
        && signed.network.is_same_address(&signed.payee, &other.payee)
}

/// Whether the offer's `extra` proves what was charged.
fn proven(network: &Network, draw: &Draw, payer: EvmAddress, extra: &Map<String, Json>) -> Option<Correction> {
    let (channel, voucher) = (extra.get("channelState")?, extra.get("voucherState")?);
    if channel.get("channelId").is_some_and(|id| id.as_str().and_then(ChannelId::parse) != Some(draw.channel)) {
        return None;
    }
    let amount = |value: &Json| Amount::parse(value.as_str()?).ok();
    let charged = amount(channel.get("chargedCumulativeAmount")?)?;
    let signed = amount(voucher.get("signedMaxClaimable")?)?;
    // The same charge gives the same voucher, which was turned down just now.
    if charged > signed || charged == draw.charged || is_own_proof(draw, signed) {
        return None;
    }
    let message = [Value::Bytes32(draw.channel.bytes()), Value::Number(signed.to_u256())];
    let domain = batch::domain(network.evm_chain_id()?);
    let digest = digest(&domain.separator(), &Message::new(&VOUCHER, &message).hash());
    let signer = attested::signer(&digest, voucher.get("signature")?.as_str()?)?;
    let balance = channel.get("balance").and_then(amount);
    (signer == payer).then_some(Correction::Proven { charged, signed, balance })
}

/// Whether the only voucher that can be meant is the one that was turned down just now: a server that takes it for a
/// proof has taken it for a payment. Where nothing was known of the channel, an equal one may be from before.
fn is_own_proof(draw: &Draw, signed: Amount) -> bool {
    signed == draw.claimable && draw.signed_before.is_some_and(|before| before < signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn a_call_begins_with_the_hash_of_its_signature() {
        assert_eq!(keccak256("channels(bytes32)")[..4], CHANNELS_SELECTOR);
    }

    #[test]
    fn only_what_the_contract_can_say_is_taken_from_a_node() {
        let channel = ChannelId::from_bytes([3; 32]);
        let read = |answer: String| {
            let mut facts = Facts::default();
            facts.add(&need(channel), answer);
            on_chain(channel, &facts)
        };
        let words = |balance: &str, claimed: &str| format!("0x{balance:0>64}{claimed:0>64}");
        let (balance, claimed) = (Amount::from(0x500), Amount::from(0x20));
        assert_eq!(read(words("500", "20")), Some(OnChain { channel, balance, claimed }));
        assert_eq!(read(words("500", "501")), None, "more claimed than deposited");
        assert_eq!(read(words(&format!("1{}", "0".repeat(32)), "0")), None, "more than 128 bits");
        assert_eq!(read("0x".into()), None, "no contract there");
        assert_eq!(read(words("500", "20") + "00"), None);
        assert_eq!(on_chain(channel, &Facts::none()), None);
    }
}
