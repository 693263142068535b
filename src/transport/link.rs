//! One exchange's hold on a connection: what ureq sends and receives through.
//!
//! Owns the order of events on the wire: the head and the first piece of the body in one packet, the wait for
//! `100 Continue`, the watch for an answer while the body still goes out, and the decision whether the
//! connection may carry another request. Knows no URLs and no headers. The decision: `Expect` is handled here
//! and unknown to ureq, so that "the answer came before the body was wanted" and "the answer came while the
//! body was being sent" are one case with one way out: sending stops, the reader is asked no more, and what is
//! left of the body exists only in ureq's count of it.

use super::answer::{Answer, sending_broke, take_answer, unless_answered};
use super::attempt::Attempt;
use super::buffers::ConnectionBuffers;
use super::cancel::Watch;
use super::deadline::Phase;
use super::failure::{connection_lost, io_failure};
use super::pool::{Connection, Endpoint, Pool};
use super::socket::Ready;
use super::stream::{Patience, Received, Stream};
use super::wait;
use crate::error::{Error, Status};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// How long a server may take to ask for the body before it is sent unasked (RFC 9110 §10.1.1).
const EXPECT_WAIT: Duration = Duration::from_secs(1);
/// A refused body up to this size is taken to have been read by the server before it answered.
const UNREAD_BODY_BYTES_MAX: u64 = 64 * 1024;
const EXPECT_HEADER_LINE: &[u8] = b"expect: 100-continue\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    /// `first` while the head is held for the body's first piece, before which no answer can come.
    Body {
        first: bool,
    },
    Answer {
        since: Instant,
    },
}

/// What kind of request goes through a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) has_body: bool,
    /// Ask for a `100 Continue`.
    pub(super) expects: bool,
}

pub(super) struct Link {
    stream: Option<Stream>,
    buffers: ConnectionBuffers,
    endpoint: Option<Endpoint>,
    pool: Arc<Pool>,
    attempt: Arc<Attempt>,
    watch: Option<Watch>,
    shape: Shape,
    stage: Stage,
    answer: Answer,
    keep: bool,
}

impl Link {
    pub(super) fn new(
        connection: Connection,
        pool: Arc<Pool>,
        attempt: Arc<Attempt>,
        shape: Shape,
    ) -> Result<Link, Error> {
        let Connection { stream, buffers, endpoint } = connection;
        let watch = attempt.limits.cancel.watch(stream.socket().clone(), Phase::Sending.doing())?;
        Ok(Link {
            stream: Some(stream),
            buffers,
            endpoint: Some(endpoint),
            pool,
            attempt,
            watch: Some(watch),
            shape,
            stage: Stage::Head,
            answer: Answer::default(),
            keep: false,
        })
    }

    /// How much of the answer was received and not yet consumed.
    pub(super) fn unread(&self) -> Arc<AtomicUsize> {
        self.buffers.input.len_from_elsewhere()
    }

    /// Room for the request that is about to be written: its head, and pieces of its body.
    pub(super) fn prepare(&mut self, head_bytes: usize, piece_bytes: usize) {
        self.buffers.output.prepare(head_bytes, piece_bytes);
    }

    fn transmit(&mut self, amount: usize) -> Result<(), Error> {
        if self.attempt.is_stopped() {
            return Ok(());
        }
        let in_time = self.attempt.limits.check_now(Phase::Sending);
        if unless_answered(&self.attempt, &self.answer, in_time)?.is_none() {
            return Ok(());
        }
        match self.stage {
            Stage::Head if !self.buffers.output.ends_head(amount) => self.send(amount),
            Stage::Head if !self.shape.has_body => {
                self.send(amount)?;
                self.stage = Stage::Answer { since: Instant::now() };
                Ok(())
            }
            Stage::Head if self.shape.expects => {
                // Not `first`: an answer may well come before the body's first piece.
                self.stage = Stage::Body { first: false };
                let amount = self.buffers.output.insert_header(amount, EXPECT_HEADER_LINE);
                let no_room = || Error::new(Status::Header, "the request's head has no room for an Expect header");
                self.attempt.set_expect_sent();
                self.send(amount.ok_or_else(no_room)?)?;
                self.await_continue()
            }
            Stage::Head => {
                self.buffers.output.hold(amount);
                self.stage = Stage::Body { first: true };
                Ok(())
            }
            Stage::Body { first } => {
                self.stage = Stage::Body { first: false };
                if !first && self.answer_came()? {
                    return Ok(());
                }
                self.send(amount)
            }
            Stage::Answer { .. } => self.send(amount),
        }
    }

    /// Sends output, watching for an answer whenever the socket is full. Returns early when sending has stopped.
    fn send(&mut self, amount: usize) -> Result<(), Error> {
        let Self { stream, buffers, attempt, answer, .. } = self;
        let Some(stream) = stream else { return Err(closed()) };
        let output = buffers.output.take(amount);
        let mut sent = 0;
        loop {
            attempt.limits.cancel.check(Phase::Sending.doing())?;
            let rest = output.get(sent..).unwrap_or_default();
            let left_before = stream.left_bytes();
            let step = if rest.is_empty() { stream.flush().map(|_| 0) } else { stream.write(rest) };
            let step = step.and_then(|taken| Ok((taken, stream.flush()?)));
            // A record that holds a payment may leave whole before the next one fails.
            if stream.left_bytes() != left_before || matches!(step, Ok((taken, _)) if taken > 0) {
                attempt.set_request_sent_any();
            }
            match step {
                Ok((taken, flushed)) => {
                    sent += taken;
                    if sent == output.len() && flushed {
                        return Ok(());
                    }
                    // A plain socket that took a part is full; a TLS session only takes so much at a time.
                    if taken > 0 && flushed && stream.is_tls() {
                        continue;
                    }
                }
                Err(cause) => return sending_broke(stream, &mut buffers.input, attempt, answer, cause),
            }
            let wanted = Ready { read: !answer.ended && !buffers.input.is_full(), write: true };
            let ready =
                wait::until_ready(stream.socket(), wanted, &attempt.limits, Phase::Sending, Instant::now(), None);
            let Some(ready) = unless_answered(attempt, answer, ready)? else { return Ok(()) };
            if ready.read && wanted.read && take_answer(stream, &mut buffers.input, attempt, answer)? {
                return Ok(());
            }
        }
    }

    /// A look at what came in, without waiting: whether sending has stopped.
    fn answer_came(&mut self) -> Result<bool, Error> {
        let Some(stream) = &mut self.stream else { return Err(closed()) };
        if self.answer.ended || self.buffers.input.is_full() {
            return Ok(false);
        }
        take_answer(stream, &mut self.buffers.input, &self.attempt, &mut self.answer)
    }

    /// Waits for `100 Continue`. A final answer instead stops the exchange before the body is touched; silence
    /// sends the body unasked.
    fn await_continue(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        let give_up = begun.checked_add(EXPECT_WAIT);
        while !self.attempt.is_stopped() {
            match self.receive(Phase::AwaitingContinue, begun, give_up)? {
                Received::Bytes(_) => {
                    if self.answer.is_decided() {
                        self.attempt.stop();
                        return Ok(());
                    }
                    if self.answer.continued {
                        return Ok(());
                    }
                }
                Received::End => {
                    let attempt = &self.attempt;
                    return Err(connection_lost(attempt, Phase::AwaitingContinue, None));
                }
                Received::Nothing | Received::Progress => {}
            }
            if give_up.is_some_and(|at| at <= Instant::now()) {
                self.attempt.set_expect_ignored();
                return Ok(());
            }
        }
        Ok(())
    }

    /// Receives once into the input: bytes, the end, or nothing by `give_up`.
    fn receive(&mut self, phase: Phase, since: Instant, give_up: Option<Instant>) -> Result<Received, Error> {
        let Some(stream) = &mut self.stream else { return Err(closed()) };
        let mut since = since;
        loop {
            let limits = &self.attempt.limits;
            let patience = if stream.has_buffered() {
                limits.check_now(phase)?;
                Some(Patience::None)
            } else {
                wait::before_read(stream.socket(), limits, phase, since, give_up)?
            };
            let Some(patience) = patience else {
                if give_up.is_some_and(|at| at <= Instant::now()) {
                    return Ok(Received::Nothing);
                }
                continue;
            };
            let room = self.buffers.input.room();
            if room.is_empty() {
                return Err(Error::new(Status::HeadLimit, "the answer's head is larger than this client reads"));
            }
            let received = stream.read(room, patience);
            self.attempt.limits.cancel.check(phase.doing())?;
            match received {
                Ok(Received::Bytes(bytes)) => {
                    self.buffers.input.appended(bytes);
                    self.attempt.set_any_response_byte();
                    self.answer.look(&mut self.buffers.input)?;
                    return Ok(Received::Bytes(bytes));
                }
                Ok(Received::End) => {
                    self.answer.ended = true;
                    return Ok(Received::End);
                }
                Ok(quiet @ (Received::Nothing | Received::Progress)) => {
                    if quiet == Received::Progress && phase == Phase::Receiving {
                        since = Instant::now(); // a part of a record is a sign of life
                    }
                    if give_up.is_some_and(|at| at <= Instant::now()) {
                        return Ok(Received::Nothing);
                    }
                }
                Err(cause) => return Err(io_failure(&self.attempt, phase, cause)),
            }
        }
    }

    /// Waits for more of the answer; false at its end.
    fn await_answer(&mut self) -> Result<bool, Error> {
        if self.answer.ended {
            return Ok(false);
        }
        let since = match self.stage {
            Stage::Answer { since } => since,
            Stage::Head | Stage::Body { .. } => {
                let since = Instant::now();
                self.stage = Stage::Answer { since };
                since
            }
        };
        loop {
            let begun = self.answer.is_decided() || self.buffers.input.len() > 0;
            let received = if begun {
                self.receive(Phase::Receiving, Instant::now(), None)
            } else {
                self.receive(Phase::AwaitingAnswer, since, None)
            };
            match received {
                Ok(Received::Bytes(_)) if self.buffers.input.len() > 0 => return Ok(true),
                Ok(Received::Bytes(_) | Received::Nothing | Received::Progress) => {}
                Ok(Received::End) => return Ok(false),
                // After an early answer the server's reset is its way of hanging up, and all that came was read.
                Err(error) if error.status == Status::ConnectionLost && self.attempt.is_stopped() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

fn closed() -> Error {
    Error::new(Status::ConnectionLost, "the connection is closed already")
}

impl Transport for Link {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.transmit(amount).map_err(carried)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.await_answer().map_err(carried)
    }

    /// ureq asks once, when the answer was read to its end and nothing speaks against another request.
    fn is_open(&mut self) -> bool {
        let is_drained = self.stream.as_mut().is_some_and(Stream::is_drained);
        let is_whole = !self.attempt.is_stopped() && !self.answer.ended && self.buffers.input.len() == 0;
        self.keep = is_drained && is_whole && !self.may_lie_unread();
        self.keep
    }

    fn is_tls(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_tls)
    }
}

impl Link {
    /// A server that turned a large body down may have read none of it: the system took it all without a sign,
    /// and another request would wait behind it for ever.
    fn may_lie_unread(&self) -> bool {
        self.answer.stops_sending() && self.attempt.report().body_bytes_pulled > UNREAD_BODY_BYTES_MAX
    }
}

fn carried(error: Error) -> ureq::Error {
    ureq::Error::Io(error.into_io())
}

impl Drop for Link {
    fn drop(&mut self) {
        // In this order: once the watch is gone nobody can shut the socket down, and a cancellation that did
        // so before has left its mark.
        self.watch = None;
        if !self.keep || self.attempt.limits.cancel.is_cancelled() {
            // A server that does not read would never learn of an orderly end: it waits behind the unsent rest.
            if let Some(stream) = self.stream.as_ref().filter(|_| self.attempt.is_stopped() || self.may_lie_unread()) {
                stream.socket().discard_on_close();
            }
            return;
        }
        if let (Some(stream), Some(endpoint)) = (self.stream.take(), self.endpoint.take()) {
            let buffers = std::mem::take(&mut self.buffers);
            self.pool.put(Connection { stream, buffers, endpoint });
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("shape", &self.shape).field("stage", &self.stage).finish_non_exhaustive()
    }
}
