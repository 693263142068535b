//! libx402: an HTTP client that pays when a server answers `402 Payment Required`.

#[path = "standin/body.rs"]
pub mod body;
#[path = "standin/client.rs"]
pub mod client;
pub mod error;
pub mod ffi;
#[path = "standin/policy.rs"]
pub mod policy;
#[path = "standin/transport.rs"]
pub mod transport;
#[path = "standin/wallet.rs"]
pub mod wallet;
pub mod world;
