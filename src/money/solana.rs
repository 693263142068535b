//! An account on Solana: a wallet, a token account, a mint or a program.
//!
//! Owns the reading and writing of its 32 bytes in base58. Must not know what lives there. Base58 has no checksum, so
//! a mistyped address cannot be told from another one; only a text that spells exactly 32 bytes is read. The same few
//! come again with every call and several times in it, so each thread remembers its last ones.

use super::remembered::Remembered;
use std::cell::RefCell;
use std::fmt;

/// The longest text of 32 bytes.
const TEXT_BYTES_MAX: usize = five8::BASE58_ENCODED_32_MAX_LEN;
/// How many texts a thread remembers: the accounts of a few offers.
const TEXTS_KEPT: usize = 16;

/// 32 bytes; displayed in base58.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SolanaAddress([u8; 32]);

impl SolanaAddress {
    /// Reads base58 (Bitcoin's alphabet) of 32 bytes. The error is the rest of a sentence that begins with the
    /// field's name.
    pub fn parse(text: &str) -> Result<SolanaAddress, String> {
        decoded(text)
            .map(SolanaAddress)
            .ok_or_else(|| format!("is {:?}, but must be 32 bytes in base58", crate::error::printable(text)))
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

fn decoded(text: &str) -> Option<[u8; 32]> {
    thread_local! {
        static KEPT: RefCell<Remembered<Text, [u8; 32], TEXTS_KEPT>> = const { RefCell::new(Remembered::new()) };
    }
    Remembered::recall(&KEPT, |known| known.is(text)).or_else(|| {
        let mut bytes = [0; 32];
        five8::decode_32(text, &mut bytes).ok()?;
        Some(Remembered::remember(&KEPT, Text::of(text)?, bytes))
    })
}

/// A text that is an address: its bytes and how many they are.
struct Text([u8; TEXT_BYTES_MAX], usize);

impl Text {
    fn of(text: &str) -> Option<Text> {
        let mut bytes = [0; TEXT_BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Text(bytes, text.len()))
    }

    fn is(&self, text: &str) -> bool {
        self.0.get(..self.1) == Some(text.as_bytes())
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
    fn a_remembered_address_is_that_of_its_text() {
        // More addresses than are remembered, each several times and in changing order.
        for round in 0..5_usize {
            for at in 0..3 * TEXTS_KEPT {
                let byte = (at * (round + 1) % (2 * TEXTS_KEPT)) as u8;
                let bytes = [byte.wrapping_mul(37); 32];
                let text = SolanaAddress::from_bytes(bytes).to_string();
                assert_eq!(SolanaAddress::parse(&text).unwrap().bytes(), &bytes);
                assert!(SolanaAddress::parse(&format!("{text}\0")).is_err());
                assert!(SolanaAddress::parse(&text[..text.len() - 2]).is_err());
            }
        }
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
