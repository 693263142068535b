//! One request and its answer, as the script says: when to answer, what to check, where to go wrong.
//!
//! Owns the order of things: the payment is verified from the head, the body is read, the payment is settled,
//! and only then does a byte of a paid answer leave. A request is in the record before its answer is on the wire.

use super::answer::{Facts, Wire, render};
use super::connection::{Body, Connection, Head};
use super::payment::{Payment, hex, verify};
use super::scenario::{Answer, Content, Early, ExpectAs, Fault, Framing, ReceiptAs, Settle, Terms};
use super::server::{Charged, Shared};
use super::state::RequestSeen;
use super::terms::Challenge;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ECHO_BYTES_MAX: usize = 64 * 1024 * 1024;
const LATE_RESET_AFTER: Duration = Duration::from_millis(200);
/// How often a held answer looks whether the client is still there.
const HOLD_SLICE: Duration = Duration::from_millis(20);

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Keep,
    /// An orderly end.
    Close,
    /// Dropped as it stands.
    Drop,
    Reset,
}

struct Plan<'a> {
    answer: &'a Answer,
    status: u16,
    list: &'static str,
    route: Option<&'a Charged>,
    challenge: Option<Cow<'a, Challenge>>,
    payment: Option<Payment>,
}

/// What was read of the request's body so far.
struct Reading {
    body: Body,
    hash: Option<Sha256>,
    kept: Option<Vec<u8>>,
}

pub fn serve(shared: &Shared, origin: &str, connection_id: u64, connection: &mut Connection, head: &Head) -> Next {
    let headers = redacted(head);
    let plan = plan(shared, origin, head);
    let releases = shared.state.releases();
    let number = shared.state.request_begun(RequestSeen {
        number: 0,
        connection: connection_id,
        origin: origin.to_string(),
        method: head.method.clone(),
        target: head.target.clone(),
        headers: headers.clone(),
        ..RequestSeen::default()
    });
    let mut body_bytes = 0;
    let next = match Body::of(head) {
        Ok(body) => {
            let mut reading = Reading {
                body,
                hash: (shared.hash_bodies || matches!(plan.answer.body, Content::Hash)).then(Sha256::new),
                kept: matches!(plan.answer.body, Content::Echo | Content::Chat | Content::SolanaNode).then(Vec::new),
            };
            let exchange = Exchange { shared, number, releases, plan: &plan, head, headers: &headers };
            let next = exchange.run(connection, &mut reading).unwrap_or(Next::Drop);
            exchange.record(&reading);
            body_bytes = reading.body.bytes;
            next
        }
        Err(_) => Next::Drop,
    };
    shared.state.request_done(body_bytes, connection.received_anew());
    match head.keeps_alive() {
        true => next,
        false if next == Next::Keep => Next::Close,
        false => next,
    }
}

/// Headers as they may be kept: a payment only as its hash.
fn redacted(head: &Head) -> Vec<(String, String)> {
    let redact = |(name, value): &(String, String)| {
        let value = match payment_version(name) {
            Some(_) => format!("sha256:{}", sha256(value.as_bytes())),
            None => value.clone(),
        };
        (name.clone(), value)
    };
    head.headers.iter().map(redact).collect()
}

fn payment_version(name: &str) -> Option<u8> {
    match name {
        _ if name.eq_ignore_ascii_case("payment-signature") => Some(2),
        _ if name.eq_ignore_ascii_case("x-payment") => Some(1),
        _ => None,
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))[2..].to_string()
}

/// Which answer this request gets, and on what terms.
fn plan<'a>(shared: &'a Shared, origin: &str, head: &Head) -> Plan<'a> {
    let Some((name, route)) = shared.route(origin, head.path()) else {
        let answer = &shared.not_found;
        return Plan { answer, status: 404, list: "answers", route: None, challenge: None, payment: None };
    };
    let route = route.at(shared.state.step(name, "requests", usize::MAX));
    let pick = |list: &'static str, answers: &'a [Answer]| &answers[shared.state.step(name, list, answers.len())];
    let Some(terms) = &route.challenge else {
        let answer = pick("answers", &route.script.answers);
        let status = answer.status.unwrap_or(200);
        let challenge = challenge_of(answer, status, route, None);
        return Plan { answer, status, list: "answers", route: Some(route), challenge, payment: None };
    };
    let presented =
        head.headers.iter().find_map(|(name, value)| payment_version(name).map(|version| (version, value.as_bytes())));
    let Some((version, value)) = presented else {
        let answer = pick("unpaid", &route.script.unpaid);
        let status = answer.status.unwrap_or(402);
        let challenge = challenge_of(answer, status, route, None);
        return Plan { answer, status, list: "unpaid", route: Some(route), challenge, payment: None };
    };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let verified = verify(version, value, terms, now_s);
    let (header, replayed) = (sha256(value), route.script.replayed);
    match shared.state.payment_presented(&head.target, header, verified, replayed, &shared.channel) {
        Ok(payment) => {
            let answer = pick("paid", &route.script.paid);
            let status = answer.status.unwrap_or(200);
            let challenge = challenge_of(answer, status, route, None);
            Plan { answer, status, list: "paid", route: Some(route), challenge, payment: Some(payment) }
        }
        Err(reason) => {
            let answer = pick("refused", &route.script.refused);
            let status = answer.status.unwrap_or(402);
            let correction = shared.state.correction(&sha256(value));
            let challenge = challenge_of(answer, status, route, Some(&reason));
            let correction = correction.filter(|_| answer.terms.is_none());
            let challenge = corrected(challenge, correction, route, &reason);
            Plan { answer, status, list: "refused", route: Some(route), challenge, payment: None }
        }
    }
}

/// The terms an answer carries: a 402 has the route's unless it is bare; any answer may bring its own, or an error.
fn challenge_of<'a>(
    answer: &Answer,
    status: u16,
    route: &'a Charged,
    error: Option<&str>,
) -> Option<Cow<'a, Challenge>> {
    let error = answer.error.as_deref().or(error);
    let refused_before = status == 412 && error.is_some();
    let wanted = status == 402 || refused_before || answer.terms.is_some() || answer.error.is_some();
    if answer.bare || !wanted {
        return None;
    }
    match (&answer.terms, &route.script.terms, error) {
        (Some(terms), _, error) | (None, Some(terms), error @ Some(_)) => {
            Some(Cow::Owned(Challenge::new(terms, &route.url, error)))
        }
        (None, _, _) => route.challenge.as_ref().map(Cow::Borrowed),
    }
}

/// The route's terms with what the server says of the payment's channel in their offers.
fn corrected<'a>(
    challenge: Option<Cow<'a, Challenge>>,
    correction: Option<Value>,
    route: &Charged,
    reason: &str,
) -> Option<Cow<'a, Challenge>> {
    let (Some(correction), Some(terms)) = (correction, &route.script.terms) else { return challenge };
    let mut challenge = challenge?.into_owned();
    let said = challenge.error.clone().unwrap_or_else(|| reason.to_string());
    for offer in challenge.offers.iter_mut().filter(|offer| offer["scheme"] == "batch-settlement") {
        for (name, value) in correction.as_object().into_iter().flatten() {
            // What the script says stands.
            if offer["extra"].get(name).is_none() {
                offer["extra"][name] = value.clone();
            }
        }
    }
    let terms = Terms { offers_raw: Some(challenge.offers.into()), ..terms.clone() };
    Some(Cow::Owned(Challenge::new(&terms, &route.url, Some(&said))))
}

struct Exchange<'a> {
    shared: &'a Shared,
    number: u64,
    /// Releases before this request: any after them is meant for it.
    releases: u64,
    plan: &'a Plan<'a>,
    head: &'a Head,
    headers: &'a [(String, String)],
}

impl Exchange<'_> {
    fn run(&self, connection: &mut Connection, reading: &mut Reading) -> io::Result<Next> {
        let answer = self.plan.answer;
        let expects = self.head.expects_continue() && !reading.body.is_whole();
        if matches!(answer.fault, Some(Fault::CloseIfReused)) && connection.requests > 1 {
            return Ok(Next::Close);
        }
        if expects && answer.expect == ExpectAs::Refuse {
            let refusal = Answer { status: Some(417), ..Answer::default() };
            self.send(connection, &refusal, 417, reading)?;
            return Ok(Next::Close);
        }
        match answer.early {
            Some(early) if !reading.body.is_whole() => self.answer_early(connection, reading, early, expects),
            _ => {
                if expects && answer.expect != ExpectAs::Ignore {
                    connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
                self.read_body(connection, reading, u64::MAX)?;
                self.record(reading);
                self.send(connection, answer, self.plan.status, reading)
            }
        }
    }

    fn answer_early(
        &self,
        connection: &mut Connection,
        reading: &mut Reading,
        early: Early,
        expects: bool,
    ) -> io::Result<Next> {
        let answer = self.plan.answer;
        let with_final = expects && answer.expect == ExpectAs::WithFinal;
        if expects && answer.expect == ExpectAs::Continue {
            connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let ignored = expects && answer.expect == ExpectAs::Ignore;
        self.read_body(connection, reading, answer.early_after_bytes.max(u64::from(ignored)))?;
        self.record(reading);
        if with_final {
            let wire = self.rendered(answer, self.plan.status, reading);
            connection.write(&[b"HTTP/1.1 100 Continue\r\n\r\n", &wire.bytes[..]].concat())?;
            self.shared.state.request_update(self.number, |seen| seen.status = self.plan.status);
        } else {
            match self.send(connection, answer, self.plan.status, reading)? {
                Next::Keep => {}
                other => return Ok(other),
            }
        }
        match early {
            Early::KeepReading => {
                self.read_body(connection, reading, u64::MAX)?;
                Ok(Next::Keep)
            }
            Early::StopReading => {
                self.wait_moved_on(connection);
                connection.drain();
                Ok(Next::Drop)
            }
            Early::Reset => Ok(Next::Drop),
            Early::ResetLate => {
                connection.hung_up(LATE_RESET_AFTER);
                Ok(Next::Reset)
            }
            Early::LingerClose => {
                connection.stream.finish_writing();
                let _ = self.read_body(connection, reading, u64::MAX);
                connection.drain();
                Ok(Next::Drop)
            }
        }
    }

    /// Reads nothing until the client has closed, or was seen to go on with something else. What it had under way
    /// when it closed keeps the end from being seen here, so only then the rest is taken off the wire.
    fn wait_moved_on(&self, connection: &Connection) {
        let state = &self.shared.state;
        let moved_on = || state.wait_next_request(self.number, self.releases, HOLD_SLICE);
        while !connection.hung_up(Duration::ZERO) && !moved_on() {}
    }

    fn wait_hang_up(&self, connection: &Connection) {
        while !connection.hung_up(HOLD_SLICE) && !self.shared.state.stopped() {}
    }

    /// Reads the body up to its end, or until `enough` bytes have come.
    fn read_body(&self, connection: &mut Connection, reading: &mut Reading, enough: u64) -> io::Result<()> {
        while reading.body.bytes < enough {
            let Some(piece) = reading.body.next(connection)? else {
                break;
            };
            if let Some(hash) = &mut reading.hash {
                hash.update(piece);
            }
            if let Some(kept) = reading.kept.as_mut().filter(|kept| kept.len() + piece.len() <= ECHO_BYTES_MAX) {
                kept.extend_from_slice(piece);
            }
        }
        Ok(())
    }

    fn record(&self, reading: &Reading) {
        self.shared.state.request_update(self.number, |seen| {
            seen.body_bytes = reading.body.bytes;
            seen.body_whole = reading.body.is_whole();
            seen.body_sha256 = hash_of(reading);
        });
    }

    /// Settles if the script says so, then sends the answer with its timing and its faults.
    fn send(&self, connection: &mut Connection, answer: &Answer, status: u16, reading: &Reading) -> io::Result<Next> {
        if answer.hold && !self.wait_released(connection) {
            return Ok(Next::Drop);
        }
        if answer.delay_ms > 0 && connection.hung_up(Duration::from_millis(answer.delay_ms)) {
            return Ok(Next::Drop);
        }
        let wire = self.rendered(answer, status, reading);
        match &answer.fault {
            Some(Fault::Close) => return Ok(Next::Close),
            Some(Fault::Reset) => return Ok(Next::Reset),
            Some(Fault::Hang) => {
                self.wait_hang_up(connection);
                return Ok(Next::Drop);
            }
            Some(Fault::Garbage(text)) => {
                connection.write(text.as_bytes())?;
                return Ok(Next::Close);
            }
            Some(Fault::CloseIfReused | Fault::TruncateAt(_) | Fault::ResetAt(_) | Fault::Twice) | None => {}
        }
        self.shared.state.request_update(self.number, |seen| seen.status = status);
        for interim in &answer.interim {
            connection.write(format!("HTTP/1.1 {interim} Interim\r\n\r\n").as_bytes())?;
        }
        self.write(connection, answer, &wire)
    }

    fn rendered(&self, answer: &Answer, status: u16, reading: &Reading) -> Wire {
        let facts = Facts {
            head: self.head,
            headers: self.headers,
            body_bytes: reading.body.bytes,
            body_sha256: hash_of(reading),
            body: reading.kept.clone().unwrap_or_default(),
            challenge: self.plan.challenge.as_deref(),
            receipt: self.settled(answer, status),
        };
        render(answer, status, &facts)
    }

    /// Settles, and gives the receipt's header.
    fn settled(&self, answer: &Answer, status: u16) -> Option<(&'static str, String)> {
        let version = self.plan.route?.challenge.as_ref().map_or(2, |challenge| challenge.version);
        let name = if version == 1 { "X-PAYMENT-RESPONSE" } else { "PAYMENT-RESPONSE" };
        match &answer.receipt {
            ReceiptAs::Raw(raw) => {
                self.settle(answer, status);
                Some(raw.clone())
            }
            ReceiptAs::Json(value) => {
                self.settle(answer, status);
                Some(BASE64.encode(value.to_string()))
            }
            ReceiptAs::None => {
                self.settle(answer, status);
                None
            }
            ReceiptAs::Usual => self.settle(answer, status),
        }
        .map(|value| (name, value))
    }

    fn settle(&self, answer: &Answer, status: u16) -> Option<String> {
        let payment = self.plan.payment.as_ref()?;
        let usual = if self.plan.list == "paid" && status < 300 { Settle::Yes } else { Settle::No };
        match answer.settle.unwrap_or(usual) {
            Settle::Yes => {
                let (state, charged) = (&self.shared.state, answer.charged.as_deref());
                state.settle(payment, charged, answer.forgets);
                Some(payment.receipt(None, charged, state.channel_receipt(payment, charged)))
            }
            Settle::Fail => {
                let reason = answer.settle_reason.as_deref().unwrap_or("insufficient_funds");
                Some(payment.receipt(Some(reason), None, None))
            }
            Settle::No => None,
        }
    }

    fn write(&self, connection: &mut Connection, answer: &Answer, wire: &Wire) -> io::Result<Next> {
        if matches!(answer.fault, Some(Fault::Twice)) {
            // In one piece: what comes after the next request was sent cannot be told from an answer to it.
            connection.write(&wire.bytes.repeat(2))?;
            return Ok(Next::Keep);
        }
        let (end, after) = match answer.fault {
            Some(Fault::TruncateAt(at)) => (wire.body_at + at, Next::Close),
            Some(Fault::ResetAt(at)) => (wire.body_at + at, Next::Reset),
            _ => (wire.bytes.len(), if ends(answer) { Next::Close } else { Next::Keep }),
        };
        let bytes = &wire.bytes[..end.min(wire.bytes.len())];
        let held_at = answer.hold_at.map_or(bytes.len(), |at| (wire.body_at + at).min(bytes.len()));
        let (now, later) = bytes.split_at(held_at);
        match answer.drip {
            Some(drip) => {
                for piece in now.chunks(drip.bytes.max(1)) {
                    connection.write(piece)?;
                    if connection.hung_up(Duration::from_millis(drip.every_ms)) {
                        return Ok(Next::Drop);
                    }
                }
            }
            None => connection.write(now)?,
        }
        if !later.is_empty() {
            if !self.wait_released(connection) {
                return Ok(Next::Drop);
            }
            connection.write(later)?;
        }
        Ok(after)
    }

    /// False: the client went away first.
    fn wait_released(&self, connection: &Connection) -> bool {
        while !self.shared.state.wait_released(self.releases, HOLD_SLICE) {
            if connection.hung_up(Duration::ZERO) {
                return false;
            }
        }
        true
    }
}

fn hash_of(reading: &Reading) -> Option<String> {
    reading.hash.as_ref().map(|hash| hex(&hash.clone().finalize())[2..].to_string())
}

fn ends(answer: &Answer) -> bool {
    answer.close.is_some() || answer.framing == Framing::Close
}
