//! Payment channels on the way of a purchase: which may serve an offer, and what the server's answer says of one.
//!
//! Owns the passage between scheme, policy and ledger: the scheme names channels and reads proofs, the policy says how
//! much may be deposited, the ledger knows what was. Decides nothing that one of them decides.

use super::{Declined, Means};
use crate::ledger::{Acknowledged, ChannelOrder, Denied, Outlook};
use crate::money::{Amount, ChannelId, Correction, Draw};
use crate::protocol::{Challenge, Offer, Receipt};
use crate::scheme::{self, Payable};
use serde_json::Value;

/// How an offer would be paid by a channel.
#[derive(Clone, Debug)]
pub(super) struct Prospect {
    pub order: ChannelOrder,
    pub outlook: Outlook,
}

impl Prospect {
    /// The order as the approve callback hears of it, where there is one: what it was not shown is not deposited.
    pub fn order_shown(&self, means: &Means<'_>) -> ChannelOrder {
        let is_shown = means.policy.approval().is_none() || self.outlook.may_deposit();
        let deposit_max = if is_shown { self.order.deposit_max } else { Amount::ZERO };
        ChannelOrder { deposit_max, ..self.order.clone() }
    }
}

/// `None` where the offer is not paid by a channel.
pub(super) fn prospect(offer: &Offer, payable: &Payable, means: &Means<'_>) -> Result<Option<Prospect>, Denied> {
    let Some(terms) = scheme::channels(offer, payable, means.wallet) else { return Ok(None) };
    let order = ChannelOrder {
        candidates: terms.candidates,
        deposit_wanted: terms.deposit_wanted,
        deposit_max: means.policy.deposit_max(offer).unwrap_or(Amount::ZERO),
        on_chain: None,
    };
    let outlook = means.ledger.outlook(&order, offer.amount)?;
    Ok(Some(Prospect { order, outlook }))
}

impl Declined {
    /// No second payment is made by a channel, because it would be the first once more.
    pub fn unproven() -> Self {
        Declined::because(
            "the server says that something else was charged to the channel, and proves nothing that would change what is \
             known here; ask the payee, or set evm_rpc to let the chain be asked",
        )
    }
}

/// What a receipt says of the channel that `draw` was drawn from; nothing where it speaks of another.
pub(super) fn acknowledged(receipt: &Receipt, draw: &Draw) -> Acknowledged {
    let extra = receipt.extra();
    let amount = |value: &Value| Amount::parse(value.as_str()?).ok();
    let state = &extra["channelState"];
    let other = |id: &Value| id.as_str().and_then(ChannelId::parse) != Some(draw.channel);
    if state.get("channelId").is_some_and(other) {
        return Acknowledged::default();
    }
    Acknowledged { charged: amount(&extra["chargedAmount"]), charged_in_all: amount(&state["chargedCumulativeAmount"]) }
}

/// What the answer to a payment that was turned down says of the channel. `terms` are those that were signed for.
pub(super) fn correction(terms: &str, draw: &Draw, payer: &str, answer: &Challenge) -> Option<Correction> {
    let signed = Challenge::recorded(terms).ok()?;
    scheme::correction(signed.offers.first()?, draw, payer, answer)
}
