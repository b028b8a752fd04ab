//! The figures of all rounds: one table, and whether P1 held.

use anyhow::{Result, ensure};

use super::round::Round;
use crate::support::figures::{print_table, quantile};

/// Rounds that are too few for a p99.
const FEW: usize = 20;

/// What was measured so far.
#[derive(Default)]
pub struct Report {
    rows: Vec<Vec<String>>,
    asked_after: usize,
    violations: usize,
}

impl Report {
    /// Adds a row; fails when a node said yes after the 2xx.
    pub fn add(&mut self, name: &str, rounds: &[Round]) -> Result<()> {
        let sorted = |figure: fn(&Round) -> u32| {
            let mut figures: Vec<u32> = rounds.iter().map(figure).collect();
            figures.sort_unstable();
            figures
        };
        let (answered, last_yes) = (sorted(|round| round.answered_us), sorted(|round| round.last_yes_us));
        let asked_after: usize = rounds.iter().map(|round| round.asked_after).sum();
        let violations: usize = rounds.iter().map(|round| round.violations).sum();
        let ms = |sorted: &[u32], thousandths| match rounds.len() {
            // The largest of a few is no 99th of a hundred.
            ..FEW if thousandths == 990 => String::new(),
            _ => format!("{:.1}", quantile(sorted, thousandths) / 1e3),
        };
        self.rows.push(vec![
            name.to_owned(),
            rounds.len().to_string(),
            ms(&answered, 500),
            ms(&answered, 990),
            ms(&answered, 1_000),
            ms(&last_yes, 990),
            ms(&last_yes, 1_000),
            asked_after.to_string(),
            violations.to_string(),
        ]);
        self.asked_after += asked_after;
        self.violations += violations;
        ensure!(violations == 0, "P1 does not hold: {name}");
        Ok(())
    }

    /// Prints the table.
    pub fn print(&self, ledger: &str) {
        println!("revocations, from the request to the 2xx, in ms ({ledger}); the last 200 came so long after the 2xx");
        let headings = ["", "rounds", "p50", "p99", "max", "last 200, p99", "max", "asked after", "let through"];
        print_table(&headings, &self.rows);
        println!("{} of {} questions after the 2xx were let through", self.violations, self.asked_after);
    }
}
