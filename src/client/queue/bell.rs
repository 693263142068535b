//! The queue's descriptor: readable while an event waits.
//!
//! Owns a pair of connected sockets, because every event loop can poll one (some refuse eventfd). At most one byte is
//! ever in it. A loop that reads that byte, as some cannot help doing, disturbs nothing: silence is no error.
//!
//! It is rung without the queue's lock: whoever is woken would run into it at once. So silence may come before the ring
//! that it is to end, and then waits for that; it is on its way.

use crate::error::{Error, Status};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Between two looks for a ring that is on its way. Not a mere yield: who takes events may run before all others, and the
/// ring would never come.
const LOOK_AGAIN: Duration = Duration::from_micros(20);

pub(super) struct Bell {
    heard: UnixStream,
    rung: UnixStream,
    /// How many were announced and have not rung yet.
    announced: AtomicUsize,
}

impl Bell {
    pub fn new() -> Result<Self, Error> {
        Self::pair().map_err(|cause| {
            let message = format!("the queue's pair of sockets cannot be made: {cause}; close what is not needed");
            Error::new(Status::System, message).with_cause(cause)
        })
    }

    fn pair() -> io::Result<Self> {
        let (heard, rung) = UnixStream::pair()?;
        heard.set_nonblocking(true)?;
        rung.set_nonblocking(true)?;
        Ok(Bell { heard, rung, announced: AtomicUsize::new(0) })
    }

    pub fn fd(&self) -> i32 {
        self.heard.as_raw_fd()
    }

    pub fn fds(&self) -> [i32; 2] {
        [self.heard.as_raw_fd(), self.rung.as_raw_fd()]
    }

    /// With the queue's lock held: a ring follows soon, without it.
    pub fn announce(&self) {
        self.announced.fetch_add(1, Ordering::SeqCst);
    }

    pub fn ring(&self) {
        // It can only fail if the caller shut the descriptor down, against the contract: then nobody listens.
        let _ = (&self.rung).write(&[1]);
        self.announced.fetch_sub(1, Ordering::SeqCst);
    }

    /// With the queue's lock held: ends the ring that was announced last.
    pub fn silence(&self) {
        loop {
            let is_on_its_way = self.announced.load(Ordering::SeqCst) > 0;
            if (&self.heard).read(&mut [0]).is_ok() || !is_on_its_way {
                return;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}
