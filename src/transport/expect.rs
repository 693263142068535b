//! Which servers do not answer `Expect: 100-continue`.
//!
//! Owns the memory of origins that let the wait for `100 Continue` run out, so that the wait is paid once per
//! origin. Knows no sockets. When it is full it forgets everything: the price is one wait more per origin.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

const ORIGINS_MAX: usize = 256;

#[derive(Default)]
pub(super) struct ExpectMemory {
    ignoring: Mutex<HashSet<String>>,
}

impl ExpectMemory {
    pub(super) fn is_ignored_by(&self, origin: &str) -> bool {
        self.ignoring.lock().unwrap_or_else(PoisonError::into_inner).contains(origin)
    }

    pub(super) fn note_ignored_by(&self, origin: String) {
        let mut ignoring = self.ignoring.lock().unwrap_or_else(PoisonError::into_inner);
        if ignoring.len() >= ORIGINS_MAX {
            ignoring.clear();
        }
        ignoring.insert(origin);
    }
}
