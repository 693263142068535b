//! Payments on EVM chains.
//!
//! Owns the choice of scheme, transfer method and key there; the table of what can be signed decides, and is what
//! the documentation shows. Must not know how a particular scheme lays out what it signs.

mod asked;
mod auth_capture;
mod batch;
mod channel;
pub mod eip712;
mod exact;
mod messages;
mod permit2;
mod signature;
mod sponsoring;
#[cfg(test)]
mod tests;
mod token;
mod transaction;
mod usage;

use super::{Authorization, ChannelTerms, Facts, Ingredients, Need, Payable, Supported, cannot_sign};
use crate::error::{Error, printable};
use crate::money::{ChannelId, Correction, Draw, EvmAddress, OnChain, TransferMethod};
use crate::protocol::{Challenge, Offer, Version};
use crate::wallet::Wallet;
use asked::{Asked, optional_text};
use serde_json::value::RawValue;
pub use token::Approval;
pub use usage::Usage;

/// One way to pay on an EVM chain.
struct Way {
    scheme: Scheme,
    /// The first of a scheme is what an offer means that names no method.
    method: TransferMethod,
    versions: &'static [Version],
}

/// The scheme that draws from a channel.
pub const CHANNEL_SCHEME: &str = "batch-settlement";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Exact,
    Upto,
    AuthCapture,
    BatchSettlement,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Scheme::Exact => "exact",
            Scheme::Upto => "upto",
            Scheme::AuthCapture => "auth-capture",
            Scheme::BatchSettlement => CHANNEL_SCHEME,
        }
    }
}

const fn way(scheme: Scheme, method: TransferMethod, versions: &'static [Version]) -> Way {
    Way { scheme, method, versions }
}

static WAYS: [Way; 7] = [
    way(Scheme::Exact, TransferMethod::Eip3009, &[Version::V1, Version::V2]),
    way(Scheme::Exact, TransferMethod::Permit2, &[Version::V2]),
    way(Scheme::Upto, TransferMethod::Permit2, &[Version::V2]),
    way(Scheme::AuthCapture, TransferMethod::Eip3009, &[Version::V2]),
    way(Scheme::AuthCapture, TransferMethod::Permit2, &[Version::V2]),
    way(Scheme::BatchSettlement, TransferMethod::Eip3009, &[Version::V2]),
    way(Scheme::BatchSettlement, TransferMethod::Permit2, &[Version::V2]),
];

pub(super) fn supported() -> impl Iterator<Item = Supported> {
    let of = |way: &Way| Supported {
        versions: way.versions,
        scheme: way.scheme.name(),
        family: "eip155",
        method: way.method.standard(),
    };
    WAYS.iter().map(of)
}

/// Of a way to pay that no row here has.
const NO_SPL: &str = "asset moves by a token program of Solana, which no EVM chain has";

/// An offer, checked, by what is signed for it.
enum Terms<'a> {
    Transfer(exact::Terms<'a>),
    Permit(permit2::Terms<'a>),
    Escrow(auth_capture::Terms<'a>),
    Channel(batch::Terms<'a>),
}

fn terms(offer: &Offer) -> Result<(&'static Way, Terms<'_>), String> {
    let way = way_of(offer)?;
    let asked = Asked::read(offer)?;
    let terms = match (way.scheme, way.method) {
        (_, TransferMethod::Spl) => return Err(NO_SPL.into()),
        (Scheme::Exact, TransferMethod::Eip3009) => Terms::Transfer(exact::Terms::read(asked)?),
        (Scheme::Exact, TransferMethod::Permit2) => Terms::Permit(permit2::Terms::exact(asked)),
        (Scheme::Upto, _) => Terms::Permit(permit2::Terms::upto(asked)?),
        (Scheme::AuthCapture, method) => Terms::Escrow(auth_capture::Terms::read(asked, method)?),
        (Scheme::BatchSettlement, method) => Terms::Channel(batch::Terms::read(asked, method)?),
    };
    Ok((way, terms))
}

/// A method that is not named is the scheme's usual one; one that nobody has defined is not guessed at.
fn way_of(offer: &Offer) -> Result<&'static Way, String> {
    let of_scheme = || WAYS.iter().filter(|way| way.scheme.name() == offer.scheme);
    if of_scheme().next().is_none() {
        let mut known: Vec<&str> = WAYS.iter().map(|way| way.scheme.name()).collect();
        known.dedup();
        let known = known.join(", ");
        return Err(format!("scheme is {:?}, but only {known} can be signed here", printable(&offer.scheme)));
    }
    let named = optional_text(offer, "assetTransferMethod")?;
    let way = of_scheme().find(|way| named.is_none_or(|name| name == way.method.name()));
    let way = way.ok_or_else(|| {
        let known: Vec<&str> = of_scheme().map(|way| way.method.name()).collect();
        let (named, known) = (printable(named.unwrap_or_default()), known.join(" and "));
        format!("extra.assetTransferMethod is {named:?}, but only {known} can be signed here for {}", offer.scheme)
    })?;
    if !way.versions.contains(&offer.version) {
        let (field, what) = match named {
            Some(name) => ("extra.assetTransferMethod", name),
            None => ("scheme", offer.scheme.as_str()),
        };
        return Err(format!("{field} is {what:?}, which x402 version 1 does not have"));
    }
    Ok(way)
}

pub(super) fn payable(offer: &Offer, wallet: &Wallet) -> Result<Payable, String> {
    let (way, _) = terms(offer)?;
    let key = wallet.evm_keys().first();
    let key = key.ok_or_else(|| format!("network is {}, and the wallet holds no EVM key", offer.network))?;
    Ok(Payable { key_index: 0, method: way.method, payer: key.address().to_string() })
}

/// What an EIP-3009 transfer is made from, its offer says; a permit and a deposit by one may need an approval beside it.
pub(super) fn needs(
    offer: &Offer,
    payable: &Payable,
    extensions: Option<&RawValue>,
    unlimited_approval: bool,
) -> Vec<Need> {
    if payable.method != TransferMethod::Permit2 || extensions.is_none() {
        return Vec::new();
    }
    let is_permit = matches!(terms(offer), Ok((_, Terms::Permit(_) | Terms::Channel(_))));
    let (Ok(asked), Ok(owner)) = (Asked::read(offer), EvmAddress::parse(&payable.payer)) else { return Vec::new() };
    if is_permit { sponsoring::needs(&asked, owner, extensions, unlimited_approval) } else { Vec::new() }
}

/// The transaction that lets Permit2 move the token, where the payment goes that way.
pub(super) fn approval(offer: &Offer, payable: &Payable, draw: Option<&Draw>) -> Option<Approval> {
    if payable.method != TransferMethod::Permit2 || draw.is_some_and(|draw| draw.deposit.is_zero()) {
        return None;
    }
    let amount = draw.map_or(offer.amount, |draw| draw.deposit);
    Asked::read(offer).ok().map(|asked| Approval::of(asked.token, amount))
}

/// The channels of an offer that is paid by one.
pub(super) fn channels(offer: &Offer, payable: &Payable, wallet: &Wallet) -> Option<ChannelTerms> {
    if offer.scheme != CHANNEL_SCHEME {
        return None;
    }
    match terms(offer) {
        Ok((_, Terms::Channel(terms))) => Some(terms.channels(wallet.evm_keys().get(payable.key_index)?)),
        _ => None,
    }
}

pub(super) fn channel_need(channel: ChannelId) -> Need {
    channel::need(channel)
}

pub(super) fn on_chain(channel: ChannelId, facts: &Facts) -> Option<OnChain> {
    channel::on_chain(channel, facts)
}

pub(super) fn correction(offer: &Offer, draw: &Draw, payer: &str, answer: &Challenge) -> Option<Correction> {
    channel::correction(offer, draw, EvmAddress::parse(payer).ok()?, answer)
}

pub(super) fn authorize(
    offer: &Offer,
    payable: &Payable,
    wallet: &Wallet,
    ingredients: &Ingredients<'_>,
) -> Result<Authorization, Error> {
    let (way, terms) = terms(offer).map_err(|reason| cannot_sign(&reason))?;
    if payable.method != way.method {
        return Err(cannot_sign("extra.assetTransferMethod is not the one that was chosen"));
    }
    let key = wallet
        .evm_keys()
        .get(payable.key_index)
        .filter(|key| key.address() == payable.payer)
        .ok_or_else(|| cannot_sign("the wallet no longer holds the key that was chosen"))?;
    match terms {
        Terms::Transfer(terms) => terms.authorize(key, ingredients),
        Terms::Permit(terms) => terms.authorize(key, ingredients),
        Terms::Escrow(terms) => terms.authorize(key, ingredients),
        Terms::Channel(terms) => terms.authorize(key, ingredients),
    }
}
