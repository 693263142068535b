//! Waiting on a socket within the limits of an exchange.
//!
//! Owns the choice between the two ways of waiting: where no limit is near, a blocking receive that ends by
//! itself after a tick costs one system call; where one is, `poll` waits exactly that long first. Knows no
//! HTTP. Both ways end at once when the call is cancelled, as that shuts the socket down.

use super::deadline::{Expiry, Limits, Phase};
use super::socket::{RECEIVE_TICK, Ready, Socket};
use super::stream::Patience;
use crate::error::{Error, Status};
use std::io;
use std::time::Instant;

/// Prepares a read in `phase`, which has been waiting since `since`: how patient the read may be, or `None`
/// when nothing came and the caller should look at its own bound (`give_up`) and come back.
///
/// [`Status::Timeout`] or [`Status::Cancelled`] when a limit has passed.
pub(super) fn before_read(
    socket: &Socket,
    limits: &Limits,
    phase: Phase,
    since: Instant,
    give_up: Option<Instant>,
) -> Result<Option<Patience>, Error> {
    if give_up.is_none() && !limits.is_bounded(phase) {
        limits.cancel.check(phase.doing())?;
        return Ok(Some(Patience::Tick));
    }
    let now = Instant::now();
    let expiry = limits.expiry(phase, since);
    limits.check(phase, expiry, now)?;
    let Some(bound) = nearest(expiry, give_up) else { return Ok(Some(Patience::Tick)) };
    let remaining = bound.saturating_duration_since(now);
    if remaining >= RECEIVE_TICK {
        return Ok(Some(Patience::Tick));
    }
    let ready = socket.wait(Ready { read: true, write: false }, Some(remaining)).map_err(system)?;
    if ready.read {
        limits.cancel.check(phase.doing())?;
        return Ok(Some(Patience::None));
    }
    Ok(None)
}

/// Waits until the socket is ready for something that is `wanted`, or a limit passes.
pub(super) fn until_ready(
    socket: &Socket,
    wanted: Ready,
    limits: &Limits,
    phase: Phase,
    since: Instant,
    give_up: Option<Instant>,
) -> Result<Ready, Error> {
    loop {
        let now = Instant::now();
        let expiry = limits.expiry(phase, since);
        limits.check(phase, expiry, now)?;
        if give_up.is_some_and(|at| at <= now) {
            return Ok(Ready::default());
        }
        let remaining = nearest(expiry, give_up).map(|bound| bound.saturating_duration_since(now));
        let ready = socket.wait(wanted, remaining).map_err(system)?;
        if ready.read || ready.write {
            limits.cancel.check(phase.doing())?;
            return Ok(ready);
        }
    }
}

fn nearest(expiry: Option<Expiry>, give_up: Option<Instant>) -> Option<Instant> {
    match (expiry, give_up) {
        (Some(expiry), Some(give_up)) => Some(expiry.at.min(give_up)),
        (expiry, give_up) => expiry.map(|expiry| expiry.at).or(give_up),
    }
}

fn system(cause: io::Error) -> Error {
    Error::new(Status::System, format!("waiting on a socket failed: {cause}")).with_cause(cause)
}
