//! What a client adds to the extensions that a server declared.
//!
//! Owns the rules of the merge (x402 v2, extensions): a client adds members and never changes or removes one of the
//! server's, because the server compares. Only a list that is declared additive grows. What the server wrote stays
//! the text that it was, numbers included.

use crate::protocol::limits::ECHO_BYTES_MAX;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// An object whose members are kept as they were written.
pub(super) type Members = BTreeMap<String, Box<RawValue>>;

/// Lists to which both sides add, the client first: the extension and the member of its `info`.
const ADDITIVE: [(&str, &str); 1] = [("builder-code", "s")];

pub(super) fn members(raw: &RawValue) -> Option<Members> {
    serde_json::from_str(raw.get()).ok()
}

/// An extension that is declared as an object. Most challenges declare none, and are not parsed for it.
pub(super) fn declared(extensions: &RawValue, name: &str) -> Option<Members> {
    let named = extensions.get().contains(name).then(|| members(extensions)).flatten()?;
    members(named.get(name)?)
}

/// The server's extensions with the client's, an object, laid under them. `None` where the result would be too
/// long to send, or where a side is no object.
pub(super) fn merged(servers: &RawValue, clients: &Value) -> Option<Box<RawValue>> {
    let mut all = members(servers)?;
    for (name, value) in clients.as_object()? {
        let merged = match (all.get(name).map(|raw| (raw, members(raw))), value) {
            (Some((_, Some(own))), Value::Object(_)) => objects(own, value, &[name])?,
            _ => raw(value)?,
        };
        all.insert(name.clone(), merged);
    }
    let merged = raw(&all)?;
    (merged.get().len() <= ECHO_BYTES_MAX).then_some(merged)
}

/// `path` leads from the extensions to this object.
fn objects(mut servers: Members, clients: &Value, path: &[&str]) -> Option<Box<RawValue>> {
    for (name, value) in clients.as_object()? {
        let at = [path, &[name]].concat();
        let merged = match servers.get(name) {
            None => raw(value)?,
            Some(theirs) if is_additive(&at) => raw(&lists(&serde_json::from_str(theirs.get()).ok()?, value))?,
            Some(theirs) => match (members(theirs), value) {
                (Some(theirs), Value::Object(_)) => objects(theirs, value, &at)?,
                _ => continue,
            },
        };
        servers.insert(name.clone(), merged);
    }
    raw(&servers)
}

fn is_additive(path: &[&str]) -> bool {
    ADDITIVE.iter().any(|(extension, member)| path == [*extension, "info", *member])
}

/// The client's entries and then the server's, each once; what is no list counts as a list of one.
fn lists(servers: &Value, clients: &Value) -> Value {
    let entries = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let mut all: Vec<Value> = Vec::new();
    for entry in entries(clients).into_iter().chain(entries(servers)) {
        if !all.contains(&entry) {
            all.push(entry);
        }
    }
    Value::Array(all)
}

fn raw(value: &impl serde::Serialize) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RECORDED: &str = include_str!("../../../../tests/vectors/extensions-misc.json");

    fn merge(servers: &Value, clients: &Value) -> Value {
        let servers = RawValue::from_string(servers.to_string()).unwrap();
        serde_json::from_str(merged(&servers, clients).unwrap().get()).unwrap()
    }

    /// What the official TypeScript client makes of the same two sides.
    #[test]
    fn recorded_merges_are_reproduced() {
        let sides = [
            ("merge-builder-code", json!({"builder-code": {"info": {"s": ["cli"]}}})),
            (
                "merge-payment-id",
                json!({"payment-identifier": {"info": {"id": "pay_7d5d747be160e280504c099d984bcfe0"}}}),
            ),
            ("merge-client-only-key", json!({"mine": {"info": {"z": 1}}})),
            ("merge-delete-attempt", json!({"other": {"info": {"k": 2}}, "builder-code": {}})),
        ];
        let recorded: Value = serde_json::from_str(RECORDED).unwrap();
        let vectors = recorded["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), sides.len());
        for (vector, (id, clients)) in vectors.iter().zip(sides) {
            assert_eq!(vector["id"], id);
            assert_eq!(merge(&vector["paymentRequired"]["extensions"], &clients), vector["resultExtensions"], "{id}");
        }
    }

    #[test]
    fn nothing_of_the_servers_is_changed_or_removed() {
        let servers = json!({"a": {"info": {"n": 1, "list": [1], "deep": {"x": null}}}, "b": 7});
        let clients = json!({"a": {"info": {"n": 2, "list": [2], "deep": {"x": 1, "y": 2}, "new": 3}, "schema": {}}});
        let expected =
            json!({"a": {"info": {"n": 1, "list": [1], "deep": {"x": null, "y": 2}, "new": 3}, "schema": {}}, "b": 7});
        assert_eq!(merge(&servers, &clients), expected);
        let written = RawValue::from_string(r#"{"z":{"n":1.50e3,"s":"\u0041"}}"#.into()).unwrap();
        let kept = merged(&written, &json!({"z": {"info": {}}})).unwrap();
        assert!(kept.get().contains(r#""n":1.50e3"#) && kept.get().contains(r#""\u0041""#), "{}", kept.get());
    }

    #[test]
    fn only_the_additive_list_grows_and_holds_each_entry_once() {
        let with = |s: Value| json!({"builder-code": {"info": {"s": s}}});
        assert_eq!(merge(&with(json!(["b", "a"])), &with(json!(["a", "c"]))), with(json!(["a", "c", "b"])));
        assert_eq!(merge(&with(json!("b")), &with(json!("a"))), with(json!(["a", "b"])));
    }

    #[test]
    fn what_would_not_fit_a_header_is_not_made() {
        let servers = RawValue::from_string(json!({"a": "x".repeat(ECHO_BYTES_MAX - 10)}).to_string()).unwrap();
        assert!(merged(&servers, &json!({})).is_some());
        assert!(merged(&servers, &json!({"b": {"info": {}}})).is_none());
    }
}
