//! x402 version 1: short network names, and a payment without an echo.
//!
//! Owns the version's field names, its table of network names, and the JSON of its payment. Official clients
//! disagree about the chain behind three of the names; a signature for the wrong chain pays nobody or the
//! wrong chain, so those are refused until they agree.

use super::OfferMembers;
use crate::error::printable;
use crate::money::Network;
use crate::protocol::Version;
use crate::protocol::challenge::Offer;
use crate::protocol::json::Json;
use crate::protocol::wire::{self, Fault};
use serde_json::Value;
use std::fmt::Write;
use zeroize::Zeroizing;

pub(in crate::protocol) const CREDENTIAL_HEADER: &str = "X-PAYMENT";

/// Room for a payload and the envelope, so that the text is seldom moved while it grows.
const PAYLOAD_BYTES_TYPICAL: usize = 768;

/// What each name stands for in CAIP-2.
const NETWORKS: [(&str, &str); 24] = [
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
const AMBIGUOUS_NETWORKS: [(&str, [&str; 2]); 3] = [
    ("story", ["eip155:1514", "eip155:1513"]),
    ("educhain", ["eip155:41923", "eip155:656476"]),
    ("skale-base-sepolia", ["eip155:324705682", "eip155:1444673419"]),
];

pub(super) fn read_offer(index: usize, raw: Json<'_>, resource_url: &mut Option<String>) -> Result<Offer, Fault> {
    let [scheme, network, amount, asset, payee, timeout, extra, resource, description] = wire::members(
        raw,
        &[
            "scheme",
            "network",
            "maxAmountRequired",
            "asset",
            "payTo",
            "maxTimeoutSeconds",
            "extra",
            "resource",
            "description",
        ],
        "offer",
    )?;
    let members = OfferMembers { scheme, network, amount: ("maxAmountRequired", amount), asset, payee, timeout, extra };
    let description = wire::optional_text("description", description)?.map(|text| text.into_owned());
    let url = wire::optional_text("resource", resource)?;
    let offer = members.read((index, Version::V1, raw), description, network_of)?;
    // A challenge is about one resource; the first offer that can be read names it.
    if resource_url.is_none() {
        *resource_url = url.map(|text| text.into_owned());
    }
    Ok(offer)
}

fn network_of(name: &str) -> Result<Network, String> {
    if let Some((_, caip2)) = NETWORKS.iter().find(|(known, _)| *known == name) {
        return Network::parse(caip2);
    }
    if let Some((_, [one, other])) = AMBIGUOUS_NETWORKS.iter().find(|(known, _)| *known == name) {
        return Err(format!("is {name:?}, which stands for {one} in some clients and for {other} in others"));
    }
    Err(format!("is {:?}, which is no network name of x402 version 1", printable(name)))
}

/// `{"x402Version":1,"scheme":…,"network":…,"payload":…}`, the name of the network as the server wrote it.
pub(in crate::protocol) fn credential_json(offer: &Offer, payload: &str) -> Zeroizing<String> {
    let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_TYPICAL));
    let (scheme, network) = (Value::from(offer.scheme.as_str()), Value::from(offer.network_text.as_str()));
    // Writing to a String cannot fail.
    let _ = write!(json, r#"{{"x402Version":1,"scheme":{scheme},"network":{network},"payload":{payload}}}"#);
    json
}
