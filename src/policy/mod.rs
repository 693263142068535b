//! May we pay, and which offer? The caller's rules over offers, and the order among those they allow.
//!
//! Owns the rules, their defaults, and the sentence that each refusal carries: which rule, its value, what
//! was asked, and the setter that changes it. Knows offers and money; never signs, never counts what was
//! spent (the ledger does), never does I/O. A client works on a copy, so a policy cannot be loosened under it.

pub mod pattern;
mod rules;

use crate::error::{Error, Status, printable};
use crate::money::{Amount, Budget, Price, Scope, Usd, known_asset};
use crate::protocol::Offer;
use pattern::Pattern;
use std::sync::Arc;

pub use rules::Asker;

/// What a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// CAIP-2: `eip155:8453`, `eip155:*`.
    Network,
    /// `eip155:8453/erc20:0x…`, or the symbol of a known asset: `USDC`.
    Asset,
    /// The address that is paid.
    Payee,
    /// `api.example.com`, `api.example.com:8443`, `*.example.com`.
    Host,
    /// `exact`.
    Scheme,
    /// A host that may be paid over plain http although it is not loopback.
    PlainHttpHost,
    /// An approval that a payment may bring along: `unlimited`.
    Approval,
    /// A scheme whose receipts are believed where they say that less was taken than was signed.
    Receipt,
    /// The most that one signature may deposit in a payment channel: an amount.
    Deposit,
}

impl Subject {
    const ALL: [(&'static str, Subject); 9] = [
        ("network", Subject::Network),
        ("asset", Subject::Asset),
        ("payee", Subject::Payee),
        ("host", Subject::Host),
        ("scheme", Subject::Scheme),
        ("plain_http_host", Subject::PlainHttpHost),
        ("approval", Subject::Approval),
        ("receipt", Subject::Receipt),
        ("deposit", Subject::Deposit),
    ];

    fn parse(text: &str) -> Result<Self, Error> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, subject)| *subject).ok_or_else(|| {
            let shown = printable(text);
            Error::new(
                Status::Argument,
                format!(
                    "a rule cannot speak of \"{shown}\"; use network, asset, payee, host, scheme, plain_http_host, \
                     approval, receipt or deposit"
                ),
            )
        })
    }

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, subject)| *subject == self).map_or("", |(name, _)| name)
    }
}

/// Asked before a payment with the offer as JSON; 0 pays, anything else refuses.
pub type Approve = Arc<dyn Fn(&str) -> i32 + Send + Sync>;

/// The caller's rules. A new one: 1.00 USD a payment, 10.00 USD in all, known assets, https or loopback.
#[derive(Clone)]
pub struct Policy {
    max_per_payment: Vec<Price>,
    budgets: Vec<Budget>,
    allowed: Vec<(Subject, Pattern)>,
    deposits: Vec<Price>,
    preferred: Vec<(Subject, Pattern)>,
    approve: Option<Approve>,
}

/// The one approval there is to consent to.
const UNLIMITED: &str = "unlimited";

/// Dollars per payment and in all of a policy that sets neither.
const MAX_PER_PAYMENT_DEFAULT: &str = "1.00 USD";
const BUDGET_DEFAULT: &str = "10.00 USD";

/// The scheme that signs a maximum and takes what was used.
const SCHEME_UP_TO: &str = "upto";

/// The scheme that pays from a channel in which money was deposited.
const SCHEME_CHANNEL: &str = "batch-settlement";

impl Policy {
    pub fn new() -> Result<Self, Error> {
        Ok(Policy {
            max_per_payment: vec![Price::parse(MAX_PER_PAYMENT_DEFAULT)?],
            budgets: vec![Budget { scope: Scope::All, window_s: 0, limit: Price::parse(BUDGET_DEFAULT)? }],
            allowed: Vec::new(),
            deposits: Vec::new(),
            preferred: Vec::new(),
            approve: None,
        })
    }

    /// The most one payment may cost; replaces the limit in the same unit (dollars, or that asset).
    pub fn max_per_payment(&mut self, amount: &str) -> Result<(), Error> {
        let price = Price::parse(amount)?;
        self.max_per_payment.retain(|limit| !limit.same_unit(&price));
        self.max_per_payment.push(price);
        Ok(())
    }

    /// Adds a budget, or replaces the one with the same scope, window and unit.
    pub fn budget(&mut self, scope: &str, window_s: u64, amount: &str) -> Result<(), Error> {
        let scope = Scope::parse(scope).ok_or_else(|| {
            let shown = printable(scope);
            let message = format!("a budget cannot have the scope \"{shown}\"; use all, purchase, host or payee");
            Error::new(Status::Argument, message)
        })?;
        let limit = Price::parse(amount)?;
        self.budgets
            .retain(|budget| budget.scope != scope || budget.window_s != window_s || !budget.limit.same_unit(&limit));
        self.budgets.push(Budget { scope, window_s, limit });
        Ok(())
    }

    /// Allows what the pattern matches. The first such rule of a subject forbids everything it does not match. A deposit
    /// is an amount and no pattern; another in the same unit replaces it.
    pub fn allow(&mut self, what: &str, pattern: &str) -> Result<(), Error> {
        let subject = Subject::parse(what)?;
        if subject == Subject::Deposit {
            let most = Price::parse(pattern)?;
            self.deposits.retain(|deposit| !deposit.same_unit(&most));
            self.deposits.push(most);
            return Ok(());
        }
        if subject == Subject::Approval && pattern != UNLIMITED {
            let shown = printable(pattern);
            let message = format!("the approval that can be allowed is \"{UNLIMITED}\", not \"{shown}\"");
            return Err(Error::new(Status::Pattern, message));
        }
        if subject == Subject::Receipt && pattern != SCHEME_UP_TO {
            let shown = printable(pattern);
            let message = format!(
                "receipts of \"{shown}\" cannot say that less was taken; only {SCHEME_UP_TO} has a maximum, so allow \
                 receipt \"{SCHEME_UP_TO}\""
            );
            return Err(Error::new(Status::Pattern, message));
        }
        self.allowed.push((subject, Pattern::parse(what, pattern)?));
        Ok(())
    }

    /// Among allowed offers, those that match come first; earlier calls weigh more than later ones.
    pub fn prefer(&mut self, what: &str, pattern: &str) -> Result<(), Error> {
        let subject = Subject::parse(what)?;
        if !matches!(subject, Subject::Network | Subject::Scheme | Subject::Asset) {
            return Err(Error::new(
                Status::Argument,
                format!("offers of one answer do not differ by {what}; prefer network, scheme or asset"),
            ));
        }
        self.preferred.push((subject, Pattern::parse(what, pattern)?));
        Ok(())
    }

    /// Asks `approve` before each payment, after every other rule has passed.
    pub fn approve(&mut self, approve: Approve) {
        self.approve = Some(approve);
    }

    /// Whether a payment may bring along an approval of Permit2 for all of a token, now and later.
    pub fn allows_unlimited_approval(&self) -> bool {
        self.allowed.iter().any(|(subject, _)| *subject == Subject::Approval)
    }

    /// Whether a receipt for an offer of `scheme` may lower what counts to what it says was taken.
    pub fn believes_receipts(&self, scheme: &str) -> bool {
        scheme == SCHEME_UP_TO && self.allowed.iter().any(|(subject, _)| *subject == Subject::Receipt)
    }

    /// The most that one signature for `offer` may deposit in a payment channel; `None` without the caller's consent.
    pub fn deposit_max(&self, offer: &Offer) -> Option<Amount> {
        let in_units = self.deposits.iter().find_map(|deposit| match deposit {
            Price::Asset { amount, .. } if deposit.is_in(&offer.network, &offer.asset) => Some(*amount),
            _ => None,
        });
        in_units.or_else(|| {
            let asset = known_asset(&offer.network, &offer.asset)?;
            self.deposits.iter().find_map(|deposit| match deposit {
                Price::Usd(most) => most.units_of(asset),
                Price::Asset { .. } => None,
            })
        })
    }

    pub fn budgets(&self) -> &[Budget] {
        &self.budgets
    }

    pub fn approval(&self) -> Option<&Approve> {
        self.approve.as_ref()
    }

    /// The place of an offer among the allowed, smallest first: payment flow, the caller's preferences in the
    /// order they were given, price in dollars where it is known, the server's own order.
    pub fn rank(&self, offer: &Offer) -> Rank {
        let flow = offer.extra.iter().find(|(name, _)| *name == "paymentFlow").and_then(|(_, flow)| flow.as_str());
        let flow = flow.unwrap_or("authorization");
        let preferences = self
            .preferred
            .iter()
            .map(|(subject, pattern)| !rules::texts_of(*subject, offer).iter().any(|text| pattern.matches(text)))
            .collect();
        let usd = known_asset(&offer.network, &offer.asset).and_then(|asset| Usd::of(asset, &offer.amount));
        let (settles_first, unpriced) = (flow != "authorization", usd.is_none());
        Rank { settles_first, preferences, unpriced, usd, deposits: false, index: offer.index }
    }
}

/// Sorts offers; see [`Policy::rank`]. The order of the fields is the order of their weight.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    settles_first: bool,
    preferences: Vec<bool>,
    unpriced: bool,
    usd: Option<Usd>,
    deposits: bool,
    index: usize,
}

impl Rank {
    /// At the same price an offer that locks no money comes first.
    pub fn with_deposit(self, deposits: bool) -> Rank {
        Rank { deposits, ..self }
    }
}

#[cfg(test)]
mod tests;
