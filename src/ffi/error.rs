//! `x402_error`: what went wrong, as the caller holds it.
//!
//! Owns the C shape of [`crate::error::Error`]: immutable from the moment it is made, so its texts may be lent out and
//! any thread may read it.

use crate::client::Failure;
use crate::error::{Error, Money, Status};
use crate::ffi::guard;
use crate::ffi::handle::{self, Kind, Lent, Noun};
use crate::ffi::payment::{PaymentObject, x402_payment};
use crate::ffi::status::{MONEY_UNKNOWN, x402_money, x402_status};
use crate::ffi::text::c_text;
use crate::payer::Payment;
use std::ffi::{CString, c_char};

/// Why a call failed. Made by the call, freed by the caller with x402_error_free. Any thread may read it.
pub struct x402_error {
    _opaque: [u8; 0],
}

/// What an entry ends with when it does not end well.
pub struct Fault {
    pub error: Error,
    pub payment: Option<Payment>,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault { error, payment: None }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Fault { error: failure.error, payment: failure.payment }
    }
}

pub struct ErrorObject {
    status: Status,
    message: CString,
    money: Money,
    retry: CString,
    callback_value: i32,
    payment: Option<Lent<PaymentObject>>,
}

impl Noun for ErrorObject {
    type C = x402_error;
    const KIND: Kind = Kind::Error;
    const NAME: &'static str = "error";
}

/// Makes the handle a caller gets.
pub fn report(fault: Fault) -> Result<*mut x402_error, Error> {
    let Fault { error, payment } = fault;
    handle::insert(ErrorObject {
        status: error.status,
        message: c_text(&error.message),
        money: error.money,
        retry: c_text(error.retry.name()),
        callback_value: error.callback_value.unwrap_or(0),
        payment: payment.as_ref().map(PaymentObject::lend).transpose()?,
    })
}

/// The status of an error; the same as the call returned.
///
/// X402_OK for NULL, X402_ERROR_HANDLE for a handle that is not alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_error_status(error: *const x402_error) -> x402_status {
    if error.is_null() {
        return Status::Ok as x402_status;
    }
    guard::get(Status::Handle as x402_status, || {
        handle::get::<ErrorObject>(error).ok().map(|error| error.status as x402_status)
    })
}

/// One sentence: what failed, which value, what to do. UTF-8, for people; never a key, signature or password.
///
/// Valid until the error is freed. Never NULL: for a handle that is not alive it says so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_error_message(error: *const x402_error) -> *const c_char {
    guard::get(c"this error handle is NULL, was freed, or is of another kind".as_ptr(), || {
        handle::get::<ErrorObject>(error).ok().map(|error| error.message.as_ptr())
    })
}

/// Where the money is after the failed call: X402_MONEY_NONE if nothing was signed.
///
/// X402_MONEY_UNKNOWN for NULL and for a handle that is not alive, because that is the safe guess.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_error_money(error: *const x402_error) -> x402_money {
    guard::get(MONEY_UNKNOWN, || handle::get::<ErrorObject>(error).ok().map(|error| error.money as x402_money))
}

/// What may be tried again without paying twice:
/// "never" (the same call will fail in the same way), "same-bytes" (only with the very same payment), "new-quote"
/// (by asking for terms again; the earlier payment cannot settle), "safe" (freely: nothing was signed).
///
/// Never NULL; "never" for a handle that is not alive. Valid until the error is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_error_retry(error: *const x402_error) -> *const c_char {
    guard::get(c"never".as_ptr(), || handle::get::<ErrorObject>(error).ok().map(|error| error.retry.as_ptr()))
}

/// What the caller's own callback returned to stop the call, unchanged; 0 if no callback stopped it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_error_callback_value(error: *const x402_error) -> i32 {
    guard::get(0, || handle::get::<ErrorObject>(error).ok().map(|error| error.callback_value))
}

/// The payment the failed call had begun, or NULL if it never came to one.
///
/// Borrowed: it ends with the error and is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_error_payment(error: *const x402_error) -> *const x402_payment {
    guard::get(std::ptr::null(), || {
        let error = handle::get::<ErrorObject>(error).ok()?;
        error.payment.as_ref().map(|lent| lent.handle().cast_const())
    })
}

/// Frees an error. NULL, or a handle freed before, is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_error_free(error: *mut x402_error) {
    guard::get((), || {
        handle::remove::<ErrorObject>(error);
        None
    });
}
