//! `x402_wallet`: the keys that may sign.

use crate::error::{Error, Status, printable};
use crate::ffi::callback::{Userdata, required};
use crate::ffi::error::x402_error;
use crate::ffi::guard;
use crate::ffi::handle::{self, Kind, Noun};
use crate::ffi::status::x402_status;
use crate::ffi::text::{Output, c_text, optional_text, text};
use crate::wallet::{Answer, Signer, Wallet};
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keys that may sign payments. Any thread.
pub struct x402_wallet {
    _opaque: [u8; 0],
}

/// What an x402_sign_fn returns to be asked for another kind of the same message: "evm-digest" after "evm-typed-data".
pub const X402_SIGN_OTHER_KIND: i32 = -2;

/// Signs with a key that stays elsewhere: a KMS, an HSM, another process. Runs on the thread that called in and while
/// no lock of the library is held: it may block, and may call the library. Must not unwind or longjmp.
///
/// Returns 0 when it has signed, X402_SIGN_OTHER_KIND to be asked again, or any other value to refuse: nothing is then
/// paid, the caller gets the original 402, and x402_payment_refusal names the value.
///
/// An ed25519 signature must be the same for the same message each time (RFC 8032), because a payment is signed again
/// when it is sent again. EVM signatures may differ: the nonce inside the message lets only one of them settle.
///
/// @param kind           "evm-typed-data": `data` is the message as JSON, as eth_signTypedData_v4 takes it (EIP-712), so
///                       that a wallet can show what it signs. "evm-digest": its 32-byte hash, only sent to a signer that
///                       returned X402_SIGN_OTHER_KIND for the JSON. "solana-message": the message's bytes.
/// @param data           what to sign, `len` bytes, valid during the call; JSON is not NUL-terminated
/// @param signature      where the signature goes: room for `cap` bytes (4096)
/// @param signature_len  to be set to the signature's length. EVM: 65 bytes r, s, v, or 64 without v; both are checked
///                       against the address, and v and a high s are put right. Another length is passed on as a smart
///                       wallet's (ERC-1271, ERC-6492). Solana: 64 bytes, checked.
pub type x402_sign_fn = Option<
    unsafe extern "C-unwind" fn(
        userdata: *mut c_void,
        kind: *const c_char,
        data: *const u8,
        len: usize,
        signature: *mut u8,
        cap: usize,
        signature_len: *mut usize,
    ) -> i32,
>;

struct State {
    wallet: Wallet,
    /// Addresses that were lent out. Keys are only ever added, so an address once lent stays true; its text stays in
    /// place because the box around it does.
    lent: HashMap<(String, usize), CString>,
}

pub struct WalletObject(Mutex<State>);

impl Noun for WalletObject {
    type C = x402_wallet;
    const KIND: Kind = Kind::Wallet;
    const NAME: &'static str = "wallet";
}

impl WalletObject {
    fn empty() -> Self {
        WalletObject(Mutex::new(State { wallet: Wallet::new(), lent: HashMap::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A key is added whole or not at all, so a wallet that met a defect is as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wallet as it is now.
    pub fn snapshot(&self) -> Wallet {
        self.state().wallet.clone()
    }
}

/// Makes an empty wallet. Free it with x402_wallet_free.
///
/// @param out    set to the wallet
/// @param error  set on failure; NULL if not wanted
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_wallet_new(out: *mut *mut x402_wallet, error: *mut *mut x402_error) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        out.set(handle::insert(WalletObject::empty())?);
        Ok(())
    })
}

/// Adds a secp256k1 private key, for payments on EVM networks.
///
/// @param hex  64 hex digits, "0x" before them or not. Copied; wipe your own copy. An error never repeats it.
///
/// X402_ERROR_KEY if it is malformed, zero, or not below the curve's order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_wallet_add_evm_key(
    wallet: *mut x402_wallet,
    hex: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let wallet = handle::get::<WalletObject>(wallet)?;
        // SAFETY: pointers are as the header's contract asks.
        let hex = unsafe { text("hex", hex) }?;
        wallet.state().wallet.add_evm_key(hex)?;
        Ok(())
    })
}

/// Adds the EVM key of a mnemonic: words of the English BIP-39 list, keys by BIP-32.
///
/// @param phrase           12, 15, 18, 21 or 24 words with spaces between them. Copied; wipe your own copy.
/// @param passphrase       the phrase's own passphrase (the "25th word"); NULL or "" if it has none
/// @param derivation_path  such as "m/44'/60'/0'/0/1"; NULL: "m/44'/60'/0'/0/0", the first account of most wallets
///
/// X402_ERROR_KEY names the position of a word that is not on the list (never the word), the count, the checksum, or
/// the component of the path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_wallet_add_evm_mnemonic(
    wallet: *mut x402_wallet,
    phrase: *const c_char,
    passphrase: *const c_char,
    derivation_path: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let wallet = handle::get::<WalletObject>(wallet)?;
        // SAFETY: pointers are as the header's contract asks.
        let (phrase, passphrase, path) = unsafe { mnemonic(phrase, passphrase, derivation_path) }?;
        wallet.state().wallet.add_evm_mnemonic(phrase, passphrase, path)?;
        Ok(())
    })
}

/// Adds an ed25519 key, for payments on Solana.
///
/// @param base58_or_json  the key pair of 64 bytes in base58, as browser wallets export it, or as a JSON array of numbers,
///                        as solana-keygen writes it. Copied; wipe your own copy. An error never repeats it.
///
/// X402_ERROR_KEY if it is malformed, of another length, zero, or its second half is not the public key of its first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_wallet_add_solana_key(
    wallet: *mut x402_wallet,
    base58_or_json: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let wallet = handle::get::<WalletObject>(wallet)?;
        // SAFETY: pointers are as the header's contract asks.
        let key = unsafe { text("base58_or_json", base58_or_json) }?;
        wallet.state().wallet.add_solana_key(key)?;
        Ok(())
    })
}

/// Adds the Solana key of a mnemonic: as x402_wallet_add_evm_mnemonic, but by SLIP-0010, where every component of the
/// path is hardened.
///
/// @param derivation_path  NULL: "m/44'/501'/0'/0'", the first account of most wallets
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_wallet_add_solana_mnemonic(
    wallet: *mut x402_wallet,
    phrase: *const c_char,
    passphrase: *const c_char,
    derivation_path: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let wallet = handle::get::<WalletObject>(wallet)?;
        // SAFETY: pointers are as the header's contract asks.
        let (phrase, passphrase, path) = unsafe { mnemonic(phrase, passphrase, derivation_path) }?;
        wallet.state().wallet.add_solana_mnemonic(phrase, passphrase, path)?;
        Ok(())
    })
}

/// The texts of a mnemonic: the phrase, its passphrase, its path.
///
/// # Safety
/// As for [`text`], for each.
unsafe fn mnemonic<'a>(
    phrase: *const c_char,
    passphrase: *const c_char,
    path: *const c_char,
) -> Result<(&'a str, &'a str, Option<&'a str>), Error> {
    // SAFETY: by the caller's promise.
    unsafe {
        Ok((
            text("phrase", phrase)?,
            optional_text("passphrase", passphrase)?.unwrap_or_default(),
            optional_text("derivation_path", path)?,
        ))
    }
}

/// Adds the key of a file: a version 3 keystore (Web3 Secret Storage, as geth and most EVM wallets write it), or a Solana
/// key pair as solana-keygen writes it. The file must be readable by its owner alone (chmod 600). May take a second and
/// 256 MiB: opening a keystore is meant to be slow. A file that asks for more is refused.
///
/// @param path      of the file; links are followed
/// @param password  of a keystore, as UTF-8; NULL for a Solana key pair. Copied; wipe your own copy.
///
/// X402_ERROR_KEY names what is wrong with the file; a wrong password is this too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_wallet_add_keyfile(
    wallet: *mut x402_wallet,
    path: *const c_char,
    password: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let wallet = handle::get::<WalletObject>(wallet)?;
        // SAFETY: pointers are as the header's contract asks.
        let (path, password) = unsafe { (text("path", path)?, optional_text("password", password)?) };
        wallet.state().wallet.add_keyfile(path, password)?;
        Ok(())
    })
}

/// Adds a signer whose key stays elsewhere. Not NULL.
///
/// @param family    "eip155" for an EVM account, "eip155-contract" for an EVM smart wallet that judges signatures by its
///                  own code (ERC-1271): what its signer gives is passed on unchecked; "solana"
/// @param address   who pays: hexadecimal with "0x", or base58 for Solana
/// @param userdata  handed to the callback; must stay valid until the wallet and every client made with it are freed
///
/// X402_ERROR_ARGUMENT for another family, X402_ERROR_KEY for an address that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_wallet_add_signer(
    wallet: *mut x402_wallet,
    family: *const c_char,
    address: *const c_char,
    sign: x402_sign_fn,
    userdata: *mut c_void,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let wallet = handle::get::<WalletObject>(wallet)?;
        // SAFETY: pointers are as the header's contract asks.
        let (family, address) = unsafe { (text("family", family)?, text("address", address)?) };
        let sign = required("sign", sign)?;
        let userdata = Userdata::new(userdata);
        let signer = Signer::new(Arc::new(move |kind, data, signature| {
            let kind = c_text(kind.name());
            let mut length = 0;
            let (out, room) = (signature.as_mut_ptr(), signature.len());
            // SAFETY: the caller's function, called as its type says; everything it is lent lives until it returns.
            let value = unsafe {
                sign(userdata.pointer(), kind.as_ptr(), data.as_ptr(), data.len(), out, room, &raw mut length)
            };
            match value {
                0 => Answer::Signature(length),
                X402_SIGN_OTHER_KIND => Answer::OtherKind,
                value => Answer::Refused(value),
            }
        }));
        wallet.state().wallet.add_signer(family, address, signer)?;
        Ok(())
    })
}

/// The address of a key in the wallet, to be funded or shown.
///
/// @param family   "eip155" for EVM networks (signers and contracts too), "solana"
/// @param index    0 for the first key of the family, in the order they were added
/// @param address  set to the address (EIP-55 mixed case, or base58), valid until the wallet is freed
///
/// X402_ERROR_ARGUMENT if the family has no key of that index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_wallet_address(
    wallet: *const x402_wallet,
    family: *const c_char,
    index: usize,
    address: *mut *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let (address, family) =
            unsafe { (Output::new("address", address, std::ptr::null())?, text("family", family)?) };
        let wallet = handle::get::<WalletObject>(wallet)?;
        let mut state = wallet.state();
        let found = match state.wallet.address(family, index) {
            Some(found) => c_text(found),
            None => return Err(no_such_key(family, index).into()),
        };
        address.set(state.lent.entry((family.to_owned(), index)).or_insert(found).as_ptr());
        Ok(())
    })
}

fn no_such_key(family: &str, index: usize) -> Error {
    let family = printable(family);
    Error::new(Status::Argument, format!("the wallet has no key number {index} of the family \"{family}\"; add one"))
}

/// Frees a wallet; configurations and clients made with it keep their copy of the keys. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_wallet_free(wallet: *mut x402_wallet) {
    guard::get((), || {
        handle::remove::<WalletObject>(wallet);
        None
    });
}
