//! The rules themselves: each looks at one offer and says yes, or no with its reason.
//!
//! Owns the order in which rules are asked and the wording of refusals. A rule is a function of the offer
//! and of who asks; budgets are not here, because they need to know what was spent.

use super::{Policy, SCHEME_CHANNEL, Subject};
use crate::error::printable;
use crate::money::{Price, Usd, known_asset};
use crate::protocol::Offer;
use std::iter;

/// Who asks to be paid: the origin whose answer was 402, and how it was reached.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Lower-case host name or address, without brackets.
    pub host: String,
    pub port: u16,
    pub https: bool,
    /// The host is this machine (or a unix socket).
    pub loopback: bool,
    /// The origin that the caller named, when redirects led to another.
    pub redirected_from: Option<String>,
    pub method: String,
    pub url: String,
}

impl Asker {
    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Policy {
    /// Every rule that needs no memory. `Err` is one sentence: the rule, its value, what was asked, the setter.
    pub fn check(&self, asker: &Asker, offer: &Offer) -> Result<(), String> {
        self.verdicts(asker, offer).find_map(|(_, verdict)| verdict.err()).map_or(Ok(()), Err)
    }

    /// What each rule says, by the name of its setter, in the order they are asked; the next one only when it is
    /// wanted.
    pub fn verdicts<'a>(
        &'a self,
        asker: &'a Asker,
        offer: &'a Offer,
    ) -> impl Iterator<Item = (&'static str, Result<(), String>)> + 'a {
        let listed = |subject: Subject| move || (subject.name(), self.check_listed(subject, offer));
        // About other schemes there is nothing to say.
        let deposits = (offer.scheme == SCHEME_CHANNEL).then_some(Subject::Deposit);
        let deposit = move |subject: Subject| (subject.name(), self.check_deposit(offer));
        iter::once_with(|| (Subject::PlainHttpHost.name(), self.check_channel(asker)))
            .chain(iter::once_with(|| (Subject::Host.name(), self.check_host(asker))))
            .chain(iter::once_with(listed(Subject::Network)))
            .chain(iter::once_with(listed(Subject::Scheme)))
            .chain(iter::once_with(listed(Subject::Payee)))
            .chain(iter::once_with(|| (Subject::Asset.name(), self.check_asset(offer))))
            .chain(iter::once_with(|| ("max_per_payment", self.check_amount(offer))))
            .chain(deposits.into_iter().map(deposit))
    }

    /// The rules about who asks, whatever the offer.
    pub fn check_asker(&self, asker: &Asker) -> Result<(), String> {
        self.check_channel(asker)?;
        self.check_host(asker)
    }

    fn patterns(&self, subject: Subject) -> impl Iterator<Item = &super::Pattern> {
        self.allowed.iter().filter(move |(of, _)| *of == subject).map(|(_, pattern)| pattern)
    }

    fn host_is_listed(&self, subject: Subject, asker: &Asker) -> bool {
        if self.patterns(subject).next().is_none() {
            return false;
        }
        let authority = asker.authority();
        self.patterns(subject).any(|pattern| pattern.matches(&asker.host) || pattern.matches(&authority))
    }

    /// A payment goes over https or stays on this machine (users lose payments to whoever rewrites cleartext).
    fn check_channel(&self, asker: &Asker) -> Result<(), String> {
        if asker.https || asker.loopback || self.host_is_listed(Subject::PlainHttpHost, asker) {
            return Ok(());
        }
        Err(format!(
            "{} asks over plain http, where anyone on the way can change the terms; use https, or allow \
             plain_http_host \"{}\"",
            asker.host, asker.host
        ))
    }

    fn check_host(&self, asker: &Asker) -> Result<(), String> {
        let listed = self.host_is_listed(Subject::Host, asker);
        if let Some(origin) = &asker.redirected_from
            && !listed
        {
            return Err(format!(
                "{} was reached by a redirect from {origin}, and only the origin that was named may ask for money; \
                 allow host \"{}\" to pay it",
                asker.authority(),
                asker.host
            ));
        }
        if listed || self.patterns(Subject::Host).next().is_none() {
            return Ok(());
        }
        Err(format!("the host {} is not among the allowed hosts; allow host \"{}\"", asker.authority(), asker.host))
    }

    fn check_listed(&self, subject: Subject, offer: &Offer) -> Result<(), String> {
        if self.patterns(subject).next().is_none() {
            return Ok(());
        }
        let texts = texts_of(subject, offer);
        if self.patterns(subject).any(|pattern| texts.iter().any(|text| pattern.matches(text))) {
            return Ok(());
        }
        let name = subject.name();
        let shown = texts.first().map(|text| printable(text)).unwrap_or_default();
        Err(format!("the {name} {shown} is not among those allowed; allow {name} \"{shown}\""))
    }

    /// Known dollar assets, unless the caller lists assets: then exactly those.
    fn check_asset(&self, offer: &Offer) -> Result<(), String> {
        if self.patterns(Subject::Asset).next().is_some() {
            return self.check_listed(Subject::Asset, offer);
        }
        if known_asset(&offer.network, &offer.asset).is_some() {
            return Ok(());
        }
        let shown = printable(&asset_text(offer));
        Err(format!("the asset {shown} is not a known dollar asset; allow asset \"{shown}\" to pay in it"))
    }

    fn check_amount(&self, offer: &Offer) -> Result<(), String> {
        for limit in &self.max_per_payment {
            if let Price::Asset { network, asset, amount } = limit
                && *network == offer.network
                && offer.network.is_same_address(asset, &offer.asset)
            {
                return if offer.amount <= *amount {
                    self.check_countable(offer)
                } else {
                    Err(format!(
                        "the offer asks {} atomic units and max_per_payment allows {amount} of this asset",
                        offer.amount
                    ))
                };
            }
        }
        let limit = self.max_per_payment.iter().find_map(|limit| match limit {
            Price::Usd(usd) => Some(usd),
            Price::Asset { .. } => None,
        });
        let (Some(asset), Some(limit)) = (known_asset(&offer.network, &offer.asset), limit) else {
            let shown = printable(&asset_text(offer));
            return Err(format!(
                "no limit is set for the asset {shown}; set max_per_payment \"<atomic units> {shown}\""
            ));
        };
        let asked = match Usd::of(asset, &offer.amount) {
            Some(usd) if usd <= *limit => return Ok(()),
            Some(usd) => format!("{usd} USD"),
            // More dollars than can be counted.
            None => format!("{} atomic units", offer.amount),
        };
        Err(format!("the offer asks {asked} and max_per_payment allows {limit} USD a payment"))
    }

    /// A deposit is more than a price, and what is left of it comes back by the payee's leave or after a delay.
    fn check_deposit(&self, offer: &Offer) -> Result<(), String> {
        if self.deposit_max(offer).is_some() {
            return Ok(());
        }
        let shown = printable(&asset_text(offer));
        Err(format!(
            "{SCHEME_CHANNEL} deposits money in a channel for later payments too, and no deposit is allowed in {shown}; \
             allow deposit \"<the most at once>\""
        ))
    }

    /// An asset without a dollar value needs a budget in its own units: no other budget would count it.
    fn check_countable(&self, offer: &Offer) -> Result<(), String> {
        let known = known_asset(&offer.network, &offer.asset).is_some();
        if known || self.budgets.iter().any(|budget| budget.limit.is_in(&offer.network, &offer.asset)) {
            return Ok(());
        }
        let shown = printable(&asset_text(offer));
        Err(format!("no budget counts the asset {shown}; set a budget of \"<atomic units> {shown}\""))
    }
}

/// What the patterns of a subject are held against; any one of them may match.
pub(super) fn texts_of(subject: Subject, offer: &Offer) -> Vec<String> {
    match subject {
        Subject::Network => vec![offer.network.to_string()],
        Subject::Scheme => vec![offer.scheme.clone()],
        Subject::Payee => vec![offer.payee.clone()],
        Subject::Asset => {
            let symbol = known_asset(&offer.network, &offer.asset).map(|asset| asset.symbol.to_string());
            std::iter::once(asset_text(offer)).chain(symbol).collect()
        }
        Subject::Host | Subject::PlainHttpHost | Subject::Approval | Subject::Receipt | Subject::Deposit => Vec::new(),
    }
}

/// CAIP-19: the network, the namespace of its fungible assets, the address.
pub fn asset_text(offer: &Offer) -> String {
    let namespace = if offer.network.namespace() == "eip155" { "erc20" } else { "token" };
    format!("{}/{namespace}:{}", offer.network, offer.asset)
}
