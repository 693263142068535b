//! Base64 of what is signed.
//!
//! Owns the engine that writes it, which takes the processor's vector instructions where there are any. Must not know what
//! the bytes say. It only writes: what strangers send is read by plain code (see `wire`).

use base64::Engine;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use base64::engine::general_purpose::GeneralPurpose as Fastest;
use base64::engine::general_purpose::PAD;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use base64::engine::simd::Simd as Fastest;
use once_cell::race::OnceBox;
use zeroize::Zeroizing;

/// The padded base64 of `bytes`, in the standard alphabet. No copy of it is left elsewhere.
pub fn encoded(bytes: &[u8]) -> Zeroizing<String> {
    static ENGINE: OnceBox<Fastest> = OnceBox::new();
    let engine = ENGINE.get_or_init(|| Box::new(fastest()));
    let mut text = vec![0; bytes.len().div_ceil(3) * 4];
    // Invariant: there is room for all of it, and the alphabet is ASCII.
    let written = engine.encode_slice(bytes, &mut text).unwrap_or_default();
    text.truncate(written);
    Zeroizing::new(String::from_utf8(text).unwrap_or_default())
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn fastest() -> Fastest {
    Fastest::standard(PAD)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn fastest() -> Fastest {
    Fastest::new(&base64::alphabet::STANDARD, PAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn it_is_what_plain_code_writes() {
        let byte = |at: usize| (at * 167 + at / 256 * 31) as u8;
        for length in (0..600).chain([1231, 1232, 4095, 4096, 4097, 65_537]) {
            let bytes: Vec<u8> = (0..length).map(byte).collect();
            assert_eq!(*encoded(&bytes), STANDARD.encode(&bytes), "{length} bytes");
        }
    }
}
