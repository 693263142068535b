//! Memory for a private key.
//!
//! Owns the 32 bytes and wipes them. They live on the heap from the first digit on, so that moving a key
//! moves a pointer and leaves no copy behind on a stack.

use std::fmt;
use zeroize::Zeroizing;

/// 32 secret bytes: never copied, never shown, zeroed on drop.
pub(super) struct Secret(Box<Zeroizing<[u8; 32]>>);

impl Secret {
    /// Zeroes, to be filled in place.
    pub fn empty() -> Secret {
        Secret(Box::new(Zeroizing::new([0; 32])))
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn bytes_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}
