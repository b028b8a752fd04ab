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
/// A back end asks with its secret: about the session, and for a token that others verify.
pub const INTROSPECT: &str = "sessiond, /introspect";
pub const PHANTOM: &str = "sessiond, /introspect, JWT";
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

async fn sessiond(stores: &Stores) -> Result<Vec<Contender>> {
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
    let issuer = [("SESSIOND_JWT_ISSUER", "https://example.org")];
    let issuer = std::rc::Rc::new(Server::start_with(cpu::SERVER, &database, Some(stores.redis.url()), &issuer)?);
    let secret = service_secret(&database)?;
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
    let contender = |name, server: &std::rc::Rc<Server>, requests| Contender {
        name,
        address: server.address.clone(),
        requests,
        process: Running::Sessiond(std::rc::Rc::clone(server)),
    };
    let by_cookie = |path| cookies.iter().map(|cookie| request("GET", path, cookie)).collect();
    let by_secret = |accept| cookies.iter().map(|cookie| question(cookie, &secret, accept)).collect();
    let mut all: Vec<_> =
        contenders.into_iter().map(|(name, path, server)| contender(name, server, by_cookie(path))).collect();
    all.push(contender(INTROSPECT, &server, by_secret("application/json")));
    all.push(contender(PHANTOM, &issuer, by_secret("application/jwt")));
    Ok(all)
}

/// The secret of a service that may introspect, made at the command line.
fn service_secret(database: &Path) -> Result<String> {
    let made = Command::new(env!("CARGO_BIN_EXE_sessiond"))
        .args(["service", "add", "bench", "--scope", "introspect"])
        .env_clear()
        .env("DATABASE_URL", format!("sqlite://{}", database.display()))
        .output()?;
    ensure!(made.status.success(), "no service is made: {}", String::from_utf8_lossy(&made.stderr));
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}

/// What a back end asks about a cookie.
fn question(cookie: &str, secret: &str, accept: &str) -> Vec<u8> {
    let value = cookie.split_once('=').map_or(cookie, |(_, value)| value);
    let body = format!("token={}", value.replace('%', "%25"));
    let lines = [
        "POST /introspect HTTP/1.1".to_owned(),
        "Host: localhost:8080".to_owned(),
        format!("Authorization: Bearer {secret}"),
        format!("Accept: {accept}"),
        "Content-Type: application/x-www-form-urlencoded".to_owned(),
        format!("Content-Length: {}", body.len()),
    ];
    (lines.join("\r\n") + "\r\n\r\n" + &body).into_bytes()
}
