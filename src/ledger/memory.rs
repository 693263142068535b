//! The ledger of one process, in memory: gone when it ends.
//!
//! Owns the sums and what can still be presented, under one lock. Clients with different budgets can share it:
//! it counts by scope and unit, and the budgets come with each question. It keeps an entry only while it may be of
//! use: one that never left, or that is paid, was not named and was handed over, is forgotten at once.

use super::budgets::{self, Denied, Unit, in_dollars};
use super::channel::{self, Channel, ChannelOrder, Outlook};
use super::entry::{Entry, Intent, Recipe, State, TurnedDown, known_unit};
use super::purchase::{self, Past, Purchase, RetryRule, Verdict, judge};
use super::series::Series;
use super::{Booked, Order, Outcome, Standing, no_such_entry, not_abandonable, stands};
use crate::error::Error;
use crate::money::{Amount, Budget, ChannelId, Draw, KnownAsset, Scope};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The scopes that have accounts; what a purchase comes to is read from its entries.
const SCOPES: [Scope; 3] = [Scope::All, Scope::Host, Scope::Payee];

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    accounts: HashMap<(Scope, String), Account>,
    entries: BTreeMap<u64, (Entry, Recipe)>,
    purchases: HashMap<String, Vec<u64>>,
    channels: BTreeMap<ChannelId, Channel>,
    last_id: u64,
    latest_s: u64,
}

/// What was spent under one value of a scope.
#[derive(Debug, Default)]
struct Account {
    windows_s: Vec<u64>,
    units: Vec<(String, Option<&'static KnownAsset>, Series)>,
}

impl Account {
    fn watch(&mut self, window_s: u64, now_s: u64) {
        if window_s != 0 && !self.windows_s.contains(&window_s) {
            self.windows_s.push(window_s);
            self.units.iter_mut().for_each(|(_, _, series)| series.watch(window_s, now_s));
        }
    }

    fn spent(&mut self, window_s: u64, unit: Unit<'_>, now_s: u64) -> Amount {
        let mut sum = Amount::ZERO;
        let wanted = if let Unit::Asset(intent) = unit { Some(intent.unit()) } else { None };
        for (name, known, series) in &mut self.units {
            let spent = match (&wanted, known) {
                (Some(wanted), _) if wanted == name => series.spent(window_s, now_s),
                (None, Some(asset)) => in_dollars(asset, series.spent(window_s, now_s)),
                _ => continue,
            };
            sum = sum.checked_add(spent).unwrap_or(Amount::MAX);
        }
        sum
    }

    fn series(&mut self, unit: &str) -> Option<&mut Series> {
        self.units.iter_mut().find(|(name, _, _)| name == unit).map(|(_, _, series)| series)
    }

    fn add(&mut self, unit: &str, at_s: u64, amount: Amount) {
        if let Some(series) = self.series(unit) {
            series.add(at_s, amount);
            return;
        }
        let mut series = Series::with_windows(&self.windows_s);
        series.add(at_s, amount);
        self.units.push((unit.to_string(), known_unit(unit), series));
    }
}

impl Books {
    /// Whether `asked` fits the budgets, and the time at which it would count.
    fn check(&mut self, budgets: &[Budget], intent: &Intent, asked: Amount) -> Result<u64, Denied> {
        let now_s = intent.now_s.max(self.latest_s);
        budgets::check(budgets, intent, asked, |scope, key, window_s, unit| {
            if scope == Scope::Purchase {
                let Some(purchase) = &intent.purchase else { return Ok(Amount::ZERO) };
                let ids = self.purchases.get(key).into_iter().flatten();
                let entries = ids.filter_map(|id| self.entries.get(id)).filter(|(entry, _)| entry.state.counts());
                let history = entries.map(|(entry, _)| (entry, entry.state == State::Open));
                return Ok(purchase::spent(history, purchase, window_s, unit, now_s));
            }
            // Asking makes no account: a server could name another payee each time.
            let Some(account) = self.accounts.get_mut(&(scope, key.to_string())) else { return Ok(Amount::ZERO) };
            account.watch(window_s, now_s);
            Ok(account.spent(window_s, unit, now_s))
        })?;
        Ok(now_s)
    }

    /// What the intent would draw from a channel, and what is known of that from then on. Nothing is written.
    fn draw(&mut self, budgets: &[Budget], intent: &Intent) -> Result<Option<(Draw, channel::State)>, Denied> {
        let Some(order) = &intent.channel else { return Ok(None) };
        let known: HashMap<ChannelId, channel::State> = self.known(order).collect();
        let held: Vec<u64> = known.values().map(|state| state.holder).filter(|id| self.in_hand(*id)).collect();
        let find = |id| Ok(known.get(&id).copied());
        let fits = |deposit| self.check(budgets, intent, deposit).map(|_| ());
        channel::draw(order, intent.amount, find, |id| Ok(held.contains(&id)), fits).map(Some)
    }

    fn known(&self, order: &ChannelOrder) -> impl Iterator<Item = (ChannelId, channel::State)> {
        order.candidates.iter().filter_map(|id| self.channels.get(id).map(|channel| (*id, channel.state)))
    }

    fn in_hand(&self, id: u64) -> bool {
        self.entries.get(&id).is_some_and(|(entry, _)| entry.state == State::Open)
    }

    fn count(&mut self, entry: &Entry, budgets: &[Budget]) {
        for scope in SCOPES {
            let account = self.accounts.entry((scope, entry.key(scope))).or_default();
            for budget in budgets.iter().filter(|budget| budget.scope == scope) {
                account.watch(budget.window_s, entry.at_s);
            }
            account.add(&entry.unit, entry.at_s, entry.counted);
        }
    }

    fn discount(&mut self, entry: &Entry) {
        for scope in SCOPES {
            let account = self.accounts.get_mut(&(scope, entry.key(scope)));
            if let Some(series) = account.and_then(|account| account.series(&entry.unit)) {
                series.remove(entry.at_s, entry.counted);
            }
        }
    }

    fn judge(&mut self, purchase: &Purchase, rule: RetryRule, now_s: u64) -> Result<Option<Standing>, Denied> {
        let Some(ids) = self.purchases.get(&purchase.id) else { return Ok(None) };
        let entries = ids.iter().filter_map(|id| self.entries.get(id)).filter(|(entry, _)| entry.state.counts());
        let history: Vec<Past> = entries.map(|(entry, _)| entry.past(entry.state == State::Open)).collect();
        match judge(&history, purchase.named, rule, now_s) {
            Verdict::Sign => Ok(None),
            Verdict::Refuse(id, why) => {
                Err(self.entries.get(&id).map_or_else(|| no_such_entry(id).into(), |(entry, _)| stands(entry, why)))
            }
            Verdict::Present(id) => Ok(self.entries.get_mut(&id).map(|(entry, recipe)| {
                let claimed = entry.state == State::Unknown;
                if claimed {
                    entry.state = State::Open;
                }
                entry.shared = true;
                let paid = (entry.state == State::Paid).then(|| entry.transaction.clone());
                Standing { id, claimed, paid, recipe: recipe.clone() }
            })),
        }
    }

    fn forget(&mut self, id: u64) -> Option<Entry> {
        let (entry, _) = self.entries.remove(&id)?;
        if let Some(purchase) = &entry.purchase
            && let Some(ids) = self.purchases.get_mut(purchase)
        {
            ids.retain(|kept| *kept != id);
            if ids.is_empty() {
                self.purchases.remove(purchase);
            }
        }
        Some(entry)
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Books> {
        // The books are changed only after every check has passed, by arithmetic that does not panic: a poisoned
        // lock still guards consistent sums, and refusing to look at them would hide what was spent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn check(&self, budgets: &[Budget], intent: &Intent) -> Result<(), Denied> {
        let mut books = self.lock();
        if intent.channel.is_some() {
            return books.draw(budgets, intent).map(|_| ());
        }
        books.check(budgets, intent, intent.amount).map(|_| ())
    }

    pub fn outlook(&self, order: &ChannelOrder, price: Amount) -> Result<Outlook, Denied> {
        let books = self.lock();
        let find = |id| Ok(books.channels.get(&id).map(|channel| channel.state));
        channel::outlook(order, price, find, |id| Ok(books.in_hand(id)))
    }

    pub fn standing(&self, purchase: &Purchase, rule: RetryRule, now_s: u64) -> Result<Option<Standing>, Denied> {
        self.lock().judge(purchase, rule, now_s)
    }

    pub fn lapsed(&self, purchase: &Purchase, now_s: u64) -> Vec<(u64, Recipe)> {
        let books = self.lock();
        let ids = books.purchases.get(&purchase.id).into_iter().flatten();
        let entries = ids.filter_map(|id| books.entries.get(id)).filter(|(entry, _)| entry.state.counts());
        let lapsed = entries.filter(|(entry, _)| entry.past(entry.state == State::Open).has_lapsed(now_s));
        lapsed.map(|(entry, recipe)| (entry.id, recipe.clone())).collect()
    }

    pub fn reserve(&self, mut order: Order<'_>) -> Result<Booked, Denied> {
        let mut books = self.lock();
        if let Some(purchase) = &order.intent.purchase
            && let Some(standing) = books.judge(purchase, order.rule, order.intent.now_s)?
        {
            return Ok(Booked::Standing(standing));
        }
        let drawn = books.draw(order.budgets, order.intent)?;
        order.recipe.draw = drawn.as_ref().map(|(draw, _)| draw.clone());
        let at_s = match drawn {
            Some(_) => order.intent.now_s.max(books.latest_s),
            None => books.check(order.budgets, order.intent, order.intent.amount)?,
        };
        books.latest_s = at_s;
        books.last_id += 1;
        let entry = Entry::new(books.last_id, at_s, &order);
        if let Some((draw, state)) = drawn {
            let state = channel::State { holder: entry.id, ..state };
            books.channels.insert(draw.channel, Channel::of(&entry, state));
        }
        books.count(&entry, order.budgets);
        let id = entry.id;
        if let Some(purchase) = &entry.purchase {
            books.purchases.entry(purchase.clone()).or_default().push(id);
        }
        books.entries.insert(id, (entry, order.recipe.clone()));
        Ok(Booked::New(id, order.recipe))
    }

    /// Records what became of an entry, and says how far a refusal in it is proof.
    pub fn close(&self, id: u64, holder: bool, outcome: &Outcome) -> TurnedDown {
        let mut books = self.lock();
        let Books { entries, channels, .. } = &mut *books;
        let Some((entry, _)) = entries.get_mut(&id) else { return outcome.proof(true) };
        let proof = outcome.proof(entry.shared || !holder);
        let in_hand = holder && entry.state == State::Open;
        if let Some(draw) = &entry.draw
            && let Some(channel) = channels.get_mut(&draw.channel)
        {
            match outcome.moves(channel.state, entry, draw, holder) {
                Some(state) => channel.state = state,
                None => {
                    channels.remove(&draw.channel);
                }
            }
        }
        match outcome {
            Outcome::NeverLeft if in_hand && !entry.shared => {
                if let Some(entry) = books.forget(id) {
                    books.discount(&entry);
                }
            }
            Outcome::Unknown { .. } if in_hand => {
                entry.state = State::Unknown;
                entry.refusal = proof;
            }
            // Never left, but somebody else presented it.
            Outcome::AsBefore | Outcome::NeverLeft if in_hand => entry.state = State::Unknown,
            Outcome::NeverLeft | Outcome::Unknown { .. } | Outcome::AsBefore => {}
            Outcome::Paid { transaction, charged, .. } => {
                let was_given_up = !entry.state.counts();
                let counted = entry.counted_after(*charged);
                let less = Entry { counted: entry.counted.checked_sub(counted).unwrap_or_default(), ..entry.clone() };
                entry.state = State::Paid;
                entry.transaction.clone_from(transaction);
                (entry.counted, entry.broke_off) = (counted, false);
                if was_given_up {
                    let entry = entry.clone();
                    books.count(&entry, &[]);
                } else if !less.counted.is_zero() {
                    books.discount(&less);
                }
            }
        }
        proof
    }

    /// The answer to a paid purchase broke off: its entry is kept, to be presented again.
    pub fn broke_off(&self, id: u64) -> bool {
        let mut books = self.lock();
        let Some((entry, _)) = books.entries.get_mut(&id) else { return false };
        let repeatable = entry.state == State::Paid && entry.purchase.is_some();
        entry.broke_off = repeatable && !entry.named;
        repeatable
    }

    /// The answer is the caller's, whole or as much as he wanted of it.
    pub fn handed_over(&self, id: u64) {
        let mut books = self.lock();
        let done = |entry: &Entry| entry.state == State::Paid && !entry.named && !entry.broke_off;
        if books.entries.get(&id).is_some_and(|(entry, _)| done(entry)) {
            books.forget(id);
        }
    }

    pub fn abandon(&self, id: u64) -> Result<(), Error> {
        let mut books = self.lock();
        let Some((entry, _)) = books.entries.get_mut(&id) else { return Err(no_such_entry(id)) };
        if entry.broke_off {
            books.forget(id);
            return Ok(());
        }
        if entry.state != State::Unknown {
            return Err(not_abandonable(id, entry.state));
        }
        // Kept, because somebody else may have it in hand, and a receipt counts it again.
        entry.state = State::Abandoned;
        let entry = entry.clone();
        books.discount(&entry);
        Ok(())
    }

    pub fn entries(&self, after_id: u64, limit: usize) -> Vec<Value> {
        self.listed(after_id, limit, |entry| entry.state.counts())
    }

    pub fn unsettled(&self, after_id: u64, limit: usize) -> Vec<Value> {
        self.listed(after_id, limit, Entry::is_unsettled)
    }

    fn listed(&self, after_id: u64, limit: usize, wanted: impl Fn(&Entry) -> bool) -> Vec<Value> {
        let books = self.lock();
        let after = books.entries.range(after_id.saturating_add(1)..).map(|(_, (entry, _))| entry);
        after.filter(|entry| wanted(entry)).take(limit).map(|entry| entry.to_json(entry.state == State::Open)).collect()
    }

    pub fn totals(&self) -> Vec<Value> {
        let books = self.lock();
        let mut rows: Vec<(&str, &str, &str, Amount)> = Vec::new();
        for ((scope, key), account) in &books.accounts {
            let units = account.units.iter().filter(|(_, _, series)| !series.total().is_zero());
            rows.extend(units.map(|(unit, _, series)| (scope.name(), key.as_str(), unit.as_str(), series.total())));
        }
        rows.sort_unstable();
        let totals = rows.into_iter().map(|(scope, key, unit, amount)| total_json(scope, key, unit, amount));
        totals.chain(books.channels.iter().map(|(id, channel)| channel.to_json(*id))).collect()
    }
}

/// One row of the totals.
pub(super) fn total_json(scope: &str, key: &str, unit: &str, amount: Amount) -> Value {
    let usd = known_unit(unit).and_then(|asset| crate::money::Usd::of(asset, &amount)).map(|usd| usd.to_string());
    json!({"scope": scope, "key": key, "unit": unit, "amount": amount.to_string(), "usd": usd})
}

impl Entry {
    pub(super) fn new(id: u64, at_s: u64, order: &Order<'_>) -> Self {
        let Order { intent, recipe, .. } = order;
        let purchase = intent.purchase.as_ref();
        let draw = recipe.draw.clone();
        let counted = draw.as_ref().map_or(intent.amount, |draw| draw.deposit);
        Entry {
            id,
            state: State::Open,
            at_s,
            host: intent.key(Scope::Host),
            payee: intent.key(Scope::Payee),
            unit: intent.unit(),
            amount: counted.max(intent.amount),
            counted,
            purchase: purchase.map(|purchase| purchase.id.clone()),
            named: purchase.is_some_and(|purchase| purchase.named),
            refusal: TurnedDown::No,
            transaction: String::new(),
            payer: recipe.payer.clone(),
            valid_before_s: recipe.valid_before_s,
            broke_off: false,
            shared: false,
            lasting: intent.lasting,
            draw,
        }
    }

    pub(super) fn key(&self, scope: Scope) -> String {
        match scope {
            Scope::All => String::new(),
            Scope::Purchase => self.purchase.clone().unwrap_or_default(),
            Scope::Host => self.host.clone(),
            Scope::Payee => self.payee.clone(),
        }
    }

    pub(super) fn past(&self, in_flight: bool) -> Past {
        let Entry { id, state, refusal, valid_before_s, broke_off, .. } = *self;
        Past { id, state, in_flight, refusal, valid_before_s, lasting: self.lasting, broke_off }
    }
}

#[cfg(test)]
mod hooks {
    use super::*;

    impl Memory {
        pub(in crate::ledger) fn accounts_for_a_test(&self) -> usize {
            self.lock().accounts.len()
        }
    }
}
