//! What was promised: the amounts reserved and spent under each budget, in this process's memory.
//!
//! Owns the arithmetic that keeps `reserved + spent <= budget` at every instant, under one lock. Knows
//! budgets and amounts; knows nothing of offers, signatures or HTTP. Its one decision: a reservation counts
//! from the moment it is made, and only a payment that provably never left the machine gives it back
//! (*sent = spent*); a server's word never does.

use crate::money::{Amount, Budget, Network, Price, Scope, Usd, known_asset};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a reservation is for, as far as budgets look at it.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Host and port that asks.
    pub host: String,
    pub payee: String,
    pub network: Network,
    pub asset: String,
    pub amount: Amount,
    pub now_s: u64,
}

impl Intent {
    fn key(&self, scope: Scope) -> String {
        match scope {
            Scope::All => String::new(),
            Scope::Host => self.host.to_ascii_lowercase(),
            Scope::Payee => format!("{}:{}", self.network, self.payee.to_ascii_lowercase()),
        }
    }
}

/// The accounts of one client's budgets. Share it by `Arc`.
#[derive(Debug)]
pub struct Ledger {
    accounts: Mutex<Vec<Account>>,
}

/// One budget and what counts under it, per value of its scope.
#[derive(Debug)]
struct Account {
    budget: Budget,
    spent: HashMap<String, Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    total: Quantity,
    /// For a windowed budget, what leaves the window when: (second of the reservation, quantity).
    events: VecDeque<(u64, Quantity)>,
}

/// A sum in the budget's own unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Quantity(Amount);

impl Ledger {
    pub fn in_memory(budgets: &[Budget]) -> Arc<Self> {
        let accounts = budgets.iter().map(|budget| Account { budget: budget.clone(), spent: HashMap::new() });
        Arc::new(Ledger { accounts: Mutex::new(accounts.collect()) })
    }

    /// Counts `intent` under every budget that it falls under, or under none and says which refused.
    pub fn reserve(self: &Arc<Self>, intent: Intent) -> Result<Reservation, String> {
        let mut accounts = self.lock();
        for account in accounts.iter_mut() {
            account.check(&intent)?;
        }
        for account in accounts.iter_mut() {
            account.add(&intent);
        }
        drop(accounts);
        Ok(Reservation { ledger: Arc::clone(self), intent, outcome: Outcome::Held })
    }

    /// Whether [`Ledger::reserve`] would succeed now; holds nothing.
    pub fn check(&self, intent: &Intent) -> Result<(), String> {
        self.lock().iter_mut().try_for_each(|account| account.check(intent))
    }

    fn give_back(&self, intent: &Intent) {
        for account in self.lock().iter_mut() {
            account.remove(intent);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Account>> {
        // The sums are changed only after every check has passed, by arithmetic that does not panic: a poisoned
        // lock still guards consistent sums, and refusing to look at them would hide what was spent.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// The intent in this budget's unit; `None` where the budget does not count it.
    fn quantity(&self, intent: &Intent) -> Option<Quantity> {
        match &self.budget.limit {
            Price::Usd(_) => {
                let asset = known_asset(&intent.network, &intent.asset)?;
                // More dollars than can be counted count as the most there can be.
                Some(Usd::of(asset, &intent.amount).map_or(Quantity(Amount::MAX), |usd| Quantity(usd.to_units())))
            }
            limit => limit.is_in(&intent.network, &intent.asset).then_some(Quantity(intent.amount)),
        }
    }

    fn limit(&self) -> Quantity {
        match &self.budget.limit {
            Price::Usd(usd) => Quantity(usd.to_units()),
            Price::Asset { amount, .. } => Quantity(*amount),
        }
    }

    fn check(&mut self, intent: &Intent) -> Result<(), String> {
        let Some(quantity) = self.quantity(intent) else { return Ok(()) };
        let (limit, window_s) = (self.limit(), self.budget.window_s);
        let mut spent = Quantity::default();
        if let Some(account) = self.spent.get_mut(&intent.key(self.budget.scope)) {
            account.forget_before(intent.now_s, window_s);
            spent = account.total;
        }
        match spent.0.checked_add(quantity.0) {
            Some(sum) if sum <= limit.0 => Ok(()),
            _ => Err(self.refusal(spent, quantity)),
        }
    }

    fn refusal(&self, spent: Quantity, asked: Quantity) -> String {
        let Budget { scope, window_s, limit } = &self.budget;
        let over = if *window_s == 0 { "in all".to_string() } else { format!("in {window_s} s") };
        let (unit, spent, asked, limit) = match limit {
            Price::Usd(usd) => {
                (" USD", Usd::from_units(spent.0).to_string(), Usd::from_units(asked.0).to_string(), usd.to_string())
            }
            Price::Asset { amount, .. } => {
                (" atomic units", spent.0.to_string(), asked.0.to_string(), amount.to_string())
            }
        };
        let scope = scope.name();
        format!(
            "the offer asks {asked}{unit}, {spent}{unit} of the {scope} budget of {limit}{unit} {over} is reserved or \
             spent; raise it with budget \"{scope}\""
        )
    }

    fn add(&mut self, intent: &Intent) {
        let Some(quantity) = self.quantity(intent) else { return };
        let windowed = self.budget.window_s != 0;
        let spent = self.spent.entry(intent.key(self.budget.scope)).or_default();
        // The check before this ran under the same lock, so the sum is at most the limit and cannot overflow.
        spent.total = Quantity(spent.total.0.checked_add(quantity.0).unwrap_or(Amount::MAX));
        if windowed {
            spent.events.push_back((intent.now_s, quantity));
        }
    }

    fn remove(&mut self, intent: &Intent) {
        let Some(quantity) = self.quantity(intent) else { return };
        let windowed = self.budget.window_s != 0;
        let Some(spent) = self.spent.get_mut(&intent.key(self.budget.scope)) else { return };
        if windowed {
            let Some(at) = spent.events.iter().position(|event| *event == (intent.now_s, quantity)) else { return };
            spent.events.remove(at);
        }
        spent.total = Quantity(spent.total.0.checked_sub(quantity.0).unwrap_or(Amount::ZERO));
    }
}

impl Spent {
    /// Drops what is older than the window. A clock that went back drops nothing: the safe side.
    fn forget_before(&mut self, now_s: u64, window_s: u64) {
        if window_s == 0 {
            return;
        }
        while let Some((at_s, quantity)) = self.events.front().copied() {
            if at_s.saturating_add(window_s) > now_s {
                break;
            }
            self.total = Quantity(self.total.0.checked_sub(quantity.0).unwrap_or(Amount::ZERO));
            self.events.pop_front();
        }
    }
}

/// An amount that counts. Dropping it gives the amount back only while nothing was signed.
#[derive(Debug)]
pub struct Reservation {
    ledger: Arc<Ledger>,
    intent: Intent,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing signed yet.
    Held,
    /// Signed: counts until [`Reservation::never_left`] says that it stayed on this machine.
    Signed,
}

impl Reservation {
    /// From here on the amount counts whatever happens, a panic included.
    pub fn commit(&mut self) {
        self.outcome = Outcome::Signed;
    }

    /// The signature was destroyed before a byte of it left: the amount is free again.
    pub fn never_left(mut self) {
        self.outcome = Outcome::Held;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.outcome == Outcome::Held {
            self.ledger.give_back(&self.intent);
        }
    }
}

#[cfg(test)]
mod tests;
