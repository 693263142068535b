//! The assets that are known here, and how each is paid.
//!
//! Owns the table of dollar tokens: decimals, EIP-712 domain and transfer method come from it and never
//! from a server. Must not know prices in any other currency: every row is worth one dollar per unit.

use super::network::Network;

/// How a token lets a third party move what its owner signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferMethod {
    /// `transferWithAuthorization` on the token itself (EIP-3009).
    Eip3009,
    /// Through the Permit2 contract.
    Permit2,
    /// `TransferChecked` of the program that owns the mint (Solana).
    Spl,
}

impl TransferMethod {
    /// As offers on EVM chains name it (`extra.assetTransferMethod`); no offer names Solana's.
    pub fn name(self) -> &'static str {
        match self {
            TransferMethod::Eip3009 => "eip3009",
            TransferMethod::Permit2 => "permit2",
            TransferMethod::Spl => "spl",
        }
    }

    /// As its standard is called.
    pub fn standard(self) -> &'static str {
        match self {
            TransferMethod::Eip3009 => "EIP-3009",
            TransferMethod::Permit2 => "Permit2",
            TransferMethod::Spl => "SPL token",
        }
    }
}

/// One dollar token on one network.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownAsset {
    /// CAIP-2.
    pub network: &'static str,
    pub symbol: &'static str,
    /// EIP-55 on EVM chains; a mint in base58 on Solana.
    pub address: &'static str,
    /// `name` and `version` of the token's EIP-712 domain; empty on Solana.
    pub eip712_name: &'static str,
    pub eip712_version: &'static str,
    /// One dollar is 10^decimals atomic units; at most 18.
    pub decimals: u8,
    pub method: TransferMethod,
    /// The program that owns the mint, in base58; empty elsewhere than on Solana.
    pub token_program: &'static str,
}

/// The known asset at `address` on `network`. EVM addresses are compared without regard to case.
pub fn known_asset(network: &Network, address: &str) -> Option<&'static KnownAsset> {
    KNOWN_ASSETS
        .iter()
        .find(|asset| asset.network == network.as_str() && network.is_same_address(asset.address, address))
}

/// The known asset at `address` on another network of the same family than `network`, if it is known there and not
/// here: whoever offers it here may mean it there.
pub fn known_elsewhere(network: &Network, address: &str) -> Option<&'static KnownAsset> {
    let family =
        |asset: &&KnownAsset| asset.network.split_once(':').is_some_and(|(name, _)| name == network.namespace());
    if known_asset(network, address).is_some() {
        return None;
    }
    KNOWN_ASSETS.iter().filter(family).find(|asset| network.is_same_address(asset.address, address))
}

/// The whole table.
pub fn known_assets() -> &'static [KnownAsset] {
    &KNOWN_ASSETS
}

const fn row(
    network: &'static str,
    symbol: &'static str,
    address: &'static str,
    eip712: (&'static str, &'static str),
    decimals: u8,
    method: TransferMethod,
) -> KnownAsset {
    KnownAsset {
        network,
        symbol,
        address,
        eip712_name: eip712.0,
        eip712_version: eip712.1,
        decimals,
        method,
        token_program: "",
    }
}

const fn spl(
    network: &'static str,
    symbol: &'static str,
    address: &'static str,
    decimals: u8,
    token_program: &'static str,
) -> KnownAsset {
    KnownAsset { token_program, ..row(network, symbol, address, ("", ""), decimals, TransferMethod::Spl) }
}

const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const SOLANA_DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
const SOLANA_TESTNET: &str = "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z";
const TOKEN: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
const TOKEN_2022: &str = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";

use TransferMethod::{Eip3009, Permit2};

#[rustfmt::skip]
static KNOWN_ASSETS: [KnownAsset; 42] = [
    row("eip155:8453", "USDC", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", ("USD Coin", "2"), 6, Eip3009),
    row("eip155:84532", "USDC", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", ("USDC", "2"), 6, Eip3009),
    row("eip155:1", "USDC", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", ("USD Coin", "2"), 6, Eip3009),
    row("eip155:43114", "USDC", "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E", ("USD Coin", "2"), 6, Eip3009),
    row("eip155:4326", "MegaUSD", "0xFAfDdbb3FC7688494971a79cc65DCa3EF82079E7", ("MegaUSD", "1"), 18, Permit2),
    row("eip155:143", "USDC", "0x754704Bc059F8C67012fEd69BC8A327a5aafb603", ("USDC", "2"), 6, Eip3009),
    row("eip155:988", "USDT0", "0x779Ded0c9e1022225f8E0630b35a9b54bE713736", ("USDT0", "1"), 6, Eip3009),
    row("eip155:2201", "USDT0", "0x78Cf24370174180738C5B8E352B6D14c83a6c9A9", ("USDT0", "1"), 6, Eip3009),
    row("eip155:137", "USDC", "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", ("USD Coin", "2"), 6, Eip3009),
    row("eip155:42161", "USDC", "0xaf88d065e77c8cC2239327C5EDb3A432268e5831", ("USD Coin", "2"), 6, Eip3009),
    row("eip155:421614", "USDC", "0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d", ("USD Coin", "2"), 6, Eip3009),
    row("eip155:31612", "mUSD", "0xdD468A1DDc392dcdbEf6db6e34E89AA338F9F186", ("Mezo USD", "1"), 18, Permit2),
    row("eip155:31611", "mUSD", "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503", ("Mezo USD", "1"), 18, Permit2),
    row("eip155:723487", "SBC", "0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb", ("Stable Coin", "1"), 6, Permit2),
    row("eip155:72344", "SBC", "0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb", ("Stable Coin", "1"), 6, Permit2),
    row("eip155:36900", "USDC.e", "0x9cb8142aEBBcdc60AF7c97Af897A67A8f3CA71C2", ("USDC.e", "2"), 6, Eip3009),
    row("eip155:190415", "USDC.e", "0x401eCb1D350407f13ba348573E5630B83638E30D", ("Bridged USDC", "2"), 6, Eip3009),
    row("eip155:181228", "USDC.e", "0x401eCb1D350407f13ba348573E5630B83638E30D", ("Bridged USDC", "2"), 6, Eip3009),
    row("eip155:50", "USDC", "0xfA2958CB79b0491CC627c1557F441eF849Ca8eb1", ("USDC", "2"), 6, Eip3009),
    row("eip155:51", "USDC", "0xb5AB69F7bBada22B28e79C8FFAECe55eF1c771D4", ("USDC", "2"), 6, Eip3009),
    row("eip155:38833", "USDC", "0xA5b8BF902b2844dA17d4506cc827F7F1681735E7", ("USDC", "1"), 6, Permit2),
    row("eip155:14", "USDT0", "0xe7cd86e13AC4309349F30B3435a9d337750fC82D", ("USD₮0", "1"), 6, Eip3009),
    row("eip155:42220", "USDC", "0xcebA9300f2b948710d2653dD7B07f33A8B32118C", ("USDC", "2"), 6, Eip3009),
    row("eip155:42220", "USDT", "0x48065fbBE25f71C9282ddf5e1cD6D6A887483D5e", ("Tether USD", "1"), 6, Eip3009),
    row("eip155:42220", "USAT", "0xD2ab3C9A02DBBAB236BfEC45D1d755DF4267F771", ("Tether America USD", "1"), 6, Eip3009),
    row("eip155:11142220", "USDC", "0x01C5C0122039549AD1493B8220cABEdD739BC44E", ("USDC", "2"), 6, Eip3009),
    row("eip155:1329", "USDC", "0xe15fC38F6D8c56aF07bbCBe3BAf5708A2Bf42392", ("USDC", "2"), 6, Eip3009),
    row("eip155:1328", "USDC", "0x4fCF1784B31630811181f670Aea7A7bEF803eaED", ("USDC", "2"), 6, Eip3009),
    row("eip155:10143", "USDC", "0x534b2f3A21130d7a60830c2Df862319e593943A3", ("USDC", "2"), 6, Eip3009),
    row("eip155:5042", "USDC", "0x3600000000000000000000000000000000000000", ("USDC", "2"), 6, Eip3009),
    row("eip155:5042002", "USDC", "0x3600000000000000000000000000000000000000", ("USDC", "2"), 6, Eip3009),
    spl(SOLANA, "USDC", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", 6, TOKEN),
    spl(SOLANA, "USDT", "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB", 6, TOKEN),
    spl(SOLANA, "USDG", "2u1tszSeqZ3qBWF3uNGPFc8TzMk2tdiwknnRMWGWjGWH", 6, TOKEN_2022),
    spl(SOLANA, "PYUSD", "2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo", 6, TOKEN_2022),
    spl(SOLANA, "CASH", "CASHx9KJUStyftLFWGvEVf59SGeG9sh5FfcnZMVPCASH", 6, TOKEN_2022),
    spl(SOLANA_DEVNET, "USDC", "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", 6, TOKEN),
    spl(SOLANA_DEVNET, "USDG", "4F6PM96JJxngmHnZLBh9n58RH4aTVNWvDs2nuwrT5BP7", 6, TOKEN_2022),
    spl(SOLANA_DEVNET, "PYUSD", "CXk2AMBfi3TwaEL2468s6zP8xq9NxTXjp9gjMgzeUynM", 6, TOKEN_2022),
    spl(SOLANA_TESTNET, "USDC", "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", 6, TOKEN),
    spl(SOLANA_TESTNET, "USDG", "4F6PM96JJxngmHnZLBh9n58RH4aTVNWvDs2nuwrT5BP7", 6, TOKEN_2022),
    spl(SOLANA_TESTNET, "PYUSD", "CXk2AMBfi3TwaEL2468s6zP8xq9NxTXjp9gjMgzeUynM", 6, TOKEN_2022),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{EvmAddress, SolanaAddress};
    use std::collections::HashSet;

    #[test]
    fn every_row_is_well_formed_and_unique() {
        let mut seen = HashSet::new();
        for asset in known_assets() {
            let network = Network::parse(asset.network).unwrap();
            assert!(asset.decimals <= 18);
            assert!(seen.insert((asset.network, asset.address)), "{} twice", asset.address);
            assert_eq!(known_asset(&network, asset.address), Some(asset));
            let domain = (asset.eip712_name.is_empty(), asset.eip712_version.is_empty());
            if network.evm_chain_id().is_some() {
                assert_eq!(EvmAddress::parse(asset.address).unwrap().to_string(), asset.address, "checksum");
                assert_eq!((domain, asset.token_program), ((false, false), ""));
                assert_eq!(known_asset(&network, &asset.address.to_lowercase()), Some(asset));
            } else {
                assert_eq!((network.namespace(), domain, asset.method), ("solana", (true, true), TransferMethod::Spl));
                assert_eq!(SolanaAddress::parse(asset.address).unwrap().to_string(), asset.address);
                assert!(SolanaAddress::parse(asset.token_program).is_ok());
                // The case of base58 is part of the value.
                assert_eq!(known_asset(&network, &asset.address.to_lowercase()), None);
            }
        }
    }

    #[test]
    fn a_mint_of_another_cluster_is_told_from_an_unlisted_one() {
        let devnet = Network::parse(SOLANA_DEVNET).unwrap();
        let mainnet_usdc = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
        assert_eq!(known_elsewhere(&devnet, mainnet_usdc).unwrap().network, SOLANA);
        let wrapped_sol = "So11111111111111111111111111111111111111112";
        for other in ["4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", wrapped_sol] {
            assert_eq!(known_elsewhere(&devnet, other), None);
        }
    }

    #[test]
    fn an_address_is_known_only_on_its_own_network() {
        let base_usdc = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
        assert!(known_asset(&Network::parse("eip155:8453").unwrap(), base_usdc).is_some());
        assert!(known_asset(&Network::parse("eip155:84532").unwrap(), base_usdc).is_none());
    }
}
