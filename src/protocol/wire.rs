//! Strict reading of base64 and JSON written by strangers.
//!
//! Owns the rules that hold for every document of the protocol: one base64 alphabet, UTF-8, bounded depth,
//! JSON types that are never converted, no field twice. Must not know any field's meaning. What is wrong with
//! a field is a [`Fault`] that begins with its name.

use super::json::{Document, Json, Unreadable};
use super::limits::{JSON_DEPTH_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::error::printable;
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::borrow::Cow;

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

/// Reads the text of one JSON object.
pub(super) fn read_object(json: &str) -> Result<Document<'_>, Fault> {
    let json = json.trim_matches([' ', '\t', '\r', '\n']);
    if !json.starts_with('{') {
        return Err(Fault::new("JSON", format!("is {}, but must be an object", kind_of(json))));
    }
    Document::read(json).map_err(|why| match why {
        Unreadable::TooDeep => Fault::new("JSON", format!("is nested deeper than {JSON_DEPTH_MAX} levels")),
        Unreadable::Syntax => {
            // Read again for the place of the mistake, which only a message needs.
            let mistake = serde_json::from_str::<IgnoredAny>(json).err().map(|why| why.to_string());
            Fault::new("JSON", format!("is not valid JSON: {}", printable(&mistake.unwrap_or_default())))
        }
    })
}

/// The members of one JSON object that have the given names, in the order of the names. Others are passed
/// over; a name that appears twice is a fault, because which one the server meant is unknown.
pub(super) fn members<'d, const N: usize>(
    object: Json<'d>,
    names: &[&'static str; N],
    what: &str,
) -> Result<[Option<Json<'d>>; N], Fault> {
    check_object(what, object)?;
    let mut values = [None; N];
    let mut twice = None;
    for (name, value) in object.members() {
        let name = name.unquoted().ok_or_else(|| Fault::new(what, "has a name that is not valid text"))?;
        for (slot, wanted) in values.iter_mut().zip(names) {
            if name == *wanted && slot.replace(value).is_some() {
                twice = Some(*wanted);
            }
        }
    }
    match twice {
        Some(name) => Err(Fault::new(name, "appears twice in one object")),
        None => Ok(values),
    }
}

/// The elements of an array, at most `elements_max` of them.
pub(super) fn elements<'d>(field: &str, array: Json<'d>, elements_max: usize) -> Result<Vec<Json<'d>>, Fault> {
    if !array.text().starts_with('[') {
        return Err(Fault::new(field, format!("is {}, but must be an array", kind_of(array.text()))));
    }
    let all: Vec<_> = array.children().take(elements_max + 1).collect();
    if all.len() > elements_max {
        return Err(Fault::new(field, format!("has more than {elements_max} entries")));
    }
    Ok(all)
}

/// A member that is neither missing nor null.
pub(super) fn required<'a>(field: &str, value: Option<Json<'a>>) -> Result<Json<'a>, Fault> {
    present(value).ok_or_else(|| {
        let reason = if value.is_some() { "is null, but must be set" } else { "is missing" };
        Fault::new(field, reason)
    })
}

/// `null` counts as absent, as in both official clients.
pub(super) fn present(value: Option<Json<'_>>) -> Option<Json<'_>> {
    value.filter(|raw| raw.text() != "null")
}

/// A string that must be there and not be empty: an identifier.
pub(super) fn name<'a>(field: &str, value: Option<Json<'a>>) -> Result<Cow<'a, str>, Fault> {
    let text = string(field, required(field, value)?, NAME_BYTES_MAX)?;
    if text.is_empty() { Err(Fault::new(field, "is empty")) } else { Ok(text) }
}

/// A string for people, if there is one.
pub(super) fn optional_text<'a>(field: &str, value: Option<Json<'a>>) -> Result<Option<Cow<'a, str>>, Fault> {
    present(value).map(|raw| string(field, raw, TEXT_BYTES_MAX)).transpose()
}

/// A JSON string of bounded length; nothing else is turned into one.
pub(super) fn string<'a>(field: &str, raw: Json<'a>, bytes_max: usize) -> Result<Cow<'a, str>, Fault> {
    if !raw.text().starts_with('"') {
        return Err(Fault::new(field, format!("is {}, but must be a string", kind_of(raw.text()))));
    }
    let text = raw.unquoted().ok_or_else(|| Fault::new(field, "is not a valid string: it holds half a character"))?;
    if text.len() > bytes_max {
        return Err(Fault::new(field, format!("is longer than {bytes_max} bytes")));
    }
    Ok(text)
}

/// A JSON boolean.
pub(super) fn boolean(field: &str, raw: Json<'_>) -> Result<bool, Fault> {
    match raw.text() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(Fault::new(field, format!("is {}, but must be true or false", kind_of(other)))),
    }
}

/// A JSON number written as digits only, from 1 to `max`.
pub(super) fn positive_integer(field: &str, raw: Json<'_>, max: u64) -> Result<u64, Fault> {
    let text = raw.text();
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
pub(super) fn object(field: &str, value: Option<Json<'_>>) -> Result<Map<String, Value>, Fault> {
    let Some(object) = present(value) else { return Ok(Map::new()) };
    check_object(field, object)?;
    let mut all = Map::new();
    for (name, value) in object.members() {
        let name = name.unquoted().ok_or_else(|| Fault::new(field, "has a name that is not valid text"))?;
        if all.contains_key(&*name) {
            return Err(Fault::new(format!("{field}.{}", printable(&name)), "appears twice in one object"));
        }
        let value = match value.unquoted() {
            Some(text) => Value::String(text.into_owned()),
            None => serde_json::from_str(value.text())
                .map_err(|why| Fault::new(field, format!("cannot be read: {}", printable(&why.to_string()))))?,
        };
        all.insert(name.into_owned(), value);
    }
    Ok(all)
}

pub(super) fn check_object(field: &str, raw: Json<'_>) -> Result<(), Fault> {
    if raw.text().starts_with('{') {
        return Ok(());
    }
    Err(Fault::new(field, format!("is {}, but must be an object", kind_of(raw.text()))))
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
