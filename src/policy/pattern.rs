//! The patterns that rules are written in: exact text, `*`, a trailing `*`, or for hosts a leading `*.`.
//!
//! Owns matching only. Every comparison ignores ASCII case, since hosts and EVM addresses do; a Solana
//! address differs from another by more than case in practice, and the signer checks it anyway.

use crate::error::{Error, Status, printable};

/// One pattern, lower-cased once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    /// `*.example.com`: any name below, not the name itself.
    Below,
    Any,
}

/// How long a pattern may be.
const PATTERN_BYTES_MAX: usize = 256;

impl Pattern {
    /// Reads a pattern; an empty one, one with a `*` elsewhere than allowed, or with white space is refused.
    pub fn parse(what: &str, text: &str) -> Result<Self, Error> {
        let fail = |why: &str| {
            let shown = printable(text);
            Error::new(Status::Pattern, format!("the {what} pattern \"{shown}\" {why}"))
        };
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            return Err(fail("must have 1 to 256 bytes"));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(fail("must not hold white space or control characters"));
        }
        let (text, kind) = match text {
            "*" => ("", Kind::Any),
            _ if text.starts_with("*.") => (&text[1..], Kind::Below),
            _ if text.ends_with('*') => (&text[..text.len() - 1], Kind::Prefix),
            _ => (text, Kind::Exact),
        };
        if text.contains('*') {
            return Err(fail("may hold `*` only alone, at the end, or at the start as `*.`"));
        }
        Ok(Pattern { text: text.to_ascii_lowercase(), kind })
    }

    pub fn matches(&self, candidate: &str) -> bool {
        let candidate = candidate.to_ascii_lowercase();
        match self.kind {
            Kind::Any => true,
            Kind::Exact => candidate == self.text,
            Kind::Prefix => candidate.starts_with(&self.text),
            Kind::Below => candidate.len() > self.text.len() && candidate.ends_with(&self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, candidate: &str) -> bool {
        Pattern::parse("host", pattern).unwrap().matches(candidate)
    }

    #[test]
    fn a_pattern_matches_exactly_by_prefix_or_below() {
        assert!(matches("api.example.com", "API.example.com"));
        assert!(!matches("api.example.com", "xapi.example.com"));
        assert!(matches("*.example.com", "a.b.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*.example.com", "evilexample.com"));
        assert!(matches("eip155:*", "eip155:8453"));
        assert!(!matches("eip155:*", "solana:x"));
        assert!(matches("*", "anything"));
    }

    #[test]
    fn a_pattern_that_says_less_than_it_seems_is_refused() {
        for bad in ["", "a*b", "**", "*a*", "a b", "a\n"] {
            let error = Pattern::parse("network", bad).unwrap_err();
            assert_eq!(error.status, Status::Pattern, "{bad:?}");
            assert!(error.message.contains("network"), "{}", error.message);
        }
    }
}
