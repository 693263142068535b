//! Offers and receipts as typed data (EIP-712), and who signed them.
//!
//! Owns the two types and their domains, which name no contract and always chain 1, as official servers sign them.

use crate::money::EvmAddress;
use crate::scheme::evm::eip712::digest;
use alloy_primitives::{Address, U256, hex};
use alloy_sol_types::{Eip712Domain, SolStruct};
use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use serde_json::{Map, Value};

mod typed {
    alloy_sol_types::sol! {
        struct Offer {
            uint256 version;
            string resourceUrl;
            string scheme;
            string network;
            string asset;
            string payTo;
            string amount;
            uint256 validUntil;
        }
        struct Receipt {
            uint256 version;
            string network;
            string resourceUrl;
            string payer;
            uint256 issuedAt;
            string transaction;
        }
    }
}

fn separator(name: &'static str) -> [u8; 32] {
    let domain = Eip712Domain {
        name: Some(name.into()),
        version: Some("1".into()),
        chain_id: Some(U256::from(1)),
        verifying_contract: None,
        salt: None,
    };
    domain.separator().0
}

fn text(payload: &Map<String, Value>, name: &str) -> Option<String> {
    payload.get(name)?.as_str().map(str::to_string)
}

fn number(payload: &Map<String, Value>, name: &str) -> Option<U256> {
    payload.get(name)?.as_u64().map(U256::from)
}

/// What is signed for an offer; `None` where a member is missing or of another type.
pub(super) fn offer_digest(payload: &Map<String, Value>) -> Option<[u8; 32]> {
    let offer = typed::Offer {
        version: number(payload, "version")?,
        resourceUrl: text(payload, "resourceUrl")?,
        scheme: text(payload, "scheme")?,
        network: text(payload, "network")?,
        asset: text(payload, "asset")?,
        payTo: text(payload, "payTo")?,
        amount: text(payload, "amount")?,
        validUntil: number(payload, "validUntil")?,
    };
    Some(digest(&separator("x402 offer"), &offer.eip712_hash_struct().0))
}

/// What is signed for a receipt.
pub(super) fn receipt_digest(payload: &Map<String, Value>) -> Option<[u8; 32]> {
    let receipt = typed::Receipt {
        version: number(payload, "version")?,
        network: text(payload, "network")?,
        resourceUrl: text(payload, "resourceUrl")?,
        payer: text(payload, "payer")?,
        issuedAt: number(payload, "issuedAt")?,
        transaction: text(payload, "transaction")?,
    };
    Some(digest(&separator("x402 receipt"), &receipt.eip712_hash_struct().0))
}

/// The address whose key made `signature`, 65 bytes in hexadecimal. Any 65 bytes are somebody's or nobody's: who
/// that is must be compared with somebody.
pub(in crate::scheme) fn signer(digest: &[u8; 32], signature: &str) -> Option<EvmAddress> {
    let bytes: [u8; 65] = hex::decode(signature).ok()?.try_into().ok()?;
    let [compact @ .., v] = bytes;
    let recovery = match v {
        0 | 27 => RecoveryId::Zero,
        1 | 28 => RecoveryId::One,
        _ => return None,
    };
    let signature = RecoverableSignature::from_compact(&compact, recovery).ok()?;
    let key = signature.recover(Message::from_digest(*digest)).ok()?;
    let [_, point @ ..] = key.serialize_uncompressed();
    Some(EvmAddress::from_bytes(Address::from_raw_public_key(&point).into_array()))
}
