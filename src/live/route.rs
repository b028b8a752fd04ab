//! Route: which connection a key uses.
//!
//! Owns a worker's connections: one, or one for each master of a cluster. Must never send a key to a process that may
//! not answer for the key's slot.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::PoolError;
use futures_util::FutureExt;
use futures_util::future::{join_all, select_ok, try_join_all};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::LiveError;
use super::address::Node;
use super::cluster::Cluster;
use super::connection::Stamped;
use super::key::Key;
use super::manager::StampedPool;
use super::worker_connection::WorkerConnection;
use crate::domain::{Clock, Stamp};

/// The process for a key.
pub(super) enum Route {
    /// One process for all keys.
    Whole(StampedPool),
    /// A master for each slot.
    Cluster(Arc<Cluster>),
}

/// One worker's connections.
pub(super) struct WorkerConnections {
    route: Arc<Route>,
    clock: Arc<dyn Clock>,
    /// Longer than a connection attempt can take.
    patience: Duration,
    whole: Option<WorkerConnection>,
    by_master: Mutex<HashMap<Arc<Node>, Arc<WorkerConnection>>>,
}

impl WorkerConnections {
    /// Worker connections that are not open yet.
    pub(super) fn new(route: Arc<Route>, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        let whole = match &*route {
            Route::Whole(pool) => Some(WorkerConnection::new(pool.clone(), Arc::clone(&clock), patience)),
            Route::Cluster(_) => None,
        };
        Self { route, clock, patience, whole, by_master: Mutex::default() }
    }

    /// The connection to the process for the key.
    pub(super) async fn connection(&self, key: Key<'_>) -> Result<Arc<Stamped>, LiveError> {
        match (&*self.route, &self.whole) {
            (Route::Cluster(cluster), _) => self.in_cluster(cluster, key.slot()).boxed().await,
            (_, Some(own)) => own.connection().await,
            (_, None) => Err(LiveError::Down("there is no worker connection".to_owned())),
        }
    }

    /// Connections to all processes.
    pub(super) async fn all(&self) -> Result<Vec<Arc<Stamped>>, LiveError> {
        match (&*self.route, &self.whole) {
            (Route::Cluster(cluster), _) => {
                let masters = cluster.masters().await?;
                let connections = masters.iter().map(|master| self.connection_to(cluster, master));
                let connections = connections.collect::<Result<Vec<_>, _>>()?;
                try_join_all(connections.iter().map(|own| own.connection())).await
            }
            (_, Some(own)) => Ok(vec![own.connection().await?]),
            (_, None) => Ok(Vec::new()),
        }
    }

    /// A connection to any process: an open one, or the first that can be opened.
    pub(super) async fn any(&self) -> Result<Arc<Stamped>, LiveError> {
        match (&*self.route, &self.whole) {
            (Route::Cluster(cluster), _) => {
                let masters = cluster.masters().await?;
                let connections = masters.iter().map(|master| self.connection_to(cluster, master));
                let connections = connections.collect::<Result<Vec<_>, _>>()?;
                if let Some(connection) = connections.iter().find_map(|own| own.parked()) {
                    return Ok(connection);
                }
                let (connection, _) = select_ok(connections.iter().map(|own| own.connection().boxed())).await?;
                Ok(connection)
            }
            (_, Some(own)) => own.connection().await,
            (_, None) => Err(LiveError::Down("there is no worker connection".to_owned())),
        }
    }

    async fn in_cluster(&self, cluster: &Arc<Cluster>, slot: u16) -> Result<Arc<Stamped>, LiveError> {
        let master = cluster.owner(slot).await?;
        let connection = self.connection_to(cluster, &master)?.connection().await;
        let fitting = connection.and_then(|connection| serving(connection, [slot]));
        if fitting.is_err() {
            cluster.refresh_behind();
        }
        fitting
    }

    fn connection_to(&self, cluster: &Cluster, master: &Arc<Node>) -> Result<Arc<WorkerConnection>, LiveError> {
        let mut connections = self.by_master.lock();
        if let Some(own) = connections.get(master) {
            return Ok(Arc::clone(own));
        }
        connections.retain(|master, _| cluster.knows(master));
        let own = Arc::new(WorkerConnection::new(cluster.pool(master)?, Arc::clone(&self.clock), self.patience));
        connections.insert(Arc::clone(master), Arc::clone(&own));
        Ok(own)
    }
}

impl Route {
    /// Whether to repeat the query after this error.
    pub(super) async fn corrected_after(&self, error: &LiveError) -> bool {
        match self {
            Self::Cluster(cluster) if *error == LiveError::Refused("MOVED".to_owned()) => {
                cluster.refresh().boxed().await;
                true
            }
            _ => false,
        }
    }

    /// The process that a key is deleted from, as far as known: keys with the same one succeed or fail together.
    pub(super) async fn home(&self, key: Key<'_>) -> Option<Arc<Node>> {
        match self {
            Self::Whole(_) => None,
            Self::Cluster(cluster) => cluster.owner(key.slot()).boxed().await.ok(),
        }
    }

    /// Deletes each key on its process. Returns the stamps of those processes.
    pub(super) async fn delete(&self, keys: &[Key<'_>], patience: Duration) -> Result<Vec<Stamp>, LiveError> {
        let deleted = match self {
            Self::Whole(pool) => Ok(vec![delete(pool, keys, &[], patience).boxed().await?]),
            Self::Cluster(cluster) => delete_in(cluster, keys, patience).boxed().await,
        };
        if let (Self::Cluster(cluster), Err(_)) = (self, &deleted) {
            cluster.refresh_behind();
        }
        deleted
    }
}

/// Deletes each master's keys separately, on all masters at once: a silent master does not stop the others.
async fn delete_in(cluster: &Cluster, keys: &[Key<'_>], patience: Duration) -> Result<Vec<Stamp>, LiveError> {
    let mut shares: HashMap<Arc<Node>, (Vec<Key<'_>>, Vec<u16>)> = HashMap::new();
    for key in keys {
        let slot = key.slot();
        let (keys, slots) = shares.entry(cluster.owner(slot).await?).or_default();
        keys.push(*key);
        slots.push(slot);
    }
    let delete = async |(master, (keys, slots)): (Arc<Node>, (Vec<Key<'_>>, Vec<u16>))| {
        delete(&cluster.pool(&master)?, &keys, &slots, patience).await
    };
    join_all(shares.into_iter().map(delete)).await.into_iter().collect()
}

async fn delete(pool: &StampedPool, keys: &[Key<'_>], slots: &[u16], patience: Duration) -> Result<Stamp, LiveError> {
    let checkout = timeout(patience, pool.get()).await;
    let connection = checkout.map_err(|_| LiveError::Timeout)?.map_err(no_connection)?;
    let connection = serving(Arc::clone(&connection), slots.iter().copied())?;
    connection.delete(keys).await?;
    Ok(connection.stamp())
}

/// The connection, if its process may answer for all of these slots. A process with other slots proves nothing.
fn serving(connection: Arc<Stamped>, slots: impl IntoIterator<Item = u16>) -> Result<Arc<Stamped>, LiveError> {
    let all = slots.into_iter().all(|slot| connection.serves(slot));
    let other = || LiveError::Down("the slots of the cluster have moved".to_owned());
    if all { Ok(connection) } else { Err(other()) }
}

fn no_connection(error: PoolError<LiveError>) -> LiveError {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(_) => LiveError::Timeout,
        other => LiveError::Down(other.to_string()),
    }
}
