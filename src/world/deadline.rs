//! Until when a caller's own code may take to answer: an approve callback, a signer.
//!
//! Owns the comparison and the sentence. Such code runs on the thread that called in and cannot be interrupted, so a
//! deadline is looked at when it has returned: what comes too late is refused.

use std::time::{Duration, Instant};

/// An instant, and the setting that it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<(Instant, &'static str)>);

impl Deadline {
    pub const NONE: Deadline = Deadline(None);

    /// `timeout` from now, as `setting` says; none without one.
    pub fn after(timeout: Option<Duration>, setting: &'static str) -> Self {
        Deadline::at(timeout.and_then(|timeout| Instant::now().checked_add(timeout)), setting)
    }

    pub fn at(instant: Option<Instant>, setting: &'static str) -> Self {
        Deadline(instant.map(|instant| (instant, setting)))
    }

    /// Whichever comes first.
    pub fn or_sooner(self, other: Deadline) -> Self {
        match (self.0, other.0) {
            (Some(own), Some(others)) if others.0 < own.0 => other,
            (None, _) => other,
            _ => self,
        }
    }

    /// How long is left; `None` without a deadline.
    pub fn left(self) -> Option<Duration> {
        self.0.map(|(instant, _)| instant.saturating_duration_since(Instant::now()))
    }

    /// `Err` once it has passed: one sentence without its full stop, about `what`.
    pub fn check(self, what: &str) -> Result<(), String> {
        match self.0 {
            Some((instant, setting)) if Instant::now() >= instant => {
                Err(format!("{what} came after the deadline of {setting}, so it is not acted on; raise {setting}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sooner_deadline_holds_and_is_named() {
        let (past, later) = (Deadline::after(Some(Duration::ZERO), "a_ms"), Some(Duration::from_secs(3600)));
        let later = Deadline::after(later, "b_ms");
        for both in [past.or_sooner(later), later.or_sooner(past), Deadline::NONE.or_sooner(past)] {
            assert!(both.check("the word").unwrap_err().contains("the word came after the deadline of a_ms"));
            assert_eq!(both.left(), Some(Duration::ZERO));
        }
        assert_eq!((later.check("x"), Deadline::NONE.check("x")), (Ok(()), Ok(())));
        assert_eq!(Deadline::NONE.left(), None);
    }
}
