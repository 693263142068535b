//! Paying by a channel once more, after the server said that the channel is not as was thought.
//!
//! Owns when a call makes a second payment for that reason: once, where the server's word precedes settlement, the rules
//! allow a second signature, and what is known of the channel has changed, so that another voucher comes of it. The
//! terms are those of the first 402 and not of this one: they were decided upon already, and this one holds vouchers of
//! ours, with their signatures, which have no place in a ledger.

use super::call::Call;
use super::held::{Answer, Held};
use super::response::Response;
use super::{Failure, Inner};
use crate::body::Replay;
use crate::money::Correction;
use crate::payer::{Authorized, Claim, Declined, Payment};
use crate::protocol::Challenge;
use crate::scheme;
use std::sync::Arc;

impl Inner {
    fn may_pay_by_channel(&self, challenge: &Challenge) -> bool {
        let by_channel = |offer| self.policy.deposit_max(offer).is_some();
        challenge.offers.iter().any(|offer| scheme::is_lasting(offer) && by_channel(offer))
    }
}

impl Call<'_> {
    /// The terms, where a payment on them may have to be made a second time.
    pub(super) fn keeps_for_resync(&self, challenge: &Arc<Challenge>) -> Option<Arc<Challenge>> {
        let wanted = self.turned_down.is_none() && self.inner.may_pay_by_channel(challenge);
        wanted.then(|| Arc::clone(challenge))
    }

    /// Puts the body back to its start for a paid request, which may have to be sent `again`.
    pub(super) fn rewind_to_pay(&mut self, again: bool) -> Result<(), Failure> {
        if !self.has_body || self.is_prepaying {
            return Ok(());
        }
        let rewound = if again { self.request.body.rewind() } else { self.request.body.rewind_final() };
        Ok(rewound?)
    }

    pub(super) fn unlike_the_former(&self, claim: Result<Claim, Declined>) -> Result<Claim, Declined> {
        match &self.turned_down {
            Some(former) => claim?.unlike(former),
            None => claim,
        }
    }

    /// Reads a 402 to a payment, and pays on `terms` once more if it corrects what is known of the channel.
    pub(super) fn resync(
        &mut self,
        answer: Answer,
        authorized: Authorized,
        terms: Arc<Challenge>,
    ) -> Result<Response, Failure> {
        let is_first = authorized.is_first();
        let (held, former) = self.held_after_payment(answer, authorized)?;
        if !is_first || former.correction().is_none() {
            return Ok(held.into_response(former));
        }
        self.pay_corrected(held, former, terms)
    }

    pub(super) fn pay_corrected(
        &mut self,
        held: Held,
        former: Payment,
        terms: Arc<Challenge>,
    ) -> Result<Response, Failure> {
        let is_stuck = self.has_body && matches!(self.request.body.can_replay(), Replay::No(_));
        if is_stuck || !self.may_sign_anew(&former) {
            return Ok(held.into_response(former));
        }
        // A word without proof is no reason to ask the rules again, nor the caller, unless a node can speak to it.
        if former.correction() == Some(Correction::Doubt) && self.settings.evm_rpc.is_empty() {
            return Ok(held.into_response(former.and_declined(&Declined::unproven())));
        }
        self.inner.log(2, || "the server corrects what is known of the payment channel".into());
        self.turned_down = Some(former.clone());
        self.sign_anew(held, former, terms)
    }
}
