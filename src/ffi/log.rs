//! The log callback's type and its bridge to the client's log.

use crate::client::Log;
use crate::ffi::callback::Userdata;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// Told what a client does, a line at a time. Runs on any thread that calls in, perhaps several at once.
///
/// @param level  1 error, 2 warning, 3 information, 4 detail
/// @param line   UTF-8, no line end, NUL-terminated; valid during the call. Never a key, signature or payment header.
pub type x402_log_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, level: i32, line: *const c_char, len: usize)>;

/// The client's side of `log`.
pub fn bridge(log: unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char, usize), userdata: Userdata) -> Log {
    Arc::new(move |level, line| {
        let line = super::text::c_text(line);
        // SAFETY: the caller's function, called as its type says; the line lives until it returns.
        unsafe { log(userdata.pointer(), level, line.as_ptr(), line.as_bytes().len()) };
    })
}
