//! What servers and clients of a paid resource say to each other, as values.
//!
//! Owns the challenge, its offers, the credential that answers one, and the receipt. Pure: bytes in, values
//! out. Must not know keys, policies or sockets. A part that is wrong is named, and one malformed offer
//! never hides the others: the caller sees each with its reason.

pub mod base64_text;
mod challenge;
mod credential;
mod json;
pub mod limits;
mod receipt;
#[cfg(test)]
mod tests;
mod timestamp;
mod wire;
mod x402;

pub use challenge::{Challenge, ChallengeError, MalformedOffer, Offer};
pub use credential::Credential;
pub use limits::CHALLENGE_BODY_BYTES_MAX;
pub use receipt::{Receipt, ReceiptError};
pub use x402::extensions::builder_code::{BUILDER_CODES_MAX, is_builder_code};
pub use x402::extensions::sign_in::{SIGN_IN_HEADER_NAME, SignIn, SignInChain, SignInKind};
pub use x402::names::NetworkNames;

/// Request headers that carry a payment, in lower case.
pub const PAYMENT_HEADER_NAMES: [&str; 2] = ["payment-signature", "x-payment"];

/// The version of x402 that an offer was made in; it is answered in the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    V1,
    V2,
}
