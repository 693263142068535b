//! A few results that cost more to make than to find again.
//!
//! Owns the order in which they are forgotten: who was not asked for longest goes first. Must not know what is kept;
//! only results that can never change may be, and nothing that is secret.

/// At most `MAX` pairs, the one used last at the end.
pub(super) struct Remembered<K, V, const MAX: usize>(Vec<(K, V)>);

impl<K, V: Copy, const MAX: usize> Remembered<K, V, MAX> {
    pub const fn new() -> Self {
        Remembered(Vec::new())
    }

    /// The value whose key `is` says yes to, if it is known.
    pub fn find(&mut self, is: impl Fn(&K) -> bool) -> Option<V> {
        let position = self.0.iter().rposition(|(key, _)| is(key))?;
        let found = self.0.remove(position);
        let value = found.1;
        self.0.push(found);
        Some(value)
    }

    pub fn keep(&mut self, key: K, value: V) {
        if self.0.len() == MAX {
            self.0.remove(0);
        }
        self.0.push((key, value));
    }
}
