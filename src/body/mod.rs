//! A request's body: read once, and once more if the server asks for money first.
//!
//! Owns the passes over a body: what is pulled from its source, what is kept for a replay, what a declared
//! length promises, and the proof that a replay begins with the bytes of the first sending. Knows nothing of
//! HTTP, connections or payments. A source that can start over is started over and never copied; one that
//! cannot is copied as it is read, so that a replay costs nothing until bytes have really left, and the rest
//! of it is then pulled from the source as if there had been no interruption.

use crate::error::{Error, Status};
use std::io::{self, Read};
use std::path::PathBuf;

mod copy;
pub mod digest;
mod hash64;
mod prefix;
mod segment;
mod source;
mod spool;

use copy::ReplayCopy;
use prefix::PrefixCheck;
pub use source::{BodyReader, Source};
use source::{Input, Style};

/// Default of [`ReplayLimits::memory_bytes`].
pub const REPLAY_MEMORY_BYTES: u64 = 8 * 1024 * 1024;
/// Default of [`ReplayLimits::disk_bytes`].
pub const REPLAY_DISK_BYTES: u64 = 1024 * 1024 * 1024;
/// Room for what a source gives after its declared end; more than one byte, for readers that dislike tiny buffers.
const PAST_END_BYTES: usize = 512;

/// How much of a body that cannot start over may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayLimits {
    /// Bytes kept in memory.
    pub memory_bytes: u64,
    /// Bytes kept in an unlinked temporary file once the memory is full.
    pub disk_bytes: u64,
    /// No payment is possible: only a redirect could ask for the body again, which is worth the memory and no disk.
    pub without_wallet: bool,
    /// Where that file lies; unset: the system's directory for temporary files. No environment variable is read.
    pub directory: Option<PathBuf>,
}

impl Default for ReplayLimits {
    fn default() -> Self {
        let (memory_bytes, disk_bytes) = (REPLAY_MEMORY_BYTES, REPLAY_DISK_BYTES);
        ReplayLimits { memory_bytes, disk_bytes, without_wallet: false, directory: None }
    }
}

impl ReplayLimits {
    fn total_bytes(&self) -> u64 {
        self.memory_bytes.saturating_add(self.usable_disk_bytes())
    }

    fn usable_disk_bytes(&self) -> u64 {
        if self.without_wallet { 0 } else { self.disk_bytes }
    }

    fn described(&self) -> String {
        if self.without_wallet {
            let memory_bytes = self.memory_bytes;
            return format!("replay_memory ({memory_bytes} bytes; replay_disk is for clients with a wallet alone)");
        }
        format!("replay_memory ({} bytes) and replay_disk ({} bytes)", self.memory_bytes, self.disk_bytes)
    }
}

/// Whether a body can be sent from its first byte again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Now, and for as long as the limits known by now hold.
    Yes,
    /// Now, because nothing was pulled yet; perhaps not any more once something was.
    IfUnread,
    /// No, for this reason (a clause that follows "because").
    No(String),
}

/// A body and where its current pass stands.
pub struct Body {
    input: Input,
    limits: ReplayLimits,
    /// Bytes handed out in this pass.
    position: u64,
    /// Bytes taken from the source: for a reader that cannot rewind ever, for others since `begin`.
    pulled: u64,
    /// The source has said that it ends where it now stands.
    ended: bool,
    /// An error was handed out and the source's place is not known any more.
    failed: bool,
    /// What was kept, for a source that cannot start over.
    copy: ReplayCopy,
    /// What was seen, for a source that starts over.
    prefix: PrefixCheck,
}

impl Body {
    pub fn new(source: Source) -> Self {
        Body {
            input: Input::new(source),
            limits: ReplayLimits::default(),
            position: 0,
            pulled: 0,
            ended: false,
            failed: false,
            copy: ReplayCopy::default(),
            prefix: PrefixCheck::default(),
        }
    }

    /// The number of bytes a pass gives; unknown for a reader that was declared without one. A file's is that of
    /// the last [`begin`](Body::begin), or of now; [`Status::BodyFile`] if it cannot be had.
    pub fn length(&self) -> Result<Option<u64>, Error> {
        self.input.length()
    }

    /// Whether the body is known to have no bytes.
    pub fn is_empty(&self) -> bool {
        matches!(self.length(), Ok(Some(0)))
    }

    /// Whether its digest costs the reading of a file.
    pub fn is_file(&self) -> bool {
        matches!(self.input, Input::File { .. })
    }

    /// What this body is known by, if it is in memory or in a file. Independent of the current pass. A file is read whole:
    /// `go_on` is asked every now and then, and its error ends the reading.
    pub fn digest(&self, go_on: &mut dyn FnMut() -> Result<(), Error>) -> Result<Option<[u8; 32]>, Error> {
        match &self.input {
            Input::Bytes(bytes) => Ok(Some(digest::of_bytes(bytes))),
            Input::File { path, .. } => digest::of_file(path, go_on).map(Some),
            Input::Reader { .. } => Ok(None),
        }
    }

    /// Bytes taken from the source: by a reader that cannot rewind since it was given, by others in all passes
    /// since [`begin`](Body::begin). Bytes in memory are never taken from anywhere.
    pub fn pulled(&self) -> u64 {
        self.pulled
    }

    /// Bytes handed out in this pass.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Starts a purchase: goes to byte 0, and with `keep` makes sure that what is read from now on can be replayed
    /// as far as `limits` allow. A file is opened and its length taken.
    ///
    /// A reader that was read before and neither rewinds nor was kept is refused with [`Status::BodyCallback`]; a
    /// directory in which the copy cannot be written is [`Status::System`] here already when the declared length
    /// says that it will be needed.
    pub fn begin(&mut self, limits: &ReplayLimits, keep: bool) -> Result<(), Error> {
        self.limits = limits.clone();
        match self.input.style() {
            Style::Whole => {}
            Style::StartsOver => {
                self.input.forget_length();
                self.start_over()?;
                self.prefix = PrefixCheck::default();
                self.pulled = 0;
            }
            Style::Once if self.pulled == 0 && !self.failed => {
                self.copy = ReplayCopy::new(limits, keep, self.input.length()?)?;
            }
            Style::Once => self.copy_is_whole().map_err(|reason| {
                let message = format!(
                    "the body's reader was used up by an earlier sending and cannot be sent again because {reason}: \
                     give the request a new body, or a reader that can rewind"
                );
                Error::new(Status::BodyCallback, message)
            })?,
        }
        self.copy.rewind();
        self.position = 0;
        Ok(())
    }

    /// Goes back to byte 0 for another sending: what was kept comes first, then the rest of the source.
    ///
    /// [`Status::ReplayLimit`] when [`can_replay`](Body::can_replay) says no; [`Status::BodyFile`] when the file is
    /// gone or has another length; a reader's own error when its rewinding fails.
    pub fn rewind(&mut self) -> Result<(), Error> {
        match self.input.style() {
            Style::Whole => {}
            Style::StartsOver => {
                self.start_over()?;
                self.prefix.restart();
            }
            Style::Once => self.copy_is_whole().map_err(|reason| {
                let message = format!("the body cannot be sent again because {reason}");
                Error::new(Status::ReplayLimit, message)
            })?,
        }
        self.copy.rewind();
        self.position = 0;
        Ok(())
    }

    /// [`rewind`](Body::rewind) for the last sending: nothing more is kept, and what was kept is given back to the
    /// system piece by piece as it is read. The body can be rewound again only until its first piece is gone.
    pub fn rewind_final(&mut self) -> Result<(), Error> {
        self.rewind()?;
        self.copy.give_up_as_read();
        Ok(())
    }

    /// Whether [`rewind`](Body::rewind) would succeed now.
    pub fn can_replay(&self) -> Replay {
        if self.input.style() != Style::Once {
            return Replay::Yes;
        }
        match self.copy_is_whole() {
            Err(reason) => Replay::No(reason),
            Ok(()) if self.pulled > 0 || self.copy.will_hold(self.input.length().ok().flatten()) => Replay::Yes,
            Ok(()) => Replay::IfUnread,
        }
    }

    /// The refusal for a body that is known to be larger than `limits` let a copy be: [`Status::ReplayLimit`].
    /// None for a source that can start over, and for a reader that declared no length.
    pub fn replay_would_exceed(&self, limits: &ReplayLimits) -> Option<Error> {
        let length = self.input.length().ok().flatten()?;
        if self.input.style() != Style::Once || length <= limits.total_bytes() {
            return None;
        }
        let message = format!(
            "the body has {length} bytes, its reader cannot rewind, and only {} may be kept for sending it again after \
             payment: raise one of them, or give a reader that can rewind",
            limits.described()
        );
        Some(Error::new(Status::ReplayLimit, message))
    }

    /// Bytes of memory that the copy occupies now.
    pub fn memory_bytes(&self) -> u64 {
        self.copy.memory_bytes()
    }

    /// Bytes of disk that the copy occupies now.
    pub fn disk_bytes(&self) -> u64 {
        self.copy.disk_bytes()
    }

    fn start_over(&mut self) -> Result<(), Error> {
        // Until it has started over its place is not known, so a failure leaves a body that gives nothing.
        self.failed = true;
        self.input.start_over()?;
        (self.ended, self.failed) = (false, false);
        Ok(())
    }

    /// For a source that cannot start over: whether everything pulled from it is still here.
    fn copy_is_whole(&self) -> Result<(), String> {
        if self.failed {
            return Err("its reader failed in the middle".to_string());
        }
        self.copy.holds_first(self.pulled)
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(self.input.error("failed earlier in this sending: rewind it, or give the request a new one"));
        }
        let count = match self.input.style() {
            Style::Whole => self.input.read_whole(self.position, buffer),
            Style::Once if self.position < self.pulled => self.read_copy(buffer)?,
            _ => self.pull(buffer).inspect_err(|_| self.failed = true)?,
        };
        self.position += count as u64;
        Ok(count)
    }

    fn read_copy(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        match self.copy.read(buffer)? {
            // Never to be taken for the body's end: that would send a part of it as if it were whole.
            0 => Err(Error::new(Status::System, "the replay copy of the body is shorter than what was sent before")),
            count => Ok(count),
        }
    }

    /// Takes bytes from the source. Nothing is handed out before all that can be known about it has been checked, so
    /// that a body which turns out wrong never completes on the wire.
    fn pull(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if self.ended {
            return Ok(0);
        }
        let left = self.input.length()?.map(|length| length.saturating_sub(self.position));
        let room = left.map_or(buffer.len(), |left| usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len()));
        // Invariant: `room` is at most the buffer's length, and a source that claims to have given more is refused.
        let buffer = &mut buffer[..room];
        let count = if room > 0 { self.input.read(buffer)? } else { 0 };
        let taken = &buffer[..count];
        self.pulled += count as u64;
        match left {
            Some(left) if count as u64 == left => self.check_nothing_follows()?,
            Some(left) if count == 0 => return Err(self.ended_early(left)),
            _ => {}
        }
        self.ended = count == 0 || left == Some(count as u64);
        match self.input.style() {
            Style::Once => self.copy.append(taken)?,
            Style::StartsOver if !self.prefix.admit(taken, self.ended) => return Err(self.input.changed()),
            _ => {}
        }
        Ok(count)
    }

    /// With a declared length the source is asked once more, and its last bytes are held back until it has said
    /// that there are no others: cutting them off silently would lose them.
    fn check_nothing_follows(&mut self) -> Result<(), Error> {
        let mut past_end = [0; PAST_END_BYTES];
        let extra = self.input.read(&mut past_end)? as u64;
        if extra == 0 {
            return Ok(());
        }
        let declared = self.input.length()?.unwrap_or(0);
        Err(self.input.length_error(declared, &format!("gave at least {}", declared + extra)))
    }

    fn ended_early(&self, left: u64) -> Error {
        let declared = self.position + left;
        self.input.length_error(declared, &format!("ended after {}", self.position))
    }
}

impl Read for Body {
    /// The next bytes of this pass; 0 at its end. An error carries an [`Error`] that [`Error::from_io`] takes out:
    /// [`Status::BodyCallback`], [`Status::BodyLength`], [`Status::BodyFile`] or [`Status::System`].
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(Error::into_io)
    }
}
