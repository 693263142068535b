//! A few results that cost more to make than to find again, kept by each thread for itself.
//!
//! Owns the order in which they are forgotten: who came first goes first. Must not know what is kept; only results that can
//! never change may be, and nothing that is secret. Its one decision: nothing moves when it is found, because the same few
//! are asked for in turn, and what was used last would be moved each time.

use std::cell::RefCell;
use std::thread::LocalKey;

/// At most `MAX` pairs.
pub(crate) struct Remembered<K, V, const MAX: usize> {
    pairs: Vec<(K, V)>,
    /// Where the next one goes when all places are taken.
    oldest: usize,
}

impl<K, V: Copy, const MAX: usize> Remembered<K, V, MAX> {
    pub const fn new() -> Self {
        Remembered { pairs: Vec::new(), oldest: 0 }
    }

    /// As [`Remembered::find`] of what this thread keeps. One that is ending knows nothing any more.
    pub fn recall(kept: &'static LocalKey<RefCell<Self>>, is: impl Fn(&K) -> bool) -> Option<V> {
        kept.try_with(|kept| kept.borrow().find(is)).ok().flatten()
    }

    /// Gives `value` back, for this thread to recall.
    pub fn remember(kept: &'static LocalKey<RefCell<Self>>, key: K, value: V) -> V {
        // A thread that is ending has nowhere to keep it.
        let _ = kept.try_with(|kept| kept.borrow_mut().keep(key, value));
        value
    }

    /// The value whose key `is` says yes to, if it is known.
    fn find(&self, is: impl Fn(&K) -> bool) -> Option<V> {
        self.pairs.iter().find(|(key, _)| is(key)).map(|(_, value)| *value)
    }

    fn keep(&mut self, key: K, value: V) {
        if self.pairs.len() < MAX {
            self.pairs.push((key, value));
        } else if let Some(place) = self.pairs.get_mut(self.oldest) {
            *place = (key, value);
            self.oldest = (self.oldest + 1) % MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known_and_the_first_are_forgotten() {
        let mut kept: Remembered<u32, u32, 4> = Remembered::new();
        for key in 0..11 {
            assert_eq!(kept.find(|known| *known == key), None);
            kept.keep(key, key * 10);
            for known in 0..=key {
                let expected = (known + 4 > key).then_some(known * 10);
                assert_eq!(kept.find(|at| *at == known), expected, "{known} after {key}");
            }
        }
    }
}
