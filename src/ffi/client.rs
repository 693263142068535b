//! `x402_client`: sends requests, pays when asked.

use crate::body::Source;
use crate::client::{Client, Detached, Request};
use crate::error::{Money, Retry};
use crate::ffi::config::{ConfigObject, x402_config};
use crate::ffi::error::{Fault, x402_error};
use crate::ffi::guard;
use crate::ffi::handle::{self, Kind, Noun};
use crate::ffi::payment::{PaymentObject, x402_payment};
use crate::ffi::request::{RequestObject, x402_request};
use crate::ffi::response::{respond, x402_response};
use crate::ffi::status::x402_status;
use crate::ffi::text::{Output, bytes, give, headers, text};
use std::ffi::c_char;

/// Sends requests and pays when asked; keeps connections for the next one. Any thread, several at once: make one and
/// share it.
pub struct x402_client {
    _opaque: [u8; 0],
}

pub struct ClientObject(Client);

impl ClientObject {
    pub fn client(&self) -> &Client {
        &self.0
    }
}

impl Noun for ClientObject {
    type C = x402_client;
    const KIND: Kind = Kind::Client;
    const NAME: &'static str = "client";
}

/// Makes a client from the configuration as it is now. Free it with x402_client_free.
///
/// Reads the files the configuration names (ca_file and the like), and fails if they are no good.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_client_new(
    config: *const x402_config,
    out: *mut *mut x402_client,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        let config = handle::get::<ConfigObject>(config)?;
        out.set(handle::insert(ClientObject(config.client()?))?);
        Ok(())
    })
}

/// Frees a client. Calls in progress end as if it were still there, and responses stay readable. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_client_free(client: *mut x402_client) {
    guard::get((), || {
        handle::remove::<ClientObject>(client);
        None
    });
}

/// Sends a GET and waits for the head of the answer, paying on the way if the server asks and the policy agrees.
///
/// @param out  set to the response, whatever its HTTP status; free it with x402_response_free
///
/// Errors as for x402_client_send.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_client_get(
    client: *mut x402_client,
    url: *const c_char,
    out: *mut *mut x402_response,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call_that_pays(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        let client = handle::get::<ClientObject>(client)?;
        // SAFETY: pointers are as the header's contract asks.
        let mut request = Request::new("GET", unsafe { text("url", url) }?)?;
        send(&client.0, &mut request, out)
    })
}

/// Sends a POST with a body from memory; otherwise as x402_client_get.
///
/// @param content_type  the body's media type, such as "application/json"; NULL: no Content-Type header
/// @param body          `len` bytes, copied before the call returns; NULL if `len` is 0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_client_post(
    client: *mut x402_client,
    url: *const c_char,
    content_type: *const c_char,
    body: *const u8,
    len: usize,
    out: *mut *mut x402_response,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call_that_pays(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        let client = handle::get::<ClientObject>(client)?;
        // SAFETY: pointers are as the header's contract asks.
        let mut request = Request::new("POST", unsafe { text("url", url) }?)?;
        if !content_type.is_null() {
            // SAFETY: pointers are as the header's contract asks.
            let content_type = unsafe { text("content_type", content_type) }?;
            request.header("Content-Type", content_type.as_bytes())?;
        }
        // SAFETY: pointers are as the header's contract asks.
        request.body(Source::Bytes(unsafe { bytes("body", body, len) }?.into()));
        send(&client.0, &mut request, out)
    })
}

/// Sends a request and waits for the head of the answer, paying on the way if the server asks and the policy agrees.
///
/// X402_OK means that there is an answer, of whatever HTTP status. If the server asked for money and was not paid,
/// that answer is its 402, whole, and x402_payment_refusal says why; x402_response_money says where the money is.
///
/// The request may be sent again afterwards, if its body can be read again. Its callbacks run on this thread, during
/// this call.
///
/// @param out  set to the response; free it with x402_response_free
///
/// X402_ERROR_BUSY if the request is in use. 1xx for a request that cannot be sent, 2xx when the network fails: then
/// x402_error_money says whether a payment may have left, and x402_error_retry what may be tried again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_client_send(
    client: *mut x402_client,
    request: *mut x402_request,
    out: *mut *mut x402_response,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call_that_pays(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        let client = handle::get::<ClientObject>(client)?;
        let request = handle::get::<RequestObject>(request)?;
        let mut request = request.take()?;
        send(&client.0, &mut request, out)
    })
}

fn send(client: &Client, request: &mut Request, out: Output<*mut x402_response>) -> Result<(), Fault> {
    out.set(respond(client.send(request)?)?);
    Ok(())
}

/// Asks what a request would cost, and never pays: sends it, reads the 402 if one comes, and says what the policy
/// would make of it: each offer with its price, and with the verdict of each rule, wallet and budgets included.
///
/// @param json  set to a JSON object; free it with x402_string_free
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_client_quote_json(
    client: *mut x402_client,
    request: *mut x402_request,
    json: *mut *mut c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let json = unsafe { Output::new("json", json, std::ptr::null_mut()) }?;
        let client = handle::get::<ClientObject>(client)?;
        let request = handle::get::<RequestObject>(request)?;
        let mut request = request.take()?;
        json.set(give(&client.0.quote_json(&mut request)?));
        Ok(())
    })
}

/// Pays a 402 that your own HTTP client got: chooses the offer, holds it against policy and budgets, and signs. Sends
/// nothing.
///
/// Send the same request again with the header x402_payment_header_name: x402_payment_header_value, and tell
/// x402_payment_settle what was answered.
///
/// The amount counts as spent from here on, because what you do with the header is out of sight; there is no way to
/// take that back. Call it once a purchase: each call signs a payment of its own, unless purchase_key names the purchase;
/// x402_client_pay_request takes a name for each. An Idempotency-Key header of yours is for the server alone. A 402
/// that answers a payment (it has a PAYMENT-RESPONSE header) is refused here.
///
/// Nobody keeps caches away from your request: add Cache-Control: no-cache, no-store, unless it is there.
///
/// @param method         of your request
/// @param url            that answered. Its host is the one that is paid: if your HTTP client followed redirects, see
///                       that they led where you mean to pay. Over http:// to this machine, do not go through a proxy.
/// @param status         402
/// @param header_names   all headers of the 402, names in any case
/// @param header_values  their values, NUL-terminated, as they came
/// @param header_count   how many; both arrays may be NULL if 0
/// @param body           the 402's body, `body_len` bytes, its content coding undone: servers of x402 version 1 put their
///                       terms there. NULL if `body_len` is 0
/// @param out            set to the payment; free it with x402_payment_free
///
/// If it fails, nothing was signed, unless x402_error_money says so. X402_ERROR_REFUSED: no offer may be paid;
/// x402_payment_refusal of x402_error_payment has the reason of each. X402_ERROR_CHALLENGE: the terms are malformed, or
/// there are none (X402_MONEY_NONE). X402_ERROR_ARGUMENT: `status` is not 402.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_client_pay(
    client: *mut x402_client,
    method: *const c_char,
    url: *const c_char,
    status: u16,
    header_names: *const *const c_char,
    header_values: *const *const c_char,
    header_count: usize,
    body: *const u8,
    body_len: usize,
    out: *mut *mut x402_payment,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call_that_pays(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        let client = handle::get::<ClientObject>(client)?;
        // SAFETY: pointers are as the header's contract asks.
        let (method, url) = unsafe { (text("method", method)?, text("url", url)?) };
        // SAFETY: pointers are as the header's contract asks.
        let headers = unsafe { headers(header_names, header_values, header_count) }?;
        // SAFETY: pointers are as the header's contract asks.
        let body = unsafe { bytes("body", body, body_len) }?;
        own(client.0.pay(method, url, status, &headers, body)?, out)
    })
}

/// As x402_client_pay, for a request that is described by a handle: with its method, its URL and its own settings
/// (purchase_key, retry_policy, sign_timeout_ms), and known again by method, URL and body as x402_client_send knows it:
/// after a payment of it that was freed unsettled and may settle yet, the same header is given and no other payment made.
///
/// The request is not sent, and none of its callbacks is called; give it the body that you send, in memory or as a file,
/// or a purchase_key. Its headers count for nothing here. A file is read whole to know it, unless policy or wallet refuse
/// anyway; x402_request_cancel and total_timeout_ms end that.
///
/// @param request  what you send yourself; if your HTTP client followed redirects, one with the URL that answered
///
/// The other parameters and the errors are those of x402_client_pay; X402_ERROR_BUSY if the request is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_client_pay_request(
    client: *mut x402_client,
    request: *mut x402_request,
    status: u16,
    header_names: *const *const c_char,
    header_values: *const *const c_char,
    header_count: usize,
    body: *const u8,
    body_len: usize,
    out: *mut *mut x402_payment,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call_that_pays(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        let client = handle::get::<ClientObject>(client)?;
        let request = handle::get::<RequestObject>(request)?;
        // SAFETY: pointers are as the header's contract asks.
        let headers = unsafe { headers(header_names, header_values, header_count) }?;
        // SAFETY: pointers are as the header's contract asks.
        let body = unsafe { bytes("body", body, body_len) }?;
        let request = request.take()?;
        own(client.0.pay_request(&request, status, &headers, body)?, out)
    })
}

/// Hands the payment to the caller.
fn own(detached: Detached, out: Output<*mut x402_payment>) -> Result<(), Fault> {
    let payment = detached.payment().clone();
    let handle = handle::insert(PaymentObject::own(detached))
        .map_err(|error| Fault { error: error.with_money(Money::Unknown, Retry::Never), payment: Some(payment) })?;
    out.set(handle);
    Ok(())
}
