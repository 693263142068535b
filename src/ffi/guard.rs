//! The wall every entry stands behind: no unwinding into C, errno untouched, one place where errors become handles.
//!
//! Knows no noun but the error. A panic is a defect of the library; it comes back as `X402_ERROR_PANIC` with its
//! message and place. Nothing may be printed on the host's stderr, and std's default panic hook prints, so a hook of
//! our own stands before it: it keeps the message of a panic that started inside an entry and hands every other panic
//! on to the hook that was there. In the shared object std, and with it the hook, is private to this library; a Rust
//! program that links the crate keeps its own hook for its own panics.

use crate::error::{Error, Money, Retry, Status};
use crate::ffi::error::{Fault, report, x402_error};
use crate::ffi::status::x402_status;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// How many entries this thread is inside of (a callback may call in again).
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the panic that is unwinding now started.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a fallible entry. `error` may be NULL; otherwise it is cleared, and set when the answer is not `X402_OK`.
pub fn call(error: *mut *mut x402_error, body: impl FnOnce() -> Result<(), Fault>) -> x402_status {
    run(error, Money::None, body)
}

/// As [`call`], for entries that may pay: if one meets a defect, the payment's fate is unknown.
pub fn call_that_pays(error: *mut *mut x402_error, body: impl FnOnce() -> Result<(), Fault>) -> x402_status {
    run(error, Money::Unknown, body)
}

/// Runs an entry that has no way to report: `otherwise` when there is nothing to answer, or after a defect.
pub fn get<T>(otherwise: T, body: impl FnOnce() -> Option<T>) -> T {
    let _errno = Errno::keep();
    caught(body).ok().flatten().unwrap_or(otherwise)
}

fn run(error: *mut *mut x402_error, on_defect: Money, body: impl FnOnce() -> Result<(), Fault>) -> x402_status {
    let _errno = Errno::keep();
    if !error.is_null() {
        // SAFETY: by the contract `error` is NULL or points to a place for one handle that the caller may write to.
        unsafe { error.write(std::ptr::null_mut()) };
    }
    let fault = match caught(body) {
        Ok(Ok(())) => return Status::Ok as x402_status,
        Ok(Err(fault)) => fault,
        Err(message) => {
            let message = format!("a defect in libx402: {message}; free the handles of this call and report it");
            Fault::from(Error::new(Status::Panic, message).with_money(on_defect, Retry::Never))
        }
    };
    let status = fault.error.status as x402_status;
    if !error.is_null()
        && let Ok(Ok(handle)) = caught(|| report(fault))
    {
        // SAFETY: as above.
        unsafe { error.write(handle) };
    }
    status
}

/// For threads of the library's own: runs `body`; a panic becomes its message.
pub fn quietly(body: &mut dyn FnMut()) -> Result<(), String> {
    caught(body)
}

/// Runs `body`; a panic becomes its message.
fn caught<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    quieten();
    DEPTH.set(DEPTH.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    DEPTH.set(DEPTH.get() - 1);
    outcome.map_err(|payload| {
        let place = PLACE.take();
        let message = described(payload.as_ref());
        // The payload's own end may panic too; what that panic carries is left alone for good.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        match place {
            Some(place) => format!("{message} ({place})"),
            None => message,
        }
    })
}

fn described(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
                previous(info);
            } else if let Some(place) = info.location() {
                let _ = PLACE.try_with(|kept| kept.replace(Some(place.to_string())));
            }
        }));
    });
}

/// Gives the thread's errno back as it was found.
struct Errno(i32);

impl Errno {
    fn keep() -> Self {
        // SAFETY: the C library's errno of this thread: always there, readable and writable.
        Errno(unsafe { *errno_location() })
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as in `keep`.
        unsafe { *errno_location() = self.0 };
    }
}

#[cfg(not(any(target_os = "macos", target_os = "ios", target_os = "freebsd")))]
use libc::__errno_location as errno_location;
#[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
use libc::__error as errno_location;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::error::{
        x402_error_free, x402_error_message, x402_error_money, x402_error_retry, x402_error_status,
    };
    use crate::ffi::status::MONEY_UNKNOWN;
    use std::ffi::CStr;

    const PANIC: x402_status = Status::Panic as x402_status;

    fn message_of(error: *mut x402_error) -> String {
        // SAFETY: the text lives until the error is freed.
        unsafe { CStr::from_ptr(x402_error_message(error)) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_panic_becomes_an_error_that_says_what_and_where() {
        let mut error = std::ptr::null_mut();
        assert_eq!(call(&mut error, || panic!("index {} of {}", 7, 3)), PANIC);
        let message = message_of(error);
        assert!(message.contains("index 7 of 3") && message.contains("src/ffi/guard.rs:"), "{message}");
        unsafe {
            assert_eq!(x402_error_status(error), PANIC);
            assert_eq!(x402_error_money(error), Money::None as x402_status);
            x402_error_free(error);
        }
    }

    #[test]
    fn a_defect_while_paying_leaves_the_money_unknown() {
        let mut error = std::ptr::null_mut();
        assert_eq!(call_that_pays(&mut error, || panic!("in the middle")), PANIC);
        unsafe {
            assert_eq!(x402_error_money(error), MONEY_UNKNOWN);
            assert_eq!(CStr::from_ptr(x402_error_retry(error)), c"never");
            x402_error_free(error);
        }
    }

    #[test]
    fn a_payload_that_panics_when_dropped_goes_no_further() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let status = call(std::ptr::null_mut(), || std::panic::resume_unwind(Box::new(Bomb)));
        assert_eq!(status, PANIC);
        assert_eq!(get(3, || std::panic::resume_unwind(Box::new(Bomb))), 3);
        assert_eq!(DEPTH.get(), 0);
    }

    #[test]
    fn errno_and_an_old_error_output() {
        // SAFETY: this thread's errno.
        unsafe { *errno_location() = 77 };
        let mut error = std::ptr::dangling_mut::<x402_error>();
        let status = call(&mut error, || {
            let _ = std::fs::File::open("/nonexistent/file");
            Ok(())
        });
        assert_eq!(status, Status::Ok as x402_status);
        assert!(error.is_null(), "cleared on success too");
        assert_eq!(unsafe { *errno_location() }, 77);
    }

    #[test]
    fn panics_outside_of_an_entry_still_reach_the_hook_that_was_there() {
        assert_eq!(get(1, || Some(2)), 2);
        // libtest's own hook prints this one; what matters is that ours kept nothing of it.
        let outcome = std::panic::catch_unwind(|| panic!("not ours"));
        assert!(outcome.is_err());
        assert!(PLACE.take().is_none());
    }
}
