//! The server under test, on each kind of memory it can have.
//!
//! Owns [`Backend`], the stores behind one test, and the macro that runs a test on every backend. Must never
//! let two tests share a store.

use std::sync::Arc;
use std::time::Duration;

use sessiond::domain::MovableClock;

use super::client::{Admin, Anonymous, SignedIn};
use super::database::Database;
use super::node::Node;
#[cfg(feature = "postgres")]
use super::proxy::Proxy;
use super::redis::PrivateRedis;
use super::settings::Settings;
use super::topologies::Servers;
#[cfg(feature = "postgres")]
use super::topologies::Topology;
use super::wait::until;

/// What remembers the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// SQLite alone: what a newcomer runs.
    Embedded,
    /// PostgreSQL and Redis: what production runs. One server, or whatever `SESSIOND_TEST_REDIS` says: `sentinel`
    /// or `cluster`.
    #[cfg(feature = "postgres")]
    Production,
    /// PostgreSQL and a master with a replica and Sentinels.
    #[cfg(feature = "postgres")]
    Sentinel,
    /// PostgreSQL and a cluster.
    #[cfg(feature = "postgres")]
    Cluster,
}

/// The memory behind one test.
pub struct Stores {
    /// The authority.
    pub database: Database,
    redis: Option<Servers>,
}

impl Stores {
    /// New stores with nobody in them. A PostgreSQL has its tables already; [`Database::postgres`] has none.
    pub fn new(backend: Backend) -> Self {
        match backend {
            Backend::Embedded => Self::of(Database::sqlite(), None),
            #[cfg(feature = "postgres")]
            Backend::Production => Self::over(Database::postgres_with_tables(), production()),
            #[cfg(feature = "postgres")]
            Backend::Sentinel => Self::over(Database::postgres_with_tables(), Servers::start(Topology::Sentinel)),
            #[cfg(feature = "postgres")]
            Backend::Cluster => Self::over(Database::postgres_with_tables(), Servers::start(Topology::Cluster)),
        }
    }

    /// Any other pair, such as PostgreSQL without Redis.
    pub fn of(database: Database, redis: Option<PrivateRedis>) -> Self {
        Self { database, redis: redis.map(Servers::one) }
    }

    /// A database and a Redis of any shape.
    pub fn over(database: Database, redis: Servers) -> Self {
        Self { database, redis: Some(redis) }
    }

    /// All servers of this test's Redis; panics on a backend without one.
    pub fn servers(&self) -> &Servers {
        self.redis.as_ref().expect("this backend has no Redis")
    }

    /// All servers of this test's Redis, if the backend has one.
    pub fn servers_if_any(&self) -> Option<&Servers> {
        self.redis.as_ref()
    }

    /// The Redis of this test (of several servers the first); panics on a backend without one.
    pub fn redis(&self) -> &PrivateRedis {
        self.servers()
    }

    /// The Redis of this test, if the backend has one.
    pub fn redis_if_any(&self) -> Option<&PrivateRedis> {
        self.redis.as_deref()
    }

    /// The settings of a program that reaches PostgreSQL through a proxy, which a test can make ill.
    #[cfg(feature = "postgres")]
    pub fn through_proxy(&self) -> (Settings, Proxy) {
        let Database::Postgres(database) = &self.database else { panic!("SQLite is reached through no proxy") };
        let proxy = Proxy::start(database.address());
        let settings = self.settings().with("DATABASE_URL", &proxy.in_url(&self.database.url()));
        (settings, proxy)
    }

    /// Settings for a server on these stores.
    pub fn settings(&self) -> Settings {
        let settings = Settings::new().with("DATABASE_URL", &self.database.url());
        match &self.redis {
            Some(redis) if near_cache() => settings.with("REDIS_URL", &redis.url()).with(NEAR_CACHE, "10000"),
            Some(redis) => settings.with("REDIS_URL", &redis.url()),
            None => settings,
        }
    }
}

/// The setting by which a node keeps copies.
pub const NEAR_CACHE: &str = "SESSIOND_NEAR_CACHE";

/// Whether every node with Redis keeps copies: `SESSIOND_TEST_NEAR_CACHE=1`.
pub fn near_cache() -> bool {
    std::env::var_os("SESSIOND_TEST_NEAR_CACHE").is_some()
}

#[cfg(feature = "postgres")]
fn production() -> Servers {
    match std::env::var("SESSIOND_TEST_REDIS").as_deref() {
        Ok("sentinel") => Servers::start(Topology::Sentinel),
        // Three masters, and three replicas.
        Ok("cluster") => Servers::cluster(1),
        Ok(other) => panic!("SESSIOND_TEST_REDIS is {other:?}, but can only be sentinel or cluster"),
        Err(_) => Servers::start(Topology::One),
    }
}

/// One node on stores of its own: what most tests need.
pub struct TestServer {
    // Before the stores, so that it stops before they go.
    node: Node,
    /// What it was started with.
    pub settings: Settings,
    /// Its wall clock, moved by hand. Redis and SQL keep their own.
    pub clock: Arc<MovableClock>,
    /// What it remembers with.
    pub stores: Stores,
}

impl TestServer {
    /// A server with default settings.
    pub async fn start(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }

    /// A server with these variables set.
    pub async fn with(backend: Backend, variables: &[(&str, &str)]) -> Self {
        let stores = Stores::new(backend);
        let settings = stores.settings().with_all(variables);
        Self::on(stores, settings).await
    }

    /// A server on these stores, with settings that may lead through a proxy.
    pub async fn on(stores: Stores, settings: Settings) -> Self {
        let clock = Arc::new(MovableClock::default());
        let node = Node::start(&settings, &clock).await;
        Self { node, settings, clock, stores }
    }

    /// One more node on the same stores, under the same clock.
    pub async fn another_node(&self) -> Node {
        Node::start(&self.settings, &self.clock).await
    }

    /// The node itself.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        self.node.url()
    }

    /// Somebody who is not signed in.
    pub fn anonymous(&self) -> Anonymous {
        self.node.anonymous()
    }

    /// Somebody new, with an account and signed in.
    pub async fn signed_in(&self) -> SignedIn {
        self.anonymous().sign_up().await
    }

    /// Waits until so many lines of the audit log tell of an event: what was refused is written a moment later.
    pub async fn until_audited(&self, event: &str, lines: usize) {
        let count = || self.stores.database.count("audit", &format!("event = '{event}'"));
        let what = format!("{lines} lines of {event}");
        until(&what, Duration::from_secs(20), async || count() >= lines).await;
        assert_eq!(count(), lines, "{what}");
    }

    /// An administrator, made on the command line and signed in.
    pub async fn admin(&self) -> Admin {
        Admin::create(&self.settings, &self.url()).await
    }
}

/// Runs tests on each backend, as `name::embedded` and `name::production`:
///
/// ```ignore
/// on_each_backend! {
///     async fn a_stranger_is_nobody(server: TestServer) {
///         server.anonymous().get("/me").await.assert_problem(401, "unauthenticated");
///     }
///
///     async fn sessions_idle_out(server: TestServer) with { "SESSIOND_IDLE_TIMEOUT": "5m" } { … }
/// }
/// ```
///
/// The second of each pair exists with the cargo feature `postgres`, which `tests/run` switches on.
macro_rules! on_each_backend {
    ($(
        $(#[$attribute:meta])*
        async fn $name:ident($server:ident: TestServer)
        $(with { $($variable:literal : $value:expr),+ $(,)? })?
        $body:block
    )+) => {$(
        $(#[$attribute])*
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "a body may need nothing from around it")]
            use super::*;
            use $crate::support::server::{Backend, TestServer};

            const VARIABLES: &[(&str, &str)] = &[$($(($variable, $value)),+)?];

            async fn body($server: TestServer) $body

            #[tokio::test]
            async fn embedded() {
                body(TestServer::with(Backend::Embedded, VARIABLES).await).await;
            }

            #[cfg(feature = "postgres")]
            #[tokio::test]
            async fn production() {
                body(TestServer::with(Backend::Production, VARIABLES).await).await;
            }
        }
    )+};
}
pub(crate) use on_each_backend;
