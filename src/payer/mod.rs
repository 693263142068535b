//! One purchase without sockets: from an offer to a receipt, each step a type that takes the former by value.
//!
//! ```text
//!   standing ─────────────────────> Standing ──┐
//!     │ none yet                       ^       ├─authorize──> Authorized ──send──> Sent ──answered──> Payment
//!   quote ──> Quoted ──reserve──┬──────┘       │                  │                  └──lost─────────> Payment
//!     │          │              └─> Reserved ──┘                  └──never_sent──────────────────────> Payment
//!     └─ Declined┴─ Declined           └─ Declined
//! ```
//!
//! Owns the order: nobody signs before the amount is reserved, nobody sends before it counts, and no path
//! drops a signed payment silently. Knows protocol, scheme, policy, ledger and wallet; knows no connection. A
//! purchase whose signature may settle yet is `Standing`: what is signed for it is the same message again.

mod channel;
mod decide;
mod outcome;
mod payment;
mod prices;
mod standing;

use crate::error::{Error, Money, Retry, Status};
use crate::ledger::{Denied, Grant, Intent, Ledger, Order, Outlook, Purchase, Recipe, Reservation, RetryRule};
use crate::money::{Amount, ChannelId, Network};
use crate::policy::{Asker, Policy};
use crate::protocol::{Challenge, Credential, Offer};
use crate::scheme::{self, Facts, Ingredients, Need, Payable, Usage};
use crate::wallet::Wallet;
use crate::world::{Deadline, World};
use std::sync::Arc;

pub use decide::{Declined, Refusal, none_allowed, quote};
pub use outcome::{Delivery, Sent};
pub use payment::Payment;
pub use prices::quote_json;
pub use standing::{Standing, standing};

/// What a purchase is decided with: everything but the challenge and who asks.
pub struct Means<'a> {
    pub wallet: &'a Wallet,
    pub policy: &'a Policy,
    pub ledger: &'a Arc<Ledger>,
    pub world: &'a World,
    /// Until when the approve callback and the signer may take.
    pub deadline: Deadline,
    /// No deposit was signed in this call yet.
    pub may_deposit: bool,
}

/// Which purchase this is, if it can be told, and what a repeat of it may do.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    pub purchase: Option<&'a Purchase>,
    pub rule: RetryRule,
}

/// An offer that the rules allow and the wallet can sign. Nothing is held for it yet.
pub struct Quoted {
    challenge: Arc<Challenge>,
    chosen: usize,
    payable: Payable,
    intent: Intent,
    /// The policy consents to it.
    unlimited_approval: bool,
    /// What is known of the channel that would be used.
    outlook: Option<Outlook>,
    facts: Facts,
    refusals: Vec<Refusal>,
    lapsed: Vec<Lapsed>,
}

/// A signature of the same named purchase that is void by time, and what a node knows of it.
#[derive(Clone, Debug)]
struct Lapsed {
    entry: u64,
    network: Network,
    usage: Usage,
}

impl Quoted {
    pub fn offer(&self) -> &Offer {
        &self.challenge.offers[self.chosen]
    }

    /// What can be asked of the node that would be asked for the offer.
    fn lapsed(&self) -> impl Iterator<Item = &Lapsed> {
        self.lapsed.iter().filter(|lapsed| lapsed.network == self.offer().network)
    }

    /// A channel that would be used and of which nothing certain is known.
    fn uncertain(&self) -> Option<ChannelId> {
        self.outlook.filter(|outlook| outlook.is_uncertain).map(|outlook| outlook.channel)
    }

    /// Counts the amount under every budget and records what will be signed, or declines. When the same purchase
    /// was signed by somebody else in the meantime, it is that signature which stands.
    pub fn reserve(mut self, identity: Identity<'_>, means: &Means<'_>) -> Result<Claim, Declined> {
        if let Some(Lapsed { entry, .. }) = self.lapsed().find(|lapsed| lapsed.usage.was_used(&self.facts)) {
            return Err(Declined::settled(*entry));
        }
        let recipe = match self.recipe(identity, means) {
            Ok(recipe) => recipe,
            Err(error) => return Err(self.declined(format!("signing failed: {error}"))),
        };
        self.intent.now_s = recipe.signed_s;
        // Only now, because a node may just have said that none is needed.
        if let Some(order) = self.intent.channel.as_mut().filter(|_| !means.may_deposit) {
            order.deposit_max = Amount::ZERO;
        }
        let order = Order { intent: &self.intent, recipe, rule: identity.rule, budgets: means.policy.budgets() };
        match means.ledger.reserve(order) {
            Ok(Grant::New(reservation, recipe)) => {
                let (deadline, believes) = (means.deadline, means.policy.believes_receipts(&self.offer().scheme));
                Ok(Claim::Reserved(Box::new(Reserved { quoted: self, recipe, reservation, deadline, believes })))
            }
            Ok(Grant::Standing(reservation, recipe)) => Standing::new(reservation, recipe, &self.challenge, means)
                .map(|standing| Claim::Standing(Box::new(standing))),
            Err(Denied::Refused(reason)) => Err(self.declined(reason)),
            Err(Denied::Stands(stood)) => Err(Declined::stands(*stood)),
            Err(Denied::Failed(error)) => Err(Declined::failed(error)),
        }
    }

    fn declined(self, reason: String) -> Declined {
        let refusal = Refusal::of_offer(self.offer(), reason);
        Declined::new(self.refusals).and(refusal)
    }

    /// Fixes everything that the signature is made from.
    fn recipe(&mut self, identity: Identity<'_>, means: &Means<'_>) -> Result<Recipe, Error> {
        let mut nonce = [0u8; 32];
        means.world.entropy.fill(&mut nonce)?;
        if self.challenge.wants_identifier() {
            Arc::make_mut(&mut self.challenge).identify(&identifier(identity.purchase, &nonce));
        }
        let signed_s = means.world.clock.unix_s();
        let valid_before_s = scheme::valid_before_s(self.offer(), signed_s);
        let terms = self.challenge.terms_of(self.offer());
        let (payer, facts) = (self.payable.payer.clone(), self.facts.to_json());
        Ok(Recipe { payer, nonce, signed_s, valid_before_s, terms, facts, draw: None })
    }
}

/// What can be claimed: the standing signature of the purchase, or else the best offer that may be paid.
pub enum Next {
    Quoted(Quoted),
    Standing(Standing),
}

/// Decides, and reserves nothing yet.
pub fn next(
    challenge: Arc<Challenge>,
    asker: &Asker,
    identity: Identity<'_>,
    means: &Means<'_>,
) -> Result<Next, Declined> {
    match standing(&challenge, asker, identity, means)? {
        Some(standing) => Ok(Next::Standing(standing)),
        None => quote(challenge, asker, identity, means).map(Next::Quoted),
    }
}

impl Next {
    /// What must be asked of a node of [`Next::network`] before this is claimed. A standing signature was made from
    /// facts that are kept with it.
    pub fn needs(&self) -> Vec<Need> {
        match self {
            Next::Quoted(quoted) => {
                let extensions = quoted.challenge.extensions.as_deref();
                let mut needs = match quoted.outlook.is_none_or(|outlook| outlook.may_deposit()) {
                    true => scheme::needs(quoted.offer(), &quoted.payable, extensions, quoted.unlimited_approval),
                    // A voucher alone moves nothing that must be approved.
                    false => Vec::new(),
                };
                needs.extend(quoted.uncertain().map(scheme::channel_need));
                needs.extend(quoted.lapsed().map(|lapsed| lapsed.usage.need()));
                needs
            }
            Next::Standing(_) => Vec::new(),
        }
    }

    pub fn network(&self) -> &Network {
        match self {
            Next::Quoted(quoted) => &quoted.offer().network,
            Next::Standing(standing) => &standing.offer().network,
        }
    }

    /// The answers to [`Next::needs`].
    pub fn informed(self, facts: Facts) -> Next {
        match self {
            Next::Quoted(mut quoted) => {
                let on_chain = quoted.uncertain().and_then(|channel| scheme::on_chain(channel, &facts));
                if let Some(order) = &mut quoted.intent.channel {
                    order.on_chain = on_chain;
                }
                Next::Quoted(Quoted { facts, ..quoted })
            }
            standing @ Next::Standing(_) => standing,
        }
    }

    /// What was chosen cannot be claimed: the best of the other offers, or why there is none.
    pub fn or_another(
        self,
        reason: String,
        asker: &Asker,
        identity: Identity<'_>,
        means: &Means<'_>,
    ) -> Result<Next, Declined> {
        match self {
            Next::Quoted(quoted) => {
                let refusal = Refusal::of_offer(quoted.offer(), reason);
                let refusals = quoted.refusals.into_iter().chain([refusal]).collect();
                decide::quote_others(quoted.challenge, refusals, asker, identity, means).map(Next::Quoted)
            }
            Next::Standing(standing) => Err(standing.declined(reason)),
        }
    }

    pub fn claim(self, identity: Identity<'_>, means: &Means<'_>) -> Result<Claim, Declined> {
        match self {
            Next::Quoted(quoted) => quoted.reserve(identity, means),
            Next::Standing(standing) => Ok(Claim::Standing(Box::new(standing))),
        }
    }
}

/// The id for the server's own memory of payments (x402 extension `payment-identifier`): the same for every
/// presentation, and for a purchase with a name the same for every signature.
fn identifier(purchase: Option<&Purchase>, nonce: &[u8; 32]) -> String {
    const DOMAIN: &[u8] = b"x402 payment-identifier ";
    const ID_BYTES: usize = 16;
    let seed = purchase.filter(|purchase| purchase.named).map_or(nonce.as_slice(), |named| named.id.as_bytes());
    let digest = alloy_primitives::keccak256([DOMAIN, seed].concat());
    format!("pay_{}", alloy_primitives::hex::encode(&digest[..ID_BYTES]))
}

/// What is signed next: something new, or the same as before.
pub enum Claim {
    Reserved(Box<Reserved>),
    Standing(Box<Standing>),
}

impl Claim {
    /// A second claim after `former` was turned down is one only if another voucher comes of it: the same once more would
    /// be turned down once more. On another channel (somebody else took this one since) it may be made where the former
    /// gave the payee nothing; otherwise he could have both.
    pub fn unlike(self, former: &Payment) -> Result<Claim, Declined> {
        let draw = match &self {
            Claim::Reserved(reserved) => reserved.recipe.draw.as_ref(),
            Claim::Standing(_) => None,
        };
        let (Some(draw), Some(before)) = (draw, former.draw()) else { return Err(Declined::unproven()) };
        match (draw.channel == before.channel, draw.claimable == before.claimable) {
            (true, false) => Ok(self),
            (true, true) => Err(Declined::unproven()),
            (false, _) if before.gives_nothing() => Ok(self),
            (false, _) => Err(Declined::because(
                "another payment took the channel as soon as it was corrected; send the request again",
            )),
        }
    }

    pub fn authorize(self, wallet: &Wallet) -> Result<Authorized, Declined> {
        match self {
            Claim::Reserved(reserved) => reserved.authorize(wallet),
            Claim::Standing(standing) => standing.authorize(),
        }
    }
}

/// An offer whose amount counts. Dropped without a signature, the amount is free again.
pub struct Reserved {
    quoted: Quoted,
    recipe: Recipe,
    reservation: Reservation,
    deadline: Deadline,
    believes: bool,
}

impl Reserved {
    /// Signs. A signer that fails, or comes too late, gives the amount back.
    pub fn authorize(self, wallet: &Wallet) -> Result<Authorized, Declined> {
        let Reserved { quoted, recipe, mut reservation, deadline, believes } = self;
        match sign(&quoted.challenge, quoted.offer(), &quoted.payable, wallet, &recipe, deadline) {
            Ok(credential) => {
                reservation.commit();
                let payment = Payment::authorized(quoted.offer(), &quoted.payable, &quoted.refusals, &recipe);
                let payment =
                    payment.of_entry(reservation.entry()).beside_statement(&quoted.challenge, quoted.offer(), &recipe);
                Ok(Authorized { credential, payment, reservation, recipe, believes, is_repeated: false })
            }
            Err(error) => Err(quoted.declined(format!("signing failed: {error}"))),
        }
    }
}

/// Makes the signature that the recipe describes: the same bytes each time.
fn sign(
    challenge: &Challenge,
    offer: &Offer,
    payable: &Payable,
    wallet: &Wallet,
    recipe: &Recipe,
    deadline: Deadline,
) -> Result<Credential, Error> {
    let facts = Facts::parse(&recipe.facts).ok_or_else(|| {
        Error::new(Status::Sign, "the facts that the ledger keeps for this signature cannot be read; nothing is sent")
    })?;
    let extensions = challenge.extensions.as_deref();
    let ingredients = Ingredients {
        now_s: recipe.signed_s,
        nonce: recipe.nonce,
        facts: &facts,
        extensions,
        draw: recipe.draw.as_ref(),
    };
    let authorization = scheme::authorize(offer, payable, wallet, &ingredients)?;
    deadline.check("the signature").map_err(|why| Error::new(Status::Sign, why))?;
    if (authorization.valid_before_s, &authorization.payer) != (recipe.valid_before_s, &recipe.payer) {
        let message = "the signature is not the one that the ledger recorded; nothing is sent";
        return Err(Error::new(Status::Sign, message));
    }
    let Some(additions) = &authorization.extensions else {
        return Ok(Credential::new(challenge, offer, &authorization.payload));
    };
    let extended = challenge.extended(additions).ok_or_else(|| {
        Error::new(Status::Sign, "what the payment adds to the server's extensions would be too long to send")
    })?;
    Ok(Credential::new(&extended, offer, &authorization.payload))
}

/// A signed payment that this sending has not let go of yet.
pub struct Authorized {
    credential: Credential,
    payment: Payment,
    reservation: Reservation,
    recipe: Recipe,
    /// Its receipt may lower what counts.
    believes: bool,
    /// It went out more than once, so that an answer to one may speak of what another did.
    is_repeated: bool,
}

impl Authorized {
    /// The request header that pays. The value is a bearer's cheque: never log it.
    pub fn header(&self) -> (&'static str, &str) {
        (self.credential.header_name(), self.credential.header_value())
    }

    /// The payment as it stands, for a progress report or an error on the way.
    pub fn payment(&self) -> &Payment {
        &self.payment
    }

    /// Whether this signature was never presented before.
    pub fn is_first(&self) -> bool {
        self.reservation.is_first()
    }

    /// Not a byte of the paid request left: the signature is destroyed, and the amount is free again unless an
    /// earlier sending of the same signature is still in the open.
    pub fn never_sent(self) -> Payment {
        let (money, retry) = match self.is_first() {
            true => (Money::Unpaid, Retry::Safe),
            false => (self.payment.money(), Retry::SameBytes),
        };
        let recorded = self.reservation.never_left();
        self.payment.ended(money, retry).recorded(recorded)
    }

    /// The paid request was sent again because no answer came to the first.
    pub fn was_repeated(&mut self) {
        self.is_repeated = true;
    }

    /// The paid request may have left: from here on the amount is spent.
    pub fn send(self) -> Sent {
        Sent::new(self)
    }
}

#[cfg(test)]
mod tests;
