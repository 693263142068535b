//! From a seed to one key: BIP-32 for EVM, SLIP-0010 for Solana.
//!
//! Owns derivation paths and the steps along them. Must not know words or addresses. The path is checked before any
//! seed is computed, and its error names the component. Every intermediate key is wiped; the chain codes, which tell
//! nothing without a key, are wiped for ed25519 and left to the library's stack for secp256k1.

use super::mnemonic::Seed;
use super::secret::Secret;
use crate::error::{Error, Status, printable};
use bip32::{ChildNumber, ExtendedPrivateKey, PrivateKey, PrivateKeyBytes};
use hmac::digest::FixedOutput;
use hmac::{Hmac, KeyInit, Mac};
use secp256k1::{PublicKey, Scalar, SecretKey};
use sha2::Sha512;
use zeroize::Zeroizing;

/// The first account of most EVM wallets (BIP-44).
pub(super) const EVM_PATH: &str = "m/44'/60'/0'/0/0";
/// The first account of most Solana wallets.
pub(super) const SOLANA_PATH: &str = "m/44'/501'/0'/0'";

/// Deeper than any wallet goes; each level costs a derivation.
const PATH_LEVELS_MAX: usize = 16;

/// Which key of a seed.
pub(super) struct Path {
    text: String,
    levels: Vec<ChildNumber>,
}

impl Path {
    /// Reads `m`, then up to 16 times `/` and an index below 2^31, with `'` or `h` after it if it is hardened.
    pub fn parse(text: &str) -> Result<Path, Error> {
        let shown = printable(text);
        let fail = |why: String| {
            Error::new(Status::Key, format!("the derivation path \"{shown}\" {why}; a path looks like {EVM_PATH}"))
        };
        let mut components = text.split('/');
        if components.next() != Some("m") {
            return Err(fail("does not begin with m".into()));
        }
        let levels: Vec<ChildNumber> = components
            .enumerate()
            .map(|(at, component)| {
                level(component).ok_or_else(|| {
                    let component = printable(component);
                    fail(format!("has \"{component}\" as component {}, which is no index below 2^31", at + 1))
                })
            })
            .collect::<Result<_, _>>()?;
        if levels.len() > PATH_LEVELS_MAX {
            return Err(fail(format!("has {} components, more than {PATH_LEVELS_MAX}", levels.len())));
        }
        Ok(Path { text: shown, levels })
    }
}

fn level(component: &str) -> Option<ChildNumber> {
    let index = component.strip_suffix(['\'', 'h', 'H']);
    let digits = index.unwrap_or(component);
    // A sign is no digit, though numbers may be read with one.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    ChildNumber::new(digits.parse().ok()?, index.is_some()).ok()
}

/// BIP-32.
pub(super) fn secp256k1(seed: &Seed, path: &Path) -> Result<Secret, Error> {
    let impossible = |_| {
        let message = "the seed gives no key at this derivation path; use the next index (a chance of 2^-127)";
        Error::new(Status::Key, message)
    };
    let root = ExtendedPrivateKey::<Step>::new(seed.bytes()).map_err(impossible)?;
    let leaf = path.levels.iter().try_fold(root, |key, level| key.derive_child(*level)).map_err(impossible)?;
    let mut secret = Secret::empty()?;
    secret.bytes_mut().copy_from_slice(leaf.private_key().0.as_slice());
    Ok(secret)
}

/// A key on the way, wiped when it is left behind; the curve library's own type is not.
struct Step(Zeroizing<[u8; 32]>);

impl Step {
    fn key(&self) -> bip32::Result<SecretKey> {
        Ok(SecretKey::from_secret_bytes(*self.0)?)
    }
}

impl PrivateKey for Step {
    type PublicKey = PublicKey;

    fn from_bytes(bytes: &PrivateKeyBytes) -> bip32::Result<Self> {
        let step = Step(Zeroizing::new(*bytes));
        step.key()?.non_secure_erase();
        Ok(step)
    }

    fn to_bytes(&self) -> PrivateKeyBytes {
        *self.0
    }

    fn derive_child(&self, tweak: PrivateKeyBytes) -> bip32::Result<Self> {
        let mut child = self.key()?.add_tweak(&Scalar::from_be_bytes(tweak)?)?;
        let step = Step(Zeroizing::new(child.to_secret_bytes()));
        child.non_secure_erase();
        Ok(step)
    }

    fn public_key(&self) -> PublicKey {
        // Invariant: `from_bytes` and `derive_child` only let valid keys be.
        let mut key = self.key().expect("a valid key");
        let public = PublicKey::from_secret_key(&key);
        key.non_secure_erase();
        public
    }
}

/// SLIP-0010, where every level is hardened.
pub(super) fn ed25519(seed: &Seed, path: &Path) -> Result<Secret, Error> {
    let mut node = keyed_hash(b"ed25519 seed", &[seed.bytes()]);
    for (at, level) in path.levels.iter().enumerate() {
        if !level.is_hardened() {
            let message = format!(
                "the derivation path \"{}\" has {level} as component {}, but Solana keys are derived by hardened \
                 indices only; write {level}'",
                path.text,
                at + 1
            );
            return Err(Error::new(Status::Key, message));
        }
        let (key, chain_code) = node.split_at(32);
        node = keyed_hash(chain_code, &[&[0], key, &level.to_bytes()]);
    }
    let mut secret = Secret::empty()?;
    secret.bytes_mut().copy_from_slice(node.split_at(32).0);
    Ok(secret)
}

fn keyed_hash(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    // Invariant: HMAC takes keys of any length.
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("any length");
    parts.iter().for_each(|part| mac.update(part));
    let mut out = Zeroizing::new([0; 64]);
    mac.finalize_into((&mut *out).into());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::{Wallet, mnemonic};
    use serde_json::Value;

    fn hexadecimal(secret: &Secret) -> String {
        alloy_primitives::hex::encode(secret.bytes().unwrap())
    }

    #[test]
    fn keys_are_those_of_other_wallets() {
        let file: Value = serde_json::from_str(include_str!("../../tests/vectors/hd-derivation.json")).unwrap();
        let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_string();
        let (mut evm, mut solana) = (0, 0);
        for vector in file["vectors"].as_array().unwrap() {
            let (phrase, passphrase) = (text(vector, "mnemonic"), text(vector, "passphrase"));
            let seed = mnemonic::seed(&phrase, &passphrase).unwrap();
            assert_eq!(alloy_primitives::hex::encode(seed.bytes()), text(vector, "seedHex"));
            for key in vector["evm"].as_array().unwrap() {
                let path = text(key, "path");
                let secret = secp256k1(&seed, &Path::parse(&path).unwrap()).unwrap();
                assert_eq!(format!("0x{}", hexadecimal(&secret)), text(key, "privateKey"), "{path}");
                let mut wallet = Wallet::new();
                wallet.add_evm_mnemonic(&phrase, &passphrase, Some(&path)).unwrap();
                assert_eq!(wallet.address("eip155", 0), key["address"].as_str());
                evm += 1;
            }
            for key in vector["solana"].as_array().unwrap() {
                let path = text(key, "path");
                let secret = ed25519(&seed, &Path::parse(&path).unwrap()).unwrap();
                assert_eq!(hexadecimal(&secret), text(key, "privateSeed"), "{path}");
                let mut wallet = Wallet::new();
                wallet.add_solana_mnemonic(&phrase, &passphrase, Some(&path)).unwrap();
                assert_eq!(wallet.address("solana", 0), key["address"].as_str());
                solana += 1;
            }
        }
        assert!(evm >= 15 && solana >= 18, "{evm} {solana}");
    }

    /// The same library with its own keys of another curve library is the oracle.
    #[test]
    fn steps_with_wiped_keys_lead_where_the_librarys_own_do() {
        let file: Value = serde_json::from_str(include_str!("../../tests/vectors/hd-derivation.json")).unwrap();
        let phrase = file["vectors"][0]["mnemonic"].as_str().unwrap();
        let seed = mnemonic::seed(phrase, "").unwrap();
        for path in ["m", "m/0", "m/0h/1", "m/2147483647'/1/2/3h", "m/44H/60'/7"] {
            let oracle: bip32::DerivationPath = path.replace(['h', 'H'], "'").parse().unwrap();
            let oracle = bip32::XPrv::derive_from_path(seed.bytes(), &oracle).unwrap();
            let ours = secp256k1(&seed, &Path::parse(path).unwrap()).unwrap();
            assert_eq!(ours.bytes().unwrap(), &oracle.to_bytes(), "{path}");
        }
    }

    #[test]
    fn a_solana_path_must_be_hardened_and_says_where_it_is_not() {
        let mut wallet = Wallet::new();
        let phrase = "test ".repeat(11) + "junk";
        let error = wallet.add_solana_mnemonic(&phrase, "", Some("m/44'/501'/7/0'")).unwrap_err();
        assert_eq!(error.status, Status::Key);
        assert!(error.message.contains("7 as component 3") && error.message.contains("write 7'"), "{error}");
        assert!(wallet.is_empty());
    }

    #[test]
    fn a_wrong_path_is_named_by_its_component() {
        for (path, expected) in [
            ("", "begin with m"),
            ("44'/60'", "begin with m"),
            ("m/", "component 1"),
            ("m/44'/x/0", "\"x\" as component 2"),
            ("m/44'/+1", "component 2"),
            ("m/44'/-1", "component 2"),
            ("m/44''", "component 1"),
            ("m/44'/2147483648", "component 2"),
            ("m/99999999999999999999", "component 1"),
            ("m/0 /1", "component 1"),
            ("m/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0", "17 components"),
        ] {
            let error = Path::parse(path).err().unwrap();
            assert_eq!(error.status, Status::Key);
            assert!(error.message.contains(expected), "{path}: {error}");
        }
    }
}
