//! Pages of memory that only keys live in.
//!
//! Owns the pages: their bytes are left out of core dumps, come back as zeroes in a forked child, stay out of swap
//! where the system allows it, and have an unreadable page on each side. One page serves many keys, because a system
//! locks memory by the page and allows few of them. A page is never given back: a slot that was freed is used again.
//!
//! What the system refuses (an old kernel, a low RLIMIT_MEMLOCK) is done without: a key in plain memory pays as well.

use crate::error::{Error, Status};
use std::any::Any;
use std::io;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) const SLOT_BYTES: usize = 32;

/// One bit a slot in a `u128`; systems with larger pages leave the rest of them unused.
const SLOTS: usize = 128;
const PAGE_BYTES_USED: usize = SLOTS * SLOT_BYTES;

struct Page {
    start: NonNull<u8>,
    /// Bit n: slot n is lent.
    lent: u128,
}

// SAFETY: the page is mapped for ever and `start` is only used to compute slots, each lent to one owner at a time.
unsafe impl Send for Page {}

static PAGES: Mutex<Vec<Page>> = Mutex::new(Vec::new());

fn pages() -> MutexGuard<'static, Vec<Page>> {
    // A slot is marked in one step, so a page that met a defect is as good as before.
    PAGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps other threads out of the list of pages until it is dropped.
pub fn hold_pages() -> Box<dyn Any> {
    Box::new(pages())
}

/// 32 bytes of such a page, zero at first and zeroed again on drop.
pub(super) struct Slot {
    start: NonNull<[u8; SLOT_BYTES]>,
    page: usize,
    index: usize,
}

// SAFETY: a slot is lent to one owner, and its bytes are plain memory without ties to a thread.
unsafe impl Send for Slot {}
// SAFETY: shared access only reads; writing takes `&mut`.
unsafe impl Sync for Slot {}

impl Slot {
    pub fn new() -> Result<Slot, Error> {
        let mut pages = pages();
        let free = pages.iter().position(|page| page.lent != u128::MAX);
        let page = match free {
            Some(page) => page,
            None => {
                pages.push(Page { start: map()?, lent: 0 });
                pages.len() - 1
            }
        };
        // Invariant: `page` was just found or pushed.
        let found = &mut pages[page];
        let index = found.lent.trailing_ones() as usize;
        found.lent |= 1 << index;
        // SAFETY: a page that is not full has a free slot below SLOTS, which lies inside the mapping.
        let start = unsafe { found.start.add(index * SLOT_BYTES) }.cast();
        Ok(Slot { start, page, index })
    }

    pub fn bytes(&self) -> &[u8; SLOT_BYTES] {
        // SAFETY: mapped for ever, initialised (the system gives zeroes), and written only through `&mut self`.
        unsafe { self.start.as_ref() }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8; SLOT_BYTES] {
        // SAFETY: as above, and this owner is the only one.
        unsafe { self.start.as_mut() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.bytes_mut());
        if let Some(page) = pages().get_mut(self.page) {
            page.lent &= !(1 << self.index);
        }
    }
}

/// A new page with a guard on each side.
fn map() -> Result<NonNull<u8>, Error> {
    // SAFETY: no pointers.
    let system = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE_BYTES_USED);
    let page = system.max(PAGE_BYTES_USED);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address of the system's choice touches nothing that exists.
    let outer = unsafe { libc::mmap(std::ptr::null_mut(), 3 * page, libc::PROT_NONE, flags, -1, 0) };
    if outer == libc::MAP_FAILED {
        return Err(refused());
    }
    // SAFETY: the middle third of the mapping just made.
    let start = unsafe { outer.byte_add(page) };
    // SAFETY: as above; nothing else knows this memory yet. The last three calls are best effort.
    let writable = unsafe {
        let writable = libc::mprotect(start, page, libc::PROT_READ | libc::PROT_WRITE);
        libc::madvise(start, page, libc::MADV_DONTDUMP);
        libc::madvise(start, page, libc::MADV_WIPEONFORK);
        libc::mlock(start, page);
        writable
    };
    match NonNull::new(start.cast()) {
        Some(start) if writable == 0 => Ok(start),
        _ => Err(refused()),
    }
}

fn refused() -> Error {
    let cause = io::Error::last_os_error();
    Error::new(Status::System, format!("the system gave no memory for a key: {cause}")).with_cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::fs;

    /// The flags that the system reports for the mapping that holds `address`.
    fn flags_at(address: usize) -> HashSet<String> {
        let map = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in map.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let bound = |text: &str| usize::from_str_radix(text, 16).ok();
            if let Some((Some(start), Some(end))) = range.map(|(start, end)| (bound(start), bound(end))) {
                inside = (start..end).contains(&address);
            }
            if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
                return flags.split_whitespace().map(str::to_string).collect();
            }
        }
        panic!("no mapping holds {address:x}");
    }

    #[test]
    fn the_page_is_out_of_dumps_and_of_children_and_guarded() {
        let slot = Slot::new().unwrap();
        let start = pages()[slot.page].start.as_ptr().addr();
        let flags = flags_at(slot.start.as_ptr().addr());
        assert!(flags.contains("dd") && flags.contains("wf"), "{flags:?}");
        for guard in [start - 1, start + PAGE_BYTES_USED] {
            let flags = flags_at(guard);
            assert!(!flags.contains("rd") && !flags.contains("wr"), "{flags:?}");
        }
    }

    #[test]
    fn slots_do_not_overlap_and_come_back_wiped() {
        let mut slots: Vec<Slot> = (0..2 * SLOTS + 3).map(|_| Slot::new().unwrap()).collect();
        let starts: HashSet<usize> = slots.iter().map(|slot| slot.start.as_ptr().addr()).collect();
        assert_eq!(starts.len(), slots.len());
        for (value, slot) in slots.iter_mut().enumerate() {
            assert_eq!(*slot.bytes(), [0; SLOT_BYTES], "a slot begins empty");
            *slot.bytes_mut() = [value as u8; SLOT_BYTES];
        }
        for (value, slot) in slots.iter().enumerate() {
            assert_eq!(*slot.bytes(), [value as u8; SLOT_BYTES]);
        }
        let kept = pages().len();
        drop(slots);
        let again: Vec<Slot> = (0..2 * SLOTS + 3).map(|_| Slot::new().unwrap()).collect();
        assert!(again.iter().all(|slot| *slot.bytes() == [0; SLOT_BYTES]));
        assert!(pages().len() <= kept + 1, "slots are used again");
    }
}
