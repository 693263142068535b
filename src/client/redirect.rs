//! Our own redirect rules (RFC 9110 §15.4): where to go, with which method and body, and what must not come along.
//!
//! Owns the decision as a value; the loop carries it out. Its one decision: across origins only headers known
//! to be harmless are kept, because no list of secret ones is ever complete (`X-API-Key`, payment headers).

use super::request::parse_url;
use crate::error::{Error, Status, printable};
use crate::transport::Header;
use url::Url;

pub(super) const UNIX_SCHEME: &str = "unix";

/// What a 3xx asks for.
pub(super) struct Redirect {
    pub url: Url,
    /// 307 and 308 keep method and body; the others go on as GET without one.
    pub keeps_body: bool,
}

/// Caller's headers that may follow to another origin.
const HARMLESS_HEADERS: [&str; 14] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
    "user-agent",
];

/// Headers that speak of a body and go when it does.
const BODY_HEADERS: [&str; 4] = ["content-type", "content-encoding", "content-language", "content-location"];

/// The redirect that an answer asks for; `None` when it asks for none.
pub(super) fn read(status: u16, location: Option<&[u8]>, from: &Url, method: &str) -> Result<Option<Redirect>, Error> {
    let keeps_body = match status {
        301 | 302 => !method.eq_ignore_ascii_case("POST"),
        303 => method.eq_ignore_ascii_case("HEAD"),
        307 | 308 => true,
        _ => return Ok(None),
    };
    let Some(location) = location else { return Ok(None) };
    let bad = |why: String| Error::new(Status::Redirect, why);
    let text = std::str::from_utf8(location)
        .map_err(|_| bad(format!("{} redirects to a location that is not UTF-8", origin(from))))?;
    let shown = printable(text);
    let mut url =
        resolve(from, text).map_err(|cause| bad(format!("the redirect to \"{shown}\" is not a URL: {cause}")))?;
    url = parse_url(url.as_str())
        .map_err(|cause| bad(format!("the redirect to \"{shown}\" cannot be followed: {cause}")))?;
    if url.scheme() == UNIX_SCHEME && from.scheme() != UNIX_SCHEME {
        return Err(bad(format!("the redirect to \"{shown}\" would leave the network for a unix socket")));
    }
    if from.scheme() == "https" && url.scheme() == "http" {
        return Err(bad(format!(
            "the redirect from {} to \"{shown}\" leaves https for http; ask for the http URL yourself if you trust it",
            origin(from)
        )));
    }
    // A server must not choose the credentials that we present.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("the redirect carries a user name or password; it is not followed".to_string()));
    }
    if url.fragment().is_none() {
        url.set_fragment(from.fragment());
    }
    Ok(Some(Redirect { url, keeps_body }))
}

/// The headers that may go on to `to`.
pub(super) fn headers_after(headers: &[Header], from: &Url, to: &Url, keeps_body: bool) -> Vec<Header> {
    let same_origin = same_origin(from, to);
    let kept = |name: &str| {
        (same_origin || HARMLESS_HEADERS.contains(&name))
            && (keeps_body || !BODY_HEADERS.contains(&name))
            && name != "host"
    };
    headers.iter().filter(|(name, _)| kept(name.as_str())).cloned().collect()
}

/// Whether both name the same server. A unix socket is a server of its own.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    if one.scheme() == UNIX_SCHEME || other.scheme() == UNIX_SCHEME {
        return one.scheme() == other.scheme() && unix_socket(one) == unix_socket(other);
    }
    one == other || one.origin() == other.origin()
}

/// `scheme://host:port`, or `unix:/path`, as texts show it.
pub(super) fn origin(url: &Url) -> String {
    if url.scheme() == UNIX_SCHEME { format!("unix:{}", unix_socket(url)) } else { url.origin().ascii_serialization() }
}

/// `unix:/path/to/socket:/http/path` up to the second colon.
fn unix_socket(url: &Url) -> &str {
    url.path().split_once(":/").map_or(url.path(), |(socket, _)| socket)
}

/// A location as seen from `from`. On a unix socket only a path can be meant.
fn resolve(from: &Url, location: &str) -> Result<Url, String> {
    if from.scheme() == UNIX_SCHEME {
        if !location.starts_with('/') || location.starts_with("//") {
            return Err("from a unix socket only a path can be followed".to_string());
        }
        return Url::parse(&format!("unix:{}:{location}", unix_socket(from))).map_err(|cause| cause.to_string());
    }
    from.join(location).map_err(|cause| cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn a_unix_socket_is_an_origin_of_its_own() {
        let from = url("unix:/run/a.sock:/v1/x?y");
        let redirect = read(307, Some(b"/v2"), &from, "GET").unwrap().unwrap();
        assert_eq!(redirect.url.as_str(), "unix:/run/a.sock:/v2");
        assert!(same_origin(&from, &redirect.url) && origin(&from) == "unix:/run/a.sock");
        assert!(!same_origin(&from, &url("unix:/run/b.sock:/v1/x")) && !same_origin(&from, &url("http://localhost/")));
        assert!(read(307, Some(b"http://localhost/"), &from, "GET").is_err());
        assert!(read(307, Some(b"unix:/run/b.sock:/"), &url("https://a.example/"), "GET").is_err());
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn methods_and_bodies_follow_the_status() {
        let from = url("https://a.example/x/y?q#f");
        for (status, method, keeps) in [
            (301, "POST", false),
            (302, "POST", false),
            (302, "PUT", true),
            (303, "POST", false),
            (303, "HEAD", true),
            (307, "POST", true),
            (308, "POST", true),
        ] {
            let redirect = read(status, Some(b"../z"), &from, method).unwrap().unwrap();
            assert_eq!((redirect.url.as_str(), redirect.keeps_body), ("https://a.example/z#f", keeps), "{status}");
        }
        for status in [200, 300, 304, 402] {
            assert!(read(status, Some(b"/z"), &from, "GET").unwrap().is_none());
        }
        assert!(read(302, None, &from, "GET").unwrap().is_none());
    }

    #[test]
    fn redirects_that_would_hurt_are_refused() {
        let from = url("https://a.example/");
        for bad in ["http://a.example/", "ftp://a.example/", "https://u:p@a.example/", "https://[", "javascript:x"] {
            let outcome = read(302, Some(bad.as_bytes()), &from, "GET").map(|redirect| redirect.is_some());
            assert_eq!(outcome.err().map(|e| e.status), Some(Status::Redirect), "{bad}");
        }
    }

    #[test]
    fn nothing_secret_crosses_an_origin() {
        let secret =
            ["authorization", "cookie", "proxy-authorization", "payment-signature", "x-payment", "x-api-key", "host"];
        let headers: Vec<Header> = secret
            .iter()
            .chain(&["accept", "content-type"])
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("v")))
            .collect();
        let names = |headers: Vec<Header>| headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let (a, b) = (url("https://a.example/"), url("https://b.example/"));
        assert_eq!(names(headers_after(&headers, &a, &b, true)), ["accept", "content-type"]);
        assert_eq!(names(headers_after(&headers, &a, &b, false)), ["accept"]);
        assert_eq!(
            names(headers_after(&headers, &a, &url("https://a.example:8443/"), true)),
            ["accept", "content-type"]
        );
        assert_eq!(names(headers_after(&headers, &a, &url("https://a.example/other"), true)).len(), 8);
    }
}
