//! Phrases of words that stand for a seed (BIP-39, the English list).
//!
//! Owns the reading of a phrase and the seed it gives. Must not know which keys are derived from it. An error names
//! a word by its position and never repeats it. Phrase and passphrase are normalised (NFKD), as every wallet does;
//! what holds them meanwhile is wiped, except for what the normaliser and the word list keep on their stacks.

use crate::error::{Error, Status};
use bip39::{Language, Mnemonic};
use icu_normalizer::DecomposingNormalizerBorrowed;
use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

const SALT_PREFIX: &str = "mnemonic";
const SEED_ROUNDS: u32 = 2048;
/// Normalising can make text longer, by at most this factor in UTF-8 (Unicode annex 15).
const NFKD_GROWTH_MAX: usize = 11;

/// What all keys of a phrase are derived from.
pub(super) struct Seed(Box<[u8; 64]>);

impl Seed {
    pub fn bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Reads a phrase of 12 to 24 words. Errors are `Status::Key`.
pub(super) fn seed(phrase: &str, passphrase: &str) -> Result<Seed, Error> {
    let sentence = normalised("", phrase);
    let words = check(&sentence)?;
    let mut joined = Zeroizing::new(String::with_capacity(sentence.len()));
    for (at, word) in words.words().enumerate() {
        if at > 0 {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    let salt = normalised(SALT_PREFIX, passphrase);
    let mut seed = Seed(Box::new([0; 64]));
    pbkdf2::pbkdf2_hmac::<Sha512>(joined.as_bytes(), salt.as_bytes(), SEED_ROUNDS, seed.0.as_mut_slice());
    Ok(seed)
}

fn check(sentence: &str) -> Result<Mnemonic, Error> {
    let fail = |message: String| Error::new(Status::Key, message);
    Mnemonic::parse_in_normalized(Language::English, sentence).map_err(|error| match error {
        bip39::Error::BadWordCount(count) => {
            fail(format!("the mnemonic has {count} words; give 12, 15, 18, 21 or 24 words with spaces between them"))
        }
        bip39::Error::UnknownWord(at) => fail(format!(
            "word {} of the mnemonic is not on the English list of BIP-39; check its spelling, in lower case",
            at + 1
        )),
        bip39::Error::InvalidChecksum => {
            fail("the mnemonic's checksum is wrong: a word or the order of the words is not the original's".into())
        }
        _ => fail("the mnemonic cannot be read; give the words of the English list of BIP-39".into()),
    })
}

/// NFKD, after `prefix`; in one buffer that never grows, so that nothing is left behind.
fn normalised(prefix: &str, text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(prefix.len() + text.len() * NFKD_GROWTH_MAX));
    out.push_str(prefix);
    // Writing to a String cannot fail.
    let _ = DecomposingNormalizerBorrowed::new_nfkd().normalize_to(text, &mut *out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase() -> String {
        "abandon ".repeat(11) + "about"
    }

    #[test]
    fn each_wrong_phrase_has_its_own_sentence_and_no_word_is_repeated() {
        for (phrase, expected) in [
            (String::new(), "has 0 words"),
            ("zebra ".repeat(11), "has 11 words"),
            ("zebra ".repeat(13), "has 13 words"),
            ("zebra ".repeat(27), "has 27 words"),
            (phrase().replace("about", "zebra"), "checksum is wrong"),
            ("about ".to_string() + &"abandon ".repeat(11), "checksum is wrong"),
            (phrase().replace("about", "abuot"), "word 12 "),
            (phrase().replacen("abandon", "Abandon", 1), "word 1 "),
        ] {
            let error = seed(&phrase, "a passphrase").err().unwrap();
            assert_eq!(error.status, Status::Key);
            assert!(error.message.contains(expected), "{error}");
            let shown = format!("{error:?}").to_lowercase();
            for word in ["zebra", "abandon", "about", "abuot", "passphrase"] {
                assert!(!shown.contains(word), "{shown}");
            }
        }
    }

    /// The reference vectors of BIP-39 (passphrase TREZOR), one of each length.
    #[test]
    fn seeds_are_those_of_the_standard() {
        for (phrase, start) in [
            (phrase(), "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e5349553"),
            ("abandon ".repeat(17) + "agent", "035895f2f481b1b0f01fcf8c289c794660b289981a78f8106447707fdd9666ca"),
            ("abandon ".repeat(23) + "art", "bda85446c68413707090a52022edd26a1c9462295029f2e60cd7c4f2bbd30971"),
        ] {
            let seed = seed(&phrase, "TREZOR").unwrap();
            assert_eq!(alloy_primitives::hex::encode(&seed.bytes()[..32]), start);
        }
    }

    #[test]
    fn text_is_normalised_and_spaces_do_not_matter() {
        let spaced = format!("\n {} \t", phrase().replace(' ', "  "));
        let wide = phrase().replace(' ', "\u{3000}").replace("about", "ａｂｏｕｔ");
        for other in [spaced, wide] {
            assert_eq!(seed(&other, "").unwrap().bytes(), seed(&phrase(), "").unwrap().bytes());
        }
        let composed = seed(&phrase(), "pâß\u{fb03}").unwrap();
        let decomposed = seed(&phrase(), "pa\u{302}ßffi").unwrap();
        assert_eq!(composed.bytes(), decomposed.bytes());
        assert_ne!(seed(&phrase(), "a ").unwrap().bytes(), seed(&phrase(), "a").unwrap().bytes());
    }

    #[test]
    fn the_longest_growth_fits_the_buffer() {
        for text in ["\u{fdfa}", "\u{1d160}", "\u{390}", "\u{ac01}"] {
            assert!(normalised("", text).len() <= text.len() * NFKD_GROWTH_MAX);
        }
    }
}
