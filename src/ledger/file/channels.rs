//! The statements about payment channels: rows in, rows out. Decides nothing.
//!
//! Owns the tables `channels` and `draws`. Payments that draw from no channel do not touch them.

use super::rows::{amount, channel_id, signed, unsigned};
use super::{ChannelId, Draw, Entry, OptionalExtension, channel};
use rusqlite::{Connection, Result, Row, params};
use serde_json::Value;

const STATE_COLUMNS: &str = "balance, charged, signed_max, doubted, holder";

fn state(row: &Row<'_>) -> Result<channel::State> {
    Ok(channel::State {
        balance: amount(row, 0)?,
        charged: amount(row, 1)?,
        signed_max: amount(row, 2)?,
        doubted: row.get(3)?,
        holder: unsigned(row, 4)?,
    })
}

pub(super) fn find(db: &Connection, id: ChannelId) -> Result<Option<channel::State>> {
    let sql = format!("SELECT {STATE_COLUMNS} FROM channels WHERE channel = ?1");
    db.prepare_cached(&sql)?.query_row([id.to_string()], state).optional()
}

/// Writes what a new entry draws, and puts the channel in its hands.
pub(super) fn insert(db: &Connection, id: u64, entry: &Entry, draw: &Draw, state: &channel::State) -> Result<()> {
    db.prepare_cached("INSERT INTO draws VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
        signed(id),
        draw.channel.to_string(),
        signed(draw.salt),
        draw.charged.to_string(),
        draw.claimable.to_string(),
        draw.deposit.to_string(),
        draw.signed_before.map(|amount| amount.to_string()),
    ])?;
    db.prepare_cached("INSERT OR IGNORE INTO channels VALUES (?1, ?2, ?3, ?4, '0', '0', '0', 0, 0)")?
        .execute(params![draw.channel.to_string(), entry.payer, entry.payee, entry.unit,])?;
    update(db, draw.channel, &channel::State { holder: id, ..*state })
}

pub(super) fn update(db: &Connection, id: ChannelId, state: &channel::State) -> Result<()> {
    let sql = "UPDATE channels SET balance = ?2, charged = ?3, signed_max = ?4, doubted = ?5, holder = ?6
               WHERE channel = ?1";
    let channel::State { balance, charged, signed_max, doubted, holder } = state;
    let [balance, charged, signed_max] = [balance, charged, signed_max].map(ToString::to_string);
    db.prepare_cached(sql)?
        .execute(params![id.to_string(), balance, charged, signed_max, doubted, signed(*holder)])
        .map(|_| ())
}

/// Nothing was ever signed for it.
pub(super) fn forget(db: &Connection, id: ChannelId) -> Result<()> {
    db.prepare_cached("DELETE FROM channels WHERE channel = ?1")?.execute([id.to_string()]).map(|_| ())
}

/// As rows of the totals.
pub(super) fn all(db: &Connection) -> Result<Vec<Value>> {
    let sql = format!("SELECT {STATE_COLUMNS}, channel, payer, payee, unit FROM channels ORDER BY channel");
    let row = |row: &Row<'_>| {
        let (payer, payee, unit) = (row.get(6)?, row.get(7)?, row.get(8)?);
        Ok(channel::Channel { state: state(row)?, payer, payee, unit }.to_json(channel_id(row, 5)?))
    };
    db.prepare_cached(&sql)?.query_map([], row)?.collect()
}
