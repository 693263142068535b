//! Payments on EVM chains.
//!
//! Owns the choice of scheme and key there. Must not know how a particular scheme lays out what it signs.

pub mod eip712;
mod exact;
#[cfg(test)]
mod tests;

use super::{Authorization, Ingredients, Payable, cannot_sign};
use crate::error::{Error, printable};
use crate::money::TransferMethod;
use crate::protocol::Offer;
use crate::wallet::Wallet;

pub(super) fn payable(offer: &Offer, wallet: &Wallet) -> Result<Payable, String> {
    if offer.scheme != "exact" {
        return Err(format!("scheme is {:?}, but only exact can be signed here", printable(&offer.scheme)));
    }
    exact::terms(offer)?;
    let key = wallet.evm_keys().first();
    let key = key.ok_or_else(|| format!("network is {}, and the wallet holds no EVM key", offer.network))?;
    Ok(Payable { key_index: 0, method: TransferMethod::Eip3009, payer: key.address().to_string() })
}

pub(super) fn authorize(
    offer: &Offer,
    payable: &Payable,
    wallet: &Wallet,
    ingredients: &Ingredients<'_>,
) -> Result<Authorization, Error> {
    if offer.scheme != "exact" || payable.method != TransferMethod::Eip3009 {
        return Err(cannot_sign("scheme is not exact by EIP-3009"));
    }
    let terms = exact::terms(offer).map_err(|reason| cannot_sign(&reason))?;
    let key = wallet
        .evm_keys()
        .get(payable.key_index)
        .filter(|key| key.address() == payable.payer)
        .ok_or_else(|| cannot_sign("the wallet no longer holds the key that was chosen"))?;
    exact::authorize(&terms, key, ingredients.now_s, ingredients.nonce)
}
