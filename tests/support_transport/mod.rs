//! A scripted server for the transport's tests: each connection runs a closure on a thread of its own.
//!
//! Nothing here sleeps. A script that must be slow waits on a [`Gate`], and a script whose client goes away
//! ends with its connection.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;
use url::Url;
use x402::error::Status;
use x402::transport::{Cancel, Deadlines, Expect, Failure, Incoming, Outgoing, OutgoingBody, Settings, Transport};

pub mod tls;

/// No wait of a test is longer: what takes longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A door that one thread waits at and another opens.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Whether the door was opened within [`PATIENCE`].
    pub fn wait(&self) -> bool {
        let guard = self.0.0.lock().unwrap();
        let (open, _) = self.0.1.wait_timeout_while(guard, PATIENCE, |open| !*open).unwrap();
        *open
    }
}

pub trait Channel: Read + Write + Send {}
impl<T: Read + Write + Send> Channel for T {}

/// The server's end of one connection.
pub struct Peer {
    pub channel: Box<dyn Channel>,
    pub socket: TcpStream,
    /// Which connection of the server this is, from 0.
    pub index: usize,
    pending: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Head {
    pub text: String,
}

impl Head {
    pub fn line(&self) -> &str {
        self.text.lines().next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.text.lines().skip(1);
        lines
            .filter_map(|line| line.split_once(':'))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
            .collect()
    }
}

impl Peer {
    pub fn new(channel: Box<dyn Channel>, socket: TcpStream, index: usize) -> Peer {
        Peer { channel, socket, index, pending: Vec::new() }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = vec![0; 64 * 1024];
        let bytes = self.channel.read(&mut buffer)?;
        self.pending.extend_from_slice(&buffer[..bytes]);
        Ok(bytes)
    }

    /// The next request's head; `None` when the client is gone.
    pub fn head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = self.pending.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.pending.drain(..end + 4).collect();
                return Some(Head { text: String::from_utf8(head).unwrap() });
            }
            if self.fill().unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// How many bytes of the body came in the same packets as the head.
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Exactly `length` bytes.
    pub fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.pending.len() < length {
            if self.fill().unwrap_or(0) == 0 {
                return None;
            }
        }
        Some(self.pending.drain(..length).collect())
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.pending.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.fill().unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The body that `head` announces.
    pub fn body(&mut self, head: &Head) -> Option<Vec<u8>> {
        if let Some(length) = head.header("content-length") {
            return self.exactly(length.parse().unwrap());
        }
        if head.header("transfer-encoding").is_none() {
            return Some(Vec::new());
        }
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).unwrap();
            let chunk = self.exactly(size)?;
            assert_eq!(self.line()?, "");
            if size == 0 {
                return Some(body);
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// Reads and throws away until the client is gone; the number of bytes.
    pub fn drain(&mut self) -> u64 {
        let mut total = std::mem::take(&mut self.pending).len() as u64;
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(bytes @ 1..) = self.channel.read(&mut buffer) {
            total += bytes as u64;
        }
        total
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.channel.write_all(bytes.as_ref()).and_then(|()| self.channel.flush()).is_ok()
    }

    pub fn answer(&mut self, status: &str, body: &str) -> bool {
        self.send(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
}

impl Server {
    /// Runs `script` for every connection.
    pub fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
        Self::start_with(|socket| Box::new(socket), script)
    }

    pub fn start_with(
        wrap: impl Fn(TcpStream) -> Box<dyn Channel> + Send + Sync + 'static,
        script: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let parts = Arc::new((wrap, script));
        thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(socket) = socket else { break };
                let index = counter.fetch_add(1, Ordering::SeqCst);
                let parts = parts.clone();
                thread::spawn(move || {
                    socket.set_nodelay(true).unwrap();
                    let raw = socket.try_clone().unwrap();
                    let mut peer = Peer::new((parts.0)(socket), raw, index);
                    (parts.1)(&mut peer);
                });
            }
        });
        Server { address, connections }
    }

    /// Answers every request of every connection with `answer`.
    pub fn answering(answer: &'static str) -> Server {
        Self::start(move |peer| {
            while let Some(head) = peer.head() {
                if peer.body(&head).is_none() || !peer.send(answer) {
                    return;
                }
            }
        })
    }

    pub fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    pub fn https_url(&self, path: &str) -> Url {
        Url::parse(&format!("https://localhost:{}{path}", self.address.port())).unwrap()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub fn transport() -> Transport {
    Transport::new(Settings::default()).unwrap()
}

/// A plain request; tests change what they are about.
pub fn request<'a>(method: &'a str, url: &'a Url) -> Outgoing<'a> {
    Outgoing {
        method,
        url,
        headers: &[],
        body: OutgoingBody::None,
        expect: Expect::Never,
        fresh_connection: false,
        deadlines: Deadlines::default(),
        cancel: Cancel::new(),
        progress: None,
    }
}

pub fn get(transport: &Transport, url: &Url) -> Result<Incoming, Failure> {
    transport.round_trip(request("GET", url))
}

pub fn read_all(mut incoming: Incoming) -> Vec<u8> {
    let mut out = Vec::new();
    incoming.body.read_to_end(&mut out).unwrap();
    out
}

pub fn read_error(incoming: &mut Incoming) -> x402::error::Error {
    let mut out = Vec::new();
    let cause = incoming.body.read_to_end(&mut out).expect_err("the body should have failed");
    x402::error::Error::from_io(cause, Status::Panic, "an error that is not the library's")
}

/// A body of `length` bytes that counts what is taken from it.
pub struct Counted {
    pub left: u64,
    pub taken: Arc<AtomicUsize>,
    pub reads: Arc<AtomicUsize>,
}

impl Counted {
    pub fn new(length: u64) -> Counted {
        Counted { left: length, taken: Arc::default(), reads: Arc::default() }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        buffer[..bytes].fill(b'x');
        self.left -= bytes as u64;
        self.taken.fetch_add(bytes, Ordering::SeqCst);
        self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(bytes)
    }
}
