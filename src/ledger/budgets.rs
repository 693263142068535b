//! Whether an intent fits the budgets, given what was spent.
//!
//! Owns the arithmetic and the sentence of a refusal. Must not know where what was spent is kept: it asks for each
//! sum that it needs. Dollars are added up from atomic units when they are asked for, so that a ledger holds no
//! price, and every sum is exact.

use super::entry::{Intent, known_unit};
use crate::error::Error;
use crate::money::{Amount, Budget, Price, Scope, Usd, known_asset};

/// Why an amount is not reserved.
#[derive(Debug)]
pub enum Denied {
    /// One sentence without its full stop: a budget.
    Refused(String),
    /// The purchase's earlier signature stands in the way.
    Stands(Box<Stood>),
    /// The ledger itself failed; nothing was written, nothing may be signed.
    Failed(Error),
}

/// A signature that is not presented again, and until it is void keeps another from being made.
#[derive(Clone, Debug)]
pub struct Stood {
    /// One sentence without its full stop.
    pub reason: String,
    pub entry: u64,
    /// What may settle yet, in atomic units and where it can be told in dollars; `None` if it is paid.
    pub at_risk: Option<(Amount, Option<Usd>)>,
    pub is_paid: bool,
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Denied::Failed(error)
    }
}

/// Checks `asked`, which is what would count of `intent`, against every budget that counts it. `spent` gives what counts
/// under (scope, key, window).
pub(super) fn check(
    budgets: &[Budget],
    intent: &Intent,
    asked: Amount,
    mut spent: impl FnMut(Scope, &str, u64, Unit<'_>) -> Result<Amount, Error>,
) -> Result<(), Denied> {
    for budget in budgets {
        let Some((unit, asked, limit)) = quantities(budget, intent, asked) else { continue };
        let spent = spent(budget.scope, &intent.key(budget.scope), budget.window_s, unit)?;
        if spent.checked_add(asked).is_none_or(|sum| sum > limit) {
            let what = if intent.channel.is_some() { "the deposit" } else { "the offer" };
            return Err(Denied::Refused(refusal(budget, what, spent, asked, limit)));
        }
    }
    Ok(())
}

/// In what a budget is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit<'a> {
    Usd,
    Asset(&'a Intent),
}

impl Unit<'_> {
    /// `amount` of `unit` in this unit; nothing where it is another asset. What is more than can be counted counts
    /// as the most there is.
    pub(super) fn of(self, unit: &str, amount: Amount) -> Amount {
        match self {
            Unit::Usd => known_unit(unit).map_or(Amount::ZERO, |asset| in_dollars(asset, amount)),
            Unit::Asset(intent) if intent.unit() == unit => amount,
            Unit::Asset(_) => Amount::ZERO,
        }
    }
}

pub(super) fn in_dollars(asset: &crate::money::KnownAsset, amount: Amount) -> Amount {
    Usd::of(asset, &amount).map_or(Amount::MAX, Usd::to_units)
}

/// The budget's unit, what `asked` is in it, and the limit; `None` where the budget does not count the intent.
fn quantities<'a>(budget: &Budget, intent: &'a Intent, asked: Amount) -> Option<(Unit<'a>, Amount, Amount)> {
    match &budget.limit {
        Price::Usd(limit) => {
            let asset = known_asset(&intent.network, &intent.asset)?;
            Some((Unit::Usd, in_dollars(asset, asked), limit.to_units()))
        }
        Price::Asset { amount, .. } => {
            budget.limit.is_in(&intent.network, &intent.asset).then_some((Unit::Asset(intent), asked, *amount))
        }
    }
}

fn refusal(budget: &Budget, what: &str, spent: Amount, asked: Amount, limit: Amount) -> String {
    let over = if budget.window_s == 0 { "in all".to_string() } else { format!("in {} s", budget.window_s) };
    let dollars = matches!(budget.limit, Price::Usd(_));
    let shown = |amount: Amount| if dollars { Usd::from_units(amount).to_string() } else { amount.to_string() };
    let unit = if dollars { " USD" } else { " atomic units" };
    let (scope, asked, spent, limit) = (budget.scope.name(), shown(asked), shown(spent), shown(limit));
    format!(
        "{what} asks {asked}{unit}, {spent}{unit} of the {scope} budget of {limit}{unit} {over} is reserved or \
         spent; raise it with budget \"{scope}\""
    )
}
