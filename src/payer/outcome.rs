//! What became of a payment that was sent.
//!
//! Owns the reading of the server's answer as a statement about money, and the list of refusals that prove that a
//! payment was not settled. Its one decision: a code is proof only if it is given while the payment is verified,
//! before anything is handed to the chain, and could not have been caused by the payment's own settlement; given to the
//! second sending of a signature, none is, because the first may have settled, unless the server proves that it charged
//! less to the payment channel than was charged before.

use super::{Authorized, Payment, channel};
use crate::error::{Error, Money, Retry};
use crate::ledger::{self, Recipe, Reservation, TurnedDown};
use crate::money::{Correction, Draw};
use crate::protocol::{Challenge, Receipt};

/// Refusals that precede settlement (x402, error codes of the schemes on EVM chains and on Solana). Not here, because
/// they may follow a settlement or be followed by one: a nonce that was used, a pending or failed transaction, a failed
/// simulation, `validAfter` (it passes by itself), an allowance that is missing (the payer grants it, or this payment
/// used it up), and every code that is unknown.
const REFUSALS_BEFORE_SETTLEMENT: [&str; 51] = [
    "invalid_exact_evm_scheme",
    "invalid_exact_evm_network_mismatch",
    "invalid_exact_evm_missing_eip712_domain",
    "invalid_exact_evm_recipient_mismatch",
    "invalid_exact_evm_signature",
    "invalid_exact_evm_authorization_value",
    "invalid_exact_evm_token_name_mismatch",
    "invalid_exact_evm_token_version_mismatch",
    "invalid_exact_evm_eip3009_not_supported",
    "invalid_exact_evm_insufficient_balance",
    "invalid_exact_evm_payload_authorization_valid_before",
    "invalid_exact_evm_payload_authorization_value_mismatch",
    "invalid_permit2_spender",
    "invalid_permit2_recipient_mismatch",
    "invalid_permit2_signature",
    "permit2_deadline_expired",
    "permit2_amount_mismatch",
    "permit2_token_mismatch",
    "invalid_upto_evm_scheme",
    "invalid_upto_evm_network_mismatch",
    "upto_facilitator_mismatch",
    "fee_payer_not_managed_by_facilitator",
    "invalid_exact_svm_payload_missing_fee_payer",
    "invalid_exact_svm_payload_transaction_could_not_be_decoded",
    "invalid_exact_svm_payload_no_transfer_instruction",
    "invalid_exact_svm_payload_mint_mismatch",
    "invalid_exact_svm_payload_recipient_mismatch",
    "invalid_exact_svm_payload_amount_mismatch",
    "invalid_batch_settlement_evm_cumulative_amount_mismatch",
    "invalid_batch_settlement_evm_cumulative_below_claimed",
    "invalid_batch_settlement_evm_scheme",
    "invalid_batch_settlement_evm_network_mismatch",
    "invalid_batch_settlement_evm_missing_eip712_domain",
    "invalid_batch_settlement_evm_receiver_mismatch",
    "invalid_batch_settlement_evm_receiver_authorizer_mismatch",
    "invalid_batch_settlement_evm_token_mismatch",
    "invalid_batch_settlement_evm_withdraw_delay_out_of_range",
    "invalid_batch_settlement_evm_withdraw_delay_mismatch",
    "invalid_batch_settlement_evm_channel_id_mismatch",
    "invalid_batch_settlement_evm_deposit_below_min_deposit",
    "invalid_batch_settlement_evm_voucher_signature",
    "invalid_batch_settlement_evm_receive_authorization_signature",
    "invalid_batch_settlement_evm_payload_authorization_valid_before",
    "invalid_batch_settlement_evm_permit2_invalid_spender",
    "invalid_batch_settlement_evm_permit2_invalid_signature",
    "invalid_batch_settlement_evm_permit2_deadline_expired",
    "invalid_batch_settlement_evm_permit2_amount_mismatch",
    "invalid_batch_settlement_evm_insufficient_balance",
    "asset_not_deployed_contract",
    "extension_echo_mismatch",
    // What official servers say when the payment answers none of their offers: it is not even verified.
    "No matching payment requirements",
];

/// A payment whose outcome the server knows.
pub struct Sent {
    payment: Payment,
    reservation: Reservation,
    recipe: Recipe,
    believes: bool,
    /// Nothing else was ever sent with this signature.
    is_only: bool,
    /// A receipt said paid before this sending, which no other answer takes back.
    was_paid: bool,
}

/// What was paid for is on its way to the caller. Dropped, he has it, or as much of it as he wants.
#[derive(Debug)]
pub struct Delivery {
    ledger: ledger::Delivery,
    recipe: Recipe,
}

impl Delivery {
    /// Its end is written to a file, for which it may have to wait.
    pub fn writes_file(&self) -> bool {
        self.ledger.writes_file()
    }

    /// The answer broke off: a repeat of the same purchase presents the same payment and makes no other. `false`
    /// where no repeat can be known.
    pub fn broke_off(self) -> Result<bool, Error> {
        self.ledger.broke_off(&self.recipe)
    }
}

impl Sent {
    pub(super) fn new(authorized: Authorized) -> Self {
        let is_only = authorized.is_first() && !authorized.is_repeated;
        let Authorized { payment, reservation, recipe, believes, .. } = authorized;
        let was_paid = reservation.is_paid();
        Sent { payment, reservation, recipe, believes, is_only, was_paid }
    }

    /// Reads the receipt, if there is one. Only a receipt that says so makes a payment `Paid`, and then for good; anything
    /// else, a second 402 included, leaves it `Unknown`, because the server can still settle what it holds. `terms` are
    /// those of that 402.
    pub fn answered(self, status: u16, receipt: Option<Result<Receipt, String>>, terms: Option<&Challenge>) -> Payment {
        self.answered_with(status, receipt, terms).0
    }

    /// As [`Sent::answered`], where the body of the answer is still to come: with a delivery if it is paid for.
    pub fn answered_with(
        self,
        status: u16,
        receipt: Option<Result<Receipt, String>>,
        terms: Option<&Challenge>,
    ) -> (Payment, Option<Delivery>) {
        let Sent { payment, reservation, recipe, believes, is_only, was_paid } = self;
        let is_success = (200..300).contains(&status);
        let said = terms.and_then(|terms| terms.error.as_deref());
        let correction = match (&recipe.draw, terms) {
            (Some(draw), Some(terms)) => channel::correction(&recipe.terms, draw, &recipe.payer, terms),
            _ => None,
        };
        let mut refusal = match turned_down(status, receipt.as_ref(), said) {
            TurnedDown::Proven if was_paid => TurnedDown::Unproven,
            // An earlier sending may have settled, and that may be why this one is refused.
            TurnedDown::Proven if !is_only && !is_below(correction, recipe.draw.as_ref()) => TurnedDown::Unproven,
            refusal => refusal,
        };
        let mut delivery = None;
        let recorded = match &receipt {
            Some(Ok(receipt)) if receipt.success => {
                let paid = match &recipe.draw {
                    Some(draw) => {
                        reservation.paid_by_channel(&receipt.transaction, channel::acknowledged(receipt, draw))
                    }
                    None => reservation.paid(&receipt.transaction, receipt.amount.filter(|_| believes)),
                };
                paid.map(|ledger| delivery = Some(Delivery { ledger, recipe }))
            }
            _ => {
                let proof = match correction {
                    Some(correction) => reservation.corrected(refusal, correction),
                    None => reservation.unknown(refusal),
                };
                // What could not be recorded is presented again.
                refusal = proof.as_ref().copied().unwrap_or_default();
                proof.map(|_| ())
            }
        };
        let payment = match correction.filter(|_| refusal == TurnedDown::Proven) {
            Some(correction) => payment.corrected(correction),
            None => payment,
        };
        let payment = match receipt {
            Some(Ok(receipt)) if receipt.success => payment.settled(receipt),
            Some(Ok(receipt)) => payment.settlement_failed(receipt),
            Some(Err(problem)) => payment.noted(format!("the receipt cannot be read: {problem}")),
            None if was_paid => {
                payment.noted(format!("an earlier receipt says paid; the server answered {status} now, without one"))
            }
            None if is_success => {
                payment.noted("the server sent no receipt; whether it settled is not known".to_string())
            }
            None => payment.noted(format!("the server answered {status} to the payment and sent no receipt")),
        };
        let payment = match refusal {
            _ if was_paid && (is_success || status == 402) => payment.ended(Money::Paid, Retry::Never),
            TurnedDown::Proven => payment.ended(Money::Unknown, Retry::NewQuote),
            TurnedDown::No | TurnedDown::Unproven => payment,
        };
        (payment.recorded(recorded), delivery)
    }

    /// No answer came.
    pub fn lost(self, error: &Error) -> Payment {
        let recorded = self.reservation.unknown(TurnedDown::No).map(|_| ());
        self.payment.noted(format!("no answer came to the paid request: {error}")).recorded(recorded)
    }
}

/// Whether the server proves that it charged less to the channel than before the voucher, so that no sending of that was
/// taken. What it charged for one may be less than its price, so that a sum between the two says nothing.
fn is_below(correction: Option<Correction>, draw: Option<&Draw>) -> bool {
    match (correction, draw) {
        (Some(Correction::Proven { charged, .. }), Some(draw)) => charged < draw.charged,
        _ => false,
    }
}

fn turned_down(status: u16, receipt: Option<&Result<Receipt, String>>, said: Option<&str>) -> TurnedDown {
    if status != 402 {
        return TurnedDown::No;
    }
    let code = match receipt {
        // A transaction was made, or something is wrong that nobody can read.
        Some(Err(_)) => None,
        Some(Ok(receipt)) if receipt.success || !receipt.transaction.is_empty() => None,
        Some(Ok(receipt)) => receipt.error_reason.as_deref(),
        None => said,
    };
    match code {
        Some(code) if REFUSALS_BEFORE_SETTLEMENT.contains(&code) => TurnedDown::Proven,
        _ => TurnedDown::Unproven,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listed_code_in_a_402_without_a_transaction_is_proof() {
        let listed = Some("invalid_exact_evm_signature");
        assert_eq!(turned_down(402, None, listed), TurnedDown::Proven);
        assert_eq!(turned_down(500, None, listed), TurnedDown::No);
        assert_eq!(turned_down(402, None, None), TurnedDown::Unproven);
        assert_eq!(turned_down(402, Some(&Err("torn".into())), listed), TurnedDown::Unproven);
        let of_solana = ["transaction_simulation_failed", "duplicate_settlement", "transaction_failed"];
        let open = ["invalid_exact_evm_nonce_already_used", "settlement_pending", "permit2_allowance_required"];
        let others = ["permit2_not_yet_valid", "invalid_exact_evm_signature "];
        for other in open.into_iter().chain(of_solana).chain(others) {
            assert_eq!(turned_down(402, None, Some(other)), TurnedDown::Unproven, "{other}");
        }
    }
}
