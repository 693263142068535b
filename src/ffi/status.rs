//! The numbers of the C interface: statuses and money states, as the header shows them.
//!
//! The enums below exist for the header, which cbindgen writes from them: they carry the C names and the sentences a C
//! programmer reads. No function takes or returns them, because a C program may hand in any number; the functions use
//! the plain `i32` of the same name. `crate::error` owns the numbers; a test holds the two together.

use crate::error::{Money, Status};
use crate::ffi::guard;
use std::ffi::{CStr, c_char};

/// cbindgen:ignore
pub type x402_status = i32;
/// cbindgen:ignore
pub type x402_money = i32;

pub(crate) const MONEY_UNKNOWN: x402_money = Money::Unknown as x402_money;

/// As the header shows them; see the head of this file.
pub mod header {
    /// What a call ended with. Families with gaps: 1xx the caller's mistake, 2xx the network, 3xx payment, 4xx limits,
    /// 5xx internal. Numbers are never reused; new ones may come, so keep a default branch.
    #[repr(i32)]
    pub enum x402_status {
        /// Done. A response of any HTTP status, 402 included, is X402_OK: look at x402_response_status.
        X402_OK = 0,
        /// Not a failure: no event waits (x402_queue_next, x402_queue_wait), or a queue is full (x402_queue_send,
        /// x402_queue_read).
        X402_AGAIN = 1,
        /// An argument is NULL, out of range, or not UTF-8.
        X402_ERROR_ARGUMENT = 100,
        /// A handle is NULL, freed, stale, or of another kind.
        X402_ERROR_HANDLE = 101,
        /// The URL cannot be parsed, or its scheme is not http, https or unix.
        X402_ERROR_URL = 102,
        /// The method is not an HTTP token.
        X402_ERROR_METHOD = 103,
        /// A header name or value holds a character that HTTP does not allow (CR, LF, NUL…).
        X402_ERROR_HEADER = 104,
        /// A private key is malformed or out of range.
        X402_ERROR_KEY = 105,
        /// A setting is unknown, or its value is not of the setting's form.
        X402_ERROR_SETTING = 106,
        /// An amount is not of the form "0.10 USD" or "10000 eip155:8453/erc20:0x…".
        X402_ERROR_AMOUNT = 107,
        /// A pattern of a policy rule is malformed.
        X402_ERROR_PATTERN = 108,
        /// The request or response is in use by another call or by a queue; or the token is.
        X402_ERROR_BUSY = 109,
        /// The queue was made before fork(), by the parent process; make another in the child.
        X402_ERROR_FORKED = 110,
        /// A body callback failed or stopped the call; see x402_error_callback_value.
        X402_ERROR_BODY_CALLBACK = 120,
        /// The body ended before, or went on after, the length it was declared with.
        X402_ERROR_BODY_LENGTH = 121,
        /// A body file cannot be opened or read.
        X402_ERROR_BODY_FILE = 122,
        /// Another callback (chunk, progress) stopped the call; see x402_error_callback_value.
        X402_ERROR_CALLBACK = 123,

        /// The host name could not be resolved.
        X402_ERROR_RESOLVE = 200,
        /// No address of the host accepted a connection.
        X402_ERROR_CONNECT = 201,
        /// The TLS handshake failed; a refused certificate is this too.
        X402_ERROR_TLS = 202,
        /// A deadline passed.
        X402_ERROR_TIMEOUT = 203,
        /// x402_request_cancel or x402_queue_cancel was called.
        X402_ERROR_CANCELLED = 204,
        /// The proxy refused, or could not be spoken to.
        X402_ERROR_PROXY = 205,
        /// The connection was lost before the answer was whole.
        X402_ERROR_CONNECTION_LOST = 206,
        /// The server's answer is not HTTP.
        X402_ERROR_PROTOCOL = 207,
        /// A redirect that cannot or must not be followed.
        X402_ERROR_REDIRECT = 208,
        /// The host's address is private and deny_private_addresses is on.
        X402_ERROR_ADDRESS_DENIED = 209,
        /// The answer's content coding (gzip, deflate) is broken.
        X402_ERROR_CONTENT_CODING = 210,

        /// The server's terms of payment are malformed.
        X402_ERROR_CHALLENGE = 300,
        /// Policy, budget or wallet declined the payment.
        X402_ERROR_REFUSED = 301,
        /// The signer failed.
        X402_ERROR_SIGN = 302,

        /// The body is larger than may be kept for a replay (replay_memory, replay_disk).
        X402_ERROR_REPLAY_LIMIT = 400,
        /// The answer is larger than the caller's bound.
        X402_ERROR_RESPONSE_LIMIT = 401,
        /// The answer's head is larger than the bound.
        X402_ERROR_HEAD_LIMIT = 402,

        /// A defect of this library was caught; free the handles of the call and report it.
        X402_ERROR_PANIC = 500,
        /// The system refused something the library needs (a temporary file, randomness, memory).
        X402_ERROR_SYSTEM = 501,
        /// The ledger file cannot be opened, read or written; nothing was signed.
        X402_ERROR_LEDGER = 502,
    }

    /// Where the money is. Every error and every response says so.
    #[repr(i32)]
    pub enum x402_money {
        /// Nothing was signed.
        X402_MONEY_NONE = 0,
        /// The server asked, and the payment was declined here: policy, budget, or no key for it.
        X402_MONEY_REFUSED = 1,
        /// Signed, and proven not taken.
        X402_MONEY_UNPAID = 2,
        /// Settled: the server's receipt was read, with this answer or with an earlier one to the same payment.
        X402_MONEY_PAID = 3,
        /// Signed and perhaps sent, outcome not known. Count it as spent; x402_error_retry says what may be tried.
        X402_MONEY_UNKNOWN = 4,
    }
}

/// The name of a status, such as "X402_ERROR_TIMEOUT".
///
/// Any number may be passed; one that is no status gives "X402_ERROR_?". Never NULL, never to be freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn x402_status_name(status: x402_status) -> *const c_char {
    guard::get(c"X402_ERROR_?".as_ptr(), || name(status).map(CStr::as_ptr))
}

fn name(status: x402_status) -> Option<&'static CStr> {
    use std::sync::LazyLock;
    static NAMES: LazyLock<Vec<(x402_status, std::ffi::CString)>> = LazyLock::new(|| {
        Status::ALL.iter().map(|(status, name)| (*status as x402_status, super::text::c_text(name))).collect()
    });
    NAMES.iter().find(|(known, _)| *known == status).map(|(_, name)| name.as_c_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_name_and_other_numbers_have_one_too() {
        for (status, name) in Status::ALL {
            // SAFETY: never NULL, static.
            let shown = unsafe { CStr::from_ptr(x402_status_name(*status as x402_status)) };
            assert_eq!(shown.to_str().unwrap(), *name);
        }
        for number in [-1, 2, 99, i32::MIN, i32::MAX] {
            assert_eq!(unsafe { CStr::from_ptr(x402_status_name(number)) }, c"X402_ERROR_?");
        }
    }
}
