//! The completion queue: sends and reads that do not block their caller, done by the same blocking loop on threads of
//! the queue's own, with a descriptor that is readable while a completed one waits to be taken.
//!
//! Owns the life of an operation: submitted, waiting for a thread, under way, completed, taken. Each ends in exactly
//! one event, whatever stops it. Knows nothing of handles or C. Its decision: everything is bounded by one count, that
//! of the operations whose events were not taken yet, so that a caller who submits and never takes is told so instead
//! of filling the memory.
//!
//! One lock guards the books. It is never held while an operation runs or ends, nor while a value is dropped that may
//! belong to the caller.

mod bell;
mod books;
mod pool;
#[cfg(test)]
mod tests;
mod work;

use super::request::Request;
use super::response::Response;
use super::{Client, Failure};
use crate::error::{Error, Status};
use crate::transport::Cancel;
use books::Called;
use pool::Shared;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use work::Work;

pub use pool::Taking;
pub use work::Done;

/// Something that is the operation's until it drops it: then its owner may use it again.
pub type Lent<T> = Box<dyn DerefMut<Target = T> + Send>;

/// Runs a body; a panic in it becomes its message. The queue's threads have no caller to unwind to.
pub type Catch = fn(&mut dyn FnMut()) -> Result<(), String>;

/// A completed operation: the caller's token and note, and what came of it. [`Queue::close`] waits until `taking` is
/// dropped.
pub struct Event<N> {
    pub token: u64,
    pub note: N,
    pub done: Done,
    pub taking: Taking,
}

/// The most one read gives.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// How long [`Queue::close`] waits for what is under way: a callback that does not return holds it up no longer.
const CLOSE_WAIT_S: u64 = 10;

/// A queue of one client. Any thread, several at once. `N` is the caller's note on an operation, given back with its
/// event. Dropping it closes it.
pub struct Queue<N: Send + 'static> {
    /// Of the process that made it: another has none of its threads, and must touch neither its locks nor its sockets.
    process: u32,
    /// In another process: its copies of the descriptors were handed to somebody who closes them.
    let_go: AtomicBool,
    /// Always there, until it is dropped.
    shared: Option<Arc<Shared<N>>>,
}

impl<N: Send + 'static> Queue<N> {
    pub fn new(client: &Client, catch: Catch) -> Result<Self, Error> {
        let shared = Shared::new(client.clone(), catch)?;
        let (process, let_go) = (std::process::id(), AtomicBool::new(false));
        Ok(Queue { process, let_go, shared: Some(Arc::new(shared)) })
    }

    /// Sends `request`, as [`Client::send`] would.
    pub fn send(&self, request: Lent<Request>, token: u64, note: N) -> Result<(), Error> {
        let cancel = request.cancel_handle().child();
        self.submit(token, note, cancel.clone(), Work::Send { request, cancel })
    }

    /// Reads the next bytes of `response`, at most `most` and [`READ_BYTES_MAX`]; none is the end.
    pub fn read(&self, response: Lent<Response>, most: usize, token: u64, note: N) -> Result<(), Error> {
        let cancel = response.cancel_handle();
        self.submit(token, note, cancel, Work::Read { response, most: most.min(READ_BYTES_MAX) })
    }

    fn submit(&self, token: u64, note: N, cancel: Cancel, work: Work) -> Result<(), Error> {
        let shared = self.shared()?;
        let mut books = shared.books();
        books.may_submit(token, shared.outstanding_max())?;
        books.submit(token, cancel, note, work);
        let called = books.call_thread(shared.threads_max());
        drop(books);
        match called {
            Called::Idle(seat) => seat.notify_one(),
            Called::New => return pool::start_thread(shared).or_else(|cause| not_started(shared, token, cause)),
            Called::Busy => {}
        }
        Ok(())
    }

    /// A completed operation, if there is one.
    pub fn next(&self) -> Result<Option<Event<N>>, Error> {
        let shared = self.shared()?;
        let mut books = shared.books();
        books.check_open()?;
        Ok(shared.take_event(&mut books))
    }

    /// As [`Queue::next`], after waiting for one; `None`: for as long as it takes.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Event<N>>, Error> {
        let shared = self.shared()?;
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut books = shared.books();
        loop {
            books.check_open()?;
            if let Some(event) = shared.take_event(&mut books) {
                return Ok(Some(event));
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(None);
            }
            books.waiting += 1;
            books = pool::wait_on(&shared.completed, books, until);
            books.waiting -= 1;
        }
    }

    /// A descriptor that can be read while an event waits. It ends with the queue.
    pub fn fd(&self) -> Result<i32, Error> {
        let shared = self.shared()?;
        let mut books = shared.books();
        books.check_open()?;
        books.fd_asked_for = true;
        let rings = shared.must_ring(&mut books);
        drop(books);
        if rings {
            shared.bell.ring();
        }
        Ok(shared.bell.fd())
    }

    /// Stops an operation: its event comes soon. One that completed already keeps its outcome.
    pub fn cancel(&self, token: u64) -> Result<(), Error> {
        let shared = self.shared()?;
        let mut books = shared.books();
        books.check_open()?;
        let Some(found) = books.stop(token) else {
            let message = format!("no operation has the token {token}: its event was taken, or it was never submitted");
            return Err(Error::new(Status::Argument, message));
        };
        drop(books);
        // Not under the lock: whoever is woken may look at the books.
        if let Some(cancel) = found.cancel {
            cancel.cancel();
        }
        if let Some(work) = found.work {
            let error = Error::new(Status::Cancelled, "the operation was cancelled while it waited for a thread");
            shared.complete(token, work.ended(error));
        }
        Ok(())
    }

    /// Ends the queue: stops what is under way, waits for it (a bounded time), drops what was not taken. Once it
    /// returns in time, no callback of the caller's runs for this queue any more, no event is in anyone's hands, and no
    /// thread of the queue holds its client. A second call is nothing.
    pub fn close(&self) {
        let Ok(shared) = self.shared() else { return };
        let mut books = shared.books();
        if std::mem::replace(&mut books.closed, true) {
            return;
        }
        let left = books.clear();
        shared.completed.notify_all();
        drop(books);
        left.cancels.iter().for_each(Cancel::cancel);
        drop(left);
        // A callback that closes its own queue cannot be waited for.
        let own = usize::from(pool::is_thread_of(shared));
        let until = Instant::now().checked_add(Duration::from_secs(CLOSE_WAIT_S));
        shared.alive.wait_for(own, until);
    }

    /// In a process that did not make the queue: its copies of the queue's descriptors, once, for the caller to close.
    /// Nothing else of the queue is ever touched there.
    pub fn let_go(&self) -> Option<[i32; 2]> {
        let shared = self.shared.as_ref().filter(|_| self.process != std::process::id())?;
        (!self.let_go.swap(true, Ordering::Relaxed)).then(|| shared.bell.fds())
    }

    /// Fails in a process that did not make the queue: there is no thread that would ever do anything.
    fn shared(&self) -> Result<&Arc<Shared<N>>, Error> {
        if self.process == std::process::id()
            && let Some(shared) = &self.shared
        {
            return Ok(shared);
        }
        let message =
            "the queue was made by the parent process, and its threads stayed there; make another after fork()";
        Err(Error::new(Status::Forked, message))
    }
}

impl<N: Send + 'static> Drop for Queue<N> {
    fn drop(&mut self) {
        self.close();
        if self.process != std::process::id() {
            // The parent's connections must not be said goodbye to from here.
            std::mem::forget(self.shared.take());
        }
    }
}

/// A thread could not be had. The others will do its work; if there are none, nobody would do anything of what waits.
fn not_started<N: Send + 'static>(shared: &Arc<Shared<N>>, token: u64, cause: std::io::Error) -> Result<(), Error> {
    let message = format!("no thread can be started for the queue: {cause}; allow the process more, or memory");
    let mut books = shared.books();
    books.threads -= 1;
    if books.threads > 0 {
        return Ok(());
    }
    let own = books.forget(token);
    let others: Vec<(u64, Work)> = std::iter::from_fn(|| books.begin()).collect();
    drop(books);
    for (token, work) in others {
        shared.complete(token, work.ended(Error::new(Status::System, message.clone())));
    }
    match own {
        Some(_) => Err(Error::new(Status::System, message).with_cause(cause)),
        None => Ok(()),
    }
}
