//! Dollars, and the limits a caller writes down.
//!
//! Owns `0.10 USD` and `10000 eip155:8453/erc20:0x…`. Must not know policies. Dollars exist only for assets
//! of the built-in table; an amount of any other token has no price here.

use super::{Amount, EvmAddress, KnownAsset, Network, amount::digits_to_u256};
use crate::error::{Error, Status, printable};
use alloy_primitives::U256;
use std::fmt;

/// Digits after the point that a dollar can have: the decimals of the finest known asset.
const USD_DECIMALS: usize = 18;
/// Digits after the point that are always shown.
const USD_DECIMALS_SHOWN_MIN: usize = 2;
const ASSET_REFERENCE_BYTES_MAX: usize = 128;

/// Dollars as an integer of 10^-18.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(U256);

impl Usd {
    pub const ZERO: Usd = Usd(U256::ZERO);

    /// Reads `1`, `0.10` or `0.000001`: digits without a leading zero, then at most 18 after a point.
    pub fn parse(text: &str) -> Result<Usd, String> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(format!("is {:?}, but needs digits after its point", printable(text))),
            Some(parts) => parts,
            None => (text, ""),
        };
        let whole = digits_to_u256(whole)?;
        if fraction.len() > USD_DECIMALS || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("is {:?}, but has at most {USD_DECIMALS} digits after its point", printable(text)));
        }
        let digits = format!("{fraction:0<USD_DECIMALS$}");
        let fraction = U256::from_str_radix(&digits, 10).map_err(|_| "is not a number".to_string())?;
        whole
            .checked_mul(power_of_ten(USD_DECIMALS))
            .and_then(|units| units.checked_add(fraction))
            .map(Usd)
            .ok_or_else(|| "is more dollars than can be counted".to_string())
    }

    /// What `amount` units of a known asset are worth; `None` when that is more than can be counted.
    pub fn of(asset: &KnownAsset, amount: &Amount) -> Option<Usd> {
        let scale = USD_DECIMALS.checked_sub(usize::from(asset.decimals))?;
        amount.to_u256().checked_mul(power_of_ten(scale)).map(Usd)
    }

    /// How many units of a known asset this buys, rounded down.
    pub fn units_of(self, asset: &KnownAsset) -> Option<Amount> {
        let scale = USD_DECIMALS.checked_sub(usize::from(asset.decimals))?;
        Some(Amount::from_u256(self.0 / power_of_ten(scale)))
    }

    pub fn checked_add(self, other: Usd) -> Option<Usd> {
        self.0.checked_add(other.0).map(Usd)
    }

    pub fn checked_sub(self, other: Usd) -> Option<Usd> {
        self.0.checked_sub(other.0).map(Usd)
    }

    /// The number of 10^-18 dollars.
    pub fn to_units(self) -> Amount {
        Amount::from_u256(self.0)
    }

    pub fn from_units(units: Amount) -> Usd {
        Usd(units.to_u256())
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = self.0.div_rem(power_of_ten(USD_DECIMALS));
        let (whole, fraction) = (Amount::from_u256(whole), Amount::from_u256(fraction));
        let digits = format!("{:0>USD_DECIMALS$}", fraction.to_string());
        let mut shown = digits.trim_end_matches('0').to_string();
        while shown.len() < USD_DECIMALS_SHOWN_MIN {
            shown.push('0');
        }
        write!(f, "{whole}.{shown}")
    }
}

/// A limit or a price as a caller writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Price {
    Usd(Usd),
    Asset {
        network: Network,
        /// EVM addresses in EIP-55 form; other assets as written.
        asset: String,
        amount: Amount,
    },
}

impl Price {
    /// Reads `0.10 USD` or an amount of atomic units and a CAIP-19 asset. Errors are `Status::Amount`.
    pub fn parse(text: &str) -> Result<Price, Error> {
        let fail = |why: String| {
            let shape = "write it as \"0.10 USD\" or \"10000 eip155:8453/erc20:0x…\"";
            Error::new(Status::Amount, format!("The amount {:?} {why}; {shape}.", printable(text)))
        };
        let Some((number, unit)) = text.split_once(' ') else {
            return Err(fail("names no currency".into()));
        };
        if unit == "USD" {
            return Usd::parse(number).map(Price::Usd).map_err(|why| fail(format!("is not a price: its number {why}")));
        }
        let Some((network, asset)) = unit.split_once('/') else {
            return Err(fail("is neither in USD nor in a CAIP-19 asset".into()));
        };
        let network = Network::parse(network).map_err(|why| fail(format!("is not a price: its network {why}")))?;
        let asset = asset_reference(&network, asset).map_err(fail)?;
        let amount = Amount::parse(number).map_err(|why| fail(format!("is not a price: its number {why}")))?;
        Ok(Price::Asset { network, asset, amount })
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Price::Usd(usd) => write!(f, "{usd} USD"),
            Price::Asset { network, asset, amount } => {
                let kind = if network.evm_chain_id().is_some() { "erc20" } else { "token" };
                write!(f, "{amount} {network}/{kind}:{asset}")
            }
        }
    }
}

/// The reference of `erc20:0x…` (EVM) or `token:…` (elsewhere).
fn asset_reference(network: &Network, text: &str) -> Result<String, String> {
    let is_evm = network.evm_chain_id().is_some();
    let kind = if is_evm { "erc20" } else { "token" };
    let reference = text
        .strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix(':'))
        .ok_or_else(|| format!("needs an asset of the form {kind}:… on {network}"))?;
    if is_evm {
        let address = EvmAddress::parse(reference).map_err(|why| format!("is not a price: its asset {why}"))?;
        return Ok(address.to_string());
    }
    let fits = (1..=ASSET_REFERENCE_BYTES_MAX).contains(&reference.len())
        && reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'%'));
    if fits { Ok(reference.to_string()) } else { Err("has a malformed asset reference".to_string()) }
}

/// For exponents up to [`USD_DECIMALS`], whose power still fits 64 bits.
fn power_of_ten(exponent: usize) -> U256 {
    const POWERS: [u64; USD_DECIMALS + 1] = {
        let mut powers = [1; USD_DECIMALS + 1];
        let mut exponent = 1;
        while exponent <= USD_DECIMALS {
            powers[exponent] = powers[exponent - 1] * 10;
            exponent += 1;
        }
        powers
    };
    // Invariant: no exponent is larger; one that were would make every price too high to be paid.
    POWERS.get(exponent).map_or(U256::MAX, |power| U256::from(*power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{known_asset, known_assets};

    #[test]
    fn dollars_read_back_as_written() {
        for text in ["0.00", "0.10", "1.00", "12.345", "0.000000000000000001", "1000000.00"] {
            assert_eq!(Usd::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Usd::parse("1").unwrap(), Usd::parse("1.000").unwrap());
        for text in ["", ".", "1.", ".5", "01", "-1", "1e3", "1,5", "0.0000000000000000001", "$1", &"9".repeat(78)] {
            assert!(Usd::parse(text).is_err(), "{text:?} was read as dollars");
        }
    }

    #[test]
    fn worth_follows_the_table_and_never_wraps() {
        let usdc = known_asset(&Network::parse("eip155:8453").unwrap(), "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913");
        let usdc = usdc.unwrap();
        assert_eq!(Usd::of(usdc, &Amount::from(10_000)).unwrap().to_string(), "0.01");
        assert_eq!(Usd::of(usdc, &Amount::MAX), None);
        let eighteen = known_assets().iter().find(|asset| asset.decimals == 18).unwrap();
        assert_eq!(Usd::of(eighteen, &Amount::from(1)).unwrap().to_string(), "0.000000000000000001");
    }

    #[test]
    fn prices_are_dollars_or_atomic_units() {
        assert_eq!(Price::parse("0.10 USD").unwrap(), Price::Usd(Usd::parse("0.1").unwrap()));
        let text = "10000 eip155:8453/erc20:0x833589fcd6edb6e08f4c7c32d4f71b54bda02913";
        let price = Price::parse(text).unwrap();
        assert_eq!(price.to_string(), "10000 eip155:8453/erc20:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913");
        let refused = [
            "",
            "0.10",
            "0.10USD",
            "0.10  USD",
            "0.10 usd",
            "USD 0.10",
            "-1 USD",
            "0.5 eip155:8453/erc20:0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",
            "1 eip155:8453/erc20:0x1234",
            "1 eip155:8453/token:0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",
            "1 base/erc20:0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",
            "1 eip155:8453",
        ];
        for text in refused {
            let error = Price::parse(text).unwrap_err();
            assert_eq!(error.status, Status::Amount, "{text:?}");
            assert!(error.message.contains("0.10 USD"), "{} says nothing of the form", error.message);
        }
    }
}
