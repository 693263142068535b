//! A 402 on hold: read far enough to learn its terms, kept whole in case it goes to the caller after all.
//!
//! Owns the bound on what is read of it. What was read stands in front of what was not, so that a declined
//! 402 reaches the caller byte for byte; reading to the end is what lets its connection carry the retry.

use super::purchase;
use super::response::{Received, Response};
use crate::error::{Error, Status};
use crate::payer::Payment;
use crate::protocol::{CHALLENGE_BODY_BYTES_MAX, Challenge, ChallengeError, NetworkNames};
use crate::transport::Header;
use std::io::{self, Cursor, Read};

/// The first buffer for the body of a 402: what its length says, within these.
const FIRST_READ_BYTES_MIN: usize = 256;
const FIRST_READ_BYTES_MAX: usize = 64 * 1024;

/// An answer as the loop sees it: decoded where that was asked for.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<Header>,
    pub body: Box<dyn Read + Send>,
    pub received: Received,
}

pub(super) struct Held {
    status: u16,
    headers: Vec<Header>,
    url: String,
    start: Vec<u8>,
    rest: Rest,
    received: Received,
}

/// What follows the part that was read.
enum Rest {
    Nothing,
    /// Longer than the bound.
    More(Box<dyn Read + Send>),
    /// It broke off; the caller meets the same error at the same byte.
    Broken(Error),
}

impl Held {
    /// Reads a 402. Only what stops the whole call (a cancel, a deadline) is an error here.
    pub fn read(mut answer: Answer, url: String) -> Result<Self, Error> {
        let announced = usize::try_from(answer.received.receive_total).unwrap_or(0).min(FIRST_READ_BYTES_MAX);
        let mut start = Vec::with_capacity(announced.max(FIRST_READ_BYTES_MIN));
        let mut bounded = answer.body.by_ref().take(CHALLENGE_BODY_BYTES_MAX as u64);
        let rest = match bounded.read_to_end(&mut start) {
            Ok(_) if start.len() < CHALLENGE_BODY_BYTES_MAX => Rest::Nothing,
            Ok(_) => Rest::More(answer.body),
            Err(error) => {
                let error = Error::from_io(error, Status::ConnectionLost, "the 402 could not be read to its end");
                if matches!(error.status, Status::Cancelled | Status::Timeout) {
                    return Err(error);
                }
                Rest::Broken(error)
            }
        };
        Ok(Held { status: answer.status, headers: answer.headers, url, start, rest, received: answer.received })
    }

    /// The terms it holds (x402 v2: the header; v1: the body).
    pub fn challenge(&self, names: &NetworkNames) -> Result<Challenge, ChallengeError> {
        let body = if matches!(self.rest, Rest::Nothing) { self.start.as_slice() } else { &[] };
        purchase::terms(&self.headers, body, names)
    }

    /// The header that alone says what the terms are, where there is one.
    pub fn payment_required(&self) -> Option<&[u8]> {
        purchase::payment_required(&self.headers)
    }

    /// The answer as it came, for the caller.
    pub fn into_response(self, payment: Payment) -> Response {
        let start = Cursor::new(self.start);
        let body: Box<dyn Read + Send> = match self.rest {
            Rest::Nothing => Box::new(start),
            Rest::More(rest) => Box::new(start.chain(rest)),
            Rest::Broken(error) => Box::new(start.chain(Fails(Some(error)))),
        };
        let answer = Answer { status: self.status, headers: self.headers, body, received: self.received };
        let mut response = Response::new(answer, self.url);
        response.payment = Some(payment);
        response
    }
}

/// Reads as the error that ended the original.
struct Fails(Option<Error>);

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(error) => Err(error.into_io()),
            None => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(body: Box<dyn Read + Send>) -> Response {
        let answer = Answer { status: 402, headers: Vec::new(), body, received: Received::of_a_test() };
        let held = Held::read(answer, "https://a.example/".into()).unwrap();
        let declined = crate::payer::Declined::because("a test");
        held.into_response(declined.payment())
    }

    #[test]
    fn a_402_of_any_length_comes_back_whole() {
        for length in [0, 1, CHALLENGE_BODY_BYTES_MAX - 1, CHALLENGE_BODY_BYTES_MAX, CHALLENGE_BODY_BYTES_MAX + 12_345]
        {
            let body: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
            let mut response = held(Box::new(Cursor::new(body.clone())));
            assert!(response.read_all(usize::MAX / 2).unwrap() == body, "{length} bytes");
        }
    }

    #[test]
    fn a_402_that_breaks_off_breaks_off_at_the_same_byte() {
        let broken = Fails(Some(Error::new(Status::ConnectionLost, "gone")));
        let mut response = held(Box::new(Cursor::new(b"half".to_vec()).chain(broken)));
        let mut buffer = [0u8; 16];
        assert_eq!(response.read(&mut buffer).unwrap(), 4);
        assert_eq!(response.read(&mut buffer).unwrap_err().status, Status::ConnectionLost);
    }
}
