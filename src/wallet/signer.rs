//! A signer whose key stays elsewhere: a KMS, an HSM, another process, a wallet in the caller's own language.
//!
//! Owns how it is asked and what counts as an answer. Must not know what is signed or for whom. A signer runs on
//! the thread that pays, while no lock of this library is held, so it may take its time and may call in again.

use crate::error::{Error, Status};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest signature a signer may give. Those of smart wallets carry certificates or deployment data; a payment
/// header that holds a longer one would be refused by most servers.
pub const SIGNATURE_BYTES_MAX: usize = 4096;

/// What the bytes are that a signer is handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignKind {
    /// The whole message as JSON, as `eth_signTypedData_v4` takes it (EIP-712).
    EvmTypedData,
    /// Its 32-byte hash, only for signers that ask for it.
    EvmDigest,
    /// A serialised Solana message.
    SolanaMessage,
}

impl SignKind {
    pub fn name(self) -> &'static str {
        match self {
            SignKind::EvmTypedData => "evm-typed-data",
            SignKind::EvmDigest => "evm-digest",
            SignKind::SolanaMessage => "solana-message",
        }
    }
}

/// What a signer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It wrote a signature of so many bytes.
    Signature(usize),
    /// It cannot sign this kind, but perhaps another of the same message.
    OtherKind,
    /// It will not sign; the value is its own.
    Refused(i32),
}

/// Signs `data` into the buffer.
pub type SignFn = dyn Fn(SignKind, &[u8], &mut [u8]) -> Answer + Send + Sync;

/// Clones share the signer.
#[derive(Clone)]
pub struct Signer(Arc<SignFn>);

impl Signer {
    pub fn new(sign: Arc<SignFn>) -> Signer {
        Signer(sign)
    }

    /// The signature, or nothing if the signer would rather sign another kind. Errors are `Status::Sign`.
    pub(super) fn ask(&self, kind: SignKind, data: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let mut signature = Zeroizing::new(vec![0; SIGNATURE_BYTES_MAX]);
        let fail = |message: String| Error::new(Status::Sign, message);
        let kind_name = kind.name();
        match (self.0)(kind, data, &mut signature) {
            Answer::OtherKind => Ok(None),
            Answer::Refused(value) => {
                let message = format!("the signer refused {kind_name} with the value {value}; it returns 0 to sign");
                Err(fail(message).with_callback_value(value))
            }
            Answer::Signature(0) => Err(fail(format!("the signer gave an empty signature for {kind_name}"))),
            Answer::Signature(length) if length > SIGNATURE_BYTES_MAX => Err(fail(format!(
                "the signer gave a signature of {length} bytes for {kind_name}, more than the {SIGNATURE_BYTES_MAX} it \
                 has room for"
            ))),
            Answer::Signature(length) => {
                signature.truncate(length);
                Ok(Some(signature))
            }
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(external)")
    }
}
