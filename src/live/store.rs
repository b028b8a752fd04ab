//! Store: the records, as the service layer calls them.
//!
//! Owns [`Live`], and the decision whether to trust a text. Must never write a record except through the
//! compare-and-set script.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join_all, try_join_all};
use redis::Script;

use super::address::{Node, Topology};
use super::cluster::Cluster;
use super::connection::Stamped;
use super::key::{Key, LEDGER};
use super::listener::Post;
use super::manager::{Target, compare_and_set, pool};
use super::record::{is_lease, lease_text};
use super::route::{Route, WorkerConnections};
use super::sentinel::Sentinels;
use super::{Doubt, Fence, Lease, LiveConfig, LiveError, Marker, NewRecord, Record, Seen, SeenRecord, Taken};
use crate::domain::{Clock, HistoryPosition, Lineage, Nonce, Stamp, SystemRandom, Timestamp, TokenHash, random};

/// How long a fill may take to read the ledger.
const LEASE_LIFETIME: Duration = Duration::from_secs(5);

/// Longer than any session in an older copy of a ledger can live: the settings allow at most 400 days.
const MARKER_LIFETIME: Duration = Duration::from_secs(401 * 24 * 60 * 60);

/// The length of a connection attempt, at most, as a multiple of its timeout.
const ATTEMPTS: u32 = 2;

/// The records of live sessions. Clones share one connection: each worker has its own family of clones.
#[derive(Clone)]
pub struct Live {
    pub(super) shared: Arc<Shared>,
    pub(super) connections: Arc<WorkerConnections>,
}

pub(super) struct Shared {
    pub(super) route: Arc<Route>,
    clock: Arc<dyn Clock>,
    script: Script,
    pub(super) prefix: String,
    /// Longer than a connection attempt can take.
    patience: Duration,
    /// The sender's name in this node's messages, so that it recognises its own.
    pub(super) own: Arc<str>,
    /// Where other nodes' messages arrive.
    pub(super) post: Post,
    pub(super) config: LiveConfig,
    /// Whether the log says that announcements are refused.
    pub(super) muted: AtomicBool,
}

impl Live {
    /// Prepares the store; connects to nothing yet.
    pub fn open(config: LiveConfig, fence: Arc<dyn Fence>, clock: Arc<dyn Clock>) -> Result<Self, LiveError> {
        let patience = config.connect_timeout.saturating_mul(ATTEMPTS).saturating_add(config.fence_timeout);
        let (route, post) = route(&config, fence, &clock)?;
        let (route, script, own) = (Arc::new(route), compare_and_set(), own_name());
        let (prefix, muted) = (config.prefix.clone(), AtomicBool::default());
        let shared = Arc::new(Shared { route, clock, script, prefix, patience, own, post, config, muted });
        Ok(Self { connections: shared.connections(), shared })
    }

    /// The same store for another worker, with its own connection.
    #[must_use]
    pub fn for_worker(&self) -> Self {
        Self { connections: self.shared.connections(), shared: Arc::clone(&self.shared) }
    }

    /// Reads the record of a token hash with one `GETEX`.
    pub async fn read(&self, hash: &TokenHash, now: Timestamp) -> Result<Seen, LiveError> {
        match self.read_once(hash, now).await {
            Err(error) if self.shared.route.corrected_after(&error).await => self.read_once(hash, now).await,
            answer => answer,
        }
    }

    async fn read_once(&self, hash: &TokenHash, now: Timestamp) -> Result<Seen, LiveError> {
        let connection = self.connection(hash).await?;
        let text = connection.text(self.key(hash)).await?;
        Ok(self.judge(connection, hash, text, now))
    }

    /// Takes the lease of a fill, if the doubted text is still there. Never replaces another fill's lease, nor a record
    /// that may be trusted.
    pub async fn take(&self, hash: &TokenHash, nonce: Nonce, doubt: &Doubt) -> Result<Taken, LiveError> {
        let connection = self.connection(hash).await?;
        let lease = Lease { hash: *hash, text: lease_text(nonce), connection };
        let stands = self.swap(&lease.connection, hash, [doubt.expected(), &lease.text], LEASE_LIFETIME).await?;
        if stands.is_none() {
            return Ok(Taken::Lease(lease));
        }
        Ok(match self.judge(lease.connection, hash, stands, self.shared.clock.now()) {
            Seen::Record(seen) => Taken::Record(seen),
            Seen::Doubt(_) => Taken::Busy,
        })
    }

    /// Puts the record in the place of the lease. False when the lease is gone: the session may have ended meanwhile,
    /// and nothing was stored.
    pub async fn put(&self, lease: Lease, record: &NewRecord, now: Timestamp) -> Result<bool, LiveError> {
        let Lease { hash, text, connection } = lease;
        still_usable(&connection)?;
        let record = record.stamped(connection.stamp());
        self.replace(&connection, &hash, &text, &record, now).await
    }

    /// Writes a new last-seen time and address into a record, if it is still the very record that was read. Otherwise
    /// false, and nothing is created.
    pub async fn touch(
        &self,
        seen: &SeenRecord,
        last_seen: Timestamp,
        ip: IpAddr,
        now: Timestamp,
    ) -> Result<bool, LiveError> {
        still_usable(&seen.connection)?;
        let record = Record { last_seen, ip, ..seen.record.clone() };
        self.replace(&seen.connection, &seen.hash, &seen.text, &record, now).await
    }

    /// Deletes the texts at the token hashes. Returns the stamps of the processes that they were deleted from, one or,
    /// in a cluster, one for each master: the caller asks the ledger whether all of them are still current. Deleting
    /// nothing is no error.
    pub async fn delete(&self, hashes: &[TokenHash]) -> Result<Vec<Stamp>, LiveError> {
        let keys: Vec<Key<'_>> = hashes.iter().map(|hash| self.key(hash)).collect();
        let (route, patience) = (&self.shared.route, self.shared.patience);
        match route.delete(&keys, patience).await {
            Err(error) if route.corrected_after(&error).await => route.delete(&keys, patience).await,
            answer => answer,
        }
    }

    /// The positions of token hashes, grouped by the process that holds their keys: each group is deleted completely or
    /// not at all, independently of the others.
    pub async fn shares(&self, hashes: &[TokenHash]) -> Vec<Vec<usize>> {
        let mut shares: HashMap<Option<Arc<Node>>, Vec<usize>> = HashMap::new();
        for (position, hash) in hashes.iter().enumerate() {
            shares.entry(self.shared.route.home(self.key(hash)).await).or_default().push(position);
        }
        shares.into_values().collect()
    }

    /// Reads many records at once, for a list: none where there is no trusted record, or no answer.
    pub async fn read_many(&self, hashes: &[TokenHash], now: Timestamp) -> Vec<Option<Record>> {
        let read = async |hash| match self.read(hash, now).await {
            Ok(Seen::Record(seen)) => Some(seen.record),
            _ => None,
        };
        join_all(hashes.iter().map(read)).await
    }

    /// When the sessions of these token hashes were last used, over or not: none where there is no trusted record.
    pub async fn last_uses(&self, hashes: &[TokenHash], now: Timestamp) -> Vec<Option<Timestamp>> {
        let read = async |hash| match self.read(hash, now).await {
            Ok(Seen::Record(seen)) => Some(seen.record.last_seen),
            Ok(Seen::Doubt(doubt)) => doubt.stale.map(|record| record.last_seen),
            Err(_) => None,
        };
        join_all(hashes.iter().map(read)).await
    }

    /// The key of a ledger's marker, for the log.
    pub fn marker_key(&self, ledger: &Lineage) -> String {
        format!("{}{LEDGER}{ledger}", self.shared.prefix)
    }

    /// Reads how far a ledger has been seen to come.
    pub async fn marker(&self, ledger: &Lineage) -> Result<Marker, LiveError> {
        match self.marker_once(ledger).await {
            Err(error) if self.shared.route.corrected_after(&error).await => self.marker_once(ledger).await,
            answer => answer,
        }
    }

    async fn marker_once(&self, ledger: &Lineage) -> Result<Marker, LiveError> {
        let key = Key::ledger(&self.shared.prefix, ledger);
        let connection = self.connections.connection(key).await?;
        Ok(Marker::of(connection.text(key).await?))
    }

    /// Records how far a ledger has come, if the text that was read is still there: false when another node was faster.
    pub async fn note_position(
        &self,
        ledger: &Lineage,
        seen: &Marker,
        position: &HistoryPosition,
    ) -> Result<bool, LiveError> {
        self.replace_marker(ledger, seen, &Marker::text_of(position, false)).await
    }

    /// Records that an older copy was seen in the place of this history, if the text that was read is still there.
    pub async fn doubt(&self, ledger: &Lineage, seen: &Marker) -> Result<bool, LiveError> {
        let Some(position) = &seen.position else { return Ok(false) };
        self.replace_marker(ledger, seen, &Marker::text_of(position, true)).await
    }

    async fn replace_marker(&self, ledger: &Lineage, seen: &Marker, text: &[u8]) -> Result<bool, LiveError> {
        let key = Key::ledger(&self.shared.prefix, ledger);
        let connection = self.connections.connection(key).await?;
        let texts = [seen.text(), text];
        Ok(connection.compare_and_set(&self.shared.script, key, texts, MARKER_LIFETIME).await?.is_none())
    }

    /// Whether Redis answers; in a cluster, every master.
    pub async fn ping(&self) -> Result<(), LiveError> {
        let connections = self.connections.all().boxed().await?;
        try_join_all(connections.iter().map(|connection| connection.ping())).await?;
        Ok(())
    }

    async fn connection(&self, hash: &TokenHash) -> Result<Arc<Stamped>, LiveError> {
        self.connections.connection(self.key(hash)).await
    }

    fn key<'a>(&'a self, hash: &'a TokenHash) -> Key<'a> {
        Key::session(&self.shared.prefix, hash)
    }

    fn judge(&self, connection: Arc<Stamped>, hash: &TokenHash, text: Option<Vec<u8>>, now: Timestamp) -> Seen {
        let Some(text) = text else { return Seen::Doubt(Doubt::default()) };
        match self.trusted(&connection, hash, &text) {
            // Its last-seen time proves nothing: a wrong clock wrote it, and each check would count as the last use.
            Some(record) if record.deadlines().are_yet_to_come(now) => {
                Seen::Doubt(Doubt { stale: None, text: Some(text) })
            }
            Some(record) if record.deadlines().hold(now) => {
                Seen::Record(SeenRecord { record, hash: *hash, text, connection })
            }
            stale => Seen::Doubt(Doubt { stale, text: Some(text) }),
        }
    }

    /// The record, if it was written to the process that it was read from, for this token hash, and that process is
    /// trusted now.
    fn trusted(&self, connection: &Stamped, hash: &TokenHash, text: &[u8]) -> Option<Record> {
        let record = Record::parse(text, hash)?;
        let fits = record.stamp == connection.stamp();
        (fits && connection.trusted(self.shared.clock.monotonic())).then_some(record)
    }

    async fn replace(
        &self,
        connection: &Stamped,
        hash: &TokenHash,
        expected: &[u8],
        record: &Record,
        now: Timestamp,
    ) -> Result<bool, LiveError> {
        let lifetime = record.deadlines().record_lifetime(now).max(Duration::from_millis(1));
        let stands = self.swap(connection, hash, [expected, record.to_text(hash).as_bytes()], lifetime).await?;
        Ok(stands.is_none())
    }

    async fn swap(
        &self,
        connection: &Stamped,
        hash: &TokenHash,
        texts: [&[u8]; 2],
        lifetime: Duration,
    ) -> Result<Option<Vec<u8>>, LiveError> {
        connection.compare_and_set(&self.shared.script, self.key(hash), texts, lifetime).await
    }
}

impl Shared {
    fn connections(&self) -> Arc<WorkerConnections> {
        Arc::new(WorkerConnections::new(Arc::clone(&self.route), Arc::clone(&self.clock), self.patience))
    }
}

/// The route to the server that the URL names, and where to listen there.
fn route(config: &LiveConfig, fence: Arc<dyn Fence>, clock: &Arc<dyn Clock>) -> Result<(Route, Post), LiveError> {
    let (target, post) = match Topology::parse(&config.url)? {
        Topology::Server(info) => (Target::of_server(info.clone())?, Post::Server(info)),
        Topology::Sentinels { sentinels, service, master } => {
            let sentinels = Arc::new(Sentinels::new(sentinels, service, config, Arc::clone(clock)));
            let post = Post::Sentinels(Arc::clone(&sentinels), master.clone());
            (Target::Sentinels(sentinels, master), post)
        }
        Topology::Cluster(seeds) => {
            let cluster = Arc::new(Cluster::new(seeds, config, fence, Arc::clone(clock)));
            return Ok((Route::Cluster(Arc::clone(&cluster)), Post::Cluster(cluster)));
        }
    };
    Ok((Route::Whole(pool(config, fence, target)?), post))
}

/// A unique name for this node.
fn own_name() -> Arc<str> {
    format!("{:016x}", u64::from_be_bytes(random::bytes(&SystemRandom))).into()
}

impl Doubt {
    /// The text that a fill may replace; empty means none. It may not replace another fill's lease, so it expects that
    /// the lease is gone by now.
    fn expected(&self) -> &[u8] {
        self.text.as_deref().filter(|text| !is_lease(text)).unwrap_or_default()
    }
}

fn still_usable(connection: &Stamped) -> Result<(), LiveError> {
    let given_up = || LiveError::Down("the connection was closed meanwhile".to_owned());
    if connection.usable() { Ok(()) } else { Err(given_up()) }
}
