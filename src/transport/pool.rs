//! Connections that wait for another request.
//!
//! Owns the idle connections, their limits and their age. Knows no HTTP. ureq's own pool is switched off: this
//! one looks at a connection once, when it is taken out, and a connection that is put back costs no system
//! call. No thread cleans up; what is too old is closed when the pool is next used.

use super::buffers::ConnectionBuffers;
use super::proxy::Proxy;
use super::stream::Stream;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Servers close idle connections after 5 s (node, uvicorn) to 75 s (nginx); older than this is not worth a try.
const IDLE_AGE_MAX: Duration = Duration::from_secs(60);

/// Who a connection leads to, and how. Connections are shared between requests of equal endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) is_https: bool,
    /// A domain name or an IP address; an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) route: Route,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Direct,
    Proxy(Proxy),
    UnixSocket(PathBuf),
}

impl Endpoint {
    /// One text per server, whatever the way to it; for the memory of its habits.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        let socket = match &self.route {
            Route::UnixSocket(path) => path.to_string_lossy(),
            Route::Direct | Route::Proxy(_) => "".into(),
        };
        format!("{scheme}://{}:{}{socket}", self.host, self.port)
    }
}

pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) buffers: ConnectionBuffers,
    pub(super) endpoint: Endpoint,
}

pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
    idle_max: usize,
    idle_per_endpoint_max: usize,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(super) fn new(idle_max: usize, idle_per_endpoint_max: usize) -> Self {
        Pool { idle: Mutex::new(Vec::new()), idle_max, idle_per_endpoint_max }
    }

    /// The connection to `endpoint` that was used last and is still fit.
    pub(super) fn take(&self, endpoint: &Endpoint) -> Option<Connection> {
        let expired = self.take_expired(Instant::now());
        drop(expired); // closing is a system call each: not under the lock
        loop {
            let mut idle = self.idle();
            let index = idle.iter().rposition(|idle| idle.connection.endpoint == *endpoint)?;
            let mut connection = idle.remove(index).connection;
            drop(idle);
            if connection.stream.is_fit() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(super) fn put(&self, connection: Connection) {
        if self.idle_max == 0 || self.idle_per_endpoint_max == 0 {
            return;
        }
        let now = Instant::now();
        let mut closing = self.take_expired(now);
        let mut idle = self.idle();
        let same = |other: &Idle| other.connection.endpoint == connection.endpoint;
        if idle.iter().filter(|other| same(other)).count() >= self.idle_per_endpoint_max
            && let Some(oldest) = idle.iter().position(same)
        {
            closing.push(idle.remove(oldest));
        }
        if idle.len() >= self.idle_max {
            closing.push(idle.remove(0));
        }
        idle.push(Idle { connection, since: now });
        drop(idle);
        drop(closing);
    }

    /// The list is in the order of arrival, so the old ones are at its front.
    fn take_expired(&self, now: Instant) -> Vec<Idle> {
        let mut idle = self.idle();
        let expired = idle.iter().take_while(|idle| now.saturating_duration_since(idle.since) >= IDLE_AGE_MAX).count();
        idle.drain(..expired).collect()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
