//! A new connection: name, addresses, proxy, TLS, all within the connect deadline.
//!
//! Owns the order of those steps and the choice of the next address. Knows no HTTP. The decision: addresses are
//! tried one after the other, each with at most half of the time that is left while others remain, so that one
//! that never answers cannot use up the deadline of those behind it.

use super::address::is_private;
use super::buffers::ConnectionBuffers;
use super::cancel::Watch;
use super::deadline::{Limits, Phase};
use super::failure::tls_reason;
use super::pool::{Connection, Endpoint, Route};
use super::proxy::{Proxy, connect_through};
use super::resolve::resolve;
use super::socket::{Ready, Socket};
use super::stream::{Patience, Stream};
use super::wait;
use crate::error::{Error, Status, printable};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One address gets no more than this while others remain, whatever the deadline.
const ADDRESS_WAIT_MAX: Duration = Duration::from_secs(10);
/// Between two tries at a unix socket whose listener's queue is full: the system offers nothing to wait on.
const UNIX_RETRY_WAIT: Duration = Duration::from_millis(5);
/// How many addresses' reasons an error spells out.
const REASONS_MAX: usize = 4;

/// What a dialler is told once per client.
pub(super) struct Rules<'a> {
    pub(super) deny_private_addresses: bool,
    /// Asked for only when a connection needs it: reading roots of trust takes time.
    pub(super) tls_config: &'a dyn Fn() -> Result<Arc<ClientConfig>, Error>,
}

/// Connects to `endpoint`.
pub(super) fn dial(endpoint: Endpoint, rules: &Rules<'_>, limits: &Limits) -> Result<Connection, Error> {
    let (socket, _watch) = match &endpoint.route {
        Route::UnixSocket(path) => {
            let socket = connect_unix(path, limits)?;
            settled(socket, false, limits)?
        }
        Route::Direct => {
            let addresses = allowed(&endpoint.host, resolve(&endpoint.host, endpoint.port, limits)?, rules)?;
            settled(connect_any(&endpoint.host, &addresses, limits)?, true, limits)?
        }
        Route::Proxy(proxy) => through_proxy(proxy, &endpoint, rules, limits)?,
    };
    let stream = if endpoint.is_https {
        handshake(socket, &endpoint.host, (rules.tls_config)()?, limits)?
    } else {
        Stream::plain(socket)
    };
    Ok(Connection { stream, buffers: ConnectionBuffers::default(), endpoint })
}

fn settled(socket: Arc<Socket>, is_tcp: bool, limits: &Limits) -> Result<(Arc<Socket>, Watch), Error> {
    socket.settle(is_tcp).map_err(system)?;
    let watch = limits.cancel.watch(socket.clone(), Phase::Connecting.doing())?;
    Ok((socket, watch))
}

fn through_proxy(
    proxy: &Proxy,
    endpoint: &Endpoint,
    rules: &Rules<'_>,
    limits: &Limits,
) -> Result<(Arc<Socket>, Watch), Error> {
    let target = if proxy.kind.resolves_here() {
        let addresses = allowed(&endpoint.host, resolve(&endpoint.host, endpoint.port, limits)?, rules)?;
        addresses.first().map_or_else(|| endpoint.host.clone(), |address| address.ip().to_string())
    } else {
        check_unresolved(&endpoint.host, proxy, rules)?;
        endpoint.host.clone()
    };
    // The proxy's own address is the caller's choice and may well be private.
    let addresses = resolve(&proxy.host, proxy.port, limits)?;
    let (socket, watch) = settled(connect_any(&proxy.host, &addresses, limits)?, true, limits)?;
    let mut stream = Handshake { socket: &socket, limits, phase: Phase::ProxyHandshake };
    connect_through(proxy, &mut stream, &target, endpoint.port)?;
    Ok((socket, watch))
}

/// The addresses, unless one of them is private and that is forbidden.
fn allowed(host: &str, addresses: Vec<SocketAddr>, rules: &Rules<'_>) -> Result<Vec<SocketAddr>, Error> {
    match addresses.iter().find(|address| rules.deny_private_addresses && is_private(address.ip())) {
        Some(address) => Err(denied(host, &format!("the private address {}", address.ip()))),
        None => Ok(addresses),
    }
}

/// Where the proxy resolves the name, an address can be checked and a name cannot.
fn check_unresolved(host: &str, proxy: &Proxy, rules: &Rules<'_>) -> Result<(), Error> {
    if !rules.deny_private_addresses {
        return Ok(());
    }
    match host.parse::<IpAddr>() {
        Ok(address) if is_private(address) => Err(denied(host, "a private address")),
        Ok(_) => Ok(()),
        Err(_) => {
            Err(denied(host, &format!("an address that only the proxy {proxy} knows (a socks5:// proxy would not)")))
        }
    }
}

fn denied(host: &str, leads_to: &str) -> Error {
    let host = printable(host);
    let message = format!(
        "the host `{host}` leads to {leads_to}: deny_private_addresses is on, so switch it off if this host is meant"
    );
    Error::new(Status::AddressDenied, message)
}

fn connect_any(host: &str, addresses: &[SocketAddr], limits: &Limits) -> Result<Arc<Socket>, Error> {
    let mut reasons = Vec::new();
    let mut last_cause = None;
    for (index, address) in addresses.iter().enumerate() {
        let others_remain = index + 1 < addresses.len();
        match connect_one(address, others_remain, limits)? {
            Ok(socket) => return Ok(socket),
            Err(cause) => {
                if reasons.len() < REASONS_MAX {
                    reasons.push(format!("{address}: {cause}"));
                }
                last_cause = Some(cause);
            }
        }
    }
    let message = format!(
        "no address of `{}` accepted a connection ({}): check that the server is running and the port is right",
        printable(host),
        reasons.join("; ")
    );
    let error = Error::new(Status::Connect, message);
    Err(match last_cause {
        Some(cause) => error.with_cause(cause),
        None => error,
    })
}

/// The outer error ends the exchange, the inner one only this address.
fn connect_one(address: &SocketAddr, others_remain: bool, limits: &Limits) -> Result<io::Result<Arc<Socket>>, Error> {
    let phase = Phase::Connecting;
    let now = Instant::now();
    limits.check(phase, limits.expiry(phase, now), now)?;
    let socket = match Socket::tcp(address) {
        Ok(socket) => Arc::new(socket),
        // A machine without IPv6 has no such sockets; the other family may do.
        Err(cause) => return Ok(Err(cause)),
    };
    match socket.start_connect(address) {
        Ok(true) => {}
        Ok(false) => {
            let share = limits.expiry(phase, now).map(|expiry| expiry.at.saturating_duration_since(now) / 2);
            let wait = share.map_or(ADDRESS_WAIT_MAX, |share| share.min(ADDRESS_WAIT_MAX));
            let give_up = others_remain.then(|| now.checked_add(wait)).flatten();
            // Only now: shutting down a socket that has not begun to connect would not stop it from doing so.
            let _watch = limits.cancel.watch(socket.clone(), phase.doing())?;
            let wanted = Ready { read: false, write: true };
            if !wait::until_ready(&socket, wanted, limits, phase, now, give_up)?.write {
                let message = format!("no answer within {} ms", wait.as_millis());
                return Ok(Err(io::Error::new(io::ErrorKind::TimedOut, message)));
            }
            if let Err(cause) = socket.connect_result() {
                limits.cancel.check(phase.doing())?;
                return Ok(Err(cause));
            }
        }
        Err(cause) => return Ok(Err(cause)),
    }
    Ok(Ok(socket))
}

fn connect_unix(path: &Path, limits: &Limits) -> Result<Arc<Socket>, Error> {
    let phase = Phase::Connecting;
    let begun = Instant::now();
    loop {
        limits.check(phase, limits.expiry(phase, begun), Instant::now())?;
        let socket = Socket::unix().map_err(system)?;
        match socket.connect_unix(path) {
            Ok(()) => return Ok(Arc::new(socket)),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(UNIX_RETRY_WAIT),
            Err(cause) => {
                let message = format!(
                    "the unix socket {} accepted no connection ({cause}): check the path and that the server is running",
                    path.display()
                );
                return Err(Error::new(Status::Connect, message).with_cause(cause));
            }
        }
    }
}

fn handshake(socket: Arc<Socket>, host: &str, config: Arc<ClientConfig>, limits: &Limits) -> Result<Stream, Error> {
    let name = ServerName::try_from(host.to_string()).map_err(|cause| {
        let message =
            format!("the host `{}` cannot be named in TLS ({cause}): use a DNS name or an IP address", printable(host));
        Error::new(Status::Tls, message).with_cause(cause)
    })?;
    let mut carrier = Handshake { socket: &socket, limits, phase: Phase::TlsHandshake };
    Stream::tls(socket.clone(), config, name, &mut carrier).map_err(|cause| tls_failure(host, cause))
}

fn tls_failure(host: &str, cause: io::Error) -> Error {
    let cause = match cause.downcast::<Error>() {
        Ok(own) => return own,
        Err(cause) => cause,
    };
    let reason = match cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => tls_reason(tls),
        None if cause.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection during the handshake: it may not speak TLS on this port".to_string()
        }
        None => format!("the connection broke during the handshake ({cause})"),
    };
    Error::new(Status::Tls, format!("no TLS connection to `{}`: {reason}", printable(host))).with_cause(cause)
}

/// A connected socket as a blocking stream, within the limits, for a handshake.
struct Handshake<'a> {
    socket: &'a Socket,
    limits: &'a Limits,
    phase: Phase,
}

impl Read for Handshake<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let since = Instant::now();
        loop {
            let ready = wait::before_read(self.socket, self.limits, self.phase, since, None);
            let Some(patience) = ready.map_err(Error::into_io)? else { continue };
            let received = match patience {
                Patience::Tick => self.socket.receive_waiting(buffer),
                Patience::None => self.socket.receive_now(buffer),
            };
            self.limits.cancel.check(self.phase.doing()).map_err(Error::into_io)?;
            match received {
                Err(cause) if is_not_yet(&cause) => {}
                other => return other,
            }
        }
    }
}

impl Write for Handshake<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let since = Instant::now();
        loop {
            self.limits.cancel.check(self.phase.doing()).map_err(Error::into_io)?;
            match self.socket.send_now(bytes) {
                Err(cause) if is_not_yet(&cause) => {
                    let wanted = Ready { read: false, write: true };
                    wait::until_ready(self.socket, wanted, self.limits, self.phase, since, None)
                        .map_err(Error::into_io)?;
                }
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_not_yet(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn system(cause: io::Error) -> Error {
    Error::new(Status::System, format!("a socket could not be set up: {cause}")).with_cause(cause)
}
