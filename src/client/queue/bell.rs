//! The queue's descriptor: readable while an event waits.
//!
//! Owns a pair of connected sockets, because every event loop can poll one (some refuse eventfd). At most one byte is
//! ever in it. A loop that reads that byte, as some cannot help doing, disturbs nothing: silence is no error.

use crate::error::{Error, Status};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

pub(super) struct Bell {
    heard: UnixStream,
    rung: UnixStream,
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
        Ok(Bell { heard, rung })
    }

    pub fn fd(&self) -> i32 {
        self.heard.as_raw_fd()
    }

    pub fn fds(&self) -> [i32; 2] {
        [self.heard.as_raw_fd(), self.rung.as_raw_fd()]
    }

    pub fn ring(&self) {
        // It can only fail if the caller shut the descriptor down, against the contract: then nobody listens.
        let _ = (&self.rung).write(&[1]);
    }

    pub fn silence(&self) {
        let mut rings = [0; 8];
        while (&self.heard).read(&mut rings).is_ok_and(|count| count == rings.len()) {}
    }
}
