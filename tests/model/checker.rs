//! The search: every state that a model can reach, the nearest first.
//!
//! Owns the walk and the way back from a violation to the start, so that what is found first is also shortest. Must
//! never drop a state silently: a search that ends without a finding has seen all of them. Of a state that was seen
//! only 64 bits are kept; among ten million states two share them once in 300 000 searches.

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// More would not fit into the memory of a small machine.
const MOST_STATES: usize = 30_000_000;

/// A protocol, as states and the steps between them.
pub trait Model {
    /// Everything that the protocol remembers.
    type State: Copy + Hash;
    /// One atomic step of one participant.
    type Action: Copy + Display;

    /// Where it begins.
    fn start(&self) -> Self::State;

    /// Every step that is possible now, with the state after it.
    fn steps(&self, state: &Self::State, steps: &mut Vec<(Self::Action, Self::State)>);

    /// The promise that this state breaks.
    fn violation(&self, state: &Self::State) -> Option<&'static str>;
}

/// What a search came to.
pub struct Report<A> {
    /// States seen.
    pub states: usize,
    /// Steps taken between them.
    pub steps: usize,
    /// Steps from the start to the farthest state.
    pub depth: usize,
    /// The shortest way to a broken promise.
    pub counterexample: Option<Counterexample<A>>,
}

/// A broken promise, and the steps that lead to it.
pub struct Counterexample<A> {
    /// Which promise.
    pub promise: &'static str,
    /// The way from the start.
    pub path: Vec<A>,
}

/// Visits every state, or stops at the first that breaks a promise.
pub fn explore<M: Model>(model: &M) -> Report<M::Action> {
    let mut seen = Seen::default();
    let mut trail: Vec<Option<(usize, M::Action)>> = vec![None];
    let (mut level, mut next_level, mut steps) = (vec![(model.start(), 0)], Vec::new(), Vec::new());
    let (mut taken, mut depth) = (0, 0);
    seen.insert(fingerprint(&model.start()));
    while !level.is_empty() {
        for (state, at) in level.drain(..) {
            steps.clear();
            model.steps(&state, &mut steps);
            taken += steps.len();
            for (action, after) in steps.drain(..) {
                if !seen.insert(fingerprint(&after)) {
                    continue;
                }
                assert!(trail.len() < MOST_STATES, "more than {MOST_STATES} states");
                trail.push(Some((at, action)));
                let here = trail.len() - 1;
                if let Some(promise) = model.violation(&after) {
                    let counterexample = Some(Counterexample { promise, path: way_to(&trail, here) });
                    return Report { states: trail.len(), steps: taken, depth: depth + 1, counterexample };
                }
                next_level.push((after, here));
            }
        }
        std::mem::swap(&mut level, &mut next_level);
        depth += usize::from(!level.is_empty());
    }
    Report { states: trail.len(), steps: taken, depth, counterexample: None }
}

fn way_to<A: Copy>(trail: &[Option<(usize, A)>], mut at: usize) -> Vec<A> {
    let mut path = Vec::new();
    while let Some((before, action)) = trail[at] {
        path.push(action);
        at = before;
    }
    path.reverse();
    path
}

impl<A: Display> Display for Report<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, steps, depth, counterexample } = self;
        write!(f, "{states} states, {steps} steps, {depth} deep")?;
        let Some(Counterexample { promise, path }) = counterexample else { return Ok(()) };
        write!(f, "\n  breaks: {promise}")?;
        path.iter().enumerate().try_for_each(|(number, action)| write!(f, "\n  {:>2}. {action}", number + 1))
    }
}

fn fingerprint(state: &impl Hash) -> u64 {
    let mut mix = Mix(0x9e37_79b9_7f4a_7c15);
    state.hash(&mut mix);
    mix.finish()
}

/// Each step is a bijection of what was mixed before, so that nothing is lost on the way.
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(u64::try_from(word).unwrap_or(u64::MAX));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A fingerprint is mixed already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, _bytes: &[u8]) {
        panic!("only fingerprints are kept here");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Seen = HashSet<u64, BuildHasherDefault<AsIs>>;

/// Two taps; spilled when both are open.
struct Jug;

impl Model for Jug {
    type State = (u8, u8);
    type Action = &'static str;

    fn start(&self) -> (u8, u8) {
        (0, 0)
    }

    fn steps(&self, &(left, right): &(u8, u8), steps: &mut Vec<(&'static str, (u8, u8))>) {
        steps.extend((left < 3).then_some(("left", (left + 1, right))));
        steps.extend((right < 3).then_some(("right", (left, right + 1))));
    }

    fn violation(&self, &(left, right): &(u8, u8)) -> Option<&'static str> {
        (left == 3 && right == 1).then_some("spilled")
    }
}

#[test]
fn the_search_finds_the_shortest_way() {
    let found = explore(&Jug).counterexample.expect("it is reachable");
    assert_eq!((found.promise, found.path.len()), ("spilled", 4));
}
