//! The figures of all rounds: medians, a table, the ratios, a file.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{chart, contenders};
use crate::support::figures::{median, number, print_table};
use crate::support::load::Outcome;

/// One contender's figures in one round.
pub struct Figures {
    server_us: f64,
    redis_us: f64,
    redis_commands: f64,
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Figures {
    pub fn new(outcome: &Outcome, server: Duration, redis: Duration, commands: u64) -> Self {
        let answered = number(outcome.answered);
        Self {
            server_us: server.as_secs_f64() * 1e6 / answered,
            redis_us: redis.as_secs_f64() * 1e6 / answered,
            redis_commands: number(commands) / answered,
            per_second: answered / outcome.elapsed.as_secs_f64(),
            p50_us: outcome.quantile(500),
            p99_us: outcome.quantile(990),
        }
    }
}

/// The figures of every contender, in the order in which they take part.
pub struct Report {
    rounds: Vec<(&'static str, Vec<Figures>)>,
    pinned: bool,
}

type Column = fn(&Figures) -> f64;

impl Report {
    pub fn new(names: Vec<&'static str>, pinned: bool) -> Self {
        Self { rounds: names.into_iter().map(|name| (name, Vec::new())).collect(), pinned }
    }

    pub fn add(&mut self, name: &str, figures: Figures) {
        if let Some((_, rounds)) = self.rounds.iter_mut().find(|(known, _)| *known == name) {
            rounds.push(figures);
        }
    }

    fn median(&self, name: &str, column: Column) -> f64 {
        let rounds = self.rounds.iter().find(|(known, _)| *known == name).map(|(_, rounds)| rounds);
        median(&rounds.into_iter().flatten().map(column).collect::<Vec<_>>())
    }

    /// The ratio of two contenders in each round, and its median: a noisy moment hits both.
    fn ratio(&self, of: &str, to: &str, column: Column) -> f64 {
        let figures = |name: &str| -> Vec<f64> {
            let rounds = self.rounds.iter().find(|(known, _)| *known == name).map(|(_, rounds)| rounds);
            rounds.into_iter().flatten().map(column).collect()
        };
        let ratios: Vec<f64> = figures(of).iter().zip(figures(to)).map(|(of, to)| of / to).collect();
        median(&ratios)
    }

    /// What is claimed, and what was measured.
    fn ratios(&self) -> Vec<(String, f64)> {
        let (server, redis): (Column, Column) = (|it| it.server_us, |it| it.redis_us);
        let named =
            |what: &str, of: &str, to: &str, column| (format!("{what}: {of} / {to}"), self.ratio(of, to, column));
        let mut ratios = vec![
            named("server", contenders::FORWARD, contenders::HS256, server),
            named("server", contenders::FORWARD, contenders::STOCK_SLIDING, server),
            named("server", contenders::FORWARD, contenders::STOCK, server),
            named("server", contenders::FORWARD, contenders::FLOOR, server),
            named("server", contenders::HIT, contenders::HS256, server),
            named("server", contenders::HIT, contenders::FLOOR, server),
            named("server", contenders::MISS, contenders::HS256, server),
            named("server", contenders::MISS, contenders::FORWARD, server),
            named("Redis", contenders::FORWARD, contenders::STOCK_SLIDING, redis),
            named("Redis", contenders::FORWARD, contenders::STOCK, redis),
            named("server", contenders::ME, contenders::FORWARD, server),
            named("server", contenders::INTROSPECT, contenders::FORWARD, server),
            named("server", contenders::PHANTOM, contenders::INTROSPECT, server),
            named("server", contenders::EMBEDDING, contenders::FORWARD, server),
            named("server", contenders::EMBEDDING, contenders::STOCK_SLIDING, server),
        ];
        // With --only, the other one may be missing.
        ratios.retain(|(_, ratio)| ratio.is_finite());
        ratios
    }

    pub fn print(&self) {
        let headings = ["", "server µs", "Redis µs", "commands", "requests/s", "p50 µs", "p99 µs"];
        let columns: [(Column, usize); 6] = [
            (|it| it.server_us, 1),
            (|it| it.redis_us, 1),
            (|it| it.redis_commands, 2),
            (|it| it.per_second, 0),
            (|it| it.p50_us, 0),
            (|it| it.p99_us, 0),
        ];
        let row = |name: &str| {
            let cells = columns.iter().map(|(column, digits)| format!("{:.digits$}", self.median(name, *column)));
            [name.to_owned()].into_iter().chain(cells).collect()
        };
        print_table(&headings, &self.rounds.iter().map(|(name, _)| row(name)).collect::<Vec<_>>());
        println!();
        for (name, ratio) in self.ratios() {
            println!("{ratio:.2}  {name}");
        }
    }

    /// Writes the figures for programs and as a picture.
    pub fn write(&self) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance");
        std::fs::create_dir_all(&folder)?;
        let contender = |name: &str| {
            json!({
                "name": name,
                "server_us": self.median(name, |it| it.server_us),
                "redis_us": self.median(name, |it| it.redis_us),
                "redis_commands": self.median(name, |it| it.redis_commands),
                "requests_per_second": self.median(name, |it| it.per_second),
                "p50_us": self.median(name, |it| it.p50_us),
                "p99_us": self.median(name, |it| it.p99_us),
            })
        };
        let ratios: serde_json::Map<_, _> =
            self.ratios().into_iter().map(|(name, ratio)| (name, json!(ratio))).collect();
        let names = || self.rounds.iter().map(|(name, _)| *name);
        let rounds = self.rounds.first().map_or(0, |(_, rounds)| rounds.len());
        let document = json!({ "rounds": rounds, "pinned": self.pinned, "contenders": names().map(contender).collect::<Vec<_>>(), "ratios": ratios });
        std::fs::write(folder.join("check.json"), serde_json::to_string_pretty(&document)? + "\n")?;
        let bars: Vec<_> = names()
            .map(|name| (name, self.median(name, |it| it.server_us), self.median(name, |it| it.redis_us)))
            .collect();
        std::fs::write(folder.join("check.svg"), chart::bars("Processor time of one check, µs", &bars))?;
        Ok(())
    }
}
