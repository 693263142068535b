//! Payments through the Permit2 contract: `exact` by that method, and `upto`.
//!
//! Owns what both sign: a permit for x402's own proxy, bound by its witness to the payee, and for `upto` to the
//! facilitator that may settle it. Must not know whether the token allows Permit2 to move it. The proxies are fixed:
//! an offer can name another spender, and it is not looked at.

use super::asked::Asked;
use super::eip712::{Domain, Message, Struct, Value};
use super::messages::{EXACT_PERMIT, EXACT_WITNESS, TOKEN_PERMISSIONS, UPTO_PERMIT, UPTO_WITNESS};
use super::signature::Signature;
use super::sponsoring::Approving;
use crate::error::Error;
use crate::money::{EvmAddress, Remembered};
use crate::scheme::{Authorization, Ingredients};
use crate::wallet::EvmKey;
use alloy_primitives::{U256, hex};
use std::cell::RefCell;
use std::fmt::Write;
use zeroize::Zeroizing;

/// Permit2, the same on every chain.
pub(super) const PERMIT2: EvmAddress = EvmAddress::from_bytes(hex!("000000000022D473030F116dDEE9F6B43aC78BA3"));
/// x402's proxies that may move what was permitted, the same on every chain.
const EXACT_PROXY: EvmAddress = EvmAddress::from_bytes(hex!("402085c248EeA27D92E8b30b2C58ed07f9E20001"));
const UPTO_PROXY: EvmAddress = EvmAddress::from_bytes(hex!("4020A4f3b7b90ccA423B9fabCc0CE57C6C240002"));

/// How many chains a thread remembers.
const CHAINS_KEPT: usize = 8;

/// Room for any payload beside its signature, so that none is moved while it grows and leaves a copy behind.
const PAYLOAD_BYTES_MAX: usize = 1024;

/// An offer, checked: every value that is signed except the time and the nonce.
pub(super) struct Terms<'a> {
    asked: Asked<'a>,
    /// `upto` only: who may settle.
    facilitator: Option<EvmAddress>,
}

impl<'a> Terms<'a> {
    pub fn exact(asked: Asked<'a>) -> Terms<'a> {
        Terms { asked, facilitator: None }
    }

    /// The amount is a ceiling. Without the facilitator's address anyone could settle it.
    pub fn upto(asked: Asked<'a>) -> Result<Terms<'a>, String> {
        let facilitator = Some(asked.address("facilitatorAddress")?);
        Ok(Terms { asked, facilitator })
    }

    /// Signs the permit and lays out the payload (x402 v2, schemes `exact` and `upto`, EVM).
    pub fn authorize(&self, key: &EvmKey, ingredients: &Ingredients<'_>) -> Result<Authorization, Error> {
        let Ingredients { now_s, nonce, .. } = *ingredients;
        let valid_before_s = self.asked.valid_before_s(now_s);
        let permit = Permit {
            chain_id: self.asked.chain_id,
            token: self.asked.token,
            amount: self.asked.amount.to_u256(),
            nonce: U256::from_be_bytes(nonce),
            deadline_s: valid_before_s,
        };
        let (payee, from_the_start) = (Value::Address(self.asked.payee), Value::Number(U256::ZERO));
        let lay_out = |message: &Message<'_>, signature: &Signature| payload(message, key.address(), signature);
        let payload = match self.facilitator {
            None => {
                let witness = [payee, from_the_start];
                let witness = Message::new(&EXACT_WITNESS, &witness);
                permit.sign(key, EXACT_PROXY, &EXACT_PERMIT, Some(&witness), lay_out)
            }
            Some(facilitator) => {
                let witness = [payee, Value::Address(facilitator), from_the_start];
                let witness = Message::new(&UPTO_WITNESS, &witness);
                permit.sign(key, UPTO_PROXY, &UPTO_PERMIT, Some(&witness), lay_out)
            }
        }?;
        let owner = EvmAddress::from_bytes(key.address_bytes());
        let approving = Approving { asked: self.asked, owner, amount: permit.amount, deadline_s: valid_before_s };
        let extensions = approving.authorize(key, ingredients)?;
        Ok(Authorization { payload, extensions, payer: key.address().to_string(), nonce, valid_before_s })
    }
}

/// What one permit allows, once and until its deadline.
pub(super) struct Permit {
    pub chain_id: u64,
    pub token: EvmAddress,
    pub amount: U256,
    pub nonce: U256,
    pub deadline_s: u64,
}

impl Permit {
    /// `kind` is the permit with a witness of the type of `witness`, or without one. `lay_out` makes of the signed
    /// message what is wanted.
    pub fn sign<R>(
        &self,
        key: &EvmKey,
        spender: EvmAddress,
        kind: &'static Struct,
        witness: Option<&Message<'_>>,
        lay_out: impl FnOnce(&Message<'_>, &Signature) -> R,
    ) -> Result<R, Error> {
        let permitted = [Value::Address(self.token), Value::Number(self.amount)];
        let permitted = Message::new(&TOKEN_PERMISSIONS, &permitted);
        let mut values = vec![
            Value::Struct(&permitted),
            Value::Address(spender),
            Value::Number(self.nonce),
            Value::Number(U256::from(self.deadline_s)),
        ];
        values.extend(witness.map(Value::Struct));
        let message = Message::new(kind, &values);
        let signature = Signature::of(key, &domain(self.chain_id), &separator(self.chain_id), &message)?;
        Ok(lay_out(&message, &signature))
    }
}

fn domain(chain_id: u64) -> Domain<'static> {
    Domain { name: "Permit2", version: None, chain_id, contract: PERMIT2 }
}

/// Each thread remembers those of its last chains.
fn separator(chain_id: u64) -> [u8; 32] {
    thread_local! {
        static KEPT: RefCell<Remembered<u64, [u8; 32], CHAINS_KEPT>> = const { RefCell::new(Remembered::new()) };
    }
    Remembered::recall(&KEPT, |known| *known == chain_id)
        .unwrap_or_else(|| Remembered::remember(&KEPT, chain_id, domain(chain_id).separator()))
}

/// The order of the members is that of the official TypeScript client.
fn payload(permit: &Message<'_>, payer: &str, signature: &Signature) -> Zeroizing<String> {
    let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX + signature.text_len()));
    json.push_str(r#"{"signature":""#);
    signature.write(&mut json);
    // Writing to a String cannot fail.
    let _ = write!(json, r#"","permit2Authorization":{{"from":"{payer}","#);
    permit.write_members(&mut json);
    json.push_str("}}");
    json
}
