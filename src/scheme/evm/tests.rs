//! Which offers are signed, and which are refused for which field.

use crate::error::Status;
use crate::money::{TransferMethod, known_assets};
use crate::protocol::Challenge;
use crate::scheme::{Ingredients, VALIDITY_S_MAX, authorize, payable};
use crate::wallet::Wallet;
use serde_json::{Value, json};

const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const NOW_S: u64 = 1_740_672_089;

fn wallet() -> Wallet {
    let mut wallet = Wallet::new();
    wallet.add_evm_key(KEY).unwrap();
    wallet
}

fn offer() -> Value {
    json!({
        "scheme": "exact", "network": "eip155:84532", "amount": "10000", "maxTimeoutSeconds": 60,
        "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
        "extra": {"name": "USDC", "version": "2"},
    })
}

fn read(offer: &Value) -> Challenge {
    Challenge::parse(None, json!({"x402Version": 2, "accepts": [offer]}).to_string().as_bytes()).unwrap()
}

/// The reason for which an offer is refused after `change`.
fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let mut offer = offer();
    change(&mut offer);
    payable(&read(&offer).offers[0], &wallet()).unwrap_err()
}

fn validity_of(offer: &Value, now_s: u64) -> (String, String, u64) {
    let challenge = read(offer);
    let chosen = payable(&challenge.offers[0], &wallet()).unwrap();
    let signed = authorize(&challenge.offers[0], &chosen, &wallet(), &Ingredients::plain(now_s, [1; 32])).unwrap();
    let payload: Value = serde_json::from_str(&signed.payload).unwrap();
    let text = |field: &str| payload["authorization"][field].as_str().unwrap().to_string();
    (text("validAfter"), text("validBefore"), signed.valid_before_s)
}

#[test]
fn every_known_asset_is_signed_or_refused_as_its_row_says() {
    for asset in known_assets().iter().filter(|asset| asset.method != TransferMethod::Spl) {
        let mut offer = offer();
        offer["network"] = asset.network.into();
        offer["asset"] = asset.address.to_lowercase().into();
        offer["extra"] = json!({"name": asset.eip712_name, "version": asset.eip712_version});
        let judged = payable(&read(&offer).offers[0], &wallet());
        match asset.method {
            TransferMethod::Eip3009 => assert_eq!(judged.unwrap().method, TransferMethod::Eip3009),
            TransferMethod::Permit2 | TransferMethod::Spl => {
                assert!(judged.unwrap_err().starts_with("asset "), "{asset:?}")
            }
        }
    }
}

#[test]
fn a_known_asset_is_never_signed_for_under_another_name() {
    let name = refusal(|offer| offer["extra"]["name"] = "USD Coin".into());
    assert_eq!(name, r#"extra.name is "USD Coin", but USDC of eip155:84532 signs with "USDC""#);
    assert!(refusal(|offer| offer["extra"]["version"] = "1".into()).starts_with("extra.version "));
    assert!(refusal(|offer| offer["extra"]["version"] = 2.into()).starts_with("extra.version "));
    assert!(refusal(|offer| offer["extra"] = Value::Null).starts_with("extra.name "));
    // Lower case does not hide a known asset.
    let lower = refusal(|offer| {
        offer["asset"] = offer["asset"].as_str().unwrap().to_lowercase().into();
        offer["extra"]["name"] = "Other".into();
    });
    assert!(lower.starts_with("extra.name "), "{lower}");
}

#[test]
fn an_unlisted_token_needs_its_domain_from_the_server() {
    let unlisted = "0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582";
    let mut complete = offer();
    complete["asset"] = unlisted.into();
    assert!(payable(&read(&complete).offers[0], &wallet()).is_ok());
    for (field, value) in [("name", json!("")), ("name", Value::Null), ("version", json!("")), ("version", json!(2))] {
        let reason = refusal(|offer| {
            offer["asset"] = unlisted.into();
            offer["extra"][field] = value.clone();
        });
        assert!(reason.starts_with(&format!("extra.{field} ")), "{reason}");
    }
}

#[test]
fn addresses_are_checked_before_anything_is_signed() {
    for field in ["payTo", "asset"] {
        let zero = "0x0000000000000000000000000000000000000000";
        let flipped = "0x209693bc6afc0C5328bA36FaF03C514EF312287C";
        for text in [zero, flipped, "0x1234", "alice.eth", "0x209693Bc6afc0C5328bA36FaF03C514EF312287Cff"] {
            let reason = refusal(|offer| offer[field] = text.into());
            assert!(reason.starts_with(&format!("{field} ")), "{reason}");
        }
    }
}

#[test]
fn known_flows_and_methods_are_signed_and_no_others() {
    for (field, value) in [
        ("paymentFlow", json!("authorization")),
        ("paymentFlow", json!("upfront")),
        ("paymentFlow", json!("escrow")),
        ("paymentFlow", Value::Null),
        ("assetTransferMethod", json!("eip3009")),
        ("assetTransferMethod", Value::Null),
    ] {
        let mut offer = offer();
        offer["extra"][field] = value;
        assert!(payable(&read(&offer).offers[0], &wallet()).is_ok(), "{offer}");
    }
    for (field, value) in [
        ("paymentFlow", json!("later")),
        ("paymentFlow", json!(true)),
        ("assetTransferMethod", json!("permit2")),
        ("assetTransferMethod", json!("EIP3009")),
        ("assetTransferMethod", json!(["eip3009"])),
    ] {
        let reason = refusal(|offer| offer["extra"][field] = value.clone());
        assert!(reason.starts_with(&format!("extra.{field} ")), "{reason}");
    }
}

#[test]
fn what_cannot_be_signed_here_says_why() {
    assert!(refusal(|offer| offer["scheme"] = "upto".into()).starts_with("scheme "));
    let other = refusal(|offer| offer["network"] = "stellar:pubnet".into());
    assert!(other.starts_with("network ") && other.contains("family stellar"), "{other}");
    let reason = payable(&read(&offer()).offers[0], &Wallet::new()).unwrap_err();
    assert!(reason.starts_with("network ") && reason.contains("no EVM key"), "{reason}");
}

#[test]
fn validity_is_what_the_offer_allows_and_never_long() {
    let mut offer = offer();
    assert_eq!(validity_of(&offer, NOW_S), ("0".into(), (NOW_S + 60).to_string(), NOW_S + 60));
    for timeout in [VALIDITY_S_MAX, VALIDITY_S_MAX + 1, 30 * 86_400, (1 << 53) - 1] {
        offer["maxTimeoutSeconds"] = timeout.into();
        assert_eq!(validity_of(&offer, NOW_S).2, NOW_S + VALIDITY_S_MAX, "{timeout}");
    }
    assert_eq!(validity_of(&offer, u64::MAX).2, u64::MAX);
}

#[test]
fn only_the_key_that_was_chosen_signs() {
    let challenge = read(&offer());
    let chosen = payable(&challenge.offers[0], &wallet()).unwrap();
    let mut other = Wallet::new();
    other.add_evm_key(&format!("{:0>64}", "1")).unwrap();
    for wallet in [other, Wallet::new()] {
        let error = authorize(&challenge.offers[0], &chosen, &wallet, &Ingredients::plain(NOW_S, [1; 32])).unwrap_err();
        assert_eq!(error.status, Status::Sign);
    }
}
