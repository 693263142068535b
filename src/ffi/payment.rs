//! `x402_payment`: one purchase as the caller reads it. Always lent by a response or an error here.

use crate::error::Error;
use crate::ffi::guard;
use crate::ffi::handle::{self, Kind, Lent, Noun};
use crate::ffi::text::c_text;
use crate::payer::Payment;
use std::ffi::{CStr, CString, c_char};
use std::sync::{Arc, OnceLock};

/// One purchase: what was asked, signed and answered. Borrowed from a response or an error, and valid until that is
/// freed. Any thread may read it.
pub struct x402_payment {
    _opaque: [u8; 0],
}

pub struct PaymentObject {
    amount: CString,
    asset: CString,
    network: CString,
    payee: CString,
    transaction: CString,
    refusal: CString,
    /// Of the payment below, made when it is first asked for.
    json: OnceLock<CString>,
    payment: Payment,
}

impl Noun for PaymentObject {
    type C = x402_payment;
    const KIND: Kind = Kind::Payment;
    const NAME: &'static str = "payment";
}

impl PaymentObject {
    /// A handle to what `payment` says now, for as long as the lender keeps it.
    pub fn lend(payment: &Payment) -> Result<Lent<PaymentObject>, Error> {
        Lent::new(Arc::new(PaymentObject {
            amount: c_text(payment.amount()),
            asset: c_text(payment.asset()),
            network: c_text(payment.network()),
            payee: c_text(payment.payee()),
            transaction: c_text(payment.transaction()),
            refusal: c_text(payment.refusal()),
            json: OnceLock::new(),
            payment: payment.clone(),
        }))
    }
}

fn part(payment: *const x402_payment, part: impl FnOnce(&PaymentObject) -> &CStr) -> *const c_char {
    guard::get(std::ptr::null(), || {
        let payment = handle::get::<PaymentObject>(payment).ok()?;
        Some(part(&payment).as_ptr())
    })
}

/// The amount in the asset's atomic units, decimal: "10000" is 0.01 of an asset with 6 decimals. "" if no offer was
/// chosen.
///
/// This and the texts below: valid until the response or error the payment came from is freed; NULL for a payment
/// that is not alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_amount(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| &payment.amount)
}

/// The asset as the offer names it: for a token, its contract's address. "" if no offer was chosen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_asset(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| &payment.asset)
}

/// The network, CAIP-2: "eip155:8453". "" if no offer was chosen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_network(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| &payment.network)
}

/// Who was to be paid: an address of the network. "" if no offer was chosen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_payee(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| &payment.payee)
}

/// The transaction that settled the payment, from the server's receipt. "" until there is one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_transaction(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| &payment.transaction)
}

/// Why nothing was paid: for each offer, the rule that refused it, or what the server said to the payment. "" if it
/// was paid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_refusal(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| &payment.refusal)
}

/// All of it as one JSON object, the receipt included. Never a signature.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_json(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| payment.json.get_or_init(|| c_text(payment.payment.json())))
}
