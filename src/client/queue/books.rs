//! What a queue knows of its operations, under its one lock.
//!
//! Owns the states an operation goes through and the counts of threads. Changes nothing but itself: whoever calls
//! decides what to do once the lock is released.

use super::work::{Done, Work};
use crate::error::{Error, Status};
use crate::transport::Cancel;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Condvar};

/// An operation from its submission until its event is taken.
pub(super) struct Operation<N> {
    pub cancel: Cancel,
    pub note: N,
    pub stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// For a thread; the number is its place in the line.
    Waiting(u64),
    UnderWay,
    Completed,
}

pub(super) struct Books<N> {
    operations: HashMap<u64, Operation<N>>,
    /// In the order of submission: place, then token and work.
    line: BTreeMap<u64, (u64, Work)>,
    next_place: u64,
    completed: VecDeque<(u64, Done)>,
    /// Threads that wait for work, the latest last: the others may then end of idleness.
    pub idle: Vec<Arc<Condvar>>,
    /// Started, or about to be.
    pub threads: usize,
    pub closed: bool,
    /// Until somebody polls, nobody needs to be told by descriptor.
    pub fd_asked_for: bool,
    /// Threads of the caller's that wait for an event.
    pub waiting: usize,
    pub rung: bool,
}

/// Who does what was submitted; to be told without the lock, which a thread that is woken takes at once.
pub(super) enum Called {
    /// A thread that waits here.
    Idle(Arc<Condvar>),
    /// One that must be started, and is counted already.
    New,
    /// Those that are at work, once they come to it.
    Busy,
}

/// How to stop an operation: wake its thread, or end the work that no thread has begun.
pub(super) struct Stop {
    pub cancel: Option<Cancel>,
    pub work: Option<Work>,
}

/// What is left of a queue that ends; dropped without the lock.
pub(super) struct Left<N> {
    pub cancels: Vec<Cancel>,
    _operations: HashMap<u64, Operation<N>>,
    _line: BTreeMap<u64, (u64, Work)>,
    _completed: VecDeque<(u64, Done)>,
}

impl<N> Books<N> {
    pub fn new() -> Self {
        Books {
            operations: HashMap::new(),
            line: BTreeMap::new(),
            next_place: 0,
            completed: VecDeque::new(),
            idle: Vec::new(),
            threads: 0,
            closed: false,
            fd_asked_for: false,
            waiting: 0,
            rung: false,
        }
    }

    pub fn check_open(&self) -> Result<(), Error> {
        if self.closed { Err(Error::new(Status::Handle, "the queue was freed")) } else { Ok(()) }
    }

    /// Whether one more operation, with this token, may be submitted.
    pub fn may_submit(&self, token: u64, outstanding_max: usize) -> Result<(), Error> {
        self.check_open()?;
        if self.operations.contains_key(&token) {
            let message = format!("the token {token} is in use; take its event first, or choose another");
            return Err(Error::new(Status::Busy, message));
        }
        if self.operations.len() >= outstanding_max {
            let message = format!(
                "the queue has {outstanding_max} operations whose events were not taken; take some and try again, or \
                 raise queue_backlog"
            );
            return Err(Error::new(Status::Again, message));
        }
        Ok(())
    }

    pub fn submit(&mut self, token: u64, cancel: Cancel, note: N, work: Work) {
        let place = self.next_place;
        self.next_place += 1;
        self.line.insert(place, (token, work));
        self.operations.insert(token, Operation { cancel, note, stage: Stage::Waiting(place) });
    }

    /// Finds a thread for work that was submitted.
    pub fn call_thread(&mut self, threads_max: usize) -> Called {
        if let Some(seat) = self.idle.pop() {
            return Called::Idle(seat);
        }
        if self.threads >= threads_max {
            return Called::Busy;
        }
        self.threads += 1;
        Called::New
    }

    /// Undoes a submission that no thread can begin; `None` if one did.
    pub fn forget(&mut self, token: u64) -> Option<(Operation<N>, Work)> {
        let Stage::Waiting(place) = self.operations.get(&token)?.stage else { return None };
        let (_, work) = self.line.remove(&place)?;
        Some((self.operations.remove(&token)?, work))
    }

    /// The first in the line, for the thread that asks.
    pub fn begin(&mut self) -> Option<(u64, Work)> {
        let (_, (token, work)) = self.line.pop_first()?;
        self.set_stage(token, Stage::UnderWay);
        Some((token, work))
    }

    pub fn complete(&mut self, token: u64, done: Done) {
        self.set_stage(token, Stage::Completed);
        self.completed.push_back((token, done));
    }

    fn set_stage(&mut self, token: u64, stage: Stage) {
        if let Some(operation) = self.operations.get_mut(&token) {
            operation.stage = stage;
        }
    }

    pub fn take(&mut self) -> Option<(u64, N, Done)> {
        let (token, done) = self.completed.pop_front()?;
        let operation = self.operations.remove(&token)?;
        Some((token, operation.note, done))
    }

    pub fn has_completed(&self) -> bool {
        !self.completed.is_empty()
    }

    /// How to stop the operation; `None` if there is none of that token.
    pub fn stop(&mut self, token: u64) -> Option<Stop> {
        let operation = self.operations.get_mut(&token)?;
        let work = match operation.stage {
            Stage::Completed => return Some(Stop { cancel: None, work: None }),
            Stage::UnderWay => None,
            Stage::Waiting(place) => {
                operation.stage = Stage::UnderWay;
                self.line.remove(&place).map(|(_, work)| work)
            }
        };
        Some(Stop { cancel: Some(operation.cancel.clone()), work })
    }

    /// Empties the books and lets idle threads go.
    pub fn clear(&mut self) -> Left<N> {
        self.idle.drain(..).for_each(|seat| seat.notify_one());
        Left {
            cancels: self.operations.values().map(|operation| operation.cancel.clone()).collect(),
            _operations: std::mem::take(&mut self.operations),
            _line: std::mem::take(&mut self.line),
            _completed: std::mem::take(&mut self.completed),
        }
    }
}
