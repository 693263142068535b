//! The keys that can pay.
//!
//! Owns every private key from the moment its text is read. Must not know offers, amounts or what a
//! signature is for. Clones share the keys, so a key exists once in memory and is wiped with its last user.

mod ecdsa;
mod evm;
mod secret;

pub use evm::EvmKey;

use crate::error::Error;

/// Any number of keys, by family.
#[derive(Clone, Debug, Default)]
pub struct Wallet {
    evm: Vec<EvmKey>,
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

    /// Whether it can sign nothing.
    pub fn is_empty(&self) -> bool {
        self.evm.is_empty()
    }

    /// In the order in which they were added.
    pub fn evm_keys(&self) -> &[EvmKey] {
        &self.evm
    }

    /// The address of the key at `index` of a CAIP-2 namespace such as `eip155`.
    pub fn address(&self, family: &str, index: usize) -> Option<&str> {
        match family {
            "eip155" => self.evm.get(index).map(EvmKey::address),
            _ => None,
        }
    }
}
