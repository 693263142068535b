//! The threads of a queue: started when work has none to do it, ended when idle for a while.
//!
//! Owns the loop of a thread and what the threads share with the queue. A thread never holds the lock while it works.

use super::bell::Bell;
use super::books::Books;
use super::{Catch, Client, Done, Event};
use crate::error::Error;
use crate::transport::thread;
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread waits for work before it ends.
const IDLE_S: u64 = 5;

/// Room for the deepest call (a TLS handshake, a ledger file, both unoptimised) several times over, and for callbacks.
/// Only what is used takes memory.
pub(super) const STACK_BYTES: usize = 512 * 1024;

pub(super) struct Shared<N> {
    client: Client,
    catch: Catch,
    books: Mutex<Books<N>>,
    /// Something completed, or the queue was closed.
    pub completed: Condvar,
    pub bell: Bell,
    pub alive: Arc<Alive>,
}

/// How many threads of the queue's still hold what they share, and how many of the caller's an event they took. Outside of
/// what is shared, because with the last of them the queue's descriptors and its hold on the client's connections end:
/// whoever waits for that must not be told before.
#[derive(Default)]
pub(super) struct Alive {
    count: Mutex<Count>,
    ended: Condvar,
}

#[derive(Default)]
struct Count {
    alive: usize,
    is_awaited: bool,
}

impl Alive {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn one_more(&self) {
        self.count().alive += 1;
    }

    fn one_less(&self) {
        let mut count = self.count();
        count.alive -= 1;
        if count.is_awaited {
            self.ended.notify_all();
        }
    }

    /// Waits until no more than so many are left, or until a moment.
    pub fn wait_for(&self, most: usize, until: Option<Instant>) {
        let mut count = self.count();
        count.is_awaited = true;
        while count.alive > most && until.is_some_and(|until| Instant::now() < until) {
            count = wait_on(&self.ended, count, until);
        }
    }

    #[cfg(test)]
    pub fn is_nobody(&self) -> bool {
        self.count().alive == 0
    }
}

thread_local! {
    /// The address of what this thread shares with its queue.
    static THREAD_OF: Cell<usize> = const { Cell::new(0) };
}

impl<N: Send + 'static> Shared<N> {
    pub fn new(client: Client, catch: Catch) -> Result<Self, Error> {
        let bell = Bell::new()?;
        let books = Mutex::new(Books::new());
        Ok(Shared { client, catch, books, completed: Condvar::new(), bell, alive: Arc::default() })
    }

    pub fn books(&self) -> MutexGuard<'_, Books<N>> {
        // Nothing that can panic runs under this lock.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn threads_max(&self) -> usize {
        self.client.0.settings.queue_threads
    }

    pub fn outstanding_max(&self) -> usize {
        self.threads_max() + self.client.0.settings.queue_backlog
    }

    pub fn take_event(&self, books: &mut Books<N>) -> Option<Event<N>> {
        let (token, note, done) = books.take()?;
        if books.rung && !books.has_completed() {
            books.rung = false;
            self.bell.silence();
        }
        self.alive.one_more();
        Some(Event { token, note, done, taking: Taking(self.alive.clone()) })
    }

    /// Whether the bell must be rung once the lock was let go.
    pub fn must_ring(&self, books: &mut Books<N>) -> bool {
        let rings = books.fd_asked_for && !books.rung && books.has_completed();
        if rings {
            books.rung = true;
            self.bell.announce();
        }
        rings
    }

    /// Makes an outcome an event, unless nobody is left to take it.
    pub fn complete(&self, token: u64, done: Done) {
        let mut books = self.books();
        if books.closed {
            drop(books);
            drop(done);
            return;
        }
        books.complete(token, done);
        let (rings, is_awaited) = (self.must_ring(&mut books), books.waiting > 0);
        drop(books);
        if is_awaited {
            self.completed.notify_one();
        }
        if rings {
            self.bell.ring();
        }
    }

    /// One thread's life.
    fn run(&self) {
        let seat = Arc::new(Condvar::new());
        let mut books = self.books();
        while !books.closed {
            if let Some((token, work)) = books.begin() {
                drop(books);
                self.complete(token, work.run(&self.client, self.catch));
                books = self.books();
                continue;
            }
            books.idle.push(seat.clone());
            books = wait_in(&seat, books);
            // Called away from its place: there is work, or another thread was quicker.
            if let Some(at) = books.idle.iter().position(|idle| Arc::ptr_eq(idle, &seat)) {
                books.idle.remove(at);
                break;
            }
        }
        books.threads -= 1;
    }
}

/// A thread that has taken an event and is not done with it: what the event's note leads to may still be written to.
pub struct Taking(Arc<Alive>);

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.one_less();
    }
}

/// Waits until called, or for as long as an idle thread waits.
fn wait_in<'a, N>(seat: &Arc<Condvar>, books: MutexGuard<'a, Books<N>>) -> MutexGuard<'a, Books<N>> {
    let is_idle = |books: &mut Books<N>| books.idle.iter().any(|idle| Arc::ptr_eq(idle, seat));
    let waited = seat.wait_timeout_while(books, Duration::from_secs(IDLE_S), is_idle);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// Waits for a change, or until a moment; the caller looks himself which it was.
pub(super) fn wait_on<'a, T>(change: &Condvar, held: MutexGuard<'a, T>, until: Option<Instant>) -> MutexGuard<'a, T> {
    match until {
        None => change.wait(held).unwrap_or_else(PoisonError::into_inner),
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            change.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

/// Starts a thread that the books count already.
pub(super) fn start_thread<N: Send + 'static>(shared: &Arc<Shared<N>>) -> std::io::Result<()> {
    let (own, alive) = (shared.clone(), shared.alive.clone());
    alive.one_more();
    let started = thread::start("x402-queue", Some(STACK_BYTES), move || {
        THREAD_OF.set(Arc::as_ptr(&own).addr());
        own.run();
        drop(own);
        alive.one_less();
    });
    if started.is_err() {
        shared.alive.one_less();
    }
    started
}

/// Whether the calling thread is one of that queue's: a callback of the caller's runs on it.
pub(super) fn is_thread_of<N>(shared: &Arc<Shared<N>>) -> bool {
    THREAD_OF.get() == Arc::as_ptr(shared).addr()
}
