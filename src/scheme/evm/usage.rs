//! Whether an authorization was used, which its contract can be asked: the token for EIP-3009, Permit2 for its permits.
//!
//! Owns the questions and the reading of the answers. Must not know why somebody asks. Used is used: who had it settled,
//! and whether he then delivered, no contract says.

use super::asked::Asked;
use super::permit2::PERMIT2;
use super::token::{authorization_state_call, nonce_bitmap_call};
use super::{Terms, terms};
use crate::money::{EvmAddress, TransferMethod};
use crate::protocol::Offer;
use crate::scheme::{Facts, Need};
use alloy_primitives::U256;

/// A question about one authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    need: Need,
    /// Which bit of the answer tells.
    bit: usize,
}

impl Usage {
    /// Of what was signed for `offer` by `payer` with `nonce`; `None` where no contract tells it by that nonce alone.
    pub(in crate::scheme) fn of(offer: &Offer, payer: &str, nonce: &[u8; 32]) -> Option<Usage> {
        let (way, terms) = terms(offer).ok()?;
        let payer = EvmAddress::parse(payer).ok()?;
        match (terms, way.method) {
            (Terms::Transfer(_), TransferMethod::Eip3009) => {
                let token = Asked::read(offer).ok()?.token;
                let data = authorization_state_call(payer, nonce);
                Some(Usage { need: Need::EvmCall { to: token, data }, bit: 0 })
            }
            (Terms::Permit(_), TransferMethod::Permit2) => {
                let data = nonce_bitmap_call(payer, nonce);
                Some(Usage { need: Need::EvmCall { to: PERMIT2, data }, bit: usize::from(nonce[31]) })
            }
            _ => None,
        }
    }

    /// What a node of the offer's network must be asked.
    pub fn need(&self) -> Need {
        self.need.clone()
    }

    /// Whether the node says that it was used; false where nothing was learned.
    pub fn was_used(&self, facts: &Facts) -> bool {
        let word = facts.get(&self.need).and_then(|answer| answer.strip_prefix("0x"));
        let word = word.filter(|digits| digits.len() == 64).and_then(|digits| U256::from_str_radix(digits, 16).ok());
        word.is_some_and(|word| word.bit(self.bit))
    }
}
