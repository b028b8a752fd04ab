//! Who takes part: the peers of `benches/peers`, sessiond twice, and an application on its session layer.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::support::child::Child;
use crate::support::cpu;
use crate::support::load::Client;
use crate::support::population::{Population, cookie, request};
use crate::support::redis::Redis;
use crate::support::server::{Server, cookie_key};

/// Live sessions of each contender.
const SESSIONS: usize = 1_000;
const USERS: usize = 100;

/// The names, as tables and charts show them.
pub const FLOOR: &str = "actix-web, no session";
pub const FORWARD: &str = "sessiond, /auth/forward";
/// The same, answered from copies in the node's memory; and where every copy is pushed out before it is asked for.
pub const HIT: &str = "sessiond, /auth/forward, near cache";
pub const MISS: &str = "sessiond, /auth/forward, near cache, miss";
pub const ME: &str = "sessiond, /me";
/// An application of its own on the session layer.
pub const EMBEDDING: &str = "sessiond in actix-session";
pub const HS256: &str = "JWT, HS256";
pub const STOCK: &str = "actix-session + Redis";
/// With what it takes to end idle sessions, as sessiond does.
pub const STOCK_SLIDING: &str = "actix-session + Redis, sliding";

const PEERS: [(&str, &str, bool); 7] = [
    (FLOOR, "floor", false),
    (HS256, "jwt-hs256", true),
    ("JWT, EdDSA", "jwt-eddsa", true),
    ("JWT + deny-list in Redis", "jwt-deny-list", true),
    (STOCK, "actix-session", true),
    (STOCK_SLIDING, "actix-session-sliding", true),
    ("tower-sessions + axum", "tower-sessions", true),
];

/// The private Redis and the ledger.
pub struct Stores {
    pub redis: Redis,
    folder: TempDir,
}

impl Stores {
    pub async fn prepare() -> Result<Self> {
        Ok(Self { redis: Redis::start()?, folder: TempDir::new()? })
    }
}

/// A server and what it is asked.
pub struct Contender {
    pub name: &'static str,
    pub address: String,
    pub requests: Vec<Vec<u8>>,
    process: Running,
}

enum Running {
    Peer(Child),
    Sessiond(std::rc::Rc<Server>),
}

impl Contender {
    pub fn pid(&self) -> u32 {
        match &self.process {
            Running::Peer(child) => child.pid(),
            Running::Sessiond(server) => server.pid(),
        }
    }
}

/// All of them, signed in and ready.
pub async fn start_all(stores: &mut Stores) -> Result<Vec<Contender>> {
    let peers = build_peers()?;
    let mut contenders = Vec::new();
    for (name, argument, has_sessions) in PEERS {
        contenders.push(peer(name, &peers, argument, has_sessions, stores.redis.url()).await?);
    }
    contenders.extend(sessiond(stores).await?);
    Ok(contenders)
}

/// Builds the peers' own workspace, optimised like the product.
fn build_peers() -> Result<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet"])
        .current_dir(&folder)
        .env_remove("CARGO_TARGET_DIR")
        .status()?;
    ensure!(built.success(), "the peers do not build");
    Ok(folder.join("target/release/peers"))
}

async fn peer(
    name: &'static str,
    program: &Path,
    argument: &str,
    has_sessions: bool,
    redis: &str,
) -> Result<Contender> {
    let mut command = cpu::pinned(cpu::SERVER, &program.display().to_string());
    command.args([argument, redis]);
    let (child, line) = Child::start_and_await(command, "listening ")?;
    let port = line.rsplit(' ').next().context("no port")?;
    let address = format!("127.0.0.1:{port}");
    let requests = match has_sessions {
        true => sign_in(&address).await?,
        false => vec![request("GET", "/who", "nothing=here")],
    };
    Ok(Contender { name, address, requests, process: Running::Peer(child) })
}

async fn sign_in(address: &str) -> Result<Vec<Vec<u8>>> {
    let mut client = Client::connect(address).await?;
    let mut requests = Vec::new();
    for _ in 0..SESSIONS {
        let answer = client.ask(b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").await?;
        requests.push(request("GET", "/who", answer.cookie().context("a sign-in sets a cookie")?));
    }
    Ok(requests)
}

/// Room for every session, and for one of them.
const ENTRIES: [&str; 2] = ["10000", "1"];
/// A node serves for this long before it keeps copies.
const UNTIL_COPIES: Duration = Duration::from_secs(12);

async fn sessiond(stores: &Stores) -> Result<[Contender; 5]> {
    let database = stores.folder.path().join("ledger.db");
    let mut population = Population::create(&database).await?;
    let users = population.users(USERS)?;
    let people = population.sessions(&users, SESSIONS)?;
    drop(population);
    let server = std::rc::Rc::new(Server::start(&database, Some(stores.redis.url()))?);
    let near = ENTRIES.map(|entries| {
        let settings = [("SESSIOND_NEAR_CACHE", entries)];
        Server::start_with(cpu::SERVER, &database, Some(stores.redis.url()), &settings).map(std::rc::Rc::new)
    });
    let [hit, miss] = near;
    let (hit, miss) = (hit?, miss?);
    let embedding = std::rc::Rc::new(Server::start_embedding(&database, stores.redis.url())?);
    tokio::time::sleep(UNTIL_COPIES).await;
    let key = cookie_key();
    let cookies: Vec<String> = people.iter().map(|person| cookie(&key, &person.token)).collect::<Result<_>>()?;
    let contenders = [
        (FORWARD, "/auth/forward", &server),
        (HIT, "/auth/forward", &hit),
        (MISS, "/auth/forward", &miss),
        (ME, "/me", &server),
        (EMBEDDING, "/who", &embedding),
    ];
    Ok(contenders.map(|(name, path, server)| Contender {
        name,
        address: server.address.clone(),
        requests: cookies.iter().map(|cookie| request("GET", path, cookie)).collect(),
        process: Running::Sessiond(std::rc::Rc::clone(server)),
    }))
}
