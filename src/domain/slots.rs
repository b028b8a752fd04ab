//! Slots of a Redis Cluster.
//!
//! Owns [`Slots`], a set of slots with one spelling. Must never hold a slot that does not exist.

use std::fmt;

/// How many slots a cluster has.
const COUNT: u16 = 16_384;

/// A set of slots, as ordered ranges with a gap between any two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slots(Vec<(u16, u16)>);

impl Slots {
    /// The slots of these ranges, both ends included; `None` if a range is reversed or too high.
    pub fn new(ranges: impl IntoIterator<Item = (u16, u16)>) -> Option<Self> {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        if ranges.iter().any(|(first, last)| first > last || *last >= COUNT) {
            return None;
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Some(Self(merged))
    }

    /// Parses `0-5460,5462`, as [`Slots`] prints itself; `None` for any other spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text.split(',').filter(|_| !text.is_empty());
        Self::new(parts.map(Self::range).collect::<Option<Vec<_>>>()?)
    }

    /// Parses one range, `0-5460`, or one slot.
    pub fn range(text: &str) -> Option<(u16, u16)> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some((first.parse().ok()?, last.parse().ok()?))
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the set contains this slot.
    pub fn contains(&self, slot: u16) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= slot);
        after.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|(_, last)| slot <= *last)
    }

    /// Whether the sets share a slot.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|(first, last)| other.0.iter().any(|(from, to)| first <= to && from <= last))
    }

    /// Whether the other set contains all of these slots.
    pub fn within(&self, other: &Self) -> bool {
        self.0.iter().all(|(first, last)| other.0.iter().any(|(from, to)| from <= first && last <= to))
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(text: &str) -> Slots {
        Slots::parse(text).unwrap()
    }

    #[test]
    fn a_set_has_one_spelling() {
        for (text, spelled) in [("", ""), ("7", "7"), ("5-9,0-4,11", "0-9,11"), ("3-5,4-8", "3-8"), ("1,1", "1")] {
            assert_eq!(slots(text).to_string(), spelled);
            assert_eq!(slots(spelled), slots(text));
        }
        for text in ["16384", "5-4", "a", "-", "1-", ",", "1,,2"] {
            assert_eq!(Slots::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_in_it() {
        let some = slots("0-4,6-9,16383");
        let inside: Vec<u16> = (0..COUNT).filter(|slot| some.contains(*slot)).collect();
        assert_eq!(inside, [0, 1, 2, 3, 4, 6, 7, 8, 9, 16_383]);
        assert!(!slots("").contains(0));
        assert!(some.overlaps(&slots("5-6")) && !some.overlaps(&slots("5,10-99")) && !some.overlaps(&slots("")));
        assert!(slots("1-2,16383").within(&some) && slots("").within(&some) && !slots("4-6").within(&some));
    }
}
