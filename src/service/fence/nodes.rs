//! Nodes: all nodes that serve from one database must have the same shared settings.
//!
//! Owns this node's row, its place among the others. A node that differs from a live node does not start and changes
//! nothing; it measures on its own stopwatch whether the other node renews its row. A node that stood still until
//! another took its place answers no request until that other node is gone. Must never refuse a node that is alone,
//! with any settings, and never name a secret.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::domain::Clock;
use crate::ledger::nodes::{self, Node};
use crate::ledger::{Db, Ledger, LedgerError, Refusal};
use crate::service::core::log_on_change::{LogOnChange, stopped};
use crate::service::core::start_error::StartError;
use crate::service::fence::Fence;
use crate::service::fence::membership::{GONE, Membership, Shared};

/// How often a node renews its row.
const EVERY: Duration = Duration::from_secs(2);
/// How often a node without a place tries to take one.
const PAUSE: Duration = Duration::from_millis(500);

/// Time limit for one attempt: two attempts and the pause between them take less than [`GONE`].
const LOOK_WAIT: Duration = Duration::from_secs(2);

/// The result of an attempt to take a place.
struct Outcome {
    /// Whether this node has its place.
    placed: bool,
    others: Vec<Node>,
}

/// Nodes beside which this one may not serve: the last value that each wrote, and since when it has not changed on the
/// stopwatch.
#[derive(Default)]
struct Rivals(HashMap<String, (i64, Duration)>);

impl Rivals {
    /// Records the rivals. Returns the one that is seen to live, and whether all are gone.
    fn watch<'a>(&mut self, rivals: &'a [Node], now: Duration) -> (Option<&'a Node>, bool) {
        self.0.retain(|name, _| rivals.iter().any(|node| node.name == *name));
        let (mut living, mut gone) = (None, true);
        for node in rivals {
            let (beat_at, since) = self.0.entry(node.name.clone()).or_insert((node.beat_at, now));
            if *beat_at != node.beat_at {
                (*beat_at, *since) = (node.beat_at, now);
                living = Some(node);
            }
            gone &= now.saturating_sub(*since) >= Membership::patience(node);
        }
        (living, gone)
    }
}

impl Fence {
    /// Takes this node's place among the others. Fails while a live node has different settings.
    pub(in crate::service) async fn join(&self, membership: &Membership) -> Result<(), StartError> {
        let rivals = async || {
            let Outcome { placed, others } = self.take_place(membership).await?;
            Ok(if placed { Vec::new() } else { membership.rivals(others) })
        };
        loop {
            let gone = outlived(self.core.clock(), membership, &rivals).await?;
            if gone.is_empty() {
                return Ok(());
            }
            self.bury(gone).await?;
        }
    }

    /// Renews this node's row. If the row is gone, inserts it again, unless a node with conflicting settings is there.
    async fn take_place(&self, membership: &Membership) -> Result<Outcome, LedgerError> {
        let own = membership.clone();
        let take = move |db: &mut Db| {
            let others = nodes::others(db, &own.name)?;
            let placed = nodes::is_there(db, &own.name)? || !others.iter().any(|node| own.clash(node).is_some());
            if placed {
                nodes::beat(db, &own.name, &own.text())?;
            }
            Ok(Outcome { placed, others })
        };
        // Also while this node refuses requests: it keeps its place for later.
        self.core.ledger.write_regardless(take).await
    }

    async fn bury(&self, gone: Vec<Node>) -> Result<(), LedgerError> {
        if gone.is_empty() {
            return Ok(());
        }
        let bury = move |db: &mut Db| gone.iter().try_for_each(|node| nodes::remove(db, node));
        self.core.ledger.write_regardless(bury).await
    }

    /// Keeps this node's place, and logs when another node's settings differ.
    pub(in crate::service) async fn keep_place(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let Some(membership) = self.membership.get() else { return };
        let (mut log_on_change, mut told, mut watched) = (LogOnChange::default(), None, Rivals::default());
        let (mut pause, ledger) = (EVERY, &self.core.ledger);
        ledger.keep_place(ledger.stopwatch().saturating_add(GONE));
        while !stopped(&mut stop, pause).await {
            let started = ledger.stopwatch();
            let looked = timeout(LOOK_WAIT, self.take_place(membership)).await;
            let outcome = match looked.unwrap_or(Err(LedgerError::Silent("the other nodes were not read in time"))) {
                Ok(Outcome { placed, others }) => {
                    let differs = others.iter().find_map(|node| membership.differing(node).next().cloned());
                    pause = if placed { EVERY } else { PAUSE };
                    self.obey_place(placed, others.iter().find_map(|node| membership.clash(node)));
                    // Not earlier: a request that is answered meanwhile must know the result.
                    ledger.keep_place(started.saturating_add(GONE));
                    if placed && differs != told {
                        tell(differs.as_ref());
                        told = differs;
                    }
                    let rivals = if placed { Vec::new() } else { membership.rivals(others) };
                    let (_, gone) = watched.watch(&rivals, self.core.clock().monotonic());
                    if gone { self.bury(rivals).await } else { Ok(()) }
                }
                Err(error) => {
                    pause = PAUSE;
                    // While SQL takes no writes, no node can take a place. But once the place has run out, only a
                    // successful attempt counts.
                    if !ledger.place_ran_out() {
                        ledger.keep_place(ledger.stopwatch().saturating_add(GONE));
                    }
                    Err(error)
                }
            };
            log_on_change.about("announcing this node to the others", outcome.err());
        }
    }

    fn obey_place(&self, placed: bool, clash: Option<&Shared>) {
        let is_news = self.core.ledger.refuse(Refusal::Displaced, !placed);
        if !placed {
            // Only after `refuse`: a task that is about to take a store lease either sees the refusal or is seen here.
            self.retire_leases();
        }
        match (is_news, placed) {
            (true, false) => log::error!(
                "{} has a different value on a node that started while this node was paused: this node refuses every \
                 request until that node is gone; use the same value on all nodes",
                named(clash)
            ),
            (true, true) => log::warn!("the node with different settings is gone: requests are answered again"),
            (false, _) => {}
        }
    }

    /// This node stops: the next node may have other settings.
    pub(in crate::service) async fn leave(&self) -> Result<(), LedgerError> {
        let Some(membership) = self.membership.get() else { return Ok(()) };
        let name = membership.name.clone();
        self.core.ledger.write_regardless(move |db| nodes::leave(db, &name)).await
    }
}

impl Membership {
    /// Refuses to start beside a live node with different settings, and writes nothing: it runs before the migration of
    /// the tables that all nodes share. `Fence::enter` finds a node that starts later.
    pub async fn refuse_beside(&self, ledger: &Ledger, clock: &dyn Clock) -> Result<(), StartError> {
        let rivals = async || {
            let seen = ledger.read_regardless(nodes::seen).await?;
            Ok(self.rivals(seen))
        };
        outlived(clock, self, rivals).await.map(drop)
    }
}

/// The rivals that stood still long enough to be gone; empty when there is no rival. Fails while one is alive.
async fn outlived(
    clock: &dyn Clock,
    membership: &Membership,
    rivals: impl AsyncFn() -> Result<Vec<Node>, LedgerError>,
) -> Result<Vec<Node>, StartError> {
    let mut watched = Rivals::default();
    loop {
        let there = rivals().await?;
        if !there.is_empty() && watched.0.is_empty() {
            log::info!("another node has different settings: waiting to see whether it is alive");
        }
        match watched.watch(&there, clock.monotonic()) {
            (Some(living), _) => return Err(refusal(membership.clash(living))),
            (None, true) => return Ok(there),
            (None, false) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn refusal(clash: Option<&Shared>) -> StartError {
    StartError(format!(
        "{} has a different value on a node that uses the same database: use the same value on all nodes, or stop the \
         other nodes before you change it.",
        named(clash)
    ))
}

fn named(shared: Option<&Shared>) -> &'static str {
    shared.map_or("A setting", |shared| shared.variable)
}

fn tell(differs: Option<&Shared>) {
    match differs {
        Some(Shared { variable, must: true, .. }) => log::error!(
            "{variable} has a different value on another node that uses the same database, so one node refuses \
             sessions of the other; use the same value on all nodes"
        ),
        Some(Shared { variable, .. }) => log::warn!(
            "{variable} has a different value on another node that uses the same database; use the same value on all \
             nodes when the change is done"
        ),
        None => log::info!("all nodes that use the same database have the same settings"),
    }
}
