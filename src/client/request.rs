//! A request as the caller builds it: method, URL, headers, body, and settings of its own.
//!
//! Owns the checks at the boundary: what is not a valid method, URL or header is refused here, naming the
//! part, so that nothing below has to doubt its input. Headers that describe the body's framing are the
//! library's, because a wrong one would cut or double a body.

use super::settings::Settings;
use crate::body::{Body, Source};
use crate::error::{Error, Status, printable};
use crate::transport::{Cancel, Header, userinfo};
use http::{HeaderName, HeaderValue};
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use url::Url;

/// Called with (sent, send total, received, receive total) in bytes; a total of `u64::MAX` is unknown.
pub type Progress = Box<dyn FnMut(u64, u64, u64, u64) -> Result<(), Error> + Send>;

/// One request; may be sent again when its body can be read again. Use from one thread at a time.
pub struct Request {
    pub(super) method: String,
    pub(super) url: Url,
    pub(super) headers: Vec<Header>,
    pub(super) body: Body,
    pub(super) settings: Vec<(String, String)>,
    pub(super) progress: Option<Arc<Mutex<Progress>>>,
    pub(super) cancel: Cancel,
}

/// Bounds of what a caller may send in a head.
const METHOD_BYTES_MAX: usize = 64;
const URL_BYTES_MAX: usize = 65_536;
const HEADERS_MAX: usize = 100;

/// Headers that only the library sets, with what to use instead.
const FRAMING_HEADERS: [(&str, &str); 3] = [
    ("content-length", "the length is given with the body"),
    ("transfer-encoding", "a body of unknown length is sent in chunks by itself"),
    ("expect", "use the setting expect_continue"),
];

impl Request {
    pub fn new(method: &str, url: &str) -> Result<Self, Error> {
        if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.bytes().all(is_token_byte) {
            let shown = printable(method);
            return Err(Error::new(Status::Method, format!("\"{shown}\" is not an HTTP method; use a token like GET")));
        }
        if method.eq_ignore_ascii_case("CONNECT") {
            return Err(Error::new(Status::Method, "CONNECT opens tunnels, which this client does for proxies itself"));
        }
        let mut url = parse_url_again(url)?;
        // As curl does; and what goes into logs and ledgers later has no password in it.
        let authorization = match userinfo::take_authorization(&mut url)? {
            Some(value) => Some(header("authorization", &value)?),
            None => None,
        };
        Ok(Request {
            method: method.to_string(),
            url,
            headers: authorization.into_iter().collect(),
            body: Body::new(Source::Empty),
            settings: Vec::new(),
            progress: None,
            cancel: Cancel::new(),
        })
    }

    /// Adds a header. One name may be added several times.
    pub fn header(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        let header = header(name, value)?;
        if let Some((framing, instead)) = FRAMING_HEADERS.iter().find(|(framing, _)| header.0 == *framing) {
            return Err(Error::new(Status::Header, format!("the header {framing} is set by the library; {instead}")));
        }
        if self.headers.len() >= HEADERS_MAX {
            return Err(Error::new(Status::Header, format!("a request may have at most {HEADERS_MAX} headers")));
        }
        self.headers.push(header);
        Ok(())
    }

    pub fn body(&mut self, source: Source) {
        self.body = Body::new(source);
    }

    /// A setting for this request alone; checked now, laid over the client's when it is sent.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        Settings::new()?.set_for_request(key, value)?;
        self.settings.push((key.to_string(), value.to_string()));
        Ok(())
    }

    /// The client's settings with this request's own laid over them.
    pub(super) fn settings_over<'a>(&self, client: &'a Settings) -> Result<Cow<'a, Settings>, Error> {
        let mut settings = Cow::Borrowed(client);
        for (key, value) in &self.settings {
            settings.to_mut().set_for_request(key, value)?;
        }
        Ok(settings)
    }

    pub fn progress(&mut self, progress: Progress) {
        self.progress = Some(Arc::new(Mutex::new(progress)));
    }

    /// Stops this request from any thread, now or later; a cancelled request stays cancelled.
    pub fn cancel_handle(&self) -> Cancel {
        self.cancel.clone()
    }
}

/// As [`parse_url`]; a URL that is asked for again and again is parsed once.
fn parse_url_again(text: &str) -> Result<Url, Error> {
    thread_local! {
        static LAST: RefCell<Option<Url>> = const { RefCell::new(None) };
    }
    // A URL in its normal form is what parsing that form gives.
    let last = LAST.try_with(|last| last.borrow().as_ref().filter(|last| last.as_str() == text).cloned());
    if let Ok(Some(url)) = last {
        return Ok(url);
    }
    let url = parse_url(text)?;
    // Callers put secrets into user information and queries: those must not outlive their request.
    if url.username().is_empty() && url.password().is_none() && url.query().is_none() {
        let _ = LAST.try_with(|last| last.replace(Some(url.clone())));
    }
    Ok(url)
}

/// Parses a URL this client can serve. The message never repeats a password.
pub(super) fn parse_url(text: &str) -> Result<Url, Error> {
    let bad = |why: &str| {
        let shown = without_userinfo(text);
        Error::new(Status::Url, format!("the URL \"{shown}\" {why}"))
    };
    if text.is_empty() {
        return Err(Error::new(Status::Url, "the URL is empty; use one like https://api.example.com/path"));
    }
    if text.len() > URL_BYTES_MAX {
        return Err(Error::new(Status::Url, format!("the URL is longer than {URL_BYTES_MAX} bytes")));
    }
    // The parser would drop these silently, and a URL that changes under the caller is a URL he did not mean.
    if text.chars().any(|c| c.is_ascii_control() || c == ' ') {
        return Err(bad("holds a space or a control character; percent-encode it"));
    }
    let url = Url::parse(text).map_err(|cause| bad(&format!("cannot be parsed: {cause}")))?;
    match url.scheme() {
        "http" | "https" if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(url),
        "http" | "https" => Err(bad("has no host")),
        "unix" if url.path().starts_with('/') && !url.has_authority() => Ok(url),
        "unix" => Err(bad("does not name a socket; write unix:/path/to/socket:/http/path")),
        other => {
            let shown = printable(other);
            Err(bad(&format!("has the scheme \"{shown}\"; this client serves https, http and unix")))
        }
    }
}

fn without_userinfo(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) if scheme.is_empty() => printable(&rest[at + 1..]),
        Some(at) => printable(&format!("{scheme}://{}", &rest[at + 1..])),
        None => printable(text),
    }
}

/// RFC 9110 §5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 §5.5: no CR, LF, NUL or other control but tab. The value may be a secret and is not repeated.
fn header(name: &str, value: &[u8]) -> Result<Header, Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|cause| {
        let shown = printable(name);
        Error::new(Status::Header, format!("\"{shown}\" is not a header name; use letters, digits and -"))
            .with_cause(cause)
    })?;
    if let Some(byte) = value.iter().find(|byte| (**byte < 0x20 && **byte != b'\t') || **byte == 0x7f) {
        return Err(Error::new(
            Status::Header,
            format!("the value of the header {name} holds the control character 0x{byte:02x}; remove or encode it"),
        ));
    }
    let value = HeaderValue::from_bytes(value.trim_ascii()).map_err(|cause| {
        Error::new(Status::Header, format!("the value of the header {name} cannot be sent; encode it"))
            .with_cause(cause)
    })?;
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_served_is_named_without_its_password() {
        for (url, part) in [
            ("", "empty"),
            ("api.example.com", "cannot be parsed"),
            ("ftp://x/", "scheme \"ftp\""),
            ("http:///x", ""),
            ("https://a b/", "space"),
            ("https://u:hunter2@exa mple/", "space"),
            ("https://u:hunter2@[::1", "cannot be parsed"),
            ("https://x:99999/", "cannot be parsed"),
            ("unix:relative", "unix:/path/to/socket:/http/path"),
        ] {
            let error = match Request::new("GET", url) {
                Ok(request) => {
                    assert_eq!(url, "http:///x");
                    assert_eq!(request.url.host_str(), Some("x"));
                    continue;
                }
                Err(error) => error,
            };
            assert_eq!(error.status, Status::Url, "{url}");
            assert!(error.message.contains(part), "{url}: {}", error.message);
            assert!(!error.message.contains("hunter2"), "{}", error.message);
        }
    }

    #[test]
    fn a_url_means_the_same_every_time() {
        let texts = ["https://a.example/x", "https://A.example:443/x/../y", "https://a.example", "unix:/a.sock:/b"];
        for text in texts.into_iter().cycle().take(12).chain(texts.into_iter().flat_map(|text| [text, text])) {
            assert_eq!(Request::new("GET", text).unwrap().url, Url::parse(text).unwrap());
        }
    }

    #[test]
    fn userinfo_becomes_basic_authorization() {
        let request = Request::new("GET", "https://al%40ice:s%3acret@example.com/").unwrap();
        assert_eq!(request.url.as_str(), "https://example.com/");
        let [(name, value)] = &request.headers[..] else { panic!("{} headers", request.headers.len()) };
        assert!(name == "authorization" && value == "Basic YWxAaWNlOnM6Y3JldA==");
    }

    #[test]
    fn a_header_that_would_break_the_head_is_refused_without_its_value() {
        let mut request = Request::new("GET", "https://example.com/").unwrap();
        for (name, value) in
            [("a b", "x"), ("", "x"), ("x:", "x"), ("x", "se\rcret"), ("x", "se\ncret"), ("x", "se\0cret")]
        {
            let error = request.header(name, value.as_bytes()).unwrap_err();
            assert_eq!(error.status, Status::Header);
            assert!(!error.message.contains("cret"), "{}", error.message);
        }
        assert!(request.header("Content-Length", b"5").is_err());
        assert!(request.header("X-Ok", "schön".as_bytes()).is_ok());
    }

    #[test]
    fn a_method_is_a_token() {
        for bad in ["", "GE T", "GET\r\n", "CONNECT"] {
            assert_eq!(Request::new(bad, "https://example.com/").err().map(|e| e.status), Some(Status::Method));
        }
        assert!(Request::new("PROPFIND", "https://example.com/").is_ok());
    }
}
