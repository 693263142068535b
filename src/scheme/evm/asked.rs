//! What an offer on an EVM chain asks for, whatever its scheme: how much of which token for whom.
//!
//! Owns the checks that all schemes share and the reading of `extra`. Must not know what a scheme signs. A known asset's
//! EIP-712 name and version come from the built-in table, and an offer that states others is refused instead of
//! corrected: its server and its facilitator would refuse the signature anyway, or the asset is not what it claims to be.

use super::eip712::{self, Domain};
use crate::error::printable;
use crate::money::{Amount, EvmAddress, KnownAsset, TransferMethod, known_asset};
use crate::protocol::Offer;
use crate::scheme::valid_before_s;
use serde_json::Value;

/// The part of an offer that every scheme reads, checked.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub offer: &'a Offer,
    pub chain_id: u64,
    pub payee: EvmAddress,
    pub token: EvmAddress,
    pub amount: Amount,
    known: Option<&'static KnownAsset>,
}

impl<'a> Asked<'a> {
    /// The error begins with the name of the field in the way.
    pub fn read(offer: &'a Offer) -> Result<Asked<'a>, String> {
        let chain_id = offer
            .network
            .evm_chain_id()
            .ok_or_else(|| format!("network is {}, which is no EVM chain", offer.network))?;
        check_flow(offer)?;
        let payee = address("payTo", &offer.payee)?;
        let token = address("asset", &offer.asset)?;
        let known = known_asset(&offer.network, &offer.asset);
        let asked = Asked { offer, chain_id, payee, token, amount: offer.amount, known };
        asked.check_domain()?;
        Ok(asked)
    }

    /// A name or version that contradicts the known one is refused, also where it is not signed.
    fn check_domain(&self) -> Result<(), String> {
        let Some(asset) = self.known else { return Ok(()) };
        for (field, right) in [("name", asset.eip712_name), ("version", asset.eip712_version)] {
            let Some(stated) = self.text(field)? else { continue };
            if stated != right && !stated.is_empty() {
                return Err(format!(
                    "extra.{field} is {:?}, but {} of {} signs with {right:?}",
                    printable(stated),
                    asset.symbol,
                    asset.network
                ));
            }
        }
        Ok(())
    }

    /// Refuses a token of which it is known that it has no EIP-3009 transfers.
    pub fn check_eip3009(&self) -> Result<(), String> {
        match self.known {
            Some(asset) if asset.method != TransferMethod::Eip3009 => {
                Err(format!("asset is {} of {}, which has no EIP-3009 transfers", asset.symbol, asset.network))
            }
            _ => Ok(()),
        }
    }

    /// The token's own EIP-712 domain.
    pub fn domain(&self) -> Result<TokenDomain<'a>, String> {
        let name = self.domain_text("name")?;
        let version = Some(self.domain_text("version")?);
        let domain = Domain { name, version, chain_id: self.chain_id, contract: self.token };
        Ok(TokenDomain { domain, known: self.known })
    }

    /// A member of the token's EIP-712 domain: never guessed, because a wrong one voids the signature.
    fn domain_text(&self, field: &str) -> Result<&'a str, String> {
        match self.text(field)? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(format!("extra.{field} is empty, but the token's EIP-712 {field} is needed to sign")),
            None => Err(format!("extra.{field} is missing, but the token's EIP-712 {field} is needed to sign")),
        }
    }

    /// A member of `extra` that is text; `None` where it is absent or null.
    pub fn text(&self, field: &str) -> Result<Option<&'a str>, String> {
        optional_text(self.offer, field)
    }

    /// A member of `extra` that is an address other than zero.
    pub fn address(&self, field: &str) -> Result<EvmAddress, String> {
        let text = self.text(field)?;
        let text = text.ok_or_else(|| format!("extra.{field} is missing, but {} needs it", self.offer.scheme))?;
        address(&format!("extra.{field}"), text)
    }

    /// A member of `extra` that is an address, zero included; `None` where it is absent or null.
    pub fn address_or_zero(&self, field: &str) -> Result<Option<EvmAddress>, String> {
        let read = |text| EvmAddress::parse(text).map_err(|why| format!("extra.{field} {why}"));
        self.text(field)?.map(read).transpose()
    }

    /// When what is signed at `now_s` becomes void, in seconds since 1970.
    pub fn valid_before_s(&self, now_s: u64) -> u64 {
        valid_before_s(self.offer, now_s)
    }
}

/// The EIP-712 domain of a token.
#[derive(Clone, Copy)]
pub(super) struct TokenDomain<'a> {
    pub domain: Domain<'a>,
    known: Option<&'static KnownAsset>,
}

impl TokenDomain<'_> {
    pub fn separator(&self) -> [u8; 32] {
        self.known.and_then(eip712::known_separator).unwrap_or_else(|| self.domain.separator())
    }
}

/// When the server settles does not change what is signed; a flow nobody has defined might.
fn check_flow(offer: &Offer) -> Result<(), String> {
    match optional_text(offer, "paymentFlow")? {
        None | Some("authorization" | "upfront" | "escrow") => Ok(()),
        Some(other) => Err(format!("extra.paymentFlow is {:?}, which is unknown", printable(other))),
    }
}

/// `field` is what an error begins with.
pub(super) fn address(field: &str, text: &str) -> Result<EvmAddress, String> {
    let address = EvmAddress::parse(text).map_err(|why| format!("{field} {why}"))?;
    if address.is_zero() {
        return Err(format!("{field} is the zero address, to which nothing can be paid"));
    }
    Ok(address)
}

pub(super) fn optional_text<'a>(offer: &'a Offer, field: &str) -> Result<Option<&'a str>, String> {
    match member(offer, field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("extra.{field} is not a string")),
    }
}

/// A member of `extra` that is there and not null.
pub(super) fn member<'a>(offer: &'a Offer, field: &str) -> Option<&'a Value> {
    // A handful of members are compared sooner than one name is hashed.
    offer.extra.iter().find(|(name, _)| *name == field).map(|(_, value)| value).filter(|value| !value.is_null())
}
