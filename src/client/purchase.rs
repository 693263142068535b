//! The part of a call that is about money: who asks, the terms, the signature, and what the answer says of it.
//!
//! Owns what is the same whether the library's own loop sends the request or the caller's HTTP client does, so
//! that the two cannot come to judge one server differently. Knows URLs and heads; sends nothing.

use super::Inner;
use super::redirect;
use super::response::first_header;
use crate::error::printable;
use crate::payer::{Authorized, Claim, Declined, Delivery, Payment};
use crate::policy::Asker;
use crate::protocol::{Challenge, ChallengeError, NetworkNames, Receipt};
use crate::transport::Header;
use std::borrow::Cow;
use url::{Host, Url};

/// Answers of this status and above are faults of the server's: what was paid for is not in them.
const SERVER_FAULT_STATUS_MIN: u16 = 500;

/// Other answers that hand over nothing and mean "ask again": clients and SDKs do so by themselves (RFC 9110 §15.5,
/// RFC 6585 §4, RFC 8470 §5.2).
const ASK_AGAIN_STATUSES: [u16; 6] = [402, 408, 409, 412, 425, 429];

/// The header that carries the terms (x402 v2).
const TERMS_HEADER_NAME: &str = "payment-required";

/// Headers that carry a receipt (x402 v2, v1).
pub(super) const RECEIPT_HEADER_NAMES: [&str; 2] = ["payment-response", "x-payment-response"];

impl Inner {
    /// Who asks when `url` answers 402, as far as the URL says it.
    pub(super) fn asker(&self, url: &Url, method: &str) -> Asker {
        let unix = url.scheme() == redirect::UNIX_SCHEME;
        Asker {
            host: url.host_str().unwrap_or("localhost").trim_matches(['[', ']']).to_ascii_lowercase(),
            port: url.port_or_known_default().unwrap_or(0),
            https: url.scheme() == "https",
            loopback: unix || (is_loopback(url) && !self.transport.uses_proxy(url)),
            redirected_from: None,
            method: method.to_string(),
            url: url.to_string(),
        }
    }

    /// Signs what was claimed.
    pub(super) fn sign(&self, claim: Claim, url: &Url) -> Result<Authorized, Declined> {
        let authorized = claim.authorize(&self.wallet)?;
        let payment = authorized.payment();
        self.log(3, || {
            let (amount, network) = (payment.spoken_amount(), payment.network());
            format!("paying {amount} on {network} to {} for {}", payment.payee(), logged_url(url))
        });
        Ok(authorized)
    }
}

/// The header that holds the terms, where there is one and not several. One that is empty holds none: the body does.
pub(super) fn payment_required(headers: &[Header]) -> Option<&[u8]> {
    let mut lines = headers.iter().filter(|(name, _)| name == TERMS_HEADER_NAME);
    let only = lines.next().filter(|_| lines.next().is_none());
    only.map(|(_, value)| value.as_bytes().trim_ascii()).filter(|value| !value.is_empty())
}

/// The terms in the headers and the body of a 402.
pub(super) fn terms(
    headers: &[(impl AsRef<str>, impl AsRef<[u8]>)],
    body: &[u8],
    names: &NetworkNames,
) -> Result<Challenge, ChallengeError> {
    // Several are one list to HTTP (RFC 9110 §5.3), and a list is no challenge: none of them is chosen.
    let mut lines = headers.iter().filter(|(name, _)| name.as_ref().eq_ignore_ascii_case(TERMS_HEADER_NAME));
    let Some((_, first)) = lines.next() else { return Challenge::parse_with(None, body, names) };
    let mut list = Cow::Borrowed(first.as_ref());
    for (_, line) in lines {
        list.to_mut().extend([b", ", line.as_ref()].concat());
    }
    Challenge::parse_with(Some(&list), body, names)
}

/// What the answer to a payment says of it: its head, and the terms of a 402, with the server's word in them. A delivery
/// where what was paid for is on its way with this answer.
pub(super) fn answered(
    authorized: Authorized,
    status: u16,
    headers: &[(impl AsRef<str>, impl AsRef<[u8]>)],
    terms: Option<&Challenge>,
) -> (Payment, Option<Delivery>) {
    let [receipt, receipt_v1] = RECEIPT_HEADER_NAMES.map(|name| first_header(headers, name));
    let receipt = Receipt::parse(receipt, receipt_v1);
    let receipt = receipt.map(|receipt| receipt.map_err(|problem| problem.to_string()));
    let (payment, delivery) = authorized.send().answered_with(status, receipt, terms);
    let payment = match terms.and_then(|terms| terms.error.as_deref()) {
        Some(said) => payment.with_server_error(said),
        None => payment,
    };
    match delivery {
        Some(delivery) if is_withheld(status) => (undelivered(payment, delivery), None),
        delivery => (payment, delivery),
    }
}

/// Whether an answer of this status can hold nothing that was paid for, whatever its receipt says.
fn is_withheld(status: u16) -> bool {
    status >= SERVER_FAULT_STATUS_MIN || ASK_AGAIN_STATUSES.contains(&status)
}

/// Paid, and what was paid for did not arrive: a repeat of the purchase asks for it with the same payment.
pub(super) fn undelivered(payment: Payment, delivery: Delivery) -> Payment {
    // Best effort: where it cannot be recorded the purchase is over, and the record says paid.
    if matches!(delivery.broke_off(), Ok(true)) { payment.broke_off() } else { payment }
}

/// Whether an answer of this status may hold terms once more, with the server's word on the payment in them.
pub(super) fn may_hold_terms(status: u16) -> bool {
    status == 402 || status == 412
}

/// Without the query, where callers put keys.
pub(super) fn logged_url(url: &Url) -> String {
    format!("{}{}", redirect::origin(url), printable(url.path()))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        // Names below localhost are left to the resolver by some systems, so they may be anyone's.
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
