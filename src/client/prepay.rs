//! Paying with the first request, on terms that are known (the setting `prepay`).
//!
//! Owns the terms that were paid, by method, origin and path, and what follows when the server no longer takes them.
//! Such a payment is one like any other: rules, budgets, approval and the ledger are asked first, and once it may have
//! left it counts. If it is turned down, another is made in the same call only where the server's word proves that the
//! first cannot settle; then both count, and the first is told beside the second. Without that proof the server's
//! 402 goes to the caller, because a second signature could pay twice.

use super::call::Call;
use super::held::Held;
use super::redirect;
use super::response::Response;
use super::{Failure, Inner};
use crate::body::Replay;
use crate::error::{Money, Retry};
use crate::ledger::RetryRule;
use crate::payer::{Authorized, Declined, Payment};
use crate::protocol::Challenge;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use url::Url;

/// How long terms are held to be good after they were last paid.
const TERMS_S_MAX: u64 = 600;
/// How long nothing is prepaid where a payment on the very terms that the server still asks was turned down.
const TURNED_DOWN_S: u64 = 3600;
/// Places whose terms are kept.
const PLACES_MAX: usize = 256;
/// Longer terms are not kept, which bounds all of them at 4 MiB.
const TERMS_BYTES_MAX: usize = 16 * 1024;

/// What is known of one place.
#[derive(Clone)]
struct Known {
    /// Without terms nothing is prepaid there.
    terms: Option<String>,
    until_s: u64,
}

/// The terms that a client has paid lately.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<String, Known>>);

impl Places {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, keys: &[String], now_s: u64) -> Option<String> {
        let all = self.all();
        let found = keys.iter().find_map(|key| all.get(key)).filter(|known| known.until_s > now_s)?;
        found.terms.clone()
    }

    fn set(&self, key: String, known: Known, now_s: u64) {
        let mut all = self.all();
        if all.get(&key).is_some_and(|old| old.terms.is_none() && old.until_s > now_s) {
            return;
        }
        if all.len() >= PLACES_MAX {
            all.retain(|_, known| known.until_s > now_s);
        }
        if all.len() >= PLACES_MAX
            && let Some(oldest) = all.iter().min_by_key(|(_, known)| known.until_s).map(|(key, _)| key.clone())
        {
            all.remove(&oldest);
        }
        all.insert(key, known);
    }

    fn forget(&self, keys: &[String]) {
        let mut all = self.all();
        for key in keys {
            all.remove(key);
        }
    }
}

/// The terms of a call, until its payment says whether they are worth keeping.
pub(super) struct Terms {
    text: String,
    /// The server's name for the resource holds a query: another query may be another resource.
    of_query: bool,
}

impl Terms {
    pub fn of(challenge: &Challenge) -> Option<Terms> {
        let text = challenge.lasting_terms();
        let of_query = challenge.resource_url.as_deref().is_some_and(|url| url.contains('?'));
        (text.len() <= TERMS_BYTES_MAX).then_some(Terms { text, of_query })
    }
}

/// The names of a place: with the query, and without.
fn keys(method: &str, url: &Url) -> [String; 2] {
    let place = format!("{method} {}{}", redirect::origin(url), url.path());
    [format!("{place}?{}", url.query().unwrap_or_default()), place]
}

impl Inner {
    /// Keeps terms that were paid, for the next request.
    fn learn(&self, method: &str, url: &Url, terms: Terms) {
        let now_s = self.world.clock.unix_s();
        let [with_query, without] = keys(method, url);
        let key = if terms.of_query { with_query } else { without };
        let known = Known { terms: Some(terms.text), until_s: now_s.saturating_add(TERMS_S_MAX) };
        self.places.set(key, known, now_s);
    }
}

impl Call<'_> {
    /// A payment for the first request, where its terms are known and it may be made. Nothing here ends the call: what
    /// stands in the way is met again, and told, when the server asks.
    pub(super) fn prepay(&mut self) -> Option<Authorized> {
        if !self.settings.prepay || self.visit.header(&self.url).is_some() {
            return None;
        }
        let now_s = self.inner.world.clock.unix_s();
        let terms = self.inner.places.find(&keys(&self.method, &self.url), now_s)?;
        let challenge = Challenge::recorded(&terms).ok()?;
        if self.has_body && !matches!(self.request.body.can_replay(), Replay::Yes) {
            return None;
        }
        self.is_prepaying = true;
        let outcome = self.authorize_terms(Arc::new(challenge));
        self.is_prepaying = false;
        match outcome {
            Ok(Ok(authorized)) => Some(authorized),
            Ok(Err(declined)) => {
                self.inner.log(4, || format!("not prepaying: {}", declined.payment().refusal().replace('\n', "; ")));
                None
            }
            Err(failure) => {
                self.inner.log(2, || format!("not prepaying: {}", failure.error));
                None
            }
        }
    }

    /// Sends the request with the payment that nobody asked for yet.
    pub(super) fn present_prepaid(&mut self, authorized: Authorized) -> Result<Response, Failure> {
        let is_first = authorized.is_first();
        self.is_prepaying = true;
        let sent = self.send_payment(authorized);
        self.is_prepaying = false;
        let (answer, authorized) = sent?;
        if answer.status != 402 {
            let response = self.paid(answer, authorized)?;
            if response.payment.as_ref().is_none_or(|payment| payment.money() != Money::Paid) {
                self.inner.places.forget(&keys(&self.method, &self.url));
            }
            return Ok(response);
        }
        self.inner.places.forget(&keys(&self.method, &self.url));
        let (held, former) = self.held_after_payment(answer, authorized)?;
        let channel_terms = self.channel_terms.take();
        if !is_first || !self.may_sign_anew(&former) {
            return Ok(held.into_response(former));
        }
        if former.correction().is_some() {
            return match channel_terms {
                Some(terms) => self.pay_corrected(held, former, terms),
                None => Ok(held.into_response(former)),
            };
        }
        self.inner
            .log(2, || "the prepaid payment was turned down; it counts, and the new terms are decided upon".into());
        match self.inner.readings.challenge(&held, &self.settings.v1_networks) {
            Ok(terms) => self.sign_anew(held, former, terms),
            Err(error) => Ok(held.into_response(former.and_declined(&Declined::unreadable(&error)))),
        }
    }

    /// Makes a second payment in this call, on `terms`. The former counts whatever becomes of it.
    pub(super) fn sign_anew(
        &mut self,
        held: Held,
        former: Payment,
        terms: Arc<Challenge>,
    ) -> Result<Response, Failure> {
        let with_former = |failure: Failure| Failure {
            error: failure.error.with_money(former.money(), former.retry()),
            payment: Some(former.clone()),
        };
        match self.authorize_terms(terms).map_err(with_former)? {
            Err(declined) => Ok(held.into_response(former.and_declined(&declined))),
            // The ledger gave the old signature again: the server has just said that it does not want it.
            Ok(authorized) if !authorized.is_first() => {
                authorized.never_sent();
                Ok(held.into_response(former))
            }
            Ok(authorized) => {
                drop(held);
                self.present_second(authorized, &former)
            }
        }
    }

    fn present_second(&mut self, authorized: Authorized, former: &Payment) -> Result<Response, Failure> {
        if former.correction().is_none() && former.same_price(authorized.payment()) {
            let now_s = self.inner.world.clock.unix_s();
            let until_s = now_s.saturating_add(TURNED_DOWN_S);
            for key in keys(&self.method, &self.url) {
                self.inner.places.set(key, Known { terms: None, until_s }, now_s);
            }
        }
        // No third: a correction of this one is the next call's.
        self.channel_terms = None;
        match self.present(authorized) {
            Ok(mut response) => {
                response.payment = response.payment.take().map(|payment| payment.after(former));
                Ok(response)
            }
            Err(Failure { error, payment }) => {
                let payment = payment.map_or_else(|| former.clone(), |payment| payment.after(former));
                Err(Failure { error: error.with_money(payment.money(), payment.retry()), payment: Some(payment) })
            }
        }
    }

    /// Whether the answer to a payment lets another be signed in this call: the proof must be the server's
    /// word, whatever the number of signatures that the caller would allow over several calls.
    pub(super) fn may_sign_anew(&self, former: &Payment) -> bool {
        let proven = former.money() == Money::Unknown && former.retry() == Retry::NewQuote;
        proven
            && match self.settings.retry_rule {
                RetryRule::Never | RetryRule::SameBytes | RetryRule::UpTo(1) => false,
                RetryRule::Proven | RetryRule::UpTo(_) => true,
            }
    }

    /// Keeps the terms of a payment that was settled.
    pub(super) fn learn_from(&mut self, payment: &Payment) {
        if let Some(terms) = self.terms.take()
            && payment.money() == Money::Paid
        {
            self.inner.learn(&self.method, &self.url, terms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(terms: &str, until_s: u64) -> Known {
        Known { terms: Some(terms.into()), until_s }
    }

    fn key(name: &str) -> [String; 1] {
        [name.to_string()]
    }

    #[test]
    fn terms_are_kept_until_they_expire_and_not_without_bound() {
        let places = Places::default();
        places.set("a".into(), known("old", 10), 0);
        places.set("a".into(), known("new", 20), 0);
        assert_eq!(places.find(&key("a"), 19).as_deref(), Some("new"));
        assert_eq!(places.find(&key("a"), 20), None);
        for number in 0..2 * PLACES_MAX as u64 {
            places.set(number.to_string(), known("", 100 + number), 0);
        }
        assert_eq!(places.all().len(), PLACES_MAX);
        assert!(places.find(&key("511"), 19).is_some() && places.find(&key("0"), 19).is_none());
        places.forget(&key("511"));
        assert!(places.find(&key("511"), 19).is_none());
    }

    #[test]
    fn where_a_prepayment_was_turned_down_nothing_is_learnt_for_a_while() {
        let places = Places::default();
        places.set("a".into(), Known { terms: None, until_s: 100 }, 0);
        places.set("a".into(), known("terms", 200), 99);
        assert_eq!(places.find(&key("a"), 99), None);
        places.set("a".into(), known("terms", 200), 100);
        assert!(places.find(&key("a"), 100).is_some());
    }

    #[test]
    fn a_place_is_method_origin_and_path() {
        let of = |method: &str, url: &str| keys(method, &Url::parse(url).unwrap());
        assert_eq!(of("GET", "https://a.example/x?y=1#z"), ["GET https://a.example/x?y=1", "GET https://a.example/x"]);
        assert_eq!(of("GET", "https://a.example:443/x")[1], of("GET", "https://A.example/x?q")[1]);
        let other = ["http://a.example/x", "https://a.example:8443/x", "https://a.example/x/", "https://b.example/x"];
        assert!(other.into_iter().all(|url| of("GET", url)[1] != of("GET", "https://a.example/x")[1]));
        assert_ne!(of("POST", "https://a.example/x"), of("GET", "https://a.example/x"));
    }
}
