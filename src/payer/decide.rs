//! From a challenge to the one offer that will be paid, or to the reasons why none is.
//!
//! Owns the way of a decision: can the wallet sign it, do the rules allow it, does it fit the budgets, in the
//! caller's order; then the caller's own word. Every offer that is passed over leaves its reason.

use super::channel::{Prospect, prospect};
use super::{Identity, Lapsed, Means, Payment, Quoted};
use crate::error::{Error, Money, Retry, Status, printable};
use crate::ledger::{Denied, Intent, Recipe, Stood};
use crate::money::{Draw, Usd, known_asset};
use crate::policy::Asker;
use crate::protocol::{Challenge, ChallengeError, MalformedOffer, Offer};
use crate::scheme::attested::{self, Verdict};
use crate::scheme::{self, Facts, Payable};
use serde_json::{Value, json};
use std::sync::Arc;

/// Why one offer was not paid.
#[derive(Clone, Debug)]
pub struct Refusal {
    index: usize,
    scheme: String,
    network: String,
    reason: String,
}

impl Refusal {
    pub(super) fn of_offer(offer: &Offer, reason: String) -> Self {
        let (scheme, network) = (printable(&offer.scheme), printable(offer.network.as_str()));
        Refusal { index: offer.index, scheme, network, reason }
    }

    pub(super) fn of_malformed(offer: &MalformedOffer) -> Self {
        let (scheme, network) = (printable(&offer.scheme), printable(&offer.network));
        let reason = format!("malformed: {offer}");
        Refusal { index: offer.index, scheme, network, reason }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"offer": self.index, "scheme": self.scheme, "network": self.network, "reason": self.reason})
    }

    fn to_line(&self) -> String {
        format!("offer {} ({} on {}): {}", self.index, self.scheme, self.network, self.reason)
    }
}

/// Nothing is paid, and why.
#[derive(Clone, Debug)]
pub struct Declined {
    refusals: Vec<Refusal>,
    /// The offer that came nearest to being paid.
    nearest: Option<Box<Offer>>,
    /// What is wrong with the challenge as a whole.
    whole: Option<String>,
    money: Money,
    /// The ledger failed, which ends the call.
    failed: Option<String>,
    /// What was signed for this purchase before.
    stood: Option<Stood>,
}

impl Declined {
    pub(super) fn new(refusals: Vec<Refusal>) -> Self {
        Declined { refusals, nearest: None, whole: None, money: Money::Refused, failed: None, stood: None }
    }

    pub(super) fn and(mut self, refusal: Refusal) -> Self {
        self.refusals.push(refusal);
        self.refusals.sort_by_key(|refusal| refusal.index);
        self
    }

    /// A 402 without terms that could be read. Without any terms nobody asked for a payment of this kind.
    pub fn unreadable(error: &ChallengeError) -> Self {
        let money = if matches!(error, ChallengeError::Absent) { Money::None } else { Money::Refused };
        Declined { whole: Some(error.to_string()), money, ..Declined::new(Vec::new()) }
    }

    /// Declined for a reason that lies with the call and not with an offer.
    pub fn because(reason: impl Into<String>) -> Self {
        Declined { whole: Some(reason.into()), ..Declined::new(Vec::new()) }
    }

    /// Nothing is signed now, and what was signed for this purchase before may settle yet.
    pub(super) fn at_risk(signed: &Offer, draw: Option<&Draw>, entry: u64, reason: String) -> Self {
        let amount = draw.map_or(signed.amount, Draw::at_risk);
        let usd = known_asset(&signed.network, &signed.asset).and_then(|asset| Usd::of(asset, &amount));
        let stood = Stood { reason, entry, at_risk: Some((amount, usd)), is_paid: false };
        Declined { nearest: Some(Box::new(signed.clone())), ..Declined::stands(stood) }
    }

    /// As [`Declined::at_risk`], where only the ledger's word for that signature is at hand.
    pub(super) fn stands(stood: Stood) -> Self {
        let money = if stood.is_paid { Money::Refused } else { Money::Unknown };
        let reason = stood.reason.clone();
        Declined { money, stood: Some(stood), ..Declined::because(reason) }
    }

    /// A signature of this purchase was settled, although its answer never came.
    pub(super) fn settled(entry: u64) -> Self {
        let reason = format!(
            "this purchase was paid already (entry {entry}): evm_rpc says that its authorization was used, although no \
             answer came; ask the seller for what was paid for, or buy again under another purchase_key"
        );
        Declined::stands(Stood { reason, entry, at_risk: None, is_paid: true })
    }

    /// The ledger failed: nothing may be signed without it.
    pub(super) fn failed(error: Error) -> Self {
        Declined { failed: Some(error.message.clone()), ..Declined::because(error.message) }
    }

    /// The error that ends the call, where the ledger failed.
    pub fn failure(&self) -> Option<Error> {
        let failed = self.failed.as_ref()?;
        Some(Error::new(Status::Ledger, failed.clone()).with_money(Money::Refused, Retry::Safe))
    }

    pub fn payment(&self) -> Payment {
        let lines = self.whole.iter().cloned().chain(self.refusals.iter().map(Refusal::to_line));
        let text = lines.collect::<Vec<_>>().join("\n");
        let payment = Payment::declined(self.nearest.as_deref(), &self.refusals, text, self.money);
        match &self.stood {
            None => payment,
            Some(stood) => payment.ended(self.money, Retry::Never).beside(stood),
        }
    }
}

/// One offer on its way through the decision.
struct Candidate {
    /// Where it stands in `challenge.offers`.
    at: usize,
    payable: Payable,
    /// Where it would be paid by a channel.
    prospect: Option<Prospect>,
}

/// Chooses the offer to pay. Signs nothing and holds nothing.
pub fn quote(
    challenge: Arc<Challenge>,
    asker: &Asker,
    identity: Identity<'_>,
    means: &Means<'_>,
) -> Result<Quoted, Declined> {
    let refusals = challenge.malformed.iter().map(Refusal::of_malformed).collect();
    quote_others(challenge, refusals, asker, identity, means)
}

/// As [`quote`], among the offers that did not leave a reason yet.
pub(super) fn quote_others(
    challenge: Arc<Challenge>,
    mut refusals: Vec<Refusal>,
    asker: &Asker,
    identity: Identity<'_>,
    means: &Means<'_>,
) -> Result<Quoted, Declined> {
    let now_s = means.world.clock.unix_s();
    let candidates = allowed(&challenge, asker, means, &mut refusals)?;
    let nearest = candidates.first().map(|candidate| candidate.at);
    for candidate in candidates {
        let offer = &challenge.offers[candidate.at];
        let channel = candidate.prospect.as_ref().map(|prospect| prospect.order_shown(means));
        let intent = Intent { channel, ..intent(asker, offer, identity, now_s) };
        let fits = match means.ledger.check(means.policy.budgets(), &intent) {
            Ok(()) => Ok(()),
            Err(Denied::Refused(reason)) => Err(reason),
            Err(Denied::Stands(stood)) => return Err(Declined::stands(*stood)),
            Err(Denied::Failed(error)) => return Err(Declined::failed(error)),
        };
        match fits.and_then(|()| approved(means, asker, offer, &candidate)) {
            Ok(()) => {
                let (chosen, payable) = (candidate.at, candidate.payable);
                let unlimited_approval = means.policy.allows_unlimited_approval();
                let facts = Facts::default();
                let outlook = candidate.prospect.map(|prospect| prospect.outlook);
                return Ok(Quoted {
                    challenge,
                    chosen,
                    payable,
                    intent,
                    unlimited_approval,
                    outlook,
                    facts,
                    refusals,
                    lapsed: lapsed(identity, means, now_s)?,
                });
            }
            Err(reason) => refusals.push(Refusal::of_offer(offer, reason)),
        }
    }
    Err(none_left(&challenge, nearest.unwrap_or(0), refusals))
}

/// What was signed for the same purchase before, is void by time, and may have settled all the same.
fn lapsed(identity: Identity<'_>, means: &Means<'_>, now_s: u64) -> Result<Vec<Lapsed>, Declined> {
    let Some(purchase) = identity.purchase else { return Ok(Vec::new()) };
    let found = means.ledger.lapsed(purchase, now_s).map_err(Declined::failed)?;
    let lapsed = |(entry, recipe): (u64, Recipe)| {
        let signed = Challenge::recorded(&recipe.terms).ok()?;
        let offer = signed.offers.first()?;
        let usage = scheme::usage(offer, &recipe.payer, &recipe.nonce)?;
        Some(Lapsed { entry, network: offer.network.clone(), usage })
    };
    Ok(found.into_iter().filter_map(lapsed).collect())
}

/// Declines where wallet and rules refuse every offer; no budget is asked, nor the caller.
pub fn none_allowed(challenge: &Challenge, asker: &Asker, means: &Means<'_>) -> Option<Declined> {
    let mut refusals: Vec<Refusal> = challenge.malformed.iter().map(Refusal::of_malformed).collect();
    match allowed(challenge, asker, means, &mut refusals) {
        Ok(candidates) => candidates.is_empty().then(|| none_left(challenge, 0, refusals)),
        Err(declined) => Some(declined),
    }
}

/// Every offer left its reason; the one at `nearest` came nearest.
fn none_left(challenge: &Challenge, nearest: usize, mut refusals: Vec<Refusal>) -> Declined {
    let nearest = challenge.offers.get(nearest).cloned().map(Box::new);
    if refusals.is_empty() {
        return Declined { nearest, ..Declined::because("accepts is empty: the server's terms hold no offer") };
    }
    refusals.sort_by_key(|refusal| refusal.index);
    Declined { nearest, ..Declined::new(refusals) }
}

/// An offer about which the server signed something else is not paid: one of the two was changed by somebody.
pub(super) fn stated(challenge: &Challenge, offer: &Offer, means: &Means<'_>) -> Result<(), String> {
    match attested::offer(challenge, offer, means.world.clock.unix_s()).map(|attestation| attestation.verdict) {
        Some(Verdict::Invalid(why)) => Err(format!("the signed offer beside it (offer-receipt) is invalid: {why}")),
        _ => Ok(()),
    }
}

/// The offers that the wallet can sign and the rules allow, best first; the others leave their reasons.
fn allowed(
    challenge: &Challenge,
    asker: &Asker,
    means: &Means<'_>,
    refusals: &mut Vec<Refusal>,
) -> Result<Vec<Candidate>, Declined> {
    let mut candidates = Vec::with_capacity(challenge.offers.len());
    for (at, offer) in challenge.offers.iter().enumerate() {
        if refusals.iter().any(|refusal| refusal.index == offer.index) {
            continue;
        }
        let verdict = means.policy.check(asker, offer).and_then(|()| stated(challenge, offer, means));
        let payable = match verdict.and_then(|()| scheme::payable(offer, means.wallet)) {
            Ok(payable) => payable,
            Err(reason) => {
                refusals.push(Refusal::of_offer(offer, reason));
                continue;
            }
        };
        match prospect(offer, &payable, means) {
            Ok(prospect) => candidates.push(Candidate { at, payable, prospect }),
            Err(Denied::Refused(reason)) => refusals.push(Refusal::of_offer(offer, reason)),
            Err(Denied::Stands(stood)) => return Err(Declined::stands(*stood)),
            Err(Denied::Failed(error)) => return Err(Declined::failed(error)),
        }
    }
    candidates.sort_by_cached_key(|candidate| {
        let deposits = candidate.prospect.as_ref().is_some_and(|prospect| prospect.outlook.needs_deposit);
        means.policy.rank(&challenge.offers[candidate.at]).with_deposit(deposits)
    });
    Ok(candidates)
}

pub(super) fn intent(asker: &Asker, offer: &Offer, identity: Identity<'_>, now_s: u64) -> Intent {
    Intent {
        host: format!("{}:{}", asker.host, asker.port),
        payee: offer.payee.clone(),
        network: offer.network.clone(),
        asset: offer.asset.clone(),
        amount: offer.amount,
        lasting: scheme::is_lasting(offer),
        channel: None,
        purchase: identity.purchase.cloned(),
        now_s,
    }
}

/// Asks the caller, who sees one frozen copy of what will be signed.
fn approved(means: &Means<'_>, asker: &Asker, offer: &Offer, candidate: &Candidate) -> Result<(), String> {
    let Some(approve) = means.policy.approval() else { return Ok(()) };
    means.deadline.check("the question to the approve callback")?;
    let mut snapshot = offer_json(offer);
    snapshot["payer"] = json!(candidate.payable.payer);
    if let Some(prospect) = candidate.prospect.as_ref().filter(|prospect| prospect.outlook.may_deposit()) {
        snapshot["deposit_max"] = json!(prospect.order.deposit_max.to_string());
    }
    snapshot["method"] = json!(asker.method);
    snapshot["url"] = json!(asker.url);
    match approve(&snapshot.to_string()) {
        0 => means.deadline.check("the approve callback's word"),
        value => Err(format!("the approve callback refused with {value}")),
    }
}

/// An offer as callers see it: texts from the server are bounded and hold no control characters.
pub(super) fn offer_json(offer: &Offer) -> Value {
    let known = known_asset(&offer.network, &offer.asset);
    json!({
        "offer": offer.index,
        "scheme": printable(&offer.scheme),
        "network": offer.network.as_str(),
        "asset": printable(&offer.asset),
        "symbol": known.map(|asset| asset.symbol),
        "decimals": known.map(|asset| asset.decimals),
        "amount": offer.amount.to_string(),
        "usd": known.and_then(|asset| Usd::of(asset, &offer.amount)).map(|usd| usd.to_string()),
        "payee": printable(&offer.payee),
        "description": offer.description.as_deref().map(printable),
        "max_timeout_s": offer.max_timeout_s,
    })
}
