//! `x402_config`: how a client is to be made.

use crate::client::{Client, Config};
use crate::error::Error;
use crate::ffi::callback::{Userdata, required};
use crate::ffi::error::x402_error;
use crate::ffi::guard;
use crate::ffi::handle::{self, Kind, Noun};
use crate::ffi::ledger::{LedgerObject, x402_ledger};
use crate::ffi::log::{self, x402_log_fn};
use crate::ffi::policy::{PolicyObject, x402_policy};
use crate::ffi::status::x402_status;
use crate::ffi::text::{Output, text};
use crate::ffi::wallet::{WalletObject, x402_wallet};
use std::ffi::{c_char, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a client is to be made: wallet, policy, ledger, settings. Any thread. May be used for several clients, and freed once
/// they are made.
pub struct x402_config {
    _opaque: [u8; 0],
}

pub struct ConfigObject(Mutex<Config>);

impl Noun for ConfigObject {
    type C = x402_config;
    const KIND: Kind = Kind::Config;
    const NAME: &'static str = "config";
}

impl ConfigObject {
    fn config(&self) -> MutexGuard<'_, Config> {
        // A setting is taken whole or not at all.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client made from the configuration as it is now.
    pub fn client(&self) -> Result<Client, Error> {
        Client::new(&self.config())
    }
}

/// Makes a configuration with no wallet (nothing can be paid), the policy x402_policy_new would give, and the defaults
/// of the table at the head of this file. Free it with x402_config_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_config_new(out: *mut *mut x402_config, error: *mut *mut x402_error) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        out.set(handle::insert(ConfigObject(Mutex::new(Config::new()?)))?);
        Ok(())
    })
}

/// Gives the keys to sign with. The wallet is taken as it is now: keys added later do not reach the configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_config_wallet(
    config: *mut x402_config,
    wallet: *const x402_wallet,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let config = handle::get::<ConfigObject>(config)?;
        let wallet = handle::get::<WalletObject>(wallet)?.snapshot();
        config.config().wallet(&wallet);
        Ok(())
    })
}

/// Gives the rules to pay by. The policy is taken as it is now: rules added later do not reach the configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_config_policy(
    config: *mut x402_config,
    policy: *const x402_policy,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let config = handle::get::<ConfigObject>(config)?;
        let policy = handle::get::<PolicyObject>(policy)?.snapshot();
        config.config().policy(&policy);
        Ok(())
    })
}

/// Gives the ledger to keep the budgets in: they then hold over every client of it together, in this process and, with
/// a file, in all. Without this, each client has a ledger of its own in memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_config_ledger(
    config: *mut x402_config,
    ledger: *const x402_ledger,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let config = handle::get::<ConfigObject>(config)?;
        let ledger = handle::get::<LedgerObject>(ledger)?;
        config.config().ledger(ledger.share());
        Ok(())
    })
}

/// Changes a setting. The keys, their forms and defaults are in the table at the head of this file.
///
/// X402_ERROR_SETTING, with a message naming key and value, if the key is unknown or the value not of its form.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_config_set(
    config: *mut x402_config,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let config = handle::get::<ConfigObject>(config)?;
        // SAFETY: pointers are as the header's contract asks.
        let (key, value) = unsafe { (text("key", key)?, text("value", value)?) };
        config.config().set(key, value)?;
        Ok(())
    })
}

/// Tells `log` what clients made with this configuration do. Not NULL; a second call replaces the first.
///
/// @param userdata  handed to the callback; must stay valid until every such client is freed
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_config_log(
    config: *mut x402_config,
    log: x402_log_fn,
    userdata: *mut c_void,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let config = handle::get::<ConfigObject>(config)?;
        let log = required("log", log)?;
        config.config().log(log::bridge(log, Userdata::new(userdata)));
        Ok(())
    })
}

/// Frees a configuration; clients made with it are not affected. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_config_free(config: *mut x402_config) {
    guard::get((), || {
        handle::remove::<ConfigObject>(config);
        None
    });
}
