//! Ways to `base` that are no TCP connection of the client's own: a SOCKS5 proxy, and a unix socket.
//!
//! Owns the copying between two sockets and SOCKS5's handshake (RFC 1928, without authentication). Whatever host is asked
//! for, it goes to `base`, so a test can speak to `shop.example` without a name server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use tempfile::TempDir;

const VERSION: u8 = 5;
const CONNECT: u8 = 1;
const ADDRESS_V4: u8 = 1;
const ADDRESS_NAME: u8 = 3;
const ADDRESS_V6: u8 = 4;

/// A socket of either family.
pub trait Socket: Read + Write + Send + Sized + 'static {
    fn copy(&self) -> io::Result<Self>;
    fn end(&self, how: Shutdown);
}

impl Socket for TcpStream {
    fn copy(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self, how: Shutdown) {
        let _ = self.shutdown(how);
    }
}

impl Socket for UnixStream {
    fn copy(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self, how: Shutdown) {
        let _ = self.shutdown(how);
    }
}

/// Copies both ways until both have ended.
pub fn relay(mut client: impl Socket, mut server: TcpStream) -> io::Result<()> {
    let (mut up_from, mut up_to) = (client.copy()?, server.copy()?);
    let up = thread::spawn(move || {
        let _ = io::copy(&mut up_from, &mut up_to);
        up_to.end(Shutdown::Write);
    });
    let _ = io::copy(&mut server, &mut client);
    client.end(Shutdown::Both);
    server.end(Shutdown::Both);
    let _ = up.join();
    Ok(())
}

/// A unix socket that leads to `base`, for as long as this lives.
pub struct UnixDoor {
    _folder: TempDir,
    path: PathBuf,
    listener: Option<UnixListener>,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UnixDoor {
    pub fn bind() -> io::Result<UnixDoor> {
        let folder = TempDir::new()?;
        let path = folder.path().join("socket");
        let listener = Some(UnixListener::bind(&path)?);
        Ok(UnixDoor { _folder: folder, path, listener, closing: Arc::default(), thread: None })
    }

    pub fn url(&self) -> String {
        format!("unix:{}:", self.path.display())
    }

    pub fn open(&mut self, base: SocketAddr) {
        let Some(listener) = self.listener.take() else { return };
        let closing = self.closing.clone();
        self.thread = Some(thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if closing.load(Ordering::SeqCst) {
                    return;
                }
                // It ends with its connection, which the server ends.
                thread::spawn(move || TcpStream::connect(base).and_then(|server| relay(client, server)));
            }
        }));
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves one SOCKS5 connection to its end.
pub fn serve_socks5(mut client: TcpStream, base: SocketAddr) -> io::Result<()> {
    let [version, methods] = exactly(&mut client)?;
    let mut offered = vec![0; usize::from(methods)];
    client.read_exact(&mut offered)?;
    if version != VERSION || !offered.contains(&0) {
        return client.write_all(&[VERSION, 0xff]);
    }
    client.write_all(&[VERSION, 0])?;
    let [version, command, _, kind] = exactly(&mut client)?;
    let length = match kind {
        ADDRESS_V4 => 4,
        ADDRESS_V6 => 16,
        ADDRESS_NAME => exactly::<1>(&mut client)?[0].into(),
        _ => 0,
    };
    // The address and the port, which are not looked at.
    client.read_exact(&mut vec![0; length + 2])?;
    let works = version == VERSION && command == CONNECT && length > 0;
    let reply = if works { 0 } else { 7 };
    client.write_all(&[VERSION, reply, 0, ADDRESS_V4, 0, 0, 0, 0, 0, 0])?;
    if works { relay(client, TcpStream::connect(base)?) } else { Ok(()) }
}

fn exactly<const COUNT: usize>(client: &mut TcpStream) -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}
