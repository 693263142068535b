//! Money and the places it lives in: amounts, networks, addresses, known assets, dollars.
//!
//! Owns every number that is paid and every name of what it is paid in. Knows nothing of HTTP, challenges
//! or keys. The one non-obvious decision: dollars are integers of 10^-18, computed only for assets in the
//! built-in table, so that no price is ever guessed from what a server says about its own token.

mod address;
mod amount;
mod asset;
mod budget;
mod channel;
mod network;
mod price;
mod remembered;
mod solana;

pub use address::{AddressError, EvmAddress};
pub use amount::Amount;
pub use asset::{KnownAsset, TransferMethod, known_asset, known_assets, known_elsewhere};
pub use budget::{Budget, Scope};
pub use channel::{CLAIMABLE_BITS, ChannelId, Correction, Draw, OnChain, claimable, missing};
pub use network::Network;
pub use price::{Price, Usd};
pub(crate) use remembered::Remembered;
pub use solana::SolanaAddress;
