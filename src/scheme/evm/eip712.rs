//! Typed data as EVM wallets sign it (EIP-712).
//!
//! Owns the hashing of domains and of the messages this library signs. Must not know offers. The domains of
//! known assets never change, so theirs are hashed once: that is more than half of the hashing of a payment.

use crate::money::{Amount, EvmAddress, KnownAsset, Network, known_assets};
use alloy_primitives::{B256, U256, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct, sol};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::LazyLock;

mod typed {
    super::sol! {
        /// EIP-3009.
        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }
    }
}

const DOMAIN_FIELDS: [(&str, &str); 4] =
    [("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address")];

const TRANSFER_FIELDS: [(&str, &str); 6] = [
    ("from", "address"),
    ("to", "address"),
    ("value", "uint256"),
    ("validAfter", "uint256"),
    ("validBefore", "uint256"),
    ("nonce", "bytes32"),
];

/// Which contract on which chain a signature is for.
#[derive(Clone, Copy, Debug)]
pub struct Domain<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub chain_id: u64,
    pub contract: EvmAddress,
}

/// One EIP-3009 transfer. Times are seconds since 1970; the transfer is valid strictly between them.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    pub from: EvmAddress,
    pub to: EvmAddress,
    pub value: Amount,
    pub valid_after_s: u64,
    pub valid_before_s: u64,
    pub nonce: [u8; 32],
}

impl Domain<'_> {
    /// The hash of the domain (EIP-712, `domainSeparator`).
    pub fn separator(&self) -> [u8; 32] {
        let domain = Eip712Domain {
            name: Some(Cow::Owned(self.name.to_string())),
            version: Some(Cow::Owned(self.version.to_string())),
            chain_id: Some(U256::from(self.chain_id)),
            verifying_contract: Some(self.contract.to_alloy()),
            salt: None,
        };
        domain.separator().0
    }
}

impl Transfer {
    /// The hash of the message (EIP-712, `hashStruct`).
    pub fn struct_hash(&self) -> [u8; 32] {
        static TYPE_HASH: LazyLock<B256> =
            LazyLock::new(|| keccak256(typed::TransferWithAuthorization::eip712_encode_type().as_bytes()));
        let message = typed::TransferWithAuthorization {
            from: self.from.to_alloy(),
            to: self.to.to_alloy(),
            value: self.value.to_u256(),
            validAfter: U256::from(self.valid_after_s),
            validBefore: U256::from(self.valid_before_s),
            nonce: B256::new(self.nonce),
        };
        // The type's hash is the same for every message; the trait would make it anew each time.
        let mut preimage = [0_u8; 7 * 32];
        let (type_hash, members) = preimage.split_at_mut(32);
        type_hash.copy_from_slice(TYPE_HASH.as_slice());
        let words = [
            message.from.into_word(),
            message.to.into_word(),
            message.value.into(),
            message.validAfter.into(),
            message.validBefore.into(),
            message.nonce,
        ];
        for (place, word) in members.chunks_exact_mut(32).zip(words) {
            place.copy_from_slice(word.as_slice());
        }
        keccak256(preimage).0
    }

    /// The message as signers elsewhere take it (`eth_signTypedData_v4`): it has the hash of [`digest`].
    pub fn typed_data_json(&self, domain: &Domain<'_>) -> String {
        let field = |(name, kind): (&str, &str)| json!({ "name": name, "type": kind });
        let fields = |fields: &[(&str, &str)]| fields.iter().copied().map(field).collect::<Value>();
        json!({
            "types": {
                "EIP712Domain": fields(&DOMAIN_FIELDS),
                "TransferWithAuthorization": fields(&TRANSFER_FIELDS),
            },
            "primaryType": "TransferWithAuthorization",
            "domain": {
                "name": domain.name, "version": domain.version, "chainId": domain.chain_id,
                "verifyingContract": domain.contract.to_string(),
            },
            "message": {
                "from": self.from.to_string(), "to": self.to.to_string(), "value": self.value.to_string(),
                "validAfter": self.valid_after_s.to_string(), "validBefore": self.valid_before_s.to_string(),
                "nonce": B256::new(self.nonce).to_string(),
            },
        })
        .to_string()
    }
}

/// What is signed: the message bound to its domain.
pub fn digest(separator: &[u8; 32], struct_hash: &[u8; 32]) -> [u8; 32] {
    let mut preimage = [0_u8; 66];
    let (prefix, hashes) = preimage.split_at_mut(2);
    prefix.copy_from_slice(&[0x19, 0x01]);
    let (first, second) = hashes.split_at_mut(32);
    first.copy_from_slice(separator);
    second.copy_from_slice(struct_hash);
    keccak256(preimage).0
}

/// The separator of a row of the asset table.
pub fn known_separator(asset: &'static KnownAsset) -> Option<[u8; 32]> {
    static SEPARATORS: LazyLock<Vec<Option<[u8; 32]>>> =
        LazyLock::new(|| known_assets().iter().map(separator_of).collect());
    let row = known_assets().iter().position(|known| std::ptr::eq(known, asset))?;
    SEPARATORS.get(row).copied().flatten()
}

fn separator_of(asset: &KnownAsset) -> Option<[u8; 32]> {
    let chain_id = Network::parse(asset.network).ok()?.evm_chain_id()?;
    let contract = EvmAddress::parse(asset.address).ok()?;
    Some(Domain { name: asset.eip712_name, version: asset.eip712_version, chain_id, contract }.separator())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_dyn_abi::TypedData;

    /// Pseudo-random bytes from a fixed seed (xorshift64*), the same in every run.
    struct Bytes(u64);

    impl Bytes {
        fn take<const N: usize>(&mut self) -> [u8; N] {
            std::array::from_fn(|_| {
                self.0 ^= self.0 >> 12;
                self.0 ^= self.0 << 25;
                self.0 ^= self.0 >> 27;
                (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
            })
        }
    }

    /// The same message hashed by an implementation that builds the type from JSON at run time.
    fn oracle(domain: &Domain, transfer: &Transfer) -> ([u8; 32], [u8; 32], [u8; 32]) {
        let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
        let typed: TypedData = serde_json::from_value(json!({
            "types": {
                "EIP712Domain": [
                    field("name", "string"), field("version", "string"),
                    field("chainId", "uint256"), field("verifyingContract", "address"),
                ],
                "TransferWithAuthorization": [
                    field("from", "address"), field("to", "address"), field("value", "uint256"),
                    field("validAfter", "uint256"), field("validBefore", "uint256"), field("nonce", "bytes32"),
                ],
            },
            "primaryType": "TransferWithAuthorization",
            "domain": {
                "name": domain.name, "version": domain.version, "chainId": domain.chain_id,
                "verifyingContract": domain.contract.to_string(),
            },
            "message": {
                "from": transfer.from.to_string(), "to": transfer.to.to_string(),
                "value": transfer.value.to_string(), "validAfter": transfer.valid_after_s.to_string(),
                "validBefore": transfer.valid_before_s.to_string(),
                "nonce": B256::new(transfer.nonce).to_string(),
            },
        }))
        .unwrap();
        let separator = typed.domain.separator().0;
        (separator, typed.hash_struct().unwrap().0, typed.eip712_signing_hash().unwrap().0)
    }

    #[test]
    fn hashes_equal_those_of_another_implementation() {
        let names =
            ["USD Coin", "USDC", "USD₮0", "x", "a \"quoted\"\nname", "", "long name of a token, longer than 32"];
        let mut bytes = Bytes(0x1402_1402_1402_1402);
        for round in 0..200 {
            let value = Amount::parse(&U256::from_be_bytes(bytes.take::<32>()).to_string()).unwrap();
            let domain = Domain {
                name: names[round % names.len()],
                version: ["1", "2", "2.0"][round % 3],
                chain_id: u64::from_be_bytes(bytes.take()) >> 11,
                contract: EvmAddress::from_bytes(bytes.take()),
            };
            let transfer = Transfer {
                from: EvmAddress::from_bytes(bytes.take()),
                to: EvmAddress::from_bytes(bytes.take()),
                value: if round % 10 == 0 { Amount::ZERO } else { value },
                valid_after_s: u64::from_be_bytes(bytes.take()) >> (round % 64),
                valid_before_s: u64::from_be_bytes(bytes.take()) >> (round % 64),
                nonce: bytes.take(),
            };
            let (separator, struct_hash) = (domain.separator(), transfer.struct_hash());
            let ours = (separator, struct_hash, digest(&separator, &struct_hash));
            assert_eq!(ours, oracle(&domain, &transfer), "round {round}: {domain:?} {transfer:?}");
            let shown: TypedData = serde_json::from_str(&transfer.typed_data_json(&domain)).unwrap();
            assert_eq!(shown.eip712_signing_hash().unwrap().0, ours.2, "what a signer is shown is what is signed");
        }
    }

    #[test]
    fn the_kept_separators_are_those_of_their_rows() {
        for asset in known_assets() {
            assert_eq!(known_separator(asset), separator_of(asset));
            assert_eq!(known_separator(asset).is_some(), asset.network.starts_with("eip155:"));
        }
    }
}
