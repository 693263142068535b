//! What the test server takes for a payment through Permit2 or by a channel, tested with payments that another
//! implementation made.

#[path = "support/mod.rs"]
mod support;

use alloy_dyn_abi::TypedData;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use support::payment::{hex, verify};
use support::terms::Challenge;

/// The private key 1.
const PAYER: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
const FACILITATOR: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const NOW_S: u64 = 1_740_672_089;

fn challenge(scheme: &str, unapproved: bool) -> Challenge {
    let extra = json!({"assetTransferMethod": "permit2", "facilitatorAddress": FACILITATOR});
    let terms = json!({"offers": [{"scheme": scheme, "extra": extra}], "unapproved": unapproved});
    Challenge::new(&serde_json::from_value(terms).unwrap(), "http://127.0.0.1/paid", None)
}

fn sign(typed: Value) -> String {
    let typed: TypedData = serde_json::from_value(typed).unwrap();
    let key = [[0; 31].as_slice(), &[1]].concat();
    let digest = typed.eip712_signing_hash().unwrap();
    let (signature, id) = SigningKey::from_slice(&key).unwrap().sign_prehash_recoverable(digest.as_slice());
    let mut bytes = signature.to_bytes().to_vec();
    bytes.push(27 + id.to_byte());
    hex(&bytes)
}

fn payment(challenge: &Challenge) -> Value {
    let offer = &challenge.offers[0];
    let upto = offer["scheme"] == "upto";
    let proxy =
        if upto { "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002" } else { "0x402085c248EeA27D92E8b30b2C58ed07f9E20001" };
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind});
    let mut witness_type = vec![field("to", "address"), field("validAfter", "uint256")];
    let mut witness = json!({"to": offer["payTo"], "validAfter": "0"});
    if upto {
        witness_type.insert(1, field("facilitator", "address"));
        witness["facilitator"] = FACILITATOR.into();
    }
    let message = json!({"permitted": {"token": offer["asset"], "amount": offer["amount"]}, "spender": proxy,
        "nonce": "7", "deadline": (NOW_S + 60).to_string(), "witness": witness});
    let signature = sign(json!({
        "types": {
            "EIP712Domain": [field("name", "string"), field("chainId", "uint256"), field("verifyingContract", "address")],
            "PermitWitnessTransferFrom": [field("permitted", "TokenPermissions"), field("spender", "address"),
                field("nonce", "uint256"), field("deadline", "uint256"), field("witness", "Witness")],
            "TokenPermissions": [field("token", "address"), field("amount", "uint256")],
            "Witness": witness_type,
        },
        "primaryType": "PermitWitnessTransferFrom",
        "domain": {"name": "Permit2", "chainId": 84532, "verifyingContract": support::permit2::PERMIT2},
        "message": message,
    }));
    let mut authorization = message;
    authorization["from"] = PAYER.into();
    json!({"x402Version": 2, "payload": {"signature": signature, "permit2Authorization": authorization},
        "accepted": offer, "resource": challenge.resource})
}

fn outcome(payment: &Value, challenge: &Challenge) -> Result<String, String> {
    let header = BASE64.encode(payment.to_string());
    verify(2, header.as_bytes(), challenge, NOW_S).map(|payment| payment.payer)
}

#[test]
fn a_permit_made_by_other_means_holds_and_any_changed_field_voids_it() {
    for scheme in ["exact", "upto"] {
        let challenge = challenge(scheme, false);
        let good = payment(&challenge);
        assert_eq!(outcome(&good, &challenge), Ok(PAYER.to_lowercase()), "{scheme}");
        let past = (NOW_S - 1).to_string();
        for (field, value, expected) in [
            ("from", json!(FACILITATOR), "invalid_permit2_signature"),
            ("spender", json!(FACILITATOR), "invalid_permit2_spender"),
            ("nonce", json!("8"), "invalid_permit2_signature"),
            ("deadline", json!("1740672150"), "invalid_permit2_signature"),
            ("deadline", json!(past), "permit2_deadline_expired"),
            ("permitted/token", json!(FACILITATOR), "permit2_token_mismatch"),
            ("permitted/amount", json!("9999"), "permit2_amount_mismatch"),
            ("witness/to", json!(FACILITATOR), "invalid_permit2_recipient_mismatch"),
            ("witness/validAfter", json!("1"), "invalid_permit2_signature"),
            ("witness/validAfter", json!("1740672100"), "permit2_not_yet_valid"),
        ] {
            let mut changed = good.clone();
            *changed.pointer_mut(&format!("/payload/permit2Authorization/{field}")).unwrap() = value;
            assert_eq!(outcome(&changed, &challenge), Err(expected.to_string()), "{scheme} {field}");
        }
    }
    let upto = challenge("upto", false);
    let mut changed = payment(&upto);
    changed["payload"]["permit2Authorization"]["witness"]["facilitator"] = PAYER.into();
    assert_eq!(outcome(&changed, &upto), Err("upto_facilitator_mismatch".to_string()));
}

#[test]
fn a_token_that_is_not_approved_is_asked_to_be() {
    let challenge = challenge("exact", true);
    assert_eq!(outcome(&payment(&challenge), &challenge), Err("permit2_allowance_required".to_string()));
}

/// What the official SDK made for channels, and the offers it was made for.
fn recorded() -> Vec<Value> {
    let path = format!("{}/tests/vectors/batch-settlement-evm.json", env!("CARGO_MANIFEST_DIR"));
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all["vectors"].as_array().unwrap().clone()
}

#[test]
fn a_voucher_and_a_deposit_made_by_other_means_hold_and_any_changed_field_voids_them() {
    let all = recorded();
    assert_eq!(all.len(), 4);
    for vector in all {
        let asked = &vector["paymentRequired"];
        let terms = json!({"offers_raw": asked["accepts"], "resource": asked["resource"]});
        let challenge = Challenge::new(&serde_json::from_value(terms).unwrap(), "http://127.0.0.1/paid", None);
        let good = &vector["paymentPayload"];
        let payer = vector["payer"].as_str().unwrap().to_lowercase();
        assert_eq!(outcome(good, &challenge), Ok(payer), "{}", vector["id"]);
        let by_permit2 = vector["id"] == "batch-deposit-permit2";
        let (way, deposit_reason) = match by_permit2 {
            true => ("permit2Authorization", "permit2_amount_mismatch"),
            false => ("erc3009Authorization", "receive_authorization_signature"),
        };
        let authorization = format!("deposit/authorization/{way}/signature");
        for (field, value, expected) in [
            ("channelConfig/receiver", json!(FACILITATOR), "receiver_mismatch"),
            ("channelConfig/receiverAuthorizer", json!(PAYER), "receiver_authorizer_mismatch"),
            ("channelConfig/token", json!(FACILITATOR), "token_mismatch"),
            ("channelConfig/payerAuthorizer", json!(PAYER), "channel_id_mismatch"),
            ("channelConfig/withdrawDelay", json!(901), "withdraw_delay_mismatch"),
            ("channelConfig/withdrawDelay", json!(899), "withdraw_delay_out_of_range"),
            ("channelConfig/salt", json!(format!("0x{:064}", 1)), "channel_id_mismatch"),
            ("voucher/maxClaimableAmount", json!("1"), "voucher_signature"),
            ("deposit/amount", json!("7"), deposit_reason),
            (
                &authorization,
                good["payload"]["voucher"]["signature"].clone(),
                match by_permit2 {
                    true => "permit2_invalid_signature",
                    false => "receive_authorization_signature",
                },
            ),
            ("type", json!("voucher"), "payload_type"),
        ] {
            let mut changed = good.clone();
            *changed.pointer_mut(&format!("/payload/{field}")).unwrap() = value;
            let expected = format!("invalid_batch_settlement_evm_{expected}");
            assert_eq!(outcome(&changed, &challenge), Err(expected), "{} {field}", vector["id"]);
        }
    }
}
