//! A transaction that a payer signs for somebody else to send (EIP-1559, type 2).
//!
//! Owns its encoding (RLP) and what it may cost. Must not know why it is sent.

use crate::error::Error;
use crate::money::EvmAddress;
use crate::wallet::EvmKey;
use alloy_primitives::{U256, keccak256};

const TYPE: u8 = 2;

/// A call of a contract without value.
pub(super) struct Call {
    pub chain_id: u64,
    /// Of the account.
    pub nonce: u64,
    pub max_priority_fee_wei: u128,
    pub max_fee_wei: u128,
    pub gas: u64,
    pub to: EvmAddress,
    pub data: Vec<u8>,
}

impl Call {
    /// The bytes that a node takes (`eth_sendRawTransaction`); `None` if the key is not held here: a signer elsewhere
    /// could not see what it signs.
    pub fn sign(&self, key: &EvmKey) -> Option<Result<Vec<u8>, Error>> {
        let signature = key.sign_transaction(&keccak256(self.encode(None)).0)?;
        Some(signature.map(|signature| self.encode(Some(&signature))))
    }

    fn encode(&self, signature: Option<&[u8; 65]>) -> Vec<u8> {
        let mut fields = vec![
            number(U256::from(self.chain_id)),
            number(U256::from(self.nonce)),
            number(U256::from(self.max_priority_fee_wei)),
            number(U256::from(self.max_fee_wei)),
            number(U256::from(self.gas)),
            string(&self.to.bytes()),
            number(U256::ZERO),
            string(&self.data),
            list(&[]),
        ];
        if let Some([r_and_s @ .., v]) = signature {
            let (r, s) = r_and_s.split_at(32);
            fields.extend([number(U256::from(v - 27)), number(U256::from_be_slice(r)), number(U256::from_be_slice(s))]);
        }
        [&[TYPE], list(&fields).as_slice()].concat()
    }
}

/// RLP of a byte string.
fn string(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [small @ 0..0x80] => vec![*small],
        _ => [header(0x80, bytes.len()).as_slice(), bytes].concat(),
    }
}

/// RLP of a number: its bytes without leading zeros.
fn number(value: U256) -> Vec<u8> {
    string(&value.to_be_bytes_trimmed_vec())
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let body = items.concat();
    [header(0xc0, body.len()).as_slice(), &body].concat()
}

/// The length of what follows: to 55 bytes in the first byte, else in bytes of its own.
fn header(kind: u8, length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(short @ 0..=55) => vec![kind + short],
        _ => {
            let bytes = U256::from(length).to_be_bytes_trimmed_vec();
            // Invariant: a length has at most 8 bytes.
            let width = u8::try_from(bytes.len()).unwrap_or_default();
            [&[kind + 55 + width], bytes.as_slice()].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::{Answer, Signer};
    use std::sync::Arc;

    #[test]
    fn a_signer_that_would_see_only_a_hash_is_not_asked() {
        let signer = Signer::new(Arc::new(|_, _, _| -> Answer { unreachable!("nobody asks") }));
        let key = EvmKey::from_signer(EvmAddress::from_bytes([7; 20]), true, signer);
        let call = Call {
            chain_id: 1,
            nonce: 0,
            max_priority_fee_wei: 1,
            max_fee_wei: 1,
            gas: 1,
            to: EvmAddress::from_bytes([1; 20]),
            data: Vec::new(),
        };
        assert!(call.sign(&key).is_none());
    }

    #[test]
    fn rlp_is_that_of_its_definition() {
        assert_eq!(string(b"dog"), [0x83, b'd', b'o', b'g']);
        assert_eq!(list(&[string(b"cat"), string(b"dog")]), *b"\xc8\x83cat\x83dog");
        assert_eq!((string(b""), list(&[])), (vec![0x80], vec![0xc0]));
        for (value, encoded) in [(0_u64, &[0x80][..]), (15, &[0x0f]), (1024, &[0x82, 4, 0]), (128, &[0x81, 128])] {
            assert_eq!(number(U256::from(value)), encoded);
        }
        assert_eq!(string(&[7; 56])[..3], [0xb8, 56, 7]);
        assert_eq!(string(&[7; 55])[..2], [0x80 + 55, 7]);
        assert_eq!(string(&[7; 1024])[..4], [0xb9, 4, 0, 7]);
        assert_eq!(list(&[string(&[7; 60])])[..3], [0xf8, 62, 0xb8]);
    }
}
