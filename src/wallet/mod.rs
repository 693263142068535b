//! The keys that can pay.
//!
//! Owns every private key from the moment its text is read. Must not know offers, amounts or what a
//! signature is for. Clones share the keys, so a key exists once in memory and is wiped with its last user.

mod ecdsa;
mod evm;
mod secret;
mod signer;
mod solana;

pub use evm::EvmKey;
pub use signer::{Answer, SIGNATURE_BYTES_MAX, SignFn, SignKind, Signer};
pub use solana::SolanaKey;

use crate::error::Error;

/// Any number of keys, by family.
#[derive(Clone, Debug, Default)]
pub struct Wallet {
    evm: Vec<EvmKey>,
    solana: Vec<SolanaKey>,
}

impl Wallet {
    pub fn new() -> Wallet {
        Wallet::default()
    }

    /// Adds a secp256k1 private key: 64 hexadecimal digits, with or without `0x`. Errors are `Status::Key`
    /// and never repeat any of the text.
    pub fn add_evm_key(&mut self, hex: &str) -> Result<(), Error> {
        self.evm.push(EvmKey::from_hex(hex)?);
        Ok(())
    }

    /// Adds an ed25519 key pair of 64 bytes: base58, or a JSON array of numbers as `solana-keygen` writes it. Errors
    /// are `Status::Key` and never repeat any of the text.
    pub fn add_solana_key(&mut self, text: &str) -> Result<(), Error> {
        self.solana.push(SolanaKey::from_text(text)?);
        Ok(())
    }

    /// Whether it can sign nothing.
    pub fn is_empty(&self) -> bool {
        self.evm.is_empty() && self.solana.is_empty()
    }

    /// In the order in which they were added.
    pub fn evm_keys(&self) -> &[EvmKey] {
        &self.evm
    }

    /// In the order in which they were added.
    pub fn solana_keys(&self) -> &[SolanaKey] {
        &self.solana
    }

    /// The address of the key at `index` of a CAIP-2 namespace `eip155` or `solana`.
    pub fn address(&self, family: &str, index: usize) -> Option<&str> {
        match family {
            "eip155" => self.evm.get(index).map(EvmKey::address),
            "solana" => self.solana.get(index).map(SolanaKey::address),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
