//! Which offers are signed, and which are refused for which field.

use crate::error::Status;
use crate::money::{Draw, TransferMethod, known_assets};
use crate::protocol::Challenge;
use crate::scheme::{Facts, Ingredients, Need, VALIDITY_S_MAX, authorize, channels, needs, payable};
use crate::wallet::{Answer, SignKind, Signer, Wallet};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

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
        ("assetTransferMethod", json!("permit2")),
        ("assetTransferMethod", Value::Null),
    ] {
        let mut offer = offer();
        offer["extra"][field] = value;
        assert!(payable(&read(&offer).offers[0], &wallet()).is_ok(), "{offer}");
    }
    for (field, value) in [
        ("paymentFlow", json!("later")),
        ("paymentFlow", json!(true)),
        ("assetTransferMethod", json!("erc7710")),
        ("assetTransferMethod", json!("EIP3009")),
        ("assetTransferMethod", json!(["eip3009"])),
    ] {
        let reason = refusal(|offer| offer["extra"][field] = value.clone());
        assert!(reason.starts_with(&format!("extra.{field} ")), "{reason}");
    }
}

/// An offer of `upto`, after `change`.
fn upto(change: impl FnOnce(&mut Value)) -> Value {
    let mut offer = offer();
    offer["scheme"] = "upto".into();
    offer["extra"] = json!({"facilitatorAddress": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"});
    change(&mut offer);
    offer
}

#[test]
fn a_ceiling_is_signed_only_for_a_facilitator_that_is_named() {
    let judge = |offer: &Value| payable(&read(offer).offers[0], &wallet());
    assert_eq!(judge(&upto(|_| ())).unwrap().method, TransferMethod::Permit2);
    assert!(judge(&upto(|offer| offer["extra"]["assetTransferMethod"] = "permit2".into())).is_ok());
    for facilitator in [Value::Null, json!(7), json!("0x12"), json!(format!("0x{:040}", 0))] {
        let reason = judge(&upto(|offer| offer["extra"]["facilitatorAddress"] = facilitator.clone())).unwrap_err();
        assert!(reason.starts_with("extra.facilitatorAddress "), "{reason}");
    }
    let method = judge(&upto(|offer| offer["extra"]["assetTransferMethod"] = "eip3009".into())).unwrap_err();
    assert!(method.starts_with("extra.assetTransferMethod ") && method.ends_with("for upto"), "{method}");
}

/// An offer of `auth-capture`, after `change`.
fn capture(change: impl FnOnce(&mut Value)) -> Value {
    let mut offer = offer();
    offer["scheme"] = "auth-capture".into();
    offer["extra"] = json!({
        "name": "USDC", "version": "2", "captureAuthorizer": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "feeRecipient": "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", "captureDeadline": NOW_S + 60,
        "refundDeadline": NOW_S + 60, "minFeeBps": 0, "maxFeeBps": 100,
    });
    change(&mut offer);
    offer
}

#[test]
fn an_escrow_is_signed_for_only_with_all_its_terms() {
    let judge = |offer: &Value| payable(&read(offer).offers[0], &wallet());
    assert_eq!(judge(&capture(|_| ())).unwrap().method, TransferMethod::Eip3009);
    let through_permit2 = capture(|offer| offer["extra"]["assetTransferMethod"] = "permit2".into());
    assert_eq!(judge(&through_permit2).unwrap().method, TransferMethod::Permit2);
    let other = json!("0x1111111111111111111111111111111111111111");
    for (field, value) in [
        ("name", Value::Null),
        ("captureAuthorizer", Value::Null),
        ("captureAuthorizer", json!(format!("0x{:040}", 0))),
        ("feeRecipient", Value::Null),
        ("feeRecipient", json!("0x12")),
        ("captureDeadline", Value::Null),
        ("captureDeadline", json!("1740672149")),
        ("captureDeadline", json!(1u64 << 48)),
        ("refundDeadline", json!(NOW_S + 59)),
        ("refundDeadline", json!(1.5)),
        ("minFeeBps", json!(101)),
        ("maxFeeBps", json!(10_001)),
        ("authCaptureEscrow", other),
        ("policy", json!("0x12")),
        ("receiverAuthorizer", json!(false)),
    ] {
        let reason = judge(&capture(|offer| offer["extra"][field] = value.clone())).unwrap_err();
        assert!(reason.starts_with(&format!("extra.{field} ")), "{reason}");
    }
    let much = judge(&capture(|offer| offer["amount"] = (1_u128 << 120).to_string().into())).unwrap_err();
    assert!(much.starts_with("amount "), "{much}");
    assert!(judge(&capture(|offer| offer["amount"] = ((1_u128 << 120) - 1).to_string().into())).is_ok());
}

#[test]
fn an_escrow_whose_deadline_passes_before_the_signature_is_not_signed_for() {
    let challenge = read(&capture(|_| ()));
    let chosen = payable(&challenge.offers[0], &wallet()).unwrap();
    let sign = |now_s| authorize(&challenge.offers[0], &chosen, &wallet(), &Ingredients::plain(now_s, [1; 32]));
    assert!(sign(NOW_S).is_ok());
    assert!(sign(NOW_S + 1).unwrap_err().message.contains("extra.captureDeadline"));
}

/// What becomes of the approval of a payment through Permit2 whose server declares `declared`, with what a node gave.
fn sponsored(
    declared: &Value,
    wallet: &Wallet,
    consent: bool,
    answer: impl Fn(&Need) -> Option<String>,
) -> Result<Option<Value>, String> {
    let mut offer = offer();
    offer["extra"]["assetTransferMethod"] = "permit2".into();
    let body = json!({"x402Version": 2, "accepts": [offer], "extensions": declared});
    let challenge = Challenge::parse(None, body.to_string().as_bytes()).unwrap();
    let offer = &challenge.offers[0];
    let chosen = payable(offer, wallet).unwrap();
    let extensions = challenge.extensions.as_deref();
    let mut facts = Facts::default();
    for need in needs(offer, &chosen, extensions, consent) {
        assert!(!need.is_required());
        if let Some(answer) = answer(&need) {
            facts.add(&need, answer);
        }
    }
    let ingredients = Ingredients { now_s: NOW_S, nonce: [1; 32], facts: &facts, extensions, draw: None };
    let signed = authorize(offer, &chosen, wallet, &ingredients).map_err(|error| error.message)?;
    let again = authorize(offer, &chosen, wallet, &ingredients).unwrap();
    assert!(*signed.payload == *again.payload && signed.extensions == again.extensions, "the same bytes each time");
    Ok(signed.extensions.map(|json| serde_json::from_str(&json).unwrap()))
}

/// A node that says how much Permit2 may move, and 7 to all else.
fn node(allowance: u64) -> impl Fn(&Need) -> Option<String> {
    move |need| match need {
        Need::EvmCall { data, .. } if data[0] == 0xdd => Some(format!("0x{allowance:064x}")),
        Need::EvmCall { .. } => Some(format!("0x{:064x}", 7)),
        Need::EvmFees => Some("7 7".into()),
        _ => Some("7".into()),
    }
}

#[test]
fn an_approval_is_made_only_where_it_is_offered_needed_and_consented_to() {
    let permit = json!({"eip2612GasSponsoring": {"info": {"version": "1"}}});
    let approval = json!({"erc20ApprovalGasSponsoring": {"info": {"version": "1"}}});
    let silent = |_: &Need| None;
    assert_eq!(sponsored(&json!({}), &wallet(), true, node(0)), Ok(None));
    for declared in [&permit, &approval] {
        assert_eq!(sponsored(declared, &wallet(), true, node(10_000)), Ok(None), "approved already");
        assert_eq!(sponsored(declared, &wallet(), true, silent), Ok(None), "nobody knows");
    }
    let made = sponsored(&permit, &wallet(), false, node(9_999)).unwrap().unwrap();
    let info = &made["eip2612GasSponsoring"]["info"];
    assert_eq!((&info["amount"], &info["nonce"]), (&json!("10000"), &json!("7")), "exactly the amount");
    assert!(sponsored(&approval, &wallet(), true, node(0)).unwrap().is_some());
    let reason = sponsored(&approval, &wallet(), false, node(9_999)).unwrap_err();
    assert!(reason.contains("asset ") && reason.contains("9999") && reason.contains("unlimited"), "{reason}");
    // A permit without its nonce cannot be made.
    let without_nonce = |need: &Need| node(0)(need).filter(|_| need.key().contains("dd62ed3e"));
    assert!(sponsored(&permit, &wallet(), true, without_nonce).is_err());
}

#[test]
fn a_server_that_fills_in_the_payers_part_gets_no_approval() {
    for member in ["spender", "amount", "signedTransaction"] {
        let declared =
            json!({"erc20ApprovalGasSponsoring": {"info": {member: "0x1111111111111111111111111111111111111111"}}});
        assert_eq!(sponsored(&declared, &wallet(), true, node(0)), Ok(None), "{member}");
    }
}

#[test]
fn fees_that_no_chain_asks_for_are_not_signed() {
    let approval = json!({"erc20ApprovalGasSponsoring": {"info": {}}});
    for (fees, fits) in [("1000000000000 1", true), ("1000000000001 1", false), ("5 6", false), ("lots 1", false)] {
        let answer = |need: &Need| if *need == Need::EvmFees { Some(fees.to_string()) } else { node(0)(need) };
        let made = sponsored(&approval, &wallet(), true, answer);
        assert_eq!(made.is_ok(), fits, "{fees}");
        assert!(fits || made.unwrap_err().contains("evm_rpc"), "{fees}");
    }
}

#[test]
fn version_1_knows_nothing_but_exact_transfers() {
    for (scheme, method) in [("exact", Some("permit2")), ("upto", None)] {
        let mut offer = upto(|offer| offer["extra"]["assetTransferMethod"] = method.into());
        offer["scheme"] = scheme.into();
        offer["network"] = "base-sepolia".into();
        offer["maxAmountRequired"] = "10000".into();
        let body = json!({"x402Version": 1, "accepts": [offer]}).to_string();
        let challenge = Challenge::parse(None, body.as_bytes()).unwrap();
        let reason = payable(&challenge.offers[0], &wallet()).unwrap_err();
        assert!(reason.ends_with("which x402 version 1 does not have"), "{reason}");
    }
}

#[test]
fn a_permit_lives_as_long_as_the_offer_allows_and_never_long() {
    let mut offer = upto(|_| ());
    for (timeout, lives) in [(60, 60), (30 * 86_400, VALIDITY_S_MAX)] {
        offer["maxTimeoutSeconds"] = timeout.into();
        let challenge = read(&offer);
        let chosen = payable(&challenge.offers[0], &wallet()).unwrap();
        let signed = authorize(&challenge.offers[0], &chosen, &wallet(), &Ingredients::plain(NOW_S, [1; 32])).unwrap();
        let payload: Value = serde_json::from_str(&signed.payload).unwrap();
        assert_eq!(payload["permit2Authorization"]["deadline"], (NOW_S + lives).to_string());
        assert_eq!(signed.valid_before_s, NOW_S + lives);
    }
}

#[test]
fn what_cannot_be_signed_here_says_why() {
    let scheme = refusal(|offer| offer["scheme"] = "deferred".into());
    assert_eq!(
        scheme,
        r#"scheme is "deferred", but only exact, upto, auth-capture, batch-settlement can be signed here"#
    );
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

fn channel_offer(change: impl FnOnce(&mut Value)) -> Value {
    let mut offer = offer();
    offer["scheme"] = "batch-settlement".into();
    offer["extra"]["receiverAuthorizer"] = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".into();
    change(&mut offer);
    offer
}

#[test]
fn what_a_channel_cannot_be_made_of_is_refused_by_its_field() {
    let judge = |offer: &Value| payable(&read(offer).offers[0], &wallet());
    for method in ["eip3009", "permit2"] {
        let named = channel_offer(|offer| offer["extra"]["assetTransferMethod"] = method.into());
        assert_eq!(judge(&named).unwrap().method.standard(), if method == "permit2" { "Permit2" } else { "EIP-3009" });
    }
    for (field, value) in [
        ("receiverAuthorizer", Value::Null),
        ("receiverAuthorizer", json!(format!("0x{:040}", 0))),
        ("withdrawDelay", json!(899)),
        ("withdrawDelay", json!(2_592_001)),
        ("withdrawDelay", json!("900")),
        ("withdrawDelay", json!(900.5)),
        ("voucherState", json!({"signedMaxClaimable": "1", "signature": "0x12"})),
        ("minDeposit", json!("0x10")),
        ("minDeposit", json!(5000)),
        ("name", Value::Null),
        ("assetTransferMethod", json!("erc7710")),
    ] {
        let reason = judge(&channel_offer(|offer| offer["extra"][field] = value.clone())).unwrap_err();
        assert!(reason.starts_with(&format!("extra.{field} ")), "{field} {value}: {reason}");
    }
    // However much is wanted: the ledger bounds it.
    let wanted = |change: &dyn Fn(&mut Value)| {
        let challenge = read(&channel_offer(change));
        let payable = payable(&challenge.offers[0], &wallet()).unwrap();
        channels(&challenge.offers[0], &payable, &wallet()).unwrap().deposit_wanted.to_string()
    };
    assert_eq!(wanted(&|_| {}), "50000");
    assert_eq!(wanted(&|offer| offer["extra"]["minDeposit"] = "70000".into()), "70000");
    assert_eq!(wanted(&|offer| offer["extra"]["minDeposit"] = "9999".into()), "50000", "less than one price");
}

#[test]
fn a_signer_elsewhere_is_shown_voucher_and_deposit_and_a_contract_judges_its_own_vouchers() {
    const ACCOUNT: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let shown = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&shown);
    let signer = Signer::new(Arc::new(move |kind, data: &[u8], out: &mut [u8]| {
        assert_eq!(kind, SignKind::EvmTypedData);
        kept.lock().unwrap().push(serde_json::from_slice::<Value>(data).unwrap()["primaryType"].clone());
        out[..77].fill(7);
        Answer::Signature(77)
    }));
    for family in ["eip155", "eip155-contract"] {
        let mut wallet = Wallet::new();
        wallet.add_signer(family, ACCOUNT, signer.clone()).unwrap();
        let challenge = read(&channel_offer(|_| {}));
        let offer = &challenge.offers[0];
        let chosen = payable(offer, &wallet).unwrap();
        let channel = channels(offer, &chosen, &wallet).unwrap().candidates[2];
        let [charged, claimable, deposit] = [5, 10_005, 7].map(crate::money::Amount::from);
        let draw = Draw { channel, salt: 2, charged, claimable, deposit, signed_before: None };
        let ingredients = Ingredients { draw: Some(&draw), ..Ingredients::plain(NOW_S, [1; 32]) };
        let signed = authorize(offer, &chosen, &wallet, &ingredients);
        if family == "eip155" {
            let error = signed.unwrap_err();
            assert_eq!(error.status, Status::Sign);
            assert!(error.message.contains("77 bytes") && error.message.contains("eip155-contract"), "{error}");
            assert_eq!(std::mem::take(&mut *shown.lock().unwrap()), ["Voucher"], "no deposit was signed");
            continue;
        }
        let payload: Value = serde_json::from_str(&signed.unwrap().payload).unwrap();
        assert_eq!(payload["channelConfig"]["payerAuthorizer"], json!(format!("0x{:040}", 0)));
        assert_eq!(payload["channelConfig"]["salt"], json!(format!("0x{:064}", 2)));
        let signature = format!("0x{}", "07".repeat(77));
        assert_eq!(payload["voucher"]["signature"], json!(signature));
        assert_eq!(payload["deposit"]["authorization"]["erc3009Authorization"]["signature"], json!(signature));
        assert_eq!(std::mem::take(&mut *shown.lock().unwrap()), ["Voucher", "ReceiveWithAuthorization"]);
        assert!(authorize(offer, &chosen, &wallet, &Ingredients::plain(NOW_S, [1; 32])).is_err(), "without a channel");
    }
}
