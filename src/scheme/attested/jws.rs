//! Statements as JSON web signatures in their compact form (RFC 7515 §7.1).
//!
//! Owns the form, and which algorithms are judged: `EdDSA`, `ES256` and `ES256K`, each only with a key of its own
//! kind. The key comes from the statement's own `kid`; a key that would have to be fetched leaves it unverified.

use super::keys::{self, Key};
use super::{Attestation, Verdict};
use crate::error::printable;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use secp256k1::{Message, PublicKey, ecdsa};
use serde_json::{Map, Value};

/// Header, payload and signature, still in base64.
fn parts(compact: &str) -> Option<[&str; 3]> {
    let mut parts = compact.split('.');
    let three = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(three)
}

fn object(base64: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(base64).ok()?).ok()
}

/// What is signed, not verified.
pub(super) fn payload(compact: &str) -> Option<Map<String, Value>> {
    let [_, payload, _] = parts(compact)?;
    object(payload)
}

pub(super) fn verify(compact: &str) -> Attestation {
    let Some([header, payload, signature]) = parts(compact) else {
        return Attestation::invalid("the signature is no compact JWS");
    };
    let (Some(head), Ok(signature)) = (object(header), URL_SAFE_NO_PAD.decode(signature)) else {
        return Attestation::invalid("the signature is no compact JWS");
    };
    let member = |name: &str| head.get(name).and_then(Value::as_str).unwrap_or_default();
    let (algorithm, kid) = (member("alg"), member("kid"));
    let signer = printable(kid);
    let Some(key) = keys::of(kid) else {
        return Attestation { verdict: Verdict::Unverified, signer };
    };
    // RFC 7515 §4.1.11: what must be understood and is not.
    if head.contains_key("crit") {
        return Attestation { verdict: Verdict::Unverified, signer };
    }
    let signed = &compact.as_bytes()[..header.len() + 1 + payload.len()];
    let holds = match (algorithm, key) {
        ("EdDSA" | "Ed25519", Key::Ed25519(key)) => {
            UnparsedPublicKey::new(&ED25519, key).verify(signed, &signature).is_ok()
        }
        ("ES256", Key::P256(key)) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed, &signature).is_ok()
        }
        ("ES256K", Key::Secp256k1(key)) => es256k(&key, signed, &signature),
        _ => false,
    };
    let verdict = if holds {
        Verdict::Valid
    } else {
        Verdict::Invalid(format!("its signature ({}) is not by the key that it names", printable(algorithm)))
    };
    Attestation { verdict, signer }
}

fn es256k(key: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    let digest = ring::digest::digest(&ring::digest::SHA256, signed);
    let (Ok(key), Ok(mut signature), Ok(digest)) =
        (PublicKey::from_slice(key), ecdsa::Signature::from_compact(signature), <[u8; 32]>::try_from(digest.as_ref()))
    else {
        return false;
    };
    // JWS knows no rule about s; the library takes only the lower one of the two that mean the same.
    signature.normalize_s();
    signature.verify(Message::from_digest(digest), &key).is_ok()
}
