//! A Zipf load: what has rank r is chosen 1/r times as often as the first.
//!
//! Owns the choice, and numbers that look random: every load that begins here is the same, so that two servers can be
//! asked the same.

use std::cell::Cell;

use super::figures::number;

/// Chooses ranks, counted from zero.
pub struct Zipf {
    /// How much weight a rank and all before it have.
    weights: Vec<f64>,
    state: Cell<u64>,
}

impl Zipf {
    /// Over so many ranks, with exponent one.
    pub fn new(ranks: usize) -> Self {
        let mut sum = 0.0;
        let weights = (1..=ranks).map(|rank| {
            sum += 1.0 / number(rank);
            sum
        });
        Self { weights: weights.collect(), state: Cell::new(0) }
    }

    /// The next rank.
    pub fn rank(&self) -> usize {
        // 53 bits: as many as a fraction has.
        let fraction = number(self.bits() >> 11) / number(1_u64 << 53);
        let wanted = fraction * self.weights.last().copied().unwrap_or_default();
        self.weights.partition_point(|weight| *weight <= wanted).min(self.weights.len().saturating_sub(1))
    }

    /// One of so many, each as likely as the others.
    pub fn one_of(&self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(1).max(1);
        usize::try_from((self.bits() >> 11) % count).unwrap_or_default()
    }

    /// SplitMix64.
    fn bits(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
