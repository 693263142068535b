//! A private key's 32 bytes.
//!
//! Owns them, wipes them, and notices when they are gone: a process forked from the one that read a key finds zeroes
//! in its place, and must not sign with them. The bytes are written where they stay, so that no copy is left on a
//! stack or a heap.

use super::pages::Slot;
use crate::error::{Error, Status};
use std::fmt;

/// Never copied, never shown, zeroed on drop.
pub(super) struct Secret(Slot);

impl Secret {
    /// Zeroes, to be filled in place.
    pub fn empty() -> Result<Secret, Error> {
        Slot::new().map(Secret)
    }

    /// The bytes, to sign with. Errors are `Status::Sign`.
    pub fn bytes(&self) -> Result<&[u8; 32], Error> {
        if self.is_zero() {
            let message = "the key is not in this process, which was forked from the one that read it; add the key again \
                           after the fork";
            return Err(Error::new(Status::Sign, message));
        }
        Ok(self.0.bytes())
    }

    pub fn bytes_mut(&mut self) -> &mut [u8; 32] {
        self.0.bytes_mut()
    }

    pub fn is_zero(&self) -> bool {
        self.0.bytes().iter().fold(0, |all, byte| all | byte) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}
