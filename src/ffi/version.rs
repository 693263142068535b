//! Which library this is, and how many of its handles are alive.

use crate::ffi::guard;
use crate::ffi::handle;
use std::ffi::{CStr, c_char};

/// Raised with the soname when, and only when, a program built against an older header would break.
const ABI_VERSION: u32 = 0;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// The version of the library that is loaded, such as "0.1.0". Compare with X402_VERSION, that of the header.
///
/// Never NULL, never to be freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn x402_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The version of the binary interface, the number at the end of the soname. Must equal X402_ABI_VERSION; a language
/// binding that loads the library at run time should check.
#[unsafe(no_mangle)]
pub extern "C" fn x402_abi_version() -> u32 {
    ABI_VERSION
}

/// How many handles (and texts of x402_client_quote_json) were given out and not yet freed, in the whole process.
///
/// For leak checks in tests: 0 when everything was freed. Borrowed payments do not count. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn x402_live_handles() -> u64 {
    guard::get(0, || Some(handle::live() + crate::ffi::text::given_texts()))
}
