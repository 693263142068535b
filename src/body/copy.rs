//! What is kept of a body that cannot start over.
//!
//! Owns the copy: segments in memory first, then a file, then nothing. Knows no source. When the limits are
//! passed, or the disk is full, the copy is given up and the reading goes on: whether a body without a copy may
//! still be sent is for the caller to decide, who may never need it.

use super::ReplayLimits;
use super::segment::{Segment, copy_in_pieces};
use super::spool::Spool;
use crate::error::Error;
use std::collections::VecDeque;

const FIRST_SEGMENT_BYTES: u64 = 64 * 1024;
const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Each segment is this many times the one before: few segments, and never much more than is needed.
const SEGMENT_GROWTH: u64 = 4;

pub(super) struct ReplayCopy {
    limits: ReplayLimits,
    segments: VecDeque<Segment>,
    next_segment_bytes: u64,
    /// Capacity of all segments.
    memory: u64,
    spool: Option<Spool>,
    /// Bytes appended.
    length: u64,
    /// Bytes at the front that are no longer here.
    freed: u64,
    /// Where the next read begins within the segments; beyond the last one it is in the spool.
    read_segment: usize,
    read_offset: usize,
    keeping: Keeping,
}

enum Keeping {
    Yes,
    /// Never asked to.
    NotAsked,
    /// The last replay: nothing is added, and what was read is freed.
    LastReplay,
    /// Given up for this reason.
    Lost(String),
}

impl Default for ReplayCopy {
    fn default() -> Self {
        ReplayCopy {
            limits: ReplayLimits::default(),
            segments: VecDeque::new(),
            next_segment_bytes: FIRST_SEGMENT_BYTES,
            memory: 0,
            spool: None,
            length: 0,
            freed: 0,
            read_segment: 0,
            read_offset: 0,
            keeping: Keeping::NotAsked,
        }
    }
}

impl ReplayCopy {
    /// An empty copy for a body of `length` bytes, if that is known. A file that will be needed is made now.
    pub(super) fn new(limits: &ReplayLimits, keep: bool, length: Option<u64>) -> Result<Self, Error> {
        let mut copy = ReplayCopy { limits: limits.clone(), ..ReplayCopy::default() };
        if !keep {
            return Ok(copy);
        }
        copy.keeping = Keeping::Yes;
        match length {
            Some(length) if length > limits.total_bytes() => copy.give_up(copy.outgrown()),
            Some(length) if length > limits.memory_bytes => copy.spool = Some(copy.new_spool()?),
            _ => {}
        }
        if let Some(length) = length {
            copy.next_segment_bytes = length.clamp(1, SEGMENT_BYTES_MAX);
        }
        Ok(copy)
    }

    /// Keeps `bytes`, or gives up. Fails only when the first byte that belongs on disk finds no directory for it.
    pub(super) fn append(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        if !matches!(self.keeping, Keeping::Yes) {
            return Ok(());
        }
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.spool.as_ref().is_some_and(|spool| spool.written() > 0) || !self.make_room() {
                return self.append_to_spool(bytes);
            }
            let count = self.segments.back_mut().map_or(0, |segment| segment.append(bytes));
            bytes = bytes.get(count..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// Makes sure that the last segment has room; false when the memory is used up.
    fn make_room(&mut self) -> bool {
        if self.segments.back().is_some_and(|last| last.filled().len() < last.capacity()) {
            return true;
        }
        let left = self.limits.memory_bytes.saturating_sub(self.memory);
        let wanted = self.next_segment_bytes.min(left);
        let Some(segment) = usize::try_from(wanted).ok().filter(|wanted| *wanted > 0).and_then(Segment::new) else {
            return false;
        };
        self.segments.push_back(segment);
        self.memory += wanted;
        self.next_segment_bytes = (self.next_segment_bytes.saturating_mul(SEGMENT_GROWTH)).min(SEGMENT_BYTES_MAX);
        true
    }

    fn append_to_spool(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.disk_bytes();
        if written + bytes.len() as u64 > self.limits.usable_disk_bytes() {
            self.give_up(self.outgrown());
            return Ok(());
        }
        let mut spool = match self.spool.take() {
            Some(spool) => spool,
            None => self.new_spool()?,
        };
        match spool.append(bytes) {
            Ok(()) => self.spool = Some(spool),
            Err(cause) => self.give_up(format!(
                "its copy could not be written to disk after {written} bytes ({cause}; see replay_dir and replay_disk)"
            )),
        }
        Ok(())
    }

    fn new_spool(&self) -> Result<Spool, Error> {
        Spool::create(self.limits.directory.as_deref())
    }

    fn outgrown(&self) -> String {
        let limits = self.limits.described();
        format!(
            "its reader cannot rewind and it is larger than may be kept: {limits}; raise that, or give one that can"
        )
    }

    fn give_up(&mut self, reason: String) {
        self.segments = VecDeque::new();
        self.spool = None;
        self.memory = 0;
        self.keeping = Keeping::Lost(reason);
    }

    /// Back to the first byte. What is read next is kept again, as it was before a last replay was announced.
    pub(super) fn rewind(&mut self) {
        if matches!(self.keeping, Keeping::LastReplay) {
            self.keeping = Keeping::Yes;
        }
        (self.read_segment, self.read_offset) = (0, 0);
        if let Some(spool) = &mut self.spool {
            spool.rewind();
        }
    }

    /// From now on nothing is added, and a segment is freed when it has been read, as the file is.
    pub(super) fn give_up_as_read(&mut self) {
        if matches!(self.keeping, Keeping::Yes) {
            self.keeping = Keeping::LastReplay;
        }
    }

    /// The next bytes; 0 only at the end of what was kept.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        while let Some(segment) = self.segments.get(self.read_segment) {
            let rest = segment.filled().get(self.read_offset..).unwrap_or(&[]);
            let count = copy_in_pieces(buffer, rest);
            self.read_offset += count;
            if count == rest.len() {
                self.leave_segment();
            }
            if count > 0 {
                return Ok(count);
            }
        }
        let Some(spool) = &mut self.spool else { return Ok(0) };
        let count = spool.read(buffer)?;
        if spool.is_read() && matches!(self.keeping, Keeping::LastReplay) {
            self.freed += spool.written();
            self.spool = None;
        }
        Ok(count)
    }

    fn leave_segment(&mut self) {
        self.read_offset = 0;
        if !matches!(self.keeping, Keeping::LastReplay) {
            self.read_segment += 1;
        } else if let Some(segment) = self.segments.pop_front() {
            self.memory -= segment.capacity() as u64;
            self.freed += segment.filled().len() as u64;
        }
    }

    /// Whether the first `count` bytes of the body are here, or why not.
    pub(super) fn holds_first(&self, count: u64) -> Result<(), String> {
        if count == 0 || (self.length == count && self.freed == 0 && !matches!(self.keeping, Keeping::Lost(_))) {
            return Ok(());
        }
        Err(match &self.keeping {
            Keeping::Lost(reason) => reason.clone(),
            Keeping::LastReplay => "its copy was given up during the last sending".to_string(),
            Keeping::Yes | Keeping::NotAsked => "its reader cannot rewind and no copy was kept".to_string(),
        })
    }

    /// Whether a body of this length stays within the limits.
    pub(super) fn will_hold(&self, length: Option<u64>) -> bool {
        matches!(self.keeping, Keeping::Yes) && length.is_some_and(|length| length <= self.limits.total_bytes())
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::written)
    }
}

#[cfg(test)]
mod tests {
    use super::{Keeping, ReplayCopy, ReplayLimits, Spool};

    fn limits(memory_bytes: u64, disk_bytes: u64) -> ReplayLimits {
        ReplayLimits { memory_bytes, disk_bytes, ..ReplayLimits::default() }
    }

    #[test]
    fn segments_are_few_and_grow() {
        let mut copy = ReplayCopy::new(&limits(16 << 20, 0), true, None).unwrap();
        let piece = vec![7; 100_000];
        for _ in 0..150 {
            copy.append(&piece).unwrap();
        }
        assert!(copy.segments.len() <= 7, "{} segments", copy.segments.len());
        assert_eq!(copy.segments.front().unwrap().capacity(), 64 * 1024);
        assert!(copy.memory_bytes() <= 16 << 20);
        assert_eq!(copy.holds_first(15_000_000), Ok(()));
    }

    #[test]
    fn a_known_length_needs_one_segment() {
        let mut copy = ReplayCopy::new(&limits(8 << 20, 0), true, Some(300_000)).unwrap();
        for _ in 0..3 {
            copy.append(&[1; 100_000]).unwrap();
        }
        assert_eq!((copy.segments.len(), copy.memory_bytes()), (1, 300_000));
    }

    /// A full disk costs the copy, not the sending.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_the_keeping_with_its_reason() {
        let mut copy = ReplayCopy::new(&limits(10, 1000), true, None).unwrap();
        copy.spool = Some(Spool::over(std::fs::File::options().write(true).open("/dev/full").unwrap()));
        copy.append(&[1; 10]).unwrap();
        assert_eq!(copy.holds_first(10), Ok(()));
        copy.append(&[1; 10]).unwrap();
        let reason = copy.holds_first(20).unwrap_err();
        assert!(reason.contains("No space left") && reason.contains("replay_dir"), "{reason}");
        assert_eq!((copy.memory_bytes(), copy.disk_bytes()), (0, 0), "a lost copy occupies nothing");
        assert!(matches!(copy.keeping, Keeping::Lost(_)));
        copy.append(&[1; 10]).unwrap();
    }
}
