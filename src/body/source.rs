//! Where a body's bytes come from.
//!
//! Owns the three kinds of source and what is particular to each: opening a file, trusting nothing that a
//! reader says about its buffer, wording errors. Knows nothing of passes, copies or limits. A file is opened
//! anew for each pass instead of sought back: what is sent is then what the path names at that time, and a
//! file that was replaced by one of another length is noticed before a byte of it leaves.

use crate::error::{Error, Status};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A caller's own source of bytes.
pub trait BodyReader: Send {
    /// Fills at most the whole of `buffer` and returns how much; 0 is the end. Fails with
    /// [`Status::BodyCallback`] and the caller's own value in `callback_value`.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error>;

    /// Whether [`rewind`](BodyReader::rewind) may be called. The answer must not change.
    fn can_rewind(&self) -> bool;

    /// Starts over: the next read gives byte 0, and the same bytes as before.
    fn rewind(&mut self) -> Result<(), Error>;
}

/// A request's body as the caller gives it.
#[derive(Default)]
pub enum Source {
    #[default]
    Empty,
    Bytes(Arc<[u8]>),
    /// A regular file, opened when the request is sent and for each sending of it.
    File(PathBuf),
    /// `length`: how many bytes it gives, if that is known.
    Reader {
        reader: Box<dyn BodyReader>,
        length: Option<u64>,
    },
}

/// How a source behaves when it is to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// It is in memory.
    Whole,
    /// It is read again from its beginning.
    StartsOver,
    /// It gives each byte once.
    Once,
}

/// A source in use.
pub(super) enum Input {
    Bytes(Arc<[u8]>),
    File {
        path: PathBuf,
        open: Option<File>,
        /// From the first opening after `Body::begin`.
        length: Option<u64>,
    },
    Reader {
        reader: Box<dyn BodyReader>,
        length: Option<u64>,
        /// Read from since it was new or last rewound.
        touched: bool,
    },
}

impl Input {
    pub(super) fn new(source: Source) -> Self {
        match source {
            Source::Empty => Input::Bytes(Arc::from([])),
            Source::Bytes(bytes) => Input::Bytes(bytes),
            Source::File(path) => Input::File { path, open: None, length: None },
            Source::Reader { reader, length } => Input::Reader { reader, length, touched: false },
        }
    }

    pub(super) fn style(&self) -> Style {
        match self {
            Input::Bytes(_) => Style::Whole,
            Input::File { .. } => Style::StartsOver,
            Input::Reader { reader, .. } if reader.can_rewind() => Style::StartsOver,
            Input::Reader { .. } => Style::Once,
        }
    }

    pub(super) fn length(&self) -> Result<Option<u64>, Error> {
        match self {
            Input::Bytes(bytes) => Ok(Some(bytes.len() as u64)),
            Input::File { length: Some(length), .. } => Ok(Some(*length)),
            Input::File { path, .. } => {
                let metadata = std::fs::metadata(path).map_err(|cause| file_error(path, "cannot be opened", cause))?;
                regular_length(path, &metadata).map(Some)
            }
            Input::Reader { length, .. } => Ok(*length),
        }
    }

    /// Bytes from `position` of a source that is in memory.
    pub(super) fn read_whole(&self, position: u64, buffer: &mut [u8]) -> usize {
        let Input::Bytes(bytes) = self else { return 0 };
        let rest = usize::try_from(position).ok().and_then(|start| bytes.get(start..)).unwrap_or(&[]);
        super::segment::copy_in_pieces(buffer, rest)
    }

    /// Bytes from where the source stands; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        match self {
            Input::Bytes(_) => Ok(0),
            Input::File { path, open, .. } => {
                let Some(file) = open else {
                    return Err(Error::new(Status::BodyFile, format!("the body file {} is not open", path.display())));
                };
                let count = read_file(file, buffer).map_err(|cause| file_error(path, "cannot be read", cause))?;
                if count == 0 {
                    *open = None;
                }
                Ok(count)
            }
            Input::Reader { reader, touched, .. } => {
                *touched = true;
                let count = reader.read(buffer)?;
                if count > buffer.len() {
                    let message = format!(
                        "the body's reader says that it wrote {count} bytes into a buffer of {}: it must not write more \
                         than the buffer holds",
                        buffer.len()
                    );
                    return Err(Error::new(Status::BodyCallback, message));
                }
                Ok(count)
            }
        }
    }

    /// Back to byte 0 of a source that can do so by itself.
    pub(super) fn start_over(&mut self) -> Result<(), Error> {
        match self {
            Input::Bytes(_) => Ok(()),
            Input::File { path, open, length } => {
                *open = None;
                let (file, now) = open_regular(path)?;
                let before = *length.get_or_insert(now);
                if before != now {
                    let message = format!(
                        "the body file {} had {before} bytes when it was first sent and has {now} now: it must not change \
                         while it is being sent",
                        path.display()
                    );
                    return Err(Error::new(Status::BodyFile, message));
                }
                *open = Some(file);
                Ok(())
            }
            Input::Reader { reader, touched, .. } => {
                if *touched {
                    reader.rewind()?;
                    *touched = false;
                }
                Ok(())
            }
        }
    }

    /// Forgets a file's length, so that the next opening takes it anew.
    pub(super) fn forget_length(&mut self) {
        if let Input::File { length, .. } = self {
            *length = None;
        }
    }

    /// The error of a source that started over and gave something else.
    pub(super) fn changed(&self) -> Error {
        self.error("changed between the first sending and its replay: it must give the same bytes each time")
    }

    /// The error of a source that broke the promise of its length.
    pub(super) fn length_error(&self, declared: u64, what_happened: &str) -> Error {
        match self {
            Input::File { .. } => {
                let what = format!("had {declared} bytes when it was opened and {what_happened}: it must not change");
                self.error(&what)
            }
            _ => {
                let message = format!("the body was declared with {declared} bytes and its reader {what_happened}");
                Error::new(Status::BodyLength, message)
            }
        }
    }

    /// An error that begins with the source's name.
    pub(super) fn error(&self, what: &str) -> Error {
        match self {
            Input::File { path, .. } => {
                Error::new(Status::BodyFile, format!("the body file {} {what}", path.display()))
            }
            _ => Error::new(Status::BodyCallback, format!("the body {what}")),
        }
    }
}

fn read_file(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The file and its length, both of the same file. What is not regular is refused before opening it: that could block.
pub(super) fn open_regular(path: &Path) -> Result<(File, u64), Error> {
    let metadata = std::fs::metadata(path).map_err(|cause| file_error(path, "cannot be opened", cause))?;
    regular_length(path, &metadata)?;
    let file = File::open(path).map_err(|cause| file_error(path, "cannot be opened", cause))?;
    let metadata = file.metadata().map_err(|cause| file_error(path, "cannot be read", cause))?;
    let length = regular_length(path, &metadata)?;
    Ok((file, length))
}

fn regular_length(path: &Path, metadata: &std::fs::Metadata) -> Result<u64, Error> {
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    let message = format!(
        "the body file {} is not a regular file, so it cannot be read twice: give it as a reader instead",
        path.display()
    );
    Err(Error::new(Status::BodyFile, message))
}

fn file_error(path: &Path, what: &str, cause: std::io::Error) -> Error {
    Error::new(Status::BodyFile, format!("the body file {} {what}: {cause}", path.display())).with_cause(cause)
}
