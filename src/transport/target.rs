//! Where a URL leads: an endpoint to connect to, and the URI that goes into the request.
//!
//! Owns the reading of `http:`, `https:` and `unix:` URLs. Knows no sockets. The decision: a unix socket's URL
//! is `unix:/path/to/socket:/http/path?query`, divided at the first `:/` (as nginx has it); its requests name
//! the host `localhost`.

use super::pool::{Endpoint, Route};
use super::proxy::ProxyChoice;
use super::userinfo::{self, percent_decoded};
use crate::error::{Error, Status, printable};
use http::Uri;
use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use url::Url;

const UNIX_HOST: &str = "localhost";

pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    /// Absolute, without user information and fragment.
    pub(super) uri: Uri,
    /// The value of an `Authorization` header, from the URL's user name and password.
    pub(super) authorization: Option<Vec<u8>>,
}

/// `unix_socket` sends every request there, whatever host its URL names.
pub(super) fn target(
    url: &Url,
    proxies: &ProxyChoice,
    unix_socket: Option<&Path>,
    last: &LastUri,
) -> Result<Target, Error> {
    match url.scheme() {
        "http" | "https" => web_target(url, proxies, unix_socket, last),
        "unix" => unix_target(url, last),
        other => Err(Error::new(
            Status::Url,
            format!("the URL's scheme `{}` is not served: use http, https or unix", printable(other)),
        )),
    }
}

fn web_target(url: &Url, proxies: &ProxyChoice, unix_socket: Option<&Path>, last: &LastUri) -> Result<Target, Error> {
    let no_host = || Error::new(Status::Url, "the URL names no host: write it as http://host/path");
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(no_host)?;
    let port = url.port_or_known_default().ok_or_else(no_host)?;
    let route = match (unix_socket, proxies.for_url(url)) {
        (Some(path), _) => Route::UnixSocket(path.to_path_buf()),
        (None, Some(proxy)) => Route::Proxy(proxy.clone()),
        (None, None) => Route::Direct,
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_string();
    let mut bare = Cow::Borrowed(url);
    let authorization = if url.username().is_empty() && url.password().is_none() {
        None
    } else {
        userinfo::take_authorization(bare.to_mut())?
    };
    let uri = last.of(bare.as_str())?;
    Ok(Target { endpoint: Endpoint { is_https: url.scheme() == "https", host, port, route }, uri, authorization })
}

fn unix_target(url: &Url, last: &LastUri) -> Result<Target, Error> {
    let (socket, path) = url.path().split_once(":/").unwrap_or((url.path(), ""));
    if !socket.starts_with('/') {
        let message = "a unix URL names a socket by its absolute path: unix:/path/to/socket:/http/path";
        return Err(Error::new(Status::Url, message));
    }
    let socket = PathBuf::from(OsString::from_vec(percent_decoded(socket)));
    let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
    let uri = last.of(&format!("http://{UNIX_HOST}/{path}{query}"))?;
    let route = Route::UnixSocket(socket);
    let endpoint = Endpoint { is_https: false, host: UNIX_HOST.to_string(), port: 80, route };
    Ok(Target { endpoint, uri, authorization: None })
}

/// The URI of the last request, found by its text: one that comes again and again is parsed once. It ends with its
/// transport, because paths hold keys of nodes; a text with a query, where callers put secrets, is not kept at all.
#[derive(Default)]
pub(super) struct LastUri(Mutex<Option<(Box<str>, Uri)>>);

impl LastUri {
    /// Without the fragment. Where another thread is at it the text is just parsed.
    fn of(&self, text: &str) -> Result<Uri, Error> {
        let text = text.split('#').next().unwrap_or(text);
        if let Some((known, uri)) = self.0.try_lock().as_deref().ok().and_then(Option::as_ref)
            && **known == *text
        {
            return Ok(uri.clone());
        }
        let uri = text.parse::<Uri>().map_err(|cause| {
            let message =
                format!("the URL cannot be sent in a request ({cause}): percent-encode its special characters");
            Error::new(Status::Url, message).with_cause(cause)
        })?;
        if !text.contains('?')
            && let Ok(mut last) = self.0.try_lock()
        {
            *last = Some((text.into(), uri.clone()));
        }
        Ok(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target_of(text: &str) -> Result<Target, Error> {
        target(&Url::parse(text).unwrap(), &ProxyChoice::None, None, &LastUri::default())
    }

    #[test]
    fn web_urls() {
        let found = target_of("https://u%40x:p%3a@[::1]:8443/a?b=c#d").unwrap();
        assert_eq!(found.uri, "https://[::1]:8443/a?b=c");
        assert_eq!(found.authorization.as_deref(), Some(&b"Basic dUB4OnA6"[..]));
        let expected = Endpoint { is_https: true, host: "::1".to_string(), port: 8443, route: Route::Direct };
        assert_eq!(found.endpoint, expected);
        assert_eq!(target_of("http://example.org").unwrap().endpoint.port, 80);
    }

    #[test]
    fn unix_urls() {
        let found = target_of("unix:/run/a%20b.sock:/v1/items?x=/y:/z").unwrap();
        assert_eq!(found.endpoint.route, Route::UnixSocket(PathBuf::from("/run/a b.sock")));
        assert_eq!(found.uri, "http://localhost/v1/items?x=/y:/z");
        assert_eq!(target_of("unix:/run/a.sock").unwrap().uri, "http://localhost/");
        assert_eq!(target_of("unix:relative").err().map(|error| error.status), Some(Status::Url));
        assert_eq!(target_of("ftp://host/").err().map(|error| error.status), Some(Status::Url));
    }

    #[test]
    fn a_uri_that_comes_again_is_that_of_its_text_and_no_query_is_kept() {
        let last = LastUri::default();
        for text in ["http://a/x", "http://a/x", "http://a/x?key=1", "http://a/x", "http://a/x#f", "http://a/y"] {
            assert_eq!(last.of(text).unwrap(), text.split('#').next().unwrap());
            assert!(!last.0.lock().unwrap().as_ref().unwrap().0.contains('?'));
        }
        assert!(last.of("http://a/ y").is_err());
    }
}
