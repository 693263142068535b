//! `x402_response`: the answer, read by pulling.
//!
//! The head is copied once, into one block of NUL-terminated texts, so that what is lent out never moves and can be
//! read while the body is being read, from its own chunk callback for one.

use crate::client::Response;
use crate::error::{Error, Status};
use crate::ffi::callback::{go_on, required};
use crate::ffi::error::{Fault, x402_error};
use crate::ffi::guard;
use crate::ffi::handle::{self, Exclusive, Kind, Lent, Loan, Noun};
use crate::ffi::payment::{PaymentObject, x402_payment};
use crate::ffi::status::{MONEY_UNKNOWN, x402_money, x402_status};
use crate::ffi::text::{Output, buffer, text};
use crate::payer::Payment;
use crate::transport::Cancel;
use std::ffi::{c_char, c_void};
use std::sync::{Arc, OnceLock};

/// How much of a body x402_response_each hands over at once, at most.
const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// An answer: head and, for pulling, its body. One thread at a time; a second that reads gets X402_ERROR_BUSY. The head
/// may be looked at by any thread at any time, also while a queue reads the body.
/// Freeing it closes the connection, or hands a fully read one back for the next request.
pub struct x402_response {
    _opaque: [u8; 0],
}

/// Handed the next bytes of a body; `data` is valid during the call. 0 goes on; any other value stops with
/// X402_ERROR_CALLBACK. Must not unwind or longjmp.
pub type x402_chunk_fn = Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, data: *const u8, len: usize) -> i32>;

pub struct ResponseObject {
    response: Exclusive<Response>,
    /// Outside of the exclusive part: freeing the response ends a read that a queue has under way.
    cancel: Cancel,
    status: u16,
    money: x402_money,
    head: Head,
    payment: Option<Payment>,
    later_payment: Arc<OnceLock<Payment>>,
    lent_payment: OnceLock<Option<Lent<PaymentObject>>>,
    /// What x402_response_read_all read, with a NUL after it; set once.
    body: OnceLock<Vec<u8>>,
}

impl Noun for ResponseObject {
    type C = x402_response;
    const KIND: Kind = Kind::Response;
    const NAME: &'static str = "response";
}

impl ResponseObject {
    fn new(mut response: Response) -> Self {
        ResponseObject {
            later_payment: response.later_payment(),
            status: response.status(),
            money: response.money() as x402_money,
            head: Head::of(&response),
            payment: response.payment().cloned(),
            lent_payment: OnceLock::new(),
            body: OnceLock::new(),
            cancel: response.cancel_handle(),
            response: Exclusive::new(response),
        }
    }

    /// Nobody can be given this response: what was paid for is lost to the caller, who must be told of the money.
    fn undeliverable(&self, error: Error) -> Fault {
        match self.response.take(Self::NAME) {
            Ok(mut response) => {
                response.broke_off();
                Fault { error: response.with_money(error), payment: response.payment().cloned() }
            }
            Err(_) => Fault { error, payment: self.payment.clone() },
        }
    }

    /// For an operation of a queue: busy for everyone until the loan is dropped.
    pub fn lend(&self) -> Result<Loan<Response>, Error> {
        self.response.lend(Self::NAME)
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.response.take(Self::NAME)?.read(buffer)
    }
}

/// Makes the handle of an answer.
pub fn respond(response: Response) -> Result<*mut x402_response, Fault> {
    let object = Arc::new(ResponseObject::new(response));
    handle::insert_shared(object.clone()).map_err(|error| object.undeliverable(error))
}

/// URL and headers: one block, each text followed by a NUL.
struct Head {
    block: Box<[u8]>,
    headers: Vec<HeaderPlace>,
}

struct HeaderPlace {
    name: usize,
    value: usize,
    value_len: usize,
}

impl Head {
    fn of(response: &Response) -> Head {
        let headers = response.headers();
        let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 2).sum();
        let mut block = Vec::with_capacity(size + response.url().len() + 1);
        let mut push = |text: &[u8]| {
            let place = block.len();
            block.extend_from_slice(text);
            block.push(0);
            place
        };
        push(response.url().as_bytes());
        let headers = headers
            .iter()
            .map(|(name, value)| HeaderPlace {
                name: push(name.as_str().as_bytes()),
                value: push(value.as_bytes()),
                value_len: value.len(),
            })
            .collect();
        Head { block: block.into_boxed_slice(), headers }
    }

    fn at(&self, place: usize) -> *const c_char {
        // Invariant: every place was returned by `push`, hence lies in the block.
        self.block.as_ptr().wrapping_add(place).cast()
    }

    fn name(&self, header: &HeaderPlace) -> &[u8] {
        self.block.get(header.name..header.value - 1).unwrap_or_default()
    }
}

/// The HTTP status: 200, 402… 0 for a response that is not alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_status(response: *const x402_response) -> u16 {
    guard::get(0, || handle::get::<ResponseObject>(response).ok().map(|response| response.status))
}

/// The value of the first header of a name, whatever its case; NULL if there is none.
///
/// @param len  set to the value's length (it may hold any byte but NUL, CR and LF); NULL if not wanted
///
/// Valid until the response is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_header(
    response: *const x402_response,
    name: *const c_char,
    len: *mut usize,
) -> *const c_char {
    guard::get(std::ptr::null(), || {
        // SAFETY: pointers are as the header's contract asks.
        let len = unsafe { Output::new("len", len, 0) }.ok();
        let response = handle::get::<ResponseObject>(response).ok()?;
        // SAFETY: pointers are as the header's contract asks.
        let name = unsafe { text("name", name) }.ok()?;
        let head = &response.head;
        let found = head.headers.iter().find(|header| head.name(header).eq_ignore_ascii_case(name.as_bytes()))?;
        if let Some(len) = len {
            len.set(found.value_len);
        }
        Some(head.at(found.value))
    })
}

/// How many headers there are, for x402_response_header_at; 0 for a response that is not alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_header_count(response: *const x402_response) -> usize {
    guard::get(0, || handle::get::<ResponseObject>(response).ok().map(|response| response.head.headers.len()))
}

/// The header at an index, in the order they came.
///
/// @param name, value  set to texts valid until the response is freed
/// @param value_len    set to the value's length; NULL if not wanted
///
/// X402_ERROR_ARGUMENT if there are not that many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_header_at(
    response: *const x402_response,
    index: usize,
    name: *mut *const c_char,
    value: *mut *const c_char,
    value_len: *mut usize,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let (name, value) =
            unsafe { (Output::new("name", name, std::ptr::null())?, Output::new("value", value, std::ptr::null())?) };
        // SAFETY: pointers are as the header's contract asks.
        let value_len = unsafe { Output::new("value_len", value_len, 0) }.ok();
        let response = handle::get::<ResponseObject>(response)?;
        let head = &response.head;
        let Some(header) = head.headers.get(index) else {
            let count = head.headers.len();
            let message = format!("there is no header at index {index}: the response has {count}");
            return Err(Error::new(Status::Argument, message).into());
        };
        name.set(head.at(header.name));
        value.set(head.at(header.value));
        if let Some(value_len) = value_len {
            value_len.set(header.value_len);
        }
        Ok(())
    })
}

/// The URL that answered, after redirects. Valid until the response is freed; NULL for one that is not alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_url(response: *const x402_response) -> *const c_char {
    guard::get(std::ptr::null(), || handle::get::<ResponseObject>(response).ok().map(|response| response.head.at(0)))
}

/// Reads the next bytes of the body; waits for at least one.
///
/// @param buffer  filled with up to `cap` bytes
/// @param len     set to how many; 0 is the end
///
/// X402_ERROR_TIMEOUT, X402_ERROR_CANCELLED, X402_ERROR_CONNECTION_LOST and other 2xx if the rest does not come. Such an
/// error stays: however the body is read on, the same comes again, and never an end that was none. (X402_ERROR_CALLBACK
/// of a progress callback stays too; what arrived with it is handed out first.)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_read(
    response: *mut x402_response,
    buffer: *mut u8,
    cap: usize,
    len: *mut usize,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let (len, buffer) = unsafe { (Output::new("len", len, 0)?, self::buffer("buffer", buffer, cap)?) };
        let response = handle::get::<ResponseObject>(response)?;
        if buffer.is_empty() {
            return Err(Error::new(Status::Argument, "cap is 0; pass room for at least one byte").into());
        }
        len.set(response.read(buffer)?);
        Ok(())
    })
}

/// Reads the body to its end, handing each piece to `chunk`.
///
/// While `chunk` runs, the head may be asked for and the response may be freed; freed, it is read to no further chunk.
/// If `chunk` stops the call, x402_response_read goes on behind the last piece.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_each(
    response: *mut x402_response,
    chunk: x402_chunk_fn,
    userdata: *mut c_void,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let handle = response;
        let chunk = required("chunk", chunk)?;
        let mut piece = vec![0; CHUNK_BYTES_MAX];
        loop {
            // Looked up anew each time, and not held during the callback, which may free the response.
            let len = handle::get::<ResponseObject>(handle)?.read(&mut piece)?;
            if len == 0 {
                return Ok(());
            }
            // SAFETY: the caller's function, called as its type says, with `len` readable bytes.
            go_on("chunk", Status::Callback, unsafe { chunk(userdata, piece.as_ptr(), len) })?;
        }
    })
}

/// 1 if the rest of the body can be read without waiting: it has arrived, and its end has no ledger file to wait for. Then
/// x402_response_read may be called where nothing may block, a program's loop for instance, until it says the end. 0 if not,
/// if that is not known (a body without a Content-Length), for a body that is decoded, because what came may unfold into any
/// length, and for a response that is in use or not alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_is_whole(response: *const x402_response) -> i32 {
    guard::get(0, || {
        let response = handle::get::<ResponseObject>(response).ok()?;
        let reader = response.response.take(ResponseObject::NAME).ok()?;
        Some(i32::from(reader.is_whole()))
    })
}

/// Reads the rest of the body into memory.
///
/// @param max   the most to read, in bytes
/// @param data  set to the bytes, with a NUL after them that is not counted; valid until the response is freed
/// @param len   set to how many
///
/// A second call gives the same bytes again. X402_ERROR_RESPONSE_LIMIT if there are more than `max`; errors of
/// x402_response_read if the rest does not come. Either way nothing is lost: x402_response_read hands out what arrived.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_read_all(
    response: *mut x402_response,
    max: usize,
    data: *mut *const u8,
    len: *mut usize,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let (data, len) = unsafe { (Output::new("data", data, std::ptr::null())?, Output::new("len", len, 0)?) };
        let response = handle::get::<ResponseObject>(response)?;
        let mut reader = response.response.take(ResponseObject::NAME)?;
        let body = match response.body.get() {
            Some(body) => body,
            None => {
                let mut body = reader.read_all(max)?;
                body.push(0);
                response.body.get_or_init(|| body)
            }
        };
        data.set(body.as_ptr());
        len.set(body.len() - 1);
        Ok(())
    })
}

/// Where the money is.
///
/// X402_MONEY_UNKNOWN for a response that is not alive (NULL too), because that is the safe guess.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_money(response: *const x402_response) -> x402_money {
    guard::get(MONEY_UNKNOWN, || handle::get::<ResponseObject>(response).ok().map(|response| response.money))
}

/// What was asked, signed and answered, or NULL if the server asked for nothing.
///
/// Borrowed: it ends with the response and is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_payment(response: *const x402_response) -> *const x402_payment {
    guard::get(std::ptr::null(), || {
        let response = handle::get::<ResponseObject>(response).ok()?;
        let lent = response
            .lent_payment
            .get_or_init(|| PaymentObject::lend_until(response.payment.as_ref()?, &response.later_payment).ok());
        lent.as_ref().map(|lent| lent.handle().cast_const())
    })
}

/// Frees a response: closes its connection, or hands a fully read one back for the next request. NULL is nothing.
///
/// A read of it that a queue has under way is cancelled; its event still comes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_response_free(response: *mut x402_response) {
    guard::get((), || {
        if let Ok(object) = handle::get::<ResponseObject>(response) {
            handle::remove::<ResponseObject>(response);
            if object.response.is_lent() {
                object.cancel.cancel();
            }
        }
        None
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Money, Retry};
    use crate::payer::Declined;

    #[test]
    fn an_answer_without_a_handle_tells_of_its_money() {
        let payment = Declined::because("a test").payment();
        let response = Response::of_a_test(Box::new(std::io::empty()), None, Some(payment));
        handle::FULL_FOR_A_TEST.set(true);
        let fault = respond(response).err().unwrap();
        handle::FULL_FOR_A_TEST.set(false);
        assert_eq!(fault.error.status, Status::System);
        assert_eq!((fault.error.money, fault.error.retry), (Money::Refused, Retry::Safe));
        assert_eq!(fault.payment.unwrap().refusal(), "a test");
    }
}
