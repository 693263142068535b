//! x402 version 2: CAIP-2 networks, and an echo of what was chosen.
//!
//! Owns the version's field names and the JSON of its payment. Servers compare the echoed offer member by
//! member, so it is copied and never rebuilt. The order of keys is that of the official TypeScript client:
//! servers do not care, and two implementations can then be compared byte for byte.

use super::OfferMembers;
use super::extensions::check_echo;
use crate::money::Network;
use crate::protocol::Version;
use crate::protocol::challenge::{Challenge, Offer};
use crate::protocol::json::Json;
use crate::protocol::limits::TEXT_BYTES_MAX;
use crate::protocol::wire::{self, Fault};
use zeroize::Zeroizing;

pub(in crate::protocol) const CREDENTIAL_HEADER: &str = "PAYMENT-SIGNATURE";

/// Room for a payload and the envelope, so that the text is seldom moved while it grows.
const PAYLOAD_BYTES_TYPICAL: usize = 768;

/// Keeps the `resource` of a challenge for the echo; returns its description.
pub(super) fn read_resource(value: Option<Json<'_>>, challenge: &mut Challenge) -> Result<Option<String>, Fault> {
    let Some(raw) = wire::present(value) else { return Ok(None) };
    check_echo("resource", raw)?;
    let [url, description] = wire::members(raw, &["url", "description"], "resource")
        .map_err(|fault| if fault.field == "resource" { fault } else { fault.inside("resource") })?;
    let url = wire::string("resource.url", wire::required("resource.url", url)?, TEXT_BYTES_MAX)?;
    let description = wire::optional_text("resource.description", description)?.map(|text| text.into_owned());
    challenge.resource_url = Some(url.into_owned());
    let echo = raw.to_raw().map_err(|why| Fault::new("resource", format!("cannot be read: {why}")))?;
    challenge.resource = Some(echo);
    Ok(description)
}

pub(super) fn read_offer(index: usize, raw: Json<'_>, description: Option<&str>) -> Result<Offer, Fault> {
    check_echo("offer", raw)?;
    let [scheme, network, amount, asset, payee, timeout, extra] =
        wire::members(raw, &["scheme", "network", "amount", "asset", "payTo", "maxTimeoutSeconds", "extra"], "offer")?;
    let members = OfferMembers { scheme, network, amount: ("amount", amount), asset, payee, timeout, extra };
    members.read((index, Version::V2, raw), description.map(str::to_string), Network::parse)
}

/// `{"x402Version":2,"payload":…,"extensions":…,"resource":…,"accepted":…}`.
pub(in crate::protocol) fn credential_json(challenge: &Challenge, offer: &Offer, payload: &str) -> Zeroizing<String> {
    let echoed = [challenge.resource.as_ref(), challenge.extensions.as_ref()];
    let echoed_bytes: usize = echoed.into_iter().flatten().map(|raw| raw.get().len()).sum();
    let echoed_bytes = echoed_bytes + offer.raw.len();
    let mut json = Zeroizing::new(String::with_capacity(PAYLOAD_BYTES_TYPICAL + echoed_bytes));
    json.push_str(r#"{"x402Version":2,"payload":"#);
    json.push_str(payload);
    if let Some(extensions) = &challenge.extensions {
        json.push_str(r#","extensions":"#);
        json.push_str(extensions.get());
    }
    if let Some(resource) = &challenge.resource {
        json.push_str(r#","resource":"#);
        json.push_str(resource.get());
    }
    json.push_str(r#","accepted":"#);
    json.push_str(&offer.raw);
    json.push('}');
    json
}
