//! What a challenge would cost, and what every rule says to every offer of it; nothing is asked, held or signed.
//!
//! Owns the JSON of a quote. A refusal of a payment names the first rule in the way; here all of them speak, so that a
//! caller can set up a policy in one go.

use super::channel::prospect;
use super::decide::{Refusal, intent, offer_json, stated};
use super::payment::money_name;
use super::{Identity, Means};
use crate::error::{Money, printable};
use crate::ledger::{Denied, Intent};
use crate::policy::{Asker, Rank};
use crate::protocol::{Challenge, Offer};
use crate::scheme;
use serde_json::{Value, json};

/// Every offer of a challenge with its price and the verdict of each rule, as JSON. Never asks the approve callback.
pub fn quote_json(challenge: &Challenge, asker: &Asker, identity: Identity<'_>, means: &Means<'_>) -> String {
    let mut chosen: Option<(&Offer, Rank)> = None;
    let mut offers = Vec::with_capacity(challenge.offers.len());
    for offer in &challenge.offers {
        let Judged { rules, deposits } = judged(challenge, offer, asker, identity, means);
        let reason = rules.iter().find_map(|rule| rule.verdict.as_ref().err());
        let rank = means.policy.rank(offer).with_deposit(deposits);
        if reason.is_none() && chosen.as_ref().is_none_or(|(_, best)| rank < *best) {
            chosen = Some((offer, rank));
        }
        let mut out = offer_json(offer);
        out["verdict"] = json!(if reason.is_none() { "payable" } else { "refused" });
        out["reason"] = json!(reason);
        let asked_last = means.policy.approval().map(|_| json!({"rule": "approve", "verdict": "not asked"}));
        out["rules"] = rules.iter().map(Rule::to_json).chain(asked_last).collect();
        offers.push(out);
    }
    let malformed: Vec<Value> =
        challenge.malformed.iter().map(|offer| Refusal::of_malformed(offer).to_json()).collect();
    json!({
        "status": 402,
        "url": asker.url,
        "money": money_name(Money::None),
        "error": challenge.error.as_deref().map(printable),
        "chosen": chosen.map(|(offer, _)| offer.index),
        "offers": offers,
        "malformed": malformed,
    })
    .to_string()
}

/// What one rule says to one offer.
struct Rule {
    /// What it is set by.
    name: &'static str,
    /// Of a budget: its scope and window.
    budget: Option<(&'static str, u64)>,
    verdict: Result<(), String>,
}

impl Rule {
    fn to_json(&self) -> Value {
        let mut out = json!({"rule": self.name});
        if let Some((scope, window_s)) = self.budget {
            out["scope"] = json!(scope);
            out["window_s"] = json!(window_s);
        }
        out["verdict"] = json!(if self.verdict.is_ok() { "allowed" } else { "refused" });
        if let Err(reason) = &self.verdict {
            out["reason"] = json!(reason);
        }
        out
    }
}

/// What is said of one offer.
struct Judged {
    /// In the order in which a payment asks them.
    rules: Vec<Rule>,
    /// Something would have to be deposited first.
    deposits: bool,
}

fn judged(challenge: &Challenge, offer: &Offer, asker: &Asker, identity: Identity<'_>, means: &Means<'_>) -> Judged {
    let mut rules: Vec<Rule> = Vec::new();
    rules.extend(means.policy.verdicts(asker, offer).map(|(name, verdict)| Rule { name, budget: None, verdict }));
    // Most servers sign no offers, and a rule about nothing would only be in the way.
    if let Err(why) = stated(challenge, offer, means) {
        rules.push(Rule { name: "offer_signature", budget: None, verdict: Err(why) });
    }
    let payable = scheme::payable(offer, means.wallet);
    let prospect = payable.as_ref().map_or(Ok(None), |payable| prospect(offer, payable, means));
    rules.push(Rule { name: "wallet", budget: None, verdict: payable.map(|_| ()) });
    let (channel, deposits) = match prospect {
        Ok(prospect) => prospect.map(|prospect| (prospect.order, prospect.outlook.needs_deposit)).unzip(),
        Err(denied) => {
            rules.push(Rule { name: "channel", budget: None, verdict: Err(denied_because(denied)) });
            (None, None)
        }
    };
    let intent = Intent { channel, ..intent(asker, offer, identity, means.world.clock.unix_s()) };
    for budget in means.policy.budgets() {
        let verdict = match means.ledger.check(std::slice::from_ref(budget), &intent) {
            Ok(()) => Ok(()),
            Err(denied) => Err(denied_because(denied)),
        };
        rules.push(Rule { name: "budget", budget: Some((budget.scope.name(), budget.window_s)), verdict });
    }
    Judged { rules, deposits: deposits.unwrap_or(false) }
}

fn denied_because(denied: Denied) -> String {
    match denied {
        Denied::Refused(reason) => reason,
        Denied::Stands(stood) => stood.reason,
        Denied::Failed(error) => error.message,
    }
}
