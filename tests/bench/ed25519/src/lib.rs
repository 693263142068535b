//! An ed25519 key for a C program: made ready once, and one signature a call.

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use sha2::Sha512;

pub struct Key {
    secret: ExpandedSecretKey,
    public: VerifyingKey,
}

/// The key of a seed of 32 bytes, which is never freed.
///
/// # Safety
/// `seed` must point to 32 readable bytes and `public_key` to 32 writable ones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ed25519_key(seed: *const [u8; 32], public_key: *mut [u8; 32]) -> *const Key {
    // SAFETY: the caller's promise.
    let secret = ExpandedSecretKey::from(unsafe { &*seed });
    let public = VerifyingKey::from(&secret);
    // SAFETY: the caller's promise.
    unsafe { public_key.write(public.to_bytes()) };
    Box::leak(Box::new(Key { secret, public }))
}

/// # Safety
/// `key` must come from `ed25519_key`, `message` must point to `len` readable bytes and `signature` to 64 writable ones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ed25519_sign(key: *const Key, message: *const u8, len: usize, signature: *mut [u8; 64]) {
    // SAFETY: the caller's promise.
    let (key, message) = unsafe { (&*key, std::slice::from_raw_parts(message, len)) };
    let signed = raw_sign::<Sha512>(&key.secret, message, &key.public).to_bytes();
    // SAFETY: the caller's promise.
    unsafe { signature.write(signed) };
}
