//! libx402: an HTTP client that pays when a server answers `402 Payment Required`.

pub mod error;
pub mod money;
pub mod protocol;
pub mod scheme;
pub mod wallet;
pub mod world;
