//! The memory that a connection sends from and receives into.
//!
//! Owns three areas: what came in and was not yet consumed, what goes out, and a place for the request body
//! before it is cut into chunks. Knows no sockets. Two decisions. The request's head can be *held*: the next
//! output is then placed right behind it and both go out in one packet. And the areas begin at different
//! offsets within a page, because on common processors a copy of some KiB is ten times slower when its
//! destination lies a few bytes behind its source modulo the page.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use ureq::unversioned::transport::Buffers;

/// One receive call's worth; also one send call's worth of a body.
pub(super) const TRANSFER_BYTES: usize = 128 * 1024;
/// How far the input may grow: a head at its limit, or an early answer while the body still goes out.
pub(super) const INPUT_BYTES_MAX: usize = 1024 * 1024;
/// A chunked body's framing: per 10 KiB of it, eight bytes.
const CHUNK_FRAMING_BYTES: usize = 256;
const PAGE_BYTES: usize = 4096;
const INPUT_PAGE_OFFSET: usize = 2048;
const OUTPUT_PAGE_OFFSET: usize = 1024;
const SCRATCH_PAGE_OFFSET: usize = 3072;

#[derive(Default)]
pub(super) struct ConnectionBuffers {
    pub(super) input: Input,
    pub(super) output: Output,
    scratch: Area,
}

/// Received and not yet consumed.
#[derive(Default)]
pub(super) struct Input {
    area: Area,
    consumed: usize,
    filled: usize,
    /// Whether the last look at the input took something from it, or new input came since.
    progress: bool,
    /// How much there is, for those who have not the input itself.
    len: Arc<AtomicUsize>,
}

/// To be sent.
#[derive(Default)]
pub(super) struct Output {
    area: Area,
    held: usize,
}

/// Memory whose first usable byte lies at a chosen offset within a page.
#[derive(Default)]
struct Area {
    bytes: Vec<u8>,
    start: usize,
}

impl Area {
    fn with_capacity(capacity: usize, page_offset: usize) -> Area {
        let bytes = vec![0; capacity + PAGE_BYTES];
        let start = (page_offset + PAGE_BYTES - bytes.as_ptr().addr() % PAGE_BYTES) % PAGE_BYTES;
        Area { bytes, start }
    }

    fn capacity(&self) -> usize {
        self.bytes.len().saturating_sub(PAGE_BYTES)
    }

    fn get(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(self.start + from..self.start + to).unwrap_or_default()
    }

    fn get_mut(&mut self, from: usize, to: usize) -> &mut [u8] {
        self.bytes.get_mut(self.start + from..self.start + to).unwrap_or_default()
    }
}

impl Output {
    /// Makes room for a head of about `head_bytes` and pieces of a body of at most `piece_bytes`.
    pub(super) fn prepare(&mut self, head_bytes: usize, piece_bytes: usize) {
        let wanted = head_bytes + piece_bytes + CHUNK_FRAMING_BYTES;
        if self.area.capacity() < wanted {
            self.area = Area::with_capacity(wanted, OUTPUT_PAGE_OFFSET);
        }
        self.held = 0;
    }

    /// Keeps the first `amount` bytes; what is written next goes behind them.
    pub(super) fn hold(&mut self, amount: usize) {
        self.held = amount;
    }

    /// What was held and `amount` bytes more. Nothing is held afterwards.
    pub(super) fn take(&mut self, amount: usize) -> &[u8] {
        let end = std::mem::take(&mut self.held) + amount;
        self.area.get(0, end)
    }

    /// Whether `amount` bytes of output end with the blank line that ends a head.
    pub(super) fn ends_head(&self, amount: usize) -> bool {
        self.area.get(0, amount).ends_with(b"\r\n\r\n")
    }

    /// Puts `line` before the blank line that ends the head of `amount` bytes; the head's new length.
    pub(super) fn insert_header(&mut self, amount: usize, line: &[u8]) -> Option<usize> {
        const BLANK_LINE: &[u8] = b"\r\n";
        let at = amount.checked_sub(BLANK_LINE.len())?;
        let end = amount + line.len();
        if end > self.area.capacity() || self.area.get(at, amount) != BLANK_LINE {
            return None;
        }
        let (header, blank) = self.area.get_mut(at, end).split_at_mut_checked(line.len())?;
        header.copy_from_slice(line);
        blank.copy_from_slice(BLANK_LINE);
        Some(end)
    }

    fn free(&mut self) -> &mut [u8] {
        let capacity = self.area.capacity();
        self.area.get_mut(self.held, capacity)
    }
}

impl Input {
    pub(super) fn unconsumed(&self) -> &[u8] {
        self.area.get(self.consumed, self.filled)
    }

    pub(super) fn len(&self) -> usize {
        self.filled - self.consumed
    }

    /// Tells [`Input::len`] from elsewhere, for as long as the connection is the caller's.
    pub(super) fn len_from_elsewhere(&self) -> Arc<AtomicUsize> {
        self.len.clone()
    }

    fn tell_len(&self) {
        self.len.store(self.len(), Ordering::Release);
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= INPUT_BYTES_MAX
    }

    /// Room for more; empty only when the input is full.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.consumed == self.filled {
            (self.consumed, self.filled) = (0, 0);
        }
        if self.filled == self.area.capacity() {
            self.make_room();
        }
        let capacity = self.area.capacity();
        self.area.get_mut(self.filled, capacity)
    }

    fn make_room(&mut self) {
        let unconsumed = self.len();
        if self.consumed > 0 {
            let from = self.area.start + self.consumed;
            // Invariant: consumed <= filled <= capacity, so the range lies within the area.
            self.area.bytes.copy_within(from..from + unconsumed, self.area.start);
        } else if self.area.capacity() < INPUT_BYTES_MAX {
            let capacity = (self.area.capacity() * 2).max(TRANSFER_BYTES);
            let mut larger = Area::with_capacity(capacity, INPUT_PAGE_OFFSET);
            larger.get_mut(0, unconsumed).copy_from_slice(self.area.get(0, unconsumed));
            self.area = larger;
        }
        (self.consumed, self.filled) = (0, unconsumed);
    }

    pub(super) fn appended(&mut self, amount: usize) {
        self.filled = (self.filled + amount).min(self.area.capacity());
        self.progress |= amount > 0;
        self.tell_len();
    }

    /// Drops bytes that nobody needs to see.
    pub(super) fn skip(&mut self, amount: usize) {
        self.consumed = (self.consumed + amount).min(self.filled);
        self.tell_len();
    }
}

impl Buffers for ConnectionBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.output.free()
    }

    fn input(&self) -> &[u8] {
        self.input.unconsumed()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.input.room()
    }

    fn input_appended(&mut self, amount: usize) {
        self.input.appended(amount);
    }

    fn input_consume(&mut self, amount: usize) {
        self.input.skip(amount);
        self.input.progress = amount > 0;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        if self.scratch.capacity() < TRANSFER_BYTES {
            self.scratch = Area::with_capacity(TRANSFER_BYTES, SCRATCH_PAGE_OFFSET);
        }
        (self.scratch.get_mut(0, TRANSFER_BYTES), self.output.free())
    }

    fn can_use_input(&self) -> bool {
        self.input.len() > 0 && self.input.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_head_and_the_next_output_are_sent_as_one() {
        let mut buffers = ConnectionBuffers::default();
        buffers.output.prepare(64, 64);
        buffers.output()[..8].copy_from_slice(b"head\r\n\r\n");
        buffers.output.hold(8);
        buffers.output()[..4].copy_from_slice(b"body");
        assert_eq!(buffers.output.take(4), b"head\r\n\r\nbody");
        buffers.output()[..3].copy_from_slice(b"odd");
        assert_eq!(buffers.output.take(3), b"odd");
    }

    #[test]
    fn a_header_goes_before_the_blank_line() {
        let mut buffers = ConnectionBuffers::default();
        buffers.output.prepare(64, 0);
        buffers.output()[..10].copy_from_slice(b"a: b\r\n\r\nzz");
        let length = buffers.output.insert_header(8, b"c: d\r\n").unwrap();
        assert_eq!(buffers.output.take(length), b"a: b\r\nc: d\r\n\r\n");
        assert_eq!(buffers.output.insert_header(9, b"c: d\r\n"), None);
        assert_eq!(buffers.output.insert_header(1, b"c: d\r\n"), None);
    }

    #[test]
    fn input_survives_growth_and_compaction() {
        let mut buffers = ConnectionBuffers::default();
        let mut expected = Vec::new();
        let mut next = 0_u8;
        for round in 0..40 {
            let room = buffers.input_append_buf();
            for slot in room.iter_mut() {
                *slot = next;
                expected.push(next);
                next = next.wrapping_add(1);
            }
            let length = room.len();
            buffers.input_appended(length);
            assert_eq!(buffers.input(), expected, "{round}");
            if buffers.input.is_full() {
                assert!(buffers.input_append_buf().is_empty());
                let taken = buffers.input.len() / 3;
                buffers.input_consume(taken);
                expected.drain(..taken);
            }
        }
        assert!(expected.len() <= INPUT_BYTES_MAX);
    }
}
