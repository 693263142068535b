//! One entry of the books: what was asked, what is signed, what became of it.
//!
//! Owns the words for it that both stores share. An entry holds what its signature is made from and not the
//! signature: the signers here are deterministic (RFC 6979), so signing the same message with the same key gives
//! the very same bytes, and a ledger that is copied or read by a stranger holds nothing that can be presented
//! without the key.

use super::channel::ChannelOrder;
use super::purchase::Purchase;
use crate::error::printable;
use crate::money::{Amount, Draw, KnownAsset, Network, Scope, known_asset};
use serde_json::{Value, json};
use std::fmt;

/// What a reservation is for, as far as budgets look at it.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Host and port that ask.
    pub host: String,
    pub payee: String,
    pub network: Network,
    pub asset: String,
    /// The price.
    pub amount: Amount,
    /// What is signed lets the payee take money for as long as there is a channel, however old it is.
    pub lasting: bool,
    /// It is paid by a payment channel; what counts is what is deposited in it.
    pub channel: Option<ChannelOrder>,
    /// Without one, nothing is presented again and every signature is a new purchase.
    pub purchase: Option<Purchase>,
    /// Seconds since 1970.
    pub now_s: u64,
}

impl Intent {
    pub(super) fn key(&self, scope: Scope) -> String {
        match scope {
            Scope::All => String::new(),
            Scope::Purchase => self.purchase.as_ref().map_or_else(String::new, |purchase| purchase.id.clone()),
            Scope::Host => self.host.to_ascii_lowercase(),
            Scope::Payee => format!("{}:{}", self.network, self.network.filed_address(&self.payee)),
        }
    }

    /// The asset as a unit of account (CAIP-19).
    pub(super) fn unit(&self) -> String {
        let kind = if self.network.evm_chain_id().is_some() { "erc20" } else { "token" };
        format!("{}/{kind}:{}", self.network, self.network.filed_address(&self.asset))
    }
}

/// The known asset behind a unit, if it is one.
pub(super) fn known_unit(unit: &str) -> Option<&'static KnownAsset> {
    let (network, asset) = unit.split_once('/')?;
    let (_, address) = asset.split_once(':')?;
    known_asset(&Network::parse(network).ok()?, address)
}

/// Everything that the signature is made from besides the key. `Debug` shows nothing that helps to make it.
#[derive(Clone)]
pub struct Recipe {
    /// The address whose key signs.
    pub payer: String,
    pub nonce: [u8; 32],
    /// The time given to the signer, seconds since 1970.
    pub signed_s: u64,
    pub valid_before_s: u64,
    /// A challenge with the chosen offer alone: offer, resource and extensions verbatim.
    pub terms: String,
    /// What a node said of the chain, as JSON; empty where nothing was asked.
    pub facts: String,
    /// What is drawn from a payment channel. The ledger decides it when it reserves.
    pub draw: Option<Draw>,
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe")
            .field("payer", &self.payer)
            .field("valid_before_s", &self.valid_before_s)
            .finish_non_exhaustive()
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In flight, or its process died: counts as sent.
    Open,
    /// Sent, and no receipt says paid.
    Unknown,
    Paid,
    /// It never left the machine: its amount is free again.
    Released,
    /// An operator gave it up: its amount is free again.
    Abandoned,
}

impl State {
    const ALL: [(State, &'static str); 5] = [
        (State::Open, "open"),
        (State::Unknown, "unknown"),
        (State::Paid, "paid"),
        (State::Released, "released"),
        (State::Abandoned, "abandoned"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    pub(super) fn parse(text: &str) -> Option<State> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(state, _)| *state)
    }

    pub fn counts(self) -> bool {
        !matches!(self, State::Released | State::Abandoned)
    }
}

/// Whether the server turned the payment down, and what that proves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TurnedDown {
    #[default]
    No,
    /// By a 402 that proves nothing: it may settle yet.
    Unproven,
    /// By a code that is given only before settlement.
    Proven,
}

impl TurnedDown {
    pub(super) fn number(self) -> i64 {
        self as i64
    }

    pub(super) fn from_number(number: i64) -> Self {
        match number {
            0 => TurnedDown::No,
            2 => TurnedDown::Proven,
            _ => TurnedDown::Unproven,
        }
    }
}

/// An entry as both stores hold it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub id: u64,
    pub state: State,
    pub at_s: u64,
    pub host: String,
    /// As [`Intent::key`] gives it.
    pub payee: String,
    pub unit: String,
    pub amount: Amount,
    /// What of it counts.
    pub counted: Amount,
    pub purchase: Option<String>,
    pub named: bool,
    pub refusal: TurnedDown,
    pub transaction: String,
    pub payer: String,
    pub valid_before_s: u64,
    /// Paid without a name, and its answer broke off: it may be presented again. In a file also while a live process
    /// has the answer in hand, which ends with that process or before.
    pub broke_off: bool,
    /// More than one call presented it.
    pub shared: bool,
    /// As of the intent.
    pub lasting: bool,
    /// What it draws from a payment channel.
    pub draw: Option<Draw>,
}

impl Entry {
    /// What counts once a receipt says that `charged` was taken. Never more than before.
    pub fn counted_after(&self, charged: Option<Amount>) -> Amount {
        charged.map_or(self.counted, |charged| charged.min(self.counted))
    }

    /// Whether somebody may have to look at it: no receipt says paid, or the answer broke off.
    pub fn is_unsettled(&self) -> bool {
        matches!(self.state, State::Open | State::Unknown) || self.broke_off
    }

    /// For people and programs: never a nonce, never the terms.
    pub fn to_json(&self, in_flight: bool) -> Value {
        let usd = known_unit(&self.unit).and_then(|asset| crate::money::Usd::of(asset, &self.amount));
        let mut out = json!({
            "id": self.id,
            "state": self.state.name(),
            "in_flight": in_flight,
            "at_s": self.at_s,
            "host": self.host,
            "payee": printable(&self.payee),
            "unit": printable(&self.unit),
            "amount": self.amount.to_string(),
            "counted": self.counted.to_string(),
            "usd": usd.map(|usd| usd.to_string()),
            "payer": self.payer,
            "valid_before_s": self.valid_before_s,
            "named": self.named,
            "turned_down": self.refusal != TurnedDown::No,
            "transaction": printable(&self.transaction),
            "broke_off": self.broke_off && !in_flight,
        });
        if let Some(draw) = &self.draw {
            out["channel"] = json!(draw.channel.to_string());
            out["deposit"] = json!(draw.deposit.to_string());
        }
        out
    }
}
