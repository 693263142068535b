//! One socket and the few system calls made on it.
//!
//! Owns the descriptor and every unsafe line of the transport. Knows no HTTP, no TLS and no limits beyond "how
//! long may this one call block". The decision: after connecting, the socket is in blocking mode with a receive
//! timeout of [`RECEIVE_TICK`]; whatever must not block passes `MSG_DONTWAIT`. Waiting for an answer is then one
//! system call, `recv`, where a non-blocking descriptor would need `poll` and `recv`.

use super::cancel::Wake;
use std::ffi::c_int;
use std::io::{self, IoSlice};
use std::mem::{offset_of, size_of};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// How long a blocking receive waits before it gives the caller a chance to look at its limits.
pub(super) const RECEIVE_TICK: Duration = Duration::from_secs(1);
/// How much one gathered send takes; what is more goes with the next.
const GATHERED_SLICES_MAX: usize = 64;

pub(super) struct Socket {
    fd: OwnedFd,
}

/// What can be done on a socket without blocking. Errors and hang-ups count as both: the next call tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// What a look at an idle connection found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    Silent,
    HasInput,
    Dead,
}

enum Address {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
}

impl Socket {
    /// A TCP socket of the address's family, non-blocking until [`Socket::settle`].
    pub(super) fn tcp(address: &SocketAddr) -> io::Result<Socket> {
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        Self::open(family)
    }

    /// A unix stream socket, non-blocking until [`Socket::settle`].
    pub(super) fn unix() -> io::Result<Socket> {
        Self::open(libc::AF_UNIX)
    }

    fn open(family: c_int) -> io::Result<Socket> {
        // SAFETY: socket() takes no pointers; its result is checked before it is used as a descriptor.
        let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open, valid and owned by nobody else.
        Ok(Socket { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Begins to connect; `WouldBlock`-like progress is not an error but `Ok(false)`.
    pub(super) fn start_connect(&self, address: &SocketAddr) -> io::Result<bool> {
        match system_address(address) {
            Address::V4(address) => self.connect_raw((&raw const address).cast(), size_of::<libc::sockaddr_in>()),
            Address::V6(address) => self.connect_raw((&raw const address).cast(), size_of::<libc::sockaddr_in6>()),
        }
    }

    /// Connects to a unix socket; `WouldBlock` means that the listener's queue is full.
    pub(super) fn connect_unix(&self, path: &Path) -> io::Result<()> {
        let bytes = path.as_os_str().as_bytes();
        // SAFETY: all-zero is a valid value of this plain C structure.
        let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        if bytes.len() >= address.sun_path.len() || bytes.contains(&0) || bytes.is_empty() {
            let limit = address.sun_path.len() - 1;
            let message = format!("a unix socket's path has 1 to {limit} bytes and no NUL");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (slot, byte) in address.sun_path.iter_mut().zip(bytes) {
            *slot = *byte as libc::c_char;
        }
        let length = offset_of!(libc::sockaddr_un, sun_path) + bytes.len() + 1;
        self.connect_raw((&raw const address).cast(), length).map(|_| ())
    }

    /// `address` must point to a socket address of `length` bytes: both callers pass a local of that size.
    fn connect_raw(&self, address: *const libc::sockaddr, length: usize) -> io::Result<bool> {
        let length = length as libc::socklen_t;
        // SAFETY: the pointer and length describe a live, initialised socket address (see the callers above).
        let result = unsafe { libc::connect(self.fd.as_raw_fd(), address, length) };
        if result == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINPROGRESS | libc::EINTR) => Ok(false),
            _ => Err(error),
        }
    }

    /// The outcome of a connect that was in progress.
    pub(super) fn connect_result(&self) -> io::Result<()> {
        match self.option(libc::SO_ERROR)? {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// Turns a connected socket into what the rest of the transport expects: see the head of this file.
    pub(super) fn settle(&self, is_tcp: bool) -> io::Result<()> {
        if is_tcp {
            self.set_option(libc::IPPROTO_TCP, libc::TCP_NODELAY, &1_i32)?;
        }
        let tick = libc::timeval { tv_sec: RECEIVE_TICK.as_secs() as libc::time_t, tv_usec: 0 };
        self.set_option(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &tick)?;
        // SAFETY: F_GETFL and F_SETFL take no pointers.
        let flags = unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_GETFL) };
        // SAFETY: as above.
        if flags < 0 || unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Makes the coming close a reset: what the system still holds back to send is thrown away with it.
    pub(super) fn discard_on_close(&self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        // Refused for a unix socket, whose peer learns of a close at once anyway.
        let _ = self.set_option(libc::SOL_SOCKET, libc::SO_LINGER, &linger);
    }

    /// Receives what is there. `WouldBlock` when nothing is, `Ok(0)` at the end of the stream.
    pub(super) fn receive_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, libc::MSG_DONTWAIT)
    }

    /// Receives, waiting at most [`RECEIVE_TICK`]; then `WouldBlock`.
    pub(super) fn receive_waiting(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, 0)
    }

    fn receive(&self, buffer: &mut [u8], flags: c_int) -> io::Result<usize> {
        // SAFETY: the pointer and length are those of a live, exclusively borrowed slice.
        let got = unsafe { libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
        length_or_error(got)
    }

    /// Looks at a connection that should be silent, without taking anything from it.
    pub(super) fn peek(&self) -> Idle {
        let mut byte = [0_u8];
        match self.receive(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Idle::Silent,
            Ok(1) => Idle::HasInput,
            _ => Idle::Dead,
        }
    }

    /// Sends what the system takes at once. `WouldBlock` when it takes nothing. Never raises SIGPIPE.
    pub(super) fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the pointer and length are those of a live slice, which is only read.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
        length_or_error(sent)
    }

    /// [`Socket::send_now`] for bytes in several places.
    pub(super) fn send_gathered_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let slices = slices.get(..GATHERED_SLICES_MAX).unwrap_or(slices);
        // SAFETY: all-zero is a valid value of this plain C structure.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = slices.as_ptr().cast_mut().cast();
        message.msg_iovlen = slices.len() as _;
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: an IoSlice has the layout of an iovec; the slices outlive the call and are only read.
        let sent = unsafe { libc::sendmsg(self.fd.as_raw_fd(), &raw const message, flags) };
        length_or_error(sent)
    }

    /// Waits until the socket is ready for what is asked, or `timeout` has passed, or a signal came (neither is ready then).
    pub(super) fn wait(&self, wanted: Ready, timeout: Option<Duration>) -> io::Result<Ready> {
        let mut events = 0;
        if wanted.read {
            events |= libc::POLLIN;
        }
        if wanted.write {
            events |= libc::POLLOUT;
        }
        let mut entry = libc::pollfd { fd: self.fd.as_raw_fd(), events, revents: 0 };
        // Rounded up: waking a little late is better than spinning through the last millisecond.
        let milliseconds = timeout.map_or(-1, |timeout| {
            let rounded = timeout.as_millis() + u128::from(timeout.subsec_nanos() % 1_000_000 != 0);
            c_int::try_from(rounded).unwrap_or(c_int::MAX)
        });
        // SAFETY: the pointer is to one live pollfd, and the count says one.
        let result = unsafe { libc::poll(&raw mut entry, 1, milliseconds) };
        if result < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(Ready::default()) } else { Err(error) };
        }
        let broken = entry.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0;
        Ok(Ready {
            read: broken || entry.revents & libc::POLLIN != 0,
            write: broken || entry.revents & libc::POLLOUT != 0,
        })
    }

    fn option(&self, name: c_int) -> io::Result<c_int> {
        let mut value: c_int = 0;
        let mut length = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: both pointers are to live locals, and the length is the value's.
        let result = unsafe {
            libc::getsockopt(self.fd.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length)
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
    }

    fn set_option<T>(&self, level: c_int, name: c_int, value: &T) -> io::Result<()> {
        let length = size_of::<T>() as libc::socklen_t;
        // SAFETY: the pointer and length describe one live value, which is only read.
        let result =
            unsafe { libc::setsockopt(self.fd.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Wake for Socket {
    /// Ends both directions: every call blocked on the socket returns, a connect in progress included.
    fn wake(&self) {
        // SAFETY: shutdown() takes no pointers; on a socket that is not connected it fails harmlessly.
        unsafe { libc::shutdown(self.fd.as_raw_fd(), libc::SHUT_RDWR) };
    }
}

fn length_or_error(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn system_address(address: &SocketAddr) -> Address {
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: all-zero is a valid value of this plain C structure.
            let mut out: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            out.sin_family = libc::AF_INET as libc::sa_family_t;
            out.sin_port = v4.port().to_be();
            out.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            Address::V4(out)
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above.
            let mut out: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
            out.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            out.sin6_port = v6.port().to_be();
            out.sin6_addr.s6_addr = v6.ip().octets();
            out.sin6_flowinfo = v6.flowinfo();
            out.sin6_scope_id = v6.scope_id();
            Address::V6(out)
        }
    }
}
