//! The proof that a replay begins with the bytes of the sending before.
//!
//! Owns what was seen of a source that starts over: how long, and a hash. Knows no source. The comparison
//! happens at the furthest byte ever seen, before that byte is handed out, so that a replay that differs can
//! never complete; beyond it the longer pass becomes the one that later ones are measured by.

use super::hash64::Hash64;

#[derive(Default)]
pub(super) struct PrefixCheck {
    /// The furthest that any pass came.
    seen: Hash64,
    /// The source ended where `seen` does.
    seen_end: bool,
    /// The pass that runs, until it comes as far as `seen`; none once it leads.
    following: Option<Hash64>,
}

impl PrefixCheck {
    /// A new pass begins.
    pub(super) fn restart(&mut self) {
        let anything = self.seen.length() > 0 || self.seen_end;
        self.following = anything.then(Hash64::default);
    }

    /// Takes in the next bytes of the pass and whether the source ends with them. False: this is not what an
    /// earlier pass gave, and these bytes must not be used.
    pub(super) fn admit(&mut self, bytes: &[u8], ends: bool) -> bool {
        let mut new = bytes;
        if let Some(pass) = &mut self.following {
            let to_compare = self.seen.length() - pass.length();
            let (known, beyond) = bytes.split_at(bytes.len().min(usize::try_from(to_compare).unwrap_or(usize::MAX)));
            pass.write(known);
            if pass.length() < self.seen.length() {
                return !ends;
            }
            if pass.value() != self.seen.value() || (self.seen_end && !beyond.is_empty()) {
                return false;
            }
            self.following = None;
            new = beyond;
        }
        if self.seen_end && !new.is_empty() {
            return false;
        }
        self.seen.write(new);
        self.seen_end |= ends;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::PrefixCheck;

    #[test]
    fn equal_passes_of_any_length_are_admitted() {
        let mut check = PrefixCheck::default();
        assert!(check.admit(b"abcde", false));
        check.restart();
        assert!(check.admit(b"abc", false));
        check.restart();
        assert!(check.admit(b"ab", false) && check.admit(b"cdefg", false) && check.admit(b"", true));
        check.restart();
        assert!(check.admit(b"abcdefg", true));
    }

    #[test]
    fn a_difference_is_found_at_the_furthest_byte_seen() {
        let mut check = PrefixCheck::default();
        assert!(check.admit(b"abcde", false));
        check.restart();
        assert!(check.admit(b"xbcd", false));
        assert!(!check.admit(b"e", false));
    }

    #[test]
    fn another_length_is_a_difference() {
        let mut check = PrefixCheck::default();
        assert!(check.admit(b"abc", true));
        check.restart();
        assert!(!check.admit(b"ab", true), "shorter");
        check.restart();
        assert!(!check.admit(b"abcd", false), "longer, in one piece");
        check.restart();
        assert!(check.admit(b"abc", false));
        assert!(!check.admit(b"d", false), "longer, in two pieces");
    }

    #[test]
    fn an_empty_body_must_stay_empty() {
        let mut check = PrefixCheck::default();
        assert!(check.admit(b"", true));
        check.restart();
        assert!(!check.admit(b"a", false));
    }
}
