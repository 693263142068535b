//! What was spent over time, for budgets with and without a window: a total and, for each window, a moving sum.
//!
//! Owns the arithmetic of one (scope, key, unit). Events are kept only while some window can still count them, and
//! one second is one event, so memory is bounded by the longest window and not by the number of payments. A window
//! that is asked for later than the first payment does not know when those before were made, and counts them all
//! as made now: the safe side.

use crate::money::Amount;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Series {
    total: Amount,
    /// (second, amount), seconds ascending.
    events: VecDeque<(u64, Amount)>,
    /// The number of the first event of `events`.
    first: u64,
    windows: Vec<Window>,
}

#[derive(Debug)]
struct Window {
    length_s: u64,
    sum: Amount,
    /// The number of the first event inside.
    first: u64,
    /// What was spent before this window was known, and until when that counts.
    before: Amount,
    before_until_s: u64,
}

fn plus(a: Amount, b: Amount) -> Amount {
    a.checked_add(b).unwrap_or(Amount::MAX)
}

fn minus(a: Amount, b: Amount) -> Amount {
    a.checked_sub(b).unwrap_or(Amount::ZERO)
}

impl Series {
    pub fn with_windows(lengths_s: &[u64]) -> Self {
        let mut series = Series::default();
        for length_s in lengths_s {
            series.watch(*length_s, 0);
        }
        series
    }

    pub fn total(&self) -> Amount {
        self.total
    }

    /// Begins to count a window, unless it is counted already.
    pub fn watch(&mut self, length_s: u64, now_s: u64) {
        if self.windows.iter().any(|window| window.length_s == length_s) {
            return;
        }
        let known = self.events.iter().fold(Amount::ZERO, |sum, (_, amount)| plus(sum, *amount));
        let before_until_s = now_s.saturating_add(length_s);
        let before = minus(self.total, known);
        self.windows.push(Window { length_s, sum: known, first: self.first, before, before_until_s });
    }

    /// What was spent in the last `length_s` seconds; 0: ever. A window must be watched.
    pub fn spent(&mut self, length_s: u64, now_s: u64) -> Amount {
        if length_s == 0 {
            return self.total;
        }
        let Series { events, first, windows, total } = self;
        let Some(window) = windows.iter_mut().find(|window| window.length_s == length_s) else { return *total };
        while let Some((at_s, amount)) = events.get((window.first - *first) as usize)
            && at_s.saturating_add(length_s) <= now_s
        {
            window.sum = minus(window.sum, *amount);
            window.first += 1;
        }
        let sum = if now_s < window.before_until_s { plus(window.sum, window.before) } else { window.sum };
        self.forget();
        sum
    }

    fn forget(&mut self) {
        let needed = self.windows.iter().map(|window| window.first).min().unwrap_or(u64::MAX);
        while self.first < needed && self.events.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// `at_s` must not be before that of an earlier call.
    pub fn add(&mut self, at_s: u64, amount: Amount) {
        self.total = plus(self.total, amount);
        if self.windows.is_empty() {
            return;
        }
        let next = self.first + self.events.len() as u64;
        match self.events.back_mut() {
            // A window that has moved past this second must not be handed more of it.
            Some((last_s, sum)) if *last_s == at_s && self.windows.iter().all(|window| window.first < next) => {
                *sum = plus(*sum, amount);
            }
            _ => self.events.push_back((at_s, amount)),
        }
        for window in &mut self.windows {
            window.sum = plus(window.sum, amount);
        }
    }

    /// Takes back what [`Series::add`] was given.
    pub fn remove(&mut self, at_s: u64, amount: Amount) {
        self.total = minus(self.total, amount);
        let from = self.events.partition_point(|(second, _)| *second < at_s);
        let found = self.events.iter_mut().enumerate().skip(from).take_while(|(_, (second, _))| *second == at_s);
        let mut number = None;
        for (at, (_, sum)) in found {
            if let Some(rest) = sum.checked_sub(amount) {
                *sum = rest;
                number = Some(self.first + at as u64);
                break;
            }
        }
        for window in &mut self.windows {
            match number {
                Some(number) if number >= window.first => window.sum = minus(window.sum, amount),
                Some(_) => {}
                None => window.before = minus(window.before, amount),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(units: u64) -> Amount {
        Amount::from(units)
    }

    #[test]
    fn windows_move_apart_from_each_other_and_forget_what_none_counts() {
        let mut series = Series::with_windows(&[10, 100]);
        for at_s in 0..50 {
            series.add(at_s, amount(1));
            series.add(at_s, amount(1));
        }
        assert_eq!(series.spent(10, 50), amount(18), "41..=49");
        assert_eq!(series.spent(100, 50), amount(100));
        assert_eq!(series.spent(100, 120), amount(58), "21..=49");
        assert_eq!((series.spent(0, 120), series.events.len()), (amount(100), 29));
        series.remove(5, amount(2));
        series.remove(30, amount(2));
        assert_eq!((series.spent(0, 120), series.spent(100, 120)), (amount(96), amount(56)));
    }

    #[test]
    fn a_window_that_comes_late_counts_what_was_before_as_now() {
        let mut series = Series::default();
        series.add(1, amount(5));
        series.watch(10, 500);
        series.add(501, amount(3));
        assert_eq!(series.spent(10, 509), amount(8));
        assert_eq!(series.spent(10, 510), amount(3));
        assert_eq!(series.spent(10, 511), amount(0));
    }
}
