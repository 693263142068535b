//! Typed data as EVM wallets sign it (EIP-712).
//!
//! Owns the hashing of domains and messages, and their JSON. Must not know offers, nor which messages exist. Its one
//! decision: a struct type is a table, and hash, JSON for a signer that shows it, and payload are all made from that
//! one table, so that they cannot come to differ. Only what payments need is here: addresses, whole numbers, 32 bytes,
//! and structs of these. The domains of known assets never change, so theirs are hashed once: that is more than half
//! of the hashing of a payment.

use crate::money::{EvmAddress, KnownAsset, Network, known_assets};
use alloy_primitives::{U256, hex, keccak256};
use alloy_sol_types::Eip712Domain;
use serde_json::Value as Json;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::{LazyLock, OnceLock};

/// The most members that a struct here has.
const MEMBERS_MAX: usize = 12;
const WORD_BYTES: usize = 32;

/// Which contract on which chain a signature is for. A domain without a version is of a contract that has none.
#[derive(Clone, Copy, Debug)]
pub struct Domain<'a> {
    pub name: &'a str,
    pub version: Option<&'a str>,
    pub chain_id: u64,
    pub contract: EvmAddress,
}

impl Domain<'_> {
    /// The hash of the domain (EIP-712, `domainSeparator`).
    pub fn separator(&self) -> [u8; 32] {
        let domain = Eip712Domain {
            name: Some(Cow::Owned(self.name.to_string())),
            version: self.version.map(|version| Cow::Owned(version.to_string())),
            chain_id: Some(U256::from(self.chain_id)),
            verifying_contract: Some(self.contract.to_alloy()),
            salt: None,
        };
        domain.separator().0
    }
}

/// A struct type: its name, and the type and name of each member.
pub struct Struct {
    name: &'static str,
    members: &'static [(&'static str, &'static str)],
    /// The struct types among the members, by name.
    parts: &'static [&'static Struct],
    hash: OnceLock<[u8; 32]>,
}

impl Struct {
    /// `members` are pairs of type and name, at most 12.
    pub const fn new(
        name: &'static str,
        members: &'static [(&'static str, &'static str)],
        parts: &'static [&'static Struct],
    ) -> Struct {
        assert!(members.len() <= MEMBERS_MAX);
        Struct { name, members, parts, hash: OnceLock::new() }
    }

    fn describe(&self, out: &mut String) {
        let members: Vec<_> = self.members.iter().map(|(kind, name)| format!("{kind} {name}")).collect();
        // Writing to a String cannot fail.
        let _ = write!(out, "{}({})", self.name, members.join(","));
    }

    /// EIP-712 `typeHash`; made once.
    fn type_hash(&self) -> &[u8; 32] {
        self.hash.get_or_init(|| {
            let mut text = String::new();
            self.describe(&mut text);
            self.parts.iter().for_each(|part| part.describe(&mut text));
            keccak256(text.as_bytes()).0
        })
    }

    fn to_json(&self) -> Json {
        self.members.iter().map(|(kind, name)| serde_json::json!({"name": name, "type": kind})).collect()
    }
}

/// The value of a member.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Address(EvmAddress),
    /// Any unsigned integer type.
    Number(U256),
    Bytes32([u8; 32]),
    Struct(&'a Message<'a>),
}

/// Values for the members of a struct type, in their order.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    kind: &'static Struct,
    values: &'a [Value<'a>],
}

impl<'a> Message<'a> {
    pub fn new(kind: &'static Struct, values: &'a [Value<'a>]) -> Message<'a> {
        debug_assert_eq!(kind.members.len(), values.len(), "{}", kind.name);
        Message { kind, values }
    }

    /// The hash of the message (EIP-712, `hashStruct`).
    pub fn hash(&self) -> [u8; 32] {
        let mut preimage = [0_u8; (1 + MEMBERS_MAX) * WORD_BYTES];
        let mut places = preimage.chunks_exact_mut(WORD_BYTES);
        if let Some(place) = places.next() {
            place.copy_from_slice(self.kind.type_hash());
        }
        for (place, value) in places.zip(self.values) {
            match value {
                Value::Address(address) => place.copy_from_slice(address.to_alloy().into_word().as_slice()),
                Value::Number(number) => place.copy_from_slice(&number.to_be_bytes::<32>()),
                Value::Bytes32(bytes) => place.copy_from_slice(bytes),
                Value::Struct(message) => place.copy_from_slice(&message.hash()),
            }
        }
        keccak256(&preimage[..(1 + self.values.len()) * WORD_BYTES]).0
    }

    /// `"name":value` for each member, without braces: addresses with their checksum, numbers as decimal strings, bytes
    /// as hexadecimal digits. Nothing in it needs an escape.
    pub fn write_members(&self, out: &mut String) {
        for (at, ((_, name), value)) in self.kind.members.iter().zip(self.values).enumerate() {
            let comma = if at == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(out, r#"{comma}"{name}":"#);
            let _ = match value {
                Value::Address(address) => write!(out, r#""{address}""#),
                Value::Number(number) => match u64::try_from(*number) {
                    Ok(small) => write!(out, r#""{small}""#),
                    Err(_) => write!(out, r#""{number}""#),
                },
                Value::Bytes32(bytes) => {
                    let mut digits = hex::Buffer::<32, true>::new();
                    write!(out, r#""{}""#, digits.format(bytes))
                }
                Value::Struct(message) => {
                    out.push('{');
                    message.write_members(out);
                    write!(out, "}}")
                }
            };
        }
    }

    /// The whole as wallets take it (`eth_signTypedData_v4`).
    pub fn to_json(&self, domain: &Domain<'_>) -> String {
        let version = domain.version.map(|_| ("string", "version"));
        let domain_members = [("string", "name")].into_iter().chain(version);
        let domain_members = domain_members.chain([("uint256", "chainId"), ("address", "verifyingContract")]);
        let domain_members: Json =
            domain_members.map(|(kind, name)| serde_json::json!({"name": name, "type": kind})).collect();
        let mut types = serde_json::json!({"EIP712Domain": domain_members});
        for kind in std::iter::once(&self.kind).chain(self.kind.parts) {
            types[kind.name] = kind.to_json();
        }
        let mut domain_json = serde_json::json!({"name": domain.name});
        if let Some(version) = domain.version {
            domain_json["version"] = version.into();
        }
        domain_json["chainId"] = domain.chain_id.into();
        domain_json["verifyingContract"] = domain.contract.to_string().into();
        let mut message = String::new();
        self.write_members(&mut message);
        let kind = self.kind.name;
        format!(r#"{{"types":{types},"primaryType":"{kind}","domain":{domain_json},"message":{{{message}}}}}"#)
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
    let version = Some(asset.eip712_version);
    Some(Domain { name: asset.eip712_name, version, chain_id, contract }.separator())
}

#[cfg(test)]
mod tests;
