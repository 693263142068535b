//! An account or contract on an EVM chain.
//!
//! Owns the reading and writing of addresses with the EIP-55 checksum. Must not know keys or tokens. A
//! mixed-case address whose checksum is wrong is refused rather than repaired: one flipped character sends
//! the money to nobody. A checksum costs a Keccak hash and the same few addresses come again with every call,
//! so each thread remembers its last ones.

use super::remembered::Remembered;
use alloy_primitives::Address;
use std::cell::RefCell;
use std::fmt;

/// `0x` and 40 digits.
const TEXT_BYTES: usize = 42;
/// How many checksums a thread remembers: the payees and tokens of a few offers.
const CHECKSUMS_KEPT: usize = 16;

/// 20 bytes; displayed with `0x` and the EIP-55 checksum.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EvmAddress(Address);

/// Why a text is not an address; displays as the rest of a sentence that begins with the field's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Not `0x` and 40 hexadecimal digits.
    Form(String),
    /// Mixed case, and not the case that EIP-55 gives these digits.
    Checksum(String),
}

impl EvmAddress {
    /// Reads `0x` and 40 hexadecimal digits, in one case or with the EIP-55 checksum.
    pub fn parse(text: &str) -> Result<EvmAddress, AddressError> {
        let form = || AddressError::Form(crate::error::printable(text));
        let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40).ok_or_else(form)?;
        let mut bytes = [0; 20];
        alloy_primitives::hex::decode_to_slice(digits, &mut bytes).map_err(|_| form())?;
        let address = Address::new(bytes);
        let has_lower = digits.bytes().any(|byte| byte.is_ascii_lowercase());
        let has_upper = digits.bytes().any(|byte| byte.is_ascii_uppercase());
        if has_lower && has_upper && checksummed(address) != text.as_bytes() {
            return Err(AddressError::Checksum(text.to_string()));
        }
        Ok(EvmAddress(address))
    }

    pub const fn from_bytes(bytes: [u8; 20]) -> EvmAddress {
        EvmAddress(Address::new(bytes))
    }

    pub fn bytes(self) -> [u8; 20] {
        self.0.into_array()
    }

    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    pub(crate) fn to_alloy(self) -> Address {
        self.0
    }
}

/// The address as EIP-55 writes it.
fn checksummed(address: Address) -> [u8; TEXT_BYTES] {
    thread_local! {
        static KEPT: RefCell<Remembered<Address, [u8; TEXT_BYTES], CHECKSUMS_KEPT>> =
            const { RefCell::new(Remembered::new()) };
    }
    Remembered::recall(&KEPT, |known| *known == address)
        .unwrap_or_else(|| Remembered::remember(&KEPT, address, address.to_checksum_buffer(None).into_inner()))
}

impl fmt::Display for EvmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = checksummed(self.0);
        // Invariant: `0x` and hexadecimal digits, so always UTF-8.
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for EvmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressError::Form(text) => write!(f, "is {text:?}, but must be 0x and 40 hexadecimal digits"),
            AddressError::Checksum(text) => {
                write!(f, "is {text:?}, whose upper and lower case do not match its EIP-55 checksum")
            }
        }
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_case_or_the_checksum_is_required() {
        // From EIP-55 itself.
        let right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let lower = right.to_lowercase();
        let upper = format!("0x{}", right[2..].to_uppercase());
        for text in [right, &lower, &upper] {
            assert_eq!(EvmAddress::parse(text).unwrap().to_string(), right);
        }
        let flipped = right.replacen('A', "a", 1);
        assert!(matches!(EvmAddress::parse(&flipped), Err(AddressError::Checksum(_))));
    }

    #[test]
    fn a_remembered_checksum_is_that_of_its_address() {
        // More addresses than are remembered, each several times and in changing order.
        for round in 0..5_usize {
            for at in 0..3 * CHECKSUMS_KEPT {
                let byte = (at * (round + 1) % (2 * CHECKSUMS_KEPT)) as u8;
                let address = EvmAddress::from_bytes([byte.wrapping_mul(37); 20]);
                let text = address.to_string();
                assert_eq!(text, address.to_alloy().to_checksum(None));
                assert_eq!(EvmAddress::parse(&text).unwrap(), address);
            }
        }
    }

    #[test]
    fn nothing_else_is_an_address() {
        let digits = "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";
        let cases = [
            "",
            "0x",
            "0x1234",
            "USDC",
            digits,
            &format!("0X{digits}"),
            &format!("0x{digits}0"),
            &format!("0x{}g", &digits[..39]),
            &format!("0x0x{}", &digits[..38]),
            "0xé4aeb6053f3e94c9b9a09f33669435e7ef1beae",
        ];
        for text in cases {
            assert!(matches!(EvmAddress::parse(text), Err(AddressError::Form(_))), "{text:?} was read");
        }
    }
}
