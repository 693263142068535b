//! An amount of some asset in atomic units.
//!
//! Owns the one accepted spelling of a number of units. Must not know which asset is counted. 256 bits
//! because that is the width of a token balance on EVM chains; there is no wrapping arithmetic.

use alloy_primitives::U256;
use std::fmt;

/// Decimal digits of 2^256 - 1.
const AMOUNT_DIGITS_MAX: usize = 78;

/// An integer number of atomic units, 0 to 2^256 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(U256);

impl Amount {
    pub const ZERO: Amount = Amount(U256::ZERO);
    pub const MAX: Amount = Amount(U256::MAX);

    /// Reads `0` or digits without a leading zero, at most 2^256 - 1. Anything else (sign, blank, point,
    /// exponent, hexadecimal) is refused with the rest of a sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Amount, String> {
        digits_to_u256(text).map(Amount)
    }

    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    pub fn checked_add(self, other: Amount) -> Option<Amount> {
        self.0.checked_add(other.0).map(Amount)
    }

    pub fn checked_sub(self, other: Amount) -> Option<Amount> {
        self.0.checked_sub(other.0).map(Amount)
    }

    /// 32 bytes, most significant first.
    pub fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// `None` above 2^64 - 1.
    pub fn to_u64(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }

    pub(crate) fn from_u256(units: U256) -> Amount {
        Amount(units)
    }

    pub(crate) fn to_u256(self) -> U256 {
        self.0
    }
}

impl From<u64> for Amount {
    fn from(units: u64) -> Self {
        Amount(U256::from(units))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The common case: far cheaper than dividing 256 bits digit by digit.
        match u64::try_from(self.0) {
            Ok(units) => fmt::Display::fmt(&units, f),
            Err(_) => fmt::Display::fmt(&self.0, f),
        }
    }
}

/// The strict reading of a whole number shared by amounts and the whole dollars of a price.
pub(super) fn digits_to_u256(text: &str) -> Result<U256, String> {
    if text.is_empty() {
        return Err("is empty, but must be a whole number of atomic units".into());
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("is {:?}, but must be decimal digits only", crate::error::printable(text)));
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(format!("is {:?}, but must not begin with a zero", crate::error::printable(text)));
    }
    if text.len() > AMOUNT_DIGITS_MAX {
        return Err(format!("has {} digits, but must not exceed 2^256 - 1", text.len()));
    }
    if let Ok(units) = text.parse::<u64>() {
        return Ok(U256::from(units));
    }
    U256::from_str_radix(text, 10).map_err(|_| "must not exceed 2^256 - 1".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_TEXT: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn only_plain_decimal_is_an_amount() {
        for text in ["0", "1", "10000", "18446744073709551615", "18446744073709551616", MAX_TEXT] {
            assert_eq!(Amount::parse(text).unwrap().to_string(), text);
        }
        let above_max = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        for text in ["", "00", "01", "-1", "+1", " 1", "1 ", "0x10", "1e4", "0.01", "1_000", "١", above_max] {
            assert!(Amount::parse(text).is_err(), "{text:?} was read as an amount");
        }
        assert!(Amount::parse(&"9".repeat(100_000)).unwrap_err().contains("100000 digits"));
    }

    #[test]
    fn arithmetic_never_wraps() {
        let one = Amount::from(1);
        assert_eq!(Amount::parse(MAX_TEXT).unwrap(), Amount::MAX);
        assert_eq!(Amount::MAX.checked_add(one), None);
        assert_eq!(Amount::ZERO.checked_sub(one), None);
        assert_eq!(one.checked_add(one), Some(Amount::from(2)));
        assert_eq!(Amount::from(258).to_be_bytes()[30..], [1, 2]);
    }
}
