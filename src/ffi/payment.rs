//! `x402_payment`: one purchase as the caller reads it. Lent by a response or an error, or the caller's own when his
//! HTTP client carries it.
//!
//! Settling changes what a payment says, and so does a paid body that breaks off, but texts that were handed out must not
//! change under the caller: both records are kept, and the getters show the later one.

use crate::client::Detached;
use crate::error::{Error, Status};
use crate::ffi::error::{Fault, x402_error};
use crate::ffi::guard;
use crate::ffi::handle::{self, Exclusive, Kind, Lent, Noun};
use crate::ffi::status::{MONEY_UNKNOWN, x402_money, x402_status};
use crate::ffi::text::{c_text, headers};
use crate::payer::Payment;
use std::ffi::{CStr, CString, c_char};
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// One purchase: what was asked, signed and answered. Any thread may read it.
///
/// Borrowed from a response or an error, and valid until that is freed; or made by x402_client_pay, and the caller's,
/// to be freed with x402_payment_free.
pub struct x402_payment {
    _opaque: [u8; 0],
}

pub struct PaymentObject {
    record: Record,
    later: Option<Later>,
    own: Option<Own>,
}

/// What the lender may yet learn of the payment.
struct Later {
    payment: Arc<OnceLock<Payment>>,
    record: OnceLock<Record>,
}

/// What a payment says, as texts that never change.
struct Record {
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

/// A payment from x402_client_pay.
struct Own {
    header_name: CString,
    /// With a NUL at its end; lent out for as long as the handle lives, and wiped with it.
    header_value: Zeroizing<Vec<u8>>,
    detached: Exclusive<Detached>,
    settled: OnceLock<Record>,
}

impl Noun for PaymentObject {
    type C = x402_payment;
    const KIND: Kind = Kind::Payment;
    const NAME: &'static str = "payment";
}

impl Record {
    fn of(payment: &Payment) -> Self {
        Record {
            amount: c_text(payment.amount()),
            asset: c_text(payment.asset()),
            network: c_text(payment.network()),
            payee: c_text(payment.payee()),
            transaction: c_text(payment.transaction()),
            refusal: c_text(payment.refusal()),
            json: OnceLock::new(),
            payment: payment.clone(),
        }
    }
}

impl PaymentObject {
    /// A handle to what `payment` says now, for as long as the lender keeps it.
    pub fn lend(payment: &Payment) -> Result<Lent<PaymentObject>, Error> {
        Lent::new(Arc::new(PaymentObject { record: Record::of(payment), later: None, own: None }))
    }

    /// As [`PaymentObject::lend`], and what `later` is told from then on once it is.
    pub fn lend_until(payment: &Payment, later: &Arc<OnceLock<Payment>>) -> Result<Lent<PaymentObject>, Error> {
        let later = Later { payment: later.clone(), record: OnceLock::new() };
        Lent::new(Arc::new(PaymentObject { record: Record::of(payment), later: Some(later), own: None }))
    }

    /// The caller's own, to be settled and freed by him.
    pub fn own(detached: Detached) -> Self {
        let record = Record::of(detached.payment());
        let own = detached.header().map(|(name, value)| {
            // At its full size from the start, so that no copy is left behind by growing.
            let mut header_value = Zeroizing::new(Vec::with_capacity(value.len() + 1));
            header_value.extend_from_slice(value.as_bytes());
            header_value.push(0);
            (c_text(name), header_value)
        });
        let own = own.map(|(header_name, header_value)| Own {
            header_name,
            header_value,
            detached: Exclusive::new(detached),
            settled: OnceLock::new(),
        });
        PaymentObject { record, later: None, own }
    }

    fn record(&self) -> &Record {
        let settled = || self.own.as_ref()?.settled.get();
        let later = || {
            let Later { payment, record } = self.later.as_ref()?;
            payment.get().map(|payment| record.get_or_init(|| Record::of(payment)))
        };
        settled().or_else(later).unwrap_or(&self.record)
    }

    fn settle(&self, status: u16, headers: &[(String, Vec<u8>)]) -> Result<(), Error> {
        let Some(own) = &self.own else {
            let message = "this payment is borrowed from a response or an error, which knows its answer already; only \
                           one from x402_client_pay is settled";
            return Err(Error::new(Status::Argument, message));
        };
        let mut detached = own.detached.take(Self::NAME)?;
        let settled = Record::of(detached.settle(status, headers)?);
        // Settling succeeds once, so the place is free.
        let _ = own.settled.set(settled);
        Ok(())
    }
}

fn part(payment: *const x402_payment, part: impl FnOnce(&PaymentObject) -> Option<&CStr>) -> *const c_char {
    guard::get(std::ptr::null(), || {
        let payment = handle::get::<PaymentObject>(payment).ok()?;
        part(&payment).map(CStr::as_ptr)
    })
}

/// The amount in the asset's atomic units, decimal: "10000" is 0.01 of an asset with 6 decimals. "" if no offer was
/// chosen.
///
/// This and the texts below: valid until the response or error the payment came from is freed, or the payment itself if
/// x402_client_pay made it; NULL for a payment that is not alive. x402_payment_settle, or a paid body that breaks off while
/// it is read, changes no text that was given out before: ask again for what is so afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_amount(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| Some(&payment.record().amount))
}

/// The asset as the offer names it: for a token, its contract's address. "" if no offer was chosen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_asset(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| Some(&payment.record().asset))
}

/// The network, CAIP-2: "eip155:8453". "" if no offer was chosen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_network(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| Some(&payment.record().network))
}

/// Who was to be paid: an address of the network. "" if no offer was chosen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_payee(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| Some(&payment.record().payee))
}

/// The transaction that settled the payment, from the server's receipt. "" until there is one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_transaction(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| Some(&payment.record().transaction))
}

/// Why nothing was paid: for each offer, the rule that refused it, or what the server said to the payment. "" if it
/// was paid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_refusal(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| Some(&payment.record().refusal))
}

/// All of it as one JSON object, the receipt included. Never a signature.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_json(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| {
        let record = payment.record();
        Some(record.json.get_or_init(|| c_text(record.payment.json())))
    })
}

/// Where the money is: for a payment from x402_client_pay, X402_MONEY_UNKNOWN until it is settled.
///
/// X402_MONEY_UNKNOWN for NULL and for a payment that is not alive, because that is the safe guess.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_money(payment: *const x402_payment) -> x402_money {
    guard::get(MONEY_UNKNOWN, || {
        let payment = handle::get::<PaymentObject>(payment).ok()?;
        Some(payment.record().payment.money() as x402_money)
    })
}

/// The name of the request header that pays: "PAYMENT-SIGNATURE", or "X-PAYMENT" for a server of x402 version 1. Only
/// for a payment from x402_client_pay; NULL for a borrowed one and for one that is not alive. Valid until the payment is
/// freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_header_name(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| payment.own.as_ref().map(|own| own.header_name.as_c_str()))
}

/// The value of the request header that pays, otherwise as x402_payment_header_name.
///
/// Whoever has it can take the money: send it to the origin that asked and to nobody else, and keep it out of logs.
/// HTTP clients that follow redirects often carry such a header along to another host: turn that off for the paid
/// request. The same value may be sent again if no answer came; it settles at most once.
///
/// No other function gives it, and it is wiped from the library's memory when the payment is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_header_value(payment: *const x402_payment) -> *const c_char {
    part(payment, |payment| {
        let own = payment.own.as_ref()?;
        CStr::from_bytes_with_nul(&own.header_value).ok()
    })
}

/// Tells what was answered to the paid request: reads the receipt. Once, with the answer you keep.
///
/// X402_OK means that the answer was read; x402_payment_money says what it means: X402_MONEY_PAID if it has a receipt
/// that says so, else X402_MONEY_UNKNOWN, whatever its status: the server still holds what it needs to take the money.
/// x402_payment_transaction, x402_payment_refusal and x402_payment_json have the details.
///
/// If no answer came, send the same header again, or free the payment without settling it.
///
/// @param payment        one from x402_client_pay, not settled before
/// @param status         the answer's status; not an interim one (1xx)
/// @param header_names   the answer's headers, all of them or those that begin with PAYMENT and X-PAYMENT, in any case
/// @param header_values  their values, NUL-terminated, as they came
/// @param header_count   how many; both arrays may be NULL if 0
///
/// X402_ERROR_ARGUMENT for a payment that is borrowed or settled already, and for a status of no final answer;
/// X402_ERROR_BUSY while another call settles it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_settle(
    payment: *mut x402_payment,
    status: u16,
    header_names: *const *const c_char,
    header_values: *const *const c_char,
    header_count: usize,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let payment = handle::get::<PaymentObject>(payment)?;
        // SAFETY: pointers are as the header's contract asks.
        let headers = unsafe { headers(header_names, header_values, header_count) }?;
        payment.settle(status, &headers).map_err(Fault::from)
    })
}

/// Frees a payment that x402_client_pay made; a borrowed one is left alone. NULL, or one freed before, is nothing.
///
/// One that was not settled counts as spent: its header may have been sent, and can still be taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_payment_free(payment: *mut x402_payment) {
    guard::get((), || {
        if handle::get::<PaymentObject>(payment).ok()?.own.is_some() {
            handle::remove::<PaymentObject>(payment);
        }
        None
    });
}
