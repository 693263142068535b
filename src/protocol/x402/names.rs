//! What the short network names of x402 version 1 stand for.
//!
//! Owns the table of names, and what a caller adds to it. Official clients disagree about the chain behind three of the
//! names; a signature for the wrong chain pays nobody or the wrong chain, so those stand for nothing until the caller
//! says what they mean. A name that everybody agrees on cannot be given another meaning.

use crate::error::printable;
use crate::money::Network;
use crate::protocol::json::Json;
use crate::protocol::limits::NAME_BYTES_MAX;
use crate::protocol::wire::{self, Fault};
use serde_json::{Map, Value};

/// The member of recorded terms that holds what their names stood for.
pub(in crate::protocol) const RECORDED_MEMBER: &str = "networks";

/// What each name stands for in CAIP-2.
const KNOWN: [(&str, &str); 24] = [
    ("base", "eip155:8453"),
    ("base-sepolia", "eip155:84532"),
    ("ethereum", "eip155:1"),
    ("sepolia", "eip155:11155111"),
    ("abstract", "eip155:2741"),
    ("abstract-testnet", "eip155:11124"),
    ("avalanche-fuji", "eip155:43113"),
    ("avalanche", "eip155:43114"),
    ("iotex", "eip155:4689"),
    ("sei", "eip155:1329"),
    ("sei-testnet", "eip155:1328"),
    ("polygon", "eip155:137"),
    ("polygon-amoy", "eip155:80002"),
    ("peaq", "eip155:3338"),
    ("megaeth", "eip155:4326"),
    ("monad", "eip155:143"),
    ("monad-testnet", "eip155:10143"),
    ("stable", "eip155:988"),
    ("stable-testnet", "eip155:2201"),
    ("celo", "eip155:42220"),
    ("flare", "eip155:14"),
    ("solana", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
    ("solana-devnet", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"),
    ("solana-testnet", "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z"),
];

/// Names that official clients sign for different chains.
const DISPUTED: [(&str, [&str; 2]); 3] = [
    ("story", ["eip155:1514", "eip155:1513"]),
    ("educhain", ["eip155:41923", "eip155:656476"]),
    ("skale-base-sepolia", ["eip155:324705682", "eip155:1444673419"]),
];

/// The names that a caller gave a meaning, beside the known ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkNames(Vec<(String, Network)>);

impl NetworkNames {
    pub const NONE: NetworkNames = NetworkNames(Vec::new());

    /// Reads `name=CAIP-2` pairs separated by spaces; the error is a sentence without its full stop.
    pub fn parse(text: &str) -> Result<NetworkNames, String> {
        let mut names = NetworkNames::NONE;
        for pair in text.split_ascii_whitespace() {
            let Some((name, network)) = pair.split_once('=') else {
                return Err(format!("{:?} is no pair like story=eip155:1514", printable(pair)));
            };
            names.add(name, network)?;
        }
        Ok(names)
    }

    fn add(&mut self, name: &str, network: &str) -> Result<(), String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(fits) {
            return Err(format!("{:?} is no name: those have letters, digits, -, _ and . alone", printable(name)));
        }
        if let Some(known) = known(name) {
            return Err(format!("{name:?} stands for {known} everywhere and can be given no other meaning"));
        }
        if self.0.iter().any(|(own, _)| own == name) {
            return Err(format!("{name:?} is given twice"));
        }
        let network = Network::parse(network).map_err(|why| format!("the network of {name:?} {why}"))?;
        self.0.push((name.to_string(), network));
        Ok(())
    }

    /// What `name` stands for; the error is the rest of a sentence that begins with the field.
    pub(super) fn network_of(&self, name: &str) -> Result<Network, String> {
        if let Some(caip2) = known(name) {
            return Network::parse(caip2);
        }
        if let Some((_, network)) = self.0.iter().find(|(own, _)| own == name) {
            return Ok(network.clone());
        }
        if let Some((_, [one, other])) = DISPUTED.iter().find(|(disputed, _)| *disputed == name) {
            return Err(format!(
                "is {name:?}, which stands for {one} in some clients and for {other} in others; set v1_networks to say \
                 which you mean"
            ));
        }
        Err(format!("is {:?}, which is no network name of x402 version 1", printable(name)))
    }

    /// The meanings that [`recorded_member`] wrote beside terms.
    pub(in crate::protocol) fn recorded(terms: Json<'_>) -> Result<NetworkNames, Fault> {
        let [member] = wire::members(terms, &[RECORDED_MEMBER], "JSON")?;
        let mut names = NetworkNames::NONE;
        for (name, network) in wire::object(RECORDED_MEMBER, member)? {
            let network = network.as_str().unwrap_or_default();
            names.add(&name, network).map_err(|why| Fault::new(RECORDED_MEMBER, format!("is not readable: {why}")))?;
        }
        Ok(names)
    }
}

/// What is written beside terms of version 1, so that they mean the same whatever is configured when they are read
/// again: a JSON object of the names that mean nothing by themselves; `None` where there are none.
pub(in crate::protocol) fn recorded_member<'a>(names: impl Iterator<Item = (&'a str, &'a Network)>) -> Option<String> {
    let own = names.filter(|(name, _)| known(name).is_none());
    let own: Map<String, Value> = own.map(|(name, network)| (name.to_string(), network.as_str().into())).collect();
    (!own.is_empty()).then(|| Value::from(own).to_string())
}

fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, caip2)| *caip2)
}
