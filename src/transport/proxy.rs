//! Proxies: how one is named, which requests go through it, and the handshake that opens a tunnel.
//!
//! Owns the parsing of proxy URLs and their credentials, which are wiped on drop and never printed. Knows no
//! connecting: the caller hands in a stream that is connected to the proxy and honours deadlines and
//! cancellation itself. Every request is tunnelled, plain http too (CONNECT, never the absolute form), so that
//! a proxy cannot read or reorder what passes; a proxy that is itself spoken to over TLS is refused.

use crate::error::{Error, Status, printable};
use std::fmt;
use std::io::{Read, Write};
use url::{Host, Url};
use zeroize::Zeroizing;

mod connect;
mod environment;
mod socks5;

pub use environment::EnvironmentProxies;

/// The port of a proxy URL that names none, for every kind (as curl does).
const DEFAULT_PORT: u16 = 1080;

/// How the proxy is spoken to, and who resolves the target's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyKind {
    /// HTTP CONNECT (RFC 9110 §9.3.6); the proxy resolves names.
    Http,
    /// SOCKS5 (RFC 1928); names are resolved here, before the proxy is asked.
    Socks5,
    /// SOCKS5; the proxy resolves names.
    Socks5h,
}

impl ProxyKind {
    /// Whether [`connect_through`] wants an IP address as the target's host.
    pub fn resolves_here(self) -> bool {
        self == ProxyKind::Socks5
    }

    fn scheme(self) -> &'static str {
        match self {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
            ProxyKind::Socks5h => "socks5h",
        }
    }
}

/// A proxy's address and credentials. `Display` and `Debug` show the address alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub kind: ProxyKind,
    /// A domain name or an IP address; an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
    credentials: Option<Credentials>,
}

/// User name and password as bytes: percent-decoding need not give UTF-8.
#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    user: Zeroizing<Vec<u8>>,
    password: Zeroizing<Vec<u8>>,
}

impl Proxy {
    /// Parses `http://user:password@host:port`, `socks5://…` or `socks5h://…`; without a scheme it is `http`,
    /// without a port 1080. User name and password are percent-decoded.
    ///
    /// Every failure is [`Status::Setting`]. No message repeats the text: it may hold a password.
    pub fn parse(text: &str) -> Result<Proxy, Error> {
        let text = text.trim();
        let (kind, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (kind_of(scheme)?, rest),
            None => (ProxyKind::Http, text),
        };
        // The last `@` ends the credentials: an unescaped one in a password then stays in the password.
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((userinfo, address)) => (Some(parse_credentials(userinfo, kind)?), address),
            None => (None, rest),
        };
        let address = address.strip_suffix('/').unwrap_or(address);
        if address.contains(['/', '?', '#']) {
            return Err(setting_error("the proxy's URL goes on after its port: give only scheme, host and port"));
        }
        let (host, port) = parse_address(address)?;
        Ok(Proxy { kind, host, port, credentials })
    }

    /// Whether a user name was given.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.kind.scheme(), self.authority())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = if self.has_credentials() { " with credentials" } else { "" };
        write!(f, "Proxy({self}{credentials})")
    }
}

/// Which proxy a request goes through.
#[derive(Clone, Debug, Default)]
pub enum ProxyChoice {
    #[default]
    None,
    Fixed(Proxy),
    FromEnvironment(EnvironmentProxies),
}

impl ProxyChoice {
    /// The proxy for `url`, or none when it is to be reached directly.
    pub fn for_url(&self, url: &Url) -> Option<&Proxy> {
        match self {
            ProxyChoice::None => None,
            ProxyChoice::Fixed(proxy) => Some(proxy),
            ProxyChoice::FromEnvironment(proxies) => proxies.for_url(url),
        }
    }
}

/// Opens a tunnel to `target_host:target_port` on a stream that is connected to `proxy`.
///
/// Afterwards the stream carries the target's bytes: not one byte past the proxy's answer has been read.
/// `target_host` is a domain name or an IP address (IPv6 with or without brackets); for a kind that
/// [`resolves here`](ProxyKind::resolves_here) it must be an address. An error that the stream's own
/// reads and writes carry (deadline, cancellation) is handed on; everything else is [`Status::Proxy`].
pub fn connect_through(
    proxy: &Proxy,
    stream: &mut (impl Read + Write),
    target_host: &str,
    target_port: u16,
) -> Result<(), Error> {
    let target_host = target_host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(target_host);
    match proxy.kind {
        ProxyKind::Http => connect::open_tunnel(proxy, stream, target_host, target_port),
        ProxyKind::Socks5 | ProxyKind::Socks5h => socks5::open_tunnel(proxy, stream, target_host, target_port),
    }
}

fn kind_of(scheme: &str) -> Result<ProxyKind, Error> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok(ProxyKind::Http),
        "socks5" => Ok(ProxyKind::Socks5),
        "socks5h" => Ok(ProxyKind::Socks5h),
        "https" => Err(setting_error(
            "a proxy that is spoken to over TLS (https://) is not supported: use its http:// address; what passes \
             through is encrypted between this client and an https server all the same",
        )),
        "socks" | "socks4" | "socks4a" => Err(setting_error(format!(
            "a {}:// proxy is not supported: use socks5:// or socks5h://",
            scheme.to_ascii_lowercase()
        ))),
        unknown => {
            // What does not look like a scheme may be the beginning of a password.
            let is_scheme = unknown.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
            let shown = if is_scheme { format!(" `{}`", printable(unknown)) } else { String::new() };
            let message = format!("the proxy's scheme{shown} is unknown: use http://, socks5:// or socks5h://");
            Err(setting_error(message))
        }
    }
}

fn parse_address(address: &str) -> Result<(String, u16), Error> {
    let (host, port) = match address.rfind(']') {
        Some(end) => address.split_at(end + 1),
        None => address.split_at(address.rfind(':').unwrap_or(address.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse::<u16>().ok().filter(|port| *port != 0)
        }
        Some("") => Some(DEFAULT_PORT),
        Some(_) => None,
        None if port.is_empty() => Some(DEFAULT_PORT),
        None => None,
    };
    let Some(port) = port else {
        return Err(setting_error("the proxy's port is not a number from 1 to 65535"));
    };
    if host.is_empty() {
        return Err(setting_error("the proxy's URL names no host: it must look like http://host:port"));
    }
    let host = match Host::parse(host) {
        Ok(Host::Domain(name)) => name,
        Ok(Host::Ipv4(address)) => address.to_string(),
        Ok(Host::Ipv6(address)) => address.to_string(),
        Err(cause) => {
            let message = format!("the proxy's host is neither a domain name nor an IP address ({cause})");
            return Err(setting_error(message));
        }
    };
    Ok((host, port))
}

fn parse_credentials(userinfo: &str, kind: ProxyKind) -> Result<Credentials, Error> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let user = percent_decoded(user, "user name")?;
    let password = percent_decoded(password, "password")?;
    match kind {
        ProxyKind::Http if user.contains(&b':') => {
            Err(setting_error("the proxy's user name holds a colon, which Basic authentication cannot carry"))
        }
        ProxyKind::Http if user.iter().chain(password.iter()).any(|b| b.is_ascii_control()) => Err(setting_error(
            "the proxy's user name or password holds a control character, which Basic authentication cannot carry",
        )),
        ProxyKind::Socks5 | ProxyKind::Socks5h if user.is_empty() || user.len() > 255 || password.len() > 255 => {
            Err(setting_error(
                "a SOCKS5 user name has 1 to 255 bytes and a password at most 255: the proxy's URL has others",
            ))
        }
        _ => Ok(Credentials { user, password }),
    }
}

/// RFC 3986 §2.1, strictly: a `%` that two hex digits do not follow is a mistake worth naming.
fn percent_decoded(text: &str, what: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match (digit(bytes.next()), digit(bytes.next())) {
            (Some(high), Some(low)) => out.push(high << 4 | low),
            _ => {
                let message = format!(
                    "the proxy's {what} holds a `%` without two hex digits after it: write a literal `%` as `%25`"
                );
                return Err(setting_error(message));
            }
        }
    }
    Ok(out)
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn setting_error(message: impl Into<String>) -> Error {
    Error::new(Status::Setting, message)
}

/// A read or write on the stream to the proxy failed; deadlines and cancellation keep their own status.
fn broken(proxy: &Proxy, cause: std::io::Error) -> Error {
    Error::from_io(cause, Status::Proxy, &format!("the connection to the proxy {proxy} broke during its handshake"))
}
