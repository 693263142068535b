//! What a challenge would cost, and what every rule says to every offer of it; nothing is asked, held or signed.
//!
//! Owns the JSON of a quote. A refusal of a payment names the first rule in the way; here all of them speak, so that a
//! caller can set up a policy in one go.

use super::decide::{Refusal, intent, offer_json, stated};
use super::payment::money_name;
use super::{Identity, Means};
use crate::error::{Money, printable};
use crate::ledger::Denied;
use crate::policy::Asker;
use crate::protocol::{Challenge, Offer};
use crate::scheme;
use serde_json::{Value, json};

/// Every offer of a challenge with its price and the verdict of each rule, as JSON. Never asks the approve callback.
pub fn quote_json(challenge: &Challenge, asker: &Asker, identity: Identity<'_>, means: &Means<'_>) -> String {
    let mut chosen: Option<&Offer> = None;
    let mut offers = Vec::with_capacity(challenge.offers.len());
    for offer in &challenge.offers {
        let rules = rules(challenge, offer, asker, identity, means);
        let reason = rules.iter().find_map(|rule| rule.verdict.as_ref().err());
        let is_better = |best: &Offer| means.policy.rank(offer) < means.policy.rank(best);
        if reason.is_none() && chosen.is_none_or(is_better) {
            chosen = Some(offer);
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
        "chosen": chosen.map(|offer| offer.index),
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

/// In the order in which a payment asks them.
fn rules(challenge: &Challenge, offer: &Offer, asker: &Asker, identity: Identity<'_>, means: &Means<'_>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    rules.extend(means.policy.verdicts(asker, offer).map(|(name, verdict)| Rule { name, budget: None, verdict }));
    // Most servers sign no offers, and a rule about nothing would only be in the way.
    if let Err(why) = stated(challenge, offer, means) {
        rules.push(Rule { name: "offer_signature", budget: None, verdict: Err(why) });
    }
    rules.push(Rule { name: "wallet", budget: None, verdict: scheme::payable(offer, means.wallet).map(|_| ()) });
    let intent = intent(asker, offer, identity, means.world.clock.unix_s());
    for budget in means.policy.budgets() {
        let verdict = match means.ledger.check(std::slice::from_ref(budget), &intent) {
            Ok(()) => Ok(()),
            Err(Denied::Refused(reason)) => Err(reason),
            Err(Denied::Stands(stood)) => Err(stood.reason),
            Err(Denied::Failed(error)) => Err(error.message),
        };
        rules.push(Rule { name: "budget", budget: Some((budget.scope.name(), budget.window_s)), verdict });
    }
    rules
}
