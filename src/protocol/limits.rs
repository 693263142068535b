//! How much of a stranger's text is read.
//!
//! Owns the bounds on challenges and receipts. Each is far above what honest servers send and far below
//! what would cost memory or time. Must not know what the text means.

/// A `PAYMENT-REQUIRED` header once its base64 is decoded.
pub const CHALLENGE_HEADER_BYTES_MAX: usize = 64 * 1024;
/// The body of a 402.
pub const CHALLENGE_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Each part of a version 2 challenge that goes back to the server inside a request header.
pub const ECHO_BYTES_MAX: usize = 64 * 1024;
/// A `PAYMENT-RESPONSE` header once its base64 is decoded.
pub const RECEIPT_BYTES_MAX: usize = 64 * 1024;
/// Entries of `accepts`.
pub const OFFERS_MAX: usize = 32;
/// Objects and arrays inside each other.
pub const JSON_DEPTH_MAX: usize = 32;
/// A scheme, network, amount, asset or payee, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 256;
/// A description, URL, error text or transaction, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// `maxTimeoutSeconds`: the largest integer that every JSON reader keeps exact, 2^53 - 1. What is signed is
/// bounded far tighter; this only separates a long time from a number that cannot be meant.
pub const MAX_TIMEOUT_S_MAX: u64 = (1 << 53) - 1;
