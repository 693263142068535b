//! x402 version 1: short network names, and a payment without an echo.
//!
//! Owns the version's field names and the JSON of its payment, which says the network as the server wrote it. What its
//! names stand for is another file's.

use super::OfferMembers;
use super::names::NetworkNames;
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

pub(super) fn read_offer(
    index: usize,
    raw: Json<'_>,
    resource_url: &mut Option<String>,
    names: &NetworkNames,
) -> Result<Offer, Fault> {
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
    let offer = members.read((index, Version::V1, raw), description, |name| names.network_of(name))?;
    // A challenge is about one resource; the first offer that can be read names it.
    if resource_url.is_none() {
        *resource_url = url.map(|text| text.into_owned());
    }
    Ok(offer)
}

/// `{"x402Version":1,"scheme":…,"network":…,"payload":…}`, the name of the network as the server wrote it.
pub(in crate::protocol) fn credential_json(offer: &Offer, payload: &str) -> Zeroizing<String> {
    let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_TYPICAL));
    let (scheme, network) = (Value::from(offer.scheme.as_str()), Value::from(offer.network_text.as_str()));
    // Writing to a String cannot fail.
    let _ = write!(json, r#"{{"x402Version":1,"scheme":{scheme},"network":{network},"payload":{payload}}}"#);
    json
}
