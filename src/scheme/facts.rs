//! What a scheme must know of the chain before it can sign: asked for as values, answered as values.
//!
//! Owns the names of such facts and the form in which a ledger keeps them, so that a signature made from them can be
//! made again, byte for byte, without asking a node a second time. Must not know how a node is asked. Texts rather
//! than types: a fact is read by the scheme that asked for it and by nobody else.

use crate::money::EvmAddress;
use alloy_primitives::hex;
use serde_json::Value;
use std::collections::BTreeMap;

/// One thing to be asked of a node of the offer's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// What reading a contract gives (`eth_call` at the latest block): hexadecimal digits after `0x`.
    EvmCall { to: EvmAddress, data: Vec<u8> },
    /// How many transactions an account has sent, pending ones included (`eth_getTransactionCount`): decimal.
    EvmTransactionCount(EvmAddress),
    /// What a transaction pays for gas, in wei, decimal: `maxFeePerGas maxPriorityFeePerGas`.
    EvmFees,
    /// A recent blockhash (`getLatestBlockhash`, commitment `confirmed`): base58 of 32 bytes.
    SolanaBlockhash,
    /// The latest finalized slot (`getSlot`): decimal.
    SolanaSlot,
    /// The program that owns a mint and the mint's decimals (`getAccountInfo`): `base58 decimal`.
    SolanaMint(String),
}

impl Need {
    /// The name under which its fact is kept.
    pub fn key(&self) -> String {
        match self {
            Need::EvmCall { to, data } => format!("evm_call {to} {}", hex::encode_prefixed(data)),
            Need::EvmTransactionCount(account) => format!("evm_transaction_count {account}"),
            Need::EvmFees => "evm_fees".into(),
            Need::SolanaBlockhash => "solana_blockhash".into(),
            Need::SolanaSlot => "solana_slot".into(),
            Need::SolanaMint(mint) => format!("solana_mint {mint}"),
        }
    }

    /// Whether nothing can be signed without it; else the scheme goes on as if nobody could tell.
    pub fn is_required(&self) -> bool {
        match self {
            Need::EvmCall { .. } | Need::EvmTransactionCount(_) | Need::EvmFees => false,
            Need::SolanaBlockhash | Need::SolanaSlot | Need::SolanaMint(_) => true,
        }
    }
}

/// Answers, by the key of what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<String, String>);

impl Facts {
    pub const fn none() -> Self {
        Facts(BTreeMap::new())
    }

    pub fn add(&mut self, need: &Need, answer: String) {
        self.0.insert(need.key(), answer);
    }

    pub fn get(&self, need: &Need) -> Option<&str> {
        self.0.get(&need.key()).map(String::as_str)
    }

    /// As a ledger keeps them; empty where there are none.
    pub fn to_json(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let members = self.0.iter().map(|(key, answer)| (key.clone(), Value::String(answer.clone()))).collect();
        Value::Object(members).to_string()
    }

    /// Reads what [`Facts::to_json`] wrote.
    pub fn parse(text: &str) -> Option<Facts> {
        if text.is_empty() {
            return Some(Facts::default());
        }
        serde_json::from_str(text).ok().map(Facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_kept_and_read_back() {
        let call = Need::EvmCall { to: EvmAddress::from_bytes([7; 20]), data: vec![1, 2] };
        let mut facts = Facts::default();
        assert_eq!(facts.to_json(), "");
        facts.add(&call, "0x00".into());
        facts.add(&Need::SolanaBlockhash, "\"quoted\"".into());
        let read = Facts::parse(&facts.to_json()).unwrap();
        assert_eq!(read, facts);
        assert_eq!((read.get(&call), read.get(&Need::EvmFees)), (Some("0x00"), None));
        assert_eq!(Facts::parse(""), Some(Facts::default()));
        assert_eq!(Facts::parse("[]"), None);
    }
}
