//! Windows: what happens between a question and its answer, or between two steps of one change, while a proxy holds
//! that very moment open. One round each, because nothing here is left to chance.
//!
//! Owns the scene: two services over one PostgreSQL and one Redis. The slow one reaches both through proxies and is
//! patient with Redis, so that a window may stay open on a busy machine; the fast one goes straight. Neither sweeps,
//! renews or writes last-seen times by itself unless a test starts that.
#![cfg(feature = "postgres")]

mod changes;
mod fence;
mod joining;
mod last_seen;
mod readiness;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use sessiond::domain::{Clock, LedgerClock, MovableClock, PostgresUrl, SystemRandom, ThrottleKey, Token, UserId};
use sessiond::ledger::{self, Ledger};
use sessiond::live::{Live, LiveConfig};
use sessiond::server::open_ledger;
use sessiond::service::{Activity, App, Parts, Policy, StoreFence};
use tokio::task::JoinHandle;

use crate::support::crowd;
use crate::support::database::Database;
use crate::support::issue::client;
use crate::support::proxy::Proxy;
use crate::support::redis::PrivateRedis;
use crate::support::settings::Settings;

const PATIENCE: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Longer than a test: only a test that is about the lease of the store waits one out.
const LONG_LEASE: Duration = Duration::from_secs(30);

/// The stores, the ways to them, and one user.
struct Scene {
    database: Database,
    redis: PrivateRedis,
    /// The slow one's way to PostgreSQL.
    sql: Proxy,
    /// The slow one's way to Redis.
    way: Proxy,
    clock: Arc<MovableClock>,
    slow: App,
    fast: App,
    user: UserId,
}

impl Scene {
    async fn open() -> Self {
        Self::with_lease(LONG_LEASE).await
    }

    async fn with_lease(lease: Duration) -> Self {
        let (database, redis) = (Database::postgres(), PrivateRedis::start());
        let Database::Postgres(private) = &database else { panic!("PostgreSQL was asked for") };
        let (sql, way) = (Proxy::start(private.address()), Proxy::start(redis.address()));
        let clock = Arc::new(MovableClock::default());
        command_line(&database).await;
        let slow = node(&sql.in_url(&database.url()), Some(&way.in_url(&redis.url())), lease, &clock);
        let fast = node(&database.url(), Some(&redis.url()), lease, &clock);
        compared(&slow).await;
        compared(&fast).await;
        let user = crowd::user(fast.core.ledger(), clock.now()).await;
        Self { database, redis, sql, way, clock, slow, fast, user }
    }

    /// A session that nobody has asked about yet.
    async fn issue(&self) -> Token {
        self.fast.sign_in.issue(self.user, false, &[], &client()).await.expect("a session").token
    }

    /// One whose record stands, with every service connected.
    async fn issue_on_record(&self) -> Token {
        let token = self.issue().await;
        for app in [&self.slow, &self.fast] {
            assert!(is_live(app, &token).await);
        }
        token
    }

    /// What stands in Redis in this session's place.
    fn stands(&self, token: &Token) -> Option<String> {
        self.redis.cli(&["GET", &key(token)])
    }

    /// Wherever it is asked, whatever was on its way: it is over.
    async fn assert_dead(&self, token: &Token, when: &str) {
        for app in [&self.slow, &self.fast] {
            assert!(!is_live(app, token).await, "{when}: it is answered yes");
        }
        assert!(self.stands(token).is_none_or(|text| text.starts_with("lease ")), "{when}: a record stands");
    }
}

/// A service with a connection to Redis of its own, as each worker of a server has one.
fn node(database: &str, redis: Option<&str>, lease: Duration, clock: &Arc<MovableClock>) -> App {
    let settings = Settings::new().with("DATABASE_URL", database);
    let config = settings.config().expect("settings");
    let ledger_clock = Arc::new(LedgerClock::new(Arc::<MovableClock>::clone(clock)));
    let clock: Arc<dyn Clock> = Arc::<LedgerClock>::clone(&ledger_clock);
    let ledger = Ledger::open(ledger::Database::Postgres {
        servers: ledger::Servers::new(PostgresUrl::parse(database).expect("an address")),
    })
    .expect("a ledger");
    let live = redis.map(|url| {
        let fence = StoreFence::new(ledger.clone(), Arc::clone(&clock), Arc::new(SystemRandom), lease);
        let fence = Arc::new(fence);
        let patient = LiveConfig { command_timeout: PATIENCE, connect_timeout: PATIENCE, ..LiveConfig::new(url) };
        let live = Live::open(patient, Arc::<StoreFence>::clone(&fence), Arc::clone(&clock)).expect("a way to Redis");
        (live, fence)
    });
    App::new(Parts {
        ledger,
        live,
        clock: ledger_clock,
        random: Arc::new(SystemRandom),
        policy: Policy { store_lease: lease, ..Policy::from(&config) },
        throttle_key: ThrottleKey::derive(&[7; 64]),
        webhook: None,
        locator: None,
        tokens: None,
        exchange: None,
    })
}

/// Has the service compare the ledger with what Redis has seen of it: before that it trusts nothing.
async fn compared(app: &App) {
    app.serve().stop().await;
}

/// The service as a command has it: no Redis, and the tables are brought up to date.
async fn command_line(database: &Database) -> App {
    let config = Settings::new().with("DATABASE_URL", &database.url()).config().expect("settings");
    open_ledger(&config).await.expect("the service")
}

/// Whether a check that is made now is answered yes. It is no use of the session.
async fn is_live(app: &App, token: &Token) -> bool {
    app.check.authenticate(token, IP, Activity::Background).await.expect("an answer").is_some()
}

/// The same by another worker of this node, meanwhile.
fn asked(app: &App, token: &Token) -> JoinHandle<bool> {
    let (worker, token) = (app.for_worker(), token.clone());
    tokio::spawn(async move { is_live(&worker, &token).await })
}

/// A moment for what runs beside the test to come as far as it can.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

fn key(token: &Token) -> String {
    format!("session:{}", token.hash().to_base64url())
}
