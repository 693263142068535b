//! What the server saw and did: counts, the last requests and payments, used nonces, the place in every script.
//!
//! Owns one mutex and one condition. Counts grow for ever, records do not: only the last ones are kept, so that
//! a run of many thousand requests stays flat. No payment header is kept, only its hash.

use super::batch::Channels;
use super::payment::Payment;
use super::scenario::{ChannelBefore, Replayed};
use serde::Serialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const REQUESTS_KEPT_MAX: usize = 256;
const PAYMENTS_KEPT_MAX: usize = 256;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Connections that brought a request, or were closed without one.
    pub connections: u64,
    pub connections_open: u64,
    pub connections_open_peak: u64,
    pub handshakes_failed: u64,
    pub requests: u64,
    /// Bytes of request bodies, chunk framing left out.
    pub body_bytes: u64,
    /// Every byte read, heads and framing included, TLS left out.
    pub received_bytes: u64,
    pub payments_presented: u64,
    /// Different authorizations among them: how many signatures the client made and sent.
    pub payments_distinct: u64,
    /// The most different authorizations that were sent to one target.
    pub payments_of_one_target: u64,
    pub payments_verified: u64,
    pub payments_settled: u64,
    pub payments_refused: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestSeen {
    pub number: u64,
    pub connection: u64,
    pub origin: String,
    pub method: String,
    pub target: String,
    /// As received, in their order; the value of a payment header is replaced by `sha256:` and its hash.
    pub headers: Vec<(String, String)>,
    pub body_bytes: u64,
    pub body_whole: bool,
    pub body_sha256: Option<String>,
    /// 0 while there is no answer, or none was given.
    pub status: u16,
}

#[derive(Clone, Debug, Serialize)]
pub struct PaymentSeen {
    pub header_sha256: String,
    pub settled: bool,
    /// Why not, where it was refused.
    pub refused: Option<String>,
    pub transaction: Option<String>,
    #[serde(flatten)]
    pub payment: Option<Payment>,
}

#[derive(Default)]
struct Inner {
    counts: Counts,
    requests: VecDeque<RequestSeen>,
    payments: VecDeque<PaymentSeen>,
    refusals: HashMap<String, u64>,
    seen: HashSet<String>,
    /// How many different payments each target was sent.
    targets: HashMap<String, u64>,
    used: HashSet<String>,
    channels: Channels,
    /// What is said of the channel of a payment that was refused, by the hash of its header.
    corrections: HashMap<String, Value>,
    steps: HashMap<(String, &'static str), usize>,
    busy: usize,
    releases: u64,
    connection_last: u64,
    stopped: bool,
}

#[derive(Default)]
pub struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
}

/// A copy of everything, for assertions and for `/_server/state`.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    #[serde(flatten)]
    pub counts: Counts,
    /// Reasons of refused payments, with how often.
    pub refusals: HashMap<String, u64>,
    pub requests_seen: Vec<RequestSeen>,
    pub payments_seen: Vec<PaymentSeen>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn snapshot(&self) -> Snapshot {
        let inner = self.lock();
        Snapshot {
            counts: inner.counts.clone(),
            refusals: inner.refusals.clone(),
            requests_seen: inner.requests.iter().cloned().collect(),
            payments_seen: inner.payments.iter().cloned().collect(),
        }
    }

    /// Forgets everything but the connections that are open.
    pub fn reset(&self) {
        let mut inner = self.lock();
        let open = inner.counts.connections_open;
        let (busy, releases, connection_last) = (inner.busy, inner.releases, inner.connection_last);
        *inner = Inner { busy, releases, connection_last, ..Inner::default() };
        inner.counts.connections_open = open;
        inner.counts.connections_open_peak = open;
    }

    pub fn connection_opened(&self) -> u64 {
        let mut inner = self.lock();
        inner.counts.connections += 1;
        inner.counts.connections_open += 1;
        inner.counts.connections_open_peak = inner.counts.connections_open_peak.max(inner.counts.connections_open);
        inner.connection_last += 1;
        inner.connection_last
    }

    pub fn connection_closed(&self, received_bytes: u64) {
        let mut inner = self.lock();
        inner.counts.connections_open = inner.counts.connections_open.saturating_sub(1);
        inner.counts.received_bytes += received_bytes;
        self.changed.notify_all();
    }

    pub fn handshake_failed(&self) {
        self.lock().counts.handshakes_failed += 1;
    }

    /// Takes the request into the record and says its number. It counts as busy until [`State::request_done`].
    pub fn request_begun(&self, mut request: RequestSeen) -> u64 {
        let mut inner = self.lock();
        inner.counts.requests += 1;
        inner.busy += 1;
        request.number = inner.counts.requests;
        if inner.requests.len() == REQUESTS_KEPT_MAX {
            inner.requests.pop_front();
        }
        inner.requests.push_back(request);
        inner.counts.requests
    }

    pub fn request_update(&self, number: u64, change: impl FnOnce(&mut RequestSeen)) {
        let mut inner = self.lock();
        if let Some(request) = inner.requests.iter_mut().rev().find(|request| request.number == number) {
            change(request);
        }
    }

    pub fn request_done(&self, body_bytes: u64, received_bytes: u64) {
        let mut inner = self.lock();
        inner.counts.body_bytes += body_bytes;
        inner.counts.received_bytes += received_bytes;
        inner.busy = inner.busy.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Waits until no request is being served, so that a snapshot is final.
    pub fn wait_quiet(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut inner = self.lock();
        while inner.busy > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        true
    }

    /// The place in a list of answers for this request: 0, 1, …, and then always the last.
    pub fn step(&self, route: &str, list: &'static str, length: usize) -> usize {
        if length <= 1 {
            return 0;
        }
        let mut inner = self.lock();
        let next = inner.steps.entry((route.to_string(), list)).or_insert(0);
        let step = *next;
        *next = (step + 1).min(length - 1);
        step
    }

    /// A payment was presented; says what became of it. A nonce that was settled before is refused, or let through
    /// where `replayed` says so.
    pub fn payment_presented(
        &self,
        target: &str,
        header_sha256: String,
        verified: Result<Payment, String>,
        replayed: Replayed,
        before: &ChannelBefore,
    ) -> Result<Payment, String> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.counts.payments_presented += 1;
        let verified = verified.and_then(|mut payment| {
            match inner.channels.judge(&mut payment, &header_sha256, before, replayed == Replayed::Accepted) {
                Ok(()) => Ok(payment),
                Err(reason) => {
                    let correction = inner.channels.correction(&payment);
                    inner.corrections.extend(correction.map(|correction| (header_sha256.clone(), correction)));
                    Err(reason)
                }
            }
        });
        let verified =
            verified.and_then(|payment| match inner.used.contains(&payment.nonce) && replayed == Replayed::Refused {
                true => Err(payment.used_reason().to_string()),
                false => Ok(payment),
            });
        if inner.seen.insert(header_sha256.clone()) {
            inner.counts.payments_distinct += 1;
            let of_target = inner.targets.entry(target.to_string()).or_insert(0);
            *of_target += 1;
            let of_target = *of_target;
            inner.counts.payments_of_one_target = inner.counts.payments_of_one_target.max(of_target);
        }
        match &verified {
            Ok(_) => inner.counts.payments_verified += 1,
            Err(reason) => {
                inner.counts.payments_refused += 1;
                *inner.refusals.entry(reason.clone()).or_insert(0) += 1;
            }
        }
        if inner.payments.len() == PAYMENTS_KEPT_MAX {
            inner.payments.pop_front();
        }
        inner.payments.push_back(PaymentSeen {
            header_sha256,
            settled: false,
            refused: verified.as_ref().err().cloned(),
            transaction: None,
            payment: verified.as_ref().ok().cloned(),
        });
        verified
    }

    /// What a refusal of the payment with this header says of its channel.
    pub fn correction(&self, header_sha256: &str) -> Option<Value> {
        self.lock().corrections.remove(header_sha256)
    }

    /// What the receipt of a payment by channel says of the channel.
    pub fn channel_receipt(&self, payment: &Payment, charged: Option<&str>) -> Option<Value> {
        self.lock().channels.receipt(payment, charged)
    }

    /// By channel: what was deposited and what was charged.
    pub fn channels(&self) -> HashMap<String, (u64, u64)> {
        self.lock().channels.totals()
    }

    /// Settles once per nonce. False: it was settled before. What a channel is charged is `charged` or the price.
    pub fn settle(&self, payment: &Payment, charged: Option<&str>, forgets: bool) -> bool {
        let mut inner = self.lock();
        if !inner.used.insert(payment.nonce.clone()) {
            return false;
        }
        inner.channels.settle(payment, charged, forgets);
        inner.counts.payments_settled += 1;
        let same = |seen: &&mut PaymentSeen| seen.payment.as_ref().is_some_and(|other| other.nonce == payment.nonce);
        if let Some(seen) = inner.payments.iter_mut().rev().find(same) {
            seen.settled = true;
            seen.transaction = Some(payment.transaction());
        }
        true
    }

    pub fn release(&self) {
        self.lock().releases += 1;
        self.changed.notify_all();
    }

    /// How often [`State::release`] was called so far: what a later wait starts from.
    pub fn releases(&self) -> u64 {
        self.lock().releases
    }

    /// Waits for a release after `since`, in slices so that the caller can look at its socket. True: released or stopped.
    pub fn wait_released(&self, since: u64, slice: Duration) -> bool {
        let inner = self.lock();
        if inner.releases > since || inner.stopped {
            return true;
        }
        let inner = self.changed.wait_timeout(inner, slice).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        inner.releases > since || inner.stopped
    }

    /// Waits a while for a request after that `number`, a release after `since`, or the end. True: one of them came.
    pub fn wait_next_request(&self, number: u64, since: u64, slice: Duration) -> bool {
        let came = |inner: &Inner| inner.counts.requests > number || inner.releases > since || inner.stopped;
        let inner = self.lock();
        if came(&inner) {
            return true;
        }
        came(&self.changed.wait_timeout(inner, slice).unwrap_or_else(|poisoned| poisoned.into_inner()).0)
    }

    pub fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    pub fn stopped(&self) -> bool {
        self.lock().stopped
    }
}
