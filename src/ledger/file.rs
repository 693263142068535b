//! The ledger in a file: SQLite, shared by threads, handles and processes. The one door to SQLite.
//!
//! Owns what is asked of the database and in which order it becomes durable. One transaction, one fsync, before a
//! signature: it reads the sums, judges, and writes the entry under the database's write lock. Outcomes are written
//! without an fsync, because losing one to a power cut leaves the entry open, which counts as sent and is presented
//! again with the same bytes. For the same reason the write-ahead log is emptied with outcomes and never while a
//! payment waits for its reservation.

mod channels;
mod open;
mod rows;
pub(super) mod turn;

use super::budgets::{self, Denied};
use super::channel::{self, ChannelOrder, Outlook};
use super::entry::{Entry, Intent, Recipe, State, TurnedDown};
use super::owner::{self, FileId, Life};
use super::purchase::{self, EXPIRY_MARGIN_S, Past, Purchase, RetryRule, Verdict, judge};
use super::{Booked, Order, Outcome, Standing, no_such_entry, not_abandonable, stands};
use crate::error::{Error, Status};
use crate::money::{Amount, Budget, ChannelId, Draw, Scope};
use rows::{add_total, entry_by_id, recipe_of, spent};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use turn::{Turn, Turns};

/// After so many outcomes the write-ahead log is copied into the database.
const CHECKPOINT_OUTCOMES: u32 = 64;

/// The most entries of one listing.
const LISTING_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct File {
    state: Turns<Open>,
    /// As shown in messages.
    path: String,
    id: FileId,
    pid: u32,
    owner: String,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    outcomes: u32,
}

impl File {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let shown = crate::error::printable(&path.display().to_string());
        let connection = open::open(path, &shown)?;
        let id = open::id(path, &shown)?;
        let state = Turns::new(Open { connection, outcomes: 0 });
        Ok(File { state, path: shown, id, pid: std::process::id(), owner: owner::this_process() })
    }

    fn lock(&self) -> Result<Turn<'_, Open>, Error> {
        self.turn(Some(open::BUSY_WAIT))
    }

    /// Runs what must be noted down however little time the call has left: what became of a payment. Not noted, it would
    /// pass for one that is under way, and its repeat for another purchase.
    fn unhurried<T>(&self, write: impl FnOnce(Turn<'_, Open>) -> Result<T, Error>) -> Result<T, Error> {
        turn::unhurried(|| self.turn(None).and_then(write))
    }

    fn turn(&self, most: Option<Duration>) -> Result<Turn<'_, Open>, Error> {
        if std::process::id() != self.pid {
            let message = format!(
                "the ledger {} was opened before a fork, and SQLite must not be used on both sides of one; open it again \
                 in the child",
                self.path
            );
            return Err(Error::new(Status::Ledger, message));
        }
        self.state.take(most).ok_or_else(|| open::held(&self.path))
    }

    fn fault(&self, what: &str) -> impl Fn(rusqlite::Error) -> Error + use<'_> {
        let what = what.to_string();
        move |cause| open::fault(&self.path, &what, cause)
    }

    pub fn check(&self, budgets: &[Budget], intent: &Intent) -> Result<(), Denied> {
        let mut state = self.lock()?;
        let Open { connection, .. } = &mut *state;
        let fault = self.fault("read");
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(&fault)?;
        let latest_s = rows::latest_s(&transaction).map_err(&fault)?;
        let now_s = intent.now_s.max(latest_s);
        if intent.channel.is_some() {
            return self.draw(&transaction, budgets, intent, now_s).map(|_| ());
        }
        self.check_in(&transaction, budgets, intent, intent.amount, now_s)
    }

    pub fn outlook(&self, order: &ChannelOrder, price: Amount) -> Result<Outlook, Denied> {
        let state = self.lock()?;
        let db = &state.connection;
        channel::outlook(order, price, |id| self.channel(db, id), |id| self.in_hand(db, id))
    }

    fn channel(&self, db: &Connection, id: ChannelId) -> Result<Option<channel::State>, Error> {
        channels::find(db, id).map_err(self.fault("read"))
    }

    /// Whether a live process has the entry in hand.
    fn in_hand(&self, db: &Connection, id: u64) -> Result<bool, Error> {
        let entry = entry_by_id(db, id).map_err(self.fault("read"))?;
        Ok(entry.is_some_and(|(entry, owner)| entry.state == State::Open && self.in_flight(&entry, &owner)))
    }

    /// What the intent would draw from a channel, and what is known of that from then on. Nothing is written.
    fn draw(
        &self,
        db: &Transaction<'_>,
        budgets: &[Budget],
        intent: &Intent,
        now_s: u64,
    ) -> Result<Option<(Draw, channel::State)>, Denied> {
        let Some(order) = &intent.channel else { return Ok(None) };
        let (find, in_hand) = (|id| self.channel(db, id), |id| self.in_hand(db, id));
        let fits = |deposit| self.check_in(db, budgets, intent, deposit, now_s);
        channel::draw(order, intent.amount, find, in_hand, fits).map(Some)
    }

    fn check_in(
        &self,
        db: &Transaction<'_>,
        budgets: &[Budget],
        intent: &Intent,
        asked: Amount,
        now_s: u64,
    ) -> Result<(), Denied> {
        let fault = self.fault("read");
        budgets::check(budgets, intent, asked, |scope, key, window_s, unit| match (scope, &intent.purchase) {
            (Scope::Purchase, None) => Ok(Amount::ZERO),
            (Scope::Purchase, Some(purchase)) => {
                let history = self.history(db, purchase)?;
                let history = history.iter().map(|(entry, in_flight)| (entry, *in_flight));
                Ok(purchase::spent(history, purchase, window_s, unit, now_s))
            }
            _ => spent(db, scope, key, window_s, unit, now_s).map_err(&fault),
        })
    }

    /// The entries of a purchase that count, each with whether a live process has it in hand.
    fn history(&self, db: &Connection, purchase: &Purchase) -> Result<Vec<(Entry, bool)>, Error> {
        let rows = rows::history(db, &purchase.id).map_err(self.fault("read"))?;
        let held = |(entry, owner): (Entry, String)| {
            let in_flight = self.in_flight(&entry, &owner);
            (entry, in_flight)
        };
        Ok(rows.into_iter().map(held).collect())
    }

    pub fn standing(&self, purchase: &Purchase, rule: RetryRule, now_s: u64) -> Result<Option<Standing>, Denied> {
        let mut state = self.lock()?;
        let Open { connection, .. } = &mut *state;
        let fault = self.fault("read");
        if rows::history(connection, &purchase.id).map_err(&fault)?.is_empty() {
            return Ok(None);
        }
        let transaction = immediate(connection).map_err(self.fault("write"))?;
        let standing = self.judge(&transaction, purchase, rule, now_s)?;
        transaction.commit().map_err(self.fault("write"))?;
        Ok(standing.inspect(|standing| self.taken_over(standing)))
    }

    pub fn lapsed(&self, purchase: &Purchase, now_s: u64) -> Result<Vec<(u64, Recipe)>, Error> {
        let state = self.lock()?;
        let db = &state.connection;
        let mut lapsed = Vec::new();
        for (entry, in_flight) in self.history(db, purchase)? {
            if entry.past(in_flight).has_lapsed(now_s)
                && let Some(recipe) = recipe_of(db, entry.id).map_err(self.fault("read"))?
            {
                lapsed.push((entry.id, recipe));
            }
        }
        Ok(lapsed)
    }

    pub fn reserve(&self, mut order: Order<'_>) -> Result<Booked, Denied> {
        let mut state = self.lock()?;
        let Open { connection, .. } = &mut *state;
        let fault = self.fault("write");
        let transaction = immediate(connection).map_err(&fault)?;
        if let Some(purchase) = &order.intent.purchase
            && let Some(standing) = self.judge(&transaction, purchase, order.rule, order.intent.now_s)?
        {
            transaction.commit().map_err(&fault)?;
            self.taken_over(&standing);
            return Ok(Booked::Standing(standing));
        }
        let at_s = order.intent.now_s.max(rows::latest_s(&transaction).map_err(&fault)?);
        let drawn = self.draw(&transaction, order.budgets, order.intent, at_s)?;
        if drawn.is_none() {
            self.check_in(&transaction, order.budgets, order.intent, order.intent.amount, at_s)?;
        }
        order.recipe.draw = drawn.as_ref().map(|(draw, _)| draw.clone());
        let entry = Entry::new(0, at_s, &order);
        let id = rows::insert(&transaction, &entry, &order.recipe, &self.owner).map_err(&fault)?;
        if let Some((draw, state)) = &drawn {
            channels::insert(&transaction, id, &entry, draw, state).map_err(&fault)?;
        }
        rows::count(&transaction, &entry, add_total).map_err(&fault)?;
        transaction.commit().map_err(&fault)?;
        owner::take(self.id, id);
        Ok(Booked::New(id, order.recipe))
    }

    fn taken_over(&self, standing: &Standing) {
        if standing.claimed {
            owner::take(self.id, standing.id);
        }
    }

    /// Judges the purchase's history; an entry to present again that is in nobody's hands is taken over.
    fn judge(
        &self,
        db: &Transaction<'_>,
        purchase: &Purchase,
        rule: RetryRule,
        now_s: u64,
    ) -> Result<Option<Standing>, Denied> {
        let fault = self.fault("read");
        let history = self.history(db, purchase)?;
        let past: Vec<Past> = history.iter().map(|(entry, in_flight)| entry.past(*in_flight)).collect();
        let id = match judge(&past, purchase.named, rule, now_s) {
            Verdict::Sign => return Ok(None),
            Verdict::Present(id) => id,
            Verdict::Refuse(id, why) => {
                let entry = history.iter().find(|(entry, _)| entry.id == id);
                return Err(entry.map_or_else(|| no_such_entry(id).into(), |(entry, _)| stands(entry, why)));
            }
        };
        let Some(recipe) = recipe_of(db, id).map_err(&fault)? else {
            let message =
                format!("the ledger {}: entry {id} should be presented again and has lost its terms", self.path);
            return Err(Error::new(Status::Ledger, message).into());
        };
        let unpaid = past.iter().find(|past| past.id == id && past.state != State::Paid);
        let claimed = unpaid.is_some_and(|past| !past.in_flight);
        if unpaid.is_some() {
            rows::share(db, id, claimed.then_some(&*self.owner)).map_err(self.fault("write"))?;
        }
        let paid = history.iter().find(|(entry, _)| entry.id == id && entry.state == State::Paid);
        let paid = paid.map(|(entry, _)| entry.transaction.clone());
        Ok(Some(Standing { id, claimed, paid, recipe }))
    }

    /// Whether a live process has it in hand: a payment under way, or what was paid for.
    fn in_flight(&self, entry: &Entry, owner: &str) -> bool {
        let is_under_way = entry.state == State::Open || entry.broke_off;
        is_under_way
            && if owner == self.owner {
                owner::holds(self.id, entry.id)
            } else {
                !owner.is_empty() && owner::life_of(owner) == Life::Alive
            }
    }

    /// Records what became of an entry, and says how far a refusal in it is proof.
    pub fn close(&self, id: u64, holder: bool, outcome: &Outcome) -> Result<TurnedDown, Error> {
        self.unhurried(|mut state| {
            let written = self.lazily(&mut state, |db| write_outcome(db, id, &self.owner, holder, outcome));
            // What is paid stays in hand until it was handed over.
            if holder && (written.is_err() || !matches!(outcome, Outcome::Paid { .. })) {
                owner::let_go(self.id, id);
            }
            written
        })
    }

    /// Writes without waiting for the disk.
    fn lazily<T>(
        &self,
        state: &mut Open,
        write: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let fault = self.fault("write");
        state.outcomes += 1;
        if state.outcomes.is_multiple_of(CHECKPOINT_OUTCOMES) {
            // Best effort: readers in other processes can put it off, and the next one tries again.
            let _ = state.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
        open::durability(&state.connection, false).map_err(&fault)?;
        let written = write(&mut state.connection);
        // The next reservation must wait for the disk whatever became of this write.
        open::durability(&state.connection, true).and(written).map_err(&fault)
    }

    /// The answer to a paid purchase broke off.
    pub fn broke_off(&self, id: u64, recipe: &Recipe, holder: bool) -> Result<bool, Error> {
        self.unhurried(|mut state| {
            if holder {
                owner::let_go(self.id, id);
            }
            self.lazily(&mut state, |db| rows::restore(db, id, recipe))
        })
    }

    /// The answer is the caller's, whole or as much as he wanted of it.
    pub fn handed_over(&self, id: u64, holder: bool, forgettable: bool) -> Result<(), Error> {
        self.unhurried(|mut state| {
            if holder {
                owner::let_go(self.id, id);
            }
            if !forgettable {
                return Ok(());
            }
            self.lazily(&mut state, |db| rows::wipe_handed_over(db, id))
        })
    }

    pub fn abandon(&self, id: u64) -> Result<(), Error> {
        let mut state = self.lock()?;
        let Open { connection, .. } = &mut *state;
        let fault = self.fault("write");
        let transaction = immediate(connection).map_err(&fault)?;
        let Some((entry, owner)) = entry_by_id(&transaction, id).map_err(&fault)? else {
            return Err(no_such_entry(id));
        };
        if entry.broke_off {
            rows::wipe(&transaction, id).map_err(&fault)?;
            return transaction.commit().map_err(&fault);
        }
        let dead = entry.state == State::Open && self.is_dead(&entry, &owner);
        if entry.state != State::Unknown && !dead {
            return Err(not_abandonable(id, entry.state));
        }
        rows::set_state(&transaction, id, State::Abandoned).map_err(&fault)?;
        // Paid after all, a purchase with a name presents it again.
        if !entry.named {
            rows::wipe(&transaction, id).map_err(&fault)?;
        }
        rows::count(&transaction, &entry, rows::subtract_total).map_err(&fault)?;
        transaction.commit().map_err(&fault)
    }

    /// Whether nobody can have the entry in hand. An owner that cannot be asked is taken for dead once the signature
    /// is void.
    fn is_dead(&self, entry: &Entry, owner: &str) -> bool {
        if owner == self.owner {
            return !owner::holds(self.id, entry.id);
        }
        match owner::life_of(owner) {
            Life::Dead => true,
            Life::Alive => false,
            Life::Unseen => open::unix_s() > entry.valid_before_s.saturating_add(EXPIRY_MARGIN_S),
        }
    }

    pub fn entries(&self, after_id: u64, limit: usize) -> Result<Vec<Value>, Error> {
        self.listed(after_id, limit, rows::entries_after)
    }

    pub fn unsettled(&self, after_id: u64, limit: usize) -> Result<Vec<Value>, Error> {
        self.listed(after_id, limit, rows::unsettled_after)
    }

    fn listed(&self, after_id: u64, limit: usize, select: rows::Listing) -> Result<Vec<Value>, Error> {
        let state = self.lock()?;
        let rows = select(&state.connection, after_id, limit.min(LISTING_MAX));
        let rows = rows.map_err(self.fault("read"))?;
        let shown = |(entry, owner): (Entry, String)| {
            let in_flight = self.in_flight(&entry, &owner);
            entry.to_json(in_flight)
        };
        Ok(rows.into_iter().map(shown).collect())
    }

    pub fn totals(&self) -> Result<Vec<Value>, Error> {
        let state = self.lock()?;
        let fault = self.fault("read");
        let mut totals = rows::totals(&state.connection).map_err(&fault)?;
        totals.extend(channels::all(&state.connection).map_err(&fault)?);
        Ok(totals)
    }
}

fn immediate(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn write_outcome(
    connection: &mut Connection,
    id: u64,
    writer: &str,
    holder: bool,
    outcome: &Outcome,
) -> rusqlite::Result<TurnedDown> {
    let transaction = immediate(connection)?;
    let mut proof = TurnedDown::No;
    if let Some((entry, owner)) = entry_by_id(&transaction, id)? {
        // Taken over by somebody who could not see that this process lives, it is in his hands.
        let holder = holder && owner == writer;
        proof = outcome.proof(entry.shared || !holder);
        apply(&transaction, &entry, holder, outcome, proof)?;
    }
    transaction.commit()?;
    Ok(proof)
}

/// Writes what became of an entry; an outcome that comes too late to matter, or from one who only borrowed it, changes
/// nothing.
fn apply(
    db: &Transaction<'_>,
    entry: &Entry,
    holder: bool,
    outcome: &Outcome,
    proof: TurnedDown,
) -> rusqlite::Result<()> {
    if let Some(draw) = &entry.draw
        && let Some(channel) = channels::find(db, draw.channel)?
    {
        match outcome.moves(channel, entry, draw, holder) {
            Some(state) => channels::update(db, draw.channel, &state)?,
            None => channels::forget(db, draw.channel)?,
        }
    }
    let in_hand = holder && entry.state == State::Open;
    match outcome {
        Outcome::NeverLeft if in_hand && !entry.shared => {
            rows::set_state(db, entry.id, State::Released)?;
            rows::wipe(db, entry.id)?;
            rows::count(db, entry, rows::subtract_total)
        }
        Outcome::Unknown { .. } if in_hand => {
            rows::set_state(db, entry.id, State::Unknown)?;
            db.prepare_cached("UPDATE entries SET refusal = ?2 WHERE id = ?1")?
                .execute(params![rows::signed(entry.id), proof.number()])
                .map(|_| ())
        }
        // Never left, but somebody else presented it.
        Outcome::AsBefore | Outcome::NeverLeft if in_hand => rows::set_state(db, entry.id, State::Unknown),
        Outcome::Paid { transaction, charged, .. } => {
            rows::set_paid(db, entry, transaction, entry.counted_after(*charged))?;
            // What is known again without a name is kept until it was handed over.
            if entry.named || entry.purchase.is_some() { Ok(()) } else { rows::wipe(db, entry.id) }
        }
        Outcome::NeverLeft | Outcome::Unknown { .. } | Outcome::AsBefore => Ok(()),
    }
}

#[cfg(test)]
mod hooks {
    use super::*;

    impl File {
        /// Lets the file grow by no page beyond `more`; `None`: without bound.
        pub(in crate::ledger) fn limit_pages_for_a_test(&self, more: Option<u32>) {
            let state = self.lock().unwrap();
            let now: u32 = state.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
            let most = more.map_or(u32::MAX / 4, |more| now + more);
            state.connection.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(())).unwrap();
        }

        /// Another thread's turn, as long as the test keeps it.
        pub(in crate::ledger) fn lock_for_a_test(&self) -> impl Sized + '_ {
            self.lock().unwrap()
        }

        pub(in crate::ledger) fn wait_briefly_for_a_test(&self) {
            self.lock().unwrap().connection.busy_handler(Some(|tries| tries < 3)).unwrap();
        }
    }
}
