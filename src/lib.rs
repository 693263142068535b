//! libx402: an HTTP client that pays when a server answers `402 Payment Required`.
//!
//! The product is a C library; this crate is its inside. The Rust items are public for tests and promise nothing.
//!
//! # The way of a call
//!
//! ```text
//!  ffi ──> client: THE loop ──> transport ──> the wire
//!             │  free: the answer goes back untouched
//!             │  402: each line is a leaf that returns a value
//!             ├─> protocol   the terms, read strictly
//!             ├─> scheme     what the wallet can sign
//!             ├─> policy     what the caller allows, in which order
//!             ├─> ledger     the amount counts from here on
//!             ├─> scheme     the signature (wallet holds the key)
//!             ├─> body       back to its first byte
//!             ├─> transport  the same request, with the payment
//!             └─> protocol   the receipt
//! ```
//!
//! It is a star, not a chain: leaves never call each other and never call back. Without a 402 the payment modules
//! are never entered. `payer` makes the order of the payment's steps a matter of types.
//!
//! # Levels
//!
//! ```text
//!  6 ffi          C in, C out; handles are numbers
//!  5 client       the loop; settings, redirects, the held 402
//!  4 payer        one purchase: Quoted -> Reserved -> Authorized -> Sent -> Payment
//!  3 scheme       policy       ledger
//!  2 protocol     wallet       body         transport
//!  1 money        world
//!  0 error
//! ```
//!
//! A module names modules of lower levels only; `tests/tidy.rs` keeps it.
//!
//! # What always holds
//!
//! 1. Reserved plus spent is within every budget, at every instant.
//! 2. At most one live authorization per call; a repeat sends the same bytes.
//! 3. No signature before its reservation.
//! 4. A payment goes only to the origin that asked and that the caller named, over https, loopback, or where the
//!    caller allowed plain http.
//! 5. Replayed bytes equal the first bytes; a body that cannot be replayed is refused before any money moves.
//! 6. No key, signature or payment header in a log, an error or a `Debug` output.
//! 7. Every outcome says where the money is. Sent is spent.
//! 8. The 402 is read within bounds and released before the retry.
//! 9. When nothing is paid, the caller gets the original 402, whole, with the reasons beside it.
//! 10. An answer that is not a 402 passes through untouched.

pub mod body;
pub mod client;
pub mod error;
pub mod ledger;
pub mod money;
pub mod payer;
pub mod policy;
pub mod protocol;
pub mod scheme;
pub mod transport;
pub mod wallet;
pub mod world;
