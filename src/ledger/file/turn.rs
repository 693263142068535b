//! Whose turn it is at a ledger's file, and how long a thread waits for it: for other threads here, and inside of SQLite
//! for other processes.
//!
//! Owns both waits. Must not know what is done in a turn. Its decision: what ends a wait early is kept with the thread,
//! because SQLite asks from inside of its own calls, where nothing can be handed in.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks whether a wait is over.
const LOOK: Duration = Duration::from_millis(20);

type IsOver = Rc<dyn Fn() -> bool>;

thread_local! {
    static IS_OVER: RefCell<Option<IsOver>> = const { RefCell::new(None) };
}

/// Runs `body`. Whatever waits for a file in it, on this thread, waits no longer once `is_over`.
pub(in crate::ledger) fn patient<R>(is_over: IsOver, body: impl FnOnce() -> R) -> R {
    with(Some(is_over), body)
}

/// Runs `body`, whose waits end as they would without a call that has little time.
pub(super) fn unhurried<R>(body: impl FnOnce() -> R) -> R {
    with(None, body)
}

fn with<R>(is_over: Option<IsOver>, body: impl FnOnce() -> R) -> R {
    struct Before(Option<IsOver>);
    impl Drop for Before {
        fn drop(&mut self) {
            let before = self.0.take();
            let _ = IS_OVER.try_with(|place| place.replace(before));
        }
    }
    // Gone only at the end of the thread, where nobody has set anything.
    let _before = Before(IS_OVER.try_with(|place| place.replace(is_over)).ok().flatten());
    body()
}

/// Whether this thread is to wait no longer.
pub(super) fn is_over() -> bool {
    let is_over = IS_OVER.try_with(|place| place.borrow().clone()).ok().flatten();
    is_over.is_some_and(|is_over| is_over())
}

/// Something that one thread has at a time, and others wait for.
#[derive(Debug)]
pub(super) struct Turns<T> {
    line: Mutex<Line>,
    free: Condvar,
    inside: Mutex<T>,
}

#[derive(Debug, Default)]
struct Line {
    is_taken: bool,
    waiting: usize,
}

impl<T> Turns<T> {
    pub fn new(inside: T) -> Self {
        Turns { line: Mutex::default(), free: Condvar::new(), inside: Mutex::new(inside) }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if it is still another's after `most` (`None`: never), or once this thread is to wait no longer.
    pub fn take(&self, most: Option<Duration>) -> Option<Turn<'_, T>> {
        let mut line = self.line();
        if line.is_taken {
            let until = most.map(|most| Instant::now() + most);
            line.waiting += 1;
            while line.is_taken && until.is_none_or(|until| Instant::now() < until) && !is_over() {
                line = self.free.wait_timeout(line, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            }
            line.waiting -= 1;
            if line.is_taken {
                return None;
            }
        }
        line.is_taken = true;
        drop(line);
        let leave = Leave { line: &self.line, free: &self.free };
        // What a panic cut off was rolled back when it was dropped.
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Turn { inside, _leave: leave })
    }
}

/// One thread's turn, until it is dropped.
pub(super) struct Turn<'a, T> {
    // In this order: the next may come once nobody is inside.
    inside: MutexGuard<'a, T>,
    _leave: Leave<'a>,
}

struct Leave<'a> {
    line: &'a Mutex<Line>,
    free: &'a Condvar,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.is_taken = false;
        if line.waiting > 0 {
            self.free.notify_one();
        }
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inside
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inside
    }
}
