//! Ways to get a client stuck, and to know that it is.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A thread whose state can be seen.
pub struct Watched<T> {
    handle: JoinHandle<T>,
    id: i32,
}

impl<T: Send + 'static> Watched<T> {
    pub fn spawn(work: impl FnOnce() -> T + Send + 'static) -> Watched<T> {
        let (sender, receiver) = mpsc::channel();
        let handle = thread::spawn(move || {
            // SAFETY: gettid() takes nothing and cannot fail.
            sender.send(unsafe { libc::gettid() }).unwrap();
            work()
        });
        Watched { handle, id: receiver.recv().unwrap() }
    }

    /// Returns when the thread sleeps in the kernel (or has ended).
    pub fn wait_until_blocked(&self) {
        let path = format!("/proc/self/task/{}/stat", self.id);
        let end = Instant::now() + super::PATIENCE;
        while Instant::now() < end {
            let Ok(stat) = std::fs::read_to_string(&path) else { return };
            // The state follows the name, which ends with the last parenthesis.
            if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
                return;
            }
            thread::yield_now();
        }
        panic!("the thread never blocked");
    }

    pub fn join(self) -> T {
        self.handle.join().unwrap()
    }
}

/// A port that answers no connection attempt: its listener's queue is full.
pub struct Deaf {
    pub address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Deaf {
    pub fn new() -> Deaf {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // SAFETY: listen() takes no pointers; calling it again shortens the queue.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            queued.push(stream);
            assert!(queued.len() < 100, "the queue never fills");
        }
        Deaf { address, _listener: listener, _queued: queued }
    }
}
