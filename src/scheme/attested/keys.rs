//! Public keys that are written into their own names: `did:key` and `did:jwk`.
//!
//! Owns the reading of such names. `did:web` and the like name a document on a server, which is not fetched: who
//! could change the terms on their way could change that too, and a payment does not wait for it.

use alloy_primitives::U256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A point or a key as its verifier takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Ed25519(Vec<u8>),
    /// Compressed or not (SEC 1).
    Secp256k1(Vec<u8>),
    /// Uncompressed (SEC 1).
    P256(Vec<u8>),
}

/// Longer names are no keys of these kinds.
const NAME_BYTES_MAX: usize = 1024;

/// The key of a DID URL, if it is in the URL itself.
pub(super) fn of(kid: &str) -> Option<Key> {
    let did = kid.split('#').next().filter(|did| did.len() <= NAME_BYTES_MAX)?;
    if let Some(multibase) = did.strip_prefix("did:key:") {
        return of_multicodec(&base58(multibase.strip_prefix('z')?)?);
    }
    of_jwk(&serde_json::from_slice(&URL_SAFE_NO_PAD.decode(did.strip_prefix("did:jwk:")?).ok()?).ok()?)
}

/// Two bytes that say what follows (multicodec, as varints), and the key.
fn of_multicodec(bytes: &[u8]) -> Option<Key> {
    match bytes {
        [0xed, 0x01, key @ ..] if key.len() == 32 => Some(Key::Ed25519(key.to_vec())),
        [0xe7, 0x01, key @ ..] if key.len() == 33 => Some(Key::Secp256k1(key.to_vec())),
        [0x80, 0x24, key @ ..] if key.len() == 33 => p256_point(key).map(Key::P256),
        _ => None,
    }
}

/// RFC 7517, RFC 8037.
fn of_jwk(jwk: &Value) -> Option<Key> {
    let coordinate = |name: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok()?;
        (bytes.len() == 32).then_some(bytes)
    };
    let point = || Some([vec![4], coordinate("x")?, coordinate("y")?].concat());
    match (jwk["kty"].as_str()?, jwk["crv"].as_str()?) {
        ("OKP", "Ed25519") => coordinate("x").map(Key::Ed25519),
        ("EC", "secp256k1") => point().map(Key::Secp256k1),
        ("EC", "P-256") => point().map(Key::P256),
        _ => None,
    }
}

/// Bitcoin's alphabet, any length.
fn base58(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    // Little end first.
    let mut bytes: Vec<u8> = Vec::new();
    for digit in text.bytes() {
        let mut carry = ALPHABET.iter().position(|known| *known == digit)?;
        for byte in &mut bytes {
            carry += usize::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push((carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    bytes.extend(text.bytes().take_while(|digit| *digit == b'1').map(|_| 0));
    bytes.reverse();
    Some(bytes)
}

/// The uncompressed form of a compressed point of P-256 (SEC 1 §2.3.4).
fn p256_point(compressed: &[u8]) -> Option<Vec<u8>> {
    let prime = U256::from_str_radix("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", 16).ok()?;
    let b = U256::from_str_radix("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b", 16).ok()?;
    let (sign, x_bytes) = compressed.split_first()?;
    let x = U256::try_from_be_slice(x_bytes).filter(|x| *x < prime)?;
    let minus_three = prime - U256::from(3);
    let square = x.pow_mod(U256::from(3), prime).add_mod(x.mul_mod(minus_three, prime), prime).add_mod(b, prime);
    // The prime is 3 mod 4, so that this power is a root where there is one.
    let y = square.pow_mod((prime + U256::from(1)) >> 2, prime);
    if y.mul_mod(y, prime) != square || !matches!(sign, 2 | 3) {
        return None;
    }
    let y = if y.bit(0) == (*sign == 3) { y } else { prime - y };
    Some([&[4], x_bytes, &y.to_be_bytes::<32>()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn keys_are_read_from_their_names() {
        // The example of the did:key method for Ed25519.
        let ed25519 = of("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK#anything").unwrap();
        let expected = hex::decode("2e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6").unwrap();
        assert_eq!(ed25519, Key::Ed25519(expected));
        for other in ["", "did:web:a.example#1", "did:key:", "did:key:z", "did:key:z0OIl", "did:jwk:e30", "did:jwk:!"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_compressed_point_of_p256_is_completed() {
        // The generator (SEC 2 §2.4.2), and its negative.
        let x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
        let y = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        let odd = p256_point(&hex::decode(format!("03{x}")).unwrap()).unwrap();
        assert_eq!(hex::encode(&odd), format!("04{x}{y}"));
        let even = p256_point(&hex::decode(format!("02{x}")).unwrap()).unwrap();
        assert_eq!(even[..33], odd[..33]);
        assert_eq!(even[64] & 1, 0);
        assert!(p256_point(&hex::decode(format!("04{x}")).unwrap()).is_none());
        let no_point = [&[2_u8][..], &[0xff; 32]].concat();
        assert!(p256_point(&no_point).is_none());
    }
}
