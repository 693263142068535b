//! The settings: one table of names, from which parsing, defaults and the header's documentation follow.
//!
//! Owns the forms of the values and which of them a single request may change. A request's own settings are
//! laid over its client's; the first bad value is refused where it is set, not when it is used.

use super::node::{self, NodeUrl};
use crate::body::ReplayLimits;
use crate::error::{Error, Status, printable};
use crate::ledger::{RetryRule, check_name};
use crate::money::EvmAddress;
use crate::protocol::{BUILDER_CODES_MAX, NetworkNames, is_builder_code};
use crate::transport::proxy::{EnvironmentProxies, Proxy, ProxyChoice};
use crate::transport::tls::{TlsSettings, TlsVersion};
use http::HeaderValue;
use once_cell::race::OnceBox;
use std::path::PathBuf;
use std::time::Duration;

/// One row of the table of settings.
pub struct Setting {
    pub key: &'static str,
    /// The form of its value, unit included.
    pub form: &'static str,
    pub default: &'static str,
    /// Whether a single request may set it.
    pub per_request: bool,
    pub meaning: &'static str,
}

const fn row(
    key: &'static str,
    form: &'static str,
    default: &'static str,
    per_request: bool,
    meaning: &'static str,
) -> Setting {
    Setting { key, form, default, per_request, meaning }
}

/// Every setting there is, in the order of the header's table.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    row("connect_timeout_ms", "milliseconds, 0: none", "30000", true, "name lookup, connection, proxy and TLS handshake together"),
    row("first_byte_timeout_ms", "milliseconds, 0: none", "600000", true, "from the request's last byte to the answer's first"),
    row("idle_timeout_ms", "milliseconds, 0: none", "300000", true, "the longest time without a byte in either direction"),
    row("total_timeout_ms", "milliseconds, 0: none", "0", true, "the whole call, payment and reading of the answer included"),
    row("sign_timeout_ms", "milliseconds, 0: none", "300000", true, "from the terms to the signature: approve callback and signer; they are not interrupted, and what comes later is refused"),
    row("max_redirects", "number, 0: hand 3xx to the caller", "10", true, "redirects followed before the call fails"),
    row("user_agent", "text, empty: none", concat!("libx402/", env!("CARGO_PKG_VERSION")), true, "the User-Agent header"),
    row("expect_continue", "auto, always or never", "auto", true, "ask with Expect: 100-continue before a body is sent; auto: when it is large or of unknown length and a payment is possible; never: only where a server broke off the upload without an answer"),
    row("decompress", "true or false", "false", true, "ask for gzip or deflate and decode the answer"),
    row("replay_memory", "bytes", "8388608", true, "how much of a body that cannot rewind is kept in memory for its replay"),
    row("replay_disk", "bytes", "1073741824", true, "how much more of it is kept in an unnamed temporary file; none without a wallet, where only a redirect could ask for it again"),
    row("replay_dir", "path, empty: the system's", "", true, "where that temporary file lies"),
    row("purchase_key", "1 to 128 printable ASCII characters", "", true, "names what the request buys, once for ever at one origin: a repeat, also after a crash with a ledger file, presents the same payment, and another is signed only where retry_policy says so"),
    row("retry_policy", "never, same-bytes, proven, or a number", "proven", true, "what a repeat of a purchase may do while its payment's outcome is open: nothing; present the same bytes; also sign anew once the old signature provably cannot settle; or also after any 402, up to so many signatures"),
    row("prepay", "true or false", "false", true, "pay with the first request where this client paid the same method, origin and path in the last 10 minutes; if the server turns that down and proves so, the new terms may be paid too, and both count"),
    row("sign_in", "true or false", "false", true, "where a server offers sign-in-with-x, show it the wallet's address by a signature before paying, in case it was paid before; reused at that origin until it expires, over https or on this machine only"),
    row("builder_code", "up to 5 codes separated by commas, each 1 to 32 of a-z, 0-9 and _; empty: none", "", true, "who built the software that pays: added where a server declares the extension builder-code, for its facilitator to write on the chain"),
    row("proxy", "http://, socks5:// or socks5h:// URL, empty: none", "", false, "the proxy for every request"),
    row("proxy_from_env", "true or false", "false", false, "take proxies from http_proxy, https_proxy, all_proxy, no_proxy"),
    row("ca_file", "path of a PEM file, empty: none", "", false, "certificates to trust besides the others"),
    row("ca_builtin", "true or false", "true", false, "trust the built-in list of public authorities"),
    row("ca_system", "true or false", "false", false, "trust the system's list of authorities"),
    row("client_cert_file", "path of a PEM file, empty: none", "", false, "the certificate chain to show to servers that ask"),
    row("client_key_file", "path of a PEM file, empty: none", "", false, "its private key"),
    row("tls_min", "1.2 or 1.3", "1.2", false, "the lowest version of TLS"),
    row("pool_idle", "number", "32", false, "idle connections kept in all"),
    row("pool_per_host", "number", "8", false, "idle connections kept for one host"),
    row("payer", "up to one address for each family of chains, separated by spaces, empty: the first keys of the wallet", "", false, "which of the wallet's keys pay"),
    row("v1_networks", "name=CAIP-2 pairs separated by spaces, empty: none", "", true, "what network names of x402 version 1 stand for where published clients disagree (story, educhain, skale-base-sepolia) or know none; others keep their meaning"),
    row("evm_rpc", "URL, or eip155:id=URL pairs separated by spaces, empty: none", "", false, "nodes to ask for the few facts that some EVM offers need before they can be signed, none for EIP-3009; and whether the void signature of a named purchase was used, before another is made"),
    row("solana_rpc", "URL, or solana:id=URL pairs separated by spaces, empty: none", "", false, "nodes to ask for a blockhash or a mint where the offer and the built-in table do not tell"),
    row("rpc_timeout_ms", "milliseconds, 0: none", "10000", false, "how long a node may take for everything that one payment needs"),
    row("queue_threads", "number from 1", "256", false, "operations that a queue has under way at once, each on a thread of its own; threads start when needed"),
    row("queue_backlog", "number", "4096", false, "operations that a queue takes beyond those, to wait for a thread or for their event to be taken"),
    row("unix_socket", "path, empty: none", "", false, "connect to this socket whatever the URL's host"),
    row("deny_private_addresses", "true or false", "false", false, "refuse loopback, private and link-local addresses at each connection"),
];

/// When a body waits for the server's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectContinue {
    Auto,
    Always,
    Never,
}

/// The settings of one call.
#[derive(Clone)]
pub struct Settings {
    pub connect_timeout: Option<Duration>,
    pub first_byte_timeout: Option<Duration>,
    pub idle_timeout: Option<Duration>,
    pub total_timeout: Option<Duration>,
    pub sign_timeout: Option<Duration>,
    pub max_redirects: u32,
    pub user_agent: HeaderValue,
    pub expect_continue: ExpectContinue,
    pub decompress: bool,
    pub replay: ReplayLimits,
    pub purchase_key: Option<String>,
    pub retry_rule: RetryRule,
    pub prepay: bool,
    pub sign_in: bool,
    pub builder_codes: Vec<String>,
    pub proxy: Option<Proxy>,
    pub proxy_from_env: bool,
    pub tls: TlsSettings,
    pub pool_idle: usize,
    pub pool_per_host: usize,
    pub v1_networks: NetworkNames,
    /// At most one address a family, as a wallet writes it.
    pub payers: Vec<String>,
    pub evm_rpc: Vec<NodeUrl>,
    pub solana_rpc: Vec<NodeUrl>,
    pub rpc_timeout: Option<Duration>,
    pub queue_threads: usize,
    pub queue_backlog: usize,
    pub unix_socket: Option<PathBuf>,
    pub deny_private_addresses: bool,
}

impl Settings {
    /// Every setting at its default. The defaults are read once, and nobody waits for who reads them: a process that is
    /// forked meanwhile would wait for ever.
    pub fn new() -> Result<Self, Error> {
        static DEFAULTS: OnceBox<Settings> = OnceBox::new();
        DEFAULTS.get_or_try_init(|| Settings::read_defaults().map(Box::new)).cloned()
    }

    fn read_defaults() -> Result<Self, Error> {
        let mut settings = Settings {
            connect_timeout: None,
            first_byte_timeout: None,
            idle_timeout: None,
            total_timeout: None,
            sign_timeout: None,
            max_redirects: 0,
            user_agent: HeaderValue::from_static(""),
            expect_continue: ExpectContinue::Auto,
            decompress: false,
            replay: ReplayLimits { memory_bytes: 0, disk_bytes: 0, ..ReplayLimits::default() },
            purchase_key: None,
            retry_rule: RetryRule::Proven,
            prepay: false,
            sign_in: false,
            builder_codes: Vec::new(),
            proxy: None,
            proxy_from_env: false,
            tls: TlsSettings::default(),
            pool_idle: 0,
            pool_per_host: 0,
            v1_networks: NetworkNames::NONE,
            payers: Vec::new(),
            evm_rpc: Vec::new(),
            solana_rpc: Vec::new(),
            rpc_timeout: None,
            queue_threads: 1,
            queue_backlog: 0,
            unix_socket: None,
            deny_private_addresses: false,
        };
        for setting in SETTINGS {
            settings.set(setting.key, setting.default)?;
        }
        Ok(settings)
    }

    /// Sets one by name. Unknown key, bad value: an error that names both.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let entry = Entry { key, value };
        match key {
            "connect_timeout_ms" => self.connect_timeout = entry.duration()?,
            "first_byte_timeout_ms" => self.first_byte_timeout = entry.duration()?,
            "idle_timeout_ms" => self.idle_timeout = entry.duration()?,
            "total_timeout_ms" => self.total_timeout = entry.duration()?,
            "sign_timeout_ms" => self.sign_timeout = entry.duration()?,
            "max_redirects" => self.max_redirects = entry.number(REDIRECTS_MAX)? as u32,
            "user_agent" => self.user_agent = entry.header_text()?,
            "expect_continue" => self.expect_continue = entry.expect_continue()?,
            "decompress" => self.decompress = entry.truth()?,
            "replay_memory" => self.replay.memory_bytes = entry.number(u64::MAX)?,
            "replay_disk" => self.replay.disk_bytes = entry.number(u64::MAX)?,
            "replay_dir" => self.replay.directory = entry.path(),
            "purchase_key" => self.purchase_key = entry.purchase_key()?,
            "retry_policy" => self.retry_rule = entry.retry_rule()?,
            "prepay" => self.prepay = entry.truth()?,
            "sign_in" => self.sign_in = entry.truth()?,
            "builder_code" => self.builder_codes = entry.builder_codes()?,
            "proxy" => self.proxy = entry.proxy()?,
            "proxy_from_env" => self.proxy_from_env = entry.truth()?,
            "ca_file" => self.tls.ca_file = entry.path(),
            "ca_builtin" => self.tls.ca_builtin = entry.truth()?,
            "ca_system" => self.tls.ca_system = entry.truth()?,
            "client_cert_file" => self.tls.client_cert_file = entry.path(),
            "client_key_file" => self.tls.client_key_file = entry.path(),
            "tls_min" => self.tls.min_version = entry.tls_version()?,
            "pool_idle" => self.pool_idle = entry.number(POOL_MAX)? as usize,
            "pool_per_host" => self.pool_per_host = entry.number(POOL_MAX)? as usize,
            "payer" => self.payers = entry.payers()?,
            "v1_networks" => self.v1_networks = entry.network_names()?,
            "evm_rpc" => self.evm_rpc = entry.nodes("eip155")?,
            "solana_rpc" => self.solana_rpc = entry.nodes("solana")?,
            "rpc_timeout_ms" => self.rpc_timeout = entry.duration()?,
            "queue_threads" => self.queue_threads = entry.number_from_1(QUEUE_THREADS_MAX)? as usize,
            "queue_backlog" => self.queue_backlog = entry.number(QUEUE_BACKLOG_MAX)? as usize,
            "unix_socket" => self.unix_socket = entry.path(),
            "deny_private_addresses" => self.deny_private_addresses = entry.truth()?,
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    /// As [`Settings::set`], for one request: settings of the connection pool belong to the client.
    pub fn set_for_request(&mut self, key: &str, value: &str) -> Result<(), Error> {
        match SETTINGS.iter().find(|setting| setting.key == key) {
            Some(setting) if !setting.per_request => Err(Error::new(
                Status::Setting,
                format!("the setting {key} belongs to a client; set it on the config the client is made from"),
            )),
            _ => self.set(key, value),
        }
    }

    /// Reads the environment if, and only if, `proxy_from_env` asks for it.
    pub fn proxy_choice(&self) -> Result<ProxyChoice, Error> {
        match &self.proxy {
            Some(proxy) => Ok(ProxyChoice::Fixed(proxy.clone())),
            None if self.proxy_from_env => EnvironmentProxies::from_environment().map(ProxyChoice::FromEnvironment),
            None => Ok(ProxyChoice::None),
        }
    }
}

/// Bounds of settings that count something.
const REDIRECTS_MAX: u64 = 100;
const POOL_MAX: u64 = 65_536;
const QUEUE_THREADS_MAX: u64 = 4096;
const QUEUE_BACKLOG_MAX: u64 = 1_000_000;

fn unknown(key: &str) -> Error {
    let shown = printable(key);
    let near = SETTINGS.iter().find(|setting| setting.key.contains(key) || key.contains(setting.key));
    let hint = near.map_or_else(String::new, |setting| format!("; did you mean {}?", setting.key));
    Error::new(Status::Setting, format!("there is no setting \"{shown}\"{hint}"))
}

/// One key with its value on the way to a typed setting.
struct Entry<'a> {
    key: &'a str,
    value: &'a str,
}

impl Entry<'_> {
    fn bad(&self, wanted: &str) -> Error {
        let shown = printable(self.value);
        Error::new(Status::Setting, format!("the setting {} cannot be \"{shown}\"; it takes {wanted}", self.key))
    }

    fn number(&self, max: u64) -> Result<u64, Error> {
        let digits = !self.value.is_empty() && self.value.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { self.value.parse::<u64>().ok() } else { None };
        number.filter(|number| *number <= max).ok_or_else(|| self.bad(&format!("a whole number from 0 to {max}")))
    }

    fn number_from_1(&self, max: u64) -> Result<u64, Error> {
        match self.number(max)? {
            0 => Err(self.bad(&format!("a whole number from 1 to {max}"))),
            number => Ok(number),
        }
    }

    fn duration(&self) -> Result<Option<Duration>, Error> {
        /// Thirty days: what is longer is a mistake of units.
        const TIMEOUT_MS_MAX: u64 = 30 * 24 * 3600 * 1000;
        let ms = self.number(TIMEOUT_MS_MAX)?;
        Ok((ms != 0).then(|| Duration::from_millis(ms)))
    }

    fn truth(&self) -> Result<bool, Error> {
        match self.value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(self.bad("true or false")),
        }
    }

    fn path(&self) -> Option<PathBuf> {
        (!self.value.is_empty()).then(|| PathBuf::from(self.value))
    }

    fn header_text(&self) -> Result<HeaderValue, Error> {
        let text = Some(self.value).filter(|text| !text.chars().any(|c| c.is_control()));
        text.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok())
            .ok_or_else(|| self.bad("text without control characters"))
    }

    fn expect_continue(&self) -> Result<ExpectContinue, Error> {
        match self.value {
            "auto" => Ok(ExpectContinue::Auto),
            "always" => Ok(ExpectContinue::Always),
            "never" => Ok(ExpectContinue::Never),
            _ => Err(self.bad("auto, always or never")),
        }
    }

    fn purchase_key(&self) -> Result<Option<String>, Error> {
        if self.value.is_empty() {
            return Ok(None);
        }
        check_name(self.value)?;
        Ok(Some(self.value.to_string()))
    }

    fn retry_rule(&self) -> Result<RetryRule, Error> {
        RetryRule::parse(self.value).ok_or_else(|| self.bad("never, same-bytes, proven, or a number from 1 to 100"))
    }

    fn builder_codes(&self) -> Result<Vec<String>, Error> {
        if self.value.is_empty() {
            return Ok(Vec::new());
        }
        let codes: Vec<String> = self.value.split(',').map(str::to_string).collect();
        if codes.len() > BUILDER_CODES_MAX || !codes.iter().all(|code| is_builder_code(code)) {
            return Err(self.bad(&format!(
                "up to {BUILDER_CODES_MAX} codes separated by commas, each 1 to 32 characters of a-z, 0-9 and _"
            )));
        }
        Ok(codes)
    }

    fn proxy(&self) -> Result<Option<Proxy>, Error> {
        if self.value.is_empty() { Ok(None) } else { Proxy::parse(self.value).map(Some) }
    }

    /// The URL of a node often holds a key, so the message leaves the value out.
    fn nodes(&self, family: &str) -> Result<Vec<NodeUrl>, Error> {
        node::parse_urls(family, self.value).map_err(|wanted| {
            Error::new(Status::Setting, format!("the setting {} cannot be used; it takes {wanted}", self.key))
        })
    }

    fn payers(&self) -> Result<Vec<String>, Error> {
        let mut payers: Vec<String> = Vec::new();
        for text in self.value.split_ascii_whitespace() {
            let is_evm = |text: &str| text.starts_with("0x");
            let payer = match is_evm(text) {
                true => EvmAddress::parse(text)
                    .map_err(|why| {
                        Error::new(Status::Setting, format!("an address in the setting {} {why}", self.key))
                    })?
                    .to_string(),
                false => text.to_string(),
            };
            if payers.iter().any(|other| is_evm(other) == is_evm(text)) {
                return Err(self.bad("up to one address for each family of chains, separated by spaces"));
            }
            payers.push(payer);
        }
        Ok(payers)
    }

    fn network_names(&self) -> Result<NetworkNames, Error> {
        NetworkNames::parse(self.value).map_err(|why| {
            let message = format!("the setting {} cannot be used: {why}; write pairs like story=eip155:1514", self.key);
            Error::new(Status::Setting, message)
        })
    }

    fn tls_version(&self) -> Result<TlsVersion, Error> {
        match self.value {
            "1.2" => Ok(TlsVersion::Tls12),
            "1.3" => Ok(TlsVersion::Tls13),
            _ => Err(self.bad("1.2 or 1.3")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_a_setting_and_its_default_is_a_value() {
        assert!(Settings::new().is_ok());
    }

    #[test]
    fn a_bad_key_or_value_is_named() {
        let mut settings = Settings::new().unwrap();
        for (key, value, part) in [
            ("connect_timeout", "1", "connect_timeout_ms"),
            ("nonsense", "1", "\"nonsense\""),
            ("connect_timeout_ms", "-1", "\"-1\""),
            ("connect_timeout_ms", "", "\"\""),
            ("idle_timeout_ms", "99999999999999999999", "whole number"),
            ("decompress", "yes", "true or false"),
            ("tls_min", "1.1", "1.2 or 1.3"),
            ("user_agent", "a\r\nb", "control characters"),
            ("queue_threads", "0", "from 1 to 4096"),
            ("queue_backlog", "lots", "whole number"),
            (
                "payer",
                "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
                "up to one",
            ),
            ("payer", "0xF39fd6e51aad88f6f4ce6ab8827279cfffb92266", "EIP-55"),
            ("payer", "0x1234", "0x1234"),
            ("v1_networks", "base=eip155:1", "\"base\" stands for eip155:8453"),
            ("v1_networks", "story:eip155:1514", "story=eip155:1514"),
            ("builder_code", "App", "\"App\""),
            ("builder_code", "a,b,c,d,e,f", "up to 5"),
        ] {
            let error = settings.set(key, value).unwrap_err();
            assert_eq!(error.status, Status::Setting, "{key}={value}");
            assert!(error.message.contains(part), "{}", error.message);
        }
        let error = settings.set_for_request("proxy", "http://127.0.0.1:1").unwrap_err();
        assert!(error.message.contains("client"), "{}", error.message);
    }
}
