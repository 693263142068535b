//! One purchase without sockets: from an offer to a receipt, each step a type that takes the former by value.
//!
//! ```text
//!   quote ──> Quoted ──reserve──> Reserved ──authorize──> Authorized ──send──> Sent ──answered──> Payment
//!     │          │                    │                       │                  └──lost─────────> Payment
//!     └─ Declined┴────── Declined ────┴─────── Declined       └──never_sent─────────────────────> Payment
//! ```
//!
//! Owns the order: nobody signs before the amount is reserved, nobody sends before it counts, and no path
//! drops a signed payment silently. Knows protocol, scheme, policy, ledger and wallet; knows no connection.

mod decide;
mod payment;

use crate::error::{Error, Money, Retry};
use crate::ledger::{Intent, Ledger, Reservation};
use crate::policy::Policy;
use crate::protocol::{Challenge, Credential, Offer, Receipt};
use crate::scheme::{self, Payable};
use crate::wallet::Wallet;
use crate::world::World;
use std::sync::Arc;

pub use decide::{Declined, Refusal, quote, quote_json};
pub use payment::Payment;

/// What a purchase is decided with: everything but the challenge and who asks.
pub struct Means<'a> {
    pub wallet: &'a Wallet,
    pub policy: &'a Policy,
    pub ledger: &'a Arc<Ledger>,
    pub world: &'a World,
}

/// An offer that the rules allow and the wallet can sign. Nothing is held for it yet.
pub struct Quoted {
    pub(self) challenge: Challenge,
    pub(self) chosen: usize,
    pub(self) payable: Payable,
    pub(self) intent: Intent,
    pub(self) refusals: Vec<Refusal>,
}

impl Quoted {
    pub fn offer(&self) -> &Offer {
        &self.challenge.offers[self.chosen]
    }

    /// Counts the amount under every budget, or declines.
    pub fn reserve(self, ledger: &Arc<Ledger>) -> Result<Reserved, Declined> {
        match ledger.reserve(self.intent.clone()) {
            Ok(reservation) => Ok(Reserved { quoted: self, reservation }),
            Err(reason) => {
                let refusal = Refusal::of_offer(self.offer(), reason);
                Err(Declined::new(self.refusals).and(refusal))
            }
        }
    }
}

/// An offer whose amount counts. Dropped without a signature, the amount is free again.
pub struct Reserved {
    quoted: Quoted,
    reservation: Reservation,
}

impl Reserved {
    /// Signs. A signer that fails gives the amount back.
    pub fn authorize(self, wallet: &Wallet, world: &World) -> Result<Authorized, Declined> {
        let Reserved { quoted, mut reservation } = self;
        match sign(&quoted, wallet, world) {
            Ok((credential, payer)) => {
                reservation.commit();
                let payment = Payment::authorized(quoted.offer(), &payer, &quoted.refusals);
                Ok(Authorized { credential, payment, reservation })
            }
            Err(error) => {
                let refusal = Refusal::of_offer(quoted.offer(), format!("signing failed: {error}"));
                Err(Declined::new(quoted.refusals).and(refusal))
            }
        }
    }
}

fn sign(quoted: &Quoted, wallet: &Wallet, world: &World) -> Result<(Credential, String), Error> {
    let mut nonce = [0u8; 32];
    world.entropy.fill(&mut nonce)?;
    let now_s = world.clock.unix_s();
    let authorization = scheme::authorize(quoted.offer(), &quoted.payable, wallet, now_s, nonce)?;
    let credential = Credential::new(&quoted.challenge, quoted.offer(), &authorization.payload);
    Ok((credential, authorization.payer))
}

/// A signed payment that has not left this machine.
pub struct Authorized {
    credential: Credential,
    payment: Payment,
    reservation: Reservation,
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

    /// Not a byte of the paid request left: the signature is destroyed and the amount is free again.
    pub fn never_sent(self) -> Payment {
        self.reservation.never_left();
        self.payment.ended(Money::Unpaid, Retry::Safe)
    }

    /// The paid request may have left: from here on the amount is spent.
    pub fn send(self) -> Sent {
        Sent { payment: self.payment }
    }
}

/// A payment whose outcome the server knows.
pub struct Sent {
    payment: Payment,
}

impl Sent {
    /// Reads the receipt, if there is one. Only a receipt that says so makes a payment `Paid`; anything else,
    /// a second 402 included, leaves it `Unknown`, because the server can still settle what it holds.
    pub fn answered(self, status: u16, receipt: Option<Result<Receipt, String>>) -> Payment {
        match receipt {
            Some(Ok(receipt)) if receipt.success => self.payment.settled(receipt),
            Some(Ok(receipt)) => self.payment.settlement_failed(receipt),
            Some(Err(problem)) => self.payment.noted(format!("the receipt cannot be read: {problem}")),
            None if (200..300).contains(&status) => {
                self.payment.noted("the server sent no receipt; whether it settled is not known".to_string())
            }
            None => self.payment.noted(format!("the server answered {status} to the payment and sent no receipt")),
        }
    }

    /// No answer came.
    pub fn lost(self, error: &Error) -> Payment {
        self.payment.noted(format!("no answer came to the paid request: {error}"))
    }
}

#[cfg(test)]
mod tests;
