//! Manager: makes connections that know their Redis process.
//!
//! Owns the deadpool manager: it finds the process, asks for its identity and its limits, and has the ledger enrol it.
//! Must never hand out a connection to a process that was not enrolled.

use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Pool, RecycleError, RecycleResult};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionInfo, RedisError, Script, Value};
use tokio::time::timeout;

use super::address::{Node, at, node, unreadable};
use super::connection::Stamped;
use super::fault::Fault;
use super::key::{ATTEMPTS, LEDGER, SESSION, probe};
use super::process::{Replication, evicting, is_cluster, run_id, shard};
use super::sentinel::Sentinels;
use super::{Fence, LiveConfig, LiveError};
use crate::domain::Process;

/// Connections that all workers share.
pub(super) type StampedPool = Pool<StampedManager>;

/// How to find the process.
pub(super) enum Target {
    /// It is at this address.
    Server(ConnectionInfo),
    /// The address that the Sentinels name.
    Sentinels(Arc<Sentinels>, ConnectionInfo),
    /// This address, of a node of a cluster.
    Node(ConnectionInfo),
}

/// A pool of connections to the target.
pub(super) fn pool(config: &LiveConfig, fence: Arc<dyn Fence>, target: Target) -> Result<StampedPool, LiveError> {
    StampedPool::builder(StampedManager::new(config, fence, target)?)
        .max_size(config.pool_size.max(1))
        .wait_timeout(Some(config.connect_timeout))
        .recycle_timeout(Some(config.command_timeout))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| LiveError::Down(error.to_string()))
}

/// Makes stamped connections, each on its caller's runtime.
pub(super) struct StampedManager {
    target: Target,
    /// To the server itself, or to the master unless the Sentinels name another address.
    redis: deadpool_redis::Manager,
    timeouts: AsyncConnectionConfig,
    fence: Arc<dyn Fence>,
    script: Script,
    database: i64,
    prefix: String,
    patience: Duration,
    fence_patience: Duration,
    /// The run of the last process whose eviction policy was logged.
    warned: Mutex<Option<String>>,
}

/// The facts about a process before the ledger is asked.
struct FoundProcess {
    redis: MultiplexedConnection,
    process: Process,
    solo: bool,
    elected: Option<(Arc<Sentinels>, Node)>,
}

impl StampedManager {
    fn new(config: &LiveConfig, fence: Arc<dyn Fence>, target: Target) -> Result<Self, LiveError> {
        let (Target::Server(info) | Target::Sentinels(_, info) | Target::Node(info)) = &target;
        let timeouts = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout))
            .set_response_timeout(Some(config.command_timeout));
        let manager = deadpool_redis::Manager::new_with_config(info.clone(), timeouts.clone());
        Ok(Self {
            database: info.redis_settings().db(),
            redis: manager.map_err(|error| unreadable(&error))?,
            timeouts,
            fence,
            script: compare_and_set(),
            prefix: config.prefix.clone(),
            patience: config.connect_timeout,
            fence_patience: config.fence_timeout,
            warned: Mutex::default(),
            target,
        })
    }

    /// Connects, and identifies the process.
    async fn find(&self) -> Result<FoundProcess, LiveError> {
        let (mut redis, elected) = self.dial().await?;
        let mut questions = redis::pipe();
        questions.cmd("INFO").arg("server").cmd("INFO").arg("server").cmd("INFO").arg("server");
        questions.cmd("INFO").arg("replication").cmd("INFO").arg("memory");
        let (server, again, once_more, replication, memory): (String, String, String, String, String) =
            questions.query_async(&mut redis).await.map_err(refused)?;
        self.fitting(&server)?;
        let (Some(own), Some(replication)) = (run_id(&server), Replication::parse(&replication)) else {
            return Err(fenced("its INFO does not identify the process"));
        };
        if [again, once_more].iter().any(|other| run_id(other).as_ref() != Some(&own)) {
            return Err(fenced(
                "several Redis processes behind a proxy answer over one connection, so a record could outlive its \
                 deletion: name the server itself in REDIS_URL, or use redis+sentinel://",
            ));
        }
        if !replication.master {
            return Err(fenced("it is a replica"));
        }
        let shard = match self.target {
            Target::Node(_) => Some(own_shard(&mut redis).await?),
            Target::Server(_) | Target::Sentinels(..) => None,
        };
        // A server that would refuse reads refuses this one: then there is no connection, and the worker connection
        // backs off.
        for kind in [SESSION, LEDGER] {
            let key = probe(&self.prefix, kind, shard.as_ref().map(|shard| &shard.slots));
            self.try_out(&mut redis, &key).await?;
        }
        self.warn_of_evictions(&own, &memory);
        let solo = replication.solo && matches!(self.target, Target::Server(_));
        let (replid, database, prefix) = (replication.replid, self.database, self.prefix.clone());
        Ok(FoundProcess { redis, process: Process { run_id: own, replid, database, prefix, shard }, solo, elected })
    }

    /// Tries each request's command once, on a key of no session. A full server may refuse the write.
    async fn try_out(&self, redis: &mut MultiplexedConnection, key: &str) -> Result<(), LiveError> {
        redis::cmd("GETEX").arg(key).exec_async(redis).await.map_err(refused)?;
        let mut write = self.script.key(key);
        match write.arg("").arg("-").arg(1).invoke_async::<Value>(redis).await.map_err(refused) {
            // The script found nothing there and yet stored nothing: it lacks the right to read.
            Ok(Value::BulkString(stands)) if stands.is_empty() => return Err(LiveError::Refused("NOPERM".to_owned())),
            Ok(_) => {}
            Err(LiveError::Refused(code)) if code == "OOM" => {}
            Err(error) => return Err(error),
        }
        redis::cmd("DEL").arg(key).exec_async(redis).await.map_err(refused)
    }

    /// Logs once for each process that it may evict the position of a ledger.
    fn warn_of_evictions(&self, run: &str, memory: &str) {
        let Some(policy) = evicting(memory) else { return };
        let mut warned = self.warned.lock();
        if warned.replace(run.to_owned()).as_deref() != Some(run) {
            log::warn!(
                "Redis may evict {}{LEDGER}…, because its maxmemory-policy is {policy}, and then nodes do not notice \
                 an older copy of the database; set noeviction or volatile-ttl",
                self.prefix
            );
        }
    }

    async fn dial(&self) -> Result<(MultiplexedConnection, Option<(Arc<Sentinels>, Node)>), LiveError> {
        let Target::Sentinels(sentinels, like) = &self.target else {
            return Ok((self.redis.create().await.map_err(refused)?, None));
        };
        let master = sentinels.master().await?;
        let manager = deadpool_redis::Manager::new_with_config(at(like, &master), self.timeouts.clone());
        let redis = manager.map_err(refused)?.create().await.map_err(refused)?;
        Ok((redis, Some((Arc::clone(sentinels), master))))
    }

    /// Whether the server is of the kind that the URL names.
    fn fitting(&self, server: &str) -> Result<(), LiveError> {
        match (&self.target, is_cluster(server)) {
            (Target::Node(_), false) => Err(fenced(
                "it is not a node of a Redis Cluster, but REDIS_URL names several servers: name one, or use \
                redis+sentinel:// for one with replicas",
            )),
            (Target::Server(_) | Target::Sentinels(..), true) => Err(fenced(
                "it is a node of a Redis Cluster: name several of its nodes in REDIS_URL, redis://… separated by \
                 commas (the only node of a cluster twice)",
            )),
            _ => Ok(()),
        }
    }
}

impl Manager for StampedManager {
    type Type = Arc<Stamped>;
    type Error = LiveError;

    async fn create(&self) -> Result<Arc<Stamped>, LiveError> {
        // In a box: every operation's future would otherwise have room for a connection attempt.
        let found = timeout(self.patience, Box::pin(self.find())).await;
        let found = found.map_err(|_| LiveError::Timeout)?;
        let FoundProcess { redis, process, solo, elected } = found.map_err(|error| advised(error, &self.prefix))?;
        let enrolled = timeout(self.fence_patience, self.fence.enroll(process.clone())).await;
        let enrolled = enrolled
            .map_err(|_| fenced("the ledger did not approve it in time"))?
            .map_err(|error| LiveError::FencedOff(error.to_string()))?;
        let alone = matches!(self.target, Target::Server(_));
        enrolled.lease.set_solo(solo);
        Ok(Stamped::new(redis, enrolled, process, elected, alone))
    }

    /// Rejects a broken connection, and one whose runtime is gone: without its driver it cannot answer.
    async fn recycle(&self, connection: &mut Arc<Stamped>, metrics: &Metrics) -> RecycleResult<LiveError> {
        if !connection.usable() {
            return Err(RecycleError::message("broken, or of a retired process"));
        }
        let answered = self.redis.recycle(&mut connection.redis(), metrics).await;
        answered.map_err(|error| RecycleError::message(error.to_string()))
    }
}

impl Target {
    /// The address that the URL names, if it is of a server.
    pub(super) fn of_server(info: ConnectionInfo) -> Result<Self, LiveError> {
        let usable = node(&info).is_some();
        let socket = || LiveError::BadUrl("it names no host".to_owned());
        if usable { Ok(Self::Server(info)) } else { Err(socket()) }
    }
}

async fn own_shard(redis: &mut MultiplexedConnection) -> Result<crate::domain::Shard, LiveError> {
    let nodes: String = redis::cmd("CLUSTER").arg("NODES").query_async(redis).await.map_err(refused)?;
    shard(&nodes).ok_or_else(|| fenced("it serves no slot of its cluster"))
}

/// The script that writes every record.
pub(super) fn compare_and_set() -> Script {
    Script::new(include_str!("lua/compare_and_set.lua"))
}

/// Adds advice on a wrong password, a missing right or a missing command.
fn advised(error: LiveError, prefix: &str) -> LiveError {
    match error {
        LiveError::Refused(code) if code.starts_with("ERR unknown command") => {
            fenced("it lacks a required command: it must be Redis 6.2 or later, without renamed commands")
        }
        LiveError::Refused(code) if code == "NOPERM" || code.starts_with("ERR The user executing") => fenced(&format!(
            "its user lacks a permission: grant it with ACL SETUSER … ~{prefix}{SESSION}* ~{prefix}{LEDGER}* \
             ~{prefix}{ATTEMPTS}* &{prefix}changed &{prefix}near:* +info +ping +unwatch +getex +get +set +del +evalsha +script|load \
             +publish +subscribe +hgetall +hsetnx +hdel +incrby +pexpire +cluster|nodes +cluster|slots +cluster|info",
        )),
        LiveError::Refused(code) if code == "WRONGPASS" || code == "NOAUTH" => fenced(&format!(
            "it does not accept the user and the password of REDIS_URL ({code}): write redis://USER:PASSWORD@…"
        )),
        other => other,
    }
}

fn fenced(why: &str) -> LiveError {
    LiveError::FencedOff(why.to_owned())
}

fn refused(error: RedisError) -> LiveError {
    Fault::from(error).error
}
