//! Content codings undone while a response is read (RFC 9110 §8.4).
//!
//! Owns gzip (of several members too) and deflate. Knows no HTTP beyond the coding's name. Decoding streams:
//! bytes come out as soon as they can be told, and no more than a window is held, so a bound on how much
//! a small response may unfold into is for the reader to keep, who sees every byte. A response that stops
//! before its coding ends, or goes on after it, is an error and never a short answer.

use crate::error::{Error, Status};
use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status as Progress};
use std::io::{self, BufRead, BufReader, Chain, Cursor, ErrorKind, Read};

/// How many codings may lie over each other; each costs a window of memory.
const CODINGS_MAX: usize = 5;
const INPUT_BYTES: usize = 16 * 1024;
/// What tells a zlib stream from a raw one.
const ZLIB_HEAD_BYTES: usize = 2;

/// The value of `Accept-Encoding` that asks for what [`decoder`] understands.
pub const ACCEPT_ENCODING: &str = "gzip, deflate";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
}

/// Whether [`decoder`] understands this value of `Content-Encoding`. Ask first where the undecoded bytes are
/// wanted otherwise: a decoder takes its reader by value.
pub fn decodes(coding: &[u8]) -> bool {
    codings(coding).is_some()
}

/// A reader of the decoded bytes, for a value of `Content-Encoding`: `gzip`, `x-gzip`, `deflate` (zlib's form, or the
/// raw form that some servers send), `identity`, or a list of them. None for any other.
///
/// The reader fails with [`Status::ContentCoding`] where the coding is broken and hands on `inner`'s errors as
/// they are. It reads `inner` to its end. A body of no bytes at all decodes to none.
pub fn decoder(coding: &[u8], inner: Box<dyn Read + Send>) -> Option<Box<dyn Read + Send>> {
    let mut reader = inner;
    // The last in the list was applied last.
    for coding in codings(coding)?.into_iter().rev() {
        let source = BufReader::with_capacity(INPUT_BYTES, Source(reader));
        reader = match coding {
            Coding::Gzip => Box::new(Decoder::new("gzip", Gzip::Start(source))),
            Coding::Deflate => Box::new(Decoder::new("deflate", Deflate::Start(source))),
        };
    }
    Some(reader)
}

fn codings(list: &[u8]) -> Option<Vec<Coding>> {
    let list = std::str::from_utf8(list).ok()?;
    let mut codings = Vec::new();
    for name in list.split(',').map(str::trim) {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => codings.push(Coding::Gzip),
            "deflate" => codings.push(Coding::Deflate),
            "identity" | "" => {}
            _ => return None,
        }
    }
    (codings.len() <= CODINGS_MAX).then_some(codings)
}

/// The undecoded bytes. Marks the errors that come from below, so that they are not taken for a broken coding.
struct Source(Box<dyn Read + Send>);

/// An `io::Error` from below that carries no [`Error`] of its own.
#[derive(Debug)]
struct FromBelow(io::Error);

impl std::fmt::Display for FromBelow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for FromBelow {}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) if carries_error(&cause) => return Err(cause),
                Err(cause) => return Err(io::Error::new(cause.kind(), FromBelow(cause))),
                read => return read,
            }
        }
    }
}

fn carries_error(cause: &io::Error) -> bool {
    cause.get_ref().is_some_and(|inner| inner.is::<Error>())
}

/// One coding's own way of reading.
trait Decode: Send {
    fn decode(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A coding with its errors sorted and kept: after one, there is never an end that looks like success.
struct Decoder<D> {
    name: &'static str,
    decode: D,
    broken: Option<String>,
}

impl<D: Decode> Decoder<D> {
    fn new(name: &'static str, decode: D) -> Self {
        Decoder { name, decode, broken: None }
    }

    fn sorted(&self, cause: io::Error) -> io::Error {
        if carries_error(&cause) {
            return cause;
        }
        let cause = match cause.downcast::<FromBelow>() {
            Ok(FromBelow(cause)) => return cause,
            Err(cause) => cause,
        };
        let message = match cause.kind() {
            ErrorKind::UnexpectedEof => format!("the response ends in the middle of its {} coding", self.name),
            _ => format!("the response's {} coding is broken: {cause}", self.name),
        };
        Error::new(Status::ContentCoding, message).with_cause(cause).into_io()
    }
}

impl<D: Decode> Read for Decoder<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(message) = &self.broken {
            return Err(Error::new(Status::ContentCoding, message.clone()).into_io());
        }
        self.decode.decode(buffer).map_err(|cause| {
            let cause = self.sorted(cause);
            self.broken = Some(cause.to_string());
            cause
        })
    }
}

type Undecoded = BufReader<Source>;

enum Gzip {
    Start(Undecoded),
    Members(MultiGzDecoder<Undecoded>),
    Done,
}

impl Decode for Gzip {
    fn decode(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Gzip::Start(source) = self {
            let empty = source.fill_buf()?.is_empty();
            *self = match std::mem::replace(self, Gzip::Done) {
                Gzip::Start(source) if !empty => Gzip::Members(MultiGzDecoder::new(source)),
                _ => Gzip::Done,
            };
        }
        match self {
            Gzip::Members(members) => members.read(buffer),
            _ => Ok(0),
        }
    }
}

enum Deflate {
    Start(Undecoded),
    Running { source: Chain<Cursor<Vec<u8>>, Undecoded>, state: Box<Decompress>, ended: bool },
    Done,
}

impl Decode for Deflate {
    fn decode(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Deflate::Start(source) = self {
            let head = read_head(source)?;
            *self = match std::mem::replace(self, Deflate::Done) {
                Deflate::Start(source) if !head.is_empty() => {
                    let state = Box::new(Decompress::new(is_zlib(&head)));
                    Deflate::Running { source: Cursor::new(head).chain(source), state, ended: false }
                }
                _ => Deflate::Done,
            };
        }
        let Deflate::Running { source, state, ended } = self else { return Ok(0) };
        loop {
            let input = source.fill_buf()?;
            let at_end = input.is_empty();
            if *ended {
                let after = io::Error::new(ErrorKind::InvalidData, "it goes on after its end");
                return if at_end { Ok(0) } else { Err(after) };
            }
            let (read_before, given_before) = (state.total_in(), state.total_out());
            let flush = if at_end { FlushDecompress::Finish } else { FlushDecompress::None };
            let progress = state.decompress(input, buffer, flush)?;
            let taken = state.total_in() - read_before;
            // A count of bytes within one buffer fits its own type.
            source.consume(usize::try_from(taken).unwrap_or(0));
            *ended = progress == Progress::StreamEnd;
            let given = usize::try_from(state.total_out() - given_before).unwrap_or(0);
            if given > 0 {
                return Ok(given);
            }
            if at_end && !*ended {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if taken == 0 && !*ended {
                return Err(io::Error::new(ErrorKind::InvalidData, "it makes no progress"));
            }
        }
    }
}

/// The first bytes, fewer only at the end.
fn read_head(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(ZLIB_HEAD_BYTES);
    source.take(ZLIB_HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// RFC 1950 §2.2: method 8, a window of at most 32 KiB, no preset dictionary, and a check value.
fn is_zlib(head: &[u8]) -> bool {
    let [method, flags] = *head else { return false };
    method & 0x0f == 8
        && method >> 4 <= 7
        && flags & 0x20 == 0
        && (u16::from(method) << 8 | u16::from(flags)).is_multiple_of(31)
}
