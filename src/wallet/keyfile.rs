//! Keys in files: an encrypted EVM key (Web3 Secret Storage, version 3), or a Solana key pair as `solana-keygen` writes.
//!
//! Owns who else may read such a file, and what its author may make this process do: the file names the work that
//! its password costs, so memory and time are bounded here. An error names the file and what is wrong with it, and
//! never the password or anything decrypted.

use super::secret::Secret;
use crate::error::{Error, Status, printable};
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use alloy_primitives::{hex, keccak256};
use serde::Deserialize;
use sha2::Sha256;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use zeroize::Zeroizing;

/// Real ones have about 500.
const FILE_BYTES_MAX: usize = 65_536;
/// What geth's standard setting needs, the most that wallets use.
const SCRYPT_MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Blocks mixed in all, about a second: twice geth's standard setting.
const SCRYPT_WORK_MAX: u64 = 1 << 22;
/// About a second; wallets use up to 262144.
const PBKDF2_ROUNDS_MAX: u32 = 2_000_000;
const SALT_BYTES_MAX: usize = 1024;

/// What a file holds.
pub(super) enum Content {
    /// The key, and the address that the file says it has, if it says one: digits without `0x`.
    Evm(Secret, Option<String>),
    /// The text of a key pair.
    Solana(Zeroizing<String>),
}

/// Reads the file at `path`. Errors are `Status::Key`.
pub(super) fn read(path: &str, password: Option<&str>) -> Result<Content, Error> {
    let fail = |why: String| Error::new(Status::Key, format!("the key file \"{}\" {why}", printable(path)));
    let text = text_of(path, &fail)?;
    if text.trim_ascii_start().starts_with('[') {
        return match password {
            None | Some("") => Ok(Content::Solana(text)),
            Some(_) => Err(fail("is a Solana key pair, which has no password; pass none".into())),
        };
    }
    // What the parser could say repeats what it found.
    let store: Keystore = serde_json::from_str(&text)
        .map_err(|cause| fail(format!("is no version 3 keystore and no Solana key pair (line {})", cause.line())))?;
    if store.version != 3 {
        return Err(fail(format!("is a keystore of version {}; only version 3 can be read", store.version)));
    }
    let password = password
        .ok_or_else(|| fail("is encrypted, and no password was given; pass the one it was made with".into()))?;
    let secret = store.crypto.open(password.as_bytes()).map_err(|problem| match problem {
        Problem::File(why) => fail(why),
        Problem::Other(error) => error,
    })?;
    Ok(Content::Evm(secret, store.address))
}

fn text_of(path: &str, fail: &dyn Fn(String) -> Error) -> Result<Zeroizing<String>, Error> {
    // A pipe without a writer would block; the check below refuses it.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|cause| fail(format!("cannot be opened: {cause}")))?;
    let about = file.metadata().map_err(|cause| fail(format!("cannot be looked at: {cause}")))?;
    if !about.is_file() {
        return Err(fail("is not a regular file".into()));
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(fail(format!("can be read or changed by others (mode {mode:03o}); run chmod 600 on it")));
    }
    if about.len() > FILE_BYTES_MAX as u64 {
        return Err(fail(format!("has {} bytes, more than the {FILE_BYTES_MAX} of any key file", about.len())));
    }
    let bytes = bytes_of(file).map_err(|cause| fail(format!("cannot be read: {cause}")))?;
    match str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(fail("is not text".into())),
    }
}

fn bytes_of(file: File) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // Never moved while it grows, so that no copy stays behind.
    let mut bytes = Zeroizing::new(vec![0; FILE_BYTES_MAX]);
    let mut length = 0;
    let mut file = file;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            count => length += count,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

#[derive(Deserialize)]
struct Keystore {
    version: u32,
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

/// Of both functions; each takes its own.
#[derive(Deserialize)]
struct KdfParams {
    dklen: u32,
    salt: String,
    n: Option<u64>,
    r: Option<u32>,
    p: Option<u32>,
    c: Option<u32>,
    prf: Option<String>,
}

enum Problem {
    /// The rest of a sentence about the file.
    File(String),
    Other(Error),
}

impl From<String> for Problem {
    fn from(why: String) -> Self {
        Problem::File(why)
    }
}

impl Crypto {
    fn open(&self, password: &[u8]) -> Result<Secret, Problem> {
        if self.cipher != "aes-128-ctr" {
            return Err(format!("is encrypted with \"{}\"; only aes-128-ctr is read", printable(&self.cipher)).into());
        }
        let ciphertext: [u8; 32] = digits("ciphertext", &self.ciphertext)?;
        let mac: [u8; 32] = digits("mac", &self.mac)?;
        let mut counter = u128::from_be_bytes(digits("iv", &self.cipherparams.iv)?);
        let derived = self.kdfparams.derive(&self.kdf, password)?;
        let (key, mac_key) = derived.split_at(16);
        if keccak256([mac_key, &ciphertext].concat()).0 != mac {
            return Err("does not open with this password, or is damaged".to_string().into());
        }
        let mut secret = Secret::empty().map_err(Problem::Other)?;
        // Invariant: half of 32 bytes are a key of 16.
        let cipher = Aes128::new_from_slice(key).expect("16 bytes");
        for (out, encrypted) in secret.bytes_mut().chunks_exact_mut(16).zip(ciphertext.chunks_exact(16)) {
            let mut pad = counter.to_be_bytes().into();
            cipher.encrypt_block(&mut pad);
            out.iter_mut().zip(encrypted).zip(&pad).for_each(|((out, byte), pad)| *out = byte ^ pad);
            zeroize::Zeroize::zeroize(&mut pad[..]);
            counter = counter.wrapping_add(1);
        }
        Ok(secret)
    }
}

impl KdfParams {
    fn derive(&self, kdf: &str, password: &[u8]) -> Result<Zeroizing<[u8; 32]>, String> {
        if self.dklen != 32 {
            return Err(format!("has kdfparams.dklen {}; only 32 is read", self.dklen));
        }
        let salt = hex::decode(&self.salt).map_err(|_| "has a kdfparams.salt that is not hexadecimal".to_string())?;
        if salt.len() > SALT_BYTES_MAX {
            return Err(format!("has a kdfparams.salt of {} bytes, more than {SALT_BYTES_MAX}", salt.len()));
        }
        let mut derived = Zeroizing::new([0; 32]);
        match kdf {
            "scrypt" => {
                let params = self.scrypt()?;
                // Invariant: 32 bytes are no wrong length.
                scrypt::scrypt(password, &salt, &params, derived.as_mut_slice()).map_err(|error| error.to_string())?;
            }
            "pbkdf2" => pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, self.rounds()?, derived.as_mut_slice()),
            other => return Err(format!("derives its key by \"{}\"; scrypt and pbkdf2 are read", printable(other))),
        }
        Ok(derived)
    }

    fn scrypt(&self) -> Result<scrypt::Params, String> {
        let (Some(n), Some(r), Some(p)) = (self.n, self.r, self.p) else {
            return Err("lacks n, r or p in kdfparams".into());
        };
        let memory = n.saturating_mul(u64::from(r)).saturating_mul(128);
        let work = n.saturating_mul(u64::from(r)).saturating_mul(u64::from(p));
        if memory > SCRYPT_MEMORY_BYTES_MAX || work > SCRYPT_WORK_MAX {
            return Err(format!(
                "asks for scrypt with n {n}, r {r}, p {p}: more than {} MiB or {SCRYPT_WORK_MAX} blocks",
                SCRYPT_MEMORY_BYTES_MAX >> 20
            ));
        }
        let wrong = || format!("has scrypt parameters that do not fit: n {n}, r {r}, p {p}");
        if n < 2 || !n.is_power_of_two() {
            return Err(wrong());
        }
        // Invariant: the logarithm of a u64 fits.
        scrypt::Params::new(n.trailing_zeros() as u8, r, p).map_err(|_| wrong())
    }

    fn rounds(&self) -> Result<u32, String> {
        match self.prf.as_deref() {
            Some("hmac-sha256") => {}
            other => {
                let other = printable(other.unwrap_or("none"));
                return Err(format!("asks for pbkdf2 with prf \"{other}\"; only hmac-sha256 is read"));
            }
        }
        match self.c {
            Some(c) if (1..=PBKDF2_ROUNDS_MAX).contains(&c) => Ok(c),
            Some(c) => Err(format!("asks for {c} rounds of pbkdf2; 1 to {PBKDF2_ROUNDS_MAX} are read")),
            None => Err("lacks c in kdfparams".into()),
        }
    }
}

fn digits<const N: usize>(name: &str, text: &str) -> Result<[u8; N], String> {
    hex::decode_to_array(text).map_err(|_| format!("has a {name} that is not {N} bytes in hexadecimal"))
}

#[cfg(test)]
mod tests {
    use crate::error::Status;
    use crate::wallet::Wallet;
    use serde_json::{Value, json};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    /// The test vectors of the Web3 Secret Storage Definition; both hold the same key.
    const ADDRESS: &str = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b";
    const PASSWORD: Option<&str> = Some("testpassword");

    fn pbkdf2() -> Value {
        json!({
            "crypto": {
                "cipher": "aes-128-ctr",
                "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
                "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
                "kdf": "pbkdf2",
                "kdfparams": {
                    "c": 262144, "dklen": 32, "prf": "hmac-sha256",
                    "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
                },
                "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
            },
            "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
            "version": 3,
        })
    }

    fn scrypt() -> Value {
        json!({
            "address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
            "Crypto": {
                "cipher": "aes-128-ctr",
                "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
                "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
                "kdf": "scrypt",
                "kdfparams": {
                    "dklen": 32, "n": 262144, "r": 1, "p": 8,
                    "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
                },
                "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
            },
            "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
            "version": 3,
        })
    }

    fn with_mode(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The wallet with the key of a file of this text.
    fn opened(text: &str, password: Option<&str>) -> Result<Wallet, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        with_mode(&path, text, 0o600);
        add(path.to_str().unwrap(), password)
    }

    fn add(path: &str, password: Option<&str>) -> Result<Wallet, String> {
        let mut wallet = Wallet::new();
        match wallet.add_keyfile(path, password) {
            Ok(()) => Ok(wallet),
            Err(error) => {
                assert_eq!(error.status, Status::Key);
                assert!(wallet.is_empty() && !format!("{error:?}").contains("testpass"), "{error:?}");
                Err(error.message)
            }
        }
    }

    fn refused(change: impl FnOnce(&mut Value), expected: &str) {
        let mut store = pbkdf2();
        change(&mut store);
        let message = opened(&store.to_string(), PASSWORD).unwrap_err();
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
    }

    #[test]
    fn keystores_of_others_open() {
        for store in [pbkdf2(), scrypt()] {
            let wallet = opened(&store.to_string(), PASSWORD).unwrap();
            assert_eq!(wallet.address("eip155", 0), Some(ADDRESS));
        }
    }

    #[test]
    fn a_wrong_password_is_told() {
        for password in ["", "testpassword ", "Testpassword"] {
            let message = opened(&pbkdf2().to_string(), Some(password)).unwrap_err();
            assert!(message.contains("does not open with this password"), "{message}");
        }
        assert!(opened(&pbkdf2().to_string(), None).unwrap_err().contains("no password was given"));
    }

    #[test]
    fn a_hostile_file_takes_neither_memory_nor_time() {
        for (n, r, p) in [(1u64 << 40, 8, 1), (1 << 22, 8, 1), (1 << 18, 16, 1), (2, 1 << 30, 1), (1 << 18, 1, 17)] {
            let kdf = json!({"dklen": 32, "salt": "00", "n": n, "r": r, "p": p});
            refused(
                |store| {
                    store["crypto"]["kdf"] = "scrypt".into();
                    store["crypto"]["kdfparams"] = kdf.clone();
                },
                "asks for scrypt",
            );
        }
        for (n, r, p) in [(0, 8, 1), (1, 8, 1), (3, 8, 1), (4096, 0, 1), (4096, 8, 0)] {
            let kdf = json!({"dklen": 32, "salt": "00", "n": n, "r": r, "p": p});
            refused(
                |store| {
                    store["crypto"]["kdf"] = "scrypt".into();
                    store["crypto"]["kdfparams"] = kdf.clone();
                },
                "do not fit",
            );
        }
        refused(|store| store["crypto"]["kdfparams"]["c"] = 2_000_001.into(), "rounds of pbkdf2");
        refused(|store| store["crypto"]["kdfparams"]["c"] = 0.into(), "rounds of pbkdf2");
        refused(|store| store["crypto"]["kdfparams"]["dklen"] = 4_000_000_000u32.into(), "dklen");
        refused(|store| store["crypto"]["kdfparams"]["salt"] = "00".repeat(1025).into(), "salt of 1025");
        let large = opened(&" ".repeat(65_537), PASSWORD).unwrap_err();
        assert!(large.contains("65537 bytes"), "{large}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        refused(|store| store["version"] = 4.into(), "version 4");
        refused(|store| store["crypto"]["cipher"] = "aes-256-ctr".into(), "aes-256-ctr");
        refused(|store| store["crypto"]["kdf"] = "argon2".into(), "argon2");
        refused(|store| store["crypto"]["kdfparams"]["prf"] = "hmac-md5".into(), "hmac-md5");
        refused(|store| store["crypto"]["ciphertext"] = "00".into(), "ciphertext");
        refused(|store| store["crypto"]["mac"] = "zz".into(), "mac");
        refused(|store| store["crypto"]["cipherparams"]["iv"] = "".into(), "iv");
        refused(|store| store["crypto"]["mac"] = "00".repeat(32).into(), "damaged");
        refused(|store| store["address"] = "00".repeat(20).into(), "another address");
        refused(|store| *store = json!({"secret": "testpassword"}), "no version 3 keystore");
        assert!(opened("", None).unwrap_err().contains("no version 3 keystore"));
    }

    #[test]
    fn a_solana_key_pair_is_read_and_has_no_password() {
        let seed: Vec<u8> = (1..=32).collect();
        let public = ed25519_dalek::SigningKey::from_bytes(&seed.clone().try_into().unwrap()).verifying_key();
        let pair = format!("{:?}\n", [seed, public.to_bytes().to_vec()].concat());
        for password in [None, Some("")] {
            let wallet = opened(&pair, password).unwrap();
            assert_eq!(wallet.address("solana", 0), Some("9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj"));
        }
        assert!(opened(&pair, PASSWORD).unwrap_err().contains("no password"));
        assert!(opened("[1,2,3]", None).unwrap_err().contains("3 bytes"));
    }

    #[test]
    fn a_file_that_others_can_touch_or_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        for mode in [0o640, 0o604, 0o620, 0o666, 0o610] {
            with_mode(&path, &pbkdf2().to_string(), mode);
            let message = add(path.to_str().unwrap(), PASSWORD).unwrap_err();
            assert!(message.contains("chmod 600") && message.contains(&format!("{mode:o}")), "{message}");
        }
        assert!(add(directory.path().to_str().unwrap(), None).unwrap_err().contains("not a regular file"));
        assert!(add("/dev/null", None).unwrap_err().contains("not a regular file"));
        let missing = add(directory.path().join("missing").to_str().unwrap(), None).unwrap_err();
        assert!(missing.contains("cannot be opened") && missing.contains("missing"), "{missing}");
        // A link is followed, because secrets are mounted as links; what it leads to is judged.
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(add(link.to_str().unwrap(), PASSWORD).unwrap_err().contains("chmod 600"));
    }
}
