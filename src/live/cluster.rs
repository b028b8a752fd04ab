//! Cluster: which node of a Redis Cluster has which slot.
//!
//! Owns the map, and one pool for each master in it. The map is only a hint: a connection knows from its own node what
//! that serves, and a wrong map costs one query to the ledger. Must never read the map from the cluster more than once
//! a second, and never wait without a time limit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::{Mutex, RwLock};
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisResult, Value};
use tokio::time::timeout;

use super::address::{Node, at, named, node};
use super::manager::{StampedPool, Target, pool};
use super::process::cluster_state;
use super::{Fence, LiveConfig, LiveError};
use crate::domain::Clock;

/// The shortest time between two reads of the map, however many requests find it wrong.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// The masters of a cluster.
pub(super) struct Cluster {
    seeds: Vec<ConnectionInfo>,
    config: LiveConfig,
    fence: Arc<dyn Fence>,
    clock: Arc<dyn Clock>,
    map: RwLock<Arc<Map>>,
    pools: Mutex<HashMap<Arc<Node>, StampedPool>>,
    refreshed: tokio::sync::Mutex<Option<Duration>>,
}

/// Slots and their masters, by the first slot.
#[derive(Default)]
struct Map {
    ranges: Vec<(u16, u16, Arc<Node>)>,
    /// Orders maps: one from a node that sees a complete cluster is better, then one of a later epoch.
    rank: (bool, u64),
}

impl Cluster {
    /// Connects to nothing yet.
    pub(super) fn new(
        seeds: Vec<ConnectionInfo>,
        config: &LiveConfig,
        fence: Arc<dyn Fence>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (map, pools, refreshed) = (RwLock::default(), Mutex::default(), tokio::sync::Mutex::default());
        Self { seeds, config: config.clone(), fence, clock, map, pools, refreshed }
    }

    /// The master of a slot.
    pub(super) async fn owner(&self, slot: u16) -> Result<Arc<Node>, LiveError> {
        if let Some(owner) = self.map().owner(slot) {
            return Ok(owner);
        }
        self.refresh().await;
        let nobody = || LiveError::Down("no node of the cluster knows which node serves this slot".to_owned());
        self.map().owner(slot).ok_or_else(nobody)
    }

    /// All masters.
    pub(super) async fn masters(&self) -> Result<Vec<Arc<Node>>, LiveError> {
        self.owner(0).await?;
        Ok(self.map().masters())
    }

    /// The pool of one master.
    pub(super) fn pool(&self, master: &Arc<Node>) -> Result<StampedPool, LiveError> {
        let mut pools = self.pools.lock();
        if let Some(pool) = pools.get(master) {
            return Ok(pool.clone());
        }
        let made = pool(&self.config, Arc::clone(&self.fence), Target::Node(self.address(master)?))?;
        pools.insert(Arc::clone(master), made.clone());
        Ok(made)
    }

    /// How to connect to one master.
    pub(super) fn address(&self, master: &Node) -> Result<ConnectionInfo, LiveError> {
        let seed = self.seeds.first().ok_or_else(|| LiveError::Down("the cluster has no address".to_owned()))?;
        Ok(at(seed, master))
    }

    /// Whether this master is still in the map.
    pub(super) fn knows(&self, master: &Node) -> bool {
        self.map().ranges.iter().any(|(_, _, owner)| **owner == *master)
    }

    /// Reads the map again in the background.
    pub(super) fn refresh_behind(self: &Arc<Self>) {
        let cluster = Arc::clone(self);
        tokio::spawn(async move { cluster.refresh().await });
    }

    /// Reads the map again, unless that was done a moment ago.
    pub(super) async fn refresh(&self) {
        let Ok(mut refreshed) = timeout(self.config.connect_timeout, self.refreshed.lock()).await else { return };
        let now = self.clock.monotonic();
        if refreshed.is_some_and(|before| now < before.saturating_add(REFRESH_EVERY)) {
            return;
        }
        *refreshed = Some(now);
        let answers = join_all(self.to_ask().iter().map(|node| self.ask(node))).await;
        let Some(best) = answers.into_iter().flatten().max_by_key(|map| map.rank) else { return };
        *self.map.write() = Arc::new(best);
        self.pools.lock().retain(|master, _| self.knows(master));
    }

    /// All known nodes: the operator's own may be gone by now.
    fn to_ask(&self) -> Vec<ConnectionInfo> {
        let mut asked = self.seeds.clone();
        let seeds: Vec<_> = self.seeds.iter().filter_map(node).collect();
        let like = self.seeds.first();
        let found = self.map().masters().into_iter().filter(|master| !seeds.contains(master));
        asked.extend(found.filter_map(|master| Some(at(like?, &master))));
        asked
    }

    async fn ask(&self, asked: &ConnectionInfo) -> Option<Map> {
        timeout(self.config.connect_timeout, self.question(asked)).await.ok()?.ok()?
    }

    async fn question(&self, asked: &ConnectionInfo) -> RedisResult<Option<Map>> {
        let timeouts = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.config.connect_timeout))
            .set_response_timeout(Some(self.config.command_timeout));
        let client = Client::open(asked.clone())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&timeouts).await?;
        let mut questions = redis::pipe();
        questions.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
        let (info, slots): (String, Vec<Vec<Value>>) = questions.query_async(&mut connection).await?;
        Ok(Map::parse(&info, &slots, asked))
    }

    fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.read())
    }
}

impl Map {
    fn owner(&self, slot: u16) -> Option<Arc<Node>> {
        let after = self.ranges.partition_point(|(first, ..)| *first <= slot);
        let (_, last, owner) = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= *last).then(|| Arc::clone(owner))
    }

    fn masters(&self) -> Vec<Arc<Node>> {
        let mut masters: Vec<Arc<Node>> = Vec::new();
        for (_, _, owner) in &self.ranges {
            if !masters.contains(owner) {
                masters.push(Arc::clone(owner));
            }
        }
        masters
    }

    /// Parses the answers to `CLUSTER INFO` and `CLUSTER SLOTS`; none when they have another format than Redis'.
    fn parse(info: &str, slots: &[Vec<Value>], asked: &ConnectionInfo) -> Option<Self> {
        let mut ranges = slots.iter().map(|range| Self::range(range, asked)).collect::<Option<Vec<_>>>()?;
        ranges.sort_by_key(|(first, ..)| *first);
        let whole = !ranges.is_empty();
        whole.then_some(Self { ranges, rank: cluster_state(info)? })
    }

    fn range(range: &[Value], asked: &ConnectionInfo) -> Option<(u16, u16, Arc<Node>)> {
        let [first, last, Value::Array(master), ..] = range else { return None };
        let [host, port, ..] = master.as_slice() else { return None };
        let number = |value: &Value| match value {
            Value::Int(number) => u16::try_from(*number).ok(),
            _ => None,
        };
        let host: Option<String> = redis::from_redis_value_ref(host).ok()?;
        Some((number(first)?, number(last)?, Arc::new(named(host, number(port)?, asked)?)))
    }
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    const INFO: &str = "cluster_state:ok\r\ncluster_current_epoch:6\r\n";

    fn range(first: i64, last: i64, host: Value) -> Vec<Value> {
        let master = Value::Array(vec![host, Value::Int(7), Value::BulkString(b"id".to_vec())]);
        vec![Value::Int(first), Value::Int(last), master]
    }

    #[test]
    fn a_slot_has_the_owner_that_the_cluster_tells() {
        let asked = "redis://asked:1".into_connection_info().unwrap();
        let slots = [range(100, 16_383, Value::BulkString(b"b".to_vec())), range(0, 98, Value::Nil)];
        let map = Map::parse(INFO, &slots, &asked).unwrap();
        let owner = |slot| map.owner(slot).map(|node| node.host.clone());
        assert_eq!((owner(0).as_deref(), owner(98).as_deref()), (Some("asked"), Some("asked")));
        assert_eq!((owner(99), owner(100).as_deref(), owner(16_383).as_deref()), (None, Some("b"), Some("b")));
        assert_eq!((map.masters().len(), map.rank), (2, (true, 6)));
    }

    #[test]
    fn what_is_no_map_is_none() {
        let asked = "redis://asked:1".into_connection_info().unwrap();
        assert!(Map::parse(INFO, &[], &asked).is_none());
        assert!(Map::parse("", &[range(0, 1, Value::Nil)], &asked).is_none());
        assert!(Map::parse(INFO, &[vec![Value::Int(1)]], &asked).is_none());
        assert!(Map::parse(INFO, &[range(0, 99_999, Value::Nil)], &asked).is_none());
    }
}
