//! The client, and THE loop: send; on 402 hand the terms to the payer; replay with the payment; follow redirects.
//!
//! ```text
//!             ┌──────────────── redirect: next URL, body rewound ───────────────┐
//!             v                                                                 │
//!   send ─> exchange ─> 402? ─no─────────────────────────────────> redirect? ───┤
//!             ^          │yes                                          no ──> Response
//!             │          v
//!             └─ may sign in? once, body rewound
//!                        │no
//!                        v
//!                hold the 402 ─> quote ─> rewind ─> reserve ─> sign ─> let the 402 go ─> exchange ─> Response
//!                        └─── any of these says no ───> Response: the original 402, whole, with the reason
//! ```
//!
//! Owns the control flow of a call; everything it calls is a leaf that returns a value. Pays at most once in
//! one call: a second 402 goes to the caller, because only he can say whether another signature is worth it; but for a
//! payment channel that the server knows better, which `resync` has. Where the caller asked for it (`prepay`), a payment
//! on known terms goes with the first request instead; `prepay` has that way.

mod call;
mod detached;
mod headers;
mod held;
mod identity;
mod node;
mod patience;
mod prepay;
mod purchase;
pub mod queue;
mod redirect;
mod request;
mod reread;
mod response;
mod resync;
pub mod settings;
mod sign_in;

use crate::error::{Error, Status, printable};
use crate::ledger::Ledger;
use crate::payer::{Means, Payment};
use crate::policy::Policy;
use crate::transport::{self, Transport};
use crate::wallet::Wallet;
use crate::world::{Deadline, World};
use call::{Call, Step};
use once_cell::sync::OnceCell;
use settings::Settings;
use std::sync::Arc;
use std::time::Instant;

pub use detached::Detached;
pub use request::{Progress, Request};
pub use response::Response;

/// Gets one line at a time: (level, line). Levels: 1 error, 2 warning, 3 information, 4 detail. Never a secret.
pub type Log = Arc<dyn Fn(i32, &str) + Send + Sync>;

/// A failed call and the payment it may have made.
#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    pub payment: Option<Payment>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, payment: None }
    }
}

/// What a client is made from. Wallet and policy are copied: changing them later changes no client.
pub struct Config {
    wallet: Wallet,
    policy: Policy,
    ledger: Option<Arc<Ledger>>,
    settings: Settings,
    log: Option<Log>,
}

impl Config {
    /// No wallet (nothing is paid), the default policy, every setting at its default.
    pub fn new() -> Result<Self, Error> {
        Ok(Config {
            wallet: Wallet::new(),
            policy: Policy::new()?,
            ledger: None,
            settings: Settings::new()?,
            log: None,
        })
    }

    pub fn wallet(&mut self, wallet: &Wallet) {
        self.wallet = wallet.clone();
    }

    pub fn policy(&mut self, policy: &Policy) {
        self.policy = policy.clone();
    }

    /// Shares `ledger` with everyone else who has it; without one, a client keeps its own in memory.
    pub fn ledger(&mut self, ledger: &Arc<Ledger>) {
        self.ledger = Some(Arc::clone(ledger));
    }

    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        self.settings.set(key, value)
    }

    pub fn log(&mut self, log: Log) {
        self.log = Some(log);
    }
}

/// A client: connections, wallet, rules and what was spent. Clones share all of it. Any thread.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    wallet: Wallet,
    policy: Policy,
    ledger: Arc<Ledger>,
    settings: Settings,
    transport: Transport,
    /// For the nodes of chains; made when one is first asked.
    node_transport: OnceCell<Transport>,
    sign_ins: sign_in::Tokens,
    places: prepay::Places,
    readings: reread::Readings,
    world: World,
    log: Option<Log>,
}

impl Client {
    pub fn new(config: &Config) -> Result<Self, Error> {
        Self::in_world(config, World::system())
    }

    /// As [`Client::new`] with a clock and entropy of the caller's, for reproducing signatures.
    pub fn in_world(config: &Config, world: World) -> Result<Self, Error> {
        let settings = config.settings.clone();
        let transport = Transport::new(transport::Settings {
            tls: settings.tls.clone(),
            proxy: settings.proxy_choice()?,
            pool_idle: settings.pool_idle,
            pool_per_host: settings.pool_per_host,
            deny_private_addresses: settings.deny_private_addresses,
            unix_socket: settings.unix_socket.clone(),
        })?;
        let (wallet, policy) = (paying(&config.wallet, &settings.payers)?, config.policy.clone());
        let ledger = config.ledger.clone().unwrap_or_else(Ledger::in_memory);
        Ok(Client(Arc::new(Inner {
            wallet,
            policy,
            ledger,
            settings,
            transport,
            node_transport: OnceCell::new(),
            sign_ins: sign_in::Tokens::default(),
            places: prepay::Places::default(),
            readings: reread::Readings::default(),
            world,
            log: config.log.clone(),
        })))
    }

    /// Sends `request`, pays once if it is asked to and may, and returns the answer.
    pub fn send(&self, request: &mut Request) -> Result<Response, Failure> {
        let mut call = Call::begin(&self.0, request)?;
        if let Some(authorized) = call.prepay() {
            return call.present_prepaid(authorized);
        }
        loop {
            let answer = call.exchange()?;
            match call.next_step(&answer)? {
                Step::Return => return Ok(call.response(answer)),
                Step::Follow(redirect) => call.follow(answer, redirect)?,
                Step::Again => call.rewind_if_begun()?,
                Step::Pay => {
                    let held = call.hold(answer)?;
                    if call.signs_in(&held)? {
                        continue;
                    }
                    return match call.authorize(&held)? {
                        Ok(authorized) => {
                            drop(held);
                            call.present(authorized)
                        }
                        Err(declined) => Ok(held.into_response(declined.payment())),
                    };
                }
            }
        }
    }

    /// Sends `request` without paying and returns the terms as JSON, each offer with its verdict; never signs.
    pub fn quote_json(&self, request: &mut Request) -> Result<String, Failure> {
        let mut call = Call::begin(&self.0, request)?;
        loop {
            let answer = call.exchange()?;
            match call.next_step(&answer)? {
                Step::Follow(redirect) => call.follow(answer, redirect)?,
                Step::Again => call.rewind_if_begun()?,
                Step::Return => return Ok(call.free_quote(&answer)),
                Step::Pay => {
                    let held = call.hold(answer)?;
                    return call.quote(&held);
                }
            }
        }
    }
}

/// The wallet, led by the keys that are to pay.
fn paying(wallet: &Wallet, payers: &[String]) -> Result<Wallet, Error> {
    payers.iter().try_fold(wallet.clone(), |wallet, payer| {
        wallet.led_by(payer).ok_or_else(|| {
            let shown = printable(payer);
            let message = format!("the setting payer names {shown}, but the wallet holds no key of this address");
            Error::new(Status::Setting, message)
        })
    })
}

impl Inner {
    /// What a decision that begins now is made with.
    fn means(&self, settings: &Settings, total: Option<Instant>) -> Means<'_> {
        let signing = Deadline::after(settings.sign_timeout, "sign_timeout_ms");
        let deadline = signing.or_sooner(Deadline::at(total, "total_timeout_ms"));
        Means {
            wallet: &self.wallet,
            policy: &self.policy,
            ledger: &self.ledger,
            world: &self.world,
            deadline,
            may_deposit: true,
        }
    }

    fn log(&self, level: i32, line: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            log(level, &line());
        }
    }
}
