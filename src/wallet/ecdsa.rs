//! Recoverable secp256k1 signatures (RFC 6979 nonces, low s).
//!
//! Owns the one signing context of the process. The safe calls of
//! the `secp256k1` crate randomise their context anew after every signature, which doubles its cost, and
//! offer no way to leave that out. Here the context is randomised once, when it is created, which is what
//! libsecp256k1 asks for; its constant-time arithmetic does not depend on it.

use super::secret::Secret;
use crate::error::{Error, Status};
use crate::world::World;
use once_cell::sync::OnceCell;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, Secp256k1, SignOnly, ffi};
use std::ptr::NonNull;
use zeroize::Zeroizing;

static CONTEXT: OnceCell<Secp256k1<SignOnly>> = OnceCell::new();

/// Creates the context if this is its first use.
fn context() -> Result<&'static Secp256k1<SignOnly>, Error> {
    CONTEXT.get_or_try_init(|| {
        let mut seed = Zeroizing::new([0_u8; 32]);
        World::system().entropy.fill(seed.as_mut_slice())?;
        let mut context = Secp256k1::signing_only();
        context.seeded_randomize(&seed);
        hash_by_processor(&mut context);
        Ok(context)
    })
}

unsafe extern "C" {
    /// Of libsecp256k1 0.8, which the binding compiles in and does not declare. The name's prefix changes with every
    /// release of the binding that is not compatible, so that another one does not link.
    #[link_name = "rustsecp256k1_v0_14_context_set_sha256_compression"]
    fn set_sha256_compression(
        context: NonNull<ffi::Context>,
        compress: unsafe extern "C" fn(state: *mut u32, blocks: *const u8, count: usize),
    );
}

/// Lets the nonces of signatures be hashed by the processor's own instructions, where it has them: that is a fifth of
/// what a signature costs. What is hashed stays in libsecp256k1's memory, which it wipes.
fn hash_by_processor(context: &mut Secp256k1<SignOnly>) {
    // SAFETY: nobody else has the context yet. The call tries `compress` on known digests before it takes it.
    unsafe { set_sha256_compression(context.ctx(), compress) };
}

/// SHA-256 of whole blocks (FIPS 180-4 §6.2.2), from one inner state to the next.
///
/// # Safety
/// `state` is eight words that nobody else uses, `blocks` `count` blocks of 64 bytes, of any alignment.
unsafe extern "C" fn compress(state: *mut u32, blocks: *const u8, count: usize) {
    // SAFETY: by the caller's promise, which secp256k1.h gives.
    let state = unsafe { &mut *state.cast::<[u32; 8]>() };
    // SAFETY: as before; an array of bytes has no alignment.
    let blocks = unsafe { std::slice::from_raw_parts(blocks.cast::<[u8; 64]>(), count) };
    sha2::block_api::compress256(state, blocks);
}

/// The public key; none if the secret is not below the curve's order.
pub(super) fn public_key(secret: &Secret) -> Result<Option<PublicKey>, Error> {
    let context = context()?;
    let secret = secret.bytes()?;
    // SAFETY: zeroes, which the call below replaces or which are thrown away.
    let mut raw = unsafe { ffi::PublicKey::new() };
    // SAFETY: the context lives for ever, was made for signing, and is only read by this call; the secret is 32
    // readable bytes and `raw` a writable public key, both for longer than the call. The safe calls would copy the
    // secret to the stack and leave it there.
    let made = unsafe { ffi::secp256k1_ec_pubkey_create(context.ctx().as_ptr(), &mut raw, secret.as_ptr()) };
    Ok((made == 1).then(|| PublicKey::from(raw)))
}

/// r, s and the recovery bit as 27 or 28. The secret must be a valid key: 1 to the curve's order less 1.
pub(super) fn sign(secret: &Secret, digest: &[u8; 32]) -> Result<[u8; 65], Error> {
    let context = context()?;
    let secret = secret.bytes()?;
    let mut raw = ffi::recovery::RecoverableSignature::new();
    // SAFETY: the context lives for ever, was made for signing, and is only read by this call; `digest` and
    // the secret are 32 readable bytes each and `raw` is a writable signature, all for longer than the call.
    // No nonce function and no nonce data (null) is libsecp256k1's documented way to ask for RFC 6979.
    let signed = unsafe {
        ffi::recovery::secp256k1_ecdsa_sign_recoverable(
            context.ctx().as_ptr(),
            &mut raw,
            digest.as_ptr(),
            secret.as_ptr(),
            None,
            std::ptr::null(),
        )
    };
    if signed != 1 {
        return Err(Error::new(Status::Sign, "The key could not sign: libsecp256k1 refused it."));
    }
    let (recovery, r_and_s) = RecoverableSignature::from(raw).serialize_compact();
    let v = match recovery {
        RecoveryId::Zero => 27,
        RecoveryId::One => 28,
        // r beyond the curve's order: a chance of 2^-127, and no EVM chain can verify it.
        RecoveryId::Two | RecoveryId::Three => {
            return Err(Error::new(Status::Sign, "The signature cannot be expressed for EVM; sign a new nonce."));
        }
    };
    Ok(with_v(&r_and_s, v))
}

/// r, s and v (27 or 28) of a signature over `digest` by the key that `is_own` knows, whatever form of them was given:
/// s is brought to its low half, because chains refuse the high one, and v is found. None if it is by another key.
pub(super) fn find_v(digest: &[u8; 32], r_and_s: &[u8; 64], is_own: impl Fn(&PublicKey) -> bool) -> Option<[u8; 65]> {
    let mut low = secp256k1::ecdsa::Signature::from_compact(r_and_s).ok()?;
    low.normalize_s();
    let r_and_s = low.serialize_compact();
    [(RecoveryId::Zero, 27), (RecoveryId::One, 28)].into_iter().find_map(|(recovery, v)| {
        let signature = RecoverableSignature::from_compact(&r_and_s, recovery).ok()?;
        let public = signature.recover_ecdsa(Message::from_digest(*digest)).ok()?;
        is_own(&public).then(|| with_v(&r_and_s, v))
    })
}

fn with_v(r_and_s: &[u8; 64], v: u8) -> [u8; 65] {
    let mut signature = [v; 65];
    let (head, _) = signature.split_at_mut(64);
    head.copy_from_slice(r_and_s);
    signature
}
