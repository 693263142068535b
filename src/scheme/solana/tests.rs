//! Which offers are signed, and which are refused for which field; what must be asked of a node.

use crate::error::Status;
use crate::money::{TransferMethod, known_assets};
use crate::protocol::Challenge;
use crate::scheme::solana::BLOCKHASH_VALIDITY_S;
use crate::scheme::{Facts, Ingredients, Need, VALIDITY_S_MAX, authorize, needs, payable, valid_before_s};
use crate::wallet::{Answer, SignKind, Signer, Wallet};
use base64::Engine;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const PAYER: &str = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj";
const PAYEE: &str = "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu";
const FEE_PAYER: &str = "GyGKxMyg1p9SsHfm15MkNUu1u9TN2JtTspcdmrtGUdse";
const AUTHORIZER: &str = "EdmxWPmx2WH6WgFfTdu9xfkYf3k1g5wD1zccTVySEEh1";
const BLOCKHASH: &str = "GfVcyD4kkTrj4bKc7WA9sZCin9JDbdT4Zkd3EittNR1W";
const MAINNET: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
const USDC: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
const WRAPPED_SOL: &str = "So11111111111111111111111111111111111111112";
const TOKEN: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
const TOKEN_2022: &str = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";
const SYSTEM: &str = "11111111111111111111111111111111";
const NOW_S: u64 = 1_740_672_089;

/// The key pair of the seed 01 02 … 20.
fn wallet() -> Wallet {
    let mut pair: Vec<u8> = (1..=32).collect();
    pair.extend(crate::money::SolanaAddress::parse(PAYER).unwrap().bytes());
    let mut wallet = Wallet::new();
    wallet.add_solana_key(&json!(pair).to_string()).unwrap();
    wallet
}

fn exact() -> Value {
    json!({
        "scheme": "exact", "network": MAINNET, "amount": "10000", "maxTimeoutSeconds": 60,
        "asset": USDC, "payTo": PAYEE, "extra": {"feePayer": FEE_PAYER, "recentBlockhash": BLOCKHASH},
    })
}

fn upto() -> Value {
    let mut offer = exact();
    offer["scheme"] = "upto".into();
    offer["extra"]["receiverAuthorizer"] = AUTHORIZER.into();
    offer["extra"]["withdrawDelay"] = 900.into();
    offer["extra"]["recentSlot"] = 350_000_000.into();
    offer
}

fn read(offer: &Value) -> Challenge {
    Challenge::parse(None, json!({"x402Version": 2, "accepts": [offer]}).to_string().as_bytes()).unwrap()
}

fn judged(offer: &Value) -> Result<crate::scheme::Payable, String> {
    payable(&read(offer).offers[0], &wallet())
}

#[test]
fn a_channel_outlasts_its_opening_and_a_transfer_does_not() {
    let lasting = |offer: &Value| crate::scheme::is_lasting(&read(offer).offers[0]);
    assert_eq!((lasting(&exact()), lasting(&upto())), (false, true));
}

/// Asserts that `offer` is refused for `field` after `change`.
fn refused(mut offer: Value, field: &str, change: impl FnOnce(&mut Value)) {
    change(&mut offer);
    let reason = judged(&offer).expect_err(&format!("{offer} is payable"));
    assert!(reason.starts_with(&format!("{field} ")), "{reason:?} is not about {field}");
}

fn asked(offer: &Value) -> Vec<Need> {
    let challenge = read(offer);
    needs(&challenge.offers[0], &judged(offer).unwrap(), None, false)
}

fn signed(offer: &Value, facts: &Facts, now_s: u64) -> Result<Value, crate::error::Error> {
    let challenge = read(offer);
    let ingredients = Ingredients { now_s, nonce: [7; 32], facts, extensions: None, draw: None };
    let signed = authorize(&challenge.offers[0], &judged(offer).unwrap(), &wallet(), &ingredients)?;
    assert_eq!(signed.valid_before_s, valid_before_s(&challenge.offers[0], now_s));
    Ok(serde_json::from_str(&signed.payload).unwrap())
}

#[test]
fn every_known_asset_is_signed_without_a_node_if_the_offer_gives_a_blockhash() {
    let rows: Vec<_> = known_assets().iter().filter(|asset| asset.network.starts_with("solana:")).collect();
    assert_eq!(rows.len(), 11);
    for asset in rows {
        for mut offer in [exact(), upto()] {
            offer["network"] = asset.network.into();
            offer["asset"] = asset.address.into();
            let chosen = judged(&offer).unwrap();
            assert_eq!((chosen.method, chosen.payer.as_str()), (TransferMethod::Spl, PAYER));
            assert_eq!(asked(&offer), []);
            let payload = signed(&offer, &Facts::none(), NOW_S).unwrap();
            let member = if offer["scheme"] == "exact" { "transaction" } else { "openTransaction" };
            let base64 = payload[member].as_str().unwrap();
            let bytes = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
            let program = *crate::money::SolanaAddress::parse(asset.token_program).unwrap().bytes();
            assert!(bytes.windows(32).any(|part| part == program), "{asset:?}");
        }
    }
}

#[test]
fn a_node_is_asked_for_what_offer_and_table_do_not_tell() {
    let mut offer = exact();
    for no_hash in [Value::Null, json!("not a hash"), json!("")] {
        offer["extra"]["recentBlockhash"] = no_hash;
        assert_eq!(asked(&offer), [Need::SolanaBlockhash]);
    }
    let mut offer = upto();
    offer["extra"]["recentSlot"] = Value::Null;
    assert_eq!(asked(&offer), [Need::SolanaSlot]);
    // A node that answers with something else does not get a signature.
    for (need, answer) in [(Need::SolanaSlot, "many"), (Need::SolanaBlockhash, "1")] {
        let mut facts = Facts::none();
        facts.add(&need, answer.into());
        assert_eq!(signed(&offer, &facts, NOW_S).unwrap_err().status, Status::Sign);
    }
}

/// An offer on a test network must not become a payment on the main one.
#[test]
fn a_mint_that_is_not_in_the_table_takes_its_blockhash_from_the_callers_node_alone() {
    let mut offer = exact();
    offer["network"] = DEVNET.into();
    offer["asset"] = WRAPPED_SOL.into();
    let mint = Need::SolanaMint(WRAPPED_SOL.into());
    assert_eq!(asked(&offer), [mint.clone(), Need::SolanaBlockhash]);
    let mut facts = Facts::none();
    facts.add(&mint, format!("{TOKEN} 9"));
    assert!(signed(&offer, &facts, NOW_S).unwrap_err().message.contains("no node gave one"));
    facts.add(&Need::SolanaBlockhash, BLOCKHASH.into());
    assert!(signed(&offer, &facts, NOW_S).is_ok());
    // The mint of real dollars, offered as something of a test network.
    refused(exact(), "asset", |offer| offer["network"] = DEVNET.into());
}

#[test]
fn what_a_node_says_of_a_mint_is_checked() {
    let mut offer = exact();
    offer["asset"] = WRAPPED_SOL.into();
    let mint = Need::SolanaMint(WRAPPED_SOL.into());
    let sign_with = |offer: &Value, fact: &str| {
        let mut facts = Facts::none();
        facts.add(&Need::SolanaBlockhash, BLOCKHASH.into());
        facts.add(&mint, fact.into());
        signed(offer, &facts, NOW_S).map_err(|error| error.message)
    };
    assert!(sign_with(&offer, &format!("{TOKEN} 9")).is_ok());
    assert!(sign_with(&offer, &format!("{TOKEN_2022} 0")).is_ok());
    for bad in [&format!("{SYSTEM} 9"), &format!("{TOKEN} 256"), &format!("{TOKEN} -1"), TOKEN, "", "9 9"] {
        assert!(sign_with(&offer, bad).unwrap_err().contains("asset "), "{bad}");
    }
    offer["extra"]["tokenProgram"] = TOKEN_2022.into();
    assert!(sign_with(&offer, &format!("{TOKEN} 9")).unwrap_err().contains("extra.tokenProgram"));
    offer["extra"]["tokenProgram"] = TOKEN.into();
    offer["extra"]["decimals"] = 6.into();
    assert!(sign_with(&offer, &format!("{TOKEN} 9")).unwrap_err().contains("extra.decimals"));
}

#[test]
fn fields_of_the_wrong_kind_are_refused_by_name() {
    for offer in [exact, upto] {
        for (field, bad) in [
            ("payTo", SYSTEM),
            ("payTo", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"),
            ("payTo", "alice.sol"),
            ("payTo", PAYER),
            ("asset", SYSTEM),
            ("asset", "usdc"),
            ("amount", "18446744073709551616"),
        ] {
            refused(offer(), field, |offer| offer[field] = bad.into());
        }
        for (field, bad) in [
            ("feePayer", Value::Null),
            ("feePayer", json!(7)),
            ("feePayer", json!(SYSTEM)),
            ("feePayer", json!(PAYER)),
            ("memo", json!(["x"])),
            ("memo", json!("m".repeat(257))),
            ("recentBlockhash", json!(7)),
            ("tokenProgram", json!(TOKEN_2022)),
            ("tokenProgram", json!("token")),
            ("decimals", json!(9)),
            ("decimals", json!("6")),
            ("paymentFlow", json!("later")),
        ] {
            refused(offer(), &format!("extra.{field}"), |offer| offer["extra"][field] = bad);
        }
        refused(offer(), "scheme", |offer| offer["scheme"] = "batch-settlement".into());
    }
    let reason = payable(&read(&exact()).offers[0], &Wallet::new()).unwrap_err();
    assert!(reason.starts_with("network ") && reason.contains("no Solana key"), "{reason}");
}

#[test]
fn a_fee_payer_that_the_transfer_itself_uses_is_refused() {
    let source = "FjCjyojZLVYVQ2dEdDKQx76msks96TdH9xqvc8BQ9UUx";
    let destination = "ASZ2TDDNJG2n42TxAezqNNzwWipykHrENDKMCoLKgzup";
    for used in [source, destination, USDC, TOKEN] {
        refused(exact(), "extra.feePayer", |offer| offer["extra"]["feePayer"] = used.into());
    }
    // The merchant itself may pay the fee: its token account is another address.
    let mut offer = exact();
    offer["extra"]["feePayer"] = PAYEE.into();
    assert!(judged(&offer).is_ok());
}

#[test]
fn a_channel_needs_its_own_members() {
    for (field, bad) in [
        ("receiverAuthorizer", Value::Null),
        ("receiverAuthorizer", json!(PAYER)),
        ("receiverAuthorizer", json!(SYSTEM)),
        ("withdrawDelay", Value::Null),
        ("withdrawDelay", json!(0)),
        ("withdrawDelay", json!(-1)),
        ("withdrawDelay", json!("900")),
        ("withdrawDelay", json!(30 * 86_400 + 1)),
        ("withdrawDelay", json!(1_u64 << 32)),
        ("recentSlot", json!("1")),
        ("validAfter", json!(1.5)),
        ("paymentFlow", json!("authorization")),
    ] {
        refused(upto(), &format!("extra.{field}"), |offer| offer["extra"][field] = bad);
    }
    let mut offer = upto();
    offer["extra"]["paymentFlow"] = "escrow".into();
    offer["extra"]["receiverAuthorizer"] = FEE_PAYER.into();
    assert!(judged(&offer).is_ok(), "whoever serves may pay the fee as well");
    let mut first = upto();
    first["network"] = "solana".into();
    first["maxAmountRequired"] = "10000".into();
    first["resource"] = "https://api.example.com/".into();
    let challenge = json!({"x402Version": 1, "accepts": [first]}).to_string();
    let challenge = Challenge::parse(None, challenge.as_bytes()).unwrap();
    assert!(payable(&challenge.offers[0], &wallet()).unwrap_err().starts_with("scheme "));
}

#[test]
fn validity_is_that_of_a_blockhash_and_a_channel_ends_soon() {
    let validity = |offer: &Value| valid_before_s(&read(offer).offers[0], NOW_S) - NOW_S;
    for timeout in [1, 60, 86_400] {
        let mut offer = exact();
        offer["maxTimeoutSeconds"] = timeout.into();
        assert_eq!(validity(&offer), BLOCKHASH_VALIDITY_S);
    }
    for (timeout, end) in [(60, 60), (VALIDITY_S_MAX, VALIDITY_S_MAX), (1 << 53, VALIDITY_S_MAX)] {
        let mut offer = upto();
        offer["maxTimeoutSeconds"] = (timeout.min((1 << 53) - 1)).into();
        assert_eq!(validity(&offer), end.max(BLOCKHASH_VALIDITY_S));
        let payload = signed(&offer, &Facts::none(), NOW_S).unwrap();
        assert_eq!(payload["expiresAt"], json!(NOW_S + end));
    }
    assert_eq!(valid_before_s(&read(&upto()).offers[0], u64::MAX), u64::MAX);
}

#[test]
fn the_largest_memo_still_fits_a_transaction() {
    for mut offer in [exact(), upto()] {
        offer["extra"]["memo"] = "m".repeat(256).into();
        assert!(signed(&offer, &Facts::none(), NOW_S).is_ok());
    }
}

/// A purchase that is presented again hands a signer elsewhere the very message that it saw before.
#[test]
fn a_signer_elsewhere_is_handed_the_same_message_each_time() {
    let (own, seen) = (wallet(), Arc::new(Mutex::new(Vec::new())));
    let (key, kept) = (own.solana_keys()[0].clone(), seen.clone());
    let signer = Signer::new(Arc::new(move |kind, message: &[u8], signature: &mut [u8]| {
        assert_eq!(kind, SignKind::SolanaMessage);
        kept.lock().unwrap().push(message.to_vec());
        signature[..64].copy_from_slice(&key.sign_message(message).unwrap());
        Answer::Signature(64)
    }));
    let mut elsewhere = Wallet::new();
    elsewhere.add_signer("solana", PAYER, signer).unwrap();
    for offer in [exact(), upto()] {
        let challenge = read(&offer);
        let chosen = payable(&challenge.offers[0], &elsewhere).unwrap();
        let ingredients = Ingredients::plain(NOW_S, [1; 32]);
        let sign = |wallet: &Wallet| authorize(&challenge.offers[0], &chosen, wallet, &ingredients).unwrap().payload;
        assert_eq!(*sign(&elsewhere), *sign(&own));
        assert_eq!(*sign(&elsewhere), *sign(&own));
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    assert!(seen[0] == seen[1] && seen[2] == seen[3] && seen[0] != seen[2]);
}

#[test]
fn only_the_key_that_was_chosen_signs() {
    let challenge = read(&exact());
    let chosen = payable(&challenge.offers[0], &wallet()).unwrap();
    let ingredients = Ingredients::plain(NOW_S, [1; 32]);
    let error = authorize(&challenge.offers[0], &chosen, &Wallet::new(), &ingredients).unwrap_err();
    assert_eq!(error.status, Status::Sign);
}
