//! The chain that money moves on, as CAIP-2 names it.
//!
//! Owns the grammar of network names. Must not know which networks anyone can pay on. An `eip155` name that
//! is not the canonical decimal of a chain id is refused: the id is part of what is signed, so two
//! spellings of one chain must not exist.

use std::fmt;

const NAMESPACE_BYTES_MIN: usize = 3;
const NAMESPACE_BYTES_MAX: usize = 8;
const REFERENCE_BYTES_MAX: usize = 32;
/// The largest integer that every JSON reader keeps exact, 2^53 - 1; official clients refuse more.
const EVM_CHAIN_ID_MAX: u64 = (1 << 53) - 1;

/// A network such as `eip155:8453` or `solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp` (CAIP-2).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(String);

impl Network {
    /// Reads `namespace:reference`; the error is the rest of a sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Network, String> {
        let shown = || crate::error::printable(text);
        let (namespace, reference) = text
            .split_once(':')
            .ok_or_else(|| format!("is {:?}, but must be a CAIP-2 name such as eip155:8453", shown()))?;
        let namespace_fits = (NAMESPACE_BYTES_MIN..=NAMESPACE_BYTES_MAX).contains(&namespace.len())
            && namespace.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let reference_fits = (1..=REFERENCE_BYTES_MAX).contains(&reference.len())
            && reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !namespace_fits || !reference_fits {
            return Err(format!("is {:?}, but must be a CAIP-2 name such as eip155:8453", shown()));
        }
        if namespace == "eip155" && chain_id(reference).is_none() {
            return Err(format!("is {:?}, but an eip155 chain id is a decimal from 1 to 2^53 - 1", shown()));
        }
        Ok(Network(text.to_string()))
    }

    /// `eip155`, `solana`, …
    pub fn namespace(&self) -> &str {
        self.0.split_once(':').map_or("", |(namespace, _)| namespace)
    }

    /// What follows the colon.
    pub fn reference(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, reference)| reference)
    }

    /// The EIP-155 chain id, 1 to 2^53 - 1; `None` where the namespace is not `eip155`.
    pub fn evm_chain_id(&self) -> Option<u64> {
        self.0.strip_prefix("eip155:").and_then(chain_id)
    }

    /// Whether two texts name the same account or asset here. The digits of an EVM address have either case; in base58
    /// the case is part of the value.
    pub fn is_same_address(&self, one: &str, other: &str) -> bool {
        if self.namespace() == "eip155" { one.eq_ignore_ascii_case(other) } else { one == other }
    }

    /// The one spelling under which an account or asset of this network is filed.
    pub fn filed_address(&self, text: &str) -> String {
        if self.namespace() == "eip155" { text.to_ascii_lowercase() } else { text.to_string() }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn chain_id(reference: &str) -> Option<u64> {
    if reference.starts_with('0') || !reference.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    reference.parse().ok().filter(|id| *id <= EVM_CHAIN_ID_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_caip2_defines_them() {
        let base = Network::parse("eip155:8453").unwrap();
        assert_eq!((base.namespace(), base.reference(), base.evm_chain_id()), ("eip155", "8453", Some(8453)));
        let solana = Network::parse("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp").unwrap();
        assert_eq!((solana.namespace(), solana.evm_chain_id()), ("solana", None));
        assert_eq!(Network::parse("eip155:9007199254740991").unwrap().evm_chain_id(), Some(EVM_CHAIN_ID_MAX));
    }

    #[test]
    fn the_case_of_an_address_counts_where_it_is_part_of_the_value() {
        let (base, solana) = (Network::parse("eip155:8453").unwrap(), Network::parse("solana:x").unwrap());
        assert!(base.is_same_address("0xAb", "0xaB") && !solana.is_same_address("Ab", "aB"));
        assert_eq!((base.filed_address("0xAb"), solana.filed_address("Ab")), ("0xab".into(), "Ab".into()));
    }

    #[test]
    fn a_chain_has_one_spelling() {
        let refused = [
            "",
            ":",
            "base",
            "eip155",
            "eip155:",
            "ei:1",
            "EIP155:1",
            "eip155:0",
            "eip155:01",
            "eip155:+1",
            "eip155:0x1",
            "eip155: 1",
            "eip155:1:1",
            "eip155:9007199254740992",
            "eip155:99999999999999999999",
            "toolongname:1",
            "solana:a/b",
        ];
        for text in refused {
            assert!(Network::parse(text).is_err(), "{text:?} was read as a network");
        }
    }
}
