//! `x402_policy`: what may be paid.

use crate::ffi::callback::{Userdata, required};
use crate::ffi::error::x402_error;
use crate::ffi::guard;
use crate::ffi::handle::{self, Kind, Noun};
use crate::ffi::status::x402_status;
use crate::ffi::text::{Output, c_text, text};
use crate::policy::Policy;
use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What may be paid. Any thread.
///
/// A new policy allows 1.00 USD a payment and 10.00 USD in all, known assets only, over https or to loopback only.
/// Amounts are decimal text: "0.10 USD" for the known dollar assets, or atomic units with the asset:
/// "10000 eip155:8453/erc20:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913".
pub struct x402_policy {
    _opaque: [u8; 0],
}

/// Asked before each payment, after every rule has agreed. 0 pays; anything else refuses, and the caller gets the
/// original 402. Runs on the thread that called in and is not interrupted: a 0 that comes later than sign_timeout_ms or
/// total_timeout_ms allow refuses too. Must not unwind or longjmp.
///
/// @param offer_json  the chosen offer, a JSON object, NUL-terminated; valid during the call. Its member deposit_max, where
///                    there is one, is the most that would be deposited in a payment channel; without it nothing is.
/// @param len         its length without the NUL
pub type x402_approve_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, offer_json: *const c_char, len: usize) -> i32>;

pub struct PolicyObject(Mutex<Policy>);

impl Noun for PolicyObject {
    type C = x402_policy;
    const KIND: Kind = Kind::Policy;
    const NAME: &'static str = "policy";
}

impl PolicyObject {
    fn rules(&self) -> MutexGuard<'_, Policy> {
        // A rule is added whole or not at all.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules as they are now.
    pub fn snapshot(&self) -> Policy {
        self.rules().clone()
    }
}

/// Makes a policy with the cautious defaults named at x402_policy. Free it with x402_policy_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_policy_new(out: *mut *mut x402_policy, error: *mut *mut x402_error) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        out.set(handle::insert(PolicyObject(Mutex::new(Policy::new()?)))?);
        Ok(())
    })
}

/// Sets the most a single payment may cost, in place of the 1.00 USD a new policy has. A limit in an asset's own units
/// holds beside that in dollars; a second one in the same units replaces the first.
///
/// @param amount  "0.10 USD", or atomic units with the asset; see x402_policy
///
/// X402_ERROR_AMOUNT if it is of neither form.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_policy_max_per_payment(
    policy: *mut x402_policy,
    amount: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let policy = handle::get::<PolicyObject>(policy)?;
        // SAFETY: pointers are as the header's contract asks.
        let amount = unsafe { text("amount", amount) }?;
        policy.rules().max_per_payment(amount)?;
        Ok(())
    })
}

/// Sets how much may be spent in all within a time. Several budgets hold at once, and each must allow a payment; one of
/// the same scope, window and units as an earlier one replaces it. A new policy has ("all", 0, "10.00 USD").
///
/// @param scope     "all"; or "purchase", "host" or "payee": the amount is for each of them apart. A purchase is all its
///                  signatures together, where retry_policy lets it have more than one; one without a purchase_key ends
///                  once it is paid or can no longer settle
/// @param window_s  seconds the spending is summed over; 0: for ever
/// @param amount    "5.00 USD", or atomic units with the asset; see x402_policy
///
/// X402_ERROR_ARGUMENT for another scope, X402_ERROR_AMOUNT if the amount is of neither form.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_policy_budget(
    policy: *mut x402_policy,
    scope: *const c_char,
    window_s: u64,
    amount: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let policy = handle::get::<PolicyObject>(policy)?;
        // SAFETY: pointers are as the header's contract asks.
        let (scope, amount) = unsafe { (text("scope", scope)?, text("amount", amount)?) };
        policy.rules().budget(scope, window_s, amount)?;
        Ok(())
    })
}

/// Allows something by name. The first rule for a "what" makes it a list: only what is on it is paid.
///
/// @param what     "network", "asset", "payee", "host" or "scheme"; or "plain_http_host": a host that may be paid over
///                 plain http, which otherwise only loopback may; or "approval" with the pattern "unlimited": a payment
///                 through Permit2 may bring along an approval of Permit2 for all of the token, now and later, where
///                 the server offers to send it (extension erc20ApprovalGasSponsoring) and evm_rpc is set. No budget
///                 counts its gas, which the server pays for, or else the payer's account, in coins of the chain:
///                 70,000 at the price that the node gives, 1000 gwei at most;
///                 or "receipt" with the pattern "upto": a receipt of the
///                 scheme upto that says that less was taken than was signed lowers what counts to that. Without it the
///                 signed maximum counts, because a receipt is the server's claim;
///                 or "deposit" with an amount in place of a pattern ("5.00 USD"): the most that one signature may deposit
///                 in a payment channel, without which offers of batch-settlement are refused. Budgets count a deposit in
///                 full when it is signed, and the payments out of it not again; max_per_payment is held against the
///                 price. A second one in the same units replaces the first
/// @param pattern  the name itself, "*", a beginning and "*" ("eip155:*"), or for hosts "*." and a domain
///                 ("*.example.com": every name below it)
///
/// X402_ERROR_ARGUMENT for another "what", X402_ERROR_PATTERN for a malformed pattern, X402_ERROR_AMOUNT for a malformed
/// amount of a deposit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_policy_allow(
    policy: *mut x402_policy,
    what: *const c_char,
    pattern: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let policy = handle::get::<PolicyObject>(policy)?;
        // SAFETY: pointers are as the header's contract asks.
        let (what, pattern) = unsafe { (text("what", what)?, text("pattern", pattern)?) };
        policy.rules().allow(what, pattern)?;
        Ok(())
    })
}

/// Prefers something when the server offers a choice: rules given earlier win over later ones, and any of them over
/// the price.
///
/// @param what     "network", "scheme" or "asset"
/// @param pattern  as for x402_policy_allow
///
/// X402_ERROR_ARGUMENT for another "what", X402_ERROR_PATTERN for a malformed pattern.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_policy_prefer(
    policy: *mut x402_policy,
    what: *const c_char,
    pattern: *const c_char,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let policy = handle::get::<PolicyObject>(policy)?;
        // SAFETY: pointers are as the header's contract asks.
        let (what, pattern) = unsafe { (text("what", what)?, text("pattern", pattern)?) };
        policy.rules().prefer(what, pattern)?;
        Ok(())
    })
}

/// Asks `approve` before each payment. Not NULL; a second call replaces the first.
///
/// @param userdata  handed to the callback; must stay valid until every client made with this policy is freed
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_policy_approve(
    policy: *mut x402_policy,
    approve: x402_approve_fn,
    userdata: *mut c_void,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let policy = handle::get::<PolicyObject>(policy)?;
        let approve = required("approve", approve)?;
        let userdata = Userdata::new(userdata);
        policy.rules().approve(Arc::new(move |offer| {
            let offer = c_text(offer);
            // SAFETY: the caller's function, called as its type says; the text lives until it returns.
            unsafe { approve(userdata.pointer(), offer.as_ptr(), offer.as_bytes().len()) }
        }));
        Ok(())
    })
}

/// Frees a policy; configurations made with it keep their copy of the rules. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_policy_free(policy: *mut x402_policy) {
    guard::get((), || {
        handle::remove::<PolicyObject>(policy);
        None
    });
}
