//! Payment channels in the books: what is known of each, and what the next payment draws from it.
//!
//! Owns the choice of a channel, the size of a deposit, and how receipts and a server's corrections move what is known;
//! pure functions, so that both stores decide alike. A channel is used by one payment at a time, because two vouchers
//! that are under way at once would name the same sum. Its one decision: no server's word raises what was charged above
//! what vouchers allow that may have been taken, so that no claim makes the next one exceed what the payee can have
//! already by more than one price. A balance is raised by a deposit that a receipt acknowledges; by the chain; and by a
//! server's claim only for a channel of which nothing is known, because a balance that is too high costs nothing.

use super::budgets::Denied;
use super::entry::Entry;
use crate::error::Error;
use crate::money::{Amount, ChannelId, Correction, Draw, OnChain, claimable, missing};
use serde_json::{Value, json};

/// What an order says that is paid by a channel.
#[derive(Clone, Debug)]
pub struct ChannelOrder {
    /// The channels that may serve, each with the salt that is its place.
    pub candidates: Vec<ChannelId>,
    /// What is deposited where something must be and all of it may.
    pub deposit_wanted: Amount,
    /// The most that one signature may deposit.
    pub deposit_max: Amount,
    /// What the chain says of one of them.
    pub on_chain: Option<OnChain>,
}

/// What the ledger knows of a channel that a payment would use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    pub channel: ChannelId,
    /// Something has to be deposited first.
    pub needs_deposit: bool,
    /// Nothing certain is known of it: a node should be asked.
    pub is_uncertain: bool,
}

impl Outlook {
    /// Whether a deposit may be made, as far as that can be told before the channel is chosen.
    pub fn may_deposit(&self) -> bool {
        self.needs_deposit || self.is_uncertain
    }
}

/// What a receipt says of a channel. Claims of the server's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// What this payment was charged, where it is said and no more than the price.
    pub charged: Option<Amount>,
    /// What was charged in all.
    pub charged_in_all: Option<Amount>,
}

/// What is known of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Deposits that were acknowledged.
    pub balance: Amount,
    /// What the payee charged of it, as last acknowledged.
    pub charged: Amount,
    /// The most that any voucher lets the payee have.
    pub signed_max: Amount,
    /// A server said otherwise and proved nothing.
    pub doubted: bool,
    /// The entry that had it in hand last.
    pub holder: u64,
}

/// A channel as the books hold it.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub state: State,
    pub payer: String,
    pub payee: String,
    pub unit: String,
}

impl Channel {
    /// As the entry that draws from it says.
    pub fn of(entry: &Entry, state: State) -> Self {
        let Entry { payer, payee, unit, .. } = entry;
        Channel { state, payer: payer.clone(), payee: payee.clone(), unit: unit.clone() }
    }

    /// A row of the totals.
    pub fn to_json(&self, id: ChannelId) -> Value {
        let State { balance, charged, signed_max, .. } = self.state;
        let mut row = super::memory::total_json("channel", &id.to_string(), &self.unit, balance);
        row["charged"] = json!(charged.to_string());
        row["signed_max"] = json!(signed_max.to_string());
        row["payer"] = json!(self.payer);
        row["payee"] = json!(self.payee);
        row
    }
}

impl State {
    /// Whether the balance as it is known covers one more payment.
    fn covers(&self, price: Amount) -> bool {
        claimable(self.charged, price).is_some_and(|claimable| claimable <= self.balance)
    }

    /// A server doubts it, or a deposit was signed whose outcome is not known.
    fn is_uncertain(&self) -> bool {
        self.doubted || self.signed_max > self.balance
    }

    /// What is known once a node was asked. What it says was claimed is not believed above what was signed, but where
    /// nothing was acknowledged yet, so that vouchers may be about of which this ledger knows nothing.
    fn with(known: Option<State>, on_chain: Option<OnChain>) -> State {
        match (known, on_chain) {
            (Some(known), Some(OnChain { balance, claimed, .. })) if known.is_uncertain() => {
                let is_new = known.balance.is_zero() && known.charged.is_zero();
                let charged = if is_new || claimed <= known.signed_max { claimed } else { known.charged };
                State { balance, charged, signed_max: known.signed_max.max(charged), doubted: false, ..known }
            }
            (Some(known), _) => known,
            (None, Some(OnChain { balance, claimed, .. })) => {
                State { balance, charged: claimed, signed_max: claimed, ..State::default() }
            }
            (None, None) => State::default(),
        }
    }

    /// A receipt says paid. `is_news`: no receipt said so before.
    pub fn paid(self, draw: &Draw, receipt: Acknowledged, is_news: bool) -> State {
        let balance = match is_news {
            true => self.balance.checked_add(draw.deposit).unwrap_or(Amount::MAX),
            false => self.balance,
        };
        let price = draw.price();
        let charged = receipt.charged.filter(|charged| *charged <= price).unwrap_or(price);
        // From what this payment began with, so that a receipt that comes twice or late moves nothing a second time.
        let ours = draw.charged.checked_add(charged).map_or(self.charged, |sum| sum.max(self.charged));
        let larger = receipt.charged_in_all.map_or(ours, |stated| stated.max(ours));
        let charged = if larger <= self.signed_max { larger } else { self.charged };
        State { balance, charged, ..self }
    }

    /// The voucher of `draw` gives the payee nothing: what was known before it. `None`: nothing was.
    pub fn undrawn(self, draw: &Draw) -> Option<State> {
        let before = draw.signed_before?;
        Some(State { signed_max: before.max(self.charged), ..self })
    }

    /// The server turned the voucher of `draw` down and says why.
    pub fn corrected(self, draw: &Draw, correction: Correction) -> State {
        match correction {
            Correction::Doubt => State { doubted: true, ..self },
            Correction::Proven { charged, signed, balance } => {
                // A balance that is known is never given away for a claim.
                let is_new = draw.signed_before.is_none() && self.balance.is_zero();
                let balance = balance.filter(|_| is_new).unwrap_or(self.balance);
                State { balance, charged, signed_max: self.signed_max.max(signed), doubted: false, ..self }
            }
        }
    }
}

/// Of the candidates that nobody has in hand the first that `price` can be drawn from as it is, else the first, and what
/// is known of it.
fn free(
    order: &ChannelOrder,
    price: Amount,
    mut find: impl FnMut(ChannelId) -> Result<Option<State>, Error>,
    mut in_hand: impl FnMut(u64) -> Result<bool, Error>,
) -> Result<(u64, ChannelId, Option<State>), Denied> {
    let mut first = None;
    for (salt, channel) in (0..).zip(&order.candidates) {
        let state = find(*channel)?;
        let busy = match state {
            Some(state) => in_hand(state.holder)?,
            None => false,
        };
        if busy {
            continue;
        }
        let free = (salt, *channel, state);
        if state.is_some_and(|state| state.covers(price)) {
            return Ok(free);
        }
        first = first.or(Some(free));
    }
    first.ok_or_else(|| {
        Denied::Refused(format!(
            "each of the {} channels to this payee has a payment under way; wait for one of them to end",
            order.candidates.len()
        ))
    })
}

/// What the next payment of `price` would meet.
pub(super) fn outlook(
    order: &ChannelOrder,
    price: Amount,
    find: impl FnMut(ChannelId) -> Result<Option<State>, Error>,
    in_hand: impl FnMut(u64) -> Result<bool, Error>,
) -> Result<Outlook, Denied> {
    let (_, channel, known) = free(order, price, find, in_hand)?;
    let needs_deposit = !known.unwrap_or_default().covers(price);
    Ok(Outlook { channel, needs_deposit, is_uncertain: known.is_none_or(|known| known.is_uncertain()) })
}

/// Chooses a channel, and what is drawn from it and deposited in it. `fits` says whether the budgets take a deposit. The
/// state is what is known from now on; its holder is still to be named.
pub(super) fn draw(
    order: &ChannelOrder,
    price: Amount,
    find: impl FnMut(ChannelId) -> Result<Option<State>, Error>,
    in_hand: impl FnMut(u64) -> Result<bool, Error>,
    mut fits: impl FnMut(Amount) -> Result<(), Denied>,
) -> Result<(Draw, State), Denied> {
    let (salt, channel, known) = free(order, price, find, in_hand)?;
    let state = State::with(known, order.on_chain.filter(|on_chain| on_chain.channel == channel));
    let claimable = claimable(state.charged, price).ok_or_else(|| {
        Denied::Refused(format!(
            "amount is {price}, and with what was charged it is 2^128 or more, too much for a voucher"
        ))
    })?;
    let missing = missing(state.balance, claimable);
    let deposit = match missing.is_zero() {
        true => fits(Amount::ZERO).map(|()| Amount::ZERO)?,
        false => deposit(order, missing, &mut fits)?,
    };
    let signed_before = known.map(|known| known.signed_max);
    let signed_max = state.signed_max.max(claimable);
    let draw = Draw { channel, salt, charged: state.charged, claimable, deposit, signed_before };
    Ok((draw, State { signed_max, ..state }))
}

/// What is wanted where it fits, else just what is missing.
fn deposit(
    order: &ChannelOrder,
    missing: Amount,
    mut fits: impl FnMut(Amount) -> Result<(), Denied>,
) -> Result<Amount, Denied> {
    let most = order.deposit_max;
    if most.is_zero() {
        return Err(Denied::Refused(format!(
            "the channel needs a deposit of at least {missing} atomic units, and none may be made now; send the request \
             again, or set evm_rpc to let the chain be asked"
        )));
    }
    if missing > most {
        return Err(Denied::Refused(format!(
            "the channel needs a deposit of at least {missing} atomic units, and {most} may be deposited at once; raise it \
             with allow deposit"
        )));
    }
    let wanted = order.deposit_wanted.max(missing).min(most);
    match fits(wanted) {
        Ok(()) => Ok(wanted),
        Err(Denied::Refused(_)) if wanted > missing => fits(missing).map(|()| missing),
        Err(denied) => Err(denied),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(units: u64) -> Amount {
        Amount::from(units)
    }

    fn id(number: u8) -> ChannelId {
        ChannelId::from_bytes([number; 32])
    }

    fn order() -> ChannelOrder {
        let candidates = vec![id(0), id(1)];
        ChannelOrder { candidates, deposit_wanted: amount(500), deposit_max: amount(1000), on_chain: None }
    }

    fn state(balance: u64, charged: u64, signed_max: u64) -> State {
        State { balance: amount(balance), charged: amount(charged), signed_max: amount(signed_max), ..State::default() }
    }

    fn drawn(order: &ChannelOrder, known: Option<State>, most: u64) -> Result<(Draw, State), Denied> {
        let fits = |deposit: Amount| match deposit <= amount(most) {
            true => Ok(()),
            false => Err(Denied::Refused("budget".into())),
        };
        let find = |channel| Ok(known.filter(|_| channel == id(0)));
        draw(order, amount(100), find, |holder| Ok(holder == 7), fits)
    }

    #[test]
    fn a_deposit_is_what_is_wanted_what_may_be_or_just_what_is_missing() {
        let deposit = |order: &ChannelOrder, known, most| drawn(order, known, most).map(|(draw, _)| draw.deposit);
        assert_eq!(deposit(&order(), None, 1000).unwrap(), amount(500));
        assert_eq!(deposit(&order(), None, 499).unwrap(), amount(100));
        assert!(deposit(&order(), None, 99).is_err());
        let greedy = ChannelOrder { deposit_wanted: Amount::MAX, ..order() };
        assert_eq!(deposit(&greedy, None, 5000).unwrap(), amount(1000));
        let miserly = ChannelOrder { deposit_max: amount(99), ..order() };
        assert!(matches!(deposit(&miserly, None, 5000), Err(Denied::Refused(why)) if why.contains("allow deposit")));
        assert_eq!(deposit(&miserly, Some(state(500, 400, 400)), 0).unwrap(), Amount::ZERO);
        assert_eq!(deposit(&order(), Some(state(500, 450, 450)), 60).unwrap(), amount(50));
    }

    #[test]
    fn a_channel_in_hand_is_passed_over_and_where_all_are_nothing_is_drawn() {
        let busy = State { holder: 7, ..state(500, 100, 100) };
        let (draw, _) = drawn(&order(), Some(busy), 1000).unwrap();
        assert_eq!((draw.channel, draw.salt, draw.signed_before), (id(1), 1, None));
        let one = ChannelOrder { candidates: vec![id(0)], ..order() };
        assert!(matches!(drawn(&one, Some(busy), 1000), Err(Denied::Refused(why)) if why.contains("under way")));
    }

    #[test]
    fn a_node_is_heard_where_nothing_certain_is_known_and_never_above_what_was_signed() {
        let told = |claimed| ChannelOrder {
            on_chain: Some(OnChain { channel: id(0), balance: amount(900), claimed: amount(claimed) }),
            ..order()
        };
        let charged = |order: &ChannelOrder, known| drawn(order, known, 1000).unwrap().0.charged;
        assert_eq!(charged(&told(300), None), amount(300));
        assert_eq!(charged(&told(300), Some(state(500, 400, 400))), amount(400));
        let doubted = State { doubted: true, ..state(500, 400, 400) };
        assert_eq!(charged(&told(300), Some(doubted)), amount(300));
        let new = State { doubted: true, ..state(0, 0, 100) };
        assert_eq!(charged(&told(300), Some(new)), amount(300));
        let (draw, after) = drawn(&told(401), Some(doubted), 1000).unwrap();
        assert_eq!((draw.charged, after.balance, after.doubted), (amount(400), amount(900), false));
    }

    #[test]
    fn a_receipt_moves_what_was_charged_by_no_more_than_was_signed_and_only_once() {
        let (draw, after) = drawn(&order(), Some(state(500, 200, 200)), 1000).unwrap();
        let paid = |receipt: Acknowledged| after.paid(&draw, receipt, true).charged;
        let says = |charged: Option<u64>, in_all: Option<u64>| Acknowledged {
            charged: charged.map(amount),
            charged_in_all: in_all.map(amount),
        };
        assert_eq!(paid(says(None, None)), amount(300));
        assert_eq!(paid(says(Some(30), None)), amount(230));
        assert_eq!(paid(says(Some(101), None)), amount(300), "more than the price is the price");
        assert_eq!(paid(says(Some(30), Some(230))), amount(230));
        assert_eq!(paid(says(Some(30), Some(250))), amount(250));
        assert_eq!(paid(says(Some(30), Some(10))), amount(230));
        assert_eq!(paid(says(Some(30), Some(301))), amount(200), "above what was signed");
        let once = after.paid(&draw, says(None, None), true);
        assert_eq!(once.paid(&draw, says(None, None), false), once);
    }

    #[test]
    fn a_proven_correction_is_taken_and_a_known_balance_kept() {
        let (draw, after) = drawn(&order(), Some(state(500, 200, 300)), 1000).unwrap();
        let proven = Correction::Proven { charged: amount(250), signed: amount(350), balance: Some(amount(1)) };
        let corrected = after.corrected(&draw, proven);
        assert_eq!(
            (corrected.balance, corrected.charged, corrected.signed_max),
            (amount(500), amount(250), amount(350))
        );
        let (draw, after) = drawn(&order(), None, 1000).unwrap();
        assert_eq!(after.corrected(&draw, proven).balance, amount(1));
        assert!(after.corrected(&draw, Correction::Doubt).doubted);
    }
}
