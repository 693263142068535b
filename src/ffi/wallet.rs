//! `x402_wallet`: the keys that may sign.

use crate::error::{Error, Status, printable};
use crate::ffi::error::x402_error;
use crate::ffi::guard;
use crate::ffi::handle::{self, Kind, Noun};
use crate::ffi::status::x402_status;
use crate::ffi::text::{Output, c_text, text};
use crate::wallet::Wallet;
use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys that may sign payments. Any thread.
pub struct x402_wallet {
    _opaque: [u8; 0],
}

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

/// The address of a key in the wallet, to be funded or shown.
///
/// @param family   "eip155" for EVM networks
/// @param index    0 for the first key of the family, in the order they were added
/// @param address  set to the address (EIP-55 mixed case), valid until the wallet is freed
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
