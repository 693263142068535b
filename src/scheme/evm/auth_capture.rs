//! The scheme `auth-capture`: the amount goes into an escrow, from which the payee captures it or it comes back.
//!
//! Owns what is signed for it: a transfer to the escrow's collector whose nonce is a hash of all the terms (payee,
//! deadlines, fees), so that the escrow can follow no others. Must not know what is captured later: the whole amount is
//! what the payer may lose. Only the published escrows are signed for, because an escrow of the server's own making
//! could keep the money.

use super::NO_SPL;
use super::asked::{Asked, TokenDomain, member};
use super::eip712::{Message, Value};
use super::messages::{PAYMENT_INFO, PERMIT_TRANSFER, RECEIVE_WITH_AUTHORIZATION, SALT_BINDING};
use super::permit2::Permit;
use super::signature::{Signature, write_hex};
use crate::error::{Error, printable};
use crate::money::{EvmAddress, TransferMethod};
use crate::scheme::{Authorization, Ingredients, cannot_sign};
use crate::wallet::EvmKey;
use alloy_primitives::{U256, hex, keccak256};
use std::fmt::Write;
use zeroize::Zeroizing;

/// One published deployment of the escrow; the same on every chain.
struct Deployment {
    escrow: EvmAddress,
    eip3009_collector: EvmAddress,
    permit2_collector: EvmAddress,
}

/// The first is what an offer means that names none.
static DEPLOYMENTS: [Deployment; 2] = [
    Deployment {
        escrow: EvmAddress::from_bytes(hex!("f96815976523E00e65Be8f34cA5e64b4f41EB19c")),
        eip3009_collector: EvmAddress::from_bytes(hex!("8612dfdc421f80336cd14E8EF9cb1E765dB5ab88")),
        permit2_collector: EvmAddress::from_bytes(hex!("D69831Aed5bfe262067ec4c751f4F830EcdD446e")),
    },
    Deployment {
        escrow: EvmAddress::from_bytes(hex!("BdEA0D1bcC5966192B070Fdf62aB4EF5b4420cff")),
        eip3009_collector: EvmAddress::from_bytes(hex!("0E3dF9510de65469C4518D7843919c0b8C7A7757")),
        permit2_collector: EvmAddress::from_bytes(hex!("992476B9Ee81d52a5BdA0622C333938D0Af0aB26")),
    },
];

const AMOUNT_BITS: usize = 120;
const TIME_S_MAX: u64 = (1 << 48) - 1;
/// Hundredths of a percent.
const FEE_BPS_MAX: u64 = 10_000;
/// Room for any payload beside its signature, so that none is moved while it grows and leaves a copy behind.
const PAYLOAD_BYTES_MAX: usize = 1024;

/// An offer, checked: every value that is signed except the time and the nonce.
pub(super) struct Terms<'a> {
    asked: Asked<'a>,
    /// Of the token, where it is the token that moves the amount.
    domain: Option<TokenDomain<'a>>,
    deployment: &'static Deployment,
    capture_authorizer: EvmAddress,
    fee_recipient: EvmAddress,
    capture_deadline_s: u64,
    refund_deadline_s: u64,
    fee_bps: (u64, u64),
    /// Who besides the payee has a say; with one of them the salt is bound to both.
    binding: Option<(EvmAddress, EvmAddress)>,
}

impl<'a> Terms<'a> {
    pub fn read(asked: Asked<'a>, method: TransferMethod) -> Result<Terms<'a>, String> {
        let domain = match method {
            TransferMethod::Eip3009 => {
                asked.check_eip3009()?;
                Some(asked.domain()?)
            }
            TransferMethod::Permit2 => None,
            TransferMethod::Spl => return Err(NO_SPL.into()),
        };
        if asked.amount.to_u256().bit_len() > AMOUNT_BITS {
            return Err(format!("amount is {}, but the escrow takes less than 2^{AMOUNT_BITS}", asked.amount));
        }
        let capture_deadline_s = number(&asked, "captureDeadline", TIME_S_MAX)?;
        let refund_deadline_s = number(&asked, "refundDeadline", TIME_S_MAX)?;
        if refund_deadline_s < capture_deadline_s {
            return Err(format!(
                "extra.refundDeadline is {refund_deadline_s}, before extra.captureDeadline ({capture_deadline_s})"
            ));
        }
        let fee_bps = (number(&asked, "minFeeBps", FEE_BPS_MAX)?, number(&asked, "maxFeeBps", FEE_BPS_MAX)?);
        if fee_bps.0 > fee_bps.1 {
            return Err(format!("extra.minFeeBps is {}, more than extra.maxFeeBps ({})", fee_bps.0, fee_bps.1));
        }
        let fee_recipient = asked.address_or_zero("feeRecipient")?;
        let fee_recipient =
            fee_recipient.ok_or_else(|| "extra.feeRecipient is missing, but auth-capture needs it".to_string())?;
        Ok(Terms {
            deployment: deployment(&asked)?,
            capture_authorizer: asked.address("captureAuthorizer")?,
            binding: binding(&asked)?,
            asked,
            domain,
            fee_recipient,
            capture_deadline_s,
            refund_deadline_s,
            fee_bps,
        })
    }

    /// Signs the way into the escrow and lays out the payload (x402 v2, scheme `auth-capture`, EVM).
    pub fn authorize(&self, key: &EvmKey, ingredients: &Ingredients<'_>) -> Result<Authorization, Error> {
        let Ingredients { now_s, nonce, .. } = *ingredients;
        let valid_before_s = self.asked.valid_before_s(now_s);
        if self.capture_deadline_s < valid_before_s {
            let reason = format!(
                "extra.captureDeadline is {}, before the signature itself would end ({valid_before_s})",
                self.capture_deadline_s
            );
            return Err(cannot_sign(&reason));
        }
        let salt = self.salt(nonce);
        let bound = self.nonce(&salt, valid_before_s);
        let mut json = match &self.domain {
            Some(domain) => self.transfer(domain, key, bound, valid_before_s)?,
            None => self.permit(key, bound, valid_before_s)?,
        };
        json.push_str(r#","salt":""#);
        write_hex(&salt, &mut json);
        if self.binding.is_some() {
            json.push_str(r#"","saltNonce":""#);
            write_hex(&nonce, &mut json);
        }
        json.push_str(r#""}"#);
        Ok(Authorization { payload: json, extensions: None, payer: key.address().to_string(), nonce, valid_before_s })
    }

    fn salt(&self, nonce: [u8; 32]) -> [u8; 32] {
        match self.binding {
            None => nonce,
            Some((receiver_authorizer, policy)) => Message::new(
                &SALT_BINDING,
                &[
                    Value::Address(receiver_authorizer),
                    Value::Address(policy),
                    Value::Number(U256::from_be_bytes(nonce)),
                ],
            )
            .hash(),
        }
    }

    /// What binds the signature to the terms. The payer is left out of it, as the contract has it.
    fn nonce(&self, salt: &[u8; 32], valid_before_s: u64) -> [u8; 32] {
        let small = |number: u64| Value::Number(U256::from(number));
        let info = [
            Value::Address(self.capture_authorizer),
            Value::Address(EvmAddress::from_bytes([0; 20])),
            Value::Address(self.asked.payee),
            Value::Address(self.asked.token),
            Value::Number(self.asked.amount.to_u256()),
            small(valid_before_s),
            small(self.capture_deadline_s),
            small(self.refund_deadline_s),
            small(self.fee_bps.0),
            small(self.fee_bps.1),
            Value::Address(self.fee_recipient),
            Value::Number(U256::from_be_bytes(*salt)),
        ];
        let chain_id = U256::from(self.asked.chain_id).to_be_bytes::<32>();
        let escrow = self.deployment.escrow.to_alloy().into_word().0;
        keccak256([chain_id, escrow, Message::new(&PAYMENT_INFO, &info).hash()].concat()).0
    }

    /// The payload up to its signature, without its closing brace.
    fn transfer(
        &self,
        domain: &TokenDomain<'_>,
        key: &EvmKey,
        nonce: [u8; 32],
        valid_before_s: u64,
    ) -> Result<Zeroizing<String>, Error> {
        let values = [
            Value::Address(EvmAddress::from_bytes(key.address_bytes())),
            Value::Address(self.deployment.eip3009_collector),
            Value::Number(self.asked.amount.to_u256()),
            Value::Number(U256::ZERO),
            Value::Number(U256::from(valid_before_s)),
            Value::Bytes32(nonce),
        ];
        let message = Message::new(&RECEIVE_WITH_AUTHORIZATION, &values);
        let signature = Signature::of(key, &domain.domain, &domain.separator(), &message)?;
        let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX + signature.text_len()));
        json.push_str(r#"{"authorization":{"#);
        message.write_members(&mut json);
        json.push_str(r#"},"signature":""#);
        signature.write(&mut json);
        json.push('"');
        Ok(json)
    }

    /// As [`Terms::transfer`], through Permit2. The nonce binds the terms, so there is no witness.
    fn permit(&self, key: &EvmKey, nonce: [u8; 32], valid_before_s: u64) -> Result<Zeroizing<String>, Error> {
        let permit = Permit {
            chain_id: self.asked.chain_id,
            token: self.asked.token,
            amount: self.asked.amount.to_u256(),
            nonce: U256::from_be_bytes(nonce),
            deadline_s: valid_before_s,
        };
        permit.sign(key, self.deployment.permit2_collector, &PERMIT_TRANSFER, None, |message, signature| {
            let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX + signature.text_len()));
            // Writing to a String cannot fail.
            let _ = write!(json, r#"{{"permit2Authorization":{{"from":"{}","#, key.address());
            message.write_members(&mut json);
            json.push_str(r#"},"signature":""#);
            signature.write(&mut json);
            json.push('"');
            json
        })
    }
}

fn deployment(asked: &Asked<'_>) -> Result<&'static Deployment, String> {
    let [newest, ..] = &DEPLOYMENTS;
    let Some(text) = asked.text("authCaptureEscrow")? else { return Ok(newest) };
    let escrow = asked.address("authCaptureEscrow")?;
    let known = DEPLOYMENTS.iter().find(|deployment| deployment.escrow == escrow);
    known.ok_or_else(|| format!("extra.authCaptureEscrow is {:?}, which is no published escrow", printable(text)))
}

fn binding(asked: &Asked<'_>) -> Result<Option<(EvmAddress, EvmAddress)>, String> {
    let zero = EvmAddress::from_bytes([0; 20]);
    let receiver_authorizer = asked.address_or_zero("receiverAuthorizer")?.unwrap_or(zero);
    let policy = asked.address_or_zero("policy")?.unwrap_or(zero);
    Ok((!receiver_authorizer.is_zero() || !policy.is_zero()).then_some((receiver_authorizer, policy)))
}

/// A member of `extra` that is a whole number of at most `max`.
fn number(asked: &Asked<'_>, field: &str, max: u64) -> Result<u64, String> {
    let value =
        member(asked.offer, field).ok_or_else(|| format!("extra.{field} is missing, but auth-capture needs it"))?;
    let number = value.as_u64().filter(|number| *number <= max);
    number.ok_or_else(|| {
        format!("extra.{field} is {}, but must be a whole number to {max}", printable(&value.to_string()))
    })
}
