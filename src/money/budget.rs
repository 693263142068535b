//! A budget: at most so much, over what, within which time.
//!
//! Owns the caller's words for it. Must not know what was spent; that is the ledger's.

use super::{Network, Price};

/// Over what a budget adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    All,
    /// All signatures for one purchase together.
    Purchase,
    /// Host and port that ask.
    Host,
    /// The address that is paid, on its network.
    Payee,
}

impl Scope {
    pub fn parse(text: &str) -> Option<Scope> {
        [Scope::All, Scope::Purchase, Scope::Host, Scope::Payee].into_iter().find(|scope| scope.name() == text)
    }

    pub fn name(self) -> &'static str {
        match self {
            Scope::All => "all",
            Scope::Purchase => "purchase",
            Scope::Host => "host",
            Scope::Payee => "payee",
        }
    }
}

/// At most `limit` per value of `scope`, within any `window_s` seconds (0: for ever).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    pub scope: Scope,
    pub window_s: u64,
    pub limit: Price,
}

impl Price {
    /// Whether this is in atomic units of that very asset.
    pub fn is_in(&self, network: &Network, asset: &str) -> bool {
        match self {
            Price::Usd(_) => false,
            Price::Asset { network: own_network, asset: own_asset, .. } => {
                own_network == network && network.is_same_address(own_asset, asset)
            }
        }
    }

    /// Whether both count the same thing: dollars, or the same asset.
    pub fn same_unit(&self, other: &Price) -> bool {
        match (self, other) {
            (Price::Usd(_), Price::Usd(_)) => true,
            (Price::Asset { .. }, Price::Asset { network, asset, .. }) => self.is_in(network, asset),
            _ => false,
        }
    }
}
