//! Times as texts write them (RFC 3339).
//!
//! Owns the reading of `2025-02-27T16:01:29.000Z` as seconds since 1970. Fractions are dropped; a leap second is the
//! second after it. Nothing else is a time: not a date alone, not a time without its offset.

/// Seconds since 1970; `None` for what is no time, or is before 1970.
pub(super) fn unix_s(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        let value = |sum: i64, digit: &u8| sum * 10 + i64::from(digit - b'0');
        digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, value))
    };
    let is = |at: usize, of: &[u8]| bytes.get(at).is_some_and(|byte| of.contains(byte));
    let separated = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = (1..=days_in(year, month)?).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let mut offset_at = 19;
    if is(19, b".") {
        offset_at = 20 + bytes.get(20..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if offset_at == 20 {
            return None;
        }
    }
    let offset_s = if is(offset_at, b"Zz") && bytes.len() == offset_at + 1 {
        0
    } else if is(offset_at, b"+-") && is(offset_at + 3, b":") && bytes.len() == offset_at + 6 {
        let (hours, minutes) = (number(offset_at + 1, offset_at + 3)?, number(offset_at + 4, offset_at + 6)?);
        let seconds = (hours * 60 + minutes) * 60;
        if hours >= 24 || minutes >= 60 {
            return None;
        }
        if is(offset_at, b"-") { -seconds } else { seconds }
    } else {
        return None;
    };
    let seconds = ((days_before(year, month) + day - 1) * 24 + hour) * 3600 + minute * 60 + second - offset_s;
    (separated && in_range).then(|| u64::try_from(seconds).ok()).flatten()
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    match month {
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(28 + i64::from(is_leap(year))),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Days from 1970 to the first of the month.
fn days_before(year: i64, month: i64) -> i64 {
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    years + (1..month).filter_map(|month| days_in(year, month)).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_second() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2025-02-27T16:01:29.000Z", 1_740_672_089),
            ("2025-02-27T17:01:29+01:00", 1_740_672_089),
            ("2025-02-27t08:31:29.5-07:30", 1_740_672_089),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ] {
            assert_eq!(unix_s(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let bad = [
            "",
            "now",
            "2025-02-27",
            "2025-02-27T16:01:29",
            "2025-02-27T16:01Z",
            "2025-2-27T16:01:29Z",
            "2025-02-30T16:01:29Z",
            "2025-13-01T16:01:29Z",
            "2025-00-01T16:01:29Z",
            "2023-02-29T00:00:00Z",
            "2025-02-27T24:01:29Z",
            "2025-02-27T16:60:29Z",
            "2025-02-27T16:01:61Z",
            "2025-02-27T16:01:29.Z",
            "2025-02-27T16:01:29ZZ",
            "2025-02-27T16:01:29+1:00",
            "2025-02-27T16:01:29+24:00",
            "1969-12-31T23:59:59Z",
            "+025-02-27T16:01:29Z",
            "2025/02/27T16:01:29Z",
            "2025-02-27T16:01:29\u{e9}",
            "1740672089",
        ];
        for text in bad {
            assert_eq!(unix_s(text), None, "{text}");
        }
    }

    #[test]
    fn days_follow_each_other() {
        let (mut day, mut last) = (0, None);
        for year in 1970..2110 {
            for month in 1..=12 {
                assert_eq!(days_before(year, month), day, "{year}-{month}");
                day += days_in(year, month).unwrap();
            }
            last = Some(day);
        }
        assert_eq!(last, Some(51_134), "as `date -d 2110-01-01 +%s` says, over 86400");
    }
}
