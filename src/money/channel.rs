//! A payment channel: money that was deposited once for one payee, and what of it a payment draws.
//!
//! Owns the arithmetic of vouchers and deposits. Must not know how a channel is named, signed for, or remembered. A
//! voucher says how much of the channel is the payee's in all, so that what is drawn is never a sum of signatures.

use super::Amount;
use alloy_primitives::hex;
use std::fmt;

/// A voucher counts in 128 bits.
pub const CLAIMABLE_BITS: usize = 128;

/// The name of a channel: on EVM chains the digest of its terms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId([u8; 32]);

impl ChannelId {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        ChannelId(bytes)
    }

    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Reads `0x` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
        Some(ChannelId(bytes))
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_prefixed(self.0))
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelId({self})")
    }
}

/// What one payment draws from a channel: all that its signature is made from beside the offer, nonce and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    pub channel: ChannelId,
    /// What tells this channel from others with the same terms.
    pub salt: u64,
    /// What the payee had charged before.
    pub charged: Amount,
    /// What the voucher lets the payee have of the channel in all.
    pub claimable: Amount,
    /// What leaves the payer's account for the channel; perhaps nothing.
    pub deposit: Amount,
    /// The most that any voucher before let the payee have; `None` where nothing was known of the channel.
    pub signed_before: Option<Amount>,
}

impl Draw {
    /// Whether the payee can have as much by an earlier voucher, so that this one gives it nothing.
    pub fn gives_nothing(&self) -> bool {
        self.signed_before.is_some_and(|before| self.claimable <= before)
    }

    /// The most that can be lost by it: the deposit, or a price that an earlier one covers.
    pub fn at_risk(&self) -> Amount {
        self.deposit.max(self.price())
    }

    /// What the payment itself costs.
    pub fn price(&self) -> Amount {
        self.claimable.checked_sub(self.charged).unwrap_or_default()
    }
}

/// What a node says of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnChain {
    pub channel: ChannelId,
    pub balance: Amount,
    /// What the payee claimed of it; perhaps less than he charged.
    pub claimed: Amount,
}

/// What a server says of a channel when it turns a voucher down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// It proves, by the payer's own signature over `signed`, that it may have charged so much.
    Proven { charged: Amount, signed: Amount, balance: Option<Amount> },
    /// It proves nothing, but something is wrong with what is known here.
    Doubt,
}

/// What a voucher must say, so that the payee can have `price` more; `None` where that is 2^128 or more.
pub fn claimable(charged: Amount, price: Amount) -> Option<Amount> {
    charged.checked_add(price).filter(|sum| sum.to_u256().bit_len() <= CLAIMABLE_BITS)
}

/// What has to be deposited before a voucher over `claimable` is covered by `balance`.
pub fn missing(balance: Amount, claimable: Amount) -> Amount {
    claimable.checked_sub(balance).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_written() {
        let id = ChannelId::from_bytes([0xab; 32]);
        assert_eq!(ChannelId::parse(&id.to_string()), Some(id));
        for bad in ["", "0x", "ab", &id.to_string()[..65], &id.to_string().replace('a', "g")] {
            assert_eq!(ChannelId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn sums_are_exact_and_end_below_128_bits() {
        let most = Amount::parse("340282366920938463463374607431768211455").unwrap();
        assert_eq!(claimable(most, Amount::ZERO), Some(most));
        assert_eq!(claimable(most, Amount::from(1)), None);
        assert_eq!(claimable(Amount::MAX, Amount::from(1)), None);
        assert_eq!(missing(Amount::from(5), Amount::from(4)), Amount::ZERO);
        assert_eq!(missing(Amount::from(5), Amount::from(9)), Amount::from(4));
    }
}
