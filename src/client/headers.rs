//! The headers of a request: the caller's, the defaults that he did not set, and the payment.
//!
//! Owns which are added and when. Knows no connection: framing is the transport's.

use super::request::Request;
use super::response::first_header;
use super::settings::Settings;
use crate::error::{Error, Status};
use crate::payer::Authorized;
use crate::transport::{Header, decode};
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, USER_AGENT};
use http::{HeaderName, HeaderValue};

/// How many headers are sent unasked, the payment included.
const DEFAULT_HEADERS: usize = 4;

/// The caller's headers and the defaults he did not set.
pub(super) fn first_headers(request: &Request, settings: &Settings) -> Vec<Header> {
    let mut headers = Vec::with_capacity(request.headers.len() + DEFAULT_HEADERS);
    headers.extend_from_slice(&request.headers);
    let mut default = |name: HeaderName, value: HeaderValue| {
        if !value.is_empty() && first_header(&headers, name.as_str()).is_none() {
            headers.push((name, value));
        }
    };
    default(USER_AGENT, settings.user_agent.clone());
    default(ACCEPT, HeaderValue::from_static("*/*"));
    if settings.decompress {
        default(ACCEPT_ENCODING, HeaderValue::from_static(decode::ACCEPT_ENCODING));
    }
    headers
}

/// The headers and the payment; a request with a payment of the caller's own never comes here. A shared cache knows
/// nothing of payment headers: it would keep what was paid for, or answer with the 402 it kept (RFC 9111 §5.2.1.4,
/// §5.2.1.5).
pub(super) fn with_payment(headers: &[Header], payment: Header) -> Vec<Header> {
    let mut paid = Vec::with_capacity(headers.len() + 2);
    paid.extend_from_slice(headers);
    if first_header(&paid, "cache-control").is_none() {
        paid.push((CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store")));
    }
    paid.push(payment);
    paid
}

/// The header that pays. Its value is a cheque to bearer, and marked as such.
pub(super) fn payment_header(authorized: &Authorized) -> Result<Header, Error> {
    let (name, value) = authorized.header();
    let unsendable = |cause: http::Error| {
        Error::new(Status::Sign, "the payment cannot be written in a header; nothing is sent").with_cause(cause)
    };
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|cause| unsendable(cause.into()))?;
    let mut value = HeaderValue::from_str(value).map_err(|cause| unsendable(cause.into()))?;
    value.set_sensitive(true);
    Ok((name, value))
}

pub(super) fn with_header(headers: &[Header], header: Header) -> Vec<Header> {
    let mut all = headers.to_vec();
    all.push(header);
    all
}

pub(super) fn content_length(headers: &[Header]) -> u64 {
    let text = first_header(headers, "content-length").and_then(|value| std::str::from_utf8(value).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX)
}
