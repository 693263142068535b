//! The approval that Permit2 needs, signed with the payment and sent at the server's cost (extensions
//! `eip2612GasSponsoring` and `erc20ApprovalGasSponsoring`).
//!
//! Owns when one is made, what must be known for it, and its place in the payment's extensions. An EIP-2612 permit is
//! for exactly the amount. An ERC-20 approval is without limit, so it is made only if the caller's policy consents:
//! without consent its facts are not asked for, and without facts it is not made; a signature that is made again has the
//! same facts, and so the same approval. Where a node says that the token is not approved and nothing can be done about
//! it, nothing is signed at all.

use super::asked::Asked;
use super::eip712::{Message, Value};
use super::messages::PERMIT;
use super::permit2::PERMIT2;
use super::signature::{Signature, write_hex};
use super::token::{allowance_call, approve, nonces_call};
use super::transaction::Call;
use crate::error::{Error, printable};
use crate::money::EvmAddress;
use crate::scheme::{Facts, Ingredients, Need, cannot_sign};
use crate::wallet::EvmKey;
use alloy_primitives::U256;
use serde_json::value::RawValue;
use std::fmt::Write;
use zeroize::Zeroizing;

const EIP2612: &str = "eip2612GasSponsoring";
const ERC20: &str = "erc20ApprovalGasSponsoring";

/// What an `approve` may use; common tokens take 46000 to 60000.
const APPROVE_GAS: u64 = 70_000;
/// Fees where the node gave none, as official clients have them.
const MAX_FEE_WEI: u128 = 1_000_000_000;
const MAX_PRIORITY_FEE_WEI: u128 = 100_000_000;
/// More than any chain has asked for long; a node that says more is mistaken, and the payer's account would pay it.
const FEE_WEI_MAX: u128 = 1_000_000_000_000;
const INFO_BYTES_MAX: usize = 1024;

/// What is approved: by whom, and at least how much of which token.
pub(super) struct Approving<'a> {
    pub asked: Asked<'a>,
    pub owner: EvmAddress,
    pub amount: U256,
    /// When a permit is to end, in seconds since 1970.
    pub deadline_s: u64,
}

/// Which of the extensions can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sponsored {
    Permit,
    Approval,
}

/// What must be asked of a node before a payment through Permit2 is signed. `unlimited_approval`: the caller consents.
pub(super) fn needs(
    asked: &Asked<'_>,
    owner: EvmAddress,
    extensions: Option<&RawValue>,
    unlimited_approval: bool,
) -> Vec<Need> {
    let allowance = allowance(asked, owner);
    match sponsored(asked, extensions) {
        None => Vec::new(),
        Some(Sponsored::Permit) => vec![allowance, nonce(asked, owner)],
        Some(Sponsored::Approval) if unlimited_approval => {
            vec![allowance, Need::EvmTransactionCount(owner), Need::EvmFees]
        }
        Some(Sponsored::Approval) => vec![allowance],
    }
}

/// A permit is better than an approval: it is for the amount, and costs the payer nothing ever.
fn sponsored(asked: &Asked<'_>, extensions: Option<&RawValue>) -> Option<Sponsored> {
    let extensions: serde_json::Value = serde_json::from_str(extensions?.get()).ok()?;
    // A server that fills in what the payer has to say is not helped: its words would stand beside our signature.
    let is_offered = |name: &str| {
        let info = extensions.get(name).and_then(|extension| extension.get("info"));
        let own = ["from", "asset", "spender", "amount", "nonce", "deadline", "signature", "signedTransaction"];
        info.is_some_and(|info| info.is_object() && own.iter().all(|member| info.get(member).is_none()))
    };
    if is_offered(EIP2612) && asked.domain().is_ok() {
        return Some(Sponsored::Permit);
    }
    is_offered(ERC20).then_some(Sponsored::Approval)
}

fn allowance(asked: &Asked<'_>, owner: EvmAddress) -> Need {
    Need::EvmCall { to: asked.token, data: allowance_call(owner) }
}

fn nonce(asked: &Asked<'_>, owner: EvmAddress) -> Need {
    Need::EvmCall { to: asked.token, data: nonces_call(owner) }
}

impl Approving<'_> {
    /// What goes into the payment's extensions, as a JSON object; nothing where no approval is needed or none can be
    /// made and it may be there all the same.
    pub fn authorize(&self, key: &EvmKey, ingredients: &Ingredients<'_>) -> Result<Option<Zeroizing<String>>, Error> {
        let facts = ingredients.facts;
        let Some(sponsored) = sponsored(&self.asked, ingredients.extensions) else { return Ok(None) };
        let allowed = facts.get(&allowance(&self.asked, self.owner)).map(word);
        if matches!(allowed, Some(Some(allowed)) if allowed >= self.amount) {
            return Ok(None);
        }
        let made = match sponsored {
            Sponsored::Permit => self.permit(key, facts)?,
            Sponsored::Approval => self.approval(key, facts)?,
        };
        match (made, allowed.flatten()) {
            (Some(made), _) => Ok(Some(made)),
            (None, None) => Ok(None),
            (None, Some(allowed)) => Err(cannot_sign(&format!(
                "asset {} lets Permit2 move {allowed} of the {} atomic units that are needed; approve it from the payer's \
                 account, or allow approval \"unlimited\" to have the server send the approval",
                self.asked.token, self.amount
            ))),
        }
    }

    /// An EIP-2612 permit for exactly the amount, where the nonce is known.
    fn permit(&self, key: &EvmKey, facts: &Facts) -> Result<Option<Zeroizing<String>>, Error> {
        let nonce = facts.get(&nonce(&self.asked, self.owner)).and_then(word);
        let (Some(nonce), Ok(domain)) = (nonce, self.asked.domain()) else { return Ok(None) };
        let deadline = U256::from(self.deadline_s);
        let values = [
            Value::Address(self.owner),
            Value::Address(PERMIT2),
            Value::Number(self.amount),
            Value::Number(nonce),
            Value::Number(deadline),
        ];
        let permit = Message::new(&PERMIT, &values);
        let signature = Signature::of(key, &domain.domain, &domain.separator(), &permit)?;
        let mut json = self.info(EIP2612, self.amount, signature.text_len());
        // Writing to a String cannot fail.
        let _ = write!(json, r#""nonce":"{nonce}","deadline":"{deadline}","signature":""#);
        signature.write(&mut json);
        json.push_str(r#""}}}"#);
        Ok(Some(json))
    }

    /// A signed `approve` without limit, where the account's nonce is known: which means that it was consented to.
    fn approval(&self, key: &EvmKey, facts: &Facts) -> Result<Option<Zeroizing<String>>, Error> {
        let count = facts.get(&Need::EvmTransactionCount(self.owner)).and_then(|count| count.parse().ok());
        let Some(nonce) = count else { return Ok(None) };
        let (max_fee_wei, max_priority_fee_wei) = fees(facts)?;
        let call = Call {
            chain_id: self.asked.chain_id,
            nonce,
            max_priority_fee_wei,
            max_fee_wei,
            gas: APPROVE_GAS,
            to: self.asked.token,
            data: approve(U256::MAX),
        };
        let Some(signed) = call.sign(key) else { return Ok(None) };
        let signed = Zeroizing::new(signed?);
        let mut json = self.info(ERC20, U256::MAX, 2 * signed.len());
        json.push_str(r#""signedTransaction":""#);
        write_hex(&signed, &mut json);
        json.push_str(r#""}}}"#);
        Ok(Some(json))
    }

    /// The extension up to the members that both have.
    fn info(&self, name: &str, amount: U256, more_bytes: usize) -> Zeroizing<String> {
        let mut json = Zeroizing::new(String::with_capacity(INFO_BYTES_MAX + more_bytes));
        let (owner, token) = (self.owner, self.asked.token);
        // Writing to a String cannot fail.
        let _ = write!(json, r#"{{"{name}":{{"info":{{"from":"{owner}","asset":"{token}","spender":"{PERMIT2}","#);
        let _ = write!(json, r#""amount":"{amount}","version":"1","#);
        json
    }
}

/// The most a transaction may cost a unit of gas, and the part of it that is a tip.
fn fees(facts: &Facts) -> Result<(u128, u128), Error> {
    let Some(text) = facts.get(&Need::EvmFees) else { return Ok((MAX_FEE_WEI, MAX_PRIORITY_FEE_WEI)) };
    let parsed = text.split_once(' ').and_then(|(most, tip)| Some((most.parse().ok()?, tip.parse().ok()?)));
    match parsed {
        Some((most, tip)) if most <= FEE_WEI_MAX && tip <= most => Ok((most, tip)),
        _ => Err(cannot_sign(&format!(
            "evm_rpc gives the fees {:?} wei for a unit of gas, but no more than {FEE_WEI_MAX} is signed for",
            printable(text)
        ))),
    }
}

/// One word of a contract's answer.
fn word(answer: &str) -> Option<U256> {
    let digits = answer.strip_prefix("0x").filter(|digits| digits.len() == 64)?;
    U256::from_str_radix(digits, 16).ok()
}
