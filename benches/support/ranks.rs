//! Whether two samples come from the same distribution: Mann and Whitney's rank test.

use super::figures::number;

/// The two-sided p of the hypothesis that neither sample tends to be larger, by the normal approximation (good from some
/// twenty figures on). Small means that they can be told apart.
pub fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let tagged = one.iter().map(|figure| (*figure, true)).chain(other.iter().map(|figure| (*figure, false)));
    let mut all: Vec<(f64, bool)> = tagged.collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (n, m) = (number(one.len()), number(other.len()));
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for same in all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let count = number(same.len());
        let rank = before + f64::midpoint(1.0, count);
        rank_sum += rank * number(same.iter().filter(|(_, first)| *first).count());
        ties += count.powi(3) - count;
        before += count;
    }
    let u = rank_sum - n * (n + 1.0) / 2.0;
    let spread = n * m / 12.0 * (n + m + 1.0 - ties / ((n + m) * (n + m - 1.0)));
    let z = (u - n * m / 2.0).abs() / spread.sqrt();
    2.0 * upper_tail(z)
}

/// How likely a standard normal figure is larger (Abramowitz and Stegun 26.2.17; the error is below 10⁻⁷).
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let terms = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let polynomial = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * polynomial
}
