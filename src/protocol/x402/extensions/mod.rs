//! Extensions that a version 2 challenge declares.
//!
//! Owns their echo, and which of them this library has something to say to. A server accepts a payment whose
//! extensions contain all that it declared, or none at all; handing them back byte for byte satisfies it without
//! understanding a single one. What an extension asks for is never done just because a server names it: each file
//! here adds something only for a caller who asked for it, or for an id that helps nobody to be paid twice.

pub(in crate::protocol) mod builder_code;
pub(in crate::protocol) mod identifier;
mod merge;
pub(in crate::protocol) mod sign_in;

use crate::protocol::json::Json;
use crate::protocol::limits::ECHO_BYTES_MAX;
use crate::protocol::wire::{self, Fault};
use serde_json::value::RawValue;

/// The `extensions` member (x402 v2): an object, or nothing.
pub(in crate::protocol) fn read(value: Option<Json<'_>>) -> Result<Option<Box<RawValue>>, Fault> {
    let Some(raw) = wire::present(value) else { return Ok(None) };
    wire::check_object("extensions", raw)?;
    check_echo("extensions", raw)?;
    raw.to_raw().map(Some).map_err(|why| Fault::new("extensions", format!("cannot be read: {why}")))
}

/// Refuses what would not fit a request header on its way back.
pub(super) fn check_echo(field: &str, raw: Json<'_>) -> Result<(), Fault> {
    if raw.text().len() <= ECHO_BYTES_MAX {
        return Ok(());
    }
    Err(Fault::new(field, format!("is longer than {ECHO_BYTES_MAX} bytes, too long to be sent back in a header")))
}

/// Extensions that a server fills anew for each answer.
const PASSING: [&str; 2] = [sign_in::NAME, "offer-receipt"];

/// The extensions without those; `None` where nothing is left.
pub(in crate::protocol) fn lasting(extensions: &RawValue) -> Option<Box<RawValue>> {
    let mut all = merge::members(extensions)?;
    all.retain(|name, _| !PASSING.contains(&name.as_str()));
    if all.is_empty() { None } else { serde_json::value::to_raw_value(&all).ok() }
}

/// The extensions with what a scheme adds to them, a JSON object. `None` where the result would be too long to send.
pub(in crate::protocol) fn extended(extensions: &RawValue, additions: &str) -> Option<Box<RawValue>> {
    merge::merged(extensions, &serde_json::from_str(additions).ok()?)
}
