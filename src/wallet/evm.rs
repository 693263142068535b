//! A key for EVM chains, held here or by a signer elsewhere.
//!
//! Owns the reading of its text, its address, and what a signature must be to count as its own. Must not know what
//! is signed: it takes a 32-byte digest, and the text of the same message for signers that show it to somebody. An
//! error about a key says what is wrong and where, and never what was written there.

use super::ecdsa;
use super::secret::Secret;
use super::signer::{SignKind, Signer};
use crate::error::{Error, Status};
use crate::money::EvmAddress;
use alloy_primitives::{Address, keccak256};
use secp256k1::PublicKey;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

const KEY_DIGITS: usize = 64;

/// r and s; v after them makes 65.
const R_AND_S_BYTES: usize = 64;

/// A secp256k1 private key, or a signer, and its address. Clones share the secret.
#[derive(Clone)]
pub struct EvmKey(Arc<Inner>);

struct Inner {
    held: Held,
    address: EvmAddress,
    address_text: String,
}

/// Where the key is.
#[derive(Debug)]
enum Held {
    Here(Secret),
    /// Elsewhere, and the address is that of the key itself.
    Account(Signer),
    /// Elsewhere, and the address is a contract's, which judges signatures by its own code (ERC-1271).
    Contract(Signer),
}

impl EvmKey {
    /// Reads 64 hexadecimal digits, with or without `0x`.
    pub fn from_hex(text: &str) -> Result<EvmKey, Error> {
        EvmKey::from_secret(secret_from_hex(text)?)
    }

    pub(super) fn from_secret(secret: Secret) -> Result<EvmKey, Error> {
        if secret.is_zero() {
            return Err(fail("The private key is zero, which is not a key; check where it was read from.".into()));
        }
        let public = ecdsa::public_key(&secret)?.ok_or_else(|| {
            fail("The private key is not below the order of secp256k1; check where it was read from.".into())
        })?;
        Ok(EvmKey::new(Held::Here(secret), address_of(&public)))
    }

    /// A signer elsewhere. Without `is_contract`, a signature of 64 or 65 bytes must be by the key of `address`;
    /// signatures of other lengths, and all of a contract's, are passed on as they are.
    pub fn from_signer(address: EvmAddress, is_contract: bool, signer: Signer) -> EvmKey {
        EvmKey::new(if is_contract { Held::Contract(signer) } else { Held::Account(signer) }, address)
    }

    fn new(held: Held, address: EvmAddress) -> EvmKey {
        EvmKey(Arc::new(Inner { held, address, address_text: address.to_string() }))
    }

    /// EIP-55.
    pub fn address(&self) -> &str {
        &self.0.address_text
    }

    pub fn address_bytes(&self) -> [u8; 20] {
        self.0.address.bytes()
    }

    /// Whether the address is a contract's, which no key recovers to.
    pub fn is_contract(&self) -> bool {
        matches!(self.0.held, Held::Contract(_))
    }

    /// Signs a typed message (EIP-712). A key held here gives r, s and v (27 or 28): deterministic (RFC 6979), low s.
    /// A signer elsewhere is shown `typed_data_json`, or `digest` if it wants that; it may block, and may give any
    /// length from 1 to [`SIGNATURE_BYTES_MAX`](super::SIGNATURE_BYTES_MAX). Errors are `Status::Sign`.
    pub fn sign_typed(
        &self,
        digest: &[u8; 32],
        typed_data_json: impl FnOnce() -> String,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let signer = match &self.0.held {
            Held::Here(secret) => return Ok(Zeroizing::new(ecdsa::sign(secret, digest)?.to_vec())),
            Held::Account(signer) | Held::Contract(signer) => signer,
        };
        let answer = match signer.ask(SignKind::EvmTypedData, typed_data_json().as_bytes())? {
            Some(answer) => answer,
            None => signer.ask(SignKind::EvmDigest, digest)?.ok_or_else(|| {
                let message = "the signer signs neither evm-typed-data nor evm-digest; it must sign one of them";
                Error::new(Status::Sign, message)
            })?,
        };
        match &self.0.held {
            Held::Account(_) => self.own(digest, answer),
            _ => Ok(answer),
        }
    }

    /// r, s and v (27 or 28) of a transaction's hash; `None` where the key is elsewhere, because such a signer would
    /// see nothing of the transaction but the hash.
    pub fn sign_transaction(&self, hash: &[u8; 32]) -> Option<Result<[u8; 65], Error>> {
        match &self.0.held {
            Held::Here(secret) => Some(ecdsa::sign(secret, hash)),
            Held::Account(_) | Held::Contract(_) => None,
        }
    }

    /// Makes a signer's r and s what chains accept: low s, and the v under which they are this address's.
    fn own(&self, digest: &[u8; 32], answer: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let Some((r_and_s, [] | [_])) = answer.split_first_chunk::<R_AND_S_BYTES>() else { return Ok(answer) };
        match ecdsa::find_v(digest, r_and_s, |public| address_of(public) == self.0.address) {
            Some(signature) => Ok(Zeroizing::new(signature.to_vec())),
            None => Err(Error::new(
                Status::Sign,
                format!(
                    "the signer's {} bytes are no signature of this message by {}; check which key it signs with, or \
                     add it as eip155-contract if the address is a contract's",
                    answer.len(),
                    self.0.address_text
                ),
            )),
        }
    }

    /// Signs a text for people (EIP-191, `personal_sign`), which no chain takes for a payment. `None` where the key is
    /// held elsewhere: such a signer is asked for payments alone. Errors are `Status::Sign`.
    pub fn sign_text(&self, text: &str) -> Option<Result<[u8; 65], Error>> {
        let Held::Here(secret) = &self.0.held else { return None };
        let head = format!("\x19Ethereum Signed Message:\n{}", text.len());
        Some(ecdsa::sign(secret, &keccak256([head.as_bytes(), text.as_bytes()].concat()).0))
    }
}

impl fmt::Debug for EvmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EvmKey({}, {:?})", self.0.address_text, self.0.held)
    }
}

fn fail(message: String) -> Error {
    Error::new(Status::Key, message)
}

fn secret_from_hex(text: &str) -> Result<Secret, Error> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let length = digits.chars().count();
    if length != KEY_DIGITS {
        return Err(fail(format!(
            "The private key has {length} characters; give {KEY_DIGITS} hexadecimal digits, with or without 0x."
        )));
    }
    let mut secret = Secret::empty()?;
    for (position, character) in digits.chars().enumerate() {
        let Some(value) = character.to_digit(16) else {
            return Err(fail(format!(
                "The private key has something other than a hexadecimal digit at digit {} of {KEY_DIGITS}.",
                position + 1
            )));
        };
        if let Some(byte) = secret.bytes_mut().get_mut(position / 2) {
            // A hexadecimal digit is at most 15, so it fits the half byte.
            *byte = (*byte << 4) | value as u8;
        }
    }
    Ok(secret)
}

fn address_of(public: &PublicKey) -> EvmAddress {
    let [_, point @ ..] = public.serialize_uncompressed();
    EvmAddress::from_bytes(Address::from_raw_public_key(&point).into_array())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Account 0 of the well-known development mnemonic.
    const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

    #[test]
    fn the_address_follows_from_the_key() {
        let upper = KEY[2..].to_uppercase();
        for text in [KEY, &KEY[2..], &upper, &format!("0X{upper}")] {
            let key = EvmKey::from_hex(text).unwrap();
            assert_eq!(key.address(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
            assert_eq!(EvmAddress::from_bytes(key.address_bytes()).to_string(), key.address());
        }
        let one = EvmKey::from_hex(&format!("{:0>64}", "1")).unwrap();
        assert_eq!(one.address(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    }

    /// Two signatures with one nonce give the key away, and the nonce is hashed by a function that we hand to the signer:
    /// every signature is that of an implementation that shares nothing with it.
    #[test]
    fn signatures_are_those_of_another_implementation_bit_for_bit() {
        let mut seed = [7; 32];
        for round in 0..64_u32 {
            seed = alloy_primitives::keccak256([seed.as_slice(), &round.to_be_bytes()].concat()).0;
            let digest = alloy_primitives::keccak256(seed).0;
            let ours = EvmKey::from_hex(&alloy_primitives::hex::encode(seed)).unwrap();
            let theirs = k256::ecdsa::SigningKey::from_slice(&seed).unwrap();
            let (signature, recovery) = theirs.sign_prehash_recoverable(&digest);
            let expected = [signature.to_bytes().as_slice(), &[27 + recovery.to_byte()]].concat();
            assert_eq!(*ours.sign_typed(&digest, String::new).unwrap(), expected, "round {round}");
        }
    }

    #[test]
    fn each_wrong_key_has_its_own_sentence_and_is_never_repeated() {
        let long = format!("{KEY}0");
        let bad_digit = KEY.replacen('b', "g", 1);
        let not_ascii = KEY.replacen('b', "é", 1);
        let above_order = ORDER.replacen("4141", "4142", 1);
        let zero = "0".repeat(64);
        let cases = [
            ("", "has 0 characters"),
            (&KEY[..65], "has 63 characters"),
            (&long, "has 65 characters"),
            (&bad_digit, "at digit 7 of 64"),
            (&not_ascii, "at digit 7 of 64"),
            (&zero, "is zero"),
            (ORDER, "order of secp256k1"),
            (&above_order, "order of secp256k1"),
        ];
        for (text, expected) in cases {
            let error = EvmKey::from_hex(text).unwrap_err();
            assert_eq!(error.status, Status::Key);
            assert!(error.message.contains(expected), "{:?} does not say {expected:?}", error.message);
            let shown = format!("{error} {error:?}").to_lowercase();
            for start in 0..text.len().saturating_sub(6) {
                if let Some(part) = text.get(start..start + 6) {
                    assert!(!shown.contains(&part.to_lowercase()), "{shown:?} repeats the key");
                }
            }
        }
    }

    #[test]
    fn debug_shows_the_address_and_no_secret() {
        let key = EvmKey::from_hex(KEY).unwrap();
        let shown = format!("{key:?} {:?}", crate::wallet::Wallet { evm: vec![key.clone()], ..Default::default() });
        assert!(shown.contains(key.address()) && shown.contains("redacted") && !shown.contains("ac0974"));
    }

    /// The safe interface of the same library is the oracle: same nonces, same low s, same recovery bit.
    #[test]
    fn signatures_equal_those_of_the_safe_interface() {
        let key = EvmKey::from_hex(KEY).unwrap();
        let mut secret = [0; 32];
        let Held::Here(held) = &key.0.held else { panic!("the key is here") };
        secret.copy_from_slice(held.bytes().unwrap());
        let oracle_key = secp256k1::SecretKey::from_secret_bytes(secret).unwrap();
        for round in 0_u32..50 {
            let digest = keccak256(round.to_be_bytes()).0;
            let message = secp256k1::Message::from_digest(digest);
            let oracle = secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(message, &oracle_key);
            let (recovery, r_and_s) = oracle.serialize_compact();
            let signature = key.sign_typed(&digest, || unreachable!("nobody reads it")).unwrap();
            assert_eq!(signature[..64], r_and_s);
            assert_eq!(signature[64], 27 + recovery.to_u8());
            assert!(signature[32] < 0x80, "s is not low");
        }
    }
}
