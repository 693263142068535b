//! Strict reading of base64 and JSON written by strangers.
//!
//! Owns the rules that hold for every document of the protocol: one base64 alphabet, UTF-8, bounded depth,
//! JSON types that are never converted, no field twice. Must not know any field's meaning. Members are
//! found in one pass and kept as the raw text they were, because offers are echoed byte for byte.

use super::limits::{JSON_DEPTH_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::error::printable;
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// Which field is wrong, and why as the rest of a sentence that begins with the field's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub field: String,
    pub reason: String,
}

impl Fault {
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Fault {
        Fault { field: field.into(), reason: reason.into() }
    }

    /// The same fault seen from the object that holds this one.
    pub fn inside(mut self, parent: &str) -> Fault {
        self.field = format!("{parent}.{}", self.field);
        self
    }
}

/// Padding may be left out (as official clients allow); any byte outside the alphabet is refused.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The JSON text inside a header value.
pub(super) fn decode_header(value: &[u8], bytes_max: usize) -> Result<String, Fault> {
    if value.len() > bytes_max.div_ceil(3) * 4 {
        return Err(Fault::new("base64", format!("decodes to more than {bytes_max} bytes")));
    }
    let bytes = BASE64
        .decode(value)
        .map_err(|why| Fault::new("base64", format!("is not of the standard alphabet or is cut short ({why})")))?;
    String::from_utf8(bytes).map_err(|_| Fault::new("JSON", "is not UTF-8"))
}

/// Appends the padded base64 of `json`.
pub(super) fn encode_header(json: &str, out: &mut String) {
    STANDARD.encode_string(json, out);
}

/// How many base64 characters `bytes` bytes become.
pub(super) fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Refuses documents nested deeper than the limit, before any recursive reading.
pub(super) fn check_depth(json: &str) -> Result<(), Fault> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return Err(Fault::new("JSON", format!("is nested deeper than {JSON_DEPTH_MAX} levels")));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// The members of one JSON object that have the given names, in the order of the names. Others are passed
/// over; a name that appears twice is a fault, because which one the server meant is unknown.
pub(super) fn members<'a, const N: usize>(
    json: &'a str,
    names: &[&'static str; N],
    what: &str,
) -> Result<[Option<&'a RawValue>; N], Fault> {
    if !json.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        let kind = json.trim_start_matches([' ', '\t', '\r', '\n']);
        return Err(Fault::new(what, format!("is {}, but must be an object", kind_of(kind))));
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let mut found = Found { values: [None; N], twice: None };
    deserializer
        .deserialize_map(MembersVisitor { names, found: &mut found })
        .and_then(|()| deserializer.end())
        .map_err(|why| Fault::new(what, format!("is not valid JSON: {}", printable(&why.to_string()))))?;
    match found.twice {
        Some(name) => Err(Fault::new(name, "appears twice in one object")),
        None => Ok(found.values),
    }
}

struct Found<'a, const N: usize> {
    values: [Option<&'a RawValue>; N],
    twice: Option<&'static str>,
}

struct MembersVisitor<'n, 'f, 'a, const N: usize> {
    names: &'n [&'static str; N],
    found: &'f mut Found<'a, N>,
}

impl<'a, const N: usize> Visitor<'a> for MembersVisitor<'_, '_, 'a, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(position) = map.next_key_seed(NamePosition(self.names))? {
            let value: &'a RawValue = map.next_value()?;
            let Some(position) = position else { continue };
            if let (Some(slot), Some(name)) = (self.found.values.get_mut(position), self.names.get(position))
                && slot.replace(value).is_some()
            {
                self.found.twice = Some(name);
            }
        }
        Ok(())
    }
}

/// Finds a key among the names without copying it.
struct NamePosition<'n>(&'n [&'static str]);

impl<'a> DeserializeSeed<'a> for NamePosition<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NamePosition<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

/// The elements of an array, at most `elements_max` of them.
pub(super) fn elements<'a>(
    field: &'static str,
    raw: &'a RawValue,
    elements_max: usize,
) -> Result<Vec<&'a RawValue>, Fault> {
    struct Elements(usize);
    impl<'a> Visitor<'a> for Elements {
        type Value = Option<Vec<&'a RawValue>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(element) = seq.next_element()? {
                if all.len() < self.0 {
                    all.push(element);
                } else {
                    while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                    return Ok(None);
                }
            }
            Ok(Some(all))
        }
    }
    if !raw.get().starts_with('[') {
        return Err(Fault::new(field, format!("is {}, but must be an array", kind_of(raw.get()))));
    }
    match serde_json::Deserializer::from_str(raw.get()).deserialize_seq(Elements(elements_max)) {
        Ok(Some(all)) => Ok(all),
        Ok(None) => Err(Fault::new(field, format!("has more than {elements_max} entries"))),
        Err(why) => Err(Fault::new(field, format!("is not valid JSON: {}", printable(&why.to_string())))),
    }
}

/// A member that is neither missing nor null.
pub(super) fn required<'a>(field: &str, value: Option<&'a RawValue>) -> Result<&'a RawValue, Fault> {
    present(value).ok_or_else(|| {
        let reason = if value.is_some() { "is null, but must be set" } else { "is missing" };
        Fault::new(field, reason)
    })
}

/// `null` counts as absent, as in both official clients.
pub(super) fn present(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|raw| raw.get() != "null")
}

/// A string that must be there and not be empty: an identifier.
pub(super) fn name<'a>(field: &str, value: Option<&'a RawValue>) -> Result<Cow<'a, str>, Fault> {
    let text = string(field, required(field, value)?, NAME_BYTES_MAX)?;
    if text.is_empty() { Err(Fault::new(field, "is empty")) } else { Ok(text) }
}

/// A string for people, if there is one.
pub(super) fn optional_text<'a>(field: &str, value: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, Fault> {
    present(value).map(|raw| string(field, raw, TEXT_BYTES_MAX)).transpose()
}

/// A JSON string of bounded length; nothing else is turned into one.
pub(super) fn string<'a>(field: &str, raw: &'a RawValue, bytes_max: usize) -> Result<Cow<'a, str>, Fault> {
    let json = raw.get();
    let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Err(Fault::new(field, format!("is {}, but must be a string", kind_of(json))));
    };
    let text = if inner.contains('\\') {
        let decoded: Result<String, _> = serde_json::from_str(json);
        Cow::Owned(decoded.map_err(|why| Fault::new(field, format!("is not a valid string: {why}")))?)
    } else {
        Cow::Borrowed(inner)
    };
    if text.len() > bytes_max {
        return Err(Fault::new(field, format!("is longer than {bytes_max} bytes")));
    }
    Ok(text)
}

/// A JSON boolean.
pub(super) fn boolean(field: &str, raw: &RawValue) -> Result<bool, Fault> {
    match raw.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(Fault::new(field, format!("is {}, but must be true or false", kind_of(other)))),
    }
}

/// A JSON number written as digits only, from 1 to `max`.
pub(super) fn positive_integer(field: &str, raw: &RawValue, max: u64) -> Result<u64, Fault> {
    let text = raw.get();
    if kind_of(text) != "a number" {
        return Err(Fault::new(field, format!("is {}, but must be an integer", kind_of(text))));
    }
    let value = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match value.map(str::parse::<u64>) {
        Some(Ok(value)) if (1..=max).contains(&value) => Ok(value),
        _ => Err(Fault::new(field, format!("is {}, but must be an integer from 1 to {max}", printable(text)))),
    }
}

/// The value of an object whose names are all different; absent and null are the empty object.
pub(super) fn object(field: &str, value: Option<&RawValue>) -> Result<Map<String, Value>, Fault> {
    struct Strict<'f>(&'f mut Option<String>);
    impl<'a> Visitor<'a> for Strict<'_> {
        type Value = Map<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Map::new();
            while let Some(key) = map.next_key::<String>()? {
                if all.contains_key(&key) {
                    *self.0 = Some(key.clone());
                }
                all.insert(key, map.next_value()?);
            }
            Ok(all)
        }
    }
    let Some(raw) = present(value) else { return Ok(Map::new()) };
    check_object(field, raw)?;
    let mut twice = None;
    let read = serde_json::Deserializer::from_str(raw.get()).deserialize_map(Strict(&mut twice));
    match (read, twice) {
        (_, Some(key)) => Err(Fault::new(format!("{field}.{}", printable(&key)), "appears twice in one object")),
        (Ok(map), None) => Ok(map),
        (Err(why), None) => Err(Fault::new(field, format!("cannot be read: {}", printable(&why.to_string())))),
    }
}

pub(super) fn check_object(field: &str, raw: &RawValue) -> Result<(), Fault> {
    if raw.get().starts_with('{') {
        return Ok(());
    }
    Err(Fault::new(field, format!("is {}, but must be an object", kind_of(raw.get()))))
}

/// What a JSON value is, for a message; told from its first character.
pub(super) fn kind_of(json: &str) -> &'static str {
    match json.bytes().next() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "not JSON",
    }
}
