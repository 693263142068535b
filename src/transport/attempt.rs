//! The state of one exchange, shared by its two ends: the reader that hands the body over and the link that
//! sends it.
//!
//! Owns the facts of the [`Report`] and the one decision both ends act on, "sending has stopped". Knows no
//! sockets and no HTTP. Everything is atomic because the answer's body may be read on another thread later;
//! during the sending itself both ends run on the caller's.

use super::deadline::Limits;
use crate::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What became of a request on the wire, whether or not an answer came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The request went out on a connection that had carried an earlier one.
    pub reused: bool,
    /// Bytes taken from the body's reader. More than the server saw, if sending was cut short.
    pub body_bytes_pulled: u64,
    /// An answer ended the sending before the body did.
    pub stopped_early: bool,
    /// The connection ended while the request was going out, and no answer was to be had from it.
    pub broke_while_sending: bool,
    /// At least one byte of an answer came, an interim one included.
    pub any_response_byte: bool,
    /// At least one byte of the request was handed to the system.
    pub request_sent_any: bool,
    /// The request asked for a `100 Continue` before its body.
    pub expect_sent: bool,
}

pub(super) struct Attempt {
    pub(super) limits: Limits,
    reused: AtomicBool,
    pulled: AtomicU64,
    stopped: AtomicBool,
    broke: AtomicBool,
    any_response_byte: AtomicBool,
    request_sent_any: AtomicBool,
    expect_sent: AtomicBool,
    expect_ignored: AtomicBool,
    /// How much of the answer's body was not read yet; `u64::MAX` if that is not known.
    body_left: AtomicU64,
    failure: Mutex<Option<Error>>,
}

impl Attempt {
    pub(super) fn new(limits: Limits) -> Self {
        Attempt {
            limits,
            reused: AtomicBool::new(false),
            pulled: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            broke: AtomicBool::new(false),
            any_response_byte: AtomicBool::new(false),
            request_sent_any: AtomicBool::new(false),
            expect_sent: AtomicBool::new(false),
            expect_ignored: AtomicBool::new(false),
            body_left: AtomicU64::new(u64::MAX),
            failure: Mutex::new(None),
        }
    }

    pub(super) fn report(&self) -> Report {
        Report {
            reused: self.reused.load(Ordering::Relaxed),
            body_bytes_pulled: self.pulled.load(Ordering::Relaxed),
            stopped_early: self.is_stopped(),
            broke_while_sending: self.broke.load(Ordering::Relaxed),
            any_response_byte: self.any_response_byte.load(Ordering::Relaxed),
            request_sent_any: self.request_sent_any.load(Ordering::Relaxed),
            expect_sent: self.expect_sent.load(Ordering::Relaxed),
        }
    }

    pub(super) fn set_reused(&self) {
        self.reused.store(true, Ordering::Relaxed);
    }

    pub(super) fn add_pulled(&self, bytes: usize) {
        self.pulled.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Nothing more of the body is to be read or sent.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn set_broke_while_sending(&self) {
        self.broke.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_any_response_byte(&self) {
        self.any_response_byte.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_request_sent_any(&self) {
        self.request_sent_any.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_expect_sent(&self) {
        self.expect_sent.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_expect_ignored(&self) {
        self.expect_ignored.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_expect_ignored(&self) -> bool {
        self.expect_ignored.load(Ordering::Relaxed)
    }

    pub(super) fn set_body_left(&self, bytes: Option<u64>) {
        self.body_left.store(bytes.unwrap_or(u64::MAX), Ordering::Release);
    }

    pub(super) fn body_left(&self) -> u64 {
        self.body_left.load(Ordering::Acquire)
    }

    /// Keeps the error that ends the exchange; the first one is the cause of any later.
    pub(super) fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
