//! Payments through Permit2 as the server sees them: the schemes `exact` (by that method) and `upto`.
//!
//! Owns the same as `payment.rs` for these: reasons by their official names, a pure function of its input. Written
//! from the contracts' text (Uniswap's Permit2, x402's proxies) and not from the library's code.

use super::approval;
use super::eip712::{keccak, signer, word, word_u64};
use super::payment::{Payment, decimal_word, hex, hex_array, text, word_u64 as number};
use serde_json::{Value, json};

pub const PERMIT2: &str = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
const EXACT_PROXY: &str = "0x402085c248EeA27D92E8b30b2C58ed07f9E20001";
const UPTO_PROXY: &str = "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002";

pub fn asks_for_it(offer: &Value) -> bool {
    offer["scheme"] == "upto" || (offer["scheme"] == "exact" && offer["extra"]["assetTransferMethod"] == "permit2")
}

/// Verifies what was sent for `offer`. `unapproved`: the token does not let Permit2 move it.
pub fn verify(sent: &Value, offer: &Value, unapproved: bool, now_s: u64) -> Result<Payment, String> {
    let payload = &sent["payload"];
    let permit = &payload["permit2Authorization"];
    let amount = text(&offer["amount"])?;
    let upto = offer["scheme"] == "upto";
    let spender = hex_array::<20>(&permit["spender"])?;
    if spender != hex_array::<20>(&json!(if upto { UPTO_PROXY } else { EXACT_PROXY }))? {
        return Err("invalid_permit2_spender".into());
    }
    let witness = &permit["witness"];
    let payee = hex_array::<20>(&witness["to"])?;
    if payee != hex_array::<20>(&offer["payTo"])? {
        return Err("invalid_permit2_recipient_mismatch".into());
    }
    if upto && hex_array::<20>(&witness["facilitator"])? != hex_array::<20>(&offer["extra"]["facilitatorAddress"])? {
        return Err("upto_facilitator_mismatch".into());
    }
    let token = hex_array::<20>(&permit["permitted"]["token"])?;
    if token != hex_array::<20>(&offer["asset"])? {
        return Err("permit2_token_mismatch".into());
    }
    if text(&permit["permitted"]["amount"])? != amount {
        return Err("permit2_amount_mismatch".into());
    }
    let (deadline, valid_after) =
        (decimal_word(text(&permit["deadline"])?)?, decimal_word(text(&witness["validAfter"])?)?);
    if number(&deadline) <= now_s {
        return Err("permit2_deadline_expired".into());
    }
    if number(&valid_after) > now_s {
        return Err("permit2_not_yet_valid".into());
    }
    let nonce = decimal_word(text(&permit["nonce"])?)?;
    let network = text(&offer["network"])?;
    let chain_id = network.strip_prefix("eip155:").and_then(|id| id.parse().ok()).ok_or("invalid_network")?;
    let witness_hash = match upto {
        true => keccak(&[
            &keccak(&[b"Witness(address to,address facilitator,uint256 validAfter)"]),
            &word(&payee),
            &word(&hex_array(&witness["facilitator"])?),
            &valid_after,
        ]),
        false => keccak(&[&keccak(&[b"Witness(address to,uint256 validAfter)"]), &word(&payee), &valid_after]),
    };
    let witness_type: &[u8] = match upto {
        true => b"Witness(address to,address facilitator,uint256 validAfter)",
        false => b"Witness(address to,uint256 validAfter)",
    };
    let payer = hex_array::<20>(&permit["from"])?;
    let message = Permit { token, amount: decimal_word(amount)?, spender, nonce, deadline };
    let digest = message.digest(chain_id, witness_type, &witness_hash)?;
    if signer(digest, &hex_array(&payload["signature"])?).as_ref() != Ok(&payer) {
        return Err("invalid_permit2_signature".into());
    }
    if unapproved {
        approval::verify(sent, offer, text(&offer["amount"])?, &payer, chain_id, now_s)?;
    }
    Ok(Payment {
        version: 2,
        network: network.into(),
        asset: text(&offer["asset"])?.into(),
        amount: amount.into(),
        payee: hex(&payee),
        payer: hex(&payer),
        nonce: hex(&nonce),
        valid_after: number(&valid_after),
        valid_before: number(&deadline),
        valid_for_s: number(&deadline) - now_s,
        drawn: None,
    })
}

pub(super) struct Permit {
    pub token: [u8; 20],
    pub amount: [u8; 32],
    pub spender: [u8; 20],
    pub nonce: [u8; 32],
    pub deadline: [u8; 32],
}

impl Permit {
    /// As Permit2's `hashWithWitness` and `_hashTypedData` make it.
    fn digest(&self, chain_id: u64, witness_type: &[u8], witness: &[u8; 32]) -> Result<[u8; 32], String> {
        self.digest_with(chain_id, "Witness", &[Self::TOKEN_PERMISSIONS, witness_type], witness)
    }

    pub const TOKEN_PERMISSIONS: &[u8] = b"TokenPermissions(address token,uint256 amount)";

    /// `types` are those that the message holds, in the order of their names.
    pub fn digest_with(
        &self,
        chain_id: u64,
        witness_name: &str,
        types: &[&[u8]],
        witness: &[u8; 32],
    ) -> Result<[u8; 32], String> {
        let stub = format!(
            "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,\
             {witness_name} witness)"
        );
        let kind = keccak(&[&[stub.as_bytes()], types].concat());
        let permitted = keccak(&[&keccak(&[Self::TOKEN_PERMISSIONS]), &word(&self.token), &self.amount]);
        let message = keccak(&[&kind, &permitted, &word(&self.spender), &self.nonce, &self.deadline, witness]);
        let domain = keccak(&[
            &keccak(&[b"EIP712Domain(string name,uint256 chainId,address verifyingContract)"]),
            &keccak(&[b"Permit2"]),
            &word_u64(chain_id),
            &word(&hex_array(&json!(PERMIT2))?),
        ]);
        Ok(keccak(&[b"\x19\x01", &domain, &message]))
    }
}
