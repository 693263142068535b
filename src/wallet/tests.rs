//! Keys and signers: what is taken, what is refused, and what a signer's answer must be.

use super::*;
use crate::error::Status;
use crate::money::EvmAddress;
use alloy_primitives::U256;
use std::sync::{Arc, Mutex};

const EVM_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// The seed 01 02 … 20 and its public key.
const SOLANA_KEY: &str = "2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd";
const DIGEST: [u8; 32] = [7; 32];

fn evm_key() -> EvmKey {
    EvmKey::from_hex(EVM_KEY).unwrap()
}

fn solana_key() -> SolanaKey {
    SolanaKey::from_text(SOLANA_KEY).unwrap()
}

fn signer(sign: impl Fn(SignKind, &[u8], &mut [u8]) -> Answer + Send + Sync + 'static) -> Signer {
    Signer::new(Arc::new(sign))
}

/// Gives `signature` whatever it is asked.
fn gives(signature: Vec<u8>) -> Signer {
    signer(move |_, _, out| {
        out[..signature.len()].copy_from_slice(&signature);
        Answer::Signature(signature.len())
    })
}

fn account(signer: Signer) -> EvmKey {
    EvmKey::from_signer(EvmAddress::from_bytes(evm_key().address_bytes()), false, signer)
}

fn signed_typed(key: &EvmKey) -> Result<Vec<u8>, Error> {
    key.sign_typed(&DIGEST, || "{}".to_string()).map(|signature| signature.to_vec())
}

fn is_sign_error(error: &Error, names: &str) {
    assert_eq!(error.status, Status::Sign, "{error}");
    assert!(error.message.contains(names), "{:?} does not say {names:?}", error.message);
}

#[test]
fn a_signer_is_shown_the_typed_data_and_the_digest_only_if_it_asks() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let key = account(signer(move |kind, data, out| {
        seen.lock().unwrap().push((kind, data.to_vec()));
        if kind == SignKind::EvmTypedData {
            return Answer::OtherKind;
        }
        let signature = evm_key().sign_typed(data.try_into().unwrap(), || unreachable!("a digest is signed")).unwrap();
        out[..65].copy_from_slice(&signature);
        Answer::Signature(65)
    }));
    assert_eq!(signed_typed(&key).unwrap(), signed_typed(&evm_key()).unwrap());
    let asked = asked.lock().unwrap();
    let expected = [(SignKind::EvmTypedData, b"{}".to_vec()), (SignKind::EvmDigest, DIGEST.to_vec())];
    assert_eq!(*asked, expected);
}

#[test]
fn every_form_of_the_own_signature_becomes_the_one_that_chains_accept() {
    let right = signed_typed(&evm_key()).unwrap();
    let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16).unwrap();
    let s = U256::from_be_slice(&right[32..64]);
    let high = [&right[..32], &(order - s).to_be_bytes::<32>()].concat();
    for (name, r_and_s) in [("low s", &right[..64]), ("high s", &high)] {
        for v in [None, Some(27), Some(28), Some(0), Some(1)] {
            let mut given = r_and_s.to_vec();
            given.extend(v);
            assert_eq!(signed_typed(&account(gives(given))).unwrap(), right, "{name}, v {v:?}");
        }
    }
}

#[test]
fn an_account_passes_on_other_lengths_and_a_contract_everything() {
    let address = EvmAddress::from_bytes(evm_key().address_bytes());
    for length in [1, 63, 66, 96, 1000, SIGNATURE_BYTES_MAX] {
        assert_eq!(signed_typed(&account(gives(vec![9; length]))).unwrap(), vec![9; length]);
    }
    for length in [1, 64, 65, SIGNATURE_BYTES_MAX] {
        let key = EvmKey::from_signer(address, true, gives(vec![9; length]));
        assert_eq!(signed_typed(&key).unwrap(), vec![9; length]);
    }
}

#[test]
fn what_is_no_signature_of_the_account_is_refused() {
    let other = EvmKey::from_hex(&format!("{:0>64}", "1")).unwrap();
    let by_another = signed_typed(&other).unwrap();
    let of_another = evm_key().sign_typed(&[8; 32], String::new).unwrap().to_vec();
    for given in [by_another, of_another, vec![0; 64], vec![0xff; 65], vec![1; 64]] {
        let error = signed_typed(&account(gives(given.clone()))).unwrap_err();
        is_sign_error(&error, "no signature of this message by 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        is_sign_error(&error, &format!("{} bytes", given.len()));
    }
}

#[test]
fn a_signer_that_fails_says_how() {
    let refuses = signed_typed(&account(signer(|_, _, _| Answer::Refused(42)))).unwrap_err();
    is_sign_error(&refuses, "the value 42");
    assert_eq!(refuses.callback_value, Some(42));
    is_sign_error(&signed_typed(&account(signer(|_, _, _| Answer::Signature(0)))).unwrap_err(), "empty");
    for length in [SIGNATURE_BYTES_MAX + 1, usize::MAX] {
        let long = signed_typed(&account(signer(move |_, _, _| Answer::Signature(length)))).unwrap_err();
        is_sign_error(&long, &length.to_string());
    }
    is_sign_error(&signed_typed(&account(signer(|_, _, _| Answer::OtherKind))).unwrap_err(), "neither");
    let solana = SolanaKey::from_signer(solana_key().address(), signer(|_, _, _| Answer::OtherKind)).unwrap();
    is_sign_error(&solana.sign_message(b"m").unwrap_err(), "solana-message");
}

#[test]
fn a_solana_key_is_read_in_both_forms() {
    let key = solana_key();
    let seed: Vec<u8> = (1..=32).collect();
    assert_eq!(key.address(), "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj");
    let pair = [seed, key.public_key().to_vec()].concat();
    let json = format!("{pair:?}");
    for text in [json.clone(), json.replace(' ', ""), format!("  {json}\n"), format!("{SOLANA_KEY}\n")] {
        assert_eq!(SolanaKey::from_text(&text).unwrap().address(), key.address());
    }
    let mut decoded = [0; 64];
    five8::decode_64(SOLANA_KEY, &mut decoded).unwrap();
    assert_eq!(pair, decoded);
}

#[test]
fn a_solana_signature_is_that_of_another_implementation() {
    use ed25519_dalek::Signer as _;
    let key = solana_key();
    let oracle = ed25519_dalek::SigningKey::from_bytes(&std::array::from_fn(|at| at as u8 + 1));
    for length in [0, 1, 429, 1232] {
        let message = vec![3; length];
        assert_eq!(key.sign_message(&message).unwrap(), oracle.sign(&message).to_bytes());
    }
}

#[test]
fn each_wrong_solana_key_has_its_own_sentence_and_is_never_repeated() {
    let seed: Vec<u8> = (1..=32).collect();
    let pair = [seed.clone(), solana_key().public_key().to_vec()].concat();
    let other_half = [seed.clone(), vec![5; 32]].concat();
    let in_base58 = |bytes: [u8; 64]| {
        let mut text = [0; 88];
        let length = five8::encode_64(&bytes, &mut text);
        String::from_utf8(text[..usize::from(length)].to_vec()).unwrap()
    };
    let address = solana_key().address().to_string();
    let bad_digit = SOLANA_KEY.replacen("a1p", "a0p", 1);
    let cases = [
        (String::new(), "has 0 bytes"),
        (address, "has 32 bytes, which is an address or a bare seed"),
        (SOLANA_KEY[..80].to_string(), "bytes; give the key pair"),
        (format!("{SOLANA_KEY}zz"), "more than 64 bytes"),
        ("1".repeat(500), "has 500 bytes"),
        (bad_digit, "at position 5"),
        (format!("{:?}", &pair[..63]), "has 63 bytes"),
        (format!("{:?}", [pair.clone(), vec![1]].concat()), "has 65 bytes"),
        (format!("{seed:?}"), "has 32 bytes"),
        (format!("{pair:?}").replacen("[1, 2", "[1, 256", 1), "at position 2"),
        (format!("{pair:?}").replacen("[1, 2", "[1, x", 1), "at position 2"),
        (format!("{pair:?}").replace(']', ""), "bracket"),
        ("[]".to_string(), "at position 1"),
        (format!("{other_half:?}"), "not the public key"),
        (in_base58(other_half.clone().try_into().unwrap()), "not the public key"),
    ];
    for (text, expected) in cases {
        let error = SolanaKey::from_text(&text).unwrap_err();
        assert_eq!(error.status, Status::Key);
        assert!(error.message.contains(expected), "{:?} does not say {expected:?}", error.message);
        let shown = format!("{error} {error:?}");
        for start in 0..text.len().saturating_sub(6) {
            assert!(!shown.contains(&text[start..start + 6]), "{shown:?} repeats the key");
        }
    }
}

#[test]
fn a_solana_signer_must_sign_with_the_key_of_its_address() {
    let address = solana_key().address().to_string();
    let right = solana_key().sign_message(b"message").unwrap();
    let key = SolanaKey::from_signer(&address, gives(right.to_vec())).unwrap();
    assert_eq!((key.address(), key.sign_message(b"message").unwrap()), (address.as_str(), right));
    is_sign_error(&key.sign_message(b"another").unwrap_err(), "no signature of this message by");
    for length in [1, 63, 65] {
        let key = SolanaKey::from_signer(&address, gives(vec![1; length])).unwrap();
        is_sign_error(&key.sign_message(b"message").unwrap_err(), &format!("{length} bytes"));
    }
    for bad in ["", "0x12", "11111111111111111111111111111111", &address[..40], &format!("{address}1")] {
        let error = SolanaKey::from_signer(bad, gives(vec![1])).unwrap_err();
        assert_eq!(error.status, Status::Key, "{error}");
    }
}

#[test]
fn debug_shows_addresses_and_no_secret() {
    let mut wallet = Wallet::new();
    wallet.add_evm_key(EVM_KEY).unwrap();
    wallet.add_solana_key(SOLANA_KEY).unwrap();
    let shown = format!("{wallet:?}");
    assert!(shown.contains(evm_key().address()) && shown.contains(solana_key().address()), "{shown}");
    assert!(shown.contains("redacted") && !shown.contains("ac0974") && !shown.contains("2Ana1"), "{shown}");
    assert_eq!(wallet.address("solana", 0), Some(solana_key().address()));
    assert_eq!(wallet.address("solana", 1), None);
}

#[test]
fn the_key_that_is_named_comes_first_and_the_others_keep_their_order() {
    let mut wallet = Wallet::new();
    let phrase = "test test test test test test test test test test test junk";
    for index in 0..3 {
        wallet.add_evm_mnemonic(phrase, "", Some(&format!("m/44'/60'/0'/0/{index}"))).unwrap();
        wallet.add_solana_mnemonic(phrase, "", Some(&format!("m/44'/501'/{index}'/0'"))).unwrap();
    }
    let order = |wallet: &Wallet, family: &str| -> Vec<String> {
        (0..4).map_while(|index| wallet.address(family, index).map(str::to_string)).collect()
    };
    let (evm, solana) = (order(&wallet, "eip155"), order(&wallet, "solana"));
    for (picked, wanted) in [(0, [0, 1, 2]), (1, [1, 0, 2]), (2, [2, 0, 1])] {
        let led = wallet.led_by(&evm[picked]).unwrap();
        assert_eq!(order(&led, "eip155"), wanted.map(|at| evm[at].clone()));
        assert_eq!(order(&led, "solana"), solana);
        let both = led.led_by(&solana[picked]).unwrap();
        assert_eq!(order(&both, "solana"), wanted.map(|at| solana[at].clone()));
        assert_eq!(order(&both, "eip155"), wanted.map(|at| evm[at].clone()));
    }
    assert!(wallet.led_by("0x209693Bc6afc0C5328bA36FaF03C514EF312287C").is_none());
    assert!(Wallet::new().led_by(&evm[0]).is_none());
}
