//! `x402_ledger`: what was promised, and what became of it.

use crate::ffi::error::x402_error;
use crate::ffi::guard;
use crate::ffi::handle::{self, Kind, Noun};
use crate::ffi::status::x402_status;
use crate::ffi::text::{Output, give, text};
use crate::ledger::Ledger;
use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;

/// What was promised and what became of it. Any thread; give one ledger to as many configurations as share a budget.
///
/// Every payment is an entry, written before it is signed. Its state is "open" (in flight, or its process died),
/// "unknown" (sent, and no receipt says paid), "paid", "released" (never left this machine) or "abandoned". The first
/// three count under every budget. A request that is repeated while its payment is in the open, or after it was paid and
/// the answer broke off or was a 5xx, presents the very same payment again; see the settings purchase_key and retry_policy.
///
/// A ledger file is an SQLite database with mode 0600 that any number of threads, handles and processes may use at
/// once, on one machine and a local disk. Look at it with the sqlite3 shell; its schema says what each column means.
/// Do not use one handle on both sides of a fork.
pub struct x402_ledger {
    _opaque: [u8; 0],
}

pub struct LedgerObject(Arc<Ledger>);

impl Noun for LedgerObject {
    type C = x402_ledger;
    const KIND: Kind = Kind::Ledger;
    const NAME: &'static str = "ledger";
}

impl LedgerObject {
    pub fn share(&self) -> &Arc<Ledger> {
        &self.0
    }
}

/// Opens the ledger in a file, or makes one. Free it with x402_ledger_free.
///
/// @param path  the file; NULL keeps the ledger in memory, for the clients of this process that share it
///
/// X402_ERROR_LEDGER if the file cannot be used: not a ledger, corrupt, of a newer version, not writable, locked for
/// 5 s, or open to others than its owner (chmod 600). Such a file is left as it is. The same error ends a call that
/// would have paid while its ledger cannot be written; nothing is signed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_ledger_open(
    path: *const c_char,
    out: *mut *mut x402_ledger,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        // SAFETY: as above.
        let path = if path.is_null() { None } else { Some(Path::new(unsafe { text("path", path) }?)) };
        out.set(handle::insert(LedgerObject(Ledger::open(path)?))?);
        Ok(())
    })
}

/// What counts by now, as a JSON list: scope ("all", "host", "payee"), key, unit (the asset), amount in atomic units,
/// and usd where the asset is a known dollar asset. After them the payment channels: scope "channel", the channel's id as
/// key, what is deposited as amount, charged (as last acknowledged), signed_max (the most that its vouchers let the payee
/// have), payer and payee.
///
/// @param json  set to the list; free it with x402_string_free
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_ledger_totals_json(
    ledger: *const x402_ledger,
    json: *mut *mut c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let json = unsafe { Output::new("json", json, std::ptr::null_mut()) }?;
        json.set(give(&handle::get::<LedgerObject>(ledger)?.0.totals()?));
        Ok(())
    })
}

/// Entries as a JSON list, oldest first. In memory, only those that can be presented again or abandoned. One that is paid
/// by a payment channel names it (channel) and what it deposits (deposit), which is what counts of it. Nothing in the list
/// helps anyone to pay.
///
/// @param after_id  the last id of the page before; 0 for the first page
/// @param limit     the most entries to give; 10,000 at most are given
/// @param json      set to the list; free it with x402_string_free
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_ledger_entries_json(
    ledger: *const x402_ledger,
    after_id: u64,
    limit: usize,
    json: *mut *mut c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let json = unsafe { Output::new("json", json, std::ptr::null_mut()) }?;
        json.set(give(&handle::get::<LedgerObject>(ledger)?.0.entries(after_id, limit)?));
        Ok(())
    })
}

/// As x402_ledger_entries_json, of those entries alone whose outcome is open: "unknown", or "open", or paid with an
/// answer that broke off ("broke_off"). What an operator looks at; x402_ledger_abandon gives one of them up, unless it
/// is in flight ("in_flight"). "at_s" and "valid_before_s" are seconds since 1970.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_ledger_unsettled_json(
    ledger: *const x402_ledger,
    after_id: u64,
    limit: usize,
    json: *mut *mut c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let json = unsafe { Output::new("json", json, std::ptr::null_mut()) }?;
        json.set(give(&handle::get::<LedgerObject>(ledger)?.0.unsettled(after_id, limit)?));
        Ok(())
    })
}

/// Gives up an entry that is "unknown", or "open" in a process that died: it counts no more, and its purchase may be
/// signed anew. The risk is yours: if that payment settles after all, the purchase is paid twice and the budgets are
/// passed by its amount. Safe once its valid_before_s is five minutes past and the chain shows no transfer (of a deposit: to
/// the channel's contract); never provably so for what is drawn from a payment channel. Of a paid entry whose
/// answer broke off only the answer is given up: its amount goes on counting, and the next request buys anew.
///
/// @param entry  its id in x402_ledger_unsettled_json
///
/// X402_ERROR_ARGUMENT if there is no such entry, or if it is in flight, paid, or does not count already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_ledger_abandon(
    ledger: *mut x402_ledger,
    entry: u64,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || Ok(handle::get::<LedgerObject>(ledger)?.0.abandon(entry)?))
}

/// Frees a ledger; clients made with it keep it until they are freed. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_ledger_free(ledger: *mut x402_ledger) {
    guard::get((), || {
        handle::remove::<LedgerObject>(ledger);
        None
    });
}
