//! Threads of the library's own.
//!
//! Owns how they start: no signal of the program's is delivered to them, because its handlers expect threads that the
//! program knows (an interpreter's, a scheduler's). Signals are blocked around the start, not in the new thread, so
//! that there is no moment in which one could arrive. Those that a thread causes itself stay as they were.

use std::io;
use std::thread;

/// Signals that mean a fault of the very instruction: blocked, they would end the program without a word.
const FAULTS: [libc::c_int; 6] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

/// Starts a thread that runs `work` and is never joined.
pub fn start(name: &str, stack_bytes: Option<usize>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.to_string());
    let builder = match stack_bytes {
        Some(bytes) => builder.stack_size(bytes),
        None => builder,
    };
    let _blocked = Blocked::all();
    builder.spawn(work).map(drop)
}

/// This thread's signals, blocked until this is dropped.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn all() -> Self {
        // SAFETY: a sigset_t is plain bits, and each call writes to a set of this function's own.
        unsafe {
            let mut wanted: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut wanted);
            for fault in FAULTS {
                libc::sigdelset(&mut wanted, fault);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &wanted, &mut before);
            Blocked(before)
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is the one that was in force before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Bits of the calling thread's blocked signals, as the system shows them.
    fn blocked() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    }

    #[test]
    fn no_signal_of_the_programs_reaches_a_thread_of_the_librarys() {
        let before = blocked();
        let (say, heard) = mpsc::channel();
        start("x402-test", Some(64 * 1024), move || say.send(blocked()).unwrap()).unwrap();
        let theirs = heard.recv().unwrap();
        let bit = |signal: libc::c_int| 1u64 << (signal - 1);
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGCHLD, libc::SIGUSR1, libc::SIGPROF, libc::SIGURG] {
            assert_ne!(theirs & bit(signal), 0, "signal {signal} is not blocked");
        }
        assert_eq!(theirs & bit(libc::SIGSEGV), before & bit(libc::SIGSEGV));
        assert_eq!(blocked(), before, "the starting thread has its own signals back");
    }
}
