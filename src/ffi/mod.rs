//! C in, C out: one file per noun of `include/x402.h`, same names, same order.
//!
//! Owns the crossing and nothing else: handles, text, callbacks, the panic guard. No decision about HTTP or money is
//! made here. The comments on the functions below are the header's text, written for a C programmer who has only that.
//!
//! Conventions, kept by every function here and relied on by the language bindings:
//!  1. `x402_<noun>_<verb>(handle, inputs…, outputs…, error)`. Plain `extern "C"` functions, no macros around them,
//!     so that cbindgen and a reader see the same thing.
//!  2. A handle is a number in a pointer's clothes ([`handle`]): looked up, never dereferenced.
//!  3. A fallible function runs inside [`guard::call`], a getter inside [`guard::get`]: no unwinding leaves, errno
//!     stays as it was, the error handle is made in one place.
//!  4. Outputs: checked for NULL and cleared first, written once, on success, as the last act.
//!  5. Text in is checked and copied; bytes in are used or copied before the return ([`text`]). Text out hangs on the
//!     object behind a handle and is immutable from the moment it is first shown.
//!  6. Callbacks are `Option<unsafe extern "C-unwind" fn>`: a C++ exception that escapes one then ends the process
//!     with a message instead of unwinding through frames that do not know it.
//!  7. No Rust enum, bool or reference in an argument: any bit pattern of the C type must be a valid argument.
//!  8. Nouns any thread may use hold their state behind a lock that is never held across a callback. Nouns for one
//!     thread at a time ([`handle::Exclusive`]) answer `X402_ERROR_BUSY` to a second.
//!  9. Every object a handle names is behind an `Arc`: what is in use while it is freed lives until the use ends.

// The names are the C interface's own.
#![allow(non_camel_case_types)]
// What a caller must keep is in each function's text and in the header's contract, in C's terms.
#![allow(clippy::missing_safety_doc)]

pub mod callback;
pub mod client;
pub mod config;
pub mod error;
pub mod guard;
pub mod handle;
pub mod ledger;
pub mod log;
pub mod payment;
pub mod policy;
pub mod queue;
pub mod request;
pub mod response;
pub mod status;
pub mod text;
pub mod version;
pub mod wallet;
