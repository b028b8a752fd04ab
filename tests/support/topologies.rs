//! A Redis of every shape: one server, one behind TLS, a master with a replica and Sentinels, a cluster.
//!
//! Owns the servers of one test and their way to each other. Must never share a server between two tests.

use std::fs;
use std::net::SocketAddr;
use std::ops::Deref;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{FromRedisValue, RedisResult};
use tempfile::TempDir;

use super::monitor::Monitor;
use super::ports::free_port;
use super::redis::{Persistence, PrivateRedis};
use super::tls;
use super::wait::until_found;

const PATIENCE: Duration = Duration::from_secs(60);

/// The name of the master.
pub const SERVICE: &str = "main";

/// The shape of a Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    One,
    /// One server that is spoken to through TLS.
    Tls,
    /// A master, a replica and three Sentinels.
    Sentinel,
    /// A cluster of three masters.
    Cluster,
}

/// The servers of one test. Stands for the first master where one server is asked for.
pub struct Servers {
    url: String,
    /// Masters first, as they were at the start.
    pub servers: Vec<PrivateRedis>,
    /// None, or all of them.
    pub sentinels: Vec<PrivateSentinel>,
    clustered: bool,
}

impl Servers {
    /// New servers of this shape.
    pub fn start(topology: Topology) -> Self {
        match topology {
            Topology::One => Self::one(PrivateRedis::start()),
            Topology::Tls => tls_server(),
            Topology::Sentinel => Self::with_sentinels(Duration::from_secs(10)),
            Topology::Cluster => Self::cluster(0),
        }
    }

    /// A server that is there already.
    pub fn one(redis: PrivateRedis) -> Self {
        Self { url: redis.url(), servers: vec![redis], sentinels: Vec::new(), clustered: false }
    }

    /// A master, a replica and three Sentinels, who miss the master after this time.
    pub fn with_sentinels(down_after: Duration) -> Self {
        let master = replicating(&[]);
        let port = master.address().port().to_string();
        let replica = replicating(&["--replicaof", "127.0.0.1", &port]);
        Self::under_sentinels(master, replica, down_after)
    }

    /// The same with a replica that was started elsewhere.
    pub fn under_sentinels(master: PrivateRedis, replica: PrivateRedis, down_after: Duration) -> Self {
        await_link(&replica);
        let sentinels: Vec<_> = (0..3).map(|_| PrivateSentinel::start(master.address(), down_after)).collect();
        let hosts: Vec<_> = sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        let url = format!("redis+sentinel://{}?service={SERVICE}", hosts.join(","));
        Self { url, servers: vec![master, replica], sentinels, clustered: false }
    }

    /// A cluster of three masters, each with so many replicas.
    pub fn cluster(replicas: usize) -> Self {
        let servers: Vec<_> = (0..3 * (replicas + 1)).map(|_| cluster_node()).collect();
        let (masters, others) = servers.split_at(3);
        for (number, range) in [("0", "5460"), ("5461", "10922"), ("10923", "16383")].into_iter().enumerate() {
            masters[number].cli::<()>(&["CLUSTER", "ADDSLOTSRANGE", range.0, range.1]);
            masters[number].cli::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        let size = servers.len().to_string();
        let agree = |server: &PrivateRedis| {
            let info: String = server.try_cli(&["CLUSTER", "INFO"]).unwrap_or_default();
            info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{size}\r"))
        };
        let mut rounds = 0;
        until_found("the cluster agrees", PATIENCE, || {
            // An introduction that a busy machine does not answer in time is forgotten.
            if rounds % 200 == 0 {
                introduce(&servers);
            }
            rounds += 1;
            servers.iter().all(agree).then_some(())
        });
        for (number, replica) in others.iter().enumerate() {
            let master: String = masters[number % 3].cli(&["CLUSTER", "MYID"]);
            replica.cli::<()>(&["CLUSTER", "REPLICATE", &master]);
        }
        others.iter().for_each(await_link);
        let url: Vec<_> = servers.iter().map(PrivateRedis::url).collect();
        Self { url: url.join(","), servers, sentinels: Vec::new(), clustered: true }
    }

    /// A cluster of one master, which has met no other node.
    pub fn cluster_of_one() -> Self {
        let server = cluster_node();
        server.cli::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        let whole =
            || server.try_cli::<String>(&["CLUSTER", "INFO"]).is_ok_and(|info| info.contains("cluster_state:ok"));
        until_found("the cluster of one agrees", PATIENCE, || whole().then_some(()));
        let url = format!("{0},{0}", server.url());
        Self { url, servers: vec![server], sentinels: Vec::new(), clustered: true }
    }

    /// The same place, without owning any of its servers.
    pub fn borrowed(&self) -> Self {
        Self { url: self.url(), servers: Vec::new(), sentinels: Vec::new(), clustered: self.clustered }
    }

    /// The URL of the whole.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The master that serves a key now.
    pub fn of(&self, key: &str) -> &PrivateRedis {
        if self.servers.len() == 1 {
            return self;
        }
        self.servers.iter().find(|server| self.serves(server, key)).expect("some master serves the key")
    }

    fn serves(&self, server: &PrivateRedis, key: &str) -> bool {
        if self.clustered {
            return server.try_cli::<bool>(&["EXISTS", key]).is_ok() && is_master(server);
        }
        is_master(server)
    }

    /// Every server that is a master now.
    pub fn masters(&self) -> Vec<&PrivateRedis> {
        self.servers.iter().filter(|server| is_master(server)).collect()
    }

    /// All keys that match a pattern, of all masters, in order.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.masters().iter().flat_map(|master| master.keys(pattern)).collect();
        keys.sort();
        keys
    }

    /// Everything that is stored on any master; see [`PrivateRedis::dump_text`].
    pub fn dump_text(&self) -> String {
        self.masters().into_iter().map(PrivateRedis::dump_text).collect()
    }

    /// Starts to write down every command that any client sends to any master.
    pub fn monitor(&self) -> Monitors {
        Monitors(self.masters().into_iter().map(PrivateRedis::monitor).collect())
    }

    /// SIGKILL, for all of them.
    pub fn kill(&self) {
        self.servers.iter().for_each(PrivateRedis::kill);
    }

    /// Starts all of them again.
    pub fn restart(&self) {
        self.servers.iter().for_each(PrivateRedis::restart);
    }

    /// SIGSTOP, for all of them.
    pub fn pause(&self) {
        self.servers.iter().for_each(PrivateRedis::pause);
    }

    /// SIGCONT, for all of them.
    pub fn resume(&self) {
        self.servers.iter().for_each(PrivateRedis::resume);
    }

    /// One command for each master, which answers nothing of interest.
    pub fn everywhere(&self, command: &[&str]) {
        for master in self.masters() {
            let _answer: redis::Value = master.cli(command);
        }
    }

    /// Panics if any server was ever asked about keys of two slots at once: it counts the errors that it answered.
    pub fn assert_no_crossslot(&self) {
        for server in &self.servers {
            let errors: String = server.try_cli(&["INFO", "errorstats"]).unwrap_or_default();
            assert!(!errors.contains("CROSSSLOT"), "{errors}");
        }
    }

    /// One number from each master, summed.
    pub fn sum(&self, command: &[&str]) -> i64 {
        self.masters().iter().map(|master| master.cli::<i64>(command)).sum()
    }

    /// Waits until all Sentinels know each other and the replica, so that they can act.
    pub fn await_quorum(&self) {
        let ready = |sentinel: &PrivateSentinel| {
            let replicas = sentinel.try_cli::<Vec<redis::Value>>(&["SENTINEL", "REPLICAS", SERVICE]);
            let others = sentinel.try_cli::<Vec<redis::Value>>(&["SENTINEL", "SENTINELS", SERVICE]);
            replicas.is_ok_and(|replicas| !replicas.is_empty())
                && others.is_ok_and(|others| others.len() + 1 == self.sentinels.len())
        };
        until_found("the Sentinels agree", PATIENCE, || self.sentinels.iter().all(ready).then_some(()));
    }
}

/// Whatever a test was about, nothing that it did may have crossed slots.
impl Drop for Servers {
    fn drop(&mut self) {
        if self.clustered && !std::thread::panicking() {
            self.assert_no_crossslot();
        }
    }
}

/// What clients send to several masters.
pub struct Monitors(Vec<Monitor>);

impl Monitors {
    /// Every command since the start (or since the last call), master by master.
    pub fn commands(&mut self) -> Vec<String> {
        self.0.iter_mut().flat_map(Monitor::commands).collect()
    }
}

impl Deref for Servers {
    type Target = PrivateRedis;

    fn deref(&self) -> &PrivateRedis {
        self.servers.first().expect("there is at least one server")
    }
}

/// A server without persistence that sends itself to a replica at once.
pub fn replicating(further: &[&str]) -> PrivateRedis {
    let arguments = [&["--repl-diskless-sync-delay", "0"], further].concat();
    PrivateRedis::with(Persistence::None, &arguments)
}

/// Whether the server says that it is a master.
pub fn is_master(server: &PrivateRedis) -> bool {
    server.try_cli::<String>(&["INFO", "replication"]).is_ok_and(|info| info.contains("role:master"))
}

/// Waits until a replica has all that its master has.
pub fn await_link(replica: &PrivateRedis) {
    // On a busy machine it may be a while before it answers at all.
    let linked = |info: String| info.contains("master_link_status:up");
    let up = || replica.try_cli::<String>(&["INFO", "replication"]).is_ok_and(linked);
    until_found("the replica has synchronised", PATIENCE, || up().then_some(()));
}

/// Has the first node meet all others that it does not know.
fn introduce(servers: &[PrivateRedis]) {
    let (first, others) = servers.split_first().expect("a cluster has nodes");
    let known: String = first.cli(&["CLUSTER", "NODES"]);
    for other in others {
        let (bus, port): ((String, String), _) =
            (other.cli(&["CONFIG", "GET", "cluster-port"]), other.address().port());
        if !known.contains(&format!(":{port}@")) {
            first.cli::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port.to_string(), &bus.1]);
        }
    }
}

fn cluster_node() -> PrivateRedis {
    let bus = free_port().to_string();
    let arguments = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1500"];
    // A replica that was cut off for a while may still take over: the worst that can be.
    replicating(&[&arguments[..], &["--cluster-replica-validity-factor", "0"]].concat())
}

fn tls_server() -> Servers {
    let folder = tls::folder();
    let file = |name: &str| folder.join(name).display().to_string();
    let (certificate, key, authority) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let redis = PrivateRedis::with(
        Persistence::None,
        &[
            &["--tls-cert-file", &certificate, "--tls-key-file", &key][..],
            &["--tls-ca-cert-file", &authority, "--tls-auth-clients", "no"],
        ]
        .concat(),
    );
    let port = until_found("Redis listens for TLS", PATIENCE, || {
        let port = free_port();
        redis.try_cli::<()>(&["CONFIG", "SET", "tls-port", &port.to_string()]).ok().map(|()| port)
    });
    let mut servers = Servers::one(redis);
    servers.url = format!("rediss://localhost:{port}");
    servers
}

/// One private Sentinel.
pub struct PrivateSentinel {
    /// Where it listens.
    pub port: u16,
    _folder: TempDir,
    child: Child,
}

impl PrivateSentinel {
    /// A Sentinel that watches this master with two others.
    pub fn start(master: SocketAddr, down_after: Duration) -> Self {
        for _ in 0..5 {
            let started = Self::try_start(master, down_after);
            if let Some(sentinel) = started {
                return sentinel;
            }
        }
        panic!("no Sentinel starts");
    }

    fn try_start(master: SocketAddr, down_after: Duration) -> Option<Self> {
        let folder = TempDir::with_prefix("sentinel-").expect("a folder for a Sentinel");
        let port = free_port();
        let (path, down_after) = (folder.path().display(), down_after.as_millis());
        let (host, master) = (master.ip(), master.port());
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {path}\npidfile {path}/redis.pid\nlogfile {path}/redis.log\n\
             sentinel monitor {SERVICE} {host} {master} 2\n\
             sentinel down-after-milliseconds {SERVICE} {down_after}\nsentinel failover-timeout {SERVICE} 4000\n"
        );
        let file = folder.path().join("sentinel.conf");
        fs::write(&file, settings).expect("the settings of a Sentinel");
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel").current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("this test needs redis-server: start the tests with tests/run");
        let mut sentinel = Self { port, _folder: folder, child };
        let answers = until_found("a Sentinel answers", PATIENCE, || {
            if sentinel.child.try_wait().expect("own process can be asked").is_some() {
                return Some(false);
            }
            sentinel.try_cli::<String>(&["PING"]).is_ok().then_some(true)
        });
        answers.then_some(sentinel)
    }

    /// One command; an error answer or a dead Sentinel is an error.
    pub fn try_cli<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
        let (name, arguments) = command.split_first().expect("a command has a name");
        redis::cmd(name).arg(arguments).query(&mut connection)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for PrivateSentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
