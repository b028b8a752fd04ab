//! The store of records: what the service layer calls.
//!
//! Owns [`Live`], and the judgement whether a text is to be believed. Must never write a record but through the
//! compare-and-set script.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join_all, try_join_all};
use redis::Script;

use super::address::{Node, Place};
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

/// How long a fill has for reading the ledger.
const LEASE_LIFETIME: Duration = Duration::from_secs(5);

/// Longer than any session that an older copy of a ledger may hold can live: 400 days are the most that can be set.
const MARKER_LIFETIME: Duration = Duration::from_secs(401 * 24 * 60 * 60);

/// Longer than connecting can last, counted in its time-outs.
const ATTEMPTS: u32 = 2;

/// The records of live sessions. Clones share one connection: one clone family for each worker.
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
    /// Longer than making a connection can last.
    patience: Duration,
    /// What this node signs what it says with, so that it knows its own words.
    pub(super) own: Arc<str>,
    /// Where what others say is heard.
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

    /// The same store for another worker, with a connection of its own.
    #[must_use]
    pub fn for_worker(&self) -> Self {
        Self { connections: self.shared.connections(), shared: Arc::clone(&self.shared) }
    }

    /// Reads the record of a token hash: one `GETEX`, and nothing else.
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

    /// Takes the lease of a fill, if what stands there is still what was doubted. Another fill's lease is never
    /// taken from it, and neither is a record that may be believed.
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

    /// Puts the record in the place of the lease. False when the lease does not stand there any more: the session
    /// may have ended meanwhile, and nothing was stored.
    pub async fn put(&self, lease: Lease, record: &NewRecord, now: Timestamp) -> Result<bool, LiveError> {
        let Lease { hash, text, connection } = lease;
        still_usable(&connection)?;
        let record = record.stamped(connection.stamp());
        self.replace(&connection, &hash, &text, &record, now).await
    }

    /// Writes a new last-seen time and address into a record, if it is still the very record that was read. False
    /// when it is not; nothing is created then.
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

    /// Deletes whatever stands at the token hashes. Gives the stamps of the processes that it was deleted from, one
    /// or, in a cluster, one for each master: the caller asks the ledger whether all of them may still speak.
    /// Deleting nothing is no error.
    pub async fn delete(&self, hashes: &[TokenHash]) -> Result<Vec<Stamp>, LiveError> {
        let keys: Vec<Key<'_>> = hashes.iter().map(|hash| self.key(hash)).collect();
        let (route, patience) = (&self.shared.route, self.shared.patience);
        match route.delete(&keys, patience).await {
            Err(error) if route.corrected_after(&error).await => route.delete(&keys, patience).await,
            answer => answer,
        }
    }

    /// The positions of token hashes, together where one process holds what they name: such a share is deleted whole
    /// or not at all, whatever becomes of the others.
    pub async fn shares(&self, hashes: &[TokenHash]) -> Vec<Vec<usize>> {
        let mut shares: HashMap<Option<Arc<Node>>, Vec<usize>> = HashMap::new();
        for (position, hash) in hashes.iter().enumerate() {
            shares.entry(self.shared.route.home(self.key(hash)).await).or_default().push(position);
        }
        shares.into_values().collect()
    }

    /// Reads many records at once, for a list: none wherever there is no record to believe, or no answer.
    pub async fn read_many(&self, hashes: &[TokenHash], now: Timestamp) -> Vec<Option<Record>> {
        let read = async |hash| match self.read(hash, now).await {
            Ok(Seen::Record(seen)) => Some(seen.record),
            _ => None,
        };
        join_all(hashes.iter().map(read)).await
    }

    /// When the sessions of these token hashes were last used, over or not: none wherever no record is to be believed.
    pub async fn last_uses(&self, hashes: &[TokenHash], now: Timestamp) -> Vec<Option<Timestamp>> {
        let read = async |hash| match self.read(hash, now).await {
            Ok(Seen::Record(seen)) => Some(seen.record.last_seen),
            Ok(Seen::Doubt(doubt)) => doubt.stale.map(|record| record.last_seen),
            Err(_) => None,
        };
        join_all(hashes.iter().map(read)).await
    }

    /// The key of what a ledger has been seen to come to, for the log.
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

    /// Notes how far a ledger has come, if what was read still stands there: false when another node was faster.
    pub async fn mark(&self, ledger: &Lineage, seen: &Marker, mark: &HistoryPosition) -> Result<bool, LiveError> {
        self.replace_marker(ledger, seen, &Marker::text_of(mark, false)).await
    }

    /// Notes that an older copy was seen in the place of this history, if what was read still stands there.
    pub async fn doubt(&self, ledger: &Lineage, seen: &Marker) -> Result<bool, LiveError> {
        let Some(mark) = &seen.mark else { return Ok(false) };
        self.replace_marker(ledger, seen, &Marker::text_of(mark, true)).await
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
            // Nor a witness: a wrong clock wrote it, and each check would count as the last use.
            Some(record) if record.deadlines().are_yet_to_come(now) => {
                Seen::Doubt(Doubt { stale: None, text: Some(text) })
            }
            Some(record) if record.deadlines().hold(now) => {
                Seen::Record(SeenRecord { record, hash: *hash, text, connection })
            }
            stale => Seen::Doubt(Doubt { stale, text: Some(text) }),
        }
    }

    /// The record, if it was written to the process that it was read from, for this token hash, and that process
    /// may speak now.
    fn trusted(&self, connection: &Stamped, hash: &TokenHash, text: &[u8]) -> Option<Record> {
        let record = Record::parse(text, hash)?;
        let fits = record.stamp == connection.stamp();
        (fits && connection.believed(self.shared.clock.monotonic())).then_some(record)
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

/// The way to what the URL names, and where to listen there.
fn route(config: &LiveConfig, fence: Arc<dyn Fence>, clock: &Arc<dyn Clock>) -> Result<(Route, Post), LiveError> {
    let (target, post) = match Place::parse(&config.url)? {
        Place::Server(info) => (Target::of_server(info.clone())?, Post::Server(info)),
        Place::Sentinels { sentinels, service, master } => {
            let sentinels = Arc::new(Sentinels::new(sentinels, service, config, Arc::clone(clock)));
            let post = Post::Sentinels(Arc::clone(&sentinels), master.clone());
            (Target::Sentinels(sentinels, master), post)
        }
        Place::Cluster(seeds) => {
            let cluster = Arc::new(Cluster::new(seeds, config, fence, Arc::clone(clock)));
            return Ok((Route::Cluster(Arc::clone(&cluster)), Post::Cluster(cluster)));
        }
    };
    Ok((Route::Whole(pool(config, fence, target)?), post))
}

/// A name that no other node has.
fn own_name() -> Arc<str> {
    format!("{:016x}", u64::from_be_bytes(random::bytes(&SystemRandom))).into()
}

impl Doubt {
    /// What a fill may replace; empty stands for nothing. Another fill's lease it may not, so it hopes that the
    /// lease is gone by now.
    fn expected(&self) -> &[u8] {
        self.text.as_deref().filter(|text| !is_lease(text)).unwrap_or_default()
    }
}

fn still_usable(connection: &Stamped) -> Result<(), LiveError> {
    let given_up = || LiveError::Down("the connection was given up meanwhile".to_owned());
    if connection.usable() { Ok(()) } else { Err(given_up()) }
}
