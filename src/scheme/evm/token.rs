//! What is called on an ERC-20 token and on Permit2: the transaction that lets Permit2 move a token, and the questions
//! about both.
//!
//! Owns the encoding of these calls (Solidity ABI). Must not know offers, nor who sends a call.

use super::permit2::PERMIT2;
use crate::money::{Amount, EvmAddress};
use alloy_primitives::{U256, hex};

/// The transaction that a payer has to send before Permit2 can move a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The token.
    pub to: EvmAddress,
    /// Permit2.
    pub spender: EvmAddress,
    /// What one payment needs.
    amount: U256,
}

impl Approval {
    pub(super) fn of(token: EvmAddress, amount: Amount) -> Approval {
        Approval { to: token, spender: PERMIT2, amount: amount.to_u256() }
    }

    /// `approve` without limit, so that no further payment needs one: hexadecimal digits after `0x`.
    pub fn data(&self) -> String {
        hex::encode_prefixed(approve(U256::MAX))
    }

    /// `approve` for one payment of this amount.
    pub fn data_exact(&self) -> String {
        hex::encode_prefixed(approve(self.amount))
    }
}

/// `approve(address,uint256)` for Permit2.
pub(super) fn approve(amount: U256) -> Vec<u8> {
    call(hex!("095ea7b3"), &[PERMIT2.to_alloy().into_word().0, amount.to_be_bytes()])
}

/// `allowance(address,address)`: how much Permit2 may move.
pub(super) fn allowance_call(owner: EvmAddress) -> Vec<u8> {
    call(hex!("dd62ed3e"), &[owner.to_alloy().into_word().0, PERMIT2.to_alloy().into_word().0])
}

/// `nonces(address)` (EIP-2612).
pub(super) fn nonces_call(owner: EvmAddress) -> Vec<u8> {
    call(hex!("7ecebe00"), &[owner.to_alloy().into_word().0])
}

/// `authorizationState(address,bytes32)` (EIP-3009): 1 once the authorization was used or cancelled.
pub(super) fn authorization_state_call(payer: EvmAddress, nonce: &[u8; 32]) -> Vec<u8> {
    call(hex!("e94a0102"), &[payer.to_alloy().into_word().0, *nonce])
}

/// `nonceBitmap(address,uint256)` of Permit2: the 256 nonces that a nonce is one of, its last byte saying which bit.
pub(super) fn nonce_bitmap_call(payer: EvmAddress, nonce: &[u8; 32]) -> Vec<u8> {
    let word: U256 = U256::from_be_bytes(*nonce) >> 8;
    call(hex!("4fe02b44"), &[payer.to_alloy().into_word().0, word.to_be_bytes()])
}

fn call(selector: [u8; 4], words: &[[u8; 32]]) -> Vec<u8> {
    [&selector[..], words.concat().as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn a_call_begins_with_the_hash_of_its_signature() {
        let owner = EvmAddress::from_bytes([7; 20]);
        for (signature, call, words) in [
            ("approve(address,uint256)", approve(U256::MAX), 2),
            ("allowance(address,address)", allowance_call(owner), 2),
            ("nonces(address)", nonces_call(owner), 1),
            ("authorizationState(address,bytes32)", authorization_state_call(owner, &[9; 32]), 2),
            ("nonceBitmap(address,uint256)", nonce_bitmap_call(owner, &[9; 32]), 2),
        ] {
            assert_eq!(call[..4], keccak256(signature)[..4], "{signature}");
            assert_eq!(call.len(), 4 + 32 * words, "{signature}");
        }
    }
}
