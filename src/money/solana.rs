//! An account on Solana: a wallet, a token account, a mint or a program.
//!
//! Owns the reading and writing of its 32 bytes in base58. Must not know what lives there. Base58 has no checksum, so
//! a mistyped address cannot be told from another one; only a text that spells exactly 32 bytes is read.

use std::fmt;

/// The longest text of 32 bytes.
const TEXT_BYTES_MAX: usize = five8::BASE58_ENCODED_32_MAX_LEN;

/// 32 bytes; displayed in base58.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SolanaAddress([u8; 32]);

impl SolanaAddress {
    /// Reads base58 (Bitcoin's alphabet) of 32 bytes. The error is the rest of a sentence that begins with the
    /// field's name.
    pub fn parse(text: &str) -> Result<SolanaAddress, String> {
        let mut bytes = [0; 32];
        match five8::decode_32(text, &mut bytes) {
            Ok(()) => Ok(SolanaAddress(bytes)),
            Err(_) => Err(format!("is {:?}, but must be 32 bytes in base58", crate::error::printable(text))),
        }
    }

    /// A constant of the program text: one that cannot be read does not compile.
    pub const fn constant(text: &str) -> SolanaAddress {
        SolanaAddress(five8_const::decode_32_const(text))
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> SolanaAddress {
        SolanaAddress(bytes)
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The System program's address, which nobody can hold a key of.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 32]
    }
}

impl fmt::Display for SolanaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; TEXT_BYTES_MAX];
        let length = usize::from(five8::encode_32(&self.0, &mut text));
        // Invariant: base58 digits, so always UTF-8.
        f.write_str(text.get(..length).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default())
    }
}

impl fmt::Debug for SolanaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_alike() {
        for text in ["9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj", "11111111111111111111111111111111"] {
            assert_eq!(SolanaAddress::parse(text).unwrap().to_string(), text);
            assert_eq!(SolanaAddress::constant(text), SolanaAddress::parse(text).unwrap());
        }
        assert!(SolanaAddress::parse("11111111111111111111111111111111").unwrap().is_zero());
        assert_eq!(SolanaAddress::from_bytes([255; 32]).to_string().len(), TEXT_BYTES_MAX);
    }

    #[test]
    fn nothing_else_is_an_address() {
        let right = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj";
        // One digit less may well be another address.
        let (short, long) = (&right[2..], format!("{right}1"));
        let refused = [
            "",
            " ",
            "1",
            short,
            &long,
            &format!("1{right}"),
            &format!(" {right}"),
            &right.replacen('C', "0", 1),
            &right.replacen('C', "l", 1),
            &right.replacen('C', "é", 1),
            "1111111111111111111111111111111",
            "111111111111111111111111111111111",
            &"z".repeat(44),
            "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
        ];
        for text in refused {
            let error = SolanaAddress::parse(text).unwrap_err();
            assert!(error.contains("32 bytes in base58"), "{error}");
        }
    }
}
