//! One answer: its head, and its body as a reader.
//!
//! Owns what becomes of the connection: read to its end the body returns it to the pool, dropped before that
//! the body closes it. Knows no content codings. The decision: an error is final. ureq reports the end of the
//! body when it is asked again after a truncation; here the same error comes again, so that no caller mistakes
//! a part for the whole.

use super::attempt::{Attempt, Report};
use super::failure;
use crate::error::Error;
use http::{HeaderName, HeaderValue};
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A header of a request or an answer. The name is in lower case; a copy shares the texts.
pub type Header = (HeaderName, HeaderValue);

/// An answer whose head has been read.
#[derive(Debug)]
pub struct Incoming {
    pub status: u16,
    /// Names in lower case, values byte for byte; in the order of first appearance, values of one name together.
    pub headers: Vec<Header>,
    pub body: IncomingBody,
    pub arrival: Arrival,
    pub report: Report,
}

/// The body of an answer, transfer coding removed, content coding not. May be read on any thread.
///
/// Errors carry a [`crate::error::Error`] (see [`Error::from_io`]); a body that ends before its announced
/// length, its last chunk or TLS's own end is [`crate::error::Status::ConnectionLost`].
pub struct IncomingBody {
    reader: Option<ureq::BodyReader<'static>>,
    attempt: Arc<Attempt>,
    expected: Option<u64>,
    received: u64,
    failure: Option<Error>,
}

impl IncomingBody {
    pub(super) fn new(body: ureq::Body, attempt: Arc<Attempt>, expected: Option<u64>) -> Self {
        attempt.set_body_left(expected);
        IncomingBody { reader: Some(body.into_reader()), attempt, expected, received: 0, failure: None }
    }
}

/// Knows how much of a body is still to come, apart from the body itself.
pub struct Arrival {
    attempt: Arc<Attempt>,
    unread: Arc<AtomicUsize>,
}

impl Arrival {
    pub(super) fn new(attempt: Arc<Attempt>, unread: Arc<AtomicUsize>) -> Self {
        Arrival { attempt, unread }
    }

    /// All of the body was received, so that no read of it waits for the server. Never true where only the end of the
    /// body tells its length.
    pub fn is_whole(&self) -> bool {
        self.attempt.body_left() <= self.unread.load(Ordering::Acquire) as u64
    }
}

impl Read for IncomingBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(failure) = &self.failure {
            return Err(failure.again().into_io());
        }
        let Some(reader) = &mut self.reader else { return Ok(0) };
        if buffer.is_empty() {
            return Ok(0);
        }
        match reader.read(buffer) {
            Ok(0) => self.reader = None,
            Ok(bytes) => {
                self.received += bytes as u64;
                self.attempt.set_body_left(self.expected.map(|expected| expected.saturating_sub(self.received)));
                if self.expected == Some(self.received) {
                    // ureq lets go of the connection when it is asked once more; nothing is received for it.
                    let _ = reader.read(&mut [0]);
                    self.reader = None;
                }
                return Ok(bytes);
            }
            Err(cause) => {
                self.reader = None;
                let error = failure::while_reading(&self.attempt, cause, self.received, self.expected);
                self.failure = Some(error.again());
                return Err(error.into_io());
            }
        }
        Ok(0)
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("is_whole", &self.is_whole()).finish_non_exhaustive()
    }
}

impl fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, received, .. } = self;
        f.debug_struct("IncomingBody").field("expected", expected).field("received", received).finish_non_exhaustive()
    }
}
