//! Nodes: what is set on one must be set on all that serve from the same database.
//!
//! Owns a node's row among the others. A node that differs from a living one does not start, and changes nothing; that
//! one lives is seen on this node's own stopwatch, by its row's being renewed. Must never refuse a node that is alone, whatever
//! it is set to, and never name a secret.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;

use super::membership::{Membership, Shared};
use super::sweeper::{Complaint, stopped};
use super::{App, StartError};
use crate::domain::Clock;
use crate::ledger::nodes::{self, Node};
use crate::ledger::{Db, Ledger, LedgerError};

/// How often a node renews its row.
const EVERY: Duration = Duration::from_secs(2);
/// A row that stands still for so long is of a node that is gone.
const GONE: Duration = Duration::from_secs(8);
/// How often a node that waits for that looks.
const PAUSE: Duration = Duration::from_millis(500);

impl App {
    /// Takes this node's place among the others; refuses to where a living one is set to something else.
    pub(super) async fn join(&self, membership: &Membership) -> Result<(), StartError> {
        loop {
            let gone = outlived(self.clock(), membership, || self.take_place(membership)).await?;
            if gone.is_empty() {
                return Ok(());
            }
            self.bury(gone).await?;
        }
    }

    /// Registers, unless somebody is there who must not be set to something else; gives those.
    async fn take_place(&self, membership: &Membership) -> Result<Vec<Node>, LedgerError> {
        let own = membership.clone();
        let register = move |db: &mut Db| {
            let others = nodes::others(db, &own.name)?;
            let rivals: Vec<Node> = others.into_iter().filter(|node| own.clash(node).is_some()).collect();
            if rivals.is_empty() {
                nodes::beat(db, &own.name, &own.text())?;
            }
            Ok(rivals)
        };
        self.shared.ledger.write_regardless(register).await
    }

    async fn bury(&self, gone: Vec<Node>) -> Result<(), LedgerError> {
        let bury = move |db: &mut Db| gone.iter().try_for_each(|node| nodes::remove(db, node));
        self.shared.ledger.write_regardless(bury).await
    }

    /// Renews this node's row, and says when another is set to something else.
    pub(super) async fn keep_beating(self, mut stop: watch::Receiver<bool>) {
        let Some(membership) = self.shared.membership.get() else { return };
        let (mut complaint, mut told) = (Complaint::default(), None);
        while !stopped(&mut stop, EVERY).await {
            let own = membership.clone();
            let beat = move |db: &mut Db| {
                nodes::beat(db, &own.name, &own.text())?;
                nodes::others(db, &own.name)
            };
            match self.shared.ledger.write_aside(beat).await {
                Ok(others) => {
                    let differs = others.iter().find_map(|node| membership.differing(node).next().cloned());
                    if differs != told {
                        tell(differs.as_ref());
                        told = differs;
                    }
                    complaint.about("telling the other nodes of this one", None::<LedgerError>);
                }
                Err(error) => complaint.about("telling the other nodes of this one", Some(error)),
            }
        }
    }

    /// This node stops: the next one may be set to something else.
    pub(super) async fn leave(&self) -> Result<(), LedgerError> {
        let Some(membership) = self.shared.membership.get() else { return Ok(()) };
        let name = membership.name.clone();
        self.shared.ledger.write_regardless(move |db| nodes::leave(db, &name)).await
    }
}

impl Membership {
    /// Refuses to start beside a living node that is set to something else, and writes nothing: before the tables are
    /// brought up to date, which all nodes share. Whoever comes after this look is found by [`App::join`].
    pub(super) async fn refuse_beside(&self, ledger: &Ledger, clock: &dyn Clock) -> Result<(), StartError> {
        let rivals = async || {
            let seen = ledger.read_regardless(nodes::seen).await?;
            Ok(seen.into_iter().filter(|node| self.clash(node).is_some()).collect())
        };
        outlived(clock, self, rivals).await.map(drop)
    }
}

/// The rivals that stood still for so long that they are gone; none where there is no rival. Refuses where one lives.
async fn outlived(
    clock: &dyn Clock,
    membership: &Membership,
    rivals: impl AsyncFn() -> Result<Vec<Node>, LedgerError>,
) -> Result<Vec<Node>, StartError> {
    let mut first: HashMap<String, (Node, Duration)> = HashMap::new();
    loop {
        let there = rivals().await?;
        if !there.is_empty() && first.is_empty() {
            log::info!("another node is set to something else: waiting whether it is still there");
        }
        let (now, mut all_gone) = (clock.monotonic(), true);
        for node in &there {
            let (known, since) = first.entry(node.name.clone()).or_insert_with(|| (node.clone(), now));
            if known.beat_at != node.beat_at {
                return Err(refusal(membership.clash(node)));
            }
            all_gone &= now.saturating_sub(*since) >= GONE;
        }
        if all_gone {
            return Ok(there);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn refusal(clash: Option<&Shared>) -> StartError {
    let variable = clash.map_or("A setting", |shared| shared.variable);
    StartError(format!(
        "{variable} is set to something else on a node that serves from the same database: give all nodes the same, or stop \
         the others before you change it."
    ))
}

fn tell(differs: Option<&Shared>) {
    match differs {
        Some(Shared { variable, must: true, .. }) => log::error!(
            "{variable} is set to something else on another node that serves from the same database: people are let in by one \
             and not by the other; give all nodes the same"
        ),
        Some(Shared { variable, .. }) => log::warn!(
            "{variable} is set to something else on another node that serves from the same database; give all nodes the same \
             when the change is done"
        ),
        None => log::info!("all nodes that serve from the same database are set to the same"),
    }
}
