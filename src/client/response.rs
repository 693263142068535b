//! A response as the caller reads it: status, headers, the body as it arrives, and what became of the money.
//!
//! Owns the reading side: the caller's progress, what was read and given back, and the money state that every error
//! repeats. Dropping it unread closes the connection; reading it to its end lets the connection be used again. Its one
//! decision: a failure stays. Whoever reads on is told again, so that no part of a body passes for the whole; what had
//! arrived before is handed out first.

use super::held::Answer;
use super::purchase::undelivered;
use super::request::Progress;
use crate::error::{Error, Money, Status};
use crate::payer::{Delivery, Payment};
use crate::transport::{Arrival, Cancel, Header};
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One answer. Use from one thread at a time; it may move between threads.
pub struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<Header>,
    pub(super) url: String,
    /// Until its end, or a failure.
    body: Option<Box<dyn Read + Send>>,
    /// What arrived and was given back, to be read before the body's next bytes.
    kept: Cursor<Vec<u8>>,
    /// What ended the reading too early.
    failure: Option<Error>,
    pub(super) payment: Option<Payment>,
    /// Told what is known of the payment, should that change while the body is being read.
    later: Option<Arc<OnceLock<Payment>>>,
    /// Until the body was read, or let go.
    pub(super) delivery: Option<Box<Delivery>>,
    received: Received,
}

/// The receiving half of a call: its progress report, and what ends it.
pub(super) struct Received {
    pub progress: Option<Arc<Mutex<Progress>>>,
    pub sent: u64,
    pub send_total: u64,
    pub received: u64,
    pub receive_total: u64,
    /// How much of the body is still to come; `None` if nobody knows.
    pub arrival: Option<Arrival>,
    /// What stops the reading.
    pub cancel: Cancel,
}

impl Received {
    /// Nothing sent, nothing received, nothing known.
    #[cfg(test)]
    pub fn of_a_test() -> Self {
        let (receive_total, cancel) = (u64::MAX, Cancel::new());
        Received { progress: None, sent: 0, send_total: 0, received: 0, receive_total, arrival: None, cancel }
    }

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
    /// An answer whose body has not been read.
    pub(super) fn new(answer: Answer, url: String) -> Self {
        let Answer { status, headers, body, received } = answer;
        Response {
            status,
            headers,
            url,
            body: Some(body),
            kept: Cursor::default(),
            failure: None,
            payment: None,
            later: None,
            delivery: None,
            received,
        }
    }

    /// An answer for tests of others.
    #[cfg(test)]
    pub(crate) fn of_a_test(body: Box<dyn Read + Send>, progress: Option<Progress>, payment: Option<Payment>) -> Self {
        let progress = progress.map(|progress| Arc::new(Mutex::new(progress)));
        let received = Received { progress, ..Received::of_a_test() };
        let answer = Answer { status: 200, headers: Vec::new(), body, received };
        let mut response = Response::new(answer, String::new());
        response.payment = payment;
        response
    }

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

    /// Whether the rest of the body can be read without waiting: neither for the server, because all of it is here, nor
    /// for a ledger's file, to which the end of a paid body is told.
    pub fn is_whole(&self) -> bool {
        let Some(_) = &self.body else { return true };
        self.received.arrival.as_ref().is_some_and(Arrival::is_whole)
            && !self.delivery.as_ref().is_some_and(|delivery| delivery.writes_file())
    }

    /// Fills `buffer` from the body; 0 is its end. After an error every later call gives it again.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        // A cursor over bytes in memory does not fail.
        let kept = self.kept.read(buffer).unwrap_or(0);
        if kept > 0 || buffer.is_empty() {
            return Ok(kept);
        }
        if let Some(failure) = &self.failure {
            return Err(failure.again());
        }
        let Some(body) = &mut self.body else { return Ok(0) };
        match body.read(buffer) {
            Ok(0) => {
                (self.body, self.delivery) = (None, None);
                Ok(0)
            }
            Ok(count) => {
                self.received.received += count as u64;
                if let Err(error) = self.received.report() {
                    self.keep(buffer.get(..count).unwrap_or_default().to_vec());
                    return Err(self.failed(error));
                }
                Ok(count)
            }
            Err(error) => {
                let error = Error::from_io(error, Status::ConnectionLost, "the answer could not be read to its end");
                Err(self.failed(error))
            }
        }
    }

    /// The rest of the body, at most `max` bytes. If there are more, or the rest does not come, nothing is lost: what
    /// arrived can still be read from where it stood.
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
            let read = self.read(&mut out[filled..]);
            filled += *read.as_ref().unwrap_or(&0);
            let refusal = match read {
                Ok(0) => None,
                Ok(_) if filled <= max => continue,
                Ok(_) => Some(self.too_large(max)),
                Err(error) => Some(error),
            };
            out.truncate(filled);
            return match refusal {
                None => Ok(out),
                Some(error) => {
                    self.keep(out);
                    Err(error)
                }
            };
        }
    }

    /// Puts bytes back in front of what is still to be read.
    fn keep(&mut self, mut bytes: Vec<u8>) {
        let at = usize::try_from(self.kept.position()).unwrap_or(usize::MAX);
        bytes.extend_from_slice(self.kept.get_ref().get(at..).unwrap_or_default());
        self.kept = Cursor::new(bytes);
    }

    fn too_large(&self, max: usize) -> Error {
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

    /// Where the payment is put, once, if what is known of it changes from here on: for whoever must not wait until the
    /// response can be borrowed.
    pub fn later_payment(&mut self) -> Arc<OnceLock<Payment>> {
        self.later.get_or_insert_default().clone()
    }

    /// What was paid for did not arrive: a repeat of the purchase asks for it with the same payment.
    pub fn broke_off(&mut self) {
        let Some(delivery) = self.delivery.take() else { return };
        self.payment = self.payment.take().map(|payment| undelivered(payment, *delivery));
        if let (Some(later), Some(payment)) = (&self.later, &self.payment) {
            // It breaks off once, so the place is free.
            let _ = later.set(payment.clone());
        }
    }

    /// Closes the connection under a failed read, tells where the money is, and remembers both. A cancel is a failure
    /// like others: it may be a deadline of the caller's, and he tries again.
    fn failed(&mut self, error: Error) -> Error {
        self.body = None;
        self.broke_off();
        let error = self.with_money(error);
        self.failure = Some(error.again());
        error
    }

    /// The same error with the fate of this response's payment.
    pub fn with_money(&self, error: Error) -> Error {
        let (money, retry) = match &self.payment {
            None => return error,
            Some(payment) => (payment.money(), payment.retry()),
        };
        error.with_money(money, retry)
    }
}

impl Drop for Response {
    /// Let go before its end, an answer is all that the caller wanted of it; cancelled, it is not.
    fn drop(&mut self) {
        if self.delivery.is_some() && self.received.cancel.is_cancelled() {
            self.broke_off();
        }
    }
}

/// Of a request or of an answer, whoever read it.
pub(super) fn first_header<'a>(headers: &'a [(impl AsRef<str>, impl AsRef<[u8]>)], name: &str) -> Option<&'a [u8]> {
    let found = headers.iter().find(|(known, _)| known.as_ref().eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(body: impl Read + Send + 'static, progress: Option<Progress>) -> Response {
        Response::of_a_test(Box::new(body), progress, None)
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    /// Fails once, and says the end from then on, as readers below may.
    struct BreaksOff(Option<Error>);

    impl Read for BreaksOff {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            self.0.take().map_or(Ok(0), |error| Err(error.into_io()))
        }
    }

    fn that_breaks_off(length: usize) -> Response {
        let error = Error::new(Status::ConnectionLost, "gone");
        response(Cursor::new(pattern(length)).chain(BreaksOff(Some(error))), None)
    }

    #[test]
    fn a_body_larger_than_asked_for_is_refused_and_still_there() {
        let body = pattern(300_000);
        let mut response = response(Cursor::new(body.clone()), None);
        assert_eq!(response.read_all(299_999).unwrap_err().status, Status::ResponseLimit);
        assert_eq!(response.read_all(10).unwrap_err().status, Status::ResponseLimit);
        let mut start = [0; 7];
        assert_eq!(response.read(&mut start).unwrap(), 7);
        assert_eq!(response.read_all(10).unwrap_err().status, Status::ResponseLimit);
        assert!(response.read_all(300_000).unwrap() == body[7..]);
        assert_eq!(response.received.received, 300_000);
    }

    #[test]
    fn a_failure_is_said_by_every_later_read() {
        let mut response = that_breaks_off(10);
        let mut buffer = [0; 100];
        assert_eq!(response.read(&mut buffer).unwrap(), 10);
        for _ in 0..3 {
            let error = response.read(&mut buffer).unwrap_err();
            assert_eq!((error.status, error.message.as_str()), (Status::ConnectionLost, "gone"));
            assert_eq!(response.read_all(100).unwrap_err().message, "gone");
        }
    }

    #[test]
    fn what_arrived_before_a_failure_is_handed_out_before_it() {
        let mut response = that_breaks_off(100_000);
        assert_eq!(response.read_all(usize::MAX / 2).unwrap_err().message, "gone");
        assert_eq!(response.read_all(10).unwrap_err().status, Status::ResponseLimit);
        assert_eq!(response.read_all(usize::MAX / 2).unwrap_err().message, "gone");
        let (mut body, mut buffer) = (Vec::new(), [0; 999]);
        let error = loop {
            match response.read(&mut buffer) {
                Ok(count) => body.extend_from_slice(&buffer[..count]),
                Err(error) => break error,
            }
            assert!(body.len() <= 100_000);
        };
        assert!(body == pattern(100_000) && error.message == "gone");
    }

    #[test]
    fn a_progress_that_stops_is_asked_no_more_and_costs_no_byte() {
        let calls = Arc::new(Mutex::new(0));
        let counted = calls.clone();
        let progress: Progress = Box::new(move |_, _, _, _| {
            *counted.lock().unwrap() += 1;
            Err(Error::new(Status::Callback, "stop").with_callback_value(9))
        });
        let mut response = response(Cursor::new(pattern(10)), Some(progress));
        let mut buffer = [0; 4];
        assert_eq!(response.read(&mut buffer).unwrap_err().callback_value, Some(9));
        assert_eq!(response.read(&mut buffer).unwrap(), 4);
        assert_eq!(buffer, [0, 1, 2, 3]);
        for _ in 0..2 {
            let error = response.read(&mut buffer).unwrap_err();
            assert_eq!((error.status, error.callback_value), (Status::Callback, Some(9)));
        }
        assert_eq!(*calls.lock().unwrap(), 1);
    }
}
