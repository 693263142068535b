//! libx402: an HTTP client that pays when a server answers `402 Payment Required`.

pub mod body;
pub mod client;
pub mod error;
pub mod ffi;
pub mod ledger;
pub mod money;
pub mod payer;
pub mod policy;
pub mod protocol;
pub mod scheme;
pub mod transport;
pub mod wallet;
pub mod world;
