//! The scheme `batch-settlement`: a channel that is filled once, and vouchers that say how much of it is the payee's.
//!
//! Owns what is signed for it: the channel's name, a voucher over everything charged so far, and a deposit where the
//! channel holds too little. Must not know where the state of a channel is kept. It is not among the ways to pay that
//! are offered yet: a voucher never expires and a deposit is more than the price, so a channel's state has to be part
//! of what the ledger makes durable before a signature.

use super::NO_SPL;
use super::asked::{Asked, member};
use super::eip712::{Domain, Message, Value, digest};
use super::messages::{CHANNEL_CONFIG, DEPOSIT_PERMIT, DEPOSIT_WITNESS, RECEIVE_WITH_AUTHORIZATION, VOUCHER};
use super::permit2::Permit;
use super::signature::{Signature, write_hex};
use crate::error::{Error, printable};
use crate::money::{Amount, EvmAddress, TransferMethod};
use crate::protocol::Offer;
use crate::scheme::{Ingredients, cannot_sign};
use crate::wallet::EvmKey;
use alloy_primitives::{U256, hex, keccak256};
use std::fmt::Write;
use zeroize::Zeroizing;

const CHANNELS: EvmAddress = EvmAddress::from_bytes(hex!("4020074e9dF2ce1deE5A9C1b5c3f541D02a10003"));
const EIP3009_COLLECTOR: EvmAddress = EvmAddress::from_bytes(hex!("4020806089470a89826cB9fB1f4059150b550004"));
const PERMIT2_COLLECTOR: EvmAddress = EvmAddress::from_bytes(hex!("4020425FAf3B746C082C2f942b4E5159887B0005"));

/// How many prices a deposit holds where the server names none.
const DEPOSIT_PRICES: u64 = 5;
const WITHDRAW_DELAY_S_DEFAULT: u64 = 900;
const WITHDRAW_DELAY_S_MAX: u64 = 2_592_000;
/// A voucher counts in 128 bits.
const VOUCHER_BITS: usize = 128;
/// Room for any payload beside its signatures, so that none is moved while it grows and leaves a copy behind.
const PAYLOAD_BYTES_MAX: usize = 2048;

/// What is known of a channel before a payment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Channel {
    /// What was deposited.
    pub balance: Amount,
    /// What the payee charged so far.
    pub charged: Amount,
}

/// A payment by channel that has not been sent.
pub struct Signed {
    /// x402 `payload`, as JSON.
    pub payload: Zeroizing<String>,
    pub channel_id: [u8; 32],
    /// What leaves the payer's account for the channel; perhaps nothing.
    pub deposit: Amount,
    /// What the voucher lets the payee have of the channel in all.
    pub claimable: Amount,
}

struct Terms<'a> {
    asked: Asked<'a>,
    method: TransferMethod,
    receiver_authorizer: EvmAddress,
    withdraw_delay_s: u64,
    deposit_wanted: U256,
}

/// Signs the next voucher, and a deposit of at most `deposit_max` where the channel holds too little (x402 v2, scheme
/// `batch-settlement`, EVM). Errors are `Status::Sign`.
pub fn authorize(
    offer: &Offer,
    method: TransferMethod,
    key: &EvmKey,
    channel: &Channel,
    deposit_max: Amount,
    ingredients: &Ingredients<'_>,
) -> Result<Signed, Error> {
    let terms = Asked::read(offer).and_then(|asked| Terms::read(asked, method)).map_err(|why| cannot_sign(&why))?;
    let claimable = terms.claimable(channel).map_err(|why| cannot_sign(&why))?;
    let deposit = terms.deposit(channel, claimable, deposit_max.to_u256()).map_err(|why| cannot_sign(&why))?;
    terms.sign(key, claimable, deposit, ingredients)
}

impl<'a> Terms<'a> {
    fn read(asked: Asked<'a>, method: TransferMethod) -> Result<Terms<'a>, String> {
        if method == TransferMethod::Eip3009 {
            asked.check_eip3009()?;
            asked.domain()?;
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

    fn claimable(&self, channel: &Channel) -> Result<U256, String> {
        let claimable = channel.charged.to_u256().checked_add(self.asked.amount.to_u256());
        claimable.filter(|sum| sum.bit_len() <= VOUCHER_BITS).ok_or_else(|| {
            format!("amount is {}, and with what was charged it is 2^{VOUCHER_BITS} or more", self.asked.amount)
        })
    }

    /// Nothing while the channel covers the voucher.
    fn deposit(&self, channel: &Channel, claimable: U256, most: U256) -> Result<U256, String> {
        let missing = claimable.saturating_sub(channel.balance.to_u256());
        if missing > most {
            return Err(format!(
                "amount is {}, for which {missing} must be deposited, and {most} may be",
                self.asked.amount
            ));
        }
        Ok(if missing.is_zero() { U256::ZERO } else { self.deposit_wanted.max(missing).min(most) })
    }

    fn domain(&self) -> Domain<'static> {
        let version = Some("1");
        Domain { name: "x402 Batch Settlement", version, chain_id: self.asked.chain_id, contract: CHANNELS }
    }

    fn sign(
        &self,
        key: &EvmKey,
        claimable: U256,
        deposit: U256,
        ingredients: &Ingredients<'_>,
    ) -> Result<Signed, Error> {
        let payer = EvmAddress::from_bytes(key.address_bytes());
        let (domain, separator) = (self.domain(), self.domain().separator());
        let channel_id = digest(&separator, &self.config_hash(payer));
        let voucher = [Value::Bytes32(channel_id), Value::Number(claimable)];
        let voucher = Message::new(&VOUCHER, &voucher);
        let signature = Signature::of(key, &domain, &separator, &voucher)?;
        let authorization = match deposit.is_zero() {
            true => None,
            false => Some(self.authorization(key, channel_id, deposit, ingredients)?),
        };
        let more = authorization.as_ref().map_or(0, |json| json.len());
        let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_MAX + signature.text_len() + more));
        let kind = if authorization.is_some() { "deposit" } else { "voucher" };
        let _ = write!(json, r#"{{"type":"{kind}","channelConfig":"#);
        self.write_config(payer, &mut json);
        json.push_str(r#","voucher":{"#);
        voucher.write_members(&mut json);
        json.push_str(r#","signature":""#);
        signature.write(&mut json);
        json.push_str(r#""}"#);
        if let Some(authorization) = authorization {
            // Writing to a String cannot fail.
            let _ = write!(json, r#","deposit":{{"amount":"{deposit}","authorization":{}}}"#, *authorization);
        }
        json.push('}');
        let [deposit, claimable] = [deposit, claimable].map(Amount::from_u256);
        Ok(Signed { payload: json, channel_id, deposit, claimable })
    }

    fn config_hash(&self, payer: EvmAddress) -> [u8; 32] {
        let values = [
            Value::Address(payer),
            Value::Address(payer),
            Value::Address(self.asked.payee),
            Value::Address(self.receiver_authorizer),
            Value::Address(self.asked.token),
            Value::Number(U256::from(self.withdraw_delay_s)),
            Value::Bytes32([0; 32]),
        ];
        Message::new(&CHANNEL_CONFIG, &values).hash()
    }

    fn write_config(&self, payer: EvmAddress, json: &mut String) {
        let Asked { payee, token, .. } = self.asked;
        // Writing to a String cannot fail.
        let _ = write!(json, r#"{{"payer":"{payer}","payerAuthorizer":"{payer}","receiver":"{payee}","#);
        let _ = write!(json, r#""receiverAuthorizer":"{}","token":"{token}","#, self.receiver_authorizer);
        let _ = write!(json, r#""withdrawDelay":{},"salt":""#, self.withdraw_delay_s);
        write_hex(&[0; 32], json);
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
