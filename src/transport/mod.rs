//! One request out, one response in.
//!
//! Owns everything between a request's description and its answer: connections and their pool, TLS, proxies,
//! deadlines, cancellation, and the rule that an answer which comes while the body is still going out ends the
//! sending. Knows nothing of payments: it never follows, never retries, never interprets a status, except that
//! a final one of 300 or more stops an upload. HTTP itself is ureq's, through its public extension points, over
//! a socket of our own.

mod address;
mod agent;
mod answer;
mod attempt;
mod buffers;
mod cancel;
mod deadline;
pub mod decode;
mod dial;
mod early;
mod expect;
mod failure;
mod incoming;
mod link;
mod outgoing;
mod pool;
pub mod proxy;
mod request;
mod resolve;
mod socket;
mod stream;
mod target;
pub mod thread;
pub mod tls;
pub mod userinfo;
mod wait;

pub use attempt::Report;
pub use cancel::Cancel;
pub use deadline::Deadlines;
pub use incoming::{Arrival, Header, Incoming, IncomingBody};
pub use outgoing::{Expect, Outgoing, OutgoingBody, Progress};

use crate::error::{Error, Status};
use attempt::Attempt;
use buffers::TRANSFER_BYTES;
use deadline::{Limits, Phase};
use dial::{Rules, dial};
use expect::ExpectMemory;
use link::{Link, Shape};
use once_cell::sync::OnceCell;
use outgoing::Feed;
use pool::{Connection, Endpoint, Pool};
use proxy::ProxyChoice;
use std::path::PathBuf;
use std::sync::Arc;
use tls::{TlsSettings, client_config};

const SWITCHING_PROTOCOLS: u16 = 101;
const POOL_IDLE_DEFAULT: usize = 10;
const POOL_PER_HOST_DEFAULT: usize = 3;

/// What a transport is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    pub tls: TlsSettings,
    pub proxy: ProxyChoice,
    /// Idle connections kept in all; 0 keeps none.
    pub pool_idle: usize,
    /// Idle connections kept per endpoint; 0 keeps none.
    pub pool_per_host: usize,
    /// Refuse to connect to loopback, private, link-local and other addresses that are not public.
    pub deny_private_addresses: bool,
    /// Send every request to this unix socket, whatever host its URL names.
    pub unix_socket: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            tls: TlsSettings::default(),
            proxy: ProxyChoice::None,
            pool_idle: POOL_IDLE_DEFAULT,
            pool_per_host: POOL_PER_HOST_DEFAULT,
            deny_private_addresses: false,
            unix_socket: None,
        }
    }
}

/// A failed exchange, and how far it came.
#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    pub report: Report,
}

/// Sends requests; shared by any number of threads.
pub struct Transport {
    settings: Settings,
    agent: ureq::Agent,
    pool: Arc<Pool>,
    expect: ExpectMemory,
    last_uri: target::LastUri,
    tls_config: OnceCell<Arc<rustls::ClientConfig>>,
}

impl Transport {
    /// Certificate files named in the settings are read now, so that a mistake in them shows at once; the
    /// system's roots alone wait for the first https request.
    pub fn new(settings: Settings) -> Result<Transport, Error> {
        let pool = Arc::new(Pool::new(settings.pool_idle, settings.pool_per_host));
        let transport = Transport {
            settings,
            agent: agent::agent(),
            pool,
            expect: ExpectMemory::default(),
            last_uri: target::LastUri::default(),
            tls_config: OnceCell::new(),
        };
        let tls = &transport.settings.tls;
        if tls.ca_file.is_some() || tls.client_cert_file.is_some() || tls.client_key_file.is_some() {
            transport.tls_config()?;
        }
        Ok(transport)
    }

    /// Whether a request for `url` would go through a proxy.
    pub fn uses_proxy(&self, url: &url::Url) -> bool {
        self.settings.unix_socket.is_none() && self.settings.proxy.for_url(url).is_some()
    }

    /// Sends one request and reads the head of its answer.
    pub fn round_trip(&self, outgoing: Outgoing<'_>) -> Result<Incoming, Failure> {
        let attempt = Arc::new(Attempt::new(Limits::new(outgoing.deadlines, outgoing.cancel.clone())));
        self.exchange(outgoing, &attempt).map_err(|error| Failure { error, report: attempt.report() })
    }

    fn exchange(&self, outgoing: Outgoing<'_>, attempt: &Arc<Attempt>) -> Result<Incoming, Error> {
        attempt.limits.check_start(Phase::Connecting)?;
        let target =
            target::target(outgoing.url, &self.settings.proxy, self.settings.unix_socket.as_deref(), &self.last_uri)?;
        let head = request::head(outgoing.method, &target, outgoing.headers, &outgoing.body)?;
        let expect = if head.asks_to_expect { Expect::Require } else { outgoing.expect };
        let is_head_method = outgoing.method == "HEAD";
        let mut feed = Feed::new(outgoing.body, outgoing.progress, attempt.clone());
        let expects = feed.has_body() && self.expects(expect, &target.endpoint);
        let shape = Shape { has_body: feed.has_body(), expects };
        let origin = expects.then(|| target.endpoint.origin());

        let connection = self.connection(target.endpoint, outgoing.fresh_connection, attempt)?;
        let mut link = Link::new(connection, self.pool.clone(), attempt.clone(), shape)?;
        let arrival = Arrival::new(attempt.clone(), link.unread());
        link.prepare(head.bytes_max, piece_bytes(&feed));
        let result = agent::run(&self.agent, head.request, shape.has_body.then_some(&mut feed), link);
        if let Some(origin) = origin.filter(|_| attempt.is_expect_ignored()) {
            self.expect.note_ignored_by(origin);
        }
        let response = result.map_err(|error| failure::from_ureq(attempt, error))?;
        if !attempt.is_stopped() {
            feed.report_progress()?;
        }
        answer(response, is_head_method, attempt, arrival)
    }

    fn expects(&self, expect: Expect, endpoint: &Endpoint) -> bool {
        match expect {
            Expect::Never => false,
            Expect::Require => true,
            Expect::Prefer => !self.expect.is_ignored_by(&endpoint.origin()),
        }
    }

    fn connection(&self, endpoint: Endpoint, fresh: bool, attempt: &Attempt) -> Result<Connection, Error> {
        if !fresh && let Some(connection) = self.pool.take(&endpoint) {
            attempt.set_reused();
            return Ok(connection);
        }
        let tls_config = || self.tls_config();
        let rules = Rules { deny_private_addresses: self.settings.deny_private_addresses, tls_config: &tls_config };
        dial(endpoint, &rules, &attempt.limits)
    }

    fn tls_config(&self) -> Result<Arc<rustls::ClientConfig>, Error> {
        self.tls_config.get_or_try_init(|| client_config(&self.settings.tls)).cloned()
    }
}

/// How much of the body goes out with one call.
fn piece_bytes(feed: &Feed<'_>) -> usize {
    let length = feed.declared_length().and_then(|length| usize::try_from(length).ok());
    length.map_or(TRANSFER_BYTES, |length| length.min(TRANSFER_BYTES))
}

fn answer(
    response: http::Response<ureq::Body>,
    is_head_method: bool,
    attempt: &Arc<Attempt>,
    arrival: Arrival,
) -> Result<Incoming, Error> {
    let (parts, body) = response.into_parts();
    let status = parts.status.as_u16();
    if status == SWITCHING_PROTOCOLS {
        let message = "the server switched protocols (101) without being asked: it is not speaking HTTP/1.1 any more";
        return Err(Error::new(Status::Protocol, message));
    }
    let has_body = !is_head_method && !matches!(status, 204 | 304);
    let expected = announced_length(&parts.headers).filter(|_| has_body);
    let headers = in_order(parts.headers);
    let body = IncomingBody::new(body, attempt.clone(), expected);
    if !has_body {
        attempt.set_body_left(Some(0));
    }
    Ok(Incoming { status, headers, body, arrival, report: attempt.report() })
}

/// A map gives the name with its first value alone.
fn in_order(map: http::HeaderMap) -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::with_capacity(map.len());
    for (name, value) in map {
        if let Some(name) = name.or_else(|| headers.last().map(|(name, _)| name.clone())) {
            headers.push((name, value));
        }
    }
    headers
}

/// The body's length as announced; a transfer coding overrides it (RFC 9112 §6.3).
fn announced_length(headers: &http::HeaderMap) -> Option<u64> {
    if headers.contains_key(http::header::TRANSFER_ENCODING) {
        return None;
    }
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
