//! What was promised and what became of it: budgets, and the memory that keeps a purchase from being paid twice.
//!
//! Owns the arithmetic that keeps `reserved + spent <= budget` at every instant: across the threads and clients that
//! share a ledger, and with a file across processes and a crash at any point. Knows budgets, amounts and purchases;
//! knows nothing of signatures or HTTP. A reservation counts from the moment it is made, and only a payment that
//! provably never left the machine gives it back (*sent = spent*); a server's word never does. Its one decision: an
//! entry records what its signature is made from, nonce and time included, and not the signature. That record is one
//! durable write before the signature exists, and it is enough to present the very same bytes after a crash.

mod budgets;
mod channel;
mod entry;
mod file;
mod memory;
mod owner;
mod purchase;
mod series;

use crate::error::{Error, Status};
use crate::money::{Amount, Budget, Correction, Draw, Usd};
use entry::Entry;
use file::File;
use memory::Memory;
use serde_json::Value;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

pub use budgets::{Denied, Stood};
pub use channel::{Acknowledged, ChannelOrder, Outlook};
pub use entry::{Intent, Recipe, State, TurnedDown};
pub use owner::hold_entries;
pub use purchase::{EXPIRY_MARGIN_S, Purchase, RetryRule, check_name};

/// The books of one or more clients. Share it by `Arc`; any thread.
#[derive(Debug)]
pub struct Ledger(Store);

#[derive(Debug)]
enum Store {
    Memory(Memory),
    File(Box<File>),
}

/// What is to be reserved.
pub struct Order<'a> {
    pub intent: &'a Intent,
    pub recipe: Recipe,
    pub rule: RetryRule,
    /// The budgets of the client that reserves. The ledger holds only what was spent.
    pub budgets: &'a [Budget],
}

/// What [`Ledger::reserve`] gives.
#[derive(Debug)]
pub enum Grant {
    /// The amount counts; sign what the recipe says.
    New(Reservation, Recipe),
    /// The purchase has a signature that may settle yet: make the same one again.
    Standing(Reservation, Recipe),
}

/// What a store gives.
enum Booked {
    New(u64, Recipe),
    Standing(Standing),
}

#[derive(Debug)]
struct Standing {
    id: u64,
    /// The entry was taken over: whoever holds it says what became of it.
    claimed: bool,
    /// It is paid, by this transaction.
    paid: Option<String>,
    recipe: Recipe,
}

/// What became of a signature.
#[derive(Clone, Debug)]
enum Outcome {
    NeverLeft,
    Unknown {
        refusal: TurnedDown,
        /// What the server says of the channel, where that is to be believed.
        correction: Option<Correction>,
    },
    /// Taken over and not presented: as it was before.
    AsBefore,
    Paid {
        transaction: String,
        /// What was taken, where that is to be believed.
        charged: Option<Amount>,
        /// What the receipt says of the channel, where the payment draws from one.
        acknowledged: Acknowledged,
    },
}

impl Outcome {
    const LOST: Outcome = Outcome::Unknown { refusal: TurnedDown::No, correction: None };

    /// How far a refusal is proof: given to one of several sendings it is none, because another may have settled, and
    /// that may be why this one is refused.
    fn proof(&self, is_shared: bool) -> TurnedDown {
        match self {
            Outcome::Unknown { refusal: TurnedDown::Proven, .. } if is_shared => TurnedDown::Unproven,
            Outcome::Unknown { refusal, .. } => *refusal,
            _ => TurnedDown::No,
        }
    }

    /// What is known of the channel that an entry draws from, once this became of the entry; `None`: nothing any more.
    fn moves(&self, channel: channel::State, entry: &Entry, draw: &Draw, holder: bool) -> Option<channel::State> {
        let in_hand = holder && entry.state == State::Open;
        // A voucher that nobody has, or that the server says it did not take, is none that a receipt could speak of.
        let was_taken = match self {
            Outcome::NeverLeft => entry.shared,
            Outcome::Unknown { .. } => self.proof(entry.shared) != TurnedDown::Proven,
            _ => true,
        };
        let before =
            if in_hand && !was_taken && channel.holder == entry.id { channel.undrawn(draw) } else { Some(channel) };
        match self {
            Outcome::Paid { acknowledged, .. } => Some(channel.paid(draw, *acknowledged, entry.state != State::Paid)),
            Outcome::Unknown { correction: Some(correction), .. } if in_hand => {
                Some(before.unwrap_or_default().corrected(draw, *correction))
            }
            _ => before,
        }
    }
}

/// Runs `body`. Whatever waits for a ledger's file in it, on this thread, waits no longer once `is_over`, and fails.
pub fn patient<R>(is_over: Rc<dyn Fn() -> bool>, body: impl FnOnce() -> R) -> R {
    file::turn::patient(is_over, body)
}

impl Ledger {
    /// Whether others may have to be waited for.
    pub fn is_file(&self) -> bool {
        matches!(self.0, Store::File(_))
    }

    /// A ledger in `path`, made if there is none (mode 0600), or in memory without one. [`Status::Ledger`] says why a
    /// file cannot be used; nothing is repaired and nothing is overwritten.
    pub fn open(path: Option<&Path>) -> Result<Arc<Self>, Error> {
        match path {
            Some(path) => Ok(Arc::new(Ledger(Store::File(Box::new(File::open(path)?))))),
            None => Ok(Self::in_memory()),
        }
    }

    pub fn in_memory() -> Arc<Self> {
        Arc::new(Ledger(Store::Memory(Memory::default())))
    }

    /// Whether `intent` fits the budgets now; holds nothing.
    pub fn check(&self, budgets: &[Budget], intent: &Intent) -> Result<(), Denied> {
        match &self.0 {
            Store::Memory(memory) => memory.check(budgets, intent),
            Store::File(file) => file.check(budgets, intent),
        }
    }

    /// What a payment of `price` by one of these channels would meet now.
    pub fn outlook(&self, order: &ChannelOrder, price: Amount) -> Result<Outlook, Denied> {
        match &self.0 {
            Store::Memory(memory) => memory.outlook(order, price),
            Store::File(file) => file.outlook(order, price),
        }
    }

    /// The signature of an earlier sending that this purchase has to present, if it has one.
    pub fn standing(
        self: &Arc<Self>,
        purchase: &Purchase,
        rule: RetryRule,
        now_s: u64,
    ) -> Result<Option<(Reservation, Recipe)>, Denied> {
        let standing = match &self.0 {
            Store::Memory(memory) => memory.standing(purchase, rule, now_s),
            Store::File(file) => file.standing(purchase, rule, now_s),
        }?;
        Ok(standing.map(|standing| self.again(standing, is_forgettable(Some(purchase)))))
    }

    /// Signatures of a purchase that the caller named, each with its entry: void by time alone, so that another may be made,
    /// and perhaps settled before that, which a node can tell.
    pub fn lapsed(&self, purchase: &Purchase, now_s: u64) -> Result<Vec<(u64, Recipe)>, Error> {
        match &self.0 {
            _ if !purchase.named => Ok(Vec::new()),
            Store::Memory(memory) => Ok(memory.lapsed(purchase, now_s)),
            Store::File(file) => file.lapsed(purchase, now_s),
        }
    }

    /// Counts the intent under every budget, or under none and says which refused. When it returns, the entry is on
    /// disk (with a file) and the signature may be made.
    pub fn reserve(self: &Arc<Self>, order: Order<'_>) -> Result<Grant, Denied> {
        let forgettable = is_forgettable(order.intent.purchase.as_ref());
        let booked = match &self.0 {
            Store::Memory(memory) => memory.reserve(order),
            Store::File(file) => file.reserve(order),
        }?;
        Ok(match booked {
            Booked::New(id, recipe) => {
                let ledger = Arc::clone(self);
                let (hold, transaction) = (Hold::Unsigned, String::new());
                Grant::New(Reservation { ledger, id, hold, transaction, open: true, forgettable }, recipe)
            }
            Booked::Standing(standing) => {
                let (reservation, recipe) = self.again(standing, forgettable);
                Grant::Standing(reservation, recipe)
            }
        })
    }

    fn again(self: &Arc<Self>, standing: Standing, forgettable: bool) -> (Reservation, Recipe) {
        let hold = match (standing.claimed, &standing.paid) {
            (true, _) => Hold::Claimed,
            (false, Some(_)) => Hold::Paid,
            (false, None) => Hold::Borrowed,
        };
        let transaction = standing.paid.unwrap_or_default();
        let ledger = Arc::clone(self);
        (Reservation { ledger, id: standing.id, hold, transaction, open: true, forgettable }, standing.recipe)
    }

    fn close(&self, id: u64, holder: bool, outcome: &Outcome) -> Result<TurnedDown, Error> {
        match &self.0 {
            Store::Memory(memory) => Ok(memory.close(id, holder, outcome)),
            Store::File(file) => file.close(id, holder, outcome),
        }
    }

    /// Gives up an entry whose outcome is unknown, or whose process died: it counts no more, and its purchase may be
    /// signed anew. The risk is the operator's: if its signature settles after all, the purchase is paid twice and
    /// the budgets were passed by its amount. A receipt that comes later counts it again. Of an entry that is paid and
    /// whose answer broke off, only the answer is given up: its amount goes on counting.
    pub fn abandon(&self, entry: u64) -> Result<(), Error> {
        match &self.0 {
            Store::Memory(memory) => memory.abandon(entry),
            Store::File(file) => file.abandon(entry),
        }
    }

    /// A JSON list of at most `limit` entries with ids above `after_id`, oldest first. In memory only those that can
    /// still be presented or abandoned. Never holds a nonce, terms, or anything else that helps to pay.
    pub fn entries(&self, after_id: u64, limit: usize) -> Result<String, Error> {
        let rows = match &self.0 {
            Store::Memory(memory) => memory.entries(after_id, limit),
            Store::File(file) => file.entries(after_id, limit)?,
        };
        Ok(Value::Array(rows).to_string())
    }

    /// As [`Ledger::entries`], of those alone that await an outcome: sent or in flight and no receipt says paid, or paid
    /// and the answer broke off. What an operator looks at, and may abandon.
    pub fn unsettled(&self, after_id: u64, limit: usize) -> Result<String, Error> {
        let rows = match &self.0 {
            Store::Memory(memory) => memory.unsettled(after_id, limit),
            Store::File(file) => file.unsettled(after_id, limit)?,
        };
        Ok(Value::Array(rows).to_string())
    }

    /// A JSON list of what counts: scope, key, unit, amount in atomic units, dollars where the asset is known. After them
    /// the payment channels, with the scope `channel`: the amount is what is deposited there.
    pub fn totals(&self) -> Result<String, Error> {
        let rows = match &self.0 {
            Store::Memory(memory) => memory.totals(),
            Store::File(file) => file.totals()?,
        };
        Ok(Value::Array(rows).to_string())
    }
}

/// An amount that counts. Dropping it gives the amount back only while nothing was signed.
#[derive(Debug)]
pub struct Reservation {
    ledger: Arc<Ledger>,
    id: u64,
    hold: Hold,
    /// By which it is paid already; "" where it is not.
    transaction: String,
    open: bool,
    /// As [`is_forgettable`] says.
    forgettable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Nothing signed yet.
    Unsigned,
    /// Signed, and not sent yet by anyone else: counts until its outcome says otherwise.
    Signed,
    /// Taken over from an earlier sending, which may have left the machine; not presented again yet.
    Claimed,
    /// Taken over and presented again.
    Presented,
    /// Another call has it in hand too: only a receipt is recorded.
    Borrowed,
    /// As borrowed, of what is paid.
    Paid,
}

impl Reservation {
    /// The entry's number in the ledger.
    pub fn entry(&self) -> u64 {
        self.id
    }

    /// From here on the amount counts whatever happens, a panic included.
    pub fn commit(&mut self) {
        self.hold = match self.hold {
            Hold::Unsigned | Hold::Signed => Hold::Signed,
            Hold::Claimed | Hold::Presented => Hold::Presented,
            borrowed @ (Hold::Borrowed | Hold::Paid) => borrowed,
        };
    }

    /// Whether no earlier sending of this signature may have left the machine.
    pub fn is_first(&self) -> bool {
        matches!(self.hold, Hold::Unsigned | Hold::Signed)
    }

    /// Whether the purchase is paid, and only asks for what it paid for.
    pub fn is_paid(&self) -> bool {
        self.hold == Hold::Paid
    }

    /// The transaction by which it is paid, as a receipt named it; "" without one.
    pub fn transaction(&self) -> &str {
        &self.transaction
    }

    /// Whether what becomes of it is this call's to say.
    fn is_holder(&self) -> bool {
        !matches!(self.hold, Hold::Borrowed | Hold::Paid)
    }

    /// This sending never left the machine. If it was the only one, the amount is free again.
    pub fn never_left(self) -> Result<(), Error> {
        let outcome = if self.is_first() { Outcome::NeverLeft } else { Outcome::AsBefore };
        self.end(outcome).map(|_| ())
    }

    /// A receipt says paid; with `charged`, that so much was taken, and no more of the amount counts from here on.
    pub fn paid(self, transaction: &str, charged: Option<Amount>) -> Result<Delivery, Error> {
        self.delivered(Outcome::Paid {
            transaction: transaction.into(),
            charged,
            acknowledged: Acknowledged::default(),
        })
    }

    /// As [`Reservation::paid`], of a payment by channel: what was deposited counts whatever was charged.
    pub fn paid_by_channel(self, transaction: &str, acknowledged: Acknowledged) -> Result<Delivery, Error> {
        self.delivered(Outcome::Paid { transaction: transaction.into(), charged: None, acknowledged })
    }

    fn delivered(self, outcome: Outcome) -> Result<Delivery, Error> {
        let holder = self.is_holder();
        let ledger = Arc::clone(&self.ledger);
        let delivery = Delivery { ledger, id: self.id, holder, is_under_way: true, forgettable: self.forgettable };
        self.end(outcome)?;
        Ok(delivery)
    }

    /// It was sent, and no receipt says paid. Gives how far the refusal is proof.
    pub fn unknown(self, refusal: TurnedDown) -> Result<TurnedDown, Error> {
        self.end(Outcome::Unknown { refusal, correction: None })
    }

    /// As [`Reservation::unknown`], and the server says why the voucher is not the one it expects.
    pub fn corrected(self, refusal: TurnedDown, correction: Correction) -> Result<TurnedDown, Error> {
        self.end(Outcome::Unknown { refusal, correction: Some(correction) })
    }

    fn end(mut self, outcome: Outcome) -> Result<TurnedDown, Error> {
        self.open = false;
        self.ledger.close(self.id, self.is_holder(), &outcome)
    }
}

/// What was paid for is being handed over. Dropped, it was handed over.
#[derive(Debug)]
pub struct Delivery {
    ledger: Arc<Ledger>,
    id: u64,
    /// The entry is in this call's hands.
    holder: bool,
    is_under_way: bool,
    forgettable: bool,
}

impl Delivery {
    pub fn writes_file(&self) -> bool {
        self.ledger.is_file()
    }

    /// The answer broke off. Until the signature is void a repeat of the purchase presents it again and makes no other,
    /// with a name or without, because the caller has paid and has nothing. `false` where no repeat can be known.
    pub fn broke_off(mut self, recipe: &Recipe) -> Result<bool, Error> {
        self.is_under_way = false;
        match &self.ledger.0 {
            Store::Memory(memory) => Ok(memory.broke_off(self.id)),
            Store::File(file) => file.broke_off(self.id, recipe, self.holder),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.is_under_way {
            return;
        }
        match &self.ledger.0 {
            Store::Memory(memory) => memory.handed_over(self.id),
            // Where it cannot be written, a repeat presents the same payment: the safe side.
            Store::File(file) => {
                let _ = file.handed_over(self.id, self.holder, self.forgettable);
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let outcome = match self.hold {
            Hold::Unsigned => Outcome::NeverLeft,
            Hold::Claimed => Outcome::AsBefore,
            Hold::Signed | Hold::Presented | Hold::Borrowed | Hold::Paid => Outcome::LOST,
        };
        // An outcome that cannot be written leaves the entry open, which counts as sent: the safe side.
        let _ = self.ledger.close(self.id, self.is_holder(), &outcome);
    }
}

/// Whether the purchase is over once what was paid for was handed over: one without a name that is known all the same.
fn is_forgettable(purchase: Option<&Purchase>) -> bool {
    purchase.is_some_and(|purchase| !purchase.named)
}

/// Why a purchase's earlier signature stands in the way, for the caller.
fn stands(entry: &Entry, why: &str) -> Denied {
    let usd = entry::known_unit(&entry.unit).and_then(|asset| Usd::of(asset, &entry.amount));
    let at_risk = (entry.state != State::Paid).then_some((entry.amount, usd));
    let until = if entry.state == State::Paid {
        "for good".to_string()
    } else if entry.lasting {
        "which can be taken from its channel whatever the time".to_string()
    } else {
        format!("which can settle until {} seconds since 1970", entry.valid_before_s)
    };
    let reason = format!(
        "an authorization of this purchase stands (entry {}): {} atomic units of {} to {}, {}, {until}; retry_policy {why}",
        entry.id,
        entry.amount,
        entry.unit,
        entry.payee,
        entry.state.name(),
    );
    Denied::Stands(Box::new(Stood { reason, entry: entry.id, at_risk, is_paid: entry.state == State::Paid }))
}

fn no_such_entry(id: u64) -> Error {
    let message = format!("the ledger has no entry {id}; x402_ledger_unsettled_json lists what can be abandoned");
    Error::new(Status::Argument, message)
}

fn not_abandonable(id: u64, state: State) -> Error {
    let why = match state {
        State::Open => "is in flight in a live process; wait for its outcome",
        State::Paid => "is paid; nothing can be given up",
        _ => "does not count already",
    };
    Error::new(Status::Argument, format!("entry {id} {why}"))
}

#[cfg(test)]
mod tests;
