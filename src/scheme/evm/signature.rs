//! A signature of typed data, from the key to its place in a payload.
//!
//! Owns the bytes until they are wiped. Must not know what they sign. Our own keys give 65 bytes; a wallet that is a
//! contract gives what it likes (ERC-1271, ERC-6492), and it goes to the server as it came.

use super::eip712::{Domain, Message, digest};
use crate::error::Error;
use crate::wallet::EvmKey;
use alloy_primitives::hex;
use zeroize::Zeroizing;

/// So many bytes become digits at a time.
const CHUNK_BYTES: usize = 65;

pub(super) struct Signature(Zeroizing<Vec<u8>>);

impl Signature {
    /// `separator` is that of `domain`.
    pub fn of(
        key: &EvmKey,
        domain: &Domain<'_>,
        separator: &[u8; 32],
        message: &Message<'_>,
    ) -> Result<Signature, Error> {
        let signature = key.sign_typed(&digest(separator, &message.hash()), || message.to_json(domain))?;
        Ok(Signature(signature))
    }

    /// How many bytes it has: 65 if a key made it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many bytes it takes in a payload.
    pub fn text_len(&self) -> usize {
        2 + 2 * self.0.len()
    }

    /// `0x` and hexadecimal digits. Room must have been made, so that `out` is not moved and leaves no copy behind.
    pub fn write(&self, out: &mut String) {
        debug_assert!(out.capacity() >= out.len() + self.text_len());
        write_hex(&self.0, out);
    }
}

/// `0x` and lower-case digits.
pub(super) fn write_hex(bytes: &[u8], out: &mut String) {
    out.push_str("0x");
    let mut digits = Zeroizing::new([0; 2 * CHUNK_BYTES]);
    for chunk in bytes.chunks(CHUNK_BYTES) {
        // Invariant: two digits a byte always fit, and are ASCII.
        if let Some(digits) = digits.get_mut(..2 * chunk.len())
            && hex::encode_to_slice(chunk, digits).is_ok()
        {
            out.push_str(str::from_utf8(digits).unwrap_or_default());
        }
    }
}
