//! The keys that can pay.
//!
//! Owns every private key from the moment its text is read. Must not know offers, amounts or what a
//! signature is for. Clones share the keys, so a key exists once in memory and is wiped with its last user.

mod derive;
mod ecdsa;
mod evm;
mod keyfile;
mod mnemonic;
mod pages;
mod secret;
mod signer;
mod solana;

pub use evm::EvmKey;
pub use pages::hold_pages;
pub use signer::{Answer, SIGNATURE_BYTES_MAX, SignFn, SignKind, Signer};
pub use solana::SolanaKey;

use crate::error::{Error, Status, printable};
use crate::money::EvmAddress;

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

    /// Adds the EVM key at `path` of a mnemonic (BIP-39, BIP-32); none: `m/44'/60'/0'/0/0`. Errors are `Status::Key`
    /// and never repeat any of the phrase.
    pub fn add_evm_mnemonic(&mut self, phrase: &str, passphrase: &str, path: Option<&str>) -> Result<(), Error> {
        let path = derive::Path::parse(path.unwrap_or(derive::EVM_PATH))?;
        let secret = derive::secp256k1(&mnemonic::seed(phrase, passphrase)?, &path)?;
        self.evm.push(EvmKey::from_secret(secret)?);
        Ok(())
    }

    /// Adds the Solana key at `path` of a mnemonic (BIP-39, SLIP-0010); none: `m/44'/501'/0'/0'`. Errors as above.
    pub fn add_solana_mnemonic(&mut self, phrase: &str, passphrase: &str, path: Option<&str>) -> Result<(), Error> {
        let path = derive::Path::parse(path.unwrap_or(derive::SOLANA_PATH))?;
        let secret = derive::ed25519(&mnemonic::seed(phrase, passphrase)?, &path)?;
        self.solana.push(SolanaKey::from_secret(secret)?);
        Ok(())
    }

    /// Adds the key of a file that nobody else may read: a version 3 keystore with its password, or a Solana key pair
    /// as `solana-keygen` writes it without one. Errors are `Status::Key`.
    pub fn add_keyfile(&mut self, path: &str, password: Option<&str>) -> Result<(), Error> {
        match keyfile::read(path, password)? {
            keyfile::Content::Solana(text) => self.add_solana_key(&text),
            keyfile::Content::Evm(secret, stated) => {
                let key = EvmKey::from_secret(secret)?;
                let is_stated = |stated: &String| {
                    let digits = stated.strip_prefix("0x").unwrap_or(stated);
                    key.address().trim_start_matches("0x").eq_ignore_ascii_case(digits)
                };
                if !stated.as_ref().is_none_or(is_stated) {
                    let path = printable(path);
                    let message = format!("the key file \"{path}\" states another address than that of its key");
                    return Err(Error::new(Status::Key, message));
                }
                self.evm.push(key);
                Ok(())
            }
        }
    }

    /// Adds a signer elsewhere for `address`: family `eip155` for an account, `eip155-contract` for a contract that
    /// judges signatures itself (ERC-1271), or `solana`.
    pub fn add_signer(&mut self, family: &str, address: &str, signer: Signer) -> Result<(), Error> {
        match family {
            "eip155" | "eip155-contract" => {
                let parsed = EvmAddress::parse(address)
                    .map_err(|why| Error::new(Status::Key, format!("the signer's address {why}")))?;
                if parsed.is_zero() {
                    return Err(Error::new(Status::Key, "the signer's address is zero, which nobody can sign for"));
                }
                self.evm.push(EvmKey::from_signer(parsed, family == "eip155-contract", signer));
            }
            "solana" => self.solana.push(SolanaKey::from_signer(address, signer)?),
            _ => {
                let family = printable(family);
                let message =
                    format!("the family \"{family}\" is unknown; it is \"eip155\", \"eip155-contract\" or \"solana\"");
                return Err(Error::new(Status::Argument, message));
            }
        }
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

    /// The same keys, that of `address` first in its family: the first pays. `address` is written as
    /// [`Wallet::address`] writes it; `None` if no key has it.
    pub fn led_by(&self, address: &str) -> Option<Wallet> {
        let mut led = self.clone();
        if let Some(at) = led.evm.iter().position(|key| key.address() == address) {
            led.evm[..=at].rotate_right(1);
        } else {
            let at = led.solana.iter().position(|key| key.address() == address)?;
            led.solana[..=at].rotate_right(1);
        }
        Some(led)
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
