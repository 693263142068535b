//! Reading requests off a connection: the head, then the body piece by piece, each byte counted.
//!
//! Owns the buffer. Lenient where a test server may be, strict about framing: a body that does not follow its
//! framing is an error, never a shorter body.

use super::stream::Stream;
use std::io::{self, Read, Write};
use std::time::Duration;

const BUFFER_BYTES: usize = 128 * 1024;
const HEAD_BYTES_MAX: usize = 1024 * 1024;

pub struct Connection {
    pub stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes read so far.
    pub received: u64,
    /// Of those, the ones already in the counts.
    reported: u64,
    /// Requests begun so far.
    pub requests: u64,
}

pub struct Head {
    pub method: String,
    pub target: String,
    /// HTTP/1.x
    pub minor: u8,
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn expects_continue(&self) -> bool {
        self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }

    pub fn keeps_alive(&self) -> bool {
        let close = self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        !close && self.minor >= 1
    }

    /// The path without query, of a target in origin or absolute form.
    pub fn path(&self) -> &str {
        let target = match self.target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => &self.target,
        };
        target.split('?').next().unwrap_or(target)
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

impl Connection {
    pub fn new(stream: Stream) -> Connection {
        Connection { stream, buffer: vec![0; BUFFER_BYTES], start: 0, end: 0, received: 0, reported: 0, requests: 0 }
    }

    /// Reads more; 0 is the end of the connection.
    fn fill(&mut self) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else if self.buffer.len() < HEAD_BYTES_MAX {
                self.buffer.resize(2 * self.buffer.len(), 0);
            } else {
                return Err(bad("the head is too large"));
            }
        }
        let count = self.stream.read(&mut self.buffer[self.end..])?;
        self.end += count;
        self.received += count as u64;
        Ok(count)
    }

    /// Bytes read since this was asked last.
    pub fn received_anew(&mut self) -> u64 {
        let anew = self.received - self.reported;
        self.reported = self.received;
        anew
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The next request's head; none at the end of the connection.
    pub fn read_head(&mut self) -> io::Result<Option<Head>> {
        let mut searched = 0;
        loop {
            let unread = self.unread();
            let from = searched.min(unread.len());
            if let Some(at) = unread[from..].windows(4).position(|four| four == b"\r\n\r\n") {
                let end = from + at;
                let head = parse_head(&unread[..end])?;
                self.start += end + 4;
                return Ok(Some(head));
            }
            searched = unread.len().saturating_sub(3);
            if self.fill()? == 0 {
                return match self.unread().is_empty() {
                    true => Ok(None),
                    false => Err(bad("the connection ended within a head")),
                };
            }
        }
    }

    /// A line of the chunk framing, without its end.
    fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.unread().windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.unread()[..at]).into_owned();
                self.start += at + 2;
                return Ok(line);
            }
            if self.unread().len() > 4096 || self.fill()? == 0 {
                return Err(bad("no end of a chunk line"));
            }
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads and throws away until the client closes, `patience` at most between two bytes.
    pub fn drain(&mut self) {
        while !matches!(self.fill(), Ok(0) | Err(_)) {
            self.start = self.end;
        }
    }

    pub fn hung_up(&self, patience: Duration) -> bool {
        self.stream.hung_up(patience)
    }
}

fn parse_head(bytes: &[u8]) -> io::Result<Head> {
    // Header values may hold any byte above 0x7f; as Latin-1 nothing is lost.
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or("").split(' ');
    let (Some(method), Some(target), Some(version)) = (first.next(), first.next(), first.next()) else {
        return Err(bad("no request line"));
    };
    let minor = match version {
        "HTTP/1.1" => 1,
        "HTTP/1.0" => 0,
        _ => return Err(bad("not HTTP/1")),
    };
    let header = |line: &str| {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header without a colon"))?;
        Ok((name.to_string(), value.trim().to_string()))
    };
    let headers = lines.map(header).collect::<io::Result<Vec<_>>>()?;
    Ok(Head { method: method.into(), target: target.into(), minor, headers })
}

/// How much of a request's body is still to come.
enum Left {
    Length(u64),
    ChunkSize,
    Chunk(u64),
    Done,
}

pub struct Body {
    left: Left,
    pub bytes: u64,
}

impl Body {
    /// RFC 9112 §6.3, for requests.
    pub fn of(head: &Head) -> io::Result<Body> {
        let left = match (head.header("transfer-encoding"), head.header("content-length")) {
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Left::ChunkSize,
            (Some(_), _) => return Err(bad("transfer-encoding other than chunked, or with a length")),
            (None, Some(length)) => match length.parse() {
                Ok(0) => Left::Done,
                Ok(length) => Left::Length(length),
                Err(_) => return Err(bad("content-length is not a number")),
            },
            (None, None) => Left::Done,
        };
        Ok(Body { left, bytes: 0 })
    }

    pub fn is_whole(&self) -> bool {
        matches!(self.left, Left::Done)
    }

    /// The next piece; none when the body is whole.
    pub fn next<'a>(&mut self, connection: &'a mut Connection) -> io::Result<Option<&'a [u8]>> {
        loop {
            match self.left {
                Left::Done => return Ok(None),
                Left::Length(0) => self.left = Left::Done,
                Left::Chunk(0) => {
                    if !connection.read_line()?.is_empty() {
                        return Err(bad("a chunk is longer than its size"));
                    }
                    self.left = Left::ChunkSize;
                }
                Left::ChunkSize => {
                    let line = connection.read_line()?;
                    let size = line.split(';').next().unwrap_or("").trim();
                    match u64::from_str_radix(size, 16).map_err(|_| bad("a chunk size is not hex"))? {
                        0 => {
                            while !connection.read_line()?.is_empty() {}
                            self.left = Left::Done;
                        }
                        size => self.left = Left::Chunk(size),
                    }
                }
                Left::Length(left) | Left::Chunk(left) => {
                    if connection.unread().is_empty() && connection.fill()? == 0 {
                        return Err(bad("the connection ended within a body"));
                    }
                    let count = connection.unread().len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.bytes += count as u64;
                    let left = left - count as u64;
                    self.left = match self.left {
                        Left::Chunk(_) => Left::Chunk(left),
                        _ if left == 0 => Left::Done,
                        _ => Left::Length(left),
                    };
                    connection.start += count;
                    return Ok(Some(&connection.buffer[connection.start - count..connection.start]));
                }
            }
        }
    }
}
