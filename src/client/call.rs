//! One call's state and the leaves of the loop: exchange, next step, follow, hold, authorize, present.
//!
//! Owns what changes while a call runs (URL, method, headers, position in the body, deadline) and the rules
//! for repeating an exchange that failed in transit. Its one decision: a repeat after a payment was presented
//! carries the very same bytes, so that it can settle at most once.

use super::headers::{content_length, first_headers, payment_header, with_header, with_payment};
use super::held::{Answer, Held};
use super::prepay::Terms;
use super::redirect::{self, Redirect};
use super::request::Request;
use super::response::{Received, Response, first_header};
use super::settings::{ExpectContinue, Settings};
use super::sign_in::Visit;
use super::{Failure, Inner};
use super::{identity, purchase};
use crate::body::{Replay, ReplayLimits};
use crate::error::{Error, Status, printable};
use crate::ledger::Purchase;
use crate::payer::{self, Authorized, Declined, Identity, Next, Payment};
use crate::policy::Asker;
use crate::protocol::{Challenge, PAYMENT_HEADER_NAMES};
use crate::transport::{Deadlines, Expect, Failure as Lost, Header, Incoming, Outgoing, OutgoingBody, Report, decode};
use std::borrow::Cow;
use std::io::Read;
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use url::Url;

/// What to do with an answer.
pub(super) enum Step {
    Return,
    /// The same request once more.
    Again,
    Follow(Redirect),
    Pay,
}

pub(super) struct Call<'a> {
    pub(super) inner: &'a Inner,
    pub(super) request: &'a mut Request,
    pub(super) settings: Cow<'a, Settings>,
    pub(super) visit: Visit,
    /// What the payment of this call is for, where it is worth remembering.
    pub(super) terms: Option<Terms>,
    /// The payment goes with the first request.
    pub(super) is_prepaying: bool,
    /// The terms that this call paid by a channel, as long as it may do so a second time.
    pub(super) channel_terms: Option<Arc<Challenge>>,
    /// A payment by channel that was turned down: only another voucher is made.
    pub(super) turned_down: Option<Payment>,
    /// The last exchange went out more than once.
    was_repeated: bool,
    pub(super) url: Url,
    pub(super) method: String,
    pub(super) headers: Vec<Header>,
    pub(super) has_body: bool,
    redirects: u32,
    /// A payment of this call deposits in a payment channel; none other does.
    has_deposited: bool,
    pub(super) deadline: Option<Instant>,
    sent: u64,
}

/// A body of this size or more waits for the server's word before it is sent (libcurl's threshold).
const EXPECT_BODY_BYTES_MIN: u64 = 1024 * 1024;

/// How often one exchange may be repeated because it failed in transit.
const REPEATS_MAX: u32 = 2;

/// How much of a redirect's body is read so that its connection can be used again.
const REDIRECT_BODY_BYTES_MAX: u64 = 64 * 1024;

/// How an exchange differs when it is repeated.
#[derive(Clone, Copy, Default)]
struct Again {
    fresh_connection: bool,
    expect: Option<Expect>,
}

impl<'a> Call<'a> {
    pub fn begin(inner: &'a Inner, request: &'a mut Request) -> Result<Self, Failure> {
        let settings = request.settings_over(&inner.settings)?;
        let can_pay = !inner.wallet.is_empty();
        if can_pay && let Some(error) = request.body.replay_would_exceed(&settings.replay) {
            return Err(error.into());
        }
        let limits = ReplayLimits { without_wallet: !can_pay, ..settings.replay.clone() };
        request.body.begin(&limits, true)?;
        let deadline = settings.total_timeout.map(|timeout| Instant::now() + timeout);
        let headers = first_headers(request, &settings);
        let visit =
            if settings.sign_in { Visit::begin(inner, &request.url, &request.headers) } else { Visit::default() };
        Ok(Call {
            visit,
            terms: None,
            is_prepaying: false,
            channel_terms: None,
            turned_down: None,
            was_repeated: false,
            url: request.url.clone(),
            method: request.method.clone(),
            has_body: !request.body.is_empty(),
            headers,
            inner,
            request,
            settings,
            redirects: 0,
            has_deposited: false,
            deadline,
            sent: 0,
        })
    }

    /// One request out and one answer in, without a payment.
    pub fn exchange(&mut self) -> Result<Answer, Failure> {
        let signed_in = self.visit.header(&self.url).map(|header| with_header(&self.headers, header));
        let incoming = self.exchange_repeating(signed_in, false).map_err(|lost| lost.error)?;
        Ok(self.answer(incoming))
    }

    pub fn next_step(&mut self, answer: &Answer) -> Result<Step, Failure> {
        if self.visited(answer) {
            return Ok(Step::Again);
        }
        if answer.status == 402 {
            return Ok(Step::Pay);
        }
        if self.settings.max_redirects == 0 {
            return Ok(Step::Return);
        }
        let location = first_header(&answer.headers, "location");
        match redirect::read(answer.status, location, &self.url, &self.method)? {
            None => Ok(Step::Return),
            Some(_) if self.redirects >= self.settings.max_redirects => {
                let message = format!(
                    "{} still redirects after max_redirects {}; raise it, or ask for the final URL",
                    redirect::origin(&self.url),
                    self.settings.max_redirects
                );
                Err(Error::new(Status::Redirect, message).into())
            }
            Some(redirect) => Ok(Step::Follow(redirect)),
        }
    }

    /// Moves on to where the answer points.
    pub fn follow(&mut self, answer: Answer, redirect: Redirect) -> Result<(), Failure> {
        self.inner
            .log(4, || format!("{} redirects to {}", redirect::origin(&self.url), redirect::origin(&redirect.url)));
        // Best effort: a body that cannot be read to its end only costs the connection.
        let _ = std::io::copy(&mut answer.body.take(REDIRECT_BODY_BYTES_MAX), &mut std::io::sink());
        if redirect.keeps_body {
            self.rewind_for("the redirect")?;
        } else {
            self.has_body = false;
            if !self.method.eq_ignore_ascii_case("HEAD") {
                self.method = "GET".to_string();
            }
        }
        self.headers = redirect::headers_after(&self.headers, &self.url, &redirect.url, redirect.keeps_body);
        self.url = redirect.url;
        self.redirects += 1;
        Ok(())
    }

    /// Reads a 402 and keeps it.
    pub fn hold(&self, answer: Answer) -> Result<Held, Failure> {
        self.warn_of_cache("the 402", &answer.headers);
        Ok(Held::read(answer, self.shown_url())?)
    }

    /// Terms, rules, budgets, signature. The outer error ends the call; the inner one hands the 402 back.
    pub fn authorize(&mut self, held: &Held) -> Result<Result<Authorized, Declined>, Failure> {
        match self.inner.readings.challenge(held, &self.settings.v1_networks) {
            Ok(challenge) => self.authorize_terms(challenge),
            Err(error) => Ok(Err(Declined::unreadable(&error))),
        }
    }

    pub(super) fn authorize_terms(
        &mut self,
        mut challenge: Arc<Challenge>,
    ) -> Result<Result<Authorized, Declined>, Failure> {
        if self.settings.prepay {
            // Where a sign-in is offered and wanted, the next request signs in and may be free.
            let may_sign_in = self.settings.sign_in && challenge.sign_in().is_some();
            self.terms = if may_sign_in { None } else { Terms::of(&challenge) };
        }
        let as_asked = self.keeps_for_resync(&challenge);
        if !self.settings.builder_codes.is_empty() {
            Arc::make_mut(&mut challenge).add_builder_codes(&self.settings.builder_codes);
        }
        if let Some(name) = self.own_payment_header() {
            let why = format!(
                "the request carries a {name} header of the caller's already, and the server may yet settle it; remove \
                 it to let this client pay"
            );
            return Ok(Err(Declined::because(why)));
        }
        if let Replay::No(reason) = self.request.body.can_replay()
            && self.has_body
        {
            return Ok(Err(Declined::because(format!("the request cannot be sent a second time: {reason}"))));
        }
        let (inner, asker) = (self.inner, self.asker());
        let body = self.has_body.then_some(&self.request.body);
        if let Some(declined) = inner.declines_unread(&challenge, &asker, &self.settings, body) {
            return Ok(Err(declined));
        }
        let purchase = self.purchase()?;
        let identity = Identity { purchase: purchase.as_ref(), rule: self.settings.retry_rule };
        let means = payer::Means { may_deposit: !self.has_deposited, ..inner.means(&self.settings, self.deadline) };
        let cancel = &self.request.cancel;
        let next = inner.patiently(self.patience(), || payer::next(challenge, &asker, identity, &means));
        let or_another = |next: Next, why| next.or_another(why, &asker, identity, &means);
        let next = next.and_then(|next| inner.inform(next, or_another, &self.settings, self.deadline, cancel));
        let claim = match next {
            Ok(next) => {
                // Rewound before anything is reserved, because a caller's rewind can fail.
                self.rewind_to_pay(as_asked.is_some())?;
                inner.patiently(self.patience(), || next.claim(identity, &means))
            }
            Err(declined) => Err(declined),
        };
        let claim = self.unlike_the_former(claim);
        self.channel_terms = as_asked;
        match claim.and_then(|claim| inner.sign(claim, &self.url)) {
            Ok(authorized) => Ok(Ok(authorized)),
            Err(declined) => match declined.failure() {
                Some(error) => Err(self.patience().why_over(error)),
                None => Ok(Err(declined)),
            },
        }
    }

    /// Sends the request again with the payment attached.
    pub fn present(&mut self, authorized: Authorized) -> Result<Response, Failure> {
        let (answer, authorized) = self.send_payment(authorized)?;
        match self.channel_terms.take() {
            Some(terms) if answer.status == 402 => self.resync(answer, authorized, terms),
            _ => self.paid(answer, authorized),
        }
    }

    /// One paid request out and one answer in, which is not judged yet.
    pub(super) fn send_payment(&mut self, mut authorized: Authorized) -> Result<(Answer, Authorized), Failure> {
        self.has_deposited |= authorized.payment().deposits();
        let header = match payment_header(&authorized) {
            Ok(header) => header,
            Err(error) => {
                let payment = authorized.never_sent();
                let error = error.with_money(payment.money(), payment.retry());
                return Err(Failure { error, payment: Some(payment) });
            }
        };
        let outcome = self.exchange_repeating(Some(with_payment(&self.headers, header)), true);
        match outcome {
            Ok(incoming) => {
                if self.was_repeated {
                    authorized.was_repeated();
                }
                Ok((self.answer(incoming), authorized))
            }
            Err(lost) if !lost.report.request_sent_any => {
                let payment = authorized.never_sent();
                let error = lost.error.with_money(payment.money(), payment.retry());
                Err(Failure { error, payment: Some(payment) })
            }
            Err(lost) => {
                let payment = authorized.send().lost(&lost.error);
                let error = lost.error.with_money(payment.money(), payment.retry());
                self.inner.log(1, || format!("no answer to the paid request for {}: {error}", self.logged_url()));
                Err(Failure { error, payment: Some(payment) })
            }
        }
    }

    /// Reads what the server says of the payment.
    pub(super) fn paid(&mut self, answer: Answer, authorized: Authorized) -> Result<Response, Failure> {
        if purchase::may_hold_terms(answer.status) {
            let (held, payment) = self.held_after_payment(answer, authorized)?;
            return Ok(held.into_response(payment));
        }
        self.note_answer(&answer);
        let status = answer.status;
        let (payment, delivery) = purchase::answered(authorized, status, &answer.headers, None);
        self.learn_from(&payment);
        let mut response = self.response(answer);
        response.payment = Some(payment);
        response.delivery = delivery.map(Box::new);
        Ok(response)
    }

    fn note_answer(&self, answer: &Answer) {
        self.warn_of_cache("the answer to the payment", &answer.headers);
        self.inner.log(3, || format!("{} answered {} to the payment", self.logged_url(), answer.status));
    }

    /// Reads an answer to the payment that may hold terms, and what it says of the payment.
    pub(super) fn held_after_payment(
        &self,
        answer: Answer,
        authorized: Authorized,
    ) -> Result<(Held, Payment), Failure> {
        self.note_answer(&answer);
        let status = answer.status;
        let headers = answer.headers.clone();
        let held = match Held::read(answer, self.shown_url()) {
            Ok(held) => held,
            Err(error) => {
                let (payment, _) = purchase::answered(authorized, status, &headers, None);
                let error = error.with_money(payment.money(), payment.retry());
                return Err(Failure { error, payment: Some(payment) });
            }
        };
        let terms = held.challenge(&self.settings.v1_networks).ok();
        let (payment, _) = purchase::answered(authorized, status, &headers, terms.as_ref());
        Ok((held, payment))
    }

    /// Terms or goods that a cache gave are not the server's word of now.
    fn warn_of_cache(&self, what: &str, headers: &[Header]) {
        if let Some(age) = first_header(headers, "age") {
            self.inner.log(2, || {
                let age = printable(&String::from_utf8_lossy(age));
                format!("{what} of {} comes from a cache (Age: {age})", self.logged_url())
            });
        }
    }

    pub fn response(&self, answer: Answer) -> Response {
        Response::new(answer, self.shown_url())
    }

    /// The verdicts over a held 402, as JSON.
    pub fn quote(&self, held: &Held) -> Result<String, Failure> {
        Ok(match held.challenge(&self.settings.v1_networks) {
            Ok(challenge) => {
                let purchase = self.purchase()?;
                let identity = Identity { purchase: purchase.as_ref(), rule: self.settings.retry_rule };
                let means = self.inner.means(&self.settings, self.deadline);
                payer::quote_json(&challenge, &self.asker(), identity, &means)
            }
            Err(error) => {
                let body = serde_json::json!({
                    "status": 402, "url": self.shown_url(), "money": "none", "chosen": null, "offers": [],
                    "error": error.to_string(),
                });
                body.to_string()
            }
        })
    }

    fn purchase(&self) -> Result<Option<Purchase>, Error> {
        let (body, cancel, total) = (&self.request.body, &self.request.cancel, self.deadline);
        let body = self.has_body.then_some(identity::Known { body, cancel, total });
        identity::of(&self.settings, &self.inner.wallet, &self.method, &self.url, body)
    }

    /// The quote of an answer that asks for nothing.
    pub fn free_quote(&self, answer: &Answer) -> String {
        let url = self.shown_url();
        serde_json::json!({"status": answer.status, "url": url, "money": "none", "chosen": null, "offers": []})
            .to_string()
    }

    /// Repeats an exchange where that cannot send a body twice to a server that may have acted on it:
    /// a pooled connection that was dead, a server that reset while the body was on its way, a 417.
    /// `headers` go out in place of the call's own.
    fn exchange_repeating(&mut self, headers: Option<Vec<Header>>, paying: bool) -> Result<Incoming, Lost> {
        let mut again = Again::default();
        let mut repeats = 0;
        let mut sent_before = false;
        loop {
            self.was_repeated = sent_before;
            let mut outcome = self.exchange_once(headers.as_deref(), paying, again);
            match &mut outcome {
                // That nothing was sent must be true of the whole call: an earlier exchange may have paid.
                Err(lost) => {
                    lost.report.request_sent_any |= sent_before;
                    sent_before = lost.report.request_sent_any;
                }
                Ok(_) => sent_before = true,
            }
            if repeats >= REPEATS_MAX {
                return outcome;
            }
            let next = match &outcome {
                Ok(incoming) if incoming.status == 417 && incoming.report.expect_sent => {
                    Again { expect: Some(Expect::Never), ..again }
                }
                Ok(_) => return outcome,
                Err(lost) => match repeat_after(lost, paying, again) {
                    Some(next) => next,
                    None => return outcome,
                },
            };
            if !self.rewound() {
                return outcome;
            }
            self.inner.log(4, || format!("repeating the request to {}", redirect::origin(&self.url)));
            again = next;
            repeats += 1;
        }
    }

    /// Puts the body back to its start, unless it stands there.
    pub(super) fn rewind_if_begun(&mut self) -> Result<(), Failure> {
        if self.has_body && self.request.body.position() > 0 {
            self.request.body.rewind()?;
        }
        Ok(())
    }

    /// Whether the body stands at its start again.
    fn rewound(&mut self) -> bool {
        if !self.has_body || self.request.body.position() == 0 {
            return true;
        }
        !matches!(self.request.body.can_replay(), Replay::No(_)) && self.request.body.rewind().is_ok()
    }

    fn exchange_once(&mut self, headers: Option<&[Header]>, paying: bool, again: Again) -> Result<Incoming, Lost> {
        let expect = again.expect.unwrap_or_else(|| self.expect(paying));
        let length = if self.has_body { self.request.body.length() } else { Ok(Some(0)) };
        let length = length.map_err(|error| Lost { error, report: Report::default() })?;
        let send_total = length.unwrap_or(u64::MAX);
        let progress = self.request.progress.clone();
        let mut sent_now = 0;
        let mut report = |sent: u64| {
            sent_now = sent;
            match &progress {
                None => Ok(()),
                Some(progress) => {
                    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                    progress(sent, send_total, 0, u64::MAX)
                }
            }
        };
        let body = match (self.has_body, length) {
            (false, _) => OutgoingBody::None,
            (true, Some(length)) => OutgoingBody::Sized(length, &mut self.request.body),
            (true, None) => OutgoingBody::Chunked(&mut self.request.body),
        };
        let settings = &self.settings;
        let outcome = self.inner.transport.round_trip(Outgoing {
            method: &self.method,
            url: &self.url,
            headers: headers.unwrap_or(&self.headers),
            body,
            expect,
            fresh_connection: again.fresh_connection,
            deadlines: Deadlines {
                connect: settings.connect_timeout,
                first_byte: settings.first_byte_timeout,
                idle: settings.idle_timeout,
                total: self.deadline,
            },
            cancel: self.request.cancel.clone(),
            progress: if self.request.progress.is_some() { Some(&mut report) } else { None },
        });
        self.sent = sent_now;
        outcome
    }

    fn expect(&self, paying: bool) -> Expect {
        if !self.has_body {
            return Expect::Never;
        }
        match self.settings.expect_continue {
            ExpectContinue::Never => Expect::Never,
            ExpectContinue::Always => Expect::Require,
            // The payment answers the question that the 402 asked: the paid request does not ask again.
            ExpectContinue::Auto if (paying && !self.is_prepaying) || self.inner.wallet.is_empty() => Expect::Never,
            ExpectContinue::Auto => match self.request.body.length() {
                Ok(Some(length)) if length < EXPECT_BODY_BYTES_MIN => Expect::Never,
                _ => Expect::Prefer,
            },
        }
    }

    fn own_payment_header(&self) -> Option<&'static str> {
        PAYMENT_HEADER_NAMES.into_iter().find(|name| first_header(&self.headers, name).is_some())
    }

    fn rewind_for(&mut self, what: &str) -> Result<(), Failure> {
        if !self.has_body {
            return Ok(());
        }
        if let Replay::No(reason) = self.request.body.can_replay() {
            let message = format!("the body cannot be sent again for {what}: {reason}");
            return Err(Error::new(Status::Redirect, message).into());
        }
        Ok(self.request.body.rewind()?)
    }

    /// The answer with its body decoded, if that was asked for and the caller did not ask himself.
    fn answer(&self, incoming: Incoming) -> Answer {
        let Incoming { status, mut headers, body, arrival, .. } = incoming;
        let asked = self.settings.decompress && first_header(&self.request.headers, "accept-encoding").is_none();
        let coding = first_header(&headers, "content-encoding").map(<[u8]>::to_vec);
        let (mut body, mut arrival): (Box<dyn Read + Send>, _) = (Box::new(body), Some(arrival));
        if let (true, Some(coding)) = (asked, coding)
            && decode::decodes(&coding)
        {
            body = decode::decoder(&coding, body).unwrap_or_else(|| Box::new(std::io::empty()));
            headers.retain(|(name, _)| name != "content-encoding" && name != "content-length");
            // What came may unfold into any length: not to be read where nothing may take long.
            arrival = None;
        }
        let received = Received {
            progress: self.request.progress.clone(),
            sent: self.sent,
            send_total: self.sent,
            received: 0,
            receive_total: content_length(&headers),
            arrival,
            cancel: self.request.cancel.clone(),
        };
        Answer { status, headers, body, received }
    }

    pub(super) fn asker(&self) -> Asker {
        let redirected = !redirect::same_origin(&self.url, &self.request.url);
        let asker = self.inner.asker(&self.url, &self.method);
        Asker {
            loopback: asker.loopback || self.settings.unix_socket.is_some(),
            redirected_from: redirected.then(|| redirect::origin(&self.request.url)),
            ..asker
        }
    }

    fn logged_url(&self) -> String {
        purchase::logged_url(&self.url)
    }

    fn shown_url(&self) -> String {
        self.url.to_string()
    }
}

/// Whether, and how, a failed exchange may be repeated.
fn repeat_after(lost: &Lost, paying: bool, again: Again) -> Option<Again> {
    let report = &lost.report;
    if lost.error.status != Status::ConnectionLost || report.any_response_byte {
        return None;
    }
    if report.reused && !again.fresh_connection {
        return Some(Again { fresh_connection: true, ..again });
    }
    // Reset while the body was on its way, perhaps with an answer on it: asked before the body, the server can give it.
    let unfinished = report.broke_while_sending && report.body_bytes_pulled > 0 && !report.expect_sent;
    (unfinished && !paying && again.expect.is_none()).then_some(Again { expect: Some(Expect::Require), ..again })
}
