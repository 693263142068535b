//! Addresses that programs derive from seeds, and that no key belongs to.
//!
//! Owns the derivation. Must not know offers. An address of a program must not be a point of the curve, and testing
//! that costs more than the signature of a payment; the same few owners and mints come again with every call, so each
//! thread remembers its last token accounts.

use super::program;
use crate::money::{Remembered, SolanaAddress};
use curve25519_dalek::edwards::CompressedEdwardsY;
use ring::digest::{Context, SHA256};
use std::cell::RefCell;

/// How many token accounts a thread remembers: payer and payee in a few tokens.
const ACCOUNTS_KEPT: usize = 16;

/// The first address, counting a last seed byte down from 255, that is no point of the curve. `None` where all are:
/// nobody has ever met such seeds.
pub fn program_address(seeds: &[&[u8]], program: &SolanaAddress) -> Option<SolanaAddress> {
    (0..=u8::MAX).rev().find_map(|bump| {
        let mut hash = Context::new(&SHA256);
        seeds.iter().for_each(|seed| hash.update(seed));
        hash.update(&[bump]);
        hash.update(program.bytes());
        hash.update(b"ProgramDerivedAddress");
        let bytes: [u8; 32] = hash.finish().as_ref().try_into().ok()?;
        let on_curve = CompressedEdwardsY(bytes).decompress().is_some();
        (!on_curve).then(|| SolanaAddress::from_bytes(bytes))
    })
}

/// Whose account in which token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    pub owner: SolanaAddress,
    pub token_program: SolanaAddress,
    pub mint: SolanaAddress,
}

impl Holding {
    /// The owner's associated token account.
    pub fn account(&self) -> Option<SolanaAddress> {
        thread_local! {
            static KEPT: RefCell<Remembered<Holding, SolanaAddress, ACCOUNTS_KEPT>> =
                const { RefCell::new(Remembered::new()) };
        }
        Remembered::recall(&KEPT, |known| known == self)
            .or_else(|| self.derived().map(|account| Remembered::remember(&KEPT, *self, account)))
    }

    fn derived(&self) -> Option<SolanaAddress> {
        let seeds: [&[u8]; 3] = [self.owner.bytes(), self.token_program.bytes(), self.mint.bytes()];
        program_address(&seeds, &program::ASSOCIATED_TOKEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_account_is_that_of_its_holding() {
        // More holdings than are remembered, each several times and in changing order.
        for round in 0..4_usize {
            for at in 0..2 * ACCOUNTS_KEPT {
                let owner = SolanaAddress::from_bytes([(at * (2 * round + 1) % 32) as u8; 32]);
                let token_program = if at % 2 == 0 { program::TOKEN } else { program::TOKEN_2022 };
                let holding = Holding { owner, token_program, mint: SolanaAddress::from_bytes([9; 32]) };
                assert_eq!(holding.account(), holding.derived());
                assert!(holding.account().is_some());
            }
        }
    }
}
