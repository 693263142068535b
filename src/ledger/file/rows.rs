//! The statements of the ledger file: rows in, rows out.
//!
//! Owns the SQL and the conversion of amounts to decimal text and back. Decides nothing. SQLite's integers are
//! signed and its sums are not exact beyond 63 bits, so amounts are added here and never there.

use super::{Amount, ChannelId, Draw, Entry, OptionalExtension, Recipe, Scope, State, TurnedDown};
use crate::ledger::budgets::Unit;
use crate::ledger::memory::total_json;
use rusqlite::types::Type;
use rusqlite::{Connection, Result, Row, params};
use serde_json::Value;

const ENTRY_COLUMNS: &str = "id, state, at_s, host, payee, unit, amount, purchase, named, refusal, transaction_id, \
                             payer, valid_before_s, counted, state = 'paid' AND NOT named AND terms IS NOT NULL, owner, \
                             draws.entry, channel, salt, charged, claimable, deposit, signed_before, shared, lasting";

/// Entries with what they draw from channels, where they do.
const ENTRIES: &str = "entries LEFT JOIN draws ON draws.entry = entries.id";

/// A number as SQLite keeps it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

pub(super) fn amount(row: &Row<'_>, column: usize) -> Result<Amount> {
    let text: String = row.get(column)?;
    Amount::parse(&text).map_err(|why| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into()))
}

fn entry(row: &Row<'_>) -> Result<(Entry, String)> {
    let state: String = row.get(1)?;
    let state = State::parse(&state).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(1, Type::Text, format!("no state is called {state}").into())
    })?;
    let entry = Entry {
        id: unsigned(row, 0)?,
        state,
        at_s: unsigned(row, 2)?,
        host: row.get(3)?,
        payee: row.get(4)?,
        unit: row.get(5)?,
        amount: amount(row, 6)?,
        purchase: row.get(7)?,
        named: row.get(8)?,
        refusal: TurnedDown::from_number(row.get(9)?),
        transaction: row.get(10)?,
        payer: row.get(11)?,
        valid_before_s: unsigned(row, 12)?,
        counted: amount(row, 13)?,
        broke_off: row.get(14)?,
        draw: draw(row, 16)?,
        shared: row.get(23)?,
        lasting: row.get(24)?,
    };
    Ok((entry, row.get(15)?))
}

/// The latest second any entry was written at: time as the ledger counts it never goes back.
pub(super) fn latest_s(db: &Connection) -> Result<u64> {
    db.prepare_cached("SELECT latest_s FROM openings")?.query_row([], |row| unsigned(row, 0))
}

/// The entries of a purchase that count, oldest first, each with its owner.
pub(super) fn history(db: &Connection, purchase: &str) -> Result<Vec<(Entry, String)>> {
    let sql = format!(
        "SELECT {ENTRY_COLUMNS} FROM {ENTRIES} WHERE purchase = ?1 AND state IN ('open', 'unknown', 'paid') ORDER BY id"
    );
    db.prepare_cached(&sql)?.query_map([purchase], entry)?.collect()
}

pub(super) fn entry_by_id(db: &Connection, id: u64) -> Result<Option<(Entry, String)>> {
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM {ENTRIES} WHERE id = ?1");
    db.prepare_cached(&sql)?.query_row([signed(id)], entry).optional()
}

/// One page of entries, each with its owner.
pub(super) type Listing = fn(&Connection, u64, usize) -> Result<Vec<(Entry, String)>>;

pub(super) fn entries_after(db: &Connection, after_id: u64, limit: usize) -> Result<Vec<(Entry, String)>> {
    listed(db, "1", after_id, limit)
}

/// As [`Entry::is_unsettled`] says.
pub(super) fn unsettled_after(db: &Connection, after_id: u64, limit: usize) -> Result<Vec<(Entry, String)>> {
    let unsettled = "state IN ('open', 'unknown') OR (state = 'paid' AND NOT named AND terms IS NOT NULL)";
    listed(db, unsettled, after_id, limit)
}

fn listed(db: &Connection, which: &str, after_id: u64, limit: usize) -> Result<Vec<(Entry, String)>> {
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM {ENTRIES} WHERE id > ?1 AND ({which}) ORDER BY id LIMIT ?2");
    let limit = signed(limit as u64);
    db.prepare_cached(&sql)?.query_map([signed(after_id), limit], entry)?.collect()
}

/// The columns of `draws` from `at` on.
fn draw(row: &Row<'_>, at: usize) -> Result<Option<Draw>> {
    if row.get::<_, Option<i64>>(at)?.is_none() {
        return Ok(None);
    }
    let known: Option<String> = row.get(at + 6)?;
    Ok(Some(Draw {
        channel: channel_id(row, at + 1)?,
        salt: unsigned(row, at + 2)?,
        charged: amount(row, at + 3)?,
        claimable: amount(row, at + 4)?,
        deposit: amount(row, at + 5)?,
        signed_before: if known.is_some() { Some(amount(row, at + 6)?) } else { None },
    }))
}

pub(super) fn channel_id(row: &Row<'_>, column: usize) -> Result<ChannelId> {
    let text: String = row.get(column)?;
    ChannelId::parse(&text).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("no channel is called {text}").into())
    })
}

/// What the signature of an entry is made from; nothing once it was wiped.
pub(super) fn recipe_of(db: &Connection, id: u64) -> Result<Option<Recipe>> {
    let sql = "SELECT payer, signed_s, valid_before_s, nonce, terms, facts,
                 draws.entry, channel, salt, charged, claimable, deposit, signed_before
               FROM entries LEFT JOIN draws ON draws.entry = entries.id
               WHERE id = ?1 AND nonce IS NOT NULL AND terms IS NOT NULL AND facts IS NOT NULL";
    let recipe = |row: &Row<'_>| {
        let (signed_s, valid_before_s) = (unsigned(row, 1)?, unsigned(row, 2)?);
        let (nonce, terms, facts) = (row.get(3)?, row.get(4)?, row.get(5)?);
        Ok(Recipe { payer: row.get(0)?, signed_s, valid_before_s, nonce, terms, facts, draw: draw(row, 6)? })
    };
    db.prepare_cached(sql)?.query_row([signed(id)], recipe).optional()
}

pub(super) fn insert(db: &Connection, entry: &Entry, recipe: &Recipe, owner: &str) -> Result<u64> {
    let sql = "INSERT INTO entries (state, at_s, host, payee, unit, amount, purchase, named, refusal, transaction_id,
                 owner, payer, signed_s, valid_before_s, nonce, terms, facts, counted, lasting)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";
    db.prepare_cached(sql)?.execute(params![
        entry.state.name(),
        signed(entry.at_s),
        entry.host,
        entry.payee,
        entry.unit,
        entry.amount.to_string(),
        entry.purchase,
        entry.named,
        entry.refusal.number(),
        entry.transaction,
        owner,
        recipe.payer,
        signed(recipe.signed_s),
        signed(recipe.valid_before_s),
        recipe.nonce,
        recipe.terms,
        recipe.facts,
        entry.counted.to_string(),
        entry.lasting,
    ])?;
    let id = u64::try_from(db.last_insert_rowid()).unwrap_or(0);
    db.prepare_cached("UPDATE openings SET latest_s = ?1")?.execute([signed(entry.at_s)])?;
    Ok(id)
}

pub(super) fn set_state(db: &Connection, id: u64, state: State) -> Result<()> {
    db.prepare_cached("UPDATE entries SET state = ?2 WHERE id = ?1")?
        .execute(params![signed(id), state.name()])
        .map(|_| ())
}

/// Takes away what the signature could be made from again.
pub(super) fn wipe(db: &Connection, id: u64) -> Result<()> {
    db.prepare_cached("UPDATE entries SET nonce = NULL, terms = NULL, facts = NULL WHERE id = ?1")?
        .execute([signed(id)])
        .map(|_| ())
}

/// As [`wipe`], of what was paid and has no name. It would be looked at with each repeat, so it is found by its purchase
/// no more.
pub(super) fn wipe_handed_over(db: &Connection, id: u64) -> Result<()> {
    db.prepare_cached(
        "UPDATE entries SET nonce = NULL, terms = NULL, facts = NULL, purchase = NULL
         WHERE id = ?1 AND state = 'paid' AND NOT named",
    )?
    .execute([signed(id)])
    .map(|_| ())
}

/// One more call presents it; with `owner`, it is in that one's hands from here on.
pub(super) fn share(db: &Connection, id: u64, owner: Option<&str>) -> Result<()> {
    match owner {
        Some(owner) => db
            .prepare_cached("UPDATE entries SET shared = 1, state = 'open', owner = ?2 WHERE id = ?1")?
            .execute(params![signed(id), owner]),
        None => db.prepare_cached("UPDATE entries SET shared = 1 WHERE id = ?1")?.execute([signed(id)]),
    }
    .map(|_| ())
}

/// Puts it back, for a paid purchase whose answer broke off, and into nobody's hands; `false` if no repeat could be known.
pub(super) fn restore(db: &Connection, id: u64, recipe: &Recipe) -> Result<bool> {
    let sql = "UPDATE entries SET nonce = ?2, terms = ?3, facts = ?4, owner = ''
               WHERE id = ?1 AND state = 'paid' AND purchase IS NOT NULL";
    db.prepare_cached(sql)?.execute(params![signed(id), recipe.nonce, recipe.terms, recipe.facts]).map(|rows| rows > 0)
}

/// Writes a receipt. What it says that was taken counts; see [`Entry::counted_after`].
pub(super) fn set_paid(db: &Connection, entry: &Entry, transaction: &str, counted: Amount) -> Result<()> {
    let sql = "UPDATE entries SET state = 'paid', transaction_id = ?2, counted = ?3 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![signed(entry.id), transaction, counted.to_string()])?;
    if !entry.state.counts() {
        return count(db, &Entry { counted, ..entry.clone() }, add_total);
    }
    match entry.counted.checked_sub(counted) {
        Some(less) if !less.is_zero() => count(db, &Entry { counted: less, ..entry.clone() }, subtract_total),
        _ => Ok(()),
    }
}

/// `None`: the sum cannot be kept.
type Change = fn(Amount, Amount) -> Option<Amount>;

/// The budget check before it keeps sums far below the bound; a budget-less ledger stops counting at the most
/// there is, which no limit is above.
pub(super) fn add_total(total: Amount, amount: Amount) -> Option<Amount> {
    Some(total.checked_add(amount).unwrap_or(Amount::MAX))
}

pub(super) fn subtract_total(total: Amount, amount: Amount) -> Option<Amount> {
    total.checked_sub(amount)
}

/// Changes the entry's total under every scope by what counts of it.
pub(super) fn count(db: &Connection, entry: &Entry, change: Change) -> Result<()> {
    for scope in [Scope::All, Scope::Host, Scope::Payee] {
        let key = entry.key(scope);
        let total = total(db, scope, &key, &entry.unit)?;
        let Some(changed) = change(total, entry.counted) else { continue };
        db.prepare_cached(
            "INSERT INTO totals VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (scope, key, unit) DO UPDATE SET amount = excluded.amount",
        )?
        .execute(params![scope.name(), key, entry.unit, changed.to_string()])?;
    }
    Ok(())
}

fn total(db: &Connection, scope: Scope, key: &str, unit: &str) -> Result<Amount> {
    db.prepare_cached("SELECT amount FROM totals WHERE scope = ?1 AND key = ?2 AND unit = ?3")?
        .query_row(params![scope.name(), key, unit], |row| amount(row, 0))
        .optional()
        .map(|found| found.unwrap_or(Amount::ZERO))
}

/// What counts under one value of a scope, in `unit`, ever or within a window that ends now.
pub(super) fn spent(
    db: &Connection,
    scope: Scope,
    key: &str,
    window_s: u64,
    unit: Unit<'_>,
    now_s: u64,
) -> Result<Amount> {
    let mut sum = Amount::ZERO;
    let mut add = |row: &Row<'_>| -> Result<()> {
        let counted = unit.of(&row.get::<_, String>(0)?, amount(row, 1)?);
        sum = sum.checked_add(counted).unwrap_or(Amount::MAX);
        Ok(())
    };
    if window_s == 0 {
        let mut totals = db.prepare_cached("SELECT unit, amount FROM totals WHERE scope = ?1 AND key = ?2")?;
        let mut rows = totals.query(params![scope.name(), key])?;
        while let Some(row) = rows.next()? {
            add(row)?;
        }
        return Ok(sum);
    }
    let Some(begin_s) = now_s.checked_sub(window_s) else {
        return spent(db, scope, key, 0, unit, now_s);
    };
    let column = match scope {
        Scope::All => "''",
        Scope::Purchase => "purchase",
        Scope::Host => "host",
        Scope::Payee => "payee",
    };
    let sql = format!(
        "SELECT unit, counted FROM entries INDEXED BY entries_by_time
         WHERE at_s > ?1 AND state IN ('open', 'unknown', 'paid') AND {column} = ?2"
    );
    let mut events = db.prepare_cached(&sql)?;
    let mut rows = events.query(params![signed(begin_s), key])?;
    while let Some(row) = rows.next()? {
        add(row)?;
    }
    Ok(sum)
}

pub(super) fn totals(db: &Connection) -> Result<Vec<Value>> {
    let mut totals =
        db.prepare_cached("SELECT scope, key, unit, amount FROM totals WHERE amount <> '0' ORDER BY scope, key, unit")?;
    let row = |row: &Row<'_>| {
        let text = |column: usize| row.get::<_, String>(column);
        Ok(total_json(&text(0)?, &text(1)?, &text(2)?, amount(row, 3)?))
    };
    totals.query_map([], row)?.collect()
}
