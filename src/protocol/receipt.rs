//! What the server says became of the payment.
//!
//! Owns the reading of `PAYMENT-RESPONSE`. A receipt is a claim: it must never free more budget than was
//! signed for, which is the reader's business. Must not know what was paid. Types are strict, because a
//! receipt whose `success` is the text "false" has been counted as settled by others.

use super::limits::{NAME_BYTES_MAX, RECEIPT_BYTES_MAX};
use super::wire::{self, Fault};
use crate::money::Amount;
use serde_json::value::RawValue;
use std::fmt;

/// The answer to a payment (x402 v1 and v2, `SettleResponse`).
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Whether the server says that the payment was settled.
    pub success: bool,
    /// The transaction on the chain; empty when there is none.
    pub transaction: String,
    /// As the server wrote it: CAIP-2 or a short name.
    pub network: String,
    pub payer: Option<String>,
    pub error_reason: Option<String>,
    pub error_message: Option<String>,
    /// What was taken, in atomic units, where the server says so; where nothing moved on the chain it may be empty.
    pub amount: Option<Amount>,
    /// The whole object byte for byte.
    pub raw: Box<RawValue>,
}

/// Why a receipt cannot be read. The response that carried it is still the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptError {
    pub field: String,
    /// The rest of a sentence that begins with the field.
    pub reason: String,
}

impl Receipt {
    /// Reads `PAYMENT-RESPONSE`, or `X-PAYMENT-RESPONSE` where the first is absent or empty; `None` where
    /// both are.
    pub fn parse(
        payment_response: Option<&[u8]>,
        x_payment_response: Option<&[u8]>,
    ) -> Option<Result<Receipt, ReceiptError>> {
        let value = [payment_response, x_payment_response]
            .into_iter()
            .flatten()
            .map(<[u8]>::trim_ascii)
            .find(|value| !value.is_empty())?;
        Some(read(value).map_err(|fault| ReceiptError { field: fault.field, reason: fault.reason }))
    }
}

impl Receipt {
    /// An extension of the receipt.
    pub fn extension(&self, name: &str) -> Option<serde_json::Value> {
        let raw = Some(self.raw.get()).filter(|raw| raw.contains(name))?;
        let mut all: serde_json::Value = serde_json::from_str(raw).ok()?;
        all.get_mut("extensions")?.get_mut(name).map(serde_json::Value::take)
    }

    /// What the scheme says beside the rest; null where it says nothing.
    pub fn extra(&self) -> serde_json::Value {
        let all = serde_json::from_str::<serde_json::Value>(self.raw.get()).unwrap_or_default();
        all.get("extra").cloned().unwrap_or_default()
    }
}

fn read(value: &[u8]) -> Result<Receipt, Fault> {
    let json = wire::decode_header(value, RECEIPT_BYTES_MAX)?;
    let document = wire::read_object(&json)?;
    let [success, transaction, network, payer, error_reason, error_message, amount] = wire::members(
        document.root(),
        &["success", "transaction", "network", "payer", "errorReason", "errorMessage", "amount"],
        "JSON",
    )?;
    let text = |field, value| wire::optional_text(field, value).map(|text| text.map(|text| text.into_owned()));
    let required_text = |field, value| {
        let raw = wire::required(field, value)?;
        wire::string(field, raw, NAME_BYTES_MAX).map(|text| text.into_owned())
    };
    let amount = match wire::optional_text("amount", amount)?.filter(|digits| !digits.is_empty()) {
        Some(digits) => Some(Amount::parse(&digits).map_err(|why| Fault::new("amount", why))?),
        None => None,
    };
    Ok(Receipt {
        success: wire::boolean("success", wire::required("success", success)?)?,
        transaction: required_text("transaction", transaction)?,
        network: required_text("network", network)?,
        payer: text("payer", payer)?,
        error_reason: text("errorReason", error_reason)?,
        error_message: text("errorMessage", error_message)?,
        amount,
        raw: RawValue::from_string(json).map_err(|why| Fault::new("JSON", format!("is not valid: {why}")))?,
    })
}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The payment receipt is malformed: {} {}.", self.field, self.reason)
    }
}

impl std::error::Error for ReceiptError {}
