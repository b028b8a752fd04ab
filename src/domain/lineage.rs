//! Lineage: whether the ledger continues the history seen before, or is an older copy.
//!
//! Owns the rule. A ledger counts its history in heights. A restored copy is lower than the height seen, and must never
//! pass for the ledger itself: it still holds sessions that were ended since. A new history begins when an operator
//! declares a copy to be the ledger, when the ledger returns after a copy, and when it moves (a promoted standby); it
//! gives up the history that it leaves behind. Must never use a clock: nodes' clocks differ, and a height that was seen
//! was committed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Random, random};

/// Most ancestors that are remembered; a copy that is older than this many histories is no longer recognised.
const ANCESTORS: usize = 128;

/// The name of one unbroken history of a ledger, or of the ledger itself: sixteen random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lineage([u8; 16]);

impl Lineage {
    /// A new name, different from every other history's.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random::bytes(random))
    }

    /// Parses the output of [`fmt::Display`].
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A position in a ledger's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPosition {
    /// The history.
    pub lineage: Lineage,
    /// The height: raised after each change that must not be forgotten.
    pub height: i64,
    /// The histories that this one has given up.
    pub ancestors: Vec<Lineage>,
}

impl HistoryPosition {
    /// The start of a history.
    pub fn first(lineage: Lineage) -> Self {
        Self { lineage, height: 0, ancestors: Vec::new() }
    }

    /// Whether a ledger at this position continues `seen`. An unknown history under the ledger's own name is a later
    /// one: each history begins where its predecessor was known, or declared, to be the ledger.
    pub fn continues(&self, seen: &Self) -> bool {
        if self.lineage == seen.lineage {
            return self.height >= seen.height;
        }
        !seen.ancestors.contains(&self.lineage)
    }

    /// The same position, with every history that `seen` gives up, and its own, as ancestors.
    #[must_use]
    pub fn successor_of(mut self, seen: &Self) -> Self {
        let given_up = seen.ancestors.iter().chain([&seen.lineage]);
        let new: Vec<_> = given_up.filter(|one| **one != self.lineage && !self.ancestors.contains(one)).collect();
        self.ancestors.extend(new);
        let surplus = self.ancestors.len().saturating_sub(ANCESTORS);
        self.ancestors.drain(..surplus);
        self
    }

    /// One height further.
    #[must_use]
    pub fn raised(mut self) -> Self {
        self.height = self.height.saturating_add(1);
        self
    }

    /// The start of the history that follows this one.
    #[must_use]
    pub fn begin(&self, fresh: Lineage) -> Self {
        Self::first(fresh).successor_of(self)
    }

    /// The ancestors as stored: separated by spaces.
    pub fn ancestors_text(&self) -> String {
        self.ancestors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Parses the output of [`HistoryPosition::ancestors_text`].
    pub fn parse_ancestors(text: &str) -> Option<Vec<Lineage>> {
        text.split(' ').filter(|name| !name.is_empty()).map(Lineage::parse).collect()
    }
}

/// A ledger's identity and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The ledger's name, constant over all its histories: it separates two ledgers that share a Redis.
    pub ledger: Lineage,
    /// Its position.
    pub position: HistoryPosition,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::SystemRandom;

    fn name(number: u8) -> Lineage {
        Lineage([number; 16])
    }

    fn position(lineage: u8, height: i64, ancestors: &[u8]) -> HistoryPosition {
        HistoryPosition { lineage: name(lineage), height, ancestors: ancestors.iter().map(|one| name(*one)).collect() }
    }

    #[test]
    fn of_one_history_the_lower_is_the_older() {
        for (ours, seen, continues) in [(7, 7, true), (8, 7, true), (6, 7, false), (0, 0, true), (0, 1, false)] {
            assert_eq!(position(1, ours, &[]).continues(&position(1, seen, &[])), continues, "{ours} after {seen}");
            // Nor do earlier ancestors change the result.
            assert_eq!(position(1, ours, &[0]).continues(&position(1, seen, &[])), continues);
            assert_eq!(position(1, ours, &[]).continues(&position(1, seen, &[0])), continues);
        }
    }

    #[test]
    fn what_was_declared_goes_on_from_anything_and_what_was_given_up_from_nothing() {
        let declared = position(1, 3, &[]).begin(name(2));
        assert_eq!(declared, position(2, 0, &[1]));
        for height in [0, 3, 9] {
            assert!(declared.continues(&position(1, height, &[])), "{height}");
            assert!(!position(1, height, &[]).continues(&declared), "{height}");
        }
    }

    #[test]
    fn a_copy_that_is_put_back_twice_is_noticed_twice() {
        let backup = position(1, 3, &[]);
        let first = backup.begin(name(2)).successor_of(&position(1, 9, &[])).raised();
        assert!(!backup.continues(&first));
        let second = backup.begin(name(3));
        assert!(second.continues(&first));
        // From now on the first one is an older copy too, although the second does not descend from it.
        let second = second.successor_of(&first);
        assert!(!first.continues(&second) && !backup.continues(&second));
    }

    #[test]
    fn ancestors_are_known_once_and_the_latest_ones_stay() {
        let seen = position(1, 5, &[7, 8]);
        let successor = position(2, 0, &[8, 1]).successor_of(&seen);
        assert_eq!(successor, position(2, 0, &[8, 1, 7]));
        assert_eq!(successor.clone().successor_of(&seen), successor);
        assert_eq!(successor.clone().successor_of(&successor), successor);
        let many = (3..=u8::MAX).fold(successor, |successor, one| successor.successor_of(&position(one, 0, &[])));
        assert_eq!(many.ancestors.len(), ANCESTORS);
        assert_eq!(many.ancestors.last(), Some(&name(u8::MAX)));
    }

    #[test]
    fn a_name_reads_back_and_is_nobody_elses() {
        let drawn = Lineage::generate(&SystemRandom);
        assert_eq!(Lineage::parse(&drawn.to_string()), Some(drawn));
        assert_ne!(drawn, Lineage::generate(&SystemRandom));
        for text in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA==", "!AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(Lineage::parse(text), None, "{text}");
        }
        let of = position(2, 0, &[1, 7]);
        assert_eq!(HistoryPosition::parse_ancestors(&of.ancestors_text()), Some(of.ancestors));
        assert_eq!(
            (HistoryPosition::parse_ancestors(""), HistoryPosition::parse_ancestors("x")),
            (Some(Vec::new()), None)
        );
    }

    /// What can happen to a ledger and to its seen position.
    #[derive(Clone, Debug)]
    enum Step {
        /// A node raises it and fails before it tells Redis. No copy is restored until a node has told Redis: the model
        /// does not cover a restore at that moment.
        Raise,
        /// A node raises it and tells Redis.
        See,
        /// Redis is emptied and every node restarts.
        Forget,
        Backup,
        Restore(prop::sample::Index),
        Declare,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            2 => Just(Step::Raise),
            4 => Just(Step::See),
            1 => Just(Step::Forget),
            2 => Just(Step::Backup),
            2 => any::<prop::sample::Index>().prop_map(Step::Restore),
            1 => Just(Step::Declare),
        ];
        prop::collection::vec(step, 1..60)
    }

    /// A ledger that keeps every step of its history, each with its own number.
    #[derive(Clone, Debug)]
    struct Whole {
        position: HistoryPosition,
        steps: Vec<usize>,
    }

    impl Whole {
        fn raise(&mut self, seen: Option<&HistoryPosition>, number: usize) {
            self.position =
                seen.iter().fold(self.position.clone(), |position, seen| position.successor_of(seen)).raised();
            self.steps.push(number);
        }
    }

    proptest! {
        #[test]
        fn an_older_copy_never_continues_and_the_ledger_itself_always_does(steps in steps()) {
            let mut ledger = Whole { position: position(0, 0, &[]), steps: vec![usize::MAX] };
            let (mut backups, mut met) = (vec![ledger.clone()], vec![name(0)]);
            let (mut seen, mut last, mut told) = (None::<HistoryPosition>, usize::MAX, true);
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Backup => backups.push(ledger.clone()),
                    Step::Restore(which) if told => ledger = which.get(&backups).clone(),
                    Step::Restore(_) => {}
                    Step::Declare => {
                        ledger = Whole { position: ledger.position.begin(name(u8::try_from(number + 1).unwrap())), steps: vec![] };
                        prop_assert!(seen.as_ref().is_none_or(|seen| ledger.position.continues(seen)), "{ledger:?} {seen:?}");
                    }
                    Step::Raise | Step::See | Step::Forget => {
                        let continues = seen.as_ref().is_none_or(|seen| ledger.position.continues(seen));
                        let holds = seen.is_none() || ledger.steps.contains(&last);
                        let unheard_of = !met.contains(&ledger.position.lineage);
                        prop_assert!(!continues || holds || unheard_of, "an older copy: {ledger:?} after {seen:?}");
                        prop_assert!(continues || !holds, "the ledger itself: {ledger:?} after {seen:?}");
                        if !continues {
                            continue;
                        }
                        ledger.raise(seen.as_ref(), number);
                        told = !matches!(step, Step::Raise);
                        if told {
                            (seen, last) = (Some(ledger.position.clone()), number);
                            met.push(ledger.position.lineage);
                        }
                    }
                }
            }
        }
    }
}
