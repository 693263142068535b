//! Stopping a call from another thread.
//!
//! Owns the flag and the list of what a call may be blocked on. Knows no sockets: whatever can be woken
//! registers itself while it may block. The decision: a blocked call is woken by shutting its own socket down,
//! not through a second descriptor in the poll set, so that a call which nobody cancels pays nothing for the
//! possibility. The registration keeps the descriptor open, and waking happens under the lock that ends the
//! registration: a number that the system has given to someone else can never be shut down.

use crate::error::{Error, Status};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle to stop calls with, from any thread. Clones share one state.
#[derive(Clone, Default)]
pub struct Cancel(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    next: u64,
    entries: Vec<(u64, Arc<dyn Wake>)>,
}

/// What a blocked call can be woken by. `wake` must be quick and must not block.
pub(super) trait Wake: Send + Sync {
    fn wake(&self);
}

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops every call that uses this handle, now and until [`Cancel::reset`].
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        for (_, target) in &self.0.watched().entries {
            target.wake();
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Makes the handle fit for another call. Calls that were stopped stay stopped.
    pub fn reset(&self) {
        self.0.cancelled.store(false, Ordering::SeqCst);
    }

    /// [`Status::Cancelled`] when the handle was used; `doing` says what was going on.
    pub(super) fn check(&self, doing: &str) -> Result<(), Error> {
        if self.is_cancelled() { Err(cancelled(doing)) } else { Ok(()) }
    }

    /// Registers what the call is about to block on, until the returned value is dropped.
    ///
    /// Fails when the handle was used already: between this check and the registration there is no gap.
    pub(super) fn watch(&self, target: Arc<dyn Wake>, doing: &str) -> Result<Watch, Error> {
        let mut watched = self.0.watched();
        self.check(doing)?;
        let id = watched.next;
        watched.next += 1;
        watched.entries.push((id, target));
        Ok(Watch { state: self.0.clone(), id })
    }
}

impl State {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        // A panic elsewhere leaves the list whole: no entry is ever half written.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registration; dropping it ends it.
pub(super) struct Watch {
    state: Arc<State>,
    id: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.state.watched().entries.retain(|(id, _)| *id != self.id);
    }
}

pub(super) fn cancelled(doing: &str) -> Error {
    Error::new(Status::Cancelled, format!("the call was cancelled while {doing}"))
}
