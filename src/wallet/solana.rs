//! A key for Solana, held here or by a signer elsewhere.
//!
//! Owns the reading of its text and its address. Must not know what a message says. A signer's answer is always
//! verified, because an ed25519 signature is either by the address's own key or worthless.

use super::secret::Secret;
use super::signer::{SignKind, Signer};
use crate::error::{Error, Status, printable};
use curve25519_dalek::Scalar;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::Sha512;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A seed and the public key it gives, in this order: what `solana-keygen` and browser wallets export.
const KEY_PAIR_BYTES: usize = 64;
const PUBLIC_KEY_BYTES: usize = 32;
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// An ed25519 private key, or a signer, and its address. Clones share the secret.
#[derive(Clone)]
pub struct SolanaKey(Arc<Inner>);

struct Inner {
    held: Held,
    public: VerifyingKey,
    address: String,
}

#[derive(Debug)]
enum Held {
    Here(Expanded),
    Elsewhere(Signer),
}

/// What signs: the seed's two halves (RFC 8032 §5.1.5), which each signature would make of it anew.
#[derive(Debug)]
struct Expanded {
    scalar: Secret,
    prefix: Secret,
}

impl Expanded {
    fn of(seed: &[u8; 32]) -> Result<(Expanded, VerifyingKey), Error> {
        let key = ExpandedSecretKey::from(seed);
        let mut expanded = Expanded { scalar: Secret::empty()?, prefix: Secret::empty()? };
        expanded.scalar.bytes_mut().copy_from_slice(key.scalar.as_bytes());
        expanded.prefix.bytes_mut().copy_from_slice(&key.hash_prefix);
        Ok((expanded, VerifyingKey::from(&key)))
    }

    /// Wiped when it is dropped. Errors are `Status::Sign`.
    fn key(&self) -> Result<ExpandedSecretKey, Error> {
        let scalar = Scalar::from_bytes_mod_order(*self.scalar.bytes()?);
        Ok(ExpandedSecretKey { scalar, hash_prefix: *self.prefix.bytes()? })
    }
}

impl SolanaKey {
    /// Reads a key pair of 64 bytes: base58, or a JSON array of numbers. A bare seed is not taken, because in base58
    /// it looks like an address, and an address read as a seed would be a key that everybody knows.
    pub fn from_text(text: &str) -> Result<SolanaKey, Error> {
        let text = text.trim_ascii();
        let pair = if text.starts_with('[') { from_json(text)? } else { from_base58(text)? };
        let (seed, stated) = pair.split_at(PUBLIC_KEY_BYTES);
        let mut secret = Secret::empty()?;
        secret.bytes_mut().copy_from_slice(seed);
        let key = SolanaKey::from_secret(secret)?;
        if key.public_key().as_slice() != stated {
            return Err(fail("the last 32 bytes of the key pair are not the public key of the first 32".into()));
        }
        Ok(key)
    }

    /// A seed of 32 bytes. All of them are keys except zero, which somebody else's empty memory also is.
    pub(super) fn from_secret(secret: Secret) -> Result<SolanaKey, Error> {
        if secret.is_zero() {
            return Err(fail("the private key is zero; check where it was read from".into()));
        }
        let (expanded, public) = Expanded::of(secret.bytes()?)?;
        Ok(SolanaKey::new(Held::Here(expanded), public))
    }

    /// A signer elsewhere, whose public key `address` is. Errors are `Status::Key`.
    pub fn from_signer(address: &str, signer: Signer) -> Result<SolanaKey, Error> {
        let shown = || printable(address);
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        five8::decode_32(address, &mut bytes)
            .map_err(|_| fail(format!("the address \"{}\" is not base58 of 32 bytes", shown())))?;
        let public = VerifyingKey::from_bytes(&bytes)
            .ok()
            .filter(|public| !public.is_weak())
            .ok_or_else(|| fail(format!("the address \"{}\" is no public key that can sign", shown())))?;
        Ok(SolanaKey::new(Held::Elsewhere(signer), public))
    }

    fn new(held: Held, public: VerifyingKey) -> SolanaKey {
        let address = address_of(public.as_bytes());
        SolanaKey(Arc::new(Inner { held, public, address }))
    }

    /// Base58.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    pub fn public_key(&self) -> [u8; 32] {
        self.0.public.to_bytes()
    }

    /// An ed25519 signature (RFC 8032). Errors are `Status::Sign`.
    pub fn sign_message(&self, message: &[u8]) -> Result<[u8; 64], Error> {
        match &self.0.held {
            Held::Here(expanded) => Ok(raw_sign::<Sha512>(&expanded.key()?, message, &self.0.public).to_bytes()),
            Held::Elsewhere(signer) => {
                let answer = signer.ask(SignKind::SolanaMessage, message)?.ok_or_else(|| {
                    Error::new(Status::Sign, "the signer does not sign solana-message, which is all there is to sign")
                })?;
                self.own(message, &answer)
            }
        }
    }

    /// Signs a text for people, which begins like no transaction. `None` where the key is held elsewhere: such a signer
    /// is asked for payments alone.
    pub fn sign_text(&self, text: &str) -> Option<Result<[u8; 64], Error>> {
        matches!(self.0.held, Held::Here(_)).then(|| self.sign_message(text.as_bytes()))
    }

    fn own(&self, message: &[u8], answer: &[u8]) -> Result<[u8; 64], Error> {
        let signature = <[u8; 64]>::try_from(answer).map_err(|_| {
            let message = format!("the signer gave {} bytes for solana-message; a signature has 64", answer.len());
            Error::new(Status::Sign, message)
        })?;
        if self.0.public.verify_strict(message, &Signature::from_bytes(&signature)).is_err() {
            let address = self.address();
            let message = format!("the signer's bytes are no signature of this message by {address}; check its key");
            return Err(Error::new(Status::Sign, message));
        }
        Ok(signature)
    }
}

impl fmt::Debug for SolanaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SolanaKey({}, {:?})", self.0.address, self.0.held)
    }
}

fn address_of(public: &[u8; 32]) -> String {
    let mut text = [0; five8::BASE58_ENCODED_32_MAX_LEN];
    let length = five8::encode_32(public, &mut text);
    // Invariant: base58 is ASCII.
    text.get(..usize::from(length)).map(String::from_utf8_lossy).unwrap_or_default().into_owned()
}

fn fail(message: String) -> Error {
    Error::new(Status::Key, message)
}

fn wrong_length(bytes: usize) -> Error {
    let hint = if bytes == PUBLIC_KEY_BYTES { ", which is an address or a bare seed" } else { "" };
    fail(format!("the Solana key has {bytes} bytes{hint}; give the key pair of {KEY_PAIR_BYTES} bytes"))
}

fn from_json(text: &str) -> Result<Zeroizing<[u8; KEY_PAIR_BYTES]>, Error> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or_else(|| {
        fail("the Solana key begins like a JSON array but does not end with a bracket; give all of it".into())
    })?;
    let mut pair = Zeroizing::new([0; KEY_PAIR_BYTES]);
    let mut count = 0;
    for item in inner.split(',') {
        let byte = item.trim_ascii().parse::<u8>().map_err(|_| {
            fail(format!("the Solana key has something other than a number from 0 to 255 at position {}", count + 1))
        })?;
        if let Some(place) = pair.get_mut(count) {
            *place = byte;
        }
        count += 1;
    }
    if count == KEY_PAIR_BYTES { Ok(pair) } else { Err(wrong_length(count)) }
}

/// Decodes in place, where it can be wiped: the library that encodes addresses leaves its intermediate numbers.
fn from_base58(text: &str) -> Result<Zeroizing<[u8; KEY_PAIR_BYTES]>, Error> {
    let mut pair = Zeroizing::new([0_u8; KEY_PAIR_BYTES]);
    // A base58 digit holds a little less than 6 bits, so a text that is too long overflows soon.
    for (position, character) in text.bytes().enumerate() {
        let digit = BASE58.iter().position(|known| *known == character).ok_or_else(|| {
            fail(format!("the Solana key has something other than a base58 digit at position {}", position + 1))
        })?;
        let mut carry = digit;
        for byte in pair.iter_mut().rev() {
            carry += usize::from(*byte) * BASE58.len();
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            return Err(fail(format!("the Solana key has more than {KEY_PAIR_BYTES} bytes; give one key pair")));
        }
    }
    let zeroes = text.bytes().take_while(|character| *character == b'1').count();
    let significant = KEY_PAIR_BYTES - pair.iter().take_while(|byte| **byte == 0).count();
    let bytes = zeroes + significant;
    if bytes == KEY_PAIR_BYTES { Ok(pair) } else { Err(wrong_length(bytes)) }
}
