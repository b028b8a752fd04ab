//! Limits how many lines one call site may log, and how long each may be.
//!
//! Every refusal logs a line, and any client can cause refusals without end. Owns both limits, for every log line. Must
//! never drop an error that is the first of its kind.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

/// Lines of one call site in a minute. Further lines are only counted.
const LINES: u64 = 300;
const MINUTE: Duration = Duration::from_secs(60);
/// Longest message, in bytes.
const LONGEST: usize = 2_048;

/// A call site: its file and line.
pub(super) type CallSite = (&'static str, u32);

#[derive(Clone, Copy)]
struct Count {
    since: Duration,
    lines: u64,
}

/// The lines of this minute, by call site.
#[derive(Default)]
pub(super) struct Flood(Mutex<HashMap<CallSite, Count>>);

/// What happens to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is written.
    Written,
    /// It is written, after a note of how many were dropped in the minute before.
    WrittenAfter(u64),
    /// It is the last one of this minute.
    Last,
    /// It is only counted.
    Counted,
}

impl Flood {
    /// Counts a line. The code bounds the number of call sites.
    pub(super) fn fate(&self, site: CallSite, now: Duration) -> Fate {
        let mut counts = self.0.lock();
        let count = counts.entry(site).or_insert(Count { since: now, lines: 0 });
        let mut missed = 0;
        if now.saturating_sub(count.since) >= MINUTE {
            missed = count.lines.saturating_sub(LINES);
            *count = Count { since: now, lines: 0 };
        }
        count.lines = count.lines.saturating_add(1);
        match count.lines {
            1 if missed > 0 => Fate::WrittenAfter(missed),
            lines if lines < LINES => Fate::Written,
            LINES => Fate::Last,
            _ => Fate::Counted,
        }
    }
}

/// A message of bounded length, with the number of bytes cut off.
pub(super) fn cut(message: &str) -> Cow<'_, str> {
    let end = message.floor_char_boundary(LONGEST);
    match message.split_at_checked(end) {
        Some((start, rest)) if !rest.is_empty() => Cow::Owned(format!("{start}… ({} bytes more)", rest.len())),
        _ => Cow::Borrowed(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: CallSite = ("here.rs", 1);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn lines_of_one_call_site_are_bounded_in_a_minute_and_none_goes_uncounted() {
        let flood = Flood::default();
        let fates: Vec<_> = (0..100_000).map(|_| flood.fate(HERE, at(1))).collect();
        let written = fates.iter().filter(|fate| **fate != Fate::Counted).count();
        assert_eq!(u64::try_from(written).unwrap(), LINES);
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::Last).count(), 1);
        assert_eq!(flood.fate(("there.rs", 1), at(2)), Fate::Written, "another call site");
        assert_eq!(flood.fate(HERE, at(60)), Fate::Counted, "the minute began with its first line");
        assert_eq!(flood.fate(HERE, at(61)), Fate::WrittenAfter(100_001 - LINES));
        assert_eq!(flood.fate(HERE, at(62)), Fate::Written);
        assert_eq!(flood.fate(HERE, at(500)), Fate::Written, "nothing was missed");
    }

    #[test]
    fn a_message_is_bounded_whatever_is_in_it() {
        assert_eq!(cut("short"), "short");
        for letter in ["a", "é", "🦀"] {
            let long = letter.repeat(60_000);
            let said = cut(&long);
            assert!(said.len() < LONGEST + 40 && said.ends_with("bytes more)"), "{}", said.len());
        }
        assert_eq!(cut(&"a".repeat(LONGEST)), "a".repeat(LONGEST));
    }
}
