//! What crosses as pointers: text and bytes in, places for answers out.
//!
//! Owns the checks (NULL, length, UTF-8) and the sentences that name the argument. Knows no noun.

use crate::error::{Error, Status};
use crate::ffi::guard;
use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// NUL-terminated UTF-8 that the caller lent for the length of the call.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that lives as long as `'a`, which must not outlast the call.
pub unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str, Error> {
    if text.is_null() {
        return Err(argument(format!("{name} is NULL; pass a NUL-terminated string")));
    }
    // SAFETY: not NULL, and NUL-terminated by the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|cause| argument(format!("{name} is not UTF-8 ({cause}); encode it as UTF-8")))
}

/// As [`text`], but NULL is none.
///
/// # Safety
/// As for [`text`].
pub unsafe fn optional_text<'a>(name: &str, optional: *const c_char) -> Result<Option<&'a str>, Error> {
    if optional.is_null() {
        return Ok(None);
    }
    // SAFETY: by the caller's promise.
    unsafe { text(name, optional) }.map(Some)
}

/// `len` bytes that the caller lent for the length of the call; NULL is fine when `len` is 0.
///
/// # Safety
/// `data` points to `len` readable bytes (or `len` is 0) that nobody changes while `'a` lasts.
pub unsafe fn bytes<'a>(name: &str, data: *const u8, len: usize) -> Result<&'a [u8], Error> {
    check_length(name, data.is_null(), len)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, at most isize::MAX, readable by the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// The `count` headers of an answer, copied. Their bytes are a server's: what is not UTF-8 is no error of the caller's.
///
/// # Safety
/// `names` and `values` each point to `count` pointers (or `count` is 0), and each of these is NULL or points to a
/// NUL-terminated string; nobody changes any of it during the call.
pub unsafe fn headers(
    names: *const *const c_char,
    values: *const *const c_char,
    count: usize,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    // SAFETY: by the caller's promise.
    let (names, values) = unsafe { (texts("header_names", names, count)?, texts("header_values", values, count)?) };
    let one = |(at, (name, value)): (usize, (&*const c_char, &*const c_char))| {
        if name.is_null() || value.is_null() {
            let which = if name.is_null() { "header_names" } else { "header_values" };
            return Err(argument(format!("{which}[{at}] is NULL; pass a NUL-terminated string")));
        }
        // SAFETY: not NULL, and NUL-terminated by the caller's promise.
        let (name, value) = unsafe { (CStr::from_ptr(*name), CStr::from_ptr(*value)) };
        Ok((name.to_string_lossy().into_owned(), value.to_bytes().to_vec()))
    };
    names.iter().zip(values).enumerate().map(one).collect()
}

/// # Safety
/// As for [`headers`].
unsafe fn texts<'a>(name: &str, texts: *const *const c_char, count: usize) -> Result<&'a [*const c_char], Error> {
    check_length(name, texts.is_null(), count)?;
    check_length(name, texts.is_null(), count.saturating_mul(size_of::<*const c_char>()))?;
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, at most isize::MAX bytes, readable by the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(texts, count) })
}

/// A buffer of `len` bytes to be filled during the call.
///
/// # Safety
/// `data` points to `len` writable bytes (or `len` is 0) that nobody else uses while `'a` lasts.
pub unsafe fn buffer<'a>(name: &str, data: *mut u8, len: usize) -> Result<&'a mut [u8], Error> {
    check_length(name, data.is_null(), len)?;
    if len == 0 {
        return Ok(&mut []);
    }
    // The caller may never have written these bytes. That is no matter on this side of the boundary: they come from
    // memory the compiler knows nothing of, every bit pattern is a valid u8, and nothing here reads before it writes.
    // SAFETY: not NULL, at most isize::MAX, writable by the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, len) })
}

fn check_length(name: &str, is_null: bool, len: usize) -> Result<(), Error> {
    if is_null && len > 0 {
        return Err(argument(format!("{name} is NULL but its length is {len}; pass the bytes, or 0")));
    }
    if isize::try_from(len).is_err() {
        return Err(argument(format!("the length of {name}, {len}, is more than any buffer can hold")));
    }
    Ok(())
}

/// Where an answer goes: checked and cleared at the start of a call, written once at its end.
pub struct Output<T>(*mut T);

impl<T> Output<T> {
    /// # Safety
    /// `place` is NULL or may be written to until the call returns.
    pub unsafe fn new(name: &str, place: *mut T, cleared: T) -> Result<Self, Error> {
        if place.is_null() {
            return Err(argument(format!("{name} is NULL; pass the address of a variable for the answer")));
        }
        // SAFETY: not NULL, writable by the caller's promise.
        unsafe { place.write(cleared) };
        Ok(Output(place))
    }

    pub fn set(self, value: T) {
        // SAFETY: as in `new`.
        unsafe { self.0.write(value) };
    }
}

/// Text fit for C: a NUL inside it, which would cut it short, becomes U+FFFD.
pub fn c_text(text: &str) -> CString {
    let clean = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() };
    // Invariant: no NUL is left, so this never fails; the empty text stands for the impossible.
    CString::new(clean).unwrap_or_default()
}

/// Texts that were handed over to the caller whole, by address: the only thing of ours C holds by a real pointer. The
/// register is what lets [`take_back`] refuse any other pointer instead of freeing it.
static GIVEN: Mutex<BTreeMap<usize, CString>> = Mutex::new(BTreeMap::new());

fn given() -> MutexGuard<'static, BTreeMap<usize, CString>> {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps other threads out of the register until it is dropped.
pub fn hold_given() -> Box<dyn Any> {
    Box::new(given())
}

/// Gives a text to the caller, who frees it with `x402_string_free`.
pub fn give(text: &str) -> *mut c_char {
    let text = c_text(text);
    let address = text.as_ptr().cast_mut();
    given().insert(address.addr(), text);
    address
}

/// How many given texts were not yet freed.
pub fn given_texts() -> u64 {
    given().len() as u64
}

/// Frees a text that x402_client_quote_json or x402_ledger_…_json gave. NULL, or any other pointer, is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_string_free(text: *mut c_char) {
    guard::get((), || {
        given().remove(&text.addr());
        None
    });
}

fn argument(message: String) -> Error {
    Error::new(Status::Argument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status<T>(result: Result<T, Error>) -> Status {
        result.err().map_or(Status::Ok, |error| error.status)
    }

    #[test]
    fn lengths_and_null() {
        let null = std::ptr::null::<u8>();
        let one = [7u8];
        unsafe {
            assert_eq!(bytes("body", null, 0).unwrap(), b"");
            assert_eq!(bytes("body", one.as_ptr(), 1).unwrap(), &one);
            assert_eq!(status(bytes("body", null, 1)), Status::Argument);
            assert_eq!(status(bytes("body", one.as_ptr(), usize::MAX)), Status::Argument);
            assert_eq!(status(buffer("buffer", null.cast_mut(), 9)), Status::Argument);
        }
    }

    #[test]
    fn text_is_checked_and_its_refusal_names_the_argument() {
        unsafe {
            assert_eq!(text("url", c"http://[::1]/".as_ptr()).unwrap(), "http://[::1]/");
            let refusal = text("url", c"\xff\xfe".as_ptr()).unwrap_err();
            assert!(refusal.message.starts_with("url is not UTF-8"), "{}", refusal.message);
            assert_eq!(status(text("url", std::ptr::null())), Status::Argument);
        }
    }

    #[test]
    fn an_output_is_cleared_first() {
        let mut place = 5;
        let output = unsafe { Output::new("out", &mut place, 0) }.unwrap();
        assert_eq!(place, 0);
        output.set(9);
        assert_eq!(place, 9);
        assert_eq!(status(unsafe { Output::new("out", std::ptr::null_mut::<i32>(), 0) }), Status::Argument);
    }

    #[test]
    fn a_nul_inside_does_not_cut_text_short() {
        assert_eq!(c_text("a\0b").to_str().unwrap(), "a\u{fffd}b");
    }
}
