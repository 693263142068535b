//! Proxies as the environment names them, with the rules that curl made usual.
//!
//! Owns the variables, their precedence and the matching of `no_proxy`. Knows no connecting. The environment is
//! read only when a caller asks, once, into a value that later calls share; `HTTP_PROXY` in capitals is not
//! read, because a CGI program's caller can set it (httpoxy).

use super::{Proxy, setting_error};
use crate::error::Error;
use std::ffi::OsString;
use std::net::IpAddr;
use url::{Host, Url};

const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];
const HTTP: [&str; 3] = ["http_proxy", "all_proxy", "ALL_PROXY"];
const HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// The proxies that the environment named at one moment.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentProxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Exceptions,
}

impl EnvironmentProxies {
    /// Reads the process's environment.
    pub fn from_environment() -> Result<Self, Error> {
        Self::read(|name| std::env::var_os(name))
    }

    /// Reads an environment through `lookup`. An empty variable counts as unset. A proxy that cannot be used is
    /// [`Status::Setting`](crate::error::Status::Setting) naming its variable.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let http = first(&lookup, &HTTP)?.map(|found| proxy_from(&found)).transpose()?;
        let https = first(&lookup, &HTTPS)?.map(|found| proxy_from(&found)).transpose()?;
        let exceptions = first(&lookup, &NO_PROXY)?.map(|found| Exceptions::parse(&found.value)).unwrap_or_default();
        Ok(EnvironmentProxies { http, https, exceptions })
    }

    /// The proxy for `url`: that of its scheme, unless `no_proxy` excepts its host.
    pub fn for_url(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        }?;
        (!self.exceptions.cover(url)).then_some(proxy)
    }
}

/// A variable that is set.
struct Found {
    name: &'static str,
    value: String,
}

fn first(lookup: &impl Fn(&str) -> Option<OsString>, names: &[&'static str]) -> Result<Option<Found>, Error> {
    for name in names {
        let Some(value) = lookup(name).filter(|value| !value.is_empty()) else { continue };
        let value =
            value.into_string().map_err(|_| setting_error(format!("the environment variable {name} is not UTF-8")))?;
        return Ok(Some(Found { name, value }));
    }
    Ok(None)
}

fn proxy_from(found: &Found) -> Result<Proxy, Error> {
    Proxy::parse(&found.value).map_err(|error| {
        setting_error(format!("the environment variable {} cannot be used: {}", found.name, error.message))
    })
}

/// `no_proxy`: the hosts that are reached directly.
#[derive(Clone, Debug, Default)]
struct Exceptions {
    all: bool,
    entries: Vec<Exception>,
}

#[derive(Clone, Debug)]
struct Exception {
    hosts: Hosts,
    /// Only this port; all of them when none is named.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Hosts {
    /// The domain itself and everything below it, lower case, no dot at either end.
    Domain(String),
    /// Addresses that share the first `prefix_bits` with this one.
    Network { address: IpAddr, prefix_bits: u8 },
}

impl Exceptions {
    /// Entries are separated by commas or blanks. One that means nothing matches nothing, as in curl.
    fn parse(text: &str) -> Exceptions {
        if text.trim() == "*" {
            return Exceptions { all: true, entries: Vec::new() };
        }
        let entries = text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|entry| !entry.is_empty())
            .filter_map(Exception::parse)
            .collect();
        Exceptions { all: false, entries }
    }

    fn cover(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        let Some(host) = url.host() else { return self.all };
        self.all
            || self.entries.iter().any(|entry| (entry.port.is_none() || entry.port == port) && entry.hosts.hold(&host))
    }
}

impl Exception {
    fn parse(entry: &str) -> Option<Exception> {
        if let Some(network) = Hosts::network(entry) {
            return Some(Exception { hosts: network, port: None });
        }
        // A port can only follow what is no bare IPv6 address: those were taken above.
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, digits)) => (host, Some(digits.parse().ok()?)),
            None => (entry, None),
        };
        let hosts = match Hosts::network(host) {
            Some(network) => network,
            None => Hosts::domain(host)?,
        };
        Some(Exception { hosts, port })
    }
}

impl Hosts {
    /// `10.0.0.0/8`, `192.168.1.1`, `[::1]`, `fd00::/8`.
    fn network(text: &str) -> Option<Hosts> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
        let address: IpAddr = address.parse().ok()?;
        let all_bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            Some(bits) => bits.parse::<u8>().ok().filter(|bits| *bits <= all_bits)?,
            None => all_bits,
        };
        Some(Hosts::Network { address, prefix_bits })
    }

    fn domain(text: &str) -> Option<Hosts> {
        let name = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        (!name.is_empty()).then_some(Hosts::Domain(name))
    }

    fn hold(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Hosts::Domain(domain), Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Hosts::Network { address, prefix_bits }, Host::Ipv4(host)) => {
                same_prefix(*address, IpAddr::V4(*host), *prefix_bits)
            }
            (Hosts::Network { address, prefix_bits }, Host::Ipv6(host)) => {
                same_prefix(*address, IpAddr::V6(*host), *prefix_bits)
            }
            _ => false,
        }
    }
}

fn same_prefix(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let differing = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => u128::from(one.to_bits() ^ other.to_bits()) << 96,
        (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() ^ other.to_bits(),
        _ => return false,
    };
    differing.leading_zeros() >= u32::from(bits)
}
