//! How long each part of an exchange may take, and the sentence that says which limit passed.
//!
//! Owns the arithmetic of the four limits; the waiting itself is the stream's. Time here is monotonic and
//! never reaches a signature. The decision: a limit is looked at only where the call would block, so work that
//! never waits never asks the clock.

use super::cancel::Cancel;
use crate::error::{Error, Status};
use std::time::{Duration, Instant};

/// The limits of one exchange; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// Name resolution, connecting, the proxy's and the TLS handshake together (`connect_timeout_ms`).
    pub connect: Option<Duration>,
    /// From the end of sending to the first byte of the answer (`first_byte_timeout_ms`).
    pub first_byte: Option<Duration>,
    /// No byte moved in either direction while sending or receiving (`idle_timeout_ms`).
    pub idle: Option<Duration>,
    /// The moment at which everything must be over, the reading of the answer's body included (`total_timeout_ms`).
    pub total: Option<Instant>,
}

/// What an exchange is doing when it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Resolving,
    Connecting,
    ProxyHandshake,
    TlsHandshake,
    Sending,
    AwaitingContinue,
    AwaitingAnswer,
    Receiving,
}

impl Phase {
    pub(super) fn doing(self) -> &'static str {
        match self {
            Phase::Resolving => "resolving the host name",
            Phase::Connecting => "connecting",
            Phase::ProxyHandshake => "asking the proxy for a connection",
            Phase::TlsHandshake => "negotiating TLS",
            Phase::Sending => "sending the request",
            Phase::AwaitingContinue => "waiting for the server to ask for the body",
            Phase::AwaitingAnswer => "waiting for the first byte of the answer",
            Phase::Receiving => "receiving the answer",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    Connect(Duration),
    FirstByte(Duration),
    Idle(Duration),
    Total,
}

/// A moment in the future and the setting it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expiry {
    pub(super) at: Instant,
    setting: Setting,
}

/// The limits of one exchange as they stand, with the handle that can stop it.
pub(super) struct Limits {
    deadlines: Deadlines,
    started: Instant,
    pub(super) cancel: Cancel,
}

impl Limits {
    pub(super) fn new(deadlines: Deadlines, cancel: Cancel) -> Self {
        Limits { deadlines, started: Instant::now(), cancel }
    }

    /// When a wait that begins at `since` must end. The connect limit counts from the start of the exchange.
    pub(super) fn expiry(&self, phase: Phase, since: Instant) -> Option<Expiry> {
        let own = match phase {
            Phase::Resolving | Phase::Connecting | Phase::ProxyHandshake | Phase::TlsHandshake => {
                self.deadlines.connect.map(|limit| (self.started, limit, Setting::Connect(limit)))
            }
            Phase::Sending | Phase::Receiving => self.deadlines.idle.map(|limit| (since, limit, Setting::Idle(limit))),
            // This wait has a short end of its own, after which the body is sent.
            Phase::AwaitingContinue => None,
            Phase::AwaitingAnswer => self.deadlines.first_byte.map(|limit| (since, limit, Setting::FirstByte(limit))),
        };
        let own = own.and_then(|(from, limit, setting)| Some(Expiry { at: from.checked_add(limit)?, setting }));
        let total = self.deadlines.total.map(|at| Expiry { at, setting: Setting::Total });
        match (own, total) {
            (Some(own), Some(total)) => Some(if own.at <= total.at { own } else { total }),
            (own, total) => own.or(total),
        }
    }

    /// [`Limits::check`] for work that does not wait: only the total counts, and the connect limit.
    pub(super) fn check_now(&self, phase: Phase) -> Result<(), Error> {
        if !self.is_bounded(phase) {
            return self.cancel.check(phase.doing());
        }
        let now = Instant::now();
        self.check(phase, self.expiry(phase, now), now)
    }

    /// [`Limits::check_now`] at the very start.
    pub(super) fn check_start(&self, phase: Phase) -> Result<(), Error> {
        self.check(phase, self.expiry(phase, self.started), self.started)
    }

    /// Whether any limit could end a wait in this phase.
    pub(super) fn is_bounded(&self, phase: Phase) -> bool {
        self.expiry(phase, self.started).is_some()
    }

    /// [`Status::Cancelled`] or [`Status::Timeout`] when either has happened by `now`.
    pub(super) fn check(&self, phase: Phase, expiry: Option<Expiry>, now: Instant) -> Result<(), Error> {
        self.cancel.check(phase.doing())?;
        match expiry {
            Some(expiry) if expiry.at <= now => Err(self.timeout(phase, expiry)),
            _ => Ok(()),
        }
    }

    pub(super) fn timeout(&self, phase: Phase, expiry: Expiry) -> Error {
        let doing = phase.doing();
        let message = match expiry.setting {
            Setting::Connect(limit) => format!(
                "connect_timeout_ms ({}) passed while {doing}: check the address, or raise the setting",
                limit.as_millis()
            ),
            Setting::FirstByte(limit) => {
                format!(
                    "first_byte_timeout_ms ({}) passed while {doing}: raise it for a slow server",
                    limit.as_millis()
                )
            }
            Setting::Idle(limit) => format!(
                "idle_timeout_ms ({}) passed without a byte moving while {doing}: raise it for a slow server",
                limit.as_millis()
            ),
            Setting::Total => format!(
                "total_timeout_ms passed while {doing}, {} ms into this exchange: raise it if the call needs longer",
                self.started.elapsed().as_millis()
            ),
        };
        Error::new(Status::Timeout, message)
    }
}
