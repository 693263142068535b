//! A purchase that was signed before and whose signature may settle yet.
//!
//! Owns the question whether that signature answers what the server asks now. It must pay the same payee in the
//! same asset and at least what is asked; anything else is told to the caller with the amount at risk, because a
//! second signature for the same purchase would be a second payment.

use super::{Authorized, Declined, Identity, Means, Payment, sign};
use crate::ledger::{Denied, Recipe, Reservation, Stood};
use crate::money::Amount;
use crate::policy::Asker;
use crate::protocol::{Challenge, Offer};
use crate::scheme::{self, Payable};
use crate::wallet::Wallet;
use crate::world::Deadline;

/// A signature that is made again, byte for byte. Dropped, it stands as it did.
pub struct Standing {
    challenge: Challenge,
    payable: Payable,
    recipe: Recipe,
    reservation: Reservation,
    /// Led by the key that signed.
    wallet: Wallet,
    deadline: Deadline,
    believes: bool,
}

/// The standing signature of this purchase, if it has one; declined where it does not answer what is asked now.
/// The policy's rules are asked again, because they may have become stricter; budgets and the approve callback are
/// not, because nothing more is spent.
pub fn standing(
    asked: &Challenge,
    asker: &Asker,
    identity: Identity<'_>,
    means: &Means<'_>,
) -> Result<Option<Standing>, Declined> {
    let Some(purchase) = identity.purchase else { return Ok(None) };
    let found = match means.ledger.standing(purchase, identity.rule, means.world.clock.unix_s()) {
        Ok(found) => found,
        Err(Denied::Refused(reason)) => return Err(Declined::because(reason)),
        Err(Denied::Stands(stood)) => return Err(Declined::stands(*stood)),
        Err(Denied::Failed(error)) => return Err(Declined::failed(error)),
    };
    let Some((reservation, recipe)) = found else { return Ok(None) };
    let standing = Standing::new(reservation, recipe, asked, means)?;
    let offer = standing.offer();
    means.policy.check(asker, offer).map_err(|reason| standing.declined(reason))?;
    let deposit = standing.recipe.draw.as_ref().map_or(Amount::ZERO, |draw| draw.deposit);
    if deposit > means.policy.deposit_max(offer).unwrap_or(Amount::ZERO) {
        let reason =
            format!("it deposits {deposit} atomic units, more than may be deposited now; raise it with allow deposit");
        return Err(standing.declined(reason));
    }
    Ok(Some(standing))
}

impl Standing {
    pub(super) fn new(
        reservation: Reservation,
        recipe: Recipe,
        asked: &Challenge,
        means: &Means<'_>,
    ) -> Result<Self, Declined> {
        let entry = reservation.entry();
        let unreadable = |why: String| {
            let reason = format!("the ledger's entry {entry} cannot be presented again: {why}");
            Declined::stands(Stood { reason, entry, at_risk: None, is_paid: reservation.is_paid() })
        };
        let challenge = Challenge::recorded(&recipe.terms).map_err(|error| unreadable(error.to_string()))?;
        let offer = challenge.offers.first().ok_or_else(|| unreadable("its terms hold no offer".into()))?;
        if !asked.offers.iter().any(|asked| answers(offer, asked)) {
            if reservation.is_paid() {
                let reason = format!(
                    "this purchase is paid already (entry {entry}), and the server now asks for other terms; another \
                     purchase needs another purchase_key"
                );
                return Err(Declined::stands(Stood { reason, entry, at_risk: None, is_paid: true }));
            }
            let reason = changed(offer, asked, entry, &recipe);
            return Err(Declined::at_risk(offer, recipe.draw.as_ref(), entry, reason));
        }
        // Whichever key pays by default now: another one's signature would be another payment.
        let wallet = means.wallet.led_by(&recipe.payer).ok_or_else(|| {
            unreadable(format!("it is signed by {}, whose key the wallet does not hold", recipe.payer))
        })?;
        let payable = scheme::payable(offer, &wallet).map_err(&unreadable)?;
        if payable.payer != recipe.payer {
            return Err(unreadable(format!("it is signed by {}, whose key is of another family", recipe.payer)));
        }
        let believes = means.policy.believes_receipts(&offer.scheme);
        Ok(Standing { challenge, payable, recipe, reservation, wallet, deadline: means.deadline, believes })
    }

    pub fn offer(&self) -> &Offer {
        // Invariant: `new` made sure that there is an offer, and nothing takes it away.
        &self.challenge.offers[0]
    }

    /// Nothing is presented now, and the signature stands as it did.
    pub(super) fn declined(&self, reason: String) -> Declined {
        let entry = self.reservation.entry();
        match self.reservation.is_paid() {
            true => Declined::stands(Stood { reason, entry, at_risk: None, is_paid: true }),
            false => Declined::at_risk(self.offer(), self.recipe.draw.as_ref(), entry, reason),
        }
    }

    /// Makes the same signature again.
    pub fn authorize(mut self) -> Result<Authorized, Declined> {
        match sign(&self.challenge, self.offer(), &self.payable, &self.wallet, &self.recipe, self.deadline) {
            Ok(credential) => {
                let payment = Payment::authorized(self.offer(), &self.payable, &[], &self.recipe);
                let payment = payment.of_entry(self.reservation.entry());
                let payment = match self.reservation.is_paid() {
                    true => payment.paid_before(self.reservation.transaction()),
                    false => payment,
                };
                let payment = payment.beside_statement(&self.challenge, self.offer(), &self.recipe);
                self.reservation.commit();
                let Standing { recipe, reservation, believes, .. } = self;
                Ok(Authorized { credential, payment, reservation, recipe, believes, is_repeated: false })
            }
            Err(error) => Err(self.declined(format!("signing failed: {error}"))),
        }
    }
}

/// Whether what `signed` pays is what `asked` wants.
fn answers(signed: &Offer, asked: &Offer) -> bool {
    pays_the_same(signed, asked) && asked.amount <= signed.amount
}

/// The same payee, in the same asset, by the same scheme.
fn pays_the_same(signed: &Offer, asked: &Offer) -> bool {
    (&signed.scheme, &signed.network) == (&asked.scheme, &asked.network)
        && signed.network.is_same_address(&signed.asset, &asked.asset)
        && signed.network.is_same_address(&signed.payee, &asked.payee)
}

fn changed(signed: &Offer, asked: &Challenge, entry: u64, recipe: &Recipe) -> String {
    let dearer = asked.offers.iter().find(|asked| pays_the_same(signed, asked)).map_or_else(
        || "other terms than those signed for this purchase".to_string(),
        |dearer| format!("{} atomic units, which are other terms than those signed for this purchase", dearer.amount),
    );
    let until = match recipe.draw {
        Some(_) => "can be claimed at any time by its voucher, and nothing more is signed for it".to_string(),
        None => format!(
            "can settle until {} seconds since 1970, and nothing more is signed for it before then",
            recipe.valid_before_s
        ),
    };
    format!(
        "the server now asks for {dearer} (entry {entry}): {} atomic units of {} on {} to {} {until}",
        signed.amount, signed.asset, signed.network, signed.payee
    )
}
