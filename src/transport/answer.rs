//! What has come of the answer while the request is still going out.
//!
//! Owns the reading ahead: interim answers are dropped here (ureq would refuse a `100 Continue` with headers),
//! and a final one ends the sending. Knows no requests. The decision: a broken connection is read to its end
//! before it is given up, because a reset does not take away what the system has already received.

use super::attempt::Attempt;
use super::buffers::Input;
use super::deadline::Phase;
use super::early::{STOPPING_STATUS_MIN, Scan, scan};
use super::failure::{connection_lost, io_failure};
use super::stream::{Patience, Received, Stream};
use crate::error::{Error, Status};
use std::io;

/// A server that sends more interim answers than this is not going to send a final one.
const INTERIM_ANSWERS_MAX: usize = 1000;

/// What is known of the answer so far.
#[derive(Default)]
pub(super) struct Answer {
    interim: usize,
    /// A `100 Continue` came.
    pub(super) continued: bool,
    last: Option<Scan>,
    /// Nothing more will come.
    pub(super) ended: bool,
}

impl Answer {
    /// Drops interim answers from the front of the input and notes what follows them.
    pub(super) fn look(&mut self, input: &mut Input) -> Result<(), Error> {
        while self.is_open_question() {
            match scan(input.unconsumed()) {
                Scan::Interim { status, bytes } => {
                    input.skip(bytes);
                    self.interim += 1;
                    self.continued |= status == 100;
                    if self.interim > INTERIM_ANSWERS_MAX {
                        let message =
                            format!("the server sent more than {INTERIM_ANSWERS_MAX} interim (1xx) answers in a row");
                        return Err(Error::new(Status::Protocol, message));
                    }
                }
                other => {
                    self.last = Some(other);
                    break;
                }
            }
        }
        Ok(())
    }

    fn is_open_question(&self) -> bool {
        matches!(self.last, None | Some(Scan::Incomplete))
    }

    /// An answer that ends the exchange has begun, or something that will never be one.
    pub(super) fn is_decided(&self) -> bool {
        !self.is_open_question()
    }

    /// It is an answer that makes the rest of the body pointless.
    pub(super) fn stops_sending(&self) -> bool {
        match self.last {
            Some(Scan::Final { status }) => status >= STOPPING_STATUS_MIN,
            Some(Scan::Garbage) => true,
            _ => false,
        }
    }
}

/// Takes what has come in while sending; true when it stops the sending.
pub(super) fn take_answer(
    stream: &mut Stream,
    input: &mut Input,
    attempt: &Attempt,
    answer: &mut Answer,
) -> Result<bool, Error> {
    match stream.read(input.room(), Patience::None) {
        Ok(Received::Bytes(bytes)) => {
            input.appended(bytes);
            attempt.set_any_response_byte();
            answer.look(input)?;
        }
        Ok(Received::Nothing | Received::Progress) => {}
        Ok(Received::End) => {
            answer.ended = true;
            attempt.limits.cancel.check(Phase::Sending.doing())?;
            if !answer.is_decided() {
                attempt.set_broke_while_sending();
                return Err(connection_lost(attempt, Phase::Sending, None));
            }
        }
        Err(cause) => {
            attempt.limits.cancel.check(Phase::Sending.doing())?;
            answer.ended = true;
            if !answer.is_decided() {
                attempt.set_broke_while_sending();
                return Err(io_failure(attempt, Phase::Sending, cause));
            }
            attempt.stop();
        }
    }
    if answer.stops_sending() {
        attempt.stop();
    }
    Ok(attempt.is_stopped())
}

/// Sending failed: if an answer lies in the receive queue, the server's reset has not taken it away.
pub(super) fn sending_broke(
    stream: &mut Stream,
    input: &mut Input,
    attempt: &Attempt,
    answer: &mut Answer,
    cause: io::Error,
) -> Result<(), Error> {
    attempt.limits.cancel.check(Phase::Sending.doing())?;
    let mut cause = cause;
    while !answer.ended && !input.is_full() {
        match stream.read(input.room(), Patience::None) {
            Ok(Received::Bytes(bytes)) => {
                input.appended(bytes);
                attempt.set_any_response_byte();
                answer.look(input)?;
            }
            Ok(Received::Progress) => {}
            Ok(Received::Nothing | Received::End) => break,
            Err(error) => {
                // A TLS alert says more than the broken pipe that followed it.
                if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                    cause = error;
                }
                break;
            }
        }
    }
    answer.ended = true;
    if !answer.is_decided() {
        attempt.set_broke_while_sending();
        return Err(io_failure(attempt, Phase::Sending, cause));
    }
    attempt.stop();
    Ok(())
}

/// A limit that passes while sending ends the sending alone, where the server has answered and only reads no more: its
/// answer may say that it was paid. `None`: sending has stopped.
pub(super) fn unless_answered<T>(
    attempt: &Attempt,
    answer: &Answer,
    step: Result<T, Error>,
) -> Result<Option<T>, Error> {
    match step {
        Err(error) if error.status == Status::Timeout && answer.is_decided() => {
            attempt.stop();
            Ok(None)
        }
        step => step.map(Some),
    }
}
