//! The scheme `batch-settlement`: a channel that is filled once, and vouchers that say how much of it is the payee's.
//!
//! Owns the names of channels and what is signed for one: a voucher over everything charged so far, and a deposit where
//! the ledger decided on one. Must not know what is known of a channel: what is drawn comes as a value. A voucher never
//! expires, so the payee can have what the largest one says whenever he likes, and never more than was deposited.

use super::NO_SPL;
use super::asked::{Asked, member};
use super::eip712::{Domain, Message, Value, digest};
use super::messages::{CHANNEL_CONFIG, DEPOSIT_PERMIT, DEPOSIT_WITNESS, RECEIVE_WITH_AUTHORIZATION, VOUCHER};
use super::permit2::Permit;
use super::signature::{Signature, write_hex};
use super::sponsoring::Approving;
use crate::error::{Error, Status, printable};
use crate::money::{Amount, ChannelId, Draw, EvmAddress, TransferMethod, claimable};
use crate::scheme::{Authorization, ChannelTerms, Ingredients, cannot_sign};
use crate::wallet::EvmKey;
use alloy_primitives::{U256, hex, keccak256};
use std::fmt::Write;
use zeroize::Zeroizing;

pub(super) const CHANNELS: EvmAddress = EvmAddress::from_bytes(hex!("4020074e9dF2ce1deE5A9C1b5c3f541D02a10003"));
const EIP3009_COLLECTOR: EvmAddress = EvmAddress::from_bytes(hex!("4020806089470a89826cB9fB1f4059150b550004"));
const PERMIT2_COLLECTOR: EvmAddress = EvmAddress::from_bytes(hex!("4020425FAf3B746C082C2f942b4E5159887B0005"));

/// How many prices a deposit holds where the server names no deposit.
const DEPOSIT_PRICES: u64 = 5;
const WITHDRAW_DELAY_S_DEFAULT: u64 = 900;
const WITHDRAW_DELAY_S_MAX: u64 = 2_592_000;
/// Channels with the same terms, told apart by their salt: so many payments to one payee can be under way at once.
const CHANNELS_MAX: u64 = 8;
/// r, s and v.
const SIGNATURE_BYTES_OF_KEYS: usize = 65;
/// Room for any payload beside its signatures, so that none is moved while it grows and leaves a copy behind.
const PAYLOAD_BYTES_MAX: usize = 2048;

/// An offer, checked.
pub(super) struct Terms<'a> {
    asked: Asked<'a>,
    method: TransferMethod,
    receiver_authorizer: EvmAddress,
    withdraw_delay_s: u64,
    deposit_wanted: U256,
}

/// Who pays, and whose signature a voucher carries.
#[derive(Clone, Copy)]
struct Payer {
    address: EvmAddress,
    /// Zero where the payer is a contract, which judges vouchers by its own code (ERC-1271).
    authorizer: EvmAddress,
}

impl Payer {
    fn of(key: &EvmKey) -> Payer {
        let address = EvmAddress::from_bytes(key.address_bytes());
        Payer { address, authorizer: if key.is_contract() { EvmAddress::from_bytes([0; 20]) } else { address } }
    }
}

/// A channel whose vouchers a key authorizes takes nothing but that key's signature: any other would tie up the deposit for
/// vouchers that nobody can claim, and that the payee must turn down.
fn check_authorizer(key: &EvmKey, signature_bytes: usize) -> Result<(), Error> {
    if key.is_contract() || signature_bytes == SIGNATURE_BYTES_OF_KEYS {
        return Ok(());
    }
    let message = format!(
        "the signer of {} gave {signature_bytes} bytes for a voucher, where its channel takes a key's \
         {SIGNATURE_BYTES_OF_KEYS}; if the address is a contract's, add it as eip155-contract",
        key.address()
    );
    Err(Error::new(Status::Sign, message))
}

/// What names and verifies channels and vouchers on a chain.
pub(super) fn domain(chain_id: u64) -> Domain<'static> {
    Domain { name: "x402 Batch Settlement", version: Some("1"), chain_id, contract: CHANNELS }
}

impl<'a> Terms<'a> {
    pub fn read(asked: Asked<'a>, method: TransferMethod) -> Result<Terms<'a>, String> {
        if method == TransferMethod::Eip3009 {
            asked.check_eip3009()?;
            asked.domain()?;
        }
        // It is signed for by the payer already, and what is signed for is kept in the ledger, where no signature may be.
        if member(asked.offer, "voucherState").is_some() {
            return Err("extra.voucherState is there, so these terms answer a payment; ask again without one".into());
        }
        let withdraw_delay_s = match member(asked.offer, "withdrawDelay") {
            None => WITHDRAW_DELAY_S_DEFAULT,
            Some(value) => {
                let allowed = WITHDRAW_DELAY_S_DEFAULT..=WITHDRAW_DELAY_S_MAX;
                let delay = value.as_u64().filter(|delay| allowed.contains(delay));
                delay.ok_or_else(|| {
                    let shown = printable(&value.to_string());
                    format!("extra.withdrawDelay is {shown}, but must be from 900 to {WITHDRAW_DELAY_S_MAX} seconds")
                })?
            }
        };
        let price = asked.amount.to_u256();
        let wanted = match asked.text("minDeposit")? {
            Some(text) => Amount::parse(text).map_err(|why| format!("extra.minDeposit {why}"))?.to_u256(),
            None => U256::ZERO,
        };
        let deposit_wanted = if wanted >= price && !wanted.is_zero() {
            wanted
        } else {
            price.saturating_mul(U256::from(DEPOSIT_PRICES))
        };
        let receiver_authorizer = asked.address("receiverAuthorizer")?;
        Ok(Terms { asked, method, receiver_authorizer, withdraw_delay_s, deposit_wanted })
    }

    /// The channels that may serve these terms, and the deposit that the server asks for.
    pub fn channels(&self, key: &EvmKey) -> ChannelTerms {
        let separator = domain(self.asked.chain_id).separator();
        let payer = Payer::of(key);
        let id = |salt| ChannelId::from_bytes(digest(&separator, &self.config_hash(payer, salt)));
        let deposit_wanted = Amount::from_u256(self.deposit_wanted);
        ChannelTerms { candidates: (0..CHANNELS_MAX).map(id).collect(), deposit_wanted }
    }

    /// Signs the voucher, and the deposit if there is one (x402 v2, scheme `batch-settlement`, EVM).
    pub fn authorize(&self, key: &EvmKey, ingredients: &Ingredients<'_>) -> Result<Authorization, Error> {
        let draw = ingredients.draw.ok_or_else(|| cannot_sign("no channel was chosen"))?;
        let (domain, payer) = (domain(self.asked.chain_id), Payer::of(key));
        let separator = domain.separator();
        let channel_id = digest(&separator, &self.config_hash(payer, draw.salt));
        if channel_id != draw.channel.bytes() || claimable(draw.charged, self.asked.amount) != Some(draw.claimable) {
            return Err(cannot_sign("extra and amount are not those for which the channel was chosen"));
        }
        let voucher = [Value::Bytes32(channel_id), Value::Number(draw.claimable.to_u256())];
        let voucher = Message::new(&VOUCHER, &voucher);
        let signature = Signature::of(key, &domain, &separator, &voucher)?;
        check_authorizer(key, signature.len())?;
        let authorization = match draw.deposit.is_zero() {
            true => None,
            false => Some(self.authorization(key, channel_id, draw.deposit.to_u256(), ingredients)?),
        };
        let extensions = match &authorization {
            Some(_) if self.method == TransferMethod::Permit2 => {
                self.approving(payer, draw, ingredients).authorize(key, ingredients)?
            }
            _ => None,
        };
        let more = authorization.as_ref().map_or(0, |json| json.len());
        let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX + signature.text_len() + more));
        let kind = if authorization.is_some() { "deposit" } else { "voucher" };
        // Writing to a String cannot fail.
        let _ = write!(json, r#"{{"type":"{kind}","channelConfig":"#);
        self.write_config(payer, draw, &mut json);
        json.push_str(r#","voucher":{"#);
        voucher.write_members(&mut json);
        json.push_str(r#","signature":""#);
        signature.write(&mut json);
        json.push_str(r#""}"#);
        if let Some(authorization) = authorization {
            let deposit = draw.deposit;
            let _ = write!(json, r#","deposit":{{"amount":"{deposit}","authorization":{}}}"#, *authorization);
        }
        json.push('}');
        Ok(Authorization {
            payload: json,
            extensions,
            payer: key.address().to_string(),
            nonce: ingredients.nonce,
            valid_before_s: self.asked.valid_before_s(ingredients.now_s),
        })
    }

    /// The approval that a deposit through Permit2 needs: of all that is deposited.
    fn approving(&self, payer: Payer, draw: &Draw, ingredients: &Ingredients<'_>) -> Approving<'a> {
        let (amount, deadline_s) = (draw.deposit.to_u256(), self.asked.valid_before_s(ingredients.now_s));
        Approving { asked: self.asked, owner: payer.address, amount, deadline_s }
    }

    fn config_hash(&self, payer: Payer, salt: u64) -> [u8; 32] {
        let values = [
            Value::Address(payer.address),
            Value::Address(payer.authorizer),
            Value::Address(self.asked.payee),
            Value::Address(self.receiver_authorizer),
            Value::Address(self.asked.token),
            Value::Number(U256::from(self.withdraw_delay_s)),
            Value::Bytes32(U256::from(salt).to_be_bytes()),
        ];
        Message::new(&CHANNEL_CONFIG, &values).hash()
    }

    fn write_config(&self, payer: Payer, draw: &Draw, json: &mut String) {
        let Asked { payee, token, .. } = self.asked;
        let Payer { address, authorizer } = payer;
        // Writing to a String cannot fail.
        let _ = write!(json, r#"{{"payer":"{address}","payerAuthorizer":"{authorizer}","receiver":"{payee}","#);
        let _ = write!(json, r#""receiverAuthorizer":"{}","token":"{token}","#, self.receiver_authorizer);
        let _ = write!(json, r#""withdrawDelay":{},"salt":""#, self.withdraw_delay_s);
        write_hex(&U256::from(draw.salt).to_be_bytes::<32>(), json);
        json.push_str(r#""}"#);
    }

    /// The member `deposit.authorization`.
    fn authorization(
        &self,
        key: &EvmKey,
        channel_id: [u8; 32],
        amount: U256,
        ingredients: &Ingredients<'_>,
    ) -> Result<Zeroizing<String>, Error> {
        let deadline_s = self.asked.valid_before_s(ingredients.now_s);
        match self.method {
            TransferMethod::Spl => Err(cannot_sign(NO_SPL)),
            TransferMethod::Eip3009 => self.transfer(key, channel_id, amount, deadline_s, ingredients.nonce),
            TransferMethod::Permit2 => {
                let nonce = U256::from_be_bytes(ingredients.nonce);
                let Asked { chain_id, token, .. } = self.asked;
                let permit = Permit { chain_id, token, amount, nonce, deadline_s };
                let witness = [Value::Bytes32(channel_id)];
                let witness = Message::new(&DEPOSIT_WITNESS, &witness);
                permit.sign(key, PERMIT2_COLLECTOR, &DEPOSIT_PERMIT, Some(&witness), |message, signature| {
                    let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX + signature.text_len()));
                    // Writing to a String cannot fail.
                    let _ = write!(json, r#"{{"permit2Authorization":{{"from":"{}","#, key.address());
                    message.write_members(&mut json);
                    json.push_str(r#","signature":""#);
                    signature.write(&mut json);
                    json.push_str(r#""}}"#);
                    json
                })
            }
        }
    }

    /// By EIP-3009: the nonce binds the transfer to the channel.
    fn transfer(
        &self,
        key: &EvmKey,
        channel_id: [u8; 32],
        amount: U256,
        valid_before_s: u64,
        salt: [u8; 32],
    ) -> Result<Zeroizing<String>, Error> {
        let values = [
            Value::Address(EvmAddress::from_bytes(key.address_bytes())),
            Value::Address(EIP3009_COLLECTOR),
            Value::Number(amount),
            Value::Number(U256::ZERO),
            Value::Number(U256::from(valid_before_s)),
            Value::Bytes32(keccak256([channel_id, salt].concat()).0),
        ];
        let message = Message::new(&RECEIVE_WITH_AUTHORIZATION, &values);
        let domain = self.asked.domain().map_err(|why| cannot_sign(&why))?;
        let signature = Signature::of(key, &domain.domain, &domain.separator(), &message)?;
        let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX + signature.text_len()));
        json.push_str(r#"{"erc3009Authorization":{"validAfter":"0","#);
        // Writing to a String cannot fail.
        let _ = write!(json, r#""validBefore":"{valid_before_s}","salt":""#);
        write_hex(&salt, &mut json);
        json.push_str(r#"","signature":""#);
        signature.write(&mut json);
        json.push_str(r#""}}"#);
        Ok(json)
    }
}
