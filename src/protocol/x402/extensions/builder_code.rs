//! The extension `builder-code`: who built the software that pays, for the facilitator to write on the chain.
//!
//! Owns the form of a code and where ours go: into the list `s`, before the server's. The code `a` is the server's.
//! Codes are public and change nothing about a payment.

use super::merge;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const NAME: &str = "builder-code";

/// Codes a client may add.
pub const BUILDER_CODES_MAX: usize = 5;
const CODE_BYTES_MAX: usize = 32;
/// Entries of the merged list above which servers refuse the payment.
const LIST_MAX: usize = 10;

/// Whether `text` is a code: 1 to 32 of `a-z`, `0-9` and `_`.
pub fn is_builder_code(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=CODE_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// The extensions with `codes` added. `None` where the server did not declare the extension, or would refuse so many:
/// a payment without our name is better than one that is turned down.
pub(in crate::protocol) fn with_codes(extensions: &RawValue, codes: &[String]) -> Option<Box<RawValue>> {
    merge::declared(extensions, NAME)?;
    let merged = merge::merged(extensions, &json!({NAME: {"info": {"s": codes}}}))?;
    let info = merge::declared(&merged, NAME)?.remove("info")?;
    let info: Value = serde_json::from_str(info.get()).ok()?;
    (info["s"].as_array()?.len() <= LIST_MAX).then_some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn codes_are_added_where_they_are_declared_and_not_too_many() {
        let raw = |value: Value| RawValue::from_string(value.to_string()).unwrap();
        let declared = raw(json!({"builder-code": {"info": {"a": "app", "s": ["srv"]}}, "other": {}}));
        let merged: Value = serde_json::from_str(with_codes(&declared, &codes(&["cli"])).unwrap().get()).unwrap();
        assert_eq!(merged, json!({"builder-code": {"info": {"a": "app", "s": ["cli", "srv"]}}, "other": {}}));
        let without_info = raw(json!({"builder-code": {}}));
        let merged: Value = serde_json::from_str(with_codes(&without_info, &codes(&["cli"])).unwrap().get()).unwrap();
        assert_eq!(merged, json!({"builder-code": {"info": {"s": ["cli"]}}}));
        for other in [json!({}), json!({"builder-code": 1}), json!({"builder-code": {"info": 1}})] {
            assert!(with_codes(&raw(other.clone()), &codes(&["cli"])).is_none(), "{other}");
        }
        let full: Vec<String> = (0..LIST_MAX).map(|n| format!("c{n}")).collect();
        let full = raw(json!({"builder-code": {"info": {"s": full}}}));
        assert!(with_codes(&full, &codes(&["cli"])).is_none());
        assert!(with_codes(&full, &codes(&["c3"])).is_some());
    }

    #[test]
    fn a_code_has_its_form() {
        assert!(["a", "my_app2", &"x".repeat(32)].into_iter().all(is_builder_code));
        assert!(!["", "A", "a b", "a-b", "é", &"x".repeat(33)].into_iter().any(is_builder_code));
    }
}
