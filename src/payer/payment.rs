//! The record of one purchase: what was asked, what was signed, what was answered.
//!
//! Owns the texts that outlive the call and the JSON made of them. Holds nothing that could be presented
//! again: no signature, no nonce, no payment header.

use crate::error::{Error, Money, Retry, printable, printable_claim, printable_json};
use crate::ledger::{Recipe, Stood};
use crate::money::{Amount, Correction, Draw, Network, Usd, known_asset};
use crate::payer::{Declined, Refusal, channel};
use crate::protocol::{Challenge, Offer, Receipt};
use crate::scheme::attested::{self, Attestation, Expected, Verdict};
use crate::scheme::evm::Approval;
use crate::scheme::{self, Payable};
use once_cell::sync::OnceCell;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// What the record says of a statement that the server signed: the verdict, by whom, what is wrong with it.
const OFFER_NAMES: [&str; 3] = ["offer_signature", "offer_signer", "offer_signature_problem"];
const RECEIPT_NAMES: [&str; 3] = ["receipt_signature", "receipt_signer", "receipt_signature_problem"];

/// Cheap to clone; every text is fixed once it is handed out.
#[derive(Clone, Debug)]
pub struct Payment(Arc<Facts>);

#[derive(Clone, Debug, Default)]
struct Facts {
    amount: String,
    asset: String,
    network: String,
    payee: String,
    payer: String,
    scheme: String,
    usd: Option<String>,
    transaction: String,
    refusal: String,
    note: String,
    refusals: Vec<Value>,
    receipt: Option<ReceiptRecord>,
    /// What the server signed about the offer and about the payment.
    offer_statement: Option<Attestation>,
    receipt_statement: Option<Attestation>,
    /// What a signed receipt is held against; the resource as a digest, because URLs hold callers' keys.
    resource: Option<[u8; 32]>,
    signed_s: u64,
    /// A payment of the same call that was turned down.
    former: Option<Value>,
    /// What the server says was taken, where it is less than what was signed; of a payment by channel always.
    charged: Option<String>,
    /// What it draws from a payment channel.
    draw: Option<Draw>,
    /// What the server says where the channel is not as was thought.
    correction: Option<Correction>,
    /// The transaction that lets the token be moved, where there is one.
    approval: Option<Approval>,
    /// The server says that it is missing.
    approval_missing: bool,
    /// The ledger's entry; 0: nothing was signed.
    entry: u64,
    /// Of an earlier signature for the same purchase: what may settle yet, and in dollars.
    at_risk_before: Option<(String, Option<String>)>,
    money: Money,
    retry: Retry,
    /// Made when it is first asked for.
    json: OnceCell<String>,
}

impl Payment {
    pub(super) fn authorized(offer: &Offer, payable: &Payable, refusals: &[Refusal], recipe: &Recipe) -> Self {
        let usd = known_asset(&offer.network, &offer.asset).and_then(|asset| Usd::of(asset, &offer.amount));
        Payment(Arc::new(Facts {
            amount: offer.amount.to_string(),
            asset: offer.asset.clone(),
            network: offer.network.to_string(),
            payee: offer.payee.clone(),
            payer: payable.payer.clone(),
            approval: scheme::approval(offer, payable, recipe.draw.as_ref()),
            draw: recipe.draw.clone(),
            scheme: offer.scheme.clone(),
            usd: usd.map(|usd| usd.to_string()),
            refusals: refusals.iter().map(Refusal::to_json).collect(),
            money: Money::Unknown,
            retry: Retry::SameBytes,
            ..Facts::default()
        }))
    }

    /// The record of a payment that was asked for and not made. `offer` is the one that came nearest, if any.
    pub(super) fn declined(offer: Option<&Offer>, refusals: &[Refusal], text: String, money: Money) -> Self {
        let mut facts = Facts { refusal: text, money, retry: Retry::Safe, ..Facts::default() };
        if let Some(offer) = offer {
            facts.amount = offer.amount.to_string();
            // Nobody has checked these texts of the server's.
            facts.asset = printable(&offer.asset);
            facts.network = offer.network.to_string();
            facts.payee = printable(&offer.payee);
            facts.scheme = printable(&offer.scheme);
        }
        facts.refusals = refusals.iter().map(Refusal::to_json).collect();
        Payment(Arc::new(facts))
    }

    pub(super) fn of_entry(self, entry: u64) -> Self {
        self.with(|facts| facts.entry = entry)
    }

    /// A receipt said paid before this call, which asks for what was paid for.
    pub(super) fn paid_before(self, name: &str) -> Self {
        self.with(|facts| facts.transaction = transaction(name)).ended(Money::Paid, Retry::SameBytes)
    }

    /// Nothing was signed, because of what was signed before.
    pub(super) fn beside(self, stood: &Stood) -> Self {
        self.with(|facts| {
            facts.entry = stood.entry;
            facts.at_risk_before =
                stood.at_risk.map(|(amount, usd)| (amount.to_string(), usd.map(|usd| usd.to_string())));
        })
    }

    /// Keeps what the server states about the offer under a signature, and what its receipt will be held against.
    pub(super) fn beside_statement(self, challenge: &Challenge, offer: &Offer, recipe: &Recipe) -> Self {
        let attestation = attested::offer(challenge, offer, recipe.signed_s);
        let resource = challenge.resource_url.as_deref().map(attested::resource_id);
        self.with(|facts| {
            facts.offer_statement = attestation;
            facts.resource = resource;
            facts.signed_s = recipe.signed_s;
        })
    }

    fn receipt_statement(&self, receipt: &Receipt) -> Option<Attestation> {
        let facts = &self.0;
        let offer_signer = facts.offer_statement.as_ref().map(|statement| statement.signer.as_str());
        let expected = Expected {
            resource: facts.resource,
            network: &facts.network,
            payer: &facts.payer,
            payee: &facts.payee,
            offer_signer,
            paid_s: facts.signed_s,
        };
        attested::receipt(receipt, &expected)
    }

    pub(super) fn settled(self, receipt: Receipt) -> Self {
        let statement = self.receipt_statement(&receipt);
        self.with(|facts| {
            facts.transaction = transaction(&receipt.transaction);
            facts.money = Money::Paid;
            facts.retry = Retry::Never;
            facts.receipt_statement = statement;
            if let Some(draw) = &facts.draw {
                // What the receipt calls the amount is the deposit then.
                let price = draw.price();
                let charged = channel::acknowledged(&receipt, draw).charged.filter(|charged| *charged <= price);
                facts.charged = Some(charged.unwrap_or(price).to_string());
                facts.receipt = Some(ReceiptRecord::Whole(receipt.raw));
                return;
            }
            facts.receipt = Some(ReceiptRecord::Whole(receipt.raw));
            let signed = Amount::parse(&facts.amount).ok();
            match receipt.amount.zip(signed) {
                Some((taken, signed)) if taken < signed => facts.charged = Some(taken.to_string()),
                Some((taken, signed)) if taken > signed => {
                    facts.note = format!("the server says that it took {taken}, but {signed} is all that was signed");
                }
                _ => {}
            }
        })
    }

    /// Only what is known of such a receipt is kept, because servers have put the failed call into its texts.
    pub(super) fn settlement_failed(self, receipt: Receipt) -> Self {
        let code = receipt.error_reason.as_deref().map(printable_claim);
        let message = receipt.error_message.as_deref().map(printable_claim);
        let why = code.clone().or_else(|| message.clone()).unwrap_or_else(|| "no reason given".to_string());
        let receipt_json = json!({
            "success": false,
            "transaction": transaction(&receipt.transaction),
            "network": printable(&receipt.network),
            "errorReason": code,
            "errorMessage": message,
        });
        self.with(|facts| {
            // Of a payment that was paid before, the transaction that paid it stays.
            if facts.transaction.is_empty() {
                facts.transaction = transaction(&receipt.transaction);
            }
            facts.note = format!("the server says that settlement failed: {why}");
            facts.refusal = why;
            facts.receipt = Some(ReceiptRecord::Known(receipt_json));
            facts.advise_approval();
        })
    }

    /// Paid, and what was paid for did not arrive; a repeat presents the same payment.
    pub fn broke_off(self) -> Self {
        self.with(|facts| {
            facts.retry = Retry::SameBytes;
            facts.note =
                "paid, and the answer did not arrive whole; a repeat of the request presents the same payment \
                          until it is void"
                    .to_string();
        })
    }

    pub(super) fn noted(self, note: String) -> Self {
        self.with(|facts| facts.note = note)
    }

    /// Whether the ledger could record the outcome. Where it could not, the amount counts as sent.
    pub(super) fn recorded(self, recorded: Result<(), Error>) -> Self {
        match recorded {
            Ok(()) => self,
            Err(error) => {
                let note = [self.0.note.as_str(), &format!("the outcome could not be recorded: {error}")].join("; ");
                self.noted(note.trim_start_matches("; ").to_string())
            }
        }
    }

    pub(super) fn ended(self, money: Money, retry: Retry) -> Self {
        self.with(|facts| {
            facts.money = money;
            facts.retry = retry;
        })
    }

    /// What the server said of a payment that it turned down, beside the note.
    pub fn with_server_error(self, error: &str) -> Self {
        let shown = printable_claim(error);
        self.with(|facts| {
            // A receipt says more than the terms beside it, which often repeat that payment is required.
            if facts.refusal.is_empty() {
                facts.refusal = shown;
            }
            facts.advise_approval();
        })
    }

    /// This payment was turned down, and nothing was paid in its place.
    pub fn and_declined(self, declined: &Declined) -> Self {
        let why = declined.payment().refusal().to_string();
        let said = self.refusal().to_string();
        self.with(|facts| {
            facts.note = format!("the server turned the payment down: {said}; it counts, and no other is made");
            facts.refusal = why;
        })
    }

    /// This payment was made after `former` was turned down, which counts too. One that was never sent leaves the
    /// former's word on the money.
    pub fn after(self, former: &Payment) -> Self {
        let former_json = former.0.to_json();
        let (money, retry) = match (self.money(), self.retry()) {
            (Money::Paid, retry) => (Money::Paid, retry),
            (_, Retry::Safe) => (Money::Unknown, former.retry()),
            (_, retry) => (Money::Unknown, retry),
        };
        let was_sent = self.retry() != Retry::Safe;
        self.with(|facts| {
            facts.former = Some(former_json);
            if !was_sent {
                facts.at_risk_before = Some(former.0.at_risk());
                facts.entry = former.0.entry;
            }
        })
        .ended(money, retry)
    }

    /// What is signed, for a log: the price, and the deposit beside it where there is one.
    pub fn spoken_amount(&self) -> String {
        match &self.0.draw {
            Some(draw) if !draw.deposit.is_zero() => {
                format!("{} atomic units with a deposit of {}", self.0.amount, draw.deposit)
            }
            Some(_) => format!("{} atomic units by a voucher", self.0.amount),
            None => format!("{} atomic units", self.0.amount),
        }
    }

    /// Whether it deposits in a payment channel.
    pub fn deposits(&self) -> bool {
        self.0.draw.as_ref().is_some_and(|draw| !draw.deposit.is_zero())
    }

    pub(super) fn corrected(self, correction: Correction) -> Self {
        self.with(|facts| facts.correction = Some(correction))
    }

    /// What the server says, where it turned the payment down before settlement because the channel is not as was
    /// thought: what is known of it may have changed, so that another voucher may be taken.
    pub fn correction(&self) -> Option<Correction> {
        self.0.correction
    }

    /// What it draws from a payment channel, if it draws from one.
    pub fn draw(&self) -> Option<&Draw> {
        self.0.draw.as_ref()
    }

    /// Whether both pay the same amount of the same asset to the same payee.
    pub fn same_price(&self, other: &Payment) -> bool {
        let terms = |payment: &Payment| {
            let facts = &payment.0;
            [facts.amount.clone(), facts.asset.clone(), facts.network.clone(), facts.payee.clone()]
        };
        terms(self) == terms(other)
    }

    fn with(mut self, change: impl FnOnce(&mut Facts)) -> Self {
        let facts = Arc::make_mut(&mut self.0);
        change(facts);
        facts.json = OnceCell::new();
        self
    }

    /// Atomic units, decimal; "" if no offer was read.
    pub fn amount(&self) -> &str {
        &self.0.amount
    }

    pub fn asset(&self) -> &str {
        &self.0.asset
    }

    /// CAIP-2.
    pub fn network(&self) -> &str {
        &self.0.network
    }

    pub fn payee(&self) -> &str {
        &self.0.payee
    }

    /// The transaction that the receipt names; "" until then. A claim of the server's.
    pub fn transaction(&self) -> &str {
        &self.0.transaction
    }

    /// Why nothing was paid, one line an offer, or the server's reason for turning the payment down; "" if paid.
    pub fn refusal(&self) -> &str {
        &self.0.refusal
    }

    pub fn json(&self) -> &str {
        self.0.json.get_or_init(|| printable_json(serde_json::to_string(&*self.0).unwrap_or_default()))
    }

    pub fn money(&self) -> Money {
        self.0.money
    }

    pub fn retry(&self) -> Retry {
        self.0.retry
    }
}

/// The server's word for a token that does not let Permit2 move it (x402 v2, with status 412).
const ALLOWANCE_REQUIRED: [&str; 2] =
    ["permit2_allowance_required", "invalid_batch_settlement_evm_permit2_allowance_required"];
const APPROVAL_ADVICE: &str = ": the token does not let Permit2 move it yet; send the transaction that stands under \
     \"approval\" in the payment's JSON from the payer's account, then repeat the request";

impl Facts {
    /// As callers send it; `data` approves for good, `data_exact` for this payment alone.
    fn approval_json(&self, approval: &Approval) -> Value {
        json!({
            "network": self.network,
            "from": self.payer,
            "to": approval.to.to_string(),
            "spender": approval.spender.to_string(),
            "data": approval.data(),
            "data_exact": approval.data_exact(),
        })
    }

    /// Says what to do where the server turned the payment down for want of an approval.
    fn advise_approval(&mut self) {
        if self.approval.is_some() && ALLOWANCE_REQUIRED.contains(&self.refusal.as_str()) {
            self.approval_missing = true;
            self.refusal += APPROVAL_ADVICE;
        }
    }

    /// What may settle yet although no receipt says so, in atomic units and in dollars.
    fn at_risk(&self) -> (String, Option<String>) {
        match (self.money, &self.at_risk_before) {
            (Money::Unknown, Some((amount, usd))) => (amount.clone(), usd.clone()),
            (Money::Unknown, None) if self.entry != 0 && !self.payer.is_empty() => match &self.draw {
                Some(draw) => (draw.at_risk().to_string(), self.in_dollars(&draw.at_risk())),
                None => (self.amount.clone(), self.usd.clone()),
            },
            _ => ("0".into(), None),
        }
    }

    fn in_dollars(&self, amount: &Amount) -> Option<String> {
        let asset = known_asset(&Network::parse(&self.network).ok()?, &self.asset)?;
        Usd::of(asset, amount).map(|usd| usd.to_string())
    }

    fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The record as callers see it. Written straight into the text: a tree of it would cost as much again.
impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("money", money_name(self.money))?;
        out.serialize_entry("retry", self.retry.name())?;
        let (at_risk, at_risk_usd) = self.at_risk();
        out.serialize_entry("at_risk", &at_risk)?;
        if let Some(usd) = at_risk_usd {
            out.serialize_entry("at_risk_usd", &usd)?;
        }
        if self.entry != 0 {
            out.serialize_entry("entry", &self.entry)?;
        }
        for (name, text) in [
            ("scheme", &self.scheme),
            ("network", &self.network),
            ("asset", &self.asset),
            ("amount", &self.amount),
            ("payee", &self.payee),
            ("payer", &self.payer),
            ("transaction", &self.transaction),
            ("refusal", &self.refusal),
            ("note", &self.note),
        ] {
            if !text.is_empty() {
                out.serialize_entry(name, text)?;
            }
        }
        if let Some(usd) = &self.usd {
            out.serialize_entry("usd", usd)?;
        }
        if !self.refusals.is_empty() {
            out.serialize_entry("refusals", &self.refusals)?;
        }
        if let Some(draw) = &self.draw {
            out.serialize_entry("channel", &draw.channel.to_string())?;
            out.serialize_entry("deposit", &draw.deposit.to_string())?;
            out.serialize_entry("claimable", &draw.claimable.to_string())?;
        }
        if let Some(charged) = &self.charged {
            out.serialize_entry("charged", charged)?;
        }
        if let Some(approval) = self.approval.as_ref().filter(|_| self.approval_missing) {
            out.serialize_entry("approval", &self.approval_json(approval))?;
        }
        if let Some(receipt) = self.receipt.as_ref().and_then(ReceiptRecord::to_json) {
            out.serialize_entry("receipt", &receipt)?;
        }
        for (names, statement) in [(OFFER_NAMES, &self.offer_statement), (RECEIPT_NAMES, &self.receipt_statement)] {
            let (Some(statement), [verdict, signer, problem]) = (statement, names) else { continue };
            out.serialize_entry(verdict, statement.verdict_name())?;
            if !statement.signer.is_empty() {
                out.serialize_entry(signer, &statement.signer)?;
            }
            if let Verdict::Invalid(why) = &statement.verdict {
                out.serialize_entry(problem, why)?;
            }
        }
        if let Some(former) = &self.former {
            out.serialize_entry("former", former)?;
        }
        out.end()
    }
}

/// What is kept of a receipt.
#[derive(Clone)]
enum ReceiptRecord {
    /// As it came; what may be shown of it is made when it is asked for.
    Whole(Box<RawValue>),
    Known(Value),
}

impl ReceiptRecord {
    fn to_json(&self) -> Option<Value> {
        match self {
            ReceiptRecord::Whole(raw) => serde_json::from_str(raw.get()).ok().map(claimed),
            ReceiptRecord::Known(receipt) => Some(receipt.clone()),
        }
    }
}

impl fmt::Debug for ReceiptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiptRecord({})", self.to_json().unwrap_or_default())
    }
}

/// The name of a transaction as a receipt gives it: a hash has 64 digits, and what is longer is none.
fn transaction(text: &str) -> String {
    const TRANSACTION_CHARS_MAX: usize = 100;
    if text.chars().count() > TRANSACTION_CHARS_MAX { printable_claim(text) } else { printable(text) }
}

/// A receipt fit to be kept: a server may have put the payment itself into it, which must not reach a log.
fn claimed(receipt: Value) -> Value {
    let member = |(name, value): (String, Value)| match (name.as_str(), value) {
        ("transaction", Value::String(text)) => (name, json!(transaction(&text))),
        (_, value) => (printable_claim(&name), claimed(value)),
    };
    match receipt {
        Value::String(text) => json!(printable_claim(&text)),
        Value::Array(list) => list.into_iter().map(claimed).collect(),
        Value::Object(members) => Value::Object(members.into_iter().map(member).collect()),
        other => other,
    }
}

pub(super) fn money_name(money: Money) -> &'static str {
    match money {
        Money::None => "none",
        Money::Refused => "refused",
        Money::Unpaid => "unpaid",
        Money::Paid => "paid",
        Money::Unknown => "unknown",
    }
}
