//! One purchase, one payment: whether a repeat presents the signature there is, or may make another.
//!
//! Owns the identity of a purchase, what its signatures come to, and the rule over its history; pure functions, so that
//! both stores decide alike. Its one decision: a purchase that the caller named is paid once for ever; one known by method,
//! URL and body is the same only while an authorization that nobody has in hand can still settle, because two
//! equal requests at once, or one after the other was paid, are two purchases. One that is paid and whose answer
//! broke off is not over: to buy the same again without having had it is to pay twice.

use super::budgets::Unit;
use super::entry::{Entry, State, TurnedDown};
use crate::error::{Error, Status, printable};
use crate::money::Amount;

/// Longer than any clock is wrong: how long after its `validBefore` a signature is held to be void.
pub const EXPIRY_MARGIN_S: u64 = 300;

/// Signatures that `retry_policy` may allow for one purchase.
const SIGNATURES_MAX: u32 = 100;

/// A purchase's identity. `id` is a digest: it shows nothing of what it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    pub id: String,
    /// The caller named it (`purchase_key`).
    pub named: bool,
}

/// When a repeat of a purchase may be signed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryRule {
    /// Not at all, and nothing is presented again either.
    Never,
    /// Never: the same bytes or nothing.
    SameBytes,
    /// Once the former signature provably cannot settle.
    Proven,
    /// Then, and also once a 402 turned the former down for whatever reason, up to so many signatures in all.
    UpTo(u32),
}

impl RetryRule {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "never" => Some(RetryRule::Never),
            "same-bytes" => Some(RetryRule::SameBytes),
            "proven" => Some(RetryRule::Proven),
            _ => {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let count = text.parse::<u32>().ok().filter(|count| digits && (1..=SIGNATURES_MAX).contains(count))?;
                Some(RetryRule::UpTo(count))
            }
        }
    }
}

/// One signature of the purchase that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub id: u64,
    pub state: State,
    /// A live process has it in hand.
    pub in_flight: bool,
    pub refusal: TurnedDown,
    pub valid_before_s: u64,
    /// It lets the payee take money from a channel, which no time makes void.
    pub lasting: bool,
    /// Paid, and what was paid for did not arrive whole.
    pub broke_off: bool,
}

impl Past {
    /// The time is over in which it is taken for the same purchase; but for a voucher, it cannot settle any more.
    fn is_old(&self, now_s: u64) -> bool {
        now_s > self.valid_before_s.saturating_add(EXPIRY_MARGIN_S)
    }

    fn is_void(&self, now_s: u64) -> bool {
        self.is_old(now_s) && !self.lasting
    }

    /// It provably cannot settle. What somebody has in hand may be settling just now, however old it is.
    fn is_done_with(&self, now_s: u64) -> bool {
        !self.in_flight && (self.is_void(now_s) || self.refusal == TurnedDown::Proven)
    }

    /// It is void by time alone, and what became of it before nobody said.
    pub fn has_lapsed(&self, now_s: u64) -> bool {
        self.state != State::Paid && self.refusal != TurnedDown::Proven && !self.in_flight && self.is_void(now_s)
    }

    /// A server turned it down, and whoever has it in hand did not get another answer yet.
    fn is_turned_down(&self) -> bool {
        self.state != State::Paid && !self.in_flight && self.refusal != TurnedDown::No
    }

    /// Whether this signature and one that is made now are for one purchase.
    fn belongs(&self, named: bool, now_s: u64) -> bool {
        let over = (self.state == State::Paid && !self.broke_off) || self.in_flight || self.is_old(now_s);
        named || !over
    }
}

/// What the signatures of one purchase come to: those of its history that are younger than `window_s` (0: all).
pub(super) fn spent<'a>(
    history: impl Iterator<Item = (&'a Entry, bool)>,
    purchase: &Purchase,
    window_s: u64,
    unit: Unit<'_>,
    now_s: u64,
) -> Amount {
    let begin_s = if window_s == 0 { None } else { now_s.checked_sub(window_s) };
    let inside = |entry: &Entry| begin_s.is_none_or(|begin_s| entry.at_s > begin_s);
    history
        .filter(|(entry, in_flight)| inside(entry) && entry.past(*in_flight).belongs(purchase.named, now_s))
        .map(|(entry, _)| unit.of(&entry.unit, entry.counted))
        .fold(Amount::ZERO, |sum, amount| sum.checked_add(amount).unwrap_or(Amount::MAX))
}

/// What a repeat may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Sign: nothing stands in the way.
    Sign,
    /// Present the signature of this entry again.
    Present(u64),
    /// Neither, because of this entry; the text completes "retry_policy …".
    Refuse(u64, &'static str),
}

/// Judges the history of a purchase, oldest first.
pub(super) fn judge(history: &[Past], named: bool, rule: RetryRule, now_s: u64) -> Verdict {
    let relevant: Vec<&Past> = history.iter().filter(|past| past.belongs(named, now_s)).collect();
    let Some(last) = relevant.last() else { return Verdict::Sign };
    let paid = relevant.iter().find(|past| past.state == State::Paid);
    // What may settle yet: as long as there is one, no other is made, whichever of them came last.
    let live = || relevant.iter().rev().filter(|past| !past.is_done_with(now_s));
    match (rule, paid.or_else(|| live().find(|past| !past.is_turned_down())).or_else(|| live().next())) {
        (RetryRule::Never, standing) => Verdict::Refuse(standing.unwrap_or(last).id, "never presents a payment again"),
        (RetryRule::UpTo(most), standing) if standing.is_none_or(|standing| standing.is_turned_down()) => {
            match (u32::try_from(relevant.len()), standing) {
                (Ok(signatures), _) if signatures < most => Verdict::Sign,
                (_, Some(standing)) => Verdict::Present(standing.id),
                (_, None) => Verdict::Refuse(last.id, "allows no further signature for this purchase"),
            }
        }
        (_, Some(standing)) => Verdict::Present(standing.id),
        (RetryRule::SameBytes, None) => Verdict::Refuse(last.id, "same-bytes never signs a second time"),
        (RetryRule::Proven | RetryRule::UpTo(_), None) => Verdict::Sign,
    }
}

/// Checks a caller's `purchase_key`: 1 to 128 printable ASCII characters.
pub fn check_name(text: &str) -> Result<(), Error> {
    const NAME_BYTES_MAX: usize = 128;
    if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(());
    }
    let shown = printable(text);
    let message = format!(
        "the setting purchase_key cannot be \"{shown}\"; it takes 1 to {NAME_BYTES_MAX} printable ASCII characters"
    );
    Err(Error::new(Status::Setting, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_000_000;

    fn past(id: u64, state: State) -> Past {
        let (refusal, valid_before_s) = (TurnedDown::No, NOW_S + 60);
        Past { id, state, in_flight: false, refusal, valid_before_s, lasting: false, broke_off: false }
    }

    #[test]
    fn a_signature_that_can_settle_is_presented_again_and_no_other_made() {
        for (state, in_flight, named, verdict) in [
            (State::Unknown, false, false, Verdict::Present(1)),
            (State::Open, false, false, Verdict::Present(1)),
            (State::Open, true, false, Verdict::Sign),
            (State::Open, true, true, Verdict::Present(1)),
            (State::Paid, false, false, Verdict::Sign),
            (State::Paid, false, true, Verdict::Present(1)),
        ] {
            let history = [Past { in_flight, ..past(1, state) }];
            assert_eq!(judge(&history, named, RetryRule::Proven, NOW_S), verdict, "{state:?} {in_flight} {named}");
        }
        let broke_off = [Past { broke_off: true, ..past(1, State::Paid) }];
        let after = |seconds| judge(&broke_off, false, RetryRule::UpTo(5), NOW_S + 60 + EXPIRY_MARGIN_S + seconds);
        assert_eq!((after(0), after(1)), (Verdict::Present(1), Verdict::Sign));
        assert_eq!(judge(&[], true, RetryRule::Never, NOW_S), Verdict::Sign);
    }

    #[test]
    fn a_second_signature_needs_proof_and_time_is_one_only_past_its_margin() {
        let named = |past: Past, now_s| judge(&[past], true, RetryRule::Proven, now_s);
        let end_s = NOW_S + 60 + EXPIRY_MARGIN_S;
        assert_eq!(named(past(1, State::Unknown), end_s), Verdict::Present(1));
        assert_eq!(named(past(1, State::Unknown), end_s + 1), Verdict::Sign);
        assert_eq!(named(past(1, State::Paid), end_s + 1), Verdict::Present(1));
        let refused = |refusal| Past { refusal, ..past(1, State::Unknown) };
        assert_eq!(named(refused(TurnedDown::Unproven), NOW_S), Verdict::Present(1));
        assert_eq!(named(refused(TurnedDown::Proven), NOW_S), Verdict::Sign);
        let paid_after_all = Past { refusal: TurnedDown::Proven, ..past(1, State::Paid) };
        assert_eq!(named(paid_after_all, NOW_S), Verdict::Present(1));
    }

    #[test]
    fn time_makes_no_voucher_void_for_a_purchase_with_a_name() {
        let voucher = Past { lasting: true, ..past(1, State::Unknown) };
        let late_s = NOW_S + 60 + EXPIRY_MARGIN_S + 1_000_000;
        for rule in [RetryRule::Proven, RetryRule::UpTo(9)] {
            assert_eq!(judge(&[voucher], true, rule, late_s), Verdict::Present(1));
            assert_eq!(judge(&[voucher], false, rule, late_s), Verdict::Sign);
            let proven = Past { refusal: TurnedDown::Proven, ..voucher };
            assert_eq!(judge(&[proven], true, rule, NOW_S), Verdict::Sign);
        }
    }

    #[test]
    fn each_rule_allows_what_its_name_says() {
        let lost = [past(1, State::Unknown)];
        let refused = [Past { refusal: TurnedDown::Unproven, ..past(1, State::Unknown) }];
        let proven = [Past { refusal: TurnedDown::Proven, ..past(1, State::Unknown) }];
        let judged = |history: &[Past], rule| judge(history, true, rule, NOW_S);
        assert!(matches!(judged(&lost, RetryRule::Never), Verdict::Refuse(1, _)));
        assert_eq!(judged(&lost, RetryRule::SameBytes), Verdict::Present(1));
        assert!(matches!(judged(&proven, RetryRule::SameBytes), Verdict::Refuse(1, _)));
        assert_eq!(judged(&lost, RetryRule::UpTo(2)), Verdict::Present(1), "no answer proves nothing");
        assert_eq!(judged(&refused, RetryRule::UpTo(2)), Verdict::Sign);
        assert_eq!(judged(&refused, RetryRule::UpTo(1)), Verdict::Present(1));
        assert!(matches!(judged(&proven, RetryRule::UpTo(1)), Verdict::Refuse(1, _)));
    }

    #[test]
    fn of_several_signatures_the_one_that_may_settle_is_presented_whichever_came_last() {
        let lost = past(1, State::Unknown);
        let proven = Past { refusal: TurnedDown::Proven, ..past(2, State::Unknown) };
        let refused = Past { refusal: TurnedDown::Unproven, ..past(3, State::Unknown) };
        for named in [true, false] {
            let judged = |history: &[Past], rule| judge(history, named, rule, NOW_S);
            for rule in [RetryRule::SameBytes, RetryRule::Proven, RetryRule::UpTo(9)] {
                assert_eq!(judged(&[lost, proven], rule), Verdict::Present(1), "{rule:?}");
                assert_eq!(judged(&[lost, proven, refused], RetryRule::UpTo(9)), Verdict::Present(1));
            }
            assert_eq!(judged(&[proven, refused], RetryRule::Proven), Verdict::Present(3));
            assert_eq!(judged(&[proven, refused], RetryRule::UpTo(3)), Verdict::Sign);
            assert_eq!(judged(&[proven, refused], RetryRule::UpTo(2)), Verdict::Present(3));
            let void = Past { valid_before_s: 0, ..lost };
            assert_eq!(judged(&[void, proven], RetryRule::Proven), Verdict::Sign);
        }
        let in_flight =
            Past { in_flight: true, refusal: TurnedDown::Unproven, valid_before_s: 0, ..past(4, State::Open) };
        assert_eq!(judge(&[in_flight], true, RetryRule::UpTo(9), NOW_S), Verdict::Present(4));
    }

    #[test]
    fn a_rule_is_a_word_or_a_number() {
        assert_eq!(RetryRule::parse("same-bytes"), Some(RetryRule::SameBytes));
        assert_eq!(RetryRule::parse("3"), Some(RetryRule::UpTo(3)));
        for bad in ["", "0", "101", "+3", "always", "-1"] {
            assert_eq!(RetryRule::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_printable_ascii() {
        assert!(check_name("order 17/a").is_ok());
        for bad in ["", "a\nb", "schön", &"x".repeat(129)] {
            assert_eq!(check_name(bad).unwrap_err().status, Status::Setting);
        }
    }
}
