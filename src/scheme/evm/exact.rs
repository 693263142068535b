//! The scheme `exact` by EIP-3009: one signed transfer of exactly the amount.
//!
//! Owns the values of that transfer and its payload. Must not know how many keys there are.

use super::asked::{Asked, TokenDomain};
use super::eip712::{Message, Value};
use super::messages::TRANSFER_WITH_AUTHORIZATION;
use super::signature::Signature;
use crate::error::Error;
use crate::money::EvmAddress;
use crate::protocol::Version;
use crate::scheme::{Authorization, Ingredients};
use crate::wallet::EvmKey;
use alloy_primitives::U256;
use zeroize::Zeroizing;

/// How far back a version 1 authorization reaches, for clocks that are behind ours.
const V1_VALID_AFTER_BACK_S: u64 = 600;

/// Room for any payload beside its signature, so that none is moved while it grows and leaves a copy behind.
const PAYLOAD_BYTES_MAX: usize = 512;

/// An offer, checked: every value that is signed except the time and the nonce.
pub(super) struct Terms<'a> {
    asked: Asked<'a>,
    domain: TokenDomain<'a>,
}

impl<'a> Terms<'a> {
    pub fn read(asked: Asked<'a>) -> Result<Terms<'a>, String> {
        let domain = asked.domain()?;
        asked.check_eip3009()?;
        Ok(Terms { asked, domain })
    }

    /// Signs the transfer and lays out the payload (x402 v1 and v2, scheme `exact`, EVM).
    pub fn authorize(&self, key: &EvmKey, ingredients: &Ingredients<'_>) -> Result<Authorization, Error> {
        let Ingredients { now_s, nonce, .. } = *ingredients;
        let valid_after_s = match self.asked.offer.version {
            Version::V1 => now_s.saturating_sub(V1_VALID_AFTER_BACK_S),
            Version::V2 => 0,
        };
        let valid_before_s = self.asked.valid_before_s(now_s);
        let values = [
            Value::Address(EvmAddress::from_bytes(key.address_bytes())),
            Value::Address(self.asked.payee),
            Value::Number(self.asked.amount.to_u256()),
            Value::Number(U256::from(valid_after_s)),
            Value::Number(U256::from(valid_before_s)),
            Value::Bytes32(nonce),
        ];
        let transfer = Message::new(&TRANSFER_WITH_AUTHORIZATION, &values);
        let signature = Signature::of(key, &self.domain.domain, &self.domain.separator(), &transfer)?;
        let payload = payload(&transfer, &signature);
        Ok(Authorization { payload, extensions: None, payer: key.address().to_string(), nonce, valid_before_s })
    }
}

/// The order of the members is that of the official TypeScript client.
fn payload(transfer: &Message<'_>, signature: &Signature) -> Zeroizing<String> {
    let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX + signature.text_len()));
    json.push_str(r#"{"authorization":{"#);
    transfer.write_members(&mut json);
    json.push_str(r#"},"signature":""#);
    signature.write(&mut json);
    json.push_str(r#""}"#);
    json
}
