//! What the parts of a payment cost that are hashing and signing, in microseconds of one core, as one line of JSON: the
//! least of many rounds, because that is what the sum of the parts is made of.

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use secp256k1::{Secp256k1, ffi};
use sha2::Sha512;
use std::hint::black_box;
use std::time::Instant;
use tiny_keccak::{Hasher, Keccak};

const ROUNDS: usize = 60;
const CALLS_PER_ROUND: u32 = 200;
/// A transaction of the scheme `exact`, without its signatures.
const SOLANA_MESSAGE_BYTES: usize = 400;
/// Keccak-256 takes in so much at a time.
const KECCAK_BLOCK_BYTES: usize = 136;

fn cost_us(mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let begun = Instant::now();
        (0..CALLS_PER_ROUND).for_each(|_| work());
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS_PER_ROUND)
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn keccak_block() {
    let mut digest = [0; 32];
    let mut hasher = Keccak::v256();
    hasher.update(black_box(&[1; KECCAK_BLOCK_BYTES - 1]));
    hasher.finalize(&mut digest);
    black_box(digest);
}

fn main() {
    let seed = [7; 32];
    let message = [3; SOLANA_MESSAGE_BYTES];
    let key = ExpandedSecretKey::from(&seed);
    let public = VerifyingKey::from(&key);
    let ed25519 = cost_us(|| {
        black_box(raw_sign::<Sha512>(&key, black_box(&message), &public));
    });
    let context = Secp256k1::signing_only();
    let secp256k1 = cost_us(|| {
        let mut signature = ffi::recovery::RecoverableSignature::new();
        // SAFETY: the context lives longer than the call, key and digest are 32 readable bytes each.
        let signed = unsafe {
            let (context, digest) = (context.ctx().as_ptr(), black_box(&seed).as_ptr());
            let nonce = (None, std::ptr::null());
            ffi::recovery::secp256k1_ecdsa_sign_recoverable(context, &mut signature, digest, digest, nonce.0, nonce.1)
        };
        assert_eq!(signed, 1);
        black_box(&signature);
    });
    let block = cost_us(keccak_block);
    println!(r#"{{"ed25519_us": {ed25519:.3}, "secp256k1_us": {secp256k1:.3}, "keccak_block_us": {block:.3}}}"#);
}
