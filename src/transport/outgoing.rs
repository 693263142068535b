//! One request as the caller describes it, and its body as ureq reads it.
//!
//! Owns the request's types and the reader that stands between the caller's body and the wire. Knows no
//! sockets. The decision: once sending has stopped, the reader no longer asks the caller for anything; it tells
//! ureq, which insists on the announced length, that bytes are there, and the link throws them away unseen.

use super::attempt::Attempt;
use super::cancel::Cancel;
use super::deadline::Deadlines;
use super::incoming::Header;
use crate::error::{Error, Status};
use std::io::{self, Read};
use std::sync::Arc;
use url::Url;

/// The body of a request. An error of the reader ends the exchange; one made by
/// [`Error::into_io`] comes back as that very error.
pub enum OutgoingBody<'a> {
    None,
    /// Sent with `Content-Length`. A reader that ends early is [`Status::BodyLength`]; more than this is not read.
    Sized(u64, &'a mut (dyn Read + 'a)),
    /// Sent with `Transfer-Encoding: chunked`.
    Chunked(&'a mut (dyn Read + 'a)),
}

/// Whether to send `Expect: 100-continue` and wait for the server to ask for the body (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    #[default]
    Never,
    /// Not where this origin let the wait run out before.
    Prefer,
    Require,
}

/// One request. `Host`, `Content-Length`, `Transfer-Encoding` and `Expect` are added here; every other header is the
/// caller's.
pub struct Outgoing<'a> {
    pub method: &'a str,
    /// `http`, `https`, or `unix:/path/to/socket:/http/path?query`.
    pub url: &'a Url,
    pub headers: &'a [Header],
    pub body: OutgoingBody<'a>,
    pub expect: Expect,
    /// Do not take a connection from the pool.
    pub fresh_connection: bool,
    pub deadlines: Deadlines,
    pub cancel: Cancel,
    /// Called with the bytes of the body handed to the system so far; an error ends the exchange and is returned.
    pub progress: Option<Progress<'a>>,
}

pub type Progress<'a> = &'a mut (dyn FnMut(u64) -> Result<(), Error> + 'a);

/// The body on its way to ureq.
pub(super) struct Feed<'a> {
    attempt: Arc<Attempt>,
    reader: Option<&'a mut (dyn Read + 'a)>,
    /// What ureq still expects, with a declared length.
    left: Option<u64>,
    pulled: u64,
    reported: u64,
    progress: Option<Progress<'a>>,
}

impl<'a> Feed<'a> {
    pub(super) fn new(body: OutgoingBody<'a>, progress: Option<Progress<'a>>, attempt: Arc<Attempt>) -> Self {
        let (reader, left) = match body {
            OutgoingBody::None => (None, Some(0)),
            OutgoingBody::Sized(length, reader) => (Some(reader), Some(length)),
            OutgoingBody::Chunked(reader) => (Some(reader), None),
        };
        Feed { attempt, reader, left, pulled: 0, reported: 0, progress }
    }

    pub(super) fn has_body(&self) -> bool {
        self.left != Some(0)
    }

    pub(super) fn declared_length(&self) -> Option<u64> {
        self.left
    }

    /// Tells the caller how far it went: everything pulled has been sent, as ureq sends each piece at once.
    pub(super) fn report_progress(&mut self) -> Result<(), Error> {
        let Some(progress) = &mut self.progress else { return Ok(()) };
        if self.pulled == self.reported {
            return Ok(());
        }
        self.reported = self.pulled;
        progress(self.pulled)
    }

    fn pull(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.report_progress()?;
        let Some(reader) = &mut self.reader else { return Ok(0) };
        let wanted = match self.left {
            Some(left) => buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
            None => buffer.len(),
        };
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        if buffer.is_empty() {
            return Ok(0);
        }
        let bytes = loop {
            match reader.read(buffer) {
                Ok(bytes) => break bytes.min(wanted),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(Error::from_io(cause, Status::BodyCallback, "the body's reader failed")),
            }
        };
        self.pulled += bytes as u64;
        self.attempt.add_pulled(bytes);
        if let Some(left) = &mut self.left {
            if bytes == 0 {
                let declared = self.pulled + *left;
                let message =
                    format!("the body ended after {} of the {declared} bytes it was declared with", self.pulled);
                return Err(Error::new(Status::BodyLength, message));
            }
            *left -= bytes as u64;
        }
        Ok(bytes)
    }
}

impl Read for Feed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.attempt.is_stopped() {
            let Some(left) = &mut self.left else { return Ok(0) };
            let pretended = (buffer.len() as u64).min(*left);
            *left -= pretended;
            return Ok(usize::try_from(pretended).unwrap_or(buffer.len()));
        }
        self.pull(buffer).map_err(|error| {
            self.attempt.fail(error);
            io::Error::other("the body cannot be sent")
        })
    }
}
