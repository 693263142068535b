//! A payment for a request that the caller's own HTTP client sends: our decisions and signature, his sockets.
//!
//! Owns one purchase between the 402 he shows and the answer he shows. What he sends in between is out of
//! sight, so the amount counts from the moment the header is handed out, and there is no way to say that it
//! never left: a caller who is mistaken about that would pay and have his budget back.

use super::identity::{self, Known};
use super::patience::Patience;
use super::purchase::{self, RECEIPT_HEADER_NAMES};
use super::redirect;
use super::request::Request;
use super::response::first_header;
use super::settings::Settings;
use super::{Client, Failure, Inner};
use crate::error::{Error, Status};
use crate::payer::{self, Authorized, Declined, Identity, Next, Payment};
use crate::protocol::NetworkNames;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use url::Url;

/// Statuses of final answers (RFC 9110 §15); 1xx are interim.
const FINAL_STATUSES: std::ops::RangeInclusive<u16> = 200..=999;

/// A signed payment in the caller's hands. Dropped without [`Detached::settle`] its outcome is unknown, and the
/// amount goes on counting as spent.
pub struct Detached {
    inner: Arc<Inner>,
    url: Url,
    /// Until the answer is known.
    authorized: Option<Authorized>,
    payment: Payment,
}

/// The 402 as the caller shows it.
struct Answer402<'a, N, V> {
    status: u16,
    headers: &'a [(N, V)],
    body: &'a [u8],
}

impl Client {
    /// Pays the 402 that the caller's HTTP client got for `method` and `url`: terms, rules, budgets, signature,
    /// as [`Client::send`] does. `headers` and `body` are the answer's, its content coding undone.
    ///
    /// `url` is the one that answered, and whoever it names is asked to be paid: redirects that led there are
    /// the caller's to judge. The request's own body is his business too; it must go out again as it was.
    ///
    /// Errors sign nothing: `Argument` if `status` is not 402, `Challenge` if the terms are absent or malformed,
    /// `Refused` if no offer may be paid, with the reasons in the failure's payment.
    pub fn pay(
        &self,
        method: &str,
        url: &str,
        status: u16,
        headers: &[(impl AsRef<str>, impl AsRef<[u8]>)],
        body: &[u8],
    ) -> Result<Detached, Failure> {
        let asked = Request::new(method, url)?;
        self.pay_as(&asked, &self.0.settings, None, Answer402 { status, headers, body })
    }

    /// As [`Client::pay`] with everything that `request` says: method, URL, its own settings, and a body that makes
    /// it known without a name, as [`Client::send`] knows it. Sends nothing and reads no body but one in memory or a
    /// file's.
    pub fn pay_request(
        &self,
        request: &Request,
        status: u16,
        headers: &[(impl AsRef<str>, impl AsRef<[u8]>)],
        body: &[u8],
    ) -> Result<Detached, Failure> {
        let settings = request.settings_over(&self.0.settings)?;
        let total = settings.total_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let known = Known { body: &request.body, cancel: &request.cancel, total };
        self.pay_as(request, &settings, Some(known), Answer402 { status, headers, body })
    }

    /// `known`: the request's own body, if it is at hand.
    fn pay_as(
        &self,
        request: &Request,
        settings: &Settings,
        known: Option<Known<'_>>,
        answer: Answer402<'_, impl AsRef<str>, impl AsRef<[u8]>>,
    ) -> Result<Detached, Failure> {
        let Answer402 { status, headers, body } = answer;
        let Request { url, method, cancel, .. } = request;
        if status != 402 {
            let message = format!("the status is {status}, and only a 402 asks for a payment; pass the 402's own");
            return Err(Error::new(Status::Argument, message).into());
        }
        let declined = |status| move |declined: Declined| not_paid(status, url, &declined);
        if let Some(name) = RECEIPT_HEADER_NAMES.into_iter().find(|name| first_header(headers, name).is_some()) {
            let why = format!(
                "this 402 has a {name} header, so it answers a payment that was made; settle that one with it, and \
                 ask without a payment before you make another"
            );
            return Err(declined(Status::Refused)(Declined::because(why)));
        }
        let mut challenge = purchase::terms(headers, body, &settings.v1_networks)
            .map_err(|error| declined(Status::Challenge)(Declined::unreadable(&error)))?;
        let inner = &self.0;
        challenge.add_builder_codes(&settings.builder_codes);
        let asker = inner.asker(url, method);
        if let Some(refused) = inner.declines_unread(&challenge, &asker, settings, known.map(|known| known.body)) {
            return Err(declined(Status::Refused)(refused));
        }
        let purchase = match known {
            // Without the request's body only a name tells which purchase it is.
            None => identity::named(settings, url),
            Some(known) => {
                let body = Some(known).filter(|known| !known.body.is_empty());
                identity::of(settings, &inner.wallet, method, url, body)?
            }
        };
        let identity = Identity { purchase: purchase.as_ref(), rule: settings.retry_rule };
        let means = inner.means(settings, None);
        let or_another = |next: Next, why| next.or_another(why, &asker, identity, &means);
        let patience = Patience { cancel, total: None };
        let authorized = inner
            .patiently(patience, || payer::next(Arc::new(challenge), &asker, identity, &means))
            .and_then(|next| inner.inform(next, or_another, settings, None, cancel))
            .and_then(|next| inner.patiently(patience, || next.claim(identity, &means)))
            .and_then(|claim| inner.sign(claim, url))
            .map_err(declined(Status::Refused))
            .map_err(|failure| patience.why_over(failure))?;
        let payment = authorized.payment().clone();
        Ok(Detached { inner: Arc::clone(inner), url: url.clone(), authorized: Some(authorized), payment })
    }
}

fn not_paid(status: Status, url: &Url, declined: &Declined) -> Failure {
    if let Some(error) = declined.failure() {
        return error.into();
    }
    let payment = declined.payment();
    let why = payment.refusal().replace('\n', "; ");
    let error = Error::new(status, format!("nothing is paid to {}: {why}", redirect::origin(url)));
    Failure { error: error.with_money(payment.money(), payment.retry()), payment: Some(payment) }
}

impl Detached {
    /// Name and value of the request header that pays; `None` once the payment is settled. The value is a bearer's
    /// cheque: it goes to the origin that asked and nowhere else, not into a log.
    pub fn header(&self) -> Option<(&'static str, &str)> {
        self.authorized.as_ref().map(Authorized::header)
    }

    /// The payment as it stands: `Unknown` until it is settled.
    pub fn payment(&self) -> &Payment {
        &self.payment
    }

    /// Reads what the final answer to the paid request says. Paid only if its receipt says so; else unknown. Once:
    /// a second call, and a status that no final answer has, is `Argument` and changes nothing.
    pub fn settle(&mut self, status: u16, headers: &[(impl AsRef<str>, impl AsRef<[u8]>)]) -> Result<&Payment, Error> {
        let with_money = |error: Error, payment: &Payment| error.with_money(payment.money(), payment.retry());
        if !FINAL_STATUSES.contains(&status) {
            let message = format!(
                "the status {status} is not that of a final answer; pass the answer's own, or free the payment if none \
                 came"
            );
            return Err(with_money(Error::new(Status::Argument, message), &self.payment));
        }
        let Some(mut authorized) = self.authorized.take() else {
            let message = "the payment is settled already; present its header again before settling, not after";
            return Err(with_money(Error::new(Status::Argument, message), &self.payment));
        };
        // He may have sent it more than once, and this answer may speak of what another sending did.
        authorized.was_repeated();
        // Without the body: the version 1 servers that put their word there are heard by their receipt.
        let terms = purchase::may_hold_terms(status).then(|| purchase::terms(headers, &[], &NetworkNames::NONE));
        let terms = terms.and_then(Result::ok);
        // His client has the answer's body; what becomes of that is out of sight.
        (self.payment, _) = purchase::answered(authorized, status, headers, terms.as_ref());
        self.inner.log(3, || format!("{} answered {status} to the payment", purchase::logged_url(&self.url)));
        Ok(&self.payment)
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        let Some(authorized) = self.authorized.take() else { return };
        let error = Error::new(Status::ConnectionLost, "the payment was let go before it was settled");
        let payment = authorized.send().lost(&error);
        self.inner.log(2, || {
            let (amount, url) = (payment.spoken_amount(), purchase::logged_url(&self.url));
            format!("{amount} for {url} may be taken yet: the payment was let go before it was settled")
        });
    }
}

impl fmt::Debug for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached").field("payment", &self.payment).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
