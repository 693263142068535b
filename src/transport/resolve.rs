//! From a host name to addresses.
//!
//! Owns the look-up and its thread. Knows no connecting. The system's resolver can neither be cancelled nor
//! told a deadline, so it runs on a thread of its own; a call that is cancelled or out of time leaves that
//! thread behind to finish by itself. An IP address needs neither.

use super::cancel::Wake;
use super::deadline::{Limits, Phase};
use super::thread;
use crate::error::{Error, Status, printable};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// More addresses than this of one name are not tried.
const ADDRESSES_MAX: usize = 16;

#[derive(Default)]
struct Lookup {
    result: Mutex<Option<io::Result<Vec<SocketAddr>>>>,
    changed: Condvar,
}

/// The addresses of `host` (a domain name, or an IP address without brackets) in the order to try them.
pub(super) fn resolve(host: &str, port: u16, limits: &Limits) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = host.to_string();
    resolve_by(host, limits, move || (name.as_str(), port).to_socket_addrs().map(Iterator::collect))
}

/// `ask` runs on a thread of its own and may take as long as it likes.
fn resolve_by(
    host: &str,
    limits: &Limits,
    ask: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<Vec<SocketAddr>, Error> {
    let lookup = Arc::new(Lookup::default());
    let _watch = limits.cancel.watch(lookup.clone(), Phase::Resolving.doing())?;
    start(lookup.clone(), ask)?;
    let found = lookup.wait(limits)?.map_err(|cause| unresolved(host, &cause.to_string()).with_cause(cause))?;
    if found.is_empty() {
        return Err(unresolved(host, "it has no addresses"));
    }
    Ok(alternate_families(found))
}

fn start(lookup: Arc<Lookup>, ask: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static) -> Result<(), Error> {
    let work = move || {
        let result = ask();
        *lookup.result() = Some(result);
        lookup.changed.notify_all();
    };
    match thread::start("x402-resolve", None, work) {
        Ok(()) => Ok(()),
        Err(cause) => {
            let message = format!("the thread that resolves host names cannot be started: {cause}");
            Err(Error::new(Status::System, message).with_cause(cause))
        }
    }
}

impl Lookup {
    fn result(&self) -> MutexGuard<'_, Option<io::Result<Vec<SocketAddr>>>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, limits: &Limits) -> Result<io::Result<Vec<SocketAddr>>, Error> {
        let mut result = self.result();
        loop {
            if let Some(result) = result.take() {
                return Ok(result);
            }
            let now = Instant::now();
            let expiry = limits.expiry(Phase::Resolving, now);
            limits.check(Phase::Resolving, expiry, now)?;
            result = match expiry {
                None => self.changed.wait(result).unwrap_or_else(PoisonError::into_inner),
                Some(expiry) => {
                    let remaining = expiry.at.saturating_duration_since(now);
                    self.changed.wait_timeout(result, remaining).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Wake for Lookup {
    fn wake(&self) {
        // Under the lock: a waiter is either before its look at the flag or already waiting.
        let _result = self.result();
        self.changed.notify_all();
    }
}

/// The system's order, with the families taking turns: one of them being unreachable then costs one try, not
/// many (RFC 8305 §4).
fn alternate_families(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (mut turn, mut other): (VecDeque<_>, VecDeque<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut out = Vec::new();
    while out.len() < ADDRESSES_MAX {
        let Some(next) = turn.pop_front().or_else(|| other.pop_front()) else { break };
        if !out.contains(&next) {
            out.push(next);
        }
        std::mem::swap(&mut turn, &mut other);
    }
    out
}

fn unresolved(host: &str, reason: &str) -> Error {
    let host = printable(host);
    Error::new(
        Status::Resolve,
        format!("the host name `{host}` cannot be resolved ({reason}): check its spelling and the DNS"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Cancel, Deadlines};
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_look_up_that_hangs_is_left_behind() {
        for by_cancel in [true, false] {
            let cancel = Cancel::new();
            let limit = Duration::from_millis(if by_cancel { 60_000 } else { 30 });
            let limits = Limits::new(Deadlines { connect: Some(limit), ..Deadlines::default() }, cancel.clone());
            let (started, has_started) = mpsc::channel();
            let (release, held) = mpsc::channel::<()>();
            let stopper = std::thread::spawn(move || {
                has_started.recv().unwrap();
                let begun = Instant::now();
                if by_cancel {
                    cancel.cancel();
                }
                begun
            });
            let error = resolve_by("slow.example", &limits, move || {
                started.send(()).unwrap();
                let _ = held.recv();
                Ok(Vec::new())
            })
            .unwrap_err();
            let took = stopper.join().unwrap().elapsed();
            let expected = if by_cancel { Status::Cancelled } else { Status::Timeout };
            assert_eq!(error.status, expected, "{error:?}");
            assert!(took < Duration::from_millis(280), "{took:?}");
            drop(release);
        }
    }

    #[test]
    fn families_take_turns_and_doubles_go() {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let found = parse(&["[::1]:1", "[::2]:1", "[::1]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(alternate_families(found), expected);
    }
}
