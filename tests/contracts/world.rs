//! What every test of `live` needs: a Redis, a fence, a clock, and sessions to remember.
//!
//! Owns the shorthands. Must never reach into Redis where the contract can be used instead, except to play the
//! part of a third party.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use sessiond::domain::{
    Clock, DeviceMark, MovableClock, Nonce, SessionId, SystemRandom, Timestamp, Token, TokenHash, UserId,
};
use sessiond::live::{Doubt, Lease, Live, LiveConfig, LiveError, NewRecord, Seen, SeenRecord, Taken};

use crate::contracts::fence::FakeFence;
use crate::support::redis::{Persistence, PrivateRedis};
use crate::support::topologies::{Servers, Topology};

const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const IP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// One Redis, of whatever shape, and one worker.
pub struct World {
    pub redis: Servers,
    pub fence: Arc<FakeFence>,
    pub clock: Arc<MovableClock>,
    pub live: Live,
}

impl World {
    pub fn new() -> Self {
        Self::over(PrivateRedis::start(), |_| ())
    }

    pub fn with(further: &[&str]) -> Self {
        Self::over(PrivateRedis::with(Persistence::None, further), |_| ())
    }

    pub fn on(topology: Topology) -> Self {
        // These tests time nothing, and the machine may be busy.
        Self::over_all(Servers::start(topology), |config| {
            (config.command_timeout, config.connect_timeout) = (5 * SECOND, 10 * SECOND);
        })
    }

    pub fn over(redis: PrivateRedis, configure: impl FnOnce(&mut LiveConfig)) -> Self {
        Self::over_all(Servers::one(redis), configure)
    }

    /// One more worker on servers that are there already. It owns none of them.
    pub fn beside(servers: &Servers) -> Self {
        Self::over_all(servers.borrowed(), |config| {
            (config.command_timeout, config.connect_timeout) = (5 * SECOND, 10 * SECOND);
        })
    }

    pub fn over_all(redis: Servers, configure: impl FnOnce(&mut LiveConfig)) -> Self {
        let clock = Arc::new(MovableClock::default());
        let fence = FakeFence::new(Arc::clone(&clock));
        let mut config = LiveConfig::new(redis.url());
        configure(&mut config);
        let live = Live::open(config, Arc::<FakeFence>::clone(&fence), Arc::<MovableClock>::clone(&clock)).unwrap();
        Self { redis, fence, clock, live }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A session of 30 minutes and 12 hours, used just now.
    pub fn session(&self) -> NewRecord {
        let session = SessionId::generate(self.clock.now(), &SystemRandom);
        NewRecord {
            session,
            user: UserId::generate(self.clock.now(), &SystemRandom),
            last_seen: self.now(),
            expires: self.now().plus(720 * MINUTE),
            idle: 30 * MINUTE,
            has_data: false,
            device: DeviceMark::UNKNOWN,
            proven_at: Some(session.made_at()),
            ip: IP,
            acting: None,
        }
    }

    /// A session that is on record.
    pub async fn on_record(&self) -> (TokenHash, NewRecord) {
        let (hash, record) = (hash(), self.session());
        self.fill(&hash, &record).await;
        (hash, record)
    }

    pub async fn fill(&self, hash: &TokenHash, record: &NewRecord) {
        let lease = self.lease(hash).await;
        assert!(self.live.put(lease, record, self.now()).await.unwrap(), "the record is put over the lease");
    }

    pub async fn read(&self, hash: &TokenHash) -> Result<Seen, LiveError> {
        self.live.read(hash, self.now()).await
    }

    pub async fn record(&self, hash: &TokenHash) -> SeenRecord {
        match self.read(hash).await.unwrap() {
            Seen::Record(seen) => seen,
            Seen::Doubt(doubt) => panic!("a record, not {doubt:?}"),
        }
    }

    pub async fn doubt(&self, hash: &TokenHash) -> Doubt {
        match self.read(hash).await.unwrap() {
            Seen::Doubt(doubt) => doubt,
            Seen::Record(seen) => panic!("a doubt, not {seen:?}"),
        }
    }

    pub async fn take(&self, hash: &TokenHash, doubt: &Doubt) -> Taken {
        self.live.take(hash, Nonce::generate(&SystemRandom), doubt).await.unwrap()
    }

    pub async fn lease(&self, hash: &TokenHash) -> Lease {
        let doubt = self.doubt(hash).await;
        self.lease_over(hash, &doubt).await
    }

    pub async fn lease_over(&self, hash: &TokenHash, doubt: &Doubt) -> Lease {
        match self.take(hash, doubt).await {
            Taken::Lease(lease) => lease,
            other => panic!("a lease, not {other:?}"),
        }
    }

    /// What a third party sees at the session's place.
    pub fn text(&self, hash: &TokenHash) -> Option<String> {
        self.at(hash).cli(&["GET", &key(hash)])
    }

    /// The master that serves the session.
    pub fn at(&self, hash: &TokenHash) -> &PrivateRedis {
        self.redis.of(&key(hash))
    }

    pub fn plant(&self, hash: &TokenHash, text: &str) {
        self.at(hash).cli::<()>(&["SET", &key(hash), text, "EX", "600"]);
    }

    pub fn remove(&self, hash: &TokenHash) {
        self.at(hash).cli::<()>(&["DEL", &key(hash)]);
    }

    /// Milliseconds to live; -1 without an end, -2 when there is no such key.
    pub fn time_to_live(&self, hash: &TokenHash) -> i64 {
        self.at(hash).cli(&["PTTL", &key(hash)])
    }
}

/// The hash of a token that nobody has.
pub fn hash() -> TokenHash {
    Token::generate(&SystemRandom).hash()
}

pub fn key(hash: &TokenHash) -> String {
    format!("session:{}", hash.to_base64url())
}

/// What `answer` gives, if it does so in this time.
pub async fn within<T>(bound: Duration, what: &str, answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(bound, answer).await.unwrap_or_else(|_| panic!("{what}: took longer than {bound:?}"))
}

/// Asks every 20 ms until it is so; five seconds at most.
pub async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    for _ in 0..250 {
        if is_so().await {
            return;
        }
        pause(20).await;
    }
    panic!("waited in vain: {what}");
}

pub async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Runs each test over a Redis of every shape, as `name::one`, `name::behind_tls`, `name::sentinel` and
/// `name::cluster`.
macro_rules! on_each_topology {
    ($(async fn $name:ident($world:ident: World) $body:block)+) => {$(
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "a body may need nothing from around it")]
            use super::*;
            use $crate::support::tls;
            use $crate::support::topologies::Topology;

            async fn body($world: World) $body

            #[tokio::test]
            async fn one() {
                body(World::on(Topology::One)).await;
            }

            #[tokio::test]
            async fn behind_tls() {
                if tls::trusting(concat!(module_path!(), "::behind_tls")) {
                    body(World::on(Topology::Tls)).await;
                }
            }

            #[tokio::test]
            async fn sentinel() {
                body(World::on(Topology::Sentinel)).await;
            }

            #[tokio::test]
            async fn cluster() {
                body(World::on(Topology::Cluster)).await;
            }
        }
    )+};
}
pub(crate) use on_each_topology;

/// Runs each test on both databases, as `name::sqlite` and `name::postgres`, with a `Fixture` of the file's own.
macro_rules! on_each_database {
    ($(async fn $name:ident($fixture:ident: Fixture) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn run($fixture: Fixture) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                run(Fixture::new(Database::sqlite()).await).await;
            }

            #[cfg(feature = "postgres")]
            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                run(Fixture::new(Database::postgres_with_tables()).await).await;
            }
        }
    )+};
}
pub(crate) use on_each_database;
