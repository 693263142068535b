//! A response as the caller reads it: status, headers, the body as it arrives, and what became of the money.
//!
//! Owns the reading side: decoding where it was asked for, the caller's progress, and the money state that
//! every error of a later read repeats. Dropping it unread closes the connection; reading it to its end lets
//! the connection be used again.

use super::request::{Header, Progress};
use crate::error::{Error, Money, Status};
use crate::payer::{Delivery, Payment};
use crate::transport::Cancel;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// One answer. Use from one thread at a time; it may move between threads.
pub struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<Header>,
    pub(super) url: String,
    pub(super) body: Option<Box<dyn Read + Send>>,
    pub(super) payment: Option<Payment>,
    /// Until the body was read, or let go.
    pub(super) delivery: Option<Box<Delivery>>,
    pub(super) received: Received,
}

/// The receiving half of a call: its progress report, and what ends it.
pub(super) struct Received {
    pub progress: Option<Arc<Mutex<Progress>>>,
    pub sent: u64,
    pub send_total: u64,
    pub received: u64,
    pub receive_total: u64,
    /// What stops the reading.
    pub cancel: Cancel,
}

impl Received {
    fn report(&self) -> Result<(), Error> {
        match &self.progress {
            None => Ok(()),
            Some(progress) => {
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress(self.sent, self.send_total, self.received, self.receive_total)
            }
        }
    }
}

/// The first buffer for a body that is read whole: for one of unknown length, and at most.
const FIRST_READ_BYTES_UNKNOWN: usize = 4 * 1024;
const FIRST_READ_BYTES_MAX: usize = 1024 * 1024;

impl Response {
    pub fn status(&self) -> u16 {
        self.status
    }

    /// In the order they came, names in lower case, values as bytes.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        first_header(&self.headers, name)
    }

    /// The URL that answered, after redirects.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Fills `buffer` from the body; 0 is its end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let Some(body) = &mut self.body else { return Ok(0) };
        if buffer.is_empty() {
            return Ok(0);
        }
        match body.read(buffer) {
            Ok(0) => {
                (self.body, self.delivery) = (None, None);
                Ok(0)
            }
            Ok(count) => {
                self.received.received += count as u64;
                self.received.report().map_err(|error| self.failed(error))?;
                Ok(count)
            }
            Err(error) => {
                let error = Error::from_io(error, Status::ConnectionLost, "the answer could not be read to its end");
                if error.status != Status::Cancelled {
                    self.broke_off();
                }
                Err(self.failed(error))
            }
        }
    }

    /// The rest of the body, at most `max` bytes. If there are more, nothing is lost: the body can still be read
    /// from where it stood.
    pub fn read_all(&mut self, max: usize) -> Result<Vec<u8>, Error> {
        let announced = Some(self.received.receive_total).filter(|total| *total != u64::MAX);
        let first_bytes = announced
            .and_then(|total| usize::try_from(total).ok())
            .unwrap_or(FIRST_READ_BYTES_UNKNOWN)
            .min(max)
            .min(FIRST_READ_BYTES_MAX);
        // One byte more than announced, so that the end is met without growing. Zeroed once, and no more of it
        // than was asked for: clearing memory would cost more than the rest of a small answer.
        let mut out = vec![0; first_bytes + 1];
        let mut filled = 0;
        loop {
            if filled == out.len() {
                out.resize(2 * filled, 0);
            }
            let count = self.read(&mut out[filled..])?;
            filled += count;
            if count == 0 || filled > max {
                out.truncate(filled);
                return if count == 0 { Ok(out) } else { Err(self.put_back(out, max)) };
            }
        }
    }

    fn put_back(&mut self, start: Vec<u8>, max: usize) -> Error {
        self.received.received -= start.len() as u64;
        let rest = self.body.take().unwrap_or_else(|| Box::new(std::io::empty()));
        self.body = Some(Box::new(Cursor::new(start).chain(rest)));
        let message = format!("the answer is larger than the {max} bytes asked for; read it in pieces, or raise max");
        self.with_money(Error::new(Status::ResponseLimit, message))
    }

    /// Stops the reading of this answer, from any thread.
    pub fn cancel_handle(&self) -> Cancel {
        self.received.cancel.clone()
    }

    pub fn money(&self) -> Money {
        self.payment.as_ref().map_or(Money::None, Payment::money)
    }

    /// What was asked, signed and answered; `None` if nothing was asked.
    pub fn payment(&self) -> Option<&Payment> {
        self.payment.as_ref()
    }

    /// What was paid for did not arrive: a repeat of the purchase asks for it with the same payment.
    pub(super) fn broke_off(&mut self) {
        // Best effort: where it cannot be recorded the purchase is over, and the error says paid.
        if let Some(Ok(true)) = self.delivery.take().map(|delivery| delivery.broke_off()) {
            self.payment = self.payment.take().map(Payment::broke_off);
        }
    }

    /// Closes the connection under a failed read and tells where the money is.
    fn failed(&mut self, error: Error) -> Error {
        self.body = None;
        self.with_money(error)
    }

    pub(super) fn with_money(&self, error: Error) -> Error {
        let (money, retry) = match &self.payment {
            None => return error,
            Some(payment) => (payment.money(), payment.retry()),
        };
        error.with_money(money, retry)
    }
}

pub(super) fn first_header<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_larger_than_asked_for_is_refused_and_still_there() {
        let body: Vec<u8> = (0..300_000).map(|at| (at % 251) as u8).collect();
        let received = Received {
            progress: None,
            sent: 0,
            send_total: 0,
            received: 0,
            receive_total: u64::MAX,
            cancel: Cancel::new(),
        };
        let mut response = Response {
            status: 200,
            headers: Vec::new(),
            url: String::new(),
            body: Some(Box::new(Cursor::new(body.clone()))),
            payment: None,
            delivery: None,
            received,
        };
        assert_eq!(response.read_all(299_999).unwrap_err().status, Status::ResponseLimit);
        assert_eq!(response.read_all(10).unwrap_err().status, Status::ResponseLimit);
        assert!(response.read_all(300_000).unwrap() == body);
        assert_eq!(response.received.received, 300_000);
    }
}
