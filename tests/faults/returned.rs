//! An older copy of the ledger, and the newer one back in its place: whatever Redis was filled with from the copy says
//! yes to sessions that the newer one has ended, and bears stamps that both know.
//!
//! Owns what P1 says about that: on acceptance every Redis process gets a new stamp before any record is trusted.
#![cfg(feature = "postgres")]

use std::time::Duration;

use crate::faults::restored::{height, node, refusal, statuses};
use crate::support::client::SignedIn;
use crate::support::database::Database;
use crate::support::node::Node;
use crate::support::proxy::Proxy;
use crate::support::server::Stores;
use crate::support::topologies::{Servers, Topology};
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(20);
const A_FEW_LOOKS: Duration = Duration::from_secs(3);

/// People whose sessions were ended between the copy and the newest state, which are both aside now.
struct Returned {
    stores: Stores,
    owner: SignedIn,
    victims: Vec<SignedIn>,
}

impl Returned {
    async fn on(stores: Stores, nodes: &[&Node]) -> Self {
        let owner = nodes[0].anonymous().sign_up().await;
        let mut victims = Vec::new();
        for _ in 0..12 {
            victims.push(owner.sign_in_again().await);
        }
        let it = Self { stores, owner, victims };
        it.stores.database.back_up("older");
        for victim in &it.victims {
            assert_eq!(statuses(victim, nodes[0]).await, [200, 200], "before anything");
            it.owner.end_session(&victim.session_id).await.assert_status(204);
        }
        until("nothing is left to be noted", PATIENCE, async || {
            let before = height(&it.stores);
            tokio::time::sleep(A_FEW_LOOKS / 2).await;
            before == height(&it.stores)
        })
        .await;
        it.stores.database.back_up("newest");
        it
    }

    /// The older copy is there, and is asked about everybody before it is noticed.
    async fn fill_from_the_copy(&self, nodes: &[&Node]) {
        self.stores.database.put_back("older");
        let mut filled = 0;
        for victim in &self.victims {
            for node in nodes {
                filled += statuses(victim, node).await.iter().filter(|status| **status == 200).count();
            }
        }
        println!("{filled} answers came from the copy");
        assert!(filled > 0, "nothing was filled from the copy, so that nothing is shown");
    }

    async fn await_refusal(&self, nodes: &[&Node]) {
        until("every node refuses the copy", PATIENCE, async || {
            let mut all = true;
            for node in nodes {
                all &= statuses(&self.owner, node).await == [503, 503];
            }
            all
        })
        .await;
    }

    /// Half of them ask at once. Whoever asks before Redis is trusted again takes away what was filled from the copy,
    /// so the others wait until it is.
    async fn assert_nobody_comes_back(&self, nodes: &[&Node]) {
        let (early, late) = self.victims.split_at(self.victims.len() / 2);
        until("the ledger itself is answered again", PATIENCE, async || {
            assert_dead(early, nodes).await;
            let mut answered = true;
            for node in nodes {
                answered &= statuses(&self.owner, node).await == [200, 200];
            }
            answered
        })
        .await;
        let watch = stopwatch();
        while watch() < A_FEW_LOOKS {
            for node in nodes {
                assert_eq!(statuses(&self.owner, node).await, [200, 200]);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(self.stores.database.count("live_store", "retired_at IS NULL") > 0, "Redis is trusted again");
        for _ in 0..3 {
            assert_dead(late, nodes).await;
        }
    }
}

async fn assert_dead(victims: &[SignedIn], nodes: &[&Node]) {
    for victim in victims {
        for (number, node) in nodes.iter().enumerate() {
            let statuses = statuses(victim, node).await;
            assert!(!statuses.contains(&200), "a session came back: node {number} says {statuses:?}");
        }
    }
}

fn stores(database: Database, topology: Topology) -> Stores {
    Stores::over(database, Servers::start(topology))
}

async fn two_nodes_refuse_and_accept(stores: Stores) {
    let (a, b) = (node(&stores.settings()).await, node(&stores.settings()).await);
    let it = Returned::on(stores, &[&a, &b]).await;
    let given = || it.stores.database.count("live_store", "1 = 1");
    let stamps = given();
    it.fill_from_the_copy(&[&a, &b]).await;
    it.await_refusal(&[&a, &b]).await;
    it.stores.database.put_back("newest");
    it.assert_nobody_comes_back(&[&a, &b]).await;
    assert_eq!(given(), 2 * stamps, "each process has one new stamp, however many nodes have refused");
    // The copy again: it is known for what it is, and so is the state that was just given up.
    for name in ["older", "newest"] {
        it.stores.database.put_back(name);
        it.await_refusal(&[&a, &b]).await;
    }
}

#[tokio::test]
async fn two_nodes_refuse_and_accept_on_sqlite() {
    two_nodes_refuse_and_accept(stores(Database::sqlite(), Topology::One)).await;
}

#[tokio::test]
async fn two_nodes_refuse_and_accept_on_postgresql() {
    two_nodes_refuse_and_accept(stores(Database::postgres_with_tables(), Topology::One)).await;
}

#[tokio::test]
async fn two_nodes_refuse_and_accept_on_a_cluster() {
    two_nodes_refuse_and_accept(stores(Database::postgres_with_tables(), Topology::Cluster)).await;
}

/// Only Redis still knows that a copy was there, and it is away when the node starts.
#[tokio::test]
async fn a_node_that_was_restarted_in_between_knows_it_from_redis() {
    let stores = stores(Database::postgres_with_tables(), Topology::One);
    let settings = stores.settings();
    let a = node(&settings).await;
    let it = Returned::on(stores, &[&a]).await;
    it.fill_from_the_copy(&[&a]).await;
    it.await_refusal(&[&a]).await;
    drop(a);
    it.stores.database.put_back("newest");
    let proxy = Proxy::start(it.stores.redis().address());
    proxy.refuse();
    let a = node(&settings.with("REDIS_URL", &proxy.in_url(&it.stores.redis().url()))).await;
    assert_eq!(statuses(&it.owner, &a).await, [200, 200], "without Redis");
    // Its look comes last: the key of the marker, and not the one that each connection is tried with.
    let mute = proxy.hold(|message| message.windows(8).any(|key| key.starts_with(b"ledger:") && key[7] != b'\r'));
    proxy.pass();
    mute.caught().await;
    let mut monitor = it.stores.redis().monitor();
    let mut asked = false;
    for victim in it.victims[..4].iter().cycle().take(400) {
        assert_eq!(victim.copy_at(&a.url()).me().await.status, 401, "a record is trusted before it looked");
        asked |= monitor.commands().iter().any(|command| command.starts_with("\"GETEX\" \"session:"));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(asked, "Redis was not asked, so that nothing is shown");
    mute.release();
    it.assert_nobody_comes_back(&[&a]).await;
}

/// The one that serves may have been too slow to see the copy.
#[tokio::test]
async fn a_node_that_could_not_start_over_the_copy_tells_those_that_run() {
    let stores = stores(Database::postgres_with_tables(), Topology::One);
    let settings = stores.settings();
    let a = node(&settings).await;
    let it = Returned::on(stores, &[&a]).await;
    it.fill_from_the_copy(&[&a]).await;
    refusal(&settings).await;
    it.stores.database.put_back("newest");
    // It may trust what it has read before for a lease.
    until("it was told", PATIENCE, async || it.stores.database.count("live_store", "retired_at IS NOT NULL") == 1)
        .await;
    tokio::time::sleep(A_FEW_LOOKS / 2).await;
    it.assert_nobody_comes_back(&[&a]).await;
}

/// The new history is begun, and nothing is accepted yet: the next start finds it.
#[cfg(feature = "fault-points")]
#[tokio::test]
async fn a_node_that_is_killed_between_the_two_has_retired_the_stamps() {
    use crate::support::process::Process;
    use crate::support::wait::until_found;

    let stores = stores(Database::postgres_with_tables(), Topology::One);
    let settings = stores.settings();
    let mut killed = Process::start(&settings.clone().with("SESSIOND_FAULT_POINT", "look: begun"));
    let a = node(&settings).await;
    let it = Returned::on(stores, &[&a]).await;
    it.fill_from_the_copy(&[&a]).await;
    it.await_refusal(&[&a]).await;
    drop(a);
    until("the other one refuses, too", PATIENCE, async || it.owner.copy_at(&killed.url()).me().await.status == 503)
        .await;
    it.stores.database.put_back("newest");
    until_found("it is killed", PATIENCE, || killed.has_ended().then_some(()));
    assert_eq!(it.stores.database.count("live_store", "retired_at IS NULL"), 0);
    let a = node(&settings).await;
    it.assert_nobody_comes_back(&[&a]).await;
}
