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
/// proof has taken it for a payment. An equal one may be from before where the ledger knows nothing of the channel and
/// the chain shows that there was one, so that nothing is deposited now.
fn is_own_proof(draw: &Draw, signed: Amount) -> bool {
    signed == draw.claimable && draw.signed_before.map_or(!draw.deposit.is_zero(), |before| before < signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::{Ingredients, authorize, channels, payable};
    use crate::wallet::Wallet;
    use alloy_primitives::keccak256;
    use serde_json::json;

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

    const RECEIVER_AUTHORIZER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

    fn terms(extra: Json, error: &str) -> Challenge {
        let mut all = json!({"name": "USDC", "version": "2", "receiverAuthorizer": RECEIVER_AUTHORIZER});
        for (name, value) in extra.as_object().unwrap() {
            all[name] = value.clone();
        }
        let offer = json!({"scheme": "batch-settlement", "network": "eip155:84532", "amount": "100",
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "maxTimeoutSeconds": 60,
            "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", "extra": all});
        let body = json!({"x402Version": 2, "error": error, "accepts": [offer]}).to_string();
        Challenge::parse(None, body.as_bytes()).unwrap()
    }

    fn wallet() -> Wallet {
        let mut wallet = Wallet::new();
        wallet.add_evm_key(&format!("{:0>64}", "1")).unwrap();
        wallet
    }

    /// Draws from the channel with this salt, from what was charged.
    fn draw(salt: u64, charged: u64, signed_before: Option<u64>) -> Draw {
        let (asked, wallet) = (terms(json!({}), ""), wallet());
        let payable = payable(&asked.offers[0], &wallet).unwrap();
        let channel = channels(&asked.offers[0], &payable, &wallet).unwrap().candidates[salt as usize];
        let [charged, claimable] = [charged, charged + 100].map(Amount::from);
        Draw {
            channel,
            salt,
            charged,
            claimable,
            deposit: Amount::ZERO,
            signed_before: signed_before.map(Amount::from),
        }
    }

    /// The signature of the voucher that such a draw gives.
    fn voucher(draw: &Draw) -> String {
        let (asked, wallet) = (terms(json!({}), ""), wallet());
        let payable = payable(&asked.offers[0], &wallet).unwrap();
        let ingredients = Ingredients { draw: Some(draw), ..Ingredients::plain(1_740_672_089, [1; 32]) };
        let signed = authorize(&asked.offers[0], &payable, &wallet, &ingredients).unwrap();
        let payload: Json = serde_json::from_str(&signed.payload).unwrap();
        payload["voucher"]["signature"].as_str().unwrap().to_string()
    }

    #[test]
    fn only_another_voucher_of_ours_for_this_channel_proves_a_charge_that_it_covers() {
        let [mismatch, below] = CORRECTIVE_CODES;
        let asked = terms(json!({}), "");
        let turned_down = draw(0, 0, None);
        let payer = EvmAddress::parse(wallet().address("eip155", 0).unwrap()).unwrap();
        let said = |draw: &Draw, answer: &Challenge| correction(&asked.offers[0], draw, payer, answer);
        let state = |charged: &str, signed: &str, signature: &str| {
            json!({"channelState": {"channelId": turned_down.channel.to_string(), "balance": "900",
                "chargedCumulativeAmount": charged}, "voucherState": {"signedMaxClaimable": signed, "signature": signature}})
        };
        let good = voucher(&draw(0, 200, None));
        let balance = Some(Amount::from(900));
        let proven = |charged: u64| Correction::Proven { charged: charged.into(), signed: 300.into(), balance };
        for code in [mismatch, below] {
            assert_eq!(said(&turned_down, &terms(state("300", "300", &good), code)), Some(proven(300)));
            assert_eq!(said(&turned_down, &terms(state("30", "300", &good), code)), Some(proven(30)));
        }
        let high_s = "ff".repeat(65);
        for (what, extra) in [
            ("no voucher", json!({"channelState": {"chargedCumulativeAmount": "300"}})),
            ("no state", json!({"voucherState": {"signedMaxClaimable": "300", "signature": good}})),
            ("more charged than signed", state("301", "300", &good)),
            ("another sum", state("300", "301", &good)),
            ("another channel's", state("300", "300", &voucher(&draw(1, 200, None)))),
            ("nobody's", state("300", "300", &format!("0x{high_s}"))),
            ("no signature", state("300", "300", "0x12")),
            ("no number", state("0x300", "300", &good)),
            ("what was thought", state("0", "300", &good)),
        ] {
            assert_eq!(said(&turned_down, &terms(extra, mismatch)), Some(Correction::Doubt), "{what}");
        }
        let mut foreign = state("300", "300", &good);
        foreign["channelState"]["channelId"] = draw(1, 0, None).channel.to_string().into();
        assert_eq!(said(&turned_down, &terms(foreign, mismatch)), Some(Correction::Doubt));
        let mut dearer = terms(state("300", "300", &good), mismatch);
        dearer.offers[0].amount = 101.into();
        assert_eq!(said(&turned_down, &dearer), Some(Correction::Doubt), "another price");
        let stranger = EvmAddress::from_bytes([9; 20]);
        let other = correction(&asked.offers[0], &turned_down, stranger, &terms(state("300", "300", &good), mismatch));
        assert_eq!(other, Some(Correction::Doubt));
        for (code, word) in
            [(DOUBT_CODES[0], Some(Correction::Doubt)), ("invalid_exact_evm_signature", None), ("", None)]
        {
            assert_eq!(said(&turned_down, &terms(state("300", "300", &good), code)), word, "{code}");
        }
    }

    #[test]
    fn the_voucher_that_was_turned_down_proves_nothing_unless_it_may_be_from_before() {
        let payer = EvmAddress::parse(wallet().address("eip155", 0).unwrap()).unwrap();
        let asked = terms(json!({}), "");
        for (signed_before, believed) in [(Some(200), false), (Some(299), false), (Some(300), true), (None, true)] {
            let own = draw(0, 200, signed_before);
            let extra = json!({"channelState": {"chargedCumulativeAmount": "300"},
                "voucherState": {"signedMaxClaimable": "300", "signature": voucher(&own)}});
            let said = correction(&asked.offers[0], &own, payer, &terms(extra, CORRECTIVE_CODES[0]));
            assert_eq!(matches!(said, Some(Correction::Proven { .. })), believed, "{signed_before:?}");
        }
    }
}
