//! User name and password in a URL (RFC 3986 §3.2.1): out of it, and into an `Authorization` header.
//!
//! Owns the one lenient reading of percent-encoding, and Basic credentials as URLs carry them. Knows no requests. A
//! proxy's credentials are stricter and wiped after use: those are the proxy's own.

use crate::error::{Error, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

/// Takes `user:password@` out of `url`: the value of the `Authorization` header that says the same (RFC 7617), or `None` if
/// there is neither.
pub fn take_authorization(url: &mut Url) -> Result<Option<Vec<u8>>, Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let pair = [percent_decoded(url.username()), percent_decoded(url.password().unwrap_or_default())].join(&b':');
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    cleared.map_err(|()| Error::new(Status::Url, "the URL has a user name but no host"))?;
    Ok(Some(format!("Basic {}", STANDARD.encode(pair)).into_bytes()))
}

/// RFC 3986 §2.1; a `%` without two hex digits stands for itself.
pub(super) fn percent_decoded(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(*byte));
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (Option<String>, String) {
        let mut url = Url::parse(text).unwrap();
        let value = take_authorization(&mut url).unwrap();
        (value.map(|value| String::from_utf8(value).unwrap()), url.to_string())
    }

    #[test]
    fn userinfo_leaves_the_url_as_basic_credentials() {
        let basic = |pair: &str| Some(format!("Basic {}", STANDARD.encode(pair)));
        assert_eq!(taken("https://example.com/a@b"), (None, "https://example.com/a@b".to_string()));
        let bare = "https://example.com/".to_string();
        assert_eq!(taken("https://al%40ice:s%3acret@example.com/"), (basic("al@ice:s:cret"), bare.clone()));
        assert_eq!(taken("https://user@example.com/"), (basic("user:"), bare.clone()));
        assert_eq!(taken("https://:word@example.com/"), (basic(":word"), bare));
    }

    #[test]
    fn percent_without_two_digits_stands_for_itself() {
        assert_eq!(percent_decoded("%41%4g%4%%%2b%e4"), b"A%4g%4%%+\xe4");
    }
}
