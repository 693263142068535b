//! Bytes to and from the peer, plain or through TLS, over one socket.
//!
//! Owns the TLS session and the order of its reads and writes. Knows no HTTP. Two decisions: ciphertext is
//! received into a buffer of our own, because the TLS library would read the socket 4 KiB at a time; and the
//! end of a TLS stream counts only when the peer announced it, as otherwise anyone on the way could cut an
//! answer short unseen.

use super::socket::{Idle, Socket};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::sync::Arc;

/// One receive call's worth of TLS records.
const CIPHERTEXT_BYTES: usize = 64 * 1024;

/// How a read may spend time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// One [tick](super::socket::RECEIVE_TICK) of blocking.
    Tick,
}

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    Bytes(usize),
    /// Nothing within the time allowed.
    Nothing,
    /// Records that carry no data, or a part of one: the peer is alive.
    Progress,
    End,
}

pub(super) struct Stream {
    socket: Arc<Socket>,
    tls: Option<Box<Tls>>,
    /// Whose conversation it is: in the child of a fork the socket is still the parent's, and two would speak in one.
    pid: u32,
}

struct Tls {
    session: ClientConnection,
    ciphertext: Vec<u8>,
    taken: usize,
    filled: usize,
    /// Encrypted bytes that the system took.
    left_bytes: u64,
}

impl Stream {
    pub(super) fn plain(socket: Arc<Socket>) -> Stream {
        Stream { socket, tls: None, pid: std::process::id() }
    }

    /// Starts a TLS session on a connected socket; `handshake_io` carries the handshake and its limits.
    pub(super) fn tls(
        socket: Arc<Socket>,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        handshake_io: &mut (impl Read + Write),
    ) -> io::Result<Stream> {
        let mut session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(handshake_io)?;
        }
        let tls = Tls { session, ciphertext: Vec::new(), taken: 0, filled: 0, left_bytes: 0 };
        Ok(Stream { socket, tls: Some(Box::new(tls)), pid: std::process::id() })
    }

    pub(super) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether a read finds something without the socket: waiting on the socket would then be waiting in vain.
    pub(super) fn has_buffered(&mut self) -> bool {
        match &mut self.tls {
            None => false,
            Some(tls) => {
                let is_empty = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
                tls.taken < tls.filled || !tls.session.reader().fill_buf().is_err_and(|error| is_empty(&error))
            }
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8], patience: Patience) -> io::Result<Received> {
        match &mut self.tls {
            None => match receive(&self.socket, buffer, patience)? {
                Some(0) => Ok(Received::End),
                Some(bytes) => Ok(Received::Bytes(bytes)),
                None => Ok(Received::Nothing),
            },
            Some(tls) => tls.read(&self.socket, buffer, patience),
        }
    }

    /// Hands over what can be taken at once: bytes taken, `Ok(0)` when the peer must read first.
    ///
    /// With TLS, taken means encrypted: [`Stream::flush`] tells when it has left.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => or_zero(self.socket.send_now(bytes)),
            Some(tls) => {
                tls.flush(&self.socket)?;
                let taken = tls.session.writer().write(bytes)?;
                tls.flush(&self.socket)?;
                Ok(taken)
            }
        }
    }

    /// How much of a TLS session has left, what a write that then failed sent first included. `None` without TLS,
    /// where a write either fails or says itself what left.
    pub(super) fn left_bytes(&self) -> Option<u64> {
        self.tls.as_ref().map(|tls| tls.left_bytes)
    }

    /// Whether everything that was written has left; sends what can be sent at once.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        match &mut self.tls {
            None => Ok(true),
            Some(tls) => tls.flush(&self.socket),
        }
    }

    /// Whether an idle connection can carry another request: open, ours, and nothing came that nobody asked for.
    pub(super) fn is_fit(&mut self) -> bool {
        if self.pid != std::process::id() {
            return false;
        }
        match (self.socket.peek(), &mut self.tls) {
            (Idle::Silent, _) => true,
            // Session tickets may come late; data or a goodbye makes the connection unfit.
            (Idle::HasInput, Some(tls)) => {
                matches!(tls.read(&self.socket, &mut [0], Patience::None), Ok(Received::Progress | Received::Nothing))
            }
            _ => false,
        }
    }

    /// Whether nothing is left over from the last answer. No system call, unless TLS has something to answer.
    pub(super) fn is_drained(&mut self) -> bool {
        match &mut self.tls {
            None => true,
            Some(tls) => {
                while tls.taken < tls.filled {
                    match tls.advance(&self.socket) {
                        Ok(bytes) if bytes > 0 => {}
                        _ => return false,
                    }
                }
                // Neither data nor the announced end.
                matches!(tls.session.reader().fill_buf(), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls
            && self.pid == std::process::id()
        {
            // A goodbye if it fits into the socket; nobody waits for it.
            tls.session.send_close_notify();
            let _ = tls.flush(&self.socket);
        }
    }
}

impl Tls {
    fn read(&mut self, socket: &Socket, buffer: &mut [u8], patience: Patience) -> io::Result<Received> {
        let mut moved = false;
        loop {
            match self.session.reader().read(buffer) {
                Ok(0) => return Ok(Received::End),
                Ok(bytes) => return Ok(Received::Bytes(bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if self.taken == self.filled {
                // After progress, only what is there already: the caller looks at its limits in between.
                let patience = if moved { Patience::None } else { patience };
                self.ciphertext.resize(CIPHERTEXT_BYTES, 0);
                match receive(socket, &mut self.ciphertext, patience)? {
                    None => return Ok(if moved { Received::Progress } else { Received::Nothing }),
                    // An end that the session did not announce: the session itself must be told, and objects.
                    Some(0) => {
                        self.session.read_tls(&mut io::empty())?;
                        self.session.process_new_packets().map_err(io::Error::other)?;
                        continue;
                    }
                    Some(bytes) => (self.taken, self.filled) = (0, bytes),
                }
            }
            moved = true;
            self.advance(socket)?;
        }
    }

    /// Feeds the session from what was received; the number of bytes it took.
    fn advance(&mut self, socket: &Socket) -> io::Result<usize> {
        let mut rest = self.ciphertext.get(self.taken..self.filled).unwrap_or_default();
        let bytes = self.session.read_tls(&mut rest)?;
        self.taken += bytes;
        if let Err(error) = self.session.process_new_packets() {
            let _ = self.flush(socket); // the alert that says why
            return Err(io::Error::other(error));
        }
        if self.session.wants_write() {
            // A failure to send shows again at the next write; what was received is worth more.
            let _ = self.flush(socket);
        }
        Ok(bytes)
    }

    /// Sends encrypted bytes until none are left (true) or the socket takes no more (false).
    fn flush(&mut self, socket: &Socket) -> io::Result<bool> {
        self.flush_to(&mut SendNow(socket))
    }

    fn flush_to(&mut self, out: &mut impl Write) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(out) {
                Ok(bytes) => self.left_bytes += bytes as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The sending half of a socket as the TLS library wants it.
struct SendNow<'a>(&'a Socket);

impl Write for SendNow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_now(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send_gathered_now(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn receive(socket: &Socket, buffer: &mut [u8], patience: Patience) -> io::Result<Option<usize>> {
    loop {
        let got = match patience {
            Patience::None => socket.receive_now(buffer),
            Patience::Tick => socket.receive_waiting(buffer),
        };
        match got {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            // A signal: a look at the limits does no harm.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => match patience {
                Patience::Tick => return Ok(None),
                Patience::None => {}
            },
            Err(error) => return Err(error),
        }
    }
}

fn or_zero(sent: io::Result<usize>) -> io::Result<usize> {
    match sent {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes, and is then gone.
    struct Breaking(usize);

    impl Write for Breaking {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_left_before_a_write_failed_is_known() {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut tls = Tls { session, ciphertext: Vec::new(), taken: 0, filled: 0, left_bytes: 0 };
        assert_eq!(tls.flush_to(&mut Breaking(0)).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(tls.left_bytes, 0);
        assert_eq!(tls.flush_to(&mut Breaking(5)).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(tls.left_bytes, 5);
    }
}
