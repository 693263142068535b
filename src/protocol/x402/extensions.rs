//! Extensions that a version 2 challenge declares.
//!
//! Owns their echo. A server accepts a payment whose extensions contain all that it declared, or none at
//! all; handing them back byte for byte satisfies it without understanding a single one. Must not interpret
//! any but `payment-identifier`, which makes a server's memory a second guard against paying twice: what another
//! extension asks for is never done just because a server names it.

use crate::protocol::json::Json;
use crate::protocol::limits::ECHO_BYTES_MAX;
use crate::protocol::wire::{self, Fault};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

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

const PAYMENT_IDENTIFIER: &str = "payment-identifier";

/// An object whose members are kept as they were written.
type Members = BTreeMap<String, Box<RawValue>>;

fn members(raw: &RawValue) -> Option<Members> {
    serde_json::from_str(raw.get()).ok()
}

/// Whether the extension is declared. Most challenges do not, and are not parsed for it.
pub(in crate::protocol) fn wants_identifier(extensions: &RawValue) -> bool {
    extensions.get().contains(PAYMENT_IDENTIFIER)
        && members(extensions).is_some_and(|members| members.contains_key(PAYMENT_IDENTIFIER))
}

/// The extensions with `id` added as `payment-identifier.info.id`; what the server wrote stays as it is (x402 v2,
/// merge of extensions). `None` where there is nothing to add to, or the result would be too long to send.
pub(in crate::protocol) fn with_identifier(extensions: &RawValue, id: &str) -> Option<Box<RawValue>> {
    let raw = |text: String| RawValue::from_string(text).ok();
    let mut all = members(extensions)?;
    let mut extension = members(all.get(PAYMENT_IDENTIFIER)?)?;
    let mut info = match extension.get("info") {
        Some(info) => members(info)?,
        None => Members::new(),
    };
    if info.contains_key("id") {
        return None;
    }
    info.insert("id".into(), raw(serde_json::to_string(id).ok()?)?);
    extension.insert("info".into(), raw(serde_json::to_string(&info).ok()?)?);
    all.insert(PAYMENT_IDENTIFIER.into(), raw(serde_json::to_string(&extension).ok()?)?);
    let merged = raw(serde_json::to_string(&all).ok()?)?;
    (merged.get().len() <= ECHO_BYTES_MAX).then_some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_string()).unwrap()
    }

    #[test]
    fn an_id_is_added_and_nothing_of_the_servers_is_changed() {
        let declared = raw(r#"{"z":{"n":1.50e3},"payment-identifier":{"info":{"required":true},"schema":{"a":[1]}}}"#);
        assert!(wants_identifier(&declared));
        let merged = with_identifier(&declared, "pay_0").unwrap();
        assert!(merged.get().contains("1.50e3"), "numbers stay as they were written: {}", merged.get());
        let value: serde_json::Value = serde_json::from_str(merged.get()).unwrap();
        let extension = &value["payment-identifier"];
        assert_eq!(extension["info"], serde_json::json!({"required": true, "id": "pay_0"}));
        assert_eq!(extension["schema"], serde_json::json!({"a": [1]}));
    }

    #[test]
    fn an_id_goes_only_where_one_is_asked_for() {
        for other in [r#"{}"#, r#"{"a":"payment-identifier"}"#, r#"{"payment-identifier":7}"#] {
            assert!(with_identifier(&raw(other), "pay_0").is_none(), "{other}");
        }
        let own = raw(r#"{"payment-identifier":{"info":{"id":"theirs"}}}"#);
        assert!(with_identifier(&own, "pay_0").is_none());
        assert!(!wants_identifier(&raw(r#"{"a":"payment-identifier"}"#)));
    }
}
