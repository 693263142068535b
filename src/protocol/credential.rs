//! The header that pays.
//!
//! Owns the finished header value from the moment it exists until it is wiped. Must not know how the payload
//! was signed. Whoever holds the value can present the payment, so it is never shown and is zeroed on drop.

use super::challenge::{Challenge, Offer};
use super::{Version, base64_text, x402};
use std::fmt;
use zeroize::Zeroizing;

/// A payment, ready to be sent with the request that it pays for.
pub struct Credential {
    name: &'static str,
    value: Zeroizing<String>,
}

impl Credential {
    /// Wraps the signed `payload`, a JSON object, for the version in which `offer` was made, with the echo that the version
    /// asks for (x402 v2: the chosen offer, the resource and the extensions, all byte for byte).
    pub fn new(challenge: &Challenge, offer: &Offer, payload: &str) -> Credential {
        let (name, json) = match offer.version {
            Version::V1 => (x402::v1::CREDENTIAL_HEADER, x402::v1::credential_json(offer, payload)),
            Version::V2 => (x402::v2::CREDENTIAL_HEADER, x402::v2::credential_json(challenge, offer, payload)),
        };
        Credential { name, value: base64_text::encoded(json.as_bytes()) }
    }

    /// `PAYMENT-SIGNATURE` (v2) or `X-PAYMENT` (v1).
    pub fn header_name(&self) -> &'static str {
        self.name
    }

    /// Base64 of the JSON payload: ASCII, fit for a header.
    pub fn header_value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}: redacted)", self.name)
    }
}
