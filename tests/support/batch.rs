//! Payments by channel as the server sees them: the scheme `batch-settlement`.
//!
//! Owns the same as `payment.rs` for these, and what the server keeps of a channel: what was deposited, what was charged,
//! and the last voucher. Written from the contracts' text and not from the library's code. A channel that is not known
//! begins at nothing, or with what the scenario says.

use super::approval;
use super::eip712::{Domain, domain_separator, keccak, signer, word, word_u64};
use super::payment::{Payment, decimal_word, hex, hex_array, text, word_u64 as number};
use super::permit2::Permit;
use super::scenario::ChannelBefore;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

const CONTRACT: &str = "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003";
const EIP3009_COLLECTOR: &str = "0x4020806089470a89826cB9fB1f4059150b550004";
const PERMIT2_COLLECTOR: &str = "0x4020425FAf3B746C082C2f942b4E5159887B0005";
const WITHDRAW_DELAY_S: std::ops::RangeInclusive<u64> = 900..=2_592_000;

const MISMATCH: &str = "invalid_batch_settlement_evm_cumulative_amount_mismatch";

/// What a payment does to its channel.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub channel: String,
    pub claimable: u64,
    pub price: u64,
    pub deposit: u64,
    signature: String,
    /// Of the deposit's authorization; it can be used once.
    deposit_nonce: Option<String>,
    /// Of the whole payment.
    header_sha256: String,
}

/// What the server keeps of a channel.
#[derive(Clone, Debug, Default)]
struct Kept {
    balance: u64,
    charged: u64,
    signed: u64,
    signature: Option<String>,
    /// How often something was charged, and the hash of the header for which it was last.
    charges: u64,
    last_header: String,
}

/// Every channel that was seen.
#[derive(Debug, Default)]
pub struct Channels {
    kept: HashMap<String, Kept>,
    deposits_used: HashSet<String>,
}

pub fn asks_for_it(offer: &Value) -> bool {
    offer["scheme"] == "batch-settlement"
}

fn reason<T>(name: &str) -> Result<T, String> {
    Err(format!("invalid_batch_settlement_evm_{name}"))
}

/// Verifies what was sent for `offer`, as far as nothing must be remembered for it.
pub fn verify(sent: &Value, offer: &Value, unapproved: bool, now_s: u64) -> Result<Payment, String> {
    let payload = &sent["payload"];
    let (config, voucher) = (&payload["channelConfig"], &payload["voucher"]);
    let network = text(&offer["network"])?;
    let chain_id: u64 = network.strip_prefix("eip155:").and_then(|id| id.parse().ok()).ok_or("invalid_network")?;
    let address = |value: &Value| hex_array::<20>(value);
    let (payer, authorizer) = (address(&config["payer"])?, address(&config["payerAuthorizer"])?);
    for (ours, theirs, name) in [
        (&config["receiver"], &offer["payTo"], "receiver_mismatch"),
        (&config["receiverAuthorizer"], &offer["extra"]["receiverAuthorizer"], "receiver_authorizer_mismatch"),
        (&config["token"], &offer["asset"], "token_mismatch"),
    ] {
        if address(ours)? != address(theirs)? {
            return reason(name);
        }
    }
    let delay = config["withdrawDelay"].as_u64().unwrap_or(0);
    if !WITHDRAW_DELAY_S.contains(&delay) {
        return reason("withdraw_delay_out_of_range");
    }
    if delay != offer["extra"]["withdrawDelay"].as_u64().unwrap_or(900) {
        return reason("withdraw_delay_mismatch");
    }
    let domain =
        Domain { name: "x402 Batch Settlement", version: "1", chain_id, contract: hex_array(&json!(CONTRACT))? };
    let separator = domain_separator(&domain);
    let channel = keccak(&[b"\x19\x01", &separator, &config_hash(config, delay)?]);
    if hex_array::<32>(&voucher["channelId"])? != channel {
        return reason("channel_id_mismatch");
    }
    let claimable = decimal_word(text(&voucher["maxClaimableAmount"])?)?;
    let signed = voucher_digest(&separator, &channel, &claimable);
    // An authorizer of zero leaves it to the payer's contract, which nobody can ask here.
    if authorizer != payer || signer(signed, &hex_array(&voucher["signature"])?).as_ref() != Ok(&payer) {
        return reason("voucher_signature");
    }
    let (deposit, authorization) = match text(&payload["type"])? {
        "voucher" if payload.get("deposit").is_none() => (0, None),
        "deposit" => {
            let deposit = Deposit { sent, offer, payer, channel, chain_id, now_s };
            let amount = decimal_word(text(&payload["deposit"]["amount"])?)?;
            let authorization = deposit.verify(&amount, unapproved)?;
            (number(&amount), Some(authorization))
        }
        _ => return reason("payload_type"),
    };
    let valid_before = authorization.as_ref().map_or(now_s + 60, |(_, valid_before)| *valid_before);
    Ok(Payment {
        version: 2,
        network: network.into(),
        asset: text(&offer["asset"])?.into(),
        amount: text(&offer["amount"])?.into(),
        payee: hex(&address(&offer["payTo"])?),
        payer: hex(&payer),
        nonce: String::new(),
        valid_after: 0,
        valid_before,
        valid_for_s: valid_before - now_s,
        drawn: Some(Drawn {
            channel: hex(&channel),
            claimable: number(&claimable),
            price: number(&decimal_word(text(&offer["amount"])?)?),
            deposit,
            signature: text(&voucher["signature"])?.into(),
            deposit_nonce: authorization.map(|(nonce, _)| nonce),
            header_sha256: String::new(),
        }),
    })
}

fn config_hash(config: &Value, delay: u64) -> Result<[u8; 32], String> {
    let kind = keccak(&[b"ChannelConfig(address payer,address payerAuthorizer,address receiver,\
        address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"]);
    let address = |name: &str| hex_array::<20>(&config[name]).map(|address| word(&address));
    Ok(keccak(&[
        &kind,
        &address("payer")?,
        &address("payerAuthorizer")?,
        &address("receiver")?,
        &address("receiverAuthorizer")?,
        &address("token")?,
        &word_u64(delay),
        &hex_array::<32>(&config["salt"])?,
    ]))
}

fn voucher_digest(separator: &[u8; 32], channel: &[u8; 32], claimable: &[u8; 32]) -> [u8; 32] {
    let kind = keccak(&[b"Voucher(bytes32 channelId,uint128 maxClaimableAmount)"]);
    keccak(&[b"\x19\x01", separator, &keccak(&[&kind, channel, claimable])])
}

/// The money that comes along.
struct Deposit<'a> {
    sent: &'a Value,
    offer: &'a Value,
    payer: [u8; 20],
    channel: [u8; 32],
    chain_id: u64,
    now_s: u64,
}

impl Deposit<'_> {
    /// The nonce that its collector uses up, and until when it holds.
    fn verify(&self, amount: &[u8; 32], unapproved: bool) -> Result<(String, u64), String> {
        if number(amount) == 0 {
            return reason("deposit_payload");
        }
        let authorization = &self.sent["payload"]["deposit"]["authorization"];
        match self.offer["extra"]["assetTransferMethod"] == "permit2" {
            true => self.by_permit2(&authorization["permit2Authorization"], amount, unapproved),
            false => self.by_eip3009(&authorization["erc3009Authorization"], amount),
        }
    }

    fn by_eip3009(&self, sent: &Value, amount: &[u8; 32]) -> Result<(String, u64), String> {
        let extra = &self.offer["extra"];
        let domain = Domain {
            name: text(&extra["name"])?,
            version: text(&extra["version"])?,
            chain_id: self.chain_id,
            contract: hex_array(&self.offer["asset"])?,
        };
        let (after, before) = (decimal_word(text(&sent["validAfter"])?)?, decimal_word(text(&sent["validBefore"])?)?);
        if number(&before) <= self.now_s {
            return reason("payload_authorization_valid_before");
        }
        if number(&after) > self.now_s {
            return reason("payload_authorization_valid_after");
        }
        // The collector makes the nonce itself, so that the money can go into no other channel.
        let nonce = keccak(&[&self.channel, &hex_array::<32>(&sent["salt"])?]);
        let kind = keccak(&[b"ReceiveWithAuthorization(address from,address to,uint256 value,\
            uint256 validAfter,uint256 validBefore,bytes32 nonce)"]);
        let collector = hex_array(&json!(EIP3009_COLLECTOR))?;
        let message = keccak(&[&kind, &word(&self.payer), &word(&collector), amount, &after, &before, &nonce]);
        let digest = keccak(&[b"\x19\x01", &domain_separator(&domain), &message]);
        if signer(digest, &hex_array(&sent["signature"])?).as_ref() != Ok(&self.payer) {
            return reason("receive_authorization_signature");
        }
        Ok((hex(&nonce), number(&before)))
    }

    fn by_permit2(&self, sent: &Value, amount: &[u8; 32], unapproved: bool) -> Result<(String, u64), String> {
        let (token, spender) = (hex_array(&sent["permitted"]["token"])?, hex_array::<20>(&sent["spender"])?);
        if spender != hex_array::<20>(&json!(PERMIT2_COLLECTOR))? {
            return reason("permit2_invalid_spender");
        }
        if token != hex_array::<20>(&self.offer["asset"])?
            || decimal_word(text(&sent["permitted"]["amount"])?)? != *amount
        {
            return reason("permit2_amount_mismatch");
        }
        let (nonce, deadline) = (decimal_word(text(&sent["nonce"])?)?, decimal_word(text(&sent["deadline"])?)?);
        if number(&deadline) <= self.now_s {
            return reason("permit2_deadline_expired");
        }
        let witness_type: &[u8] = b"DepositWitness(bytes32 channelId)";
        let witness = keccak(&[&keccak(&[witness_type]), &self.channel]);
        let permit = Permit { token, amount: *amount, spender, nonce, deadline };
        let digest = permit.digest_with(
            self.chain_id,
            "DepositWitness",
            &[witness_type, Permit::TOKEN_PERMISSIONS],
            &witness,
        )?;
        let is_own = hex_array::<32>(&sent["witness"]["channelId"])? == self.channel
            && hex_array::<20>(&sent["from"])? == self.payer
            && signer(digest, &hex_array(&sent["signature"])?).as_ref() == Ok(&self.payer);
        if !is_own {
            return reason("permit2_invalid_signature");
        }
        if unapproved {
            let amount = text(&self.sent["payload"]["deposit"]["amount"])?;
            let brought = approval::verify(self.sent, self.offer, amount, &self.payer, self.chain_id, self.now_s);
            if brought.is_err() {
                return reason("permit2_allowance_required");
            }
        }
        Ok((hex(&nonce), number(&deadline)))
    }
}

impl Channels {
    /// Holds a payment against what is kept of its channel, and names it. `again`: the last one may be presented once
    /// more. Nothing is taken yet.
    pub fn judge(
        &mut self,
        payment: &mut Payment,
        header_sha256: &str,
        before: &ChannelBefore,
        again: bool,
    ) -> Result<(), String> {
        let Some(drawn) = &mut payment.drawn else { return Ok(()) };
        drawn.header_sha256 = header_sha256.to_string();
        let kept = self.kept.entry(drawn.channel.clone()).or_insert_with(|| Kept {
            balance: before.balance,
            charged: before.charged,
            signed: before.signed,
            signature: before.signature.clone(),
            ..Kept::default()
        });
        let name = |charges: u64| format!("{}:{}:{charges}", drawn.channel, drawn.claimable);
        if again && kept.last_header == header_sha256 {
            payment.nonce = name(kept.charges - 1);
            return Ok(());
        }
        if drawn.claimable != kept.charged + drawn.price {
            return Err(MISMATCH.into());
        }
        if drawn.claimable > kept.balance + drawn.deposit {
            return reason("cumulative_exceeds_balance");
        }
        if drawn.deposit_nonce.as_ref().is_some_and(|nonce| self.deposits_used.contains(nonce)) {
            return reason("deposit_transaction_failed");
        }
        payment.nonce = name(kept.charges);
        Ok(())
    }

    /// What a corrective 402 says of the payment's channel, for the `extra` of its offer.
    pub fn correction(&self, payment: &Payment) -> Option<Value> {
        let drawn = payment.drawn.as_ref()?;
        let kept = self.kept.get(&drawn.channel)?;
        let mut extra = json!({"channelState": state_json(&drawn.channel, kept)});
        if let Some(signature) = &kept.signature {
            extra["voucherState"] = json!({"signedMaxClaimable": kept.signed.to_string(), "signature": signature});
        }
        Some(extra)
    }

    /// Takes the deposit and charges. `forgets`: the charge is told and not kept.
    pub fn settle(&mut self, payment: &Payment, charged: Option<&str>, forgets: bool) {
        let Some(drawn) = &payment.drawn else { return };
        let Some(kept) = self.kept.get_mut(&drawn.channel) else { return };
        kept.balance += drawn.deposit;
        self.deposits_used.extend(drawn.deposit_nonce.clone());
        let charged = charged.and_then(|text| text.parse().ok()).unwrap_or(drawn.price).min(drawn.price);
        kept.charged += if forgets { 0 } else { charged };
        (kept.signed, kept.signature) = (drawn.claimable, Some(drawn.signature.clone()));
        kept.charges += 1;
        kept.last_header.clone_from(&drawn.header_sha256);
    }

    /// The receipt's `extra`.
    pub fn receipt(&self, payment: &Payment, charged: Option<&str>) -> Option<Value> {
        let drawn = payment.drawn.as_ref()?;
        let kept = self.kept.get(&drawn.channel)?;
        let charged = charged.map_or_else(|| drawn.price.to_string(), str::to_string);
        Some(json!({"chargedAmount": charged, "channelState": state_json(&drawn.channel, kept)}))
    }

    /// By channel: what was deposited and what was charged.
    pub fn totals(&self) -> HashMap<String, (u64, u64)> {
        self.kept.iter().map(|(id, kept)| (id.clone(), (kept.balance, kept.charged))).collect()
    }
}

fn state_json(channel: &str, kept: &Kept) -> Value {
    json!({"channelId": channel, "balance": kept.balance.to_string(), "totalClaimed": "0", "withdrawRequestedAt": 0,
        "refundNonce": "0", "chargedCumulativeAmount": kept.charged.to_string()})
}
