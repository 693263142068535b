//! What ends a call's wait for its ledger, should that be a file which another process holds.
//!
//! Owns the passage of cancel and deadline to the ledger, which knows neither, and the words for what came of it. Outcomes
//! are written without: what was paid must be noted down also for a call that has no time left.

use super::call::Call;
use super::{Failure, Inner};
use crate::error::{Error, Status};
use crate::ledger;
use crate::transport::Cancel;
use std::rc::Rc;
use std::time::Instant;

#[derive(Clone, Copy)]
pub(super) struct Patience<'a> {
    pub cancel: &'a Cancel,
    pub total: Option<Instant>,
}

fn has_passed(total: Option<Instant>) -> bool {
    total.is_some_and(|total| total <= Instant::now())
}

impl Call<'_> {
    pub(super) fn patience(&self) -> Patience<'_> {
        Patience { cancel: &self.request.cancel, total: self.deadline }
    }
}

impl Patience<'_> {
    /// Where it was the ledger that failed, because it was given no more time: that is why.
    pub fn why_over(self, failure: impl Into<Failure>) -> Failure {
        let Failure { error, payment } = failure.into();
        Failure { error: if error.status == Status::Ledger { self.why(error) } else { error }, payment }
    }

    fn why(self, error: Error) -> Error {
        let (money, retry) = (error.money, error.retry);
        let why = match self.cancel.check("waiting for the ledger") {
            Err(cancelled) => cancelled,
            Ok(()) if has_passed(self.total) => {
                let message = format!("total_timeout_ms passed while waiting for the ledger: {}", error.message);
                Error::new(Status::Timeout, message)
            }
            Ok(()) => return error,
        };
        why.with_money(money, retry)
    }
}

impl Inner {
    /// Runs what may have to wait for the ledger.
    pub(super) fn patiently<R>(&self, patience: Patience<'_>, body: impl FnOnce() -> R) -> R {
        if !self.ledger.is_file() {
            return body();
        }
        let (cancel, total) = (patience.cancel.clone(), patience.total);
        ledger::patient(Rc::new(move || cancel.is_cancelled() || has_passed(total)), body)
    }
}
