//! The head of a request, checked and in ureq's form.
//!
//! Owns what this layer adds (`Host` through ureq, `Content-Length`, Basic credentials of the URL) and what it
//! refuses. Knows no sockets. Everything is checked here, before a connection is touched, so that ureq never
//! finds fault with a request.

use super::incoming::Header;
use super::outgoing::OutgoingBody;
use super::target::Target;
use crate::error::{Error, Status, printable};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

/// What ureq adds to a head beyond what is counted one by one.
const HEAD_SLACK_BYTES: usize = 512;

pub(super) struct Head {
    pub(super) request: Request<()>,
    /// At least the bytes of the head on the wire.
    pub(super) bytes_max: usize,
    /// The caller's own headers asked for `Expect: 100-continue`.
    pub(super) asks_to_expect: bool,
}

pub(super) fn head(method: &str, target: &Target, headers: &[Header], body: &OutgoingBody<'_>) -> Result<Head, Error> {
    let method = checked_method(method)?;
    let mut map = HeaderMap::with_capacity(headers.len() + 2);
    let mut bytes_max = HEAD_SLACK_BYTES + method.as_str().len() + target.uri.path().len();
    bytes_max += target.uri.query().map_or(0, str::len) + 2 * target.endpoint.host.len();
    let mut asks_to_expect = false;
    for (name, value) in headers {
        if name == EXPECT && value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            asks_to_expect = true;
            continue;
        }
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            check_framing(name, value, body)?;
            continue;
        }
        if (name == HOST || name == AUTHORIZATION) && value.to_str().is_err() {
            let message = format!("the value of the header `{name}` holds bytes beyond ASCII: encode them");
            return Err(Error::new(Status::Header, message));
        }
        bytes_max += name.as_str().len() + value.len() + 4;
        if name == HOST {
            map.insert(HOST, value.clone());
        } else {
            append(&mut map, name.clone(), value.clone())?;
        }
    }
    if let Some(value) = &target.authorization
        && !map.contains_key(AUTHORIZATION)
    {
        let value = secret(value)?;
        bytes_max += AUTHORIZATION.as_str().len() + value.len() + 4;
        append(&mut map, AUTHORIZATION, value)?;
    }
    if let Some(length) = announced_length(&method, body) {
        append(&mut map, CONTENT_LENGTH, HeaderValue::from(length))?;
    }
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = target.uri.clone();
    *request.headers_mut() = map;
    Ok(Head { request, bytes_max, asks_to_expect })
}

fn checked_method(method: &str) -> Result<Method, Error> {
    let parsed = Method::from_bytes(method.as_bytes()).map_err(|cause| {
        let message = format!("the method `{}` is not an HTTP token: use letters, as in GET", printable(method));
        Error::new(Status::Method, message).with_cause(cause)
    })?;
    if parsed == Method::CONNECT {
        let message = "the method CONNECT opens a tunnel and carries no request: use the proxy setting";
        return Err(Error::new(Status::Method, message));
    }
    Ok(parsed)
}

fn append(map: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<(), Error> {
    map.try_append(name, value).map(|_| ()).map_err(|cause| {
        Error::new(Status::Header, "the request has more headers than can be sent: remove some").with_cause(cause)
    })
}

/// A caller's own framing header may stand when it says what this layer says anyway.
fn check_framing(name: &HeaderName, value: &HeaderValue, body: &OutgoingBody<'_>) -> Result<(), Error> {
    let agrees = match body {
        OutgoingBody::None => name == CONTENT_LENGTH && value == "0",
        OutgoingBody::Sized(length, _) => name == CONTENT_LENGTH && *value == HeaderValue::from(*length),
        OutgoingBody::Chunked(_) => name == TRANSFER_ENCODING && value.as_bytes().eq_ignore_ascii_case(b"chunked"),
    };
    if agrees {
        return Ok(());
    }
    let message = format!("the header `{name}` contradicts the body: leave it out, it is set from the body's length");
    Err(Error::new(Status::Header, message))
}

/// An empty body is announced where a server would otherwise wait for one (RFC 9110 §8.6).
fn announced_length(method: &Method, body: &OutgoingBody<'_>) -> Option<u64> {
    match body {
        OutgoingBody::Sized(length, _) => Some(*length),
        OutgoingBody::None if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => Some(0),
        OutgoingBody::None | OutgoingBody::Chunked(_) => None,
    }
}

fn secret(value: &[u8]) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_bytes(value).map_err(|cause| {
        Error::new(Status::Url, "the URL's user name and password cannot be sent").with_cause(cause)
    })?;
    value.set_sensitive(true);
    Ok(value)
}
