//! What an operation does, and what came of it.
//!
//! Owns the way from a lent request or response to an outcome. What was lent goes home before the outcome is shown,
//! so that whoever takes an event may use its request or response at once.

use super::{Catch, Client, Failure, Lent, Request, Response};
use crate::error::{Error, Money, Retry, Status};
use crate::transport::Cancel;

pub(super) enum Work {
    Send { request: Lent<Request>, cancel: Cancel },
    Read { response: Lent<Response>, most: usize },
}

/// What came of an operation.
pub enum Done {
    Sent(Result<Response, Failure>),
    /// The bytes; none is the end of the body.
    Read(Result<Vec<u8>, Error>),
}

impl Work {
    pub fn run(self, client: &Client, catch: Catch) -> Done {
        match self {
            Work::Send { mut request, cancel } => Done::Sent(caught(catch, Money::Unknown, move || {
                let own = std::mem::replace(&mut request.cancel, cancel);
                let outcome = client.send(&mut request);
                request.cancel = own;
                outcome
            })),
            Work::Read { mut response, most } => {
                let money = response.money();
                Done::Read(caught(catch, money, move || {
                    let mut bytes = vec![0; most];
                    let count = response.read(&mut bytes)?;
                    bytes.truncate(count);
                    // It may wait for its event to be taken, with thousands beside it.
                    bytes.shrink_to_fit();
                    Ok(bytes)
                }))
            }
        }
    }

    /// The outcome of work that no thread began.
    pub fn ended(self, error: Error) -> Done {
        match self {
            Work::Send { .. } => Done::Sent(Err(error.into())),
            Work::Read { response, .. } => Done::Read(Err(response.with_money(error))),
        }
    }
}

fn caught<T, E: From<Error>>(catch: Catch, money: Money, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let mut body = Some(body);
    let mut outcome = None;
    let met = catch(&mut || outcome = body.take().map(|body| body()));
    let message = match (met, outcome) {
        (Ok(()), Some(outcome)) => return outcome,
        (Ok(()), None) => "an operation did not run".to_string(),
        (Err(message), _) => message,
    };
    let message = format!("a defect in libx402: {message}; free the handles of this operation and report it");
    Err(Error::new(Status::Panic, message).with_money(money, Retry::Never).into())
}
