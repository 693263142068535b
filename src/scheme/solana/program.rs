//! The programs of Solana that payments name.
//!
//! Owns their addresses. They are the same on every cluster.

use crate::money::SolanaAddress;

pub const SYSTEM: SolanaAddress = SolanaAddress::constant("11111111111111111111111111111111");
pub const TOKEN: SolanaAddress = SolanaAddress::constant("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
pub const TOKEN_2022: SolanaAddress = SolanaAddress::constant("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
pub const ASSOCIATED_TOKEN: SolanaAddress = SolanaAddress::constant("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
pub const COMPUTE_BUDGET: SolanaAddress = SolanaAddress::constant("ComputeBudget111111111111111111111111111111");
pub const MEMO: SolanaAddress = SolanaAddress::constant("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
pub const RENT_SYSVAR: SolanaAddress = SolanaAddress::constant("SysvarRent111111111111111111111111111111111");
/// Payment channels, on which the scheme `upto` is built.
pub const CHANNELS: SolanaAddress = SolanaAddress::constant("CHNLxYvVA28MJP9PrFuDXccuoGXAx7jBacfLEkahyGsX");
