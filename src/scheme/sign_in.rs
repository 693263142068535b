//! Signing in with the account that pays (extension `sign-in-with-x`).
//!
//! Owns the choice of the key and the two ways of signing a text: EIP-191 on EVM chains, the text itself on Solana.
//! The first key of a family signs, because it is the one that pays there. Moves no money: the text begins with
//! words that no transaction begins with.

use crate::error::Error;
use crate::protocol::{SignIn, SignInChain, SignInKind};
use crate::wallet::Wallet;
use zeroize::Zeroizing;

/// The value of the header that signs in, with the first of the server's chains for which `wallet` has a key of its
/// own. `None` where it has none. Whoever holds the value can pass for this account at this server until it expires.
pub fn sign_in(asked: &SignIn, wallet: &Wallet) -> Option<Result<Zeroizing<String>, Error>> {
    asked.chains.iter().find_map(|chain| with_chain(asked, chain, wallet))
}

fn with_chain(asked: &SignIn, chain: &SignInChain, wallet: &Wallet) -> Option<Result<Zeroizing<String>, Error>> {
    let (address, signature) = match chain.kind {
        SignInKind::Eip191 => {
            let key = wallet.evm_keys().first()?;
            let signed = key.sign_text(&asked.message(chain, key.address()))?;
            (key.address(), signed.map(alloy_primitives::hex::encode_prefixed))
        }
        SignInKind::Ed25519 => {
            let key = wallet.solana_keys().first()?;
            let signed = key.sign_text(&asked.message(chain, key.address()))?;
            (key.address(), signed.map(|signature| base58(&signature)))
        }
    };
    Some(signature.map(|signature| Zeroizing::new(asked.header_value(chain, address, &signature))))
}

fn base58(signature: &[u8; 64]) -> String {
    let mut text = [0; five8::BASE58_ENCODED_64_MAX_LEN];
    let length = five8::encode_64(signature, &mut text);
    text.iter().take(usize::from(length)).map(|digit| char::from(*digit)).collect()
}
