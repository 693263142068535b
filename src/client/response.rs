//! A response as the caller reads it: status, headers, the body as it arrives, and what became of the money.
//!
//! Owns the reading side: decoding where it was asked for, the caller's progress, and the money state that
//! every error of a later read repeats. Dropping it unread closes the connection; reading it to its end lets
//! the connection be used again.

use super::request::{Header, Progress};
use crate::error::{Error, Money, Retry, Status};
use crate::payer::Payment;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

/// One answer. Use from one thread at a time; it may move between threads.
pub struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<Header>,
    pub(super) url: String,
    pub(super) body: Option<Box<dyn Read + Send>>,
    pub(super) payment: Option<Payment>,
    pub(super) received: Received,
}

/// The receiving half of a progress report.
pub(super) struct Received {
    pub progress: Option<Arc<Mutex<Progress>>>,
    pub sent: u64,
    pub send_total: u64,
    pub received: u64,
    pub receive_total: u64,
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

/// How much is read at a time where the caller names no buffer.
const READ_BYTES: usize = 64 * 1024;

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
                self.body = None;
                Ok(0)
            }
            Ok(count) => {
                self.received.received += count as u64;
                self.received.report().map_err(|error| self.failed(error))?;
                Ok(count)
            }
            Err(error) => {
                let error = Error::from_io(error, Status::ConnectionLost, "the answer could not be read to its end");
                Err(self.failed(error))
            }
        }
    }

    /// The rest of the body, at most `max` bytes.
    pub fn read_all(&mut self, max: usize) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        loop {
            let start = out.len();
            out.resize(start + READ_BYTES, 0);
            let count = self.read(&mut out[start..])?;
            out.truncate(start + count);
            if count == 0 {
                return Ok(out);
            }
            if out.len() > max {
                let message = format!("the answer is larger than the {max} bytes asked for; read it in pieces");
                return Err(self.failed(Error::new(Status::ResponseLimit, message)));
            }
        }
    }

    pub fn money(&self) -> Money {
        self.payment.as_ref().map_or(Money::None, Payment::money)
    }

    /// What was asked, signed and answered; `None` if nothing was asked.
    pub fn payment(&self) -> Option<&Payment> {
        self.payment.as_ref()
    }

    /// Closes the connection under a failed read and tells where the money is.
    fn failed(&mut self, error: Error) -> Error {
        self.body = None;
        let (money, retry) = match &self.payment {
            None => return error,
            Some(payment) => (payment.money(), payment.retry()),
        };
        let retry = if money == Money::Paid { Retry::Never } else { retry };
        error.with_money(money, retry)
    }
}

pub(super) fn first_header<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
}
