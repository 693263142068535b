//! Signing in before paying (extension `sign-in-with-x`, the setting `sign_in`).
//!
//! Owns the signatures that opened a door, by origin, and where one may be shown: to the origin that asked for it, if
//! the caller named that origin, over https or on this machine. A call signs in once, and only an answer other than
//! 402 makes a signature worth keeping. Moves no money; what it costs is that the server learns the address.

use super::call::Call;
use super::held::{Answer, Held};
use super::redirect;
use super::response::first_header;
use super::{Failure, Inner};
use crate::body::Replay;
use crate::protocol::SIGN_IN_HEADER_NAME;
use crate::scheme;
use crate::transport::Header;
use http::{HeaderName, HeaderValue};
use std::sync::{Mutex, MutexGuard, PoisonError};
use url::Url;
use zeroize::Zeroizing;

/// Origins whose signatures are kept.
const ORIGINS_MAX: usize = 64;
/// How long one without an expiry of its own is shown: servers take them for five minutes.
const REUSE_S_DEFAULT: u64 = 300;
/// And one with an expiry, at most.
const REUSE_S_MAX: u64 = 24 * 3600;

/// A header that signs in at one origin. `Debug` is not derived: whoever has the value can pass for the account.
#[derive(Clone)]
struct Token {
    origin: String,
    value: Zeroizing<String>,
    until_s: u64,
}

/// The signatures of a client that opened a door.
#[derive(Default)]
pub(super) struct Tokens(Mutex<Vec<Token>>);

impl Tokens {
    fn all(&self) -> MutexGuard<'_, Vec<Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, origin: &str, now_s: u64) -> Option<Token> {
        let mut all = self.all();
        all.retain(|token| token.until_s > now_s);
        all.iter().find(|token| token.origin == origin).cloned()
    }

    fn keep(&self, token: &Token) {
        let mut all = self.all();
        all.retain(|kept| kept.origin != token.origin);
        if all.len() >= ORIGINS_MAX {
            all.remove(0);
        }
        all.push(token.clone());
    }

    fn forget(&self, token: &Token) {
        self.all().retain(|kept| kept.origin != token.origin || *kept.value != *token.value);
    }
}

/// What a call shows and has tried.
#[derive(Default)]
pub(super) struct Visit {
    shown: Option<Token>,
    /// The token was kept from an earlier call.
    is_kept: bool,
    /// This call has signed in.
    is_done: bool,
}

impl Visit {
    /// A visit that begins with the signature kept for `url`'s origin, if there is one.
    pub fn begin(inner: &Inner, url: &Url, headers: &[Header]) -> Visit {
        let origin = redirect::origin(url);
        let shown = match first_header(headers, SIGN_IN_HEADER_NAME) {
            Some(_) => None,
            None => inner.sign_ins.find(&origin, inner.world.clock.unix_s()),
        };
        Visit { is_kept: shown.is_some(), shown, is_done: false }
    }

    /// The header for a request to `url`.
    pub fn header(&self, url: &Url) -> Option<Header> {
        let token = self.shown.as_ref().filter(|token| token.origin == redirect::origin(url))?;
        let mut value = HeaderValue::from_str(&token.value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_static(SIGN_IN_HEADER_NAME), value))
    }
}

impl Call<'_> {
    /// Learns from an answer to a request that showed a signature. Whether the request goes out once more without
    /// it: one that was kept from earlier may be what the server objects to.
    pub(super) fn visited(&mut self, answer: &Answer) -> bool {
        let Some(token) = &self.visit.shown else { return false };
        let here = token.origin == redirect::origin(&self.url);
        let tokens = &self.inner.sign_ins;
        match answer.status {
            401..=403 if here => {
                tokens.forget(token);
                self.visit.shown = None;
                let again = self.visit.is_kept && answer.status != 402;
                again && self.can_repeat()
            }
            200..=399 if here && !self.visit.is_kept => {
                tokens.keep(token);
                false
            }
            _ => false,
        }
    }

    /// Signs in, if the 402 offers it and it may be done. Whether the request goes out once more, body rewound.
    pub(super) fn signs_in(&mut self, held: &Held) -> Result<bool, Failure> {
        if !self.settings.sign_in || self.visit.is_done {
            return Ok(false);
        }
        self.visit.is_done = true;
        match self.token(held) {
            Ok(Some(token)) => {
                self.rewind_if_begun()?;
                self.inner.log(3, || format!("signing in at {}", token.origin));
                (self.visit.shown, self.visit.is_kept) = (Some(token), false);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(why) => {
                self.inner.log(2, || format!("not signing in at {}: {why}", redirect::origin(&self.url)));
                Ok(false)
            }
        }
    }

    fn token(&self, held: &Held) -> Result<Option<Token>, String> {
        let Some(asked) = held.challenge(&self.settings.v1_networks).ok().and_then(|challenge| challenge.sign_in())
        else {
            return Ok(None);
        };
        let asked = asked?;
        if first_header(&self.headers, SIGN_IN_HEADER_NAME).is_some() {
            return Err("the request carries a sign-in of the caller's already".into());
        }
        let asker = self.asker();
        if !asker.https && !asker.loopback {
            return Err("it asks over plain http".into());
        }
        if let Some(origin) = &asker.redirected_from {
            return Err(format!("it was reached by a redirect from {origin}"));
        }
        self.inner.policy.check_asker(&asker)?;
        let now_s = self.inner.world.clock.unix_s();
        asked.check(&self.url, now_s)?;
        if !self.can_repeat() {
            return Err("the body cannot be sent again".into());
        }
        let Some(signed) = scheme::sign_in(&asked, &self.inner.wallet) else {
            return Err("the wallet has no key for the chains it names".into());
        };
        let value = signed.map_err(|error| error.to_string())?;
        let latest_s = now_s.saturating_add(if asked.expires_s.is_some() { REUSE_S_MAX } else { REUSE_S_DEFAULT });
        let until_s = asked.expires_s.map_or(latest_s, |expires_s| expires_s.min(latest_s));
        Ok(Some(Token { origin: redirect::origin(&self.url), value, until_s }))
    }

    fn can_repeat(&self) -> bool {
        !self.has_body || !matches!(self.request.body.can_replay(), Replay::No(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(origin: &str, until_s: u64) -> Token {
        Token { origin: origin.into(), value: Zeroizing::new(format!("{origin} {until_s}")), until_s }
    }

    #[test]
    fn signatures_are_kept_by_origin_until_they_expire_and_not_without_bound() {
        let tokens = Tokens::default();
        tokens.keep(&token("https://a.example", 10));
        tokens.keep(&token("https://a.example", 20));
        tokens.keep(&token("https://b.example", 15));
        assert_eq!(tokens.find("https://a.example", 14).map(|token| token.until_s), Some(20));
        assert!(tokens.find("https://a.example:8443", 14).is_none());
        assert!(tokens.find("https://b.example", 15).is_none());
        // Another call's signature of the same origin is not ours to forget.
        tokens.forget(&token("https://a.example", 10));
        assert!(tokens.find("https://a.example", 14).is_some());
        tokens.forget(&token("https://a.example", 20));
        assert!(tokens.find("https://a.example", 14).is_none());
        for number in 0..2 * ORIGINS_MAX {
            tokens.keep(&token(&format!("https://{number}.example"), 100));
        }
        assert_eq!(tokens.all().len(), ORIGINS_MAX);
        assert!(tokens.find(&format!("https://{}.example", 2 * ORIGINS_MAX - 1), 14).is_some());
    }
}
