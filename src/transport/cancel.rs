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
pub struct Cancel {
    own: Arc<State>,
    /// The handle this one was made from, whose use stops this one's calls too.
    above: Option<Arc<State>>,
}

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

    /// A handle for one call of several: stops that call alone, and is stopped with the others by `self`.
    pub fn child(&self) -> Self {
        Cancel { own: Arc::default(), above: Some(self.own.clone()) }
    }

    /// Stops every call that uses this handle or a child of it, now and later.
    pub fn cancel(&self) {
        self.own.cancelled.store(true, Ordering::SeqCst);
        for (_, target) in &self.own.watched().entries {
            target.wake();
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.states().any(|state| state.cancelled.load(Ordering::SeqCst))
    }

    /// [`Status::Cancelled`] when the handle was used; `doing` says what was going on.
    pub fn check(&self, doing: &str) -> Result<(), Error> {
        if self.is_cancelled() { Err(cancelled(doing)) } else { Ok(()) }
    }

    /// Registers what the call is about to block on, until the returned value is dropped.
    ///
    /// Fails when the handle was used already: between this check and the registration there is no gap.
    pub(super) fn watch(&self, target: Arc<dyn Wake>, doing: &str) -> Result<Watch, Error> {
        Ok(Watch {
            _own: self.own.watch(target.clone(), doing)?,
            _above: self.above.as_ref().map(|above| above.watch(target, doing)).transpose()?,
        })
    }

    fn states(&self) -> impl Iterator<Item = &Arc<State>> {
        std::iter::once(&self.own).chain(&self.above)
    }
}

impl State {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        // A panic elsewhere leaves the list whole: no entry is ever half written.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(self: &Arc<Self>, target: Arc<dyn Wake>, doing: &str) -> Result<Entry, Error> {
        let mut watched = self.watched();
        if self.cancelled.load(Ordering::SeqCst) {
            return Err(cancelled(doing));
        }
        let id = watched.next;
        watched.next += 1;
        watched.entries.push((id, target));
        Ok(Entry { state: self.clone(), id })
    }
}

/// A registration; dropping it ends it.
pub(super) struct Watch {
    _own: Entry,
    _above: Option<Entry>,
}

/// One place in the list of one state.
struct Entry {
    state: Arc<State>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.state.watched().entries.retain(|(id, _)| *id != self.id);
    }
}

pub(super) fn cancelled(doing: &str) -> Error {
    Error::new(Status::Cancelled, format!("the call was cancelled while {doing}"))
}
