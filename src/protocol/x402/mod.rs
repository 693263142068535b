//! The x402 wire formats, versions 1 and 2.
//!
//! Owns what both versions share: the envelope of a challenge and the order in which its faults are found.
//! Each version's file owns its own field names. Must not know chains beyond their names.

pub(super) mod extensions;
pub(super) mod names;
pub(super) mod v1;
pub(super) mod v2;

use super::Version;
use super::challenge::{Challenge, MalformedOffer, Offer};
use super::json::Json;
use super::limits::{MAX_TIMEOUT_S_MAX, OFFERS_MAX};
use super::wire::{self, Fault};
use crate::error::printable;
use crate::money::{Amount, Network};
use names::NetworkNames;

/// Whether a JSON object means to be a challenge: other servers answer 402 with JSON of their own.
pub(super) fn is_challenge(json: Json<'_>) -> Result<bool, Fault> {
    let [version, accepts] = wire::members(json, &["x402Version", "accepts"], "JSON")?;
    Ok(version.is_some() || accepts.is_some())
}

/// Reads a whole challenge of either version; `names` is for version 1.
pub(super) fn read_challenge(json: Json<'_>, names: &NetworkNames) -> Result<Challenge, Fault> {
    let [version, accepts, error, resource, extensions] =
        wire::members(json, &["x402Version", "accepts", "error", "resource", "extensions"], "JSON")?;
    let version = read_version(wire::required("x402Version", version)?)?;
    let error = wire::optional_text("error", error)?.map(|text| text.into_owned());
    let entries = wire::elements("accepts", wire::required("accepts", accepts)?, OFFERS_MAX)?;
    let mut challenge = Challenge {
        version,
        offers: Vec::with_capacity(entries.len()),
        malformed: Vec::new(),
        error,
        resource: None,
        resource_url: None,
        extensions: None,
    };
    let description = match version {
        Version::V1 => None,
        Version::V2 => {
            challenge.extensions = extensions::read(extensions)?;
            v2::read_resource(resource, &mut challenge)?
        }
    };
    for (index, raw) in entries.into_iter().enumerate() {
        let read = match version {
            Version::V1 => v1::read_offer(index, raw, &mut challenge.resource_url, names),
            Version::V2 => v2::read_offer(index, raw, description.as_deref()),
        };
        match read {
            Ok(offer) => challenge.offers.push(offer),
            Err(fault) => challenge.malformed.push(malformed_offer(index, raw, fault)),
        }
    }
    Ok(challenge)
}

/// 1 or 2. A fraction of zeros is the same number, and both official clients read it so.
fn read_version(raw: Json<'_>) -> Result<Version, Fault> {
    let text = raw.text();
    let integer = match text.split_once('.') {
        Some((integer, zeros)) if zeros.bytes().all(|byte| byte == b'0') => integer,
        _ => text,
    };
    match integer {
        "1" => Ok(Version::V1),
        "2" => Ok(Version::V2),
        _ if wire::kind_of(text) == "a number" => {
            Err(Fault::new("x402Version", format!("is {}, but only 1 and 2 are spoken here", printable(text))))
        }
        _ => Err(Fault::new("x402Version", format!("is {}, but must be the number 1 or 2", wire::kind_of(text)))),
    }
}

/// The members that every offer has, before the version's own names for some of them are forgotten.
struct OfferMembers<'a> {
    scheme: Option<Json<'a>>,
    network: Option<Json<'a>>,
    amount: (&'static str, Option<Json<'a>>),
    asset: Option<Json<'a>>,
    payee: Option<Json<'a>>,
    timeout: Option<Json<'a>>,
    extra: Option<Json<'a>>,
}

impl OfferMembers<'_> {
    fn read(
        self,
        (index, version, raw): (usize, Version, Json<'_>),
        description: Option<String>,
        network_of: impl FnOnce(&str) -> Result<Network, String>,
    ) -> Result<Offer, Fault> {
        let scheme = wire::name("scheme", self.scheme)?.into_owned();
        let network_text = wire::name("network", self.network)?.into_owned();
        let network = network_of(&network_text).map_err(|why| Fault::new("network", why))?;
        let (amount_field, amount) = self.amount;
        let digits = wire::string(amount_field, wire::required(amount_field, amount)?, super::limits::NAME_BYTES_MAX)?;
        let amount = Amount::parse(&digits).map_err(|why| Fault::new(amount_field, why))?;
        let asset = wire::name("asset", self.asset)?.into_owned();
        let payee = wire::name("payTo", self.payee)?.into_owned();
        let timeout = wire::required("maxTimeoutSeconds", self.timeout)?;
        let max_timeout_s = wire::positive_integer("maxTimeoutSeconds", timeout, MAX_TIMEOUT_S_MAX)?;
        let extra = wire::object("extra", self.extra)?;
        let raw = raw.text().into();
        Ok(Offer {
            index,
            version,
            scheme,
            network,
            network_text,
            amount,
            asset,
            payee,
            max_timeout_s,
            extra,
            description,
            raw,
        })
    }
}

fn malformed_offer(index: usize, raw: Json<'_>, fault: Fault) -> MalformedOffer {
    // Only for people to recognise the offer by: where even these cannot be read, they stay empty.
    let [scheme, network] = wire::members(raw, &["scheme", "network"], "offer").unwrap_or([None, None]);
    let shown = |value| wire::name("", value).map_or(String::new(), |text| printable(&text));
    MalformedOffer { index, field: fault.field, reason: fault.reason, scheme: shown(scheme), network: shown(network) }
}
