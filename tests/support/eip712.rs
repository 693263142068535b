//! EIP-712 by hand: digests of a `TransferWithAuthorization` (EIP-3009) and of permits, and who signed them.
//!
//! Owns no wire format. Written from the standards' text and not from the library's code, so that both can
//! only be right together; `tests/support_self.rs` holds it against a third implementation.

use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use sha3::{Digest, Keccak256};

pub struct Domain<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub chain_id: u64,
    pub contract: [u8; 20],
}

pub struct Transfer {
    pub from: [u8; 20],
    pub to: [u8; 20],
    pub value: [u8; 32],
    pub valid_after: [u8; 32],
    pub valid_before: [u8; 32],
    pub nonce: [u8; 32],
}

pub fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Keccak256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

pub(super) fn word(address: &[u8; 20]) -> [u8; 32] {
    let mut out = [0; 32];
    out[12..].copy_from_slice(address);
    out
}

pub(super) fn word_u64(value: u64) -> [u8; 32] {
    let mut out = [0; 32];
    out[24..].copy_from_slice(&value.to_be_bytes());
    out
}

/// EIP-712 `hashStruct(eip712Domain)`.
pub fn domain_separator(domain: &Domain<'_>) -> [u8; 32] {
    let kind = keccak(&[b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"]);
    let (name, version) = (keccak(&[domain.name.as_bytes()]), keccak(&[domain.version.as_bytes()]));
    keccak(&[&kind, &name, &version, &word_u64(domain.chain_id), &word(&domain.contract)])
}

/// EIP-712 `encode(domainSeparator, message)`, hashed.
pub fn digest(domain: &Domain<'_>, transfer: &Transfer) -> [u8; 32] {
    let kind = keccak(&[b"TransferWithAuthorization(address from,address to,uint256 value,\
          uint256 validAfter,uint256 validBefore,bytes32 nonce)"]);
    let message = keccak(&[
        &kind,
        &word(&transfer.from),
        &word(&transfer.to),
        &transfer.value,
        &transfer.valid_after,
        &transfer.valid_before,
        &transfer.nonce,
    ]);
    keccak(&[b"\x19\x01", &domain_separator(domain), &message])
}

/// The address whose key made `signature` (r, s, v) over `digest`. A high s or a v other than 27 and 28 is refused,
/// as the token contracts refuse it.
pub fn signer(digest: [u8; 32], signature: &[u8; 65]) -> Result<[u8; 20], String> {
    let id = match signature[64] {
        27 => RecoveryId::Zero,
        28 => RecoveryId::One,
        v => return Err(format!("v is {v}, not 27 or 28")),
    };
    if is_high(&signature[32..64]) {
        return Err("s is in the upper half".into());
    }
    let recoverable = RecoverableSignature::from_compact(&signature[..64], id).map_err(|error| error.to_string())?;
    let key = recoverable.recover(Message::from_digest(digest)).map_err(|error| error.to_string())?;
    let hash = keccak(&[&key.serialize_uncompressed()[1..]]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    Ok(address)
}

/// Whether `s` is above half the order of secp256k1.
fn is_high(s: &[u8]) -> bool {
    const HALF_ORDER: [u8; 32] = [
        0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57,
        0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
    ];
    s > HALF_ORDER.as_slice()
}
