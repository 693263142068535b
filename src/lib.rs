//! libx402: an HTTP client that pays when a server answers `402 Payment Required`.

pub mod body;
pub mod error;
pub mod transport;
pub mod world;
