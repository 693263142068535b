//! Terms that come again byte for byte are read once.
//!
//! Owns the last challenges of a client, found by the bytes of their header; what such bytes mean depends on nothing
//! else, so that what is kept can never be stale. Version 2 alone: in version 1 a setting says what networks mean.
//! Nothing with a query in it is kept, because servers echo the URL there and callers put keys in queries. Its one
//! decision: where another thread is at the list the terms are just read, so that nobody waits here.

use super::held::Held;
use crate::protocol::{Challenge, ChallengeError, NetworkNames, Version};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// How many challenges are kept, and the longest header of one: 32 KiB of headers for a client at most.
const KEPT_MAX: usize = 8;
const HEADER_BYTES_MAX: usize = 4 * 1024;

/// The bytes of a header and what they mean.
type Reading = (Box<[u8]>, Arc<Challenge>);

/// The challenges that a client has read lately.
#[derive(Default)]
pub(super) struct Readings(Mutex<VecDeque<Reading>>);

impl Readings {
    /// The terms of a 402.
    pub fn challenge(&self, held: &Held, names: &NetworkNames) -> Result<Arc<Challenge>, ChallengeError> {
        let header = held.payment_required().filter(|header| header.len() <= HEADER_BYTES_MAX);
        let Some(header) = header else { return held.challenge(names).map(Arc::new) };
        if let Some(known) = self.find(header) {
            return Ok(known);
        }
        let challenge = Arc::new(held.challenge(names)?);
        if challenge.version == Version::V2 && !holds_query(&challenge) {
            self.keep(header, &challenge);
        }
        Ok(challenge)
    }

    fn find(&self, header: &[u8]) -> Option<Arc<Challenge>> {
        let kept = self.0.try_lock().ok()?;
        kept.iter().find(|(bytes, _)| **bytes == *header).map(|(_, challenge)| Arc::clone(challenge))
    }

    fn keep(&self, header: &[u8], challenge: &Arc<Challenge>) {
        let Ok(mut kept) = self.0.try_lock() else { return };
        kept.truncate(KEPT_MAX - 1);
        kept.push_front((header.into(), Arc::clone(challenge)));
    }
}

/// Whether any text of it may be a URL with a query, escaped or not.
fn holds_query(challenge: &Challenge) -> bool {
    let echoed = [challenge.resource.as_deref(), challenge.extensions.as_deref()].into_iter().flatten();
    let offers = challenge.offers.iter().map(|offer| &*offer.raw);
    let said = challenge.error.as_deref();
    let texts = echoed.map(|raw| raw.get()).chain(offers).chain(said);
    !challenge.malformed.is_empty() || texts.into_iter().any(|text| text.contains(['?', '\\']))
}

#[cfg(test)]
mod tests;
