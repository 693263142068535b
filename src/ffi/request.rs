//! `x402_request`: one request, its body and its callbacks.

use crate::body::{BodyReader, Source};
use crate::client::Request;
use crate::error::{Error, Status};
use crate::ffi::callback::{Userdata, go_on, required};
use crate::ffi::error::x402_error;
use crate::ffi::guard;
use crate::ffi::handle::{self, Exclusive, Kind, Loan, Noun, Taken};
use crate::ffi::status::x402_status;
use crate::ffi::text::{Output, bytes, text};
use crate::transport::Cancel;
use std::ffi::{c_char, c_void};

/// One request. One thread at a time, except for x402_request_cancel; a second thread gets X402_ERROR_BUSY, and so does
/// everyone while a queue has it.
pub struct x402_request {
    _opaque: [u8; 0],
}

/// The length of a body that is not known before it was read.
pub const X402_LENGTH_UNKNOWN: u64 = u64::MAX;

/// Gives the next bytes of a request body: fills `buffer` with up to `cap` bytes and sets `*len`; 0 bytes is the end.
/// 0 goes on; any other value stops the call with X402_ERROR_BODY_CALLBACK. Where a length was declared it is asked
/// once more after the last byte, and must then say 0 bytes: a body that goes on is never sent whole. Runs on the
/// thread that sends: for x402_queue_send, that is one of the queue's own. Must not unwind or longjmp.
pub type x402_read_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, buffer: *mut u8, cap: usize, len: *mut usize) -> i32>;

/// Goes back to the body's first byte, for the paid replay. 0: done; any other value: it cannot be done.
pub type x402_rewind_fn = Option<unsafe extern "C-unwind" fn(userdata: *mut c_void) -> i32>;

/// Told how far a call has come, in body bytes; a total not known is X402_LENGTH_UNKNOWN. 0 goes on; any other value
/// stops the call with X402_ERROR_CALLBACK. `sent` starts again at 0 when the body is sent again. Runs on the thread that
/// sends or reads, one of a queue's own if a queue does.
pub type x402_progress_fn = Option<
    unsafe extern "C-unwind" fn(
        userdata: *mut c_void,
        sent: u64,
        send_total: u64,
        received: u64,
        receive_total: u64,
    ) -> i32,
>;

pub struct RequestObject {
    request: Exclusive<Request>,
    /// Outside of the exclusive part: any thread may cancel while another sends.
    cancel: Cancel,
}

impl Noun for RequestObject {
    type C = x402_request;
    const KIND: Kind = Kind::Request;
    const NAME: &'static str = "request";
}

impl RequestObject {
    pub fn take(&self) -> Result<Taken<'_, Request>, Error> {
        self.request.take(Self::NAME)
    }

    /// For an operation of a queue: busy for everyone until the loan is dropped.
    pub fn lend(&self) -> Result<Loan<Request>, Error> {
        self.request.lend(Self::NAME)
    }
}

/// Makes a request. Free it with x402_request_free.
///
/// @param method  "GET", "POST" or any other HTTP method
/// @param url     absolute, https: or http:, or unix:/path/to/socket:/http/path. A user name and password in it become
///                basic authorization.
///
/// X402_ERROR_METHOD or X402_ERROR_URL if either is malformed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_request_new(
    method: *const c_char,
    url: *const c_char,
    out: *mut *mut x402_request,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let (out, method, url) =
            unsafe { (Output::new("out", out, std::ptr::null_mut())?, text("method", method)?, text("url", url)?) };
        let request = Request::new(method, url)?;
        let cancel = request.cancel_handle();
        out.set(handle::insert(RequestObject { request: Exclusive::new(request), cancel })?);
        Ok(())
    })
}

/// Adds a header. The same name may be added several times.
///
/// A payment header of your own (PAYMENT-SIGNATURE, X-PAYMENT) goes out as it is, and then the library pays nothing for
/// this request, not even after a 402: what you sent may settle yet, and a second payment would be on top of it.
///
/// X402_ERROR_HEADER if the name is not an HTTP token or the value holds CR, LF or another control character.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_request_header(
    request: *mut x402_request,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let request = handle::get::<RequestObject>(request)?;
        // SAFETY: pointers are as the header's contract asks.
        let (name, value) = unsafe { (text("name", name)?, text("value", value)?) };
        request.take()?.header(name, value.as_bytes())?;
        Ok(())
    })
}

/// Gives the body from memory. This and the other body functions replace any body given before.
///
/// @param data  `len` bytes, copied before the call returns; NULL if `len` is 0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_request_body_bytes(
    request: *mut x402_request,
    data: *const u8,
    len: usize,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let request = handle::get::<RequestObject>(request)?;
        // SAFETY: pointers are as the header's contract asks.
        let data = unsafe { bytes("data", data, len) }?;
        request.take()?.body(Source::Bytes(data.into()));
        Ok(())
    })
}

/// Gives the body from a file, opened when the request is sent and again for a paid replay; never copied.
///
/// A file that cannot be opened is X402_ERROR_BODY_FILE from x402_client_send.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_request_body_file(
    request: *mut x402_request,
    path: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let request = handle::get::<RequestObject>(request)?;
        // SAFETY: pointers are as the header's contract asks.
        let path = unsafe { text("path", path) }?;
        request.take()?.body(Source::File(path.into()));
        Ok(())
    })
}

/// Gives the body from a callback.
///
/// @param read      called for the next bytes; not NULL
/// @param rewind    called to start over for the paid replay; NULL: libx402 keeps a copy of what was read (settings
///                  replay_memory, replay_disk, replay_dir), and pulls what was not read yet during the replay
/// @param userdata  handed to both; must stay valid until the request is freed or given another body
/// @param length    the body's length in bytes, which is then enforced; or X402_LENGTH_UNKNOWN
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_request_body_reader(
    request: *mut x402_request,
    read: x402_read_fn,
    rewind: x402_rewind_fn,
    userdata: *mut c_void,
    length: u64,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let request = handle::get::<RequestObject>(request)?;
        let reader = CallbackReader { read: required("read", read)?, rewind, userdata: Userdata::new(userdata) };
        let length = (length != X402_LENGTH_UNKNOWN).then_some(length);
        request.take()?.body(Source::Reader { reader: Box::new(reader), length });
        Ok(())
    })
}

/// A request body that the caller's functions give.
struct CallbackReader {
    read: unsafe extern "C-unwind" fn(*mut c_void, *mut u8, usize, *mut usize) -> i32,
    rewind: x402_rewind_fn,
    userdata: Userdata,
}

impl BodyReader for CallbackReader {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let cap = buffer.len();
        let mut len = 0;
        // SAFETY: the caller's function, called as its type says, with a buffer of `cap` writable bytes.
        let value = unsafe { (self.read)(self.userdata.pointer(), buffer.as_mut_ptr(), cap, &mut len) };
        go_on("body", Status::BodyCallback, value)?;
        if len > cap {
            let message =
                format!("the body callback says it wrote {len} bytes into a buffer of {cap}; set len to at most cap");
            return Err(Error::new(Status::BodyCallback, message));
        }
        Ok(len)
    }

    fn can_rewind(&self) -> bool {
        self.rewind.is_some()
    }

    fn rewind(&mut self) -> Result<(), Error> {
        let Some(rewind) = self.rewind else {
            return Err(Error::new(Status::BodyCallback, "the body has no rewind callback"));
        };
        // SAFETY: the caller's function, called as its type says.
        go_on("rewind", Status::BodyCallback, unsafe { rewind(self.userdata.pointer()) })
    }
}

/// Asks to be told how far the call has come. Not NULL; a second call replaces the first.
///
/// @param userdata  handed to the callback; must stay valid until the request is freed, and the response too: reading
///                  the answer's body reports as well
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_request_progress(
    request: *mut x402_request,
    progress: x402_progress_fn,
    userdata: *mut c_void,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let request = handle::get::<RequestObject>(request)?;
        let progress = required("progress", progress)?;
        let userdata = Userdata::new(userdata);
        request.take()?.progress(Box::new(move |sent, send_total, received, receive_total| {
            // SAFETY: the caller's function, called as its type says.
            let value = unsafe { progress(userdata.pointer(), sent, send_total, received, receive_total) };
            go_on("progress", Status::Callback, value)
        }));
        Ok(())
    })
}

/// Changes a setting for this request only. The keys are those of x402_config_set that the table marks for requests.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_request_set(
    request: *mut x402_request,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let request = handle::get::<RequestObject>(request)?;
        // SAFETY: pointers are as the header's contract asks.
        let (key, value) = unsafe { (text("key", key)?, text("value", value)?) };
        request.take()?.set(key, value)?;
        Ok(())
    })
}

/// Cancels the request, from any thread, at any time: the call that sends it, or reads its answer, ends within
/// moments with X402_ERROR_CANCELLED. Cancelled before it is sent, it ends as soon as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_request_cancel(request: *mut x402_request) -> x402_status {
    guard::call(std::ptr::null_mut(), || {
        handle::get::<RequestObject>(request)?.cancel.cancel();
        Ok(())
    })
}

/// Frees a request; while it is being sent, also by a queue, the call goes on. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_request_free(request: *mut x402_request) {
    guard::get((), || {
        handle::remove::<RequestObject>(request);
        None
    });
}
