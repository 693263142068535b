//! A fixed piece of memory that is filled once, from front to back.
//!
//! Owns where the memory comes from. Small segments are ordinary allocations; large ones are mapped on their own
//! and asked to be huge pages, because touching fresh 4 KiB pages is what keeping a copy mostly costs.

use memmap2::{MmapMut, MmapOptions};

/// One huge page of the usual processors, and the size from which a segment is mapped.
pub(super) const HUGE_PAGE_BYTES: usize = 2 * 1024 * 1024;
/// On some processors one long copy runs at a tenth of its speed when source and destination lie unluckily within
/// their pages (short repeat moves, from 2112 bytes on); pieces of this size never do.
const PIECE_BYTES: usize = 2048;

pub(super) struct Segment {
    memory: Memory,
    filled: usize,
    capacity: usize,
}

enum Memory {
    Heap(Vec<u8>),
    /// Mapped with room to spare, used from `start`, which lies at a huge page's boundary.
    Mapped {
        map: MmapMut,
        start: usize,
    },
}

impl Segment {
    /// None when the system has no more memory.
    pub(super) fn new(capacity: usize) -> Option<Segment> {
        let memory = if capacity < HUGE_PAGE_BYTES { Self::heap(capacity) } else { Self::mapped(capacity) }?;
        Some(Segment { memory, filled: 0, capacity })
    }

    fn heap(capacity: usize) -> Option<Memory> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(capacity).ok()?;
        Some(Memory::Heap(bytes))
    }

    fn mapped(capacity: usize) -> Option<Memory> {
        let map = MmapOptions::new().len(capacity.checked_add(HUGE_PAGE_BYTES)?).map_anon().ok()?;
        // A system without huge pages refuses the advice, and the segment is then merely slower.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let start = map.as_ptr().align_offset(HUGE_PAGE_BYTES);
        // Only interpreters answer with an offset beyond the spare page.
        let start = if start < HUGE_PAGE_BYTES { start } else { 0 };
        Some(Memory::Mapped { map, start })
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn filled(&self) -> &[u8] {
        match &self.memory {
            Memory::Heap(bytes) => bytes,
            // Invariant: the map has `start + capacity` bytes at least, and no more than `capacity` are filled.
            Memory::Mapped { map, start } => &map[*start..*start + self.filled],
        }
    }

    /// Copies as much of `bytes` as there is room for, and says how much that was.
    pub(super) fn append(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.capacity - self.filled);
        // Invariant: `count` is at most the length of `bytes`.
        let bytes = &bytes[..count];
        match &mut self.memory {
            Memory::Heap(memory) => bytes.chunks(PIECE_BYTES).for_each(|piece| memory.extend_from_slice(piece)),
            Memory::Mapped { map, start } => {
                let from = *start + self.filled;
                // Invariant: as in `filled`, and `count` is at most what is not filled.
                copy_in_pieces(&mut map[from..from + count], bytes);
            }
        }
        self.filled += count;
        count
    }
}

/// Copies as much as both have room for, and says how much that was.
pub(super) fn copy_in_pieces(to: &mut [u8], from: &[u8]) -> usize {
    let count = to.len().min(from.len());
    // Invariant: `count` is at most the length of either.
    for (to, from) in to[..count].chunks_mut(PIECE_BYTES).zip(from[..count].chunks(PIECE_BYTES)) {
        to.copy_from_slice(from);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{HUGE_PAGE_BYTES, Segment, copy_in_pieces};

    #[test]
    fn segments_of_both_kinds_hold_what_they_are_given() {
        for capacity in [1, 5000, HUGE_PAGE_BYTES - 1, HUGE_PAGE_BYTES, HUGE_PAGE_BYTES + 4097] {
            let mut segment = Segment::new(capacity).unwrap();
            let bytes: Vec<u8> = (0..capacity + 3).map(|i| (i % 253) as u8).collect();
            let first = segment.append(&bytes[..capacity / 3]);
            assert_eq!(first, capacity / 3);
            assert_eq!(segment.append(&bytes[first..]), capacity - first);
            assert_eq!(segment.append(b"x"), 0);
            assert!(segment.filled() == &bytes[..capacity], "capacity {capacity}");
        }
    }

    #[test]
    fn a_mapped_segment_begins_at_a_huge_page() {
        let mut segment = Segment::new(HUGE_PAGE_BYTES).unwrap();
        segment.append(b"x");
        assert_eq!(segment.filled().as_ptr().align_offset(HUGE_PAGE_BYTES), 0);
    }

    #[test]
    fn copies_stop_at_the_shorter_side() {
        let from: Vec<u8> = (0..9000).map(|i| (i % 251) as u8).collect();
        let mut to = vec![0; 7000];
        assert_eq!(copy_in_pieces(&mut to, &from), 7000);
        assert!(to == from[..7000]);
        assert_eq!(copy_in_pieces(&mut to, &from[..10]), 10);
        assert_eq!(copy_in_pieces(&mut to, &[]), 0);
    }
}
