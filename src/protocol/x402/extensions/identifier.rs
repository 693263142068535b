//! The extension `payment-identifier`: an id by which a server knows a payment that it has seen.
//!
//! Owns where the id goes. It makes the server's memory a second guard against paying twice, so it is given
//! wherever it is asked for.

use super::merge;
use serde_json::json;
use serde_json::value::RawValue;

const NAME: &str = "payment-identifier";

pub(in crate::protocol) fn is_wanted(extensions: &RawValue) -> bool {
    merge::declared(extensions, NAME).is_some()
}

/// The extensions with `id` as `payment-identifier.info.id`. `None` where it is not asked for, or the server put one
/// there itself, or the result would be too long to send.
pub(in crate::protocol) fn with_id(extensions: &RawValue, id: &str) -> Option<Box<RawValue>> {
    let declared = merge::declared(extensions, NAME)?;
    if let Some(info) = declared.get("info")
        && merge::members(info)?.contains_key("id")
    {
        return None;
    }
    merge::merged(extensions, &json!({NAME: {"info": {"id": id}}}))
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
        assert!(is_wanted(&declared));
        let merged = with_id(&declared, "pay_0").unwrap();
        assert!(merged.get().contains("1.50e3"), "numbers stay as they were written: {}", merged.get());
        let value: serde_json::Value = serde_json::from_str(merged.get()).unwrap();
        let extension = &value["payment-identifier"];
        assert_eq!(extension["info"], json!({"required": true, "id": "pay_0"}));
        assert_eq!(extension["schema"], json!({"a": [1]}));
    }

    #[test]
    fn an_id_goes_only_where_one_is_asked_for() {
        for other in [r#"{}"#, r#"{"a":"payment-identifier"}"#, r#"{"payment-identifier":7}"#] {
            assert!(with_id(&raw(other), "pay_0").is_none(), "{other}");
            assert!(!is_wanted(&raw(other)), "{other}");
        }
        let own = raw(r#"{"payment-identifier":{"info":{"id":"theirs"}}}"#);
        assert!(with_id(&own, "pay_0").is_none());
    }
}
