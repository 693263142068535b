//! Payments on Solana: a transaction that the payer has signed and that the offer's fee payer has not yet.
//!
//! Owns the choice of scheme and key there, and until when a signature can settle. Must not know how a scheme lays out
//! what it calls. Its one decision: a transaction has no date, but it is void once its blockhash is 150 blocks old,
//! which is a minute or two. A durable nonce would lift that, but it takes a first instruction that is never made here.

mod exact;
pub mod message;
pub mod pda;
pub mod program;
mod terms;
#[cfg(test)]
mod tests;
mod upto;

use super::{Authorization, Ingredients, Need, Payable, Supported, cannot_sign};
use crate::error::{Error, printable};
use crate::money::{SolanaAddress, TransferMethod};
use crate::protocol::{Offer, Version, base64_text};
use crate::wallet::{SolanaKey, Wallet};
use message::{Instruction, Message};
use terms::Terms;
use upto::Channel;
use zeroize::Zeroizing;

/// When a transaction is held to be void, counted from its signature. Its blockhash is not younger than that, and 150
/// blocks of 0.4 s have passed after a minute; at the slowest that the main network has run for long, a second a block
/// and more, after three. Only a network that stands still keeps a blockhash alive for longer.
pub const BLOCKHASH_VALIDITY_S: u64 = 600;

/// The scheme that opens a channel.
pub const CHANNEL_SCHEME: &str = "upto";

/// A scheme and the members of the offer that only it has.
enum Scheme {
    Exact,
    UpTo(Channel),
}

impl Scheme {
    fn read(offer: &Offer) -> Result<Scheme, String> {
        match offer.scheme.as_str() {
            "exact" => exact::check_flow(offer).map(|()| Scheme::Exact),
            CHANNEL_SCHEME => Channel::read(offer).map(Scheme::UpTo),
            other => Err(format!("scheme is {:?}, but only exact and upto can be signed here", printable(other))),
        }
    }
}

/// Rows of the table of what can be paid.
pub(super) fn supported() -> impl Iterator<Item = Supported> {
    const BOTH: &[Version] = &[Version::V1, Version::V2];
    let row = |versions, scheme, method| Supported { versions, scheme, family: "solana", method };
    [row(BOTH, "exact", TransferMethod::Spl.standard()), row(&BOTH[1..], CHANNEL_SCHEME, "payment channel")].into_iter()
}

pub(super) fn payable(offer: &Offer, wallet: &Wallet) -> Result<Payable, String> {
    let terms = Terms::read(offer)?;
    let scheme = Scheme::read(offer)?;
    let key = wallet.solana_keys().first();
    let key = key.ok_or_else(|| format!("network is {}, and the wallet holds no Solana key", offer.network))?;
    let payer = SolanaAddress::from_bytes(key.public_key());
    terms.check_payer(&payer)?;
    match &scheme {
        Scheme::Exact => {
            if let Some(token) = terms.known_token() {
                exact::check_fee_payer(&terms.fee_payer, &exact::used(&terms, token, payer)?)?;
            }
        }
        Scheme::UpTo(channel) => channel.check_payer(&payer)?,
    }
    Ok(Payable { key_index: 0, method: TransferMethod::Spl, payer: key.address().to_string() })
}

/// What a node must be asked: nothing, where the table knows the token and the offer gives a blockhash.
pub(super) fn needs(offer: &Offer) -> Vec<Need> {
    let (Ok(terms), Ok(scheme)) = (Terms::read(offer), Scheme::read(offer)) else { return Vec::new() };
    let mut needs = terms.needs();
    if let Scheme::UpTo(channel) = &scheme {
        needs.extend(channel.needs());
    }
    needs
}

/// Until when a signature of `offer` made at `now_s` may settle, in seconds since 1970. A channel that was opened in
/// time can be settled until its own end.
pub(super) fn valid_before_s(offer: &Offer, now_s: u64) -> u64 {
    let void_s = now_s.saturating_add(BLOCKHASH_VALIDITY_S);
    match Scheme::read(offer) {
        Ok(Scheme::UpTo(channel)) => void_s.max(channel.expires_s(now_s)),
        _ => void_s,
    }
}

pub(super) fn authorize(
    offer: &Offer,
    payable: &Payable,
    wallet: &Wallet,
    ingredients: &Ingredients<'_>,
) -> Result<Authorization, Error> {
    let key = wallet
        .solana_keys()
        .get(payable.key_index)
        .filter(|key| key.address() == payable.payer)
        .ok_or_else(|| cannot_sign("the wallet no longer holds the key that was chosen"))?;
    let refused = |reason: String| cannot_sign(&reason);
    let Ingredients { now_s, nonce, facts, .. } = *ingredients;
    let payer = SolanaAddress::from_bytes(key.public_key());
    let terms = Terms::read(offer).map_err(refused)?;
    let scheme = Scheme::read(offer).map_err(refused)?;
    terms.check_payer(&payer).map_err(refused)?;
    let token = terms.token(facts).map_err(refused)?;
    let blockhash = terms.blockhash(facts).map_err(refused)?;
    let sign = |instructions: &[Instruction]| signed(&terms, &blockhash, instructions, key, &payer);
    let payload = match &scheme {
        Scheme::Exact => {
            let [memo, ..] = split(&nonce);
            let used = exact::used(&terms, token, payer).map_err(refused)?;
            exact::check_fee_payer(&terms.fee_payer, &used).map_err(refused)?;
            exact::payload(&sign(&exact::instructions(&used, terms.amount, terms.memo(&memo)))?)
        }
        Scheme::UpTo(channel) => {
            channel.check_payer(&payer).map_err(refused)?;
            let [memo, salt] = split(&nonce);
            let [salt, ..] = *salt.as_chunks::<8>().0 else { return Err(cannot_sign("the nonce is too short")) };
            let chosen = (u64::from_le_bytes(salt), terms.memo(&memo));
            let opening = channel.open(&terms, token, payer, facts, chosen).map_err(refused)?;
            let transaction = sign(&opening.instructions)?;
            channel.payload(&terms, &opening, payer, now_s, &transaction)
        }
    };
    let valid_before_s = valid_before_s(offer, now_s);
    Ok(Authorization { payload, extensions: None, payer: key.address().to_string(), nonce, valid_before_s })
}

/// The nonce as two independent random numbers: one for the memo, one for the salt of a channel.
fn split(nonce: &[u8; 32]) -> [[u8; 16]; 2] {
    let (mut memo, mut salt) = ([0; 16], [0; 16]);
    let (front, back) = nonce.split_at(16);
    memo.copy_from_slice(front);
    salt.copy_from_slice(back);
    [memo, salt]
}

/// The transaction with the payer's signature alone, in base64.
fn signed(
    terms: &Terms<'_>,
    blockhash: &[u8; 32],
    instructions: &[Instruction],
    key: &SolanaKey,
    payer: &SolanaAddress,
) -> Result<Zeroizing<String>, Error> {
    let message = Message::compile(terms.fee_payer, blockhash, instructions);
    let message = message.ok_or_else(|| cannot_sign("the transaction would be larger than a validator accepts"))?;
    if message.signers() != [terms.fee_payer, *payer] {
        return Err(cannot_sign("the transaction would need another signature than the payer's and the fee payer's"));
    }
    let signature = key.sign_message(message.bytes())?;
    let transaction = message.signed_by(payer, &signature);
    let transaction = transaction.ok_or_else(|| cannot_sign("the payer does not sign this transaction"))?;
    Ok(base64_text::encoded(&transaction))
}
