//! What is not a function of its input: the clock and randomness.
//!
//! Owns the two doors through which they come in, so that tests can hand in a manual clock and seeded
//! bytes and every signature is reproducible. Monotonic time for deadlines needs no door: it never reaches
//! a signature, and is read where somebody waits.

mod deadline;

use crate::error::{Error, Status};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub use deadline::Deadline;

/// Wall-clock time, whole seconds since 1970 (what a signature is valid between).
pub trait Clock: Send + Sync {
    fn unix_s(&self) -> u64;
}

/// Bytes nobody can guess (nonces).
pub trait Entropy: Send + Sync {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error>;
}

/// Both doors, handed to a client once.
pub struct World {
    pub clock: Box<dyn Clock>,
    pub entropy: Box<dyn Entropy>,
}

impl World {
    /// The machine's own clock and generator.
    pub fn system() -> Self {
        World { clock: Box::new(SystemClock), entropy: Box::new(SystemEntropy) }
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn unix_s(&self) -> u64 {
        // A clock before 1970 reads as 0: every authorization is then long expired, which is the safe side.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(out)
            .map_err(|cause| Error::new(Status::System, format!("the system gave no random bytes: {cause}")))
    }
}

/// A clock that stands still until it is moved.
pub struct ManualClock(AtomicU64);

impl ManualClock {
    pub fn at(unix_s: u64) -> Self {
        ManualClock(AtomicU64::new(unix_s))
    }

    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn unix_s(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Known bytes in a known order, for reproducing signatures. Never for real payments.
pub struct FixedEntropy(std::sync::Mutex<std::collections::VecDeque<u8>>);

impl FixedEntropy {
    pub fn new(bytes: impl IntoIterator<Item = u8>) -> Self {
        FixedEntropy(std::sync::Mutex::new(bytes.into_iter().collect()))
    }
}

impl Entropy for FixedEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        let mut left = self.0.lock().map_err(|_| Error::new(Status::System, "the entropy source is poisoned"))?;
        if left.len() < out.len() {
            return Err(Error::new(Status::System, "the fixed entropy has run out"));
        }
        let wanted = out.len();
        for (slot, byte) in out.iter_mut().zip(left.drain(..wanted)) {
            *slot = byte;
        }
        Ok(())
    }
}
