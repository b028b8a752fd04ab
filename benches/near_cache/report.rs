//! The figures of all contenders: medians, and the ratio to the first one, which keeps no copies.

use super::contender::COLD;
use crate::support::figures::{median, print_table};

/// One contender's figures in one round.
pub struct Figures {
    /// Checks in a second.
    pub per_second: f64,
    /// Which part of the checks asked Redis nothing.
    pub hit_rate: f64,
    /// Commands of Redis for each check.
    pub commands: f64,
    /// Processor time of all nodes for each check.
    pub nodes_us: f64,
    /// The same of Redis.
    pub redis_us: f64,
}

struct Row {
    name: String,
    cold: Figures,
    rounds: Vec<Figures>,
}

/// The contenders, in the order in which they were measured.
#[derive(Default)]
pub struct Report(Vec<Row>);

impl Report {
    /// Adds a contender with the figures of its first checks.
    pub fn add(&mut self, name: &str, cold: Figures) {
        self.0.push(Row { name: name.to_owned(), cold, rounds: Vec::new() });
    }

    /// Adds a round.
    pub fn add_round(&mut self, name: &str, figures: Figures) {
        if let Some(row) = self.0.iter_mut().find(|row| row.name == name) {
            row.rounds.push(figures);
        }
    }

    /// Adds all of another report.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Prints the table.
    pub fn print(&self) {
        let first = format!("first {COLD}, %");
        let headings = ["", "checks/s", &first, "hit rate, %", "commands", "nodes µs", "to the first", "Redis µs"];
        let row = |row: &Row| {
            let middle = |column: fn(&Figures) -> f64| median(&row.rounds.iter().map(column).collect::<Vec<_>>());
            let base = self.0.first().map_or(&row.rounds, |first| &first.rounds);
            let ratios = row.rounds.iter().zip(base).map(|(one, first)| one.nodes_us / first.nodes_us);
            vec![
                row.name.clone(),
                format!("{:.0}", middle(|it| it.per_second)),
                format!("{:.1}", row.cold.hit_rate * 100.0),
                format!("{:.1}", middle(|it| it.hit_rate) * 100.0),
                format!("{:.3}", middle(|it| it.commands)),
                format!("{:.1}", middle(|it| it.nodes_us)),
                format!("{:.2}", median(&ratios.collect::<Vec<_>>())),
                format!("{:.1}", middle(|it| it.redis_us)),
            ]
        };
        print_table(&headings, &self.0.iter().map(row).collect::<Vec<_>>());
    }
}
