//! Which purchase a request is.
//!
//! Owns what an identity is made of. A name given by the caller means one purchase at one origin, whatever wallet,
//! path or body; without a name it is the payer, method, URL and body. Both become a digest at once, so that a ledger
//! shows no URL and no name.

use super::Inner;
use super::redirect;
use super::settings::Settings;
use crate::body::{Body, digest};
use crate::error::{Error, Status};
use crate::ledger::Purchase;
use crate::payer::{self, Declined};
use crate::policy::Asker;
use crate::protocol::Challenge;
use crate::transport::Cancel;
use crate::wallet::Wallet;
use std::time::Instant;
use url::Url;

/// A request's body, and what ends the reading of it: a file is read whole, which may take as long as sending it.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub body: &'a Body,
    pub cancel: &'a Cancel,
    pub total: Option<Instant>,
}

impl Known<'_> {
    fn digest(&self) -> Result<Option<[u8; 32]>, Error> {
        self.body.digest(&mut || {
            self.cancel.check("reading the body file to know its purchase again")?;
            if self.total.is_some_and(|total| total <= Instant::now()) {
                let message = "total_timeout_ms passed while reading the body file to know its purchase again: raise it, \
                               or set purchase_key";
                return Err(Error::new(Status::Timeout, message));
            }
            Ok(())
        })
    }
}

impl Inner {
    /// Declines what wallet and rules refuse whatever the ledger knows, so that no body file is read for nothing. A
    /// payment that awaits its outcome may be this purchase's: then the caller is owed the word that it may settle yet.
    pub(super) fn declines_unread(
        &self,
        challenge: &Challenge,
        asker: &Asker,
        settings: &Settings,
        body: Option<&Body>,
    ) -> Option<Declined> {
        if settings.purchase_key.is_some() || !body.is_some_and(Body::is_file) {
            return None;
        }
        let nothing_stands = || self.ledger.unsettled(0, 1).is_ok_and(|list| list == "[]");
        if !self.wallet.is_empty() && !nothing_stands() {
            return None;
        }
        payer::none_allowed(challenge, asker, &self.means(settings, None))
    }
}

/// The purchase, or `None` where a body from a reader makes it impossible to know a repeat.
pub(super) fn of(
    settings: &Settings,
    wallet: &Wallet,
    method: &str,
    url: &Url,
    body: Option<Known<'_>>,
) -> Result<Option<Purchase>, Error> {
    if let Some(named) = named(settings, url) {
        return Ok(Some(named));
    }
    let body = match body.map(|known| known.digest()).transpose()? {
        None => [0; 32],
        Some(Some(digest)) => digest,
        Some(None) => return Ok(None),
    };
    let socket = socket(settings);
    let mut url = url.clone();
    url.set_fragment(None);
    let payer = wallet.address("eip155", 0).or_else(|| wallet.address("solana", 0)).unwrap_or_default();
    let parts: [&[u8]; 6] =
        [b"derived", payer.as_bytes(), method.as_bytes(), url.as_str().as_bytes(), socket, body.as_slice()];
    Ok(Some(Purchase { id: hex(&parts), named: false }))
}

/// The purchase that the caller named at this origin, if he did.
pub(super) fn named(settings: &Settings, url: &Url) -> Option<Purchase> {
    let name = settings.purchase_key.as_ref()?;
    let origin = redirect::origin(url);
    let parts: [&[u8]; 4] = [b"named", origin.as_bytes(), socket(settings), name.as_bytes()];
    Some(Purchase { id: hex(&parts), named: true })
}

/// Behind one URL there may be a server for each socket.
fn socket(settings: &Settings) -> &[u8] {
    settings.unix_socket.as_deref().map(|path| path.as_os_str().as_encoded_bytes()).unwrap_or_default()
}

fn hex(parts: &[&[u8]]) -> String {
    alloy_primitives::hex::encode(digest::of_parts(parts))
}
