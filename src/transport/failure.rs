//! From what went wrong on the wire to the library's error.
//!
//! Owns the sentences. Knows no sockets. An error of our own that travelled through ureq comes out as it went
//! in; what ureq itself says is translated, and every sentence names what happened and what to do.

use super::attempt::Attempt;
use super::deadline::Phase;
use crate::error::{Error, Status, printable};
use rustls::CertificateError;
use std::io;

/// Reading or writing failed: TLS, or a connection that is gone.
pub(super) fn io_failure(attempt: &Attempt, phase: Phase, cause: io::Error) -> Error {
    match cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => Error::new(Status::Tls, format!("TLS failed while {}: {}", phase.doing(), tls_reason(tls)))
            .with_cause(cause),
        None => connection_lost(attempt, phase, Some(cause)),
    }
}

/// The connection ended where it must not; `cause` is `None` when the server closed it in an orderly way.
pub(super) fn connection_lost(attempt: &Attempt, phase: Phase, cause: Option<io::Error>) -> Error {
    let report = attempt.report();
    let how = match &cause {
        None => "the server closed the connection".to_string(),
        Some(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection ended without TLS's own end, which may be someone cutting the answer short".to_string()
        }
        Some(cause) => format!("the connection broke ({cause})"),
    };
    let sent = match phase {
        Phase::Sending if report.body_bytes_pulled > 0 => {
            format!(", {} bytes of the body taken", report.body_bytes_pulled)
        }
        _ => String::new(),
    };
    let came = if report.any_response_byte { "before the answer was whole" } else { "without an answer" };
    let error = Error::new(Status::ConnectionLost, format!("{how} while {}{sent}, {came}: try again", phase.doing()));
    match cause {
        Some(cause) => error.with_cause(cause),
        None => error,
    }
}

/// What a TLS error means for someone who has to do something about it.
pub(super) fn tls_reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(reason) => certificate_reason(reason),
        rustls::Error::AlertReceived(alert) => {
            format!("the server broke it off ({alert:?}): it may want a client certificate, or another TLS version")
        }
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS here: check the port, or use http://".to_string()
        }
        rustls::Error::PeerIncompatible(reason) => {
            format!("the server offers nothing this client accepts ({reason:?}): check tls_min and the server")
        }
        other => printable(&other.to_string()),
    }
}

fn certificate_reason(reason: &CertificateError) -> String {
    let (what, advice) = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("has expired", "renew it on the server, and check this machine's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("is not valid yet", "check this machine's clock")
        }
        CertificateError::UnknownIssuer => {
            ("comes from an unknown issuer", "set ca_file to the issuer's certificate, or switch ca_system on")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ("is for another host name", "check the URL's host, or the server's certificate")
        }
        CertificateError::Revoked => ("has been revoked", "the server needs a new one"),
        CertificateError::BadSignature => ("has a bad signature", "the server needs a new one"),
        other => return format!("the server's certificate was refused ({})", printable(&other.to_string())),
    };
    format!("the server's certificate {what} ({}): {advice}", printable(&reason.to_string()))
}

/// An exchange that ended inside ureq.
pub(super) fn from_ureq(attempt: &Attempt, error: ureq::Error) -> Error {
    // The reader's error, or the link's: whatever ureq made of it is only its echo.
    if let Some(failure) = attempt.take_failure() {
        return failure;
    }
    match error {
        ureq::Error::Io(cause) => from_io(attempt, cause),
        ureq::Error::Protocol(cause) => protocol(&cause.to_string(), cause),
        ureq::Error::LargeResponseHeader(_, limit) => Error::new(
            Status::HeadLimit,
            format!("the head of the answer is larger than {limit} bytes: it was refused"),
        ),
        other => {
            let message = format!("the exchange could not be carried out: {}", printable(&other.to_string()));
            Error::new(Status::Protocol, message).with_cause(other)
        }
    }
}

fn from_io(attempt: &Attempt, cause: io::Error) -> Error {
    let cause = match cause.downcast::<Error>() {
        Ok(own) => return own,
        Err(cause) => cause,
    };
    let cause = match cause.downcast::<ureq::Error>() {
        Ok(inner) => return from_ureq(attempt, inner),
        Err(cause) => cause,
    };
    match cause.kind() {
        io::ErrorKind::UnexpectedEof => connection_lost(attempt, Phase::Receiving, None),
        _ => connection_lost(attempt, Phase::Receiving, Some(cause)),
    }
}

fn protocol(text: &str, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    // The parser's own bound on the number of header lines shows in its message alone.
    if text.contains("too many headers") {
        let message = "the head of the answer has more than 128 header lines: it was refused";
        return Error::new(Status::HeadLimit, message).with_cause(cause);
    }
    let message =
        format!("the server's answer is not valid HTTP/1.1 ({}): check the URL's scheme and port", printable(text));
    Error::new(Status::Protocol, message).with_cause(cause)
}

/// [`from_io`] for what comes out of a body that is read after the exchange.
pub(super) fn while_reading(attempt: &Attempt, cause: io::Error, received: u64, expected: Option<u64>) -> Error {
    let is_end = cause.kind() == io::ErrorKind::UnexpectedEof;
    let error = from_io(attempt, cause);
    if !is_end || error.status != Status::ConnectionLost {
        return error;
    }
    let of = expected.map_or_else(String::new, |expected| format!(" of {expected}"));
    let message =
        format!("the server closed the connection after {received}{of} bytes of the answer's body: it is truncated");
    Error::new(Status::ConnectionLost, message)
}
