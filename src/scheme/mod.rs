//! How an offer becomes a signed payload.
//!
//! Owns which schemes can be paid and what each signs. Pure: an offer, a time, a nonce and a key in; a
//! payload out. Must not know policies or budgets. Every refusal begins with the field it is about, and
//! what is signed is read from the offer again at signing, so it is never other than what was checked.

pub mod attested;
pub mod evm;
mod facts;
mod sign_in;
pub mod solana;

use crate::error::{Error, Status};
use crate::money::{Amount, ChannelId, Correction, Draw, OnChain, TransferMethod};
use crate::protocol::{Challenge, Offer, Version};
use crate::wallet::Wallet;
use serde_json::value::RawValue;
use std::fmt;
use zeroize::Zeroizing;

pub use evm::Usage;
pub use facts::{Facts, Need};
pub use sign_in::sign_in;

/// The longest that a signature stays valid. Servers ask for days at times; a signature that can still be
/// presented next week is a cheque left lying about.
pub const VALIDITY_S_MAX: u64 = 3600;

/// One way to pay that is known here: a row of the table in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supported {
    pub versions: &'static [Version],
    pub scheme: &'static str,
    /// The CAIP-2 namespace of its chains.
    pub family: &'static str,
    /// How the asset moves.
    pub method: &'static str,
}

/// Every way to pay that is known here.
pub fn supported() -> Vec<Supported> {
    evm::supported().chain(solana::supported()).collect()
}

/// An offer that can be signed with the wallet at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payable {
    /// Which of the wallet's keys of the offer's family.
    pub key_index: usize,
    pub method: TransferMethod,
    /// The address that pays.
    pub payer: String,
}

/// Everything besides offer and key that a signature is made from. The same values give the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Ingredients<'a> {
    /// Seconds since 1970.
    pub now_s: u64,
    /// Never used with this key for anything else.
    pub nonce: [u8; 32],
    /// The answers to [`needs`].
    pub facts: &'a Facts,
    /// What the challenge declares beside its offers (x402 v2 `extensions`).
    pub extensions: Option<&'a RawValue>,
    /// What is drawn from a payment channel, where the offer is paid by one.
    pub draw: Option<&'a Draw>,
}

impl Ingredients<'static> {
    /// Where the offer itself says all that is signed.
    pub fn plain(now_s: u64, nonce: [u8; 32]) -> Self {
        static NONE: Facts = Facts::none();
        Ingredients { now_s, nonce, facts: &NONE, extensions: None, draw: None }
    }
}

/// What an offer that is paid by a payment channel says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelTerms {
    /// The channels that may serve, each with the salt that is its place.
    pub candidates: Vec<ChannelId>,
    /// What the server asks to be deposited, where something must be.
    pub deposit_wanted: Amount,
}

/// A signed payment that has not been sent. `Debug` does not show the signature.
pub struct Authorization {
    /// What the credential carries (x402 `payload`), as JSON.
    pub payload: Zeroizing<String>,
    /// What it adds to the extensions that the server declared (x402 v2 `extensions`), as a JSON object.
    pub extensions: Option<Zeroizing<String>>,
    pub payer: String,
    pub nonce: [u8; 32],
    /// Seconds since 1970 from which on the signature is void.
    pub valid_before_s: u64,
}

/// Whether `offer` can be signed with `wallet`; the error is a sentence without its full stop that begins
/// with the name of the field in the way.
pub fn payable(offer: &Offer, wallet: &Wallet) -> Result<Payable, String> {
    match offer.network.namespace() {
        "eip155" => evm::payable(offer, wallet),
        "solana" => solana::payable(offer, wallet),
        family => Err(format!("network is {}, and nothing here can sign for the family {family}", offer.network)),
    }
}

/// The transaction without which nothing moves, if the payer has not sent it before; for most offers there is none.
pub fn approval(offer: &Offer, payable: &Payable, draw: Option<&Draw>) -> Option<evm::Approval> {
    match offer.network.namespace() {
        "eip155" => evm::approval(offer, payable, draw),
        _ => None,
    }
}

/// What must be asked of a node before `offer` is signed; for most offers nothing. `unlimited_approval`: the caller
/// consents to an approval without limit, where the server offers to send one.
pub fn needs(offer: &Offer, payable: &Payable, extensions: Option<&RawValue>, unlimited_approval: bool) -> Vec<Need> {
    match offer.network.namespace() {
        "eip155" => evm::needs(offer, payable, extensions, unlimited_approval),
        "solana" => solana::needs(offer),
        _ => Vec::new(),
    }
}

/// How to learn whether what was signed for `offer` was used; `None` where no node can tell.
pub fn usage(offer: &Offer, payer: &str, nonce: &[u8; 32]) -> Option<Usage> {
    match offer.network.namespace() {
        "eip155" => Usage::of(offer, payer, nonce),
        _ => None,
    }
}

/// The payment channels that may serve `offer`; `None` where it is not paid by one.
pub fn channels(offer: &Offer, payable: &Payable, wallet: &Wallet) -> Option<ChannelTerms> {
    match offer.network.namespace() {
        "eip155" => evm::channels(offer, payable, wallet),
        _ => None,
    }
}

/// What a node can say of a channel, where nothing certain is known of it.
pub fn channel_need(channel: ChannelId) -> Need {
    evm::channel_need(channel)
}

/// The answer to [`channel_need`].
pub fn on_chain(channel: ChannelId, facts: &Facts) -> Option<OnChain> {
    evm::on_chain(channel, facts)
}

/// What the answer to a payment that was turned down says of the channel that `draw` was drawn from by `payer`.
pub fn correction(offer: &Offer, draw: &Draw, payer: &str, answer: &Challenge) -> Option<Correction> {
    evm::correction(offer, draw, payer, answer)
}

/// Signs what `offer` asks for, valid from before `now_s` for as long as the offer allows and at most
/// [`VALIDITY_S_MAX`]. Errors are `Status::Sign`.
pub fn authorize(
    offer: &Offer,
    payable: &Payable,
    wallet: &Wallet,
    ingredients: &Ingredients<'_>,
) -> Result<Authorization, Error> {
    match offer.network.namespace() {
        "eip155" => evm::authorize(offer, payable, wallet, ingredients),
        "solana" => solana::authorize(offer, payable, wallet, ingredients),
        _ => Err(cannot_sign(&format!("network is {}, which has no signer", offer.network))),
    }
}

/// Until when a signature of `offer` made at `now_s` is valid, in seconds since 1970: what [`authorize`] will sign.
pub fn valid_before_s(offer: &Offer, now_s: u64) -> u64 {
    match offer.network.namespace() {
        "solana" => solana::valid_before_s(offer, now_s),
        _ => now_s.saturating_add(offer.max_timeout_s.min(VALIDITY_S_MAX)),
    }
}

/// Whether what is signed for `offer` opens or draws from a channel from which the payee takes money later: what
/// [`valid_before_s`] gives ends the deposit, or the opening, and not what was signed for it.
pub fn is_lasting(offer: &Offer) -> bool {
    match offer.network.namespace() {
        "eip155" => offer.scheme == evm::CHANNEL_SCHEME,
        "solana" => offer.scheme == solana::CHANNEL_SCHEME,
        _ => false,
    }
}

fn cannot_sign(reason: &str) -> Error {
    Error::new(Status::Sign, format!("The offer cannot be signed: {reason}."))
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization")
            .field("payload", &"redacted")
            .field("payer", &self.payer)
            .field("valid_before_s", &self.valid_before_s)
            .finish_non_exhaustive()
    }
}
