//! SQL put back from a backup: sessions that were ended since then live in it, and nobody may be let in by them.
//!
//! Owns what P1 says about an older ledger beside its Redis, up to `sessiond ledger restored`. Each test prints how
//! long it took until the copy was noticed.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use sessiond::domain::{Clock, MovableClock, SystemClock, Token};
use sessiond::service::{Activity, Condition};

use crate::support::client::{PASSWORD, SignedIn};
use crate::support::database::Database;
use crate::support::node::Node;
use crate::support::process::{Process, command_line, command_line_ok};
use crate::support::proxy::Proxy;
use crate::support::requests::Requests;
use crate::support::server::Stores;
use crate::support::settings::Settings;
use crate::support::topologies::{Servers, Topology};
use crate::support::wait::{stopwatch, until};

const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than a look and whatever it leads to, if it leads to anything.
const A_FEW_LOOKS: Duration = Duration::from_secs(3);
/// `SESSIOND_STORE_LEASE`, as it is by default.
const LEASE: Duration = Duration::from_secs(3);
pub const RESTORED: [&str; 3] = ["ledger", "restored", "--yes"];

/// Runs a test on each database with one Redis, and on PostgreSQL with each of the others.
macro_rules! on_each {
    ($(async fn $name:ident($stores:ident: Stores) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn body($stores: Stores) $body

            #[tokio::test]
            async fn sqlite() {
                body(Stores::over(Database::sqlite(), Servers::start(Topology::One))).await;
            }

            #[tokio::test]
            async fn postgres() {
                body(Stores::over(Database::postgres_with_tables(), Servers::start(Topology::One))).await;
            }

            #[tokio::test]
            async fn sentinel() {
                body(Stores::over(Database::postgres_with_tables(), Servers::start(Topology::Sentinel))).await;
            }

            #[tokio::test]
            async fn cluster() {
                body(Stores::over(Database::postgres_with_tables(), Servers::start(Topology::Cluster))).await;
            }
        }
    )+};
}

pub async fn node(settings: &Settings) -> Node {
    Node::start(settings, &Arc::<MovableClock>::default()).await
}

/// The sentence with which a server refuses to start.
pub async fn refusal(settings: &Settings) -> String {
    let started = Node::try_start(settings, &Arc::<MovableClock>::default()).await;
    started.map(|_| ()).expect_err("it must not start over an older copy")
}

/// What a node says of a session: 200, 401 or 503; by its route, and by a check that needs no SQL while there is a
/// record to trust.
pub async fn statuses(person: &SignedIn, node: &Node) -> [u16; 2] {
    let token = Token::parse(&person.token()).expect("a token");
    let checked =
        match node.app().check.authenticate(&token, std::net::IpAddr::from([127, 0, 0, 1]), Activity::Background).await
        {
            Ok(Some(_)) => 200,
            Ok(None) => 401,
            Err(_) => 503,
        };
    [person.copy_at(&node.url()).me().await.status, checked]
}

/// How far the ledger has come, by its own word.
pub fn height(stores: &Stores) -> i64 {
    stores.database.value("SELECT CAST(height AS TEXT) AS value FROM lineage").parse().expect("a number")
}

/// How far Redis says that it has come; none when it does not say.
fn marked(stores: &Stores) -> Option<i64> {
    let key = format!("ledger:{}", stores.database.value("SELECT ledger AS value FROM lineage"));
    let marker: Option<String> = stores.servers().of(&key).cli(&["GET", &key]);
    marker.map(|marker| marker.split(' ').nth(2).expect("a height").parse().expect("a number"))
}

/// Two people; one of them ends a session after the backup was made.
pub struct Ended {
    owner: SignedIn,
    victim: SignedIn,
}

impl Ended {
    async fn on(stores: &Stores, nodes: &[&Node]) -> Self {
        Self::after(stores, nodes, || stores.database.back_up("backup")).await
    }

    /// The backup is made in this way.
    pub async fn after(stores: &Stores, nodes: &[&Node], back_up: impl FnOnce()) -> Self {
        let owner = nodes[0].anonymous().sign_up().await;
        let victim = owner.sign_in_again().await;
        let it = Self { owner, victim };
        it.assert_all(nodes, 200, "before anything").await;
        it.assert_all(nodes, 200, "by their records").await;
        back_up();
        let at_backup = height(stores);
        it.owner.end_session(&it.victim.session_id).await.assert_status(204);
        until("Redis is told", PATIENCE, async || marked(stores) > Some(at_backup)).await;
        for node in nodes {
            assert_eq!(statuses(&it.victim, node).await, [401, 401]);
        }
        it
    }

    async fn assert_all(&self, nodes: &[&Node], status: u16, when: &str) {
        for person in [&self.owner, &self.victim] {
            for node in nodes {
                assert_eq!(statuses(person, node).await, [status, status], "{when}");
            }
        }
    }

    /// Watches the copy until every node refuses it. From then on nobody is answered.
    pub async fn await_refusal(&self, nodes: &[&Node]) {
        let watch = stopwatch();
        until("every node refuses the copy", PATIENCE, async || {
            let mut all = true;
            for node in nodes {
                all &= statuses(&self.victim, node).await == [503, 503];
            }
            all
        })
        .await;
        println!("the copy was refused by {} node(s) after {:?}", nodes.len(), watch());
        let watch = stopwatch();
        while watch() < A_FEW_LOOKS / 2 {
            self.assert_all(nodes, 503, "refused").await;
        }
        for node in nodes {
            self.assert_nothing_is_answered(node).await;
        }
    }

    async fn assert_nothing_is_answered(&self, node: &Node) {
        let owner = self.owner.copy_at(&node.url());
        let answers = [
            owner.end_session(&self.victim.session_id).await,
            owner.end_all().await,
            node.anonymous().login(&self.owner.email, PASSWORD).await,
            node.anonymous().register("nobody-new@example.org").await,
        ];
        for answer in answers {
            answer.assert_problem(503, "unavailable");
            assert!(answer.header("retry-after").is_some() && answer.set_cookies().is_empty(), "{answer}");
        }
        let ready = node.anonymous().call(Method::GET, "/health/ready").send().await;
        assert_eq!((ready.status, ready.json()["ledger"].as_str()), (503, Some("outdated")), "{ready}");
        node.anonymous().get("/health/live").await.assert_status(200);
    }

    /// Everybody is signed out for good, and can sign in.
    pub async fn assert_anew(&self, nodes: &[&Node]) {
        until("every node answers again", PATIENCE, async || {
            let mut all = true;
            for node in nodes {
                let statuses = statuses(&self.victim, node).await;
                assert!(!statuses.contains(&200), "the revoked session came back");
                all &= statuses == [401, 401];
            }
            all
        })
        .await;
        self.assert_all(nodes, 401, "declared").await;
        for node in nodes {
            let again = node.anonymous().sign_in(&self.owner.email, PASSWORD).await;
            until("Redis is used again", PATIENCE, async || {
                assert_eq!(statuses(&again, node).await, [200, 200]);
                node.app().fence.readiness().await.redis == Condition::Ok
            })
            .await;
            let other = again.sign_in_again().await;
            assert_eq!(statuses(&other, node).await, [200, 200]);
            again.end_session(&other.session_id).await.assert_status(204);
            assert_eq!(statuses(&other, node).await, [401, 401]);
            assert!(node.app().fence.readiness().await.ready);
        }
        self.assert_all(nodes, 401, "at the end").await;
    }
}

on_each! {
    async fn a_copy_that_was_put_back_is_refused_at_the_start(stores: Stores) {
        let settings = stores.settings();
        let it = Ended::on(&stores, &[&node(&settings).await]).await;
        stores.database.put_back("backup");
        let sentence = refusal(&settings).await;
        assert!(sentence.contains("`sessiond ledger restored`"), "{sentence}");
        let program = command_line(&settings, &[], "");
        let said = String::from_utf8_lossy(&program.stderr);
        assert_eq!(program.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().last(), Some(format!("sessiond: {sentence}").as_str()));

        // It needs no Redis, and asks nothing of it.
        let said = command_line_ok(&settings.without("REDIS_URL"), &RESTORED, "");
        assert!(said.contains("; sessions ended: 2."), "{said}");
        assert_eq!(stores.database.count("sessions", "end_reason = 'ledger_restored'"), 2);
        assert_eq!(stores.database.count("audit", "event = 'session_revoked' AND detail = 'ledger_restored'"), 2);
        assert_eq!(stores.database.count("audit", "event = 'sys_ledger_restored'"), 1);
        let old_records = |server: &crate::support::redis::PrivateRedis| server.keys("session:*").len();
        assert!(stores.servers().masters().into_iter().map(old_records).sum::<usize>() > 0, "Redis was not asked");
        let (a, b) = (node(&stores.settings()).await, node(&stores.settings()).await);
        it.assert_anew(&[&a, &b]).await;
    }

    async fn a_copy_that_is_put_back_under_running_nodes_is_refused(stores: Stores) {
        let (a, b) = (node(&stores.settings()).await, node(&stores.settings()).await);
        let it = Ended::on(&stores, &[&a, &b]).await;
        stores.database.put_back("backup");
        it.await_refusal(&[&a, &b]).await;
        let watch = stopwatch();
        command_line_ok(&stores.settings().without("REDIS_URL"), &RESTORED, "");
        println!("`sessiond ledger restored` took {:?}", watch());
        it.assert_anew(&[&a, &b]).await;
        println!("everything was in use again after {:?}", watch());
    }
}

fn one() -> Stores {
    Stores::over(Database::postgres_with_tables(), Servers::start(Topology::One))
}

/// Where a copy runs beside the same Redis on purpose, an operator has to know what to delete there.
#[tokio::test]
async fn the_log_names_the_key_in_redis() {
    let stores = one();
    let settings = stores.settings().with("SESSIOND_REDIS_PREFIX", "shop:");
    let a = Process::start(&settings);
    stores.database.back_up("backup");
    let owner = a.anonymous().sign_up().await;
    let before = height(&stores);
    until("it is noted", PATIENCE, async || height(&stores) > before).await;
    tokio::time::sleep(A_FEW_LOOKS).await;
    stores.database.put_back("backup");
    until("it is refused", PATIENCE, async || owner.me().await.status == 503).await;
    let keys = stores.redis().keys("shop:ledger:*");
    let log = a.output();
    assert!(
        keys.len() == 1 && log.contains(&format!("under {}, or continues elsewhere: every request", keys[0])),
        "{keys:?}: {log}"
    );
}

/// A node remembers for itself.
#[tokio::test]
async fn a_copy_under_a_running_node_is_noticed_although_redis_was_emptied() {
    let stores = one();
    let a = node(&stores.settings()).await;
    let it = Ended::on(&stores, &[&a]).await;
    stores.redis().cli::<()>(&["FLUSHALL"]);
    stores.database.put_back("backup");
    stores.redis().cli::<()>(&["FLUSHALL"]);
    it.await_refusal(&[&a]).await;
    assert_eq!(marked(&stores), None, "nothing is noted of a copy");
}

#[tokio::test]
async fn redis_that_cannot_be_asked_at_the_start_is_asked_later() {
    let stores = one();
    let proxy = Proxy::start(stores.redis().address());
    let it = Ended::on(&stores, &[&node(&stores.settings()).await]).await;
    stores.database.put_back("backup");
    let before = height(&stores);
    proxy.refuse();
    let a = node(&stores.settings().with("REDIS_URL", &proxy.in_url(&stores.redis().url()))).await;
    // It cannot know better, and whatever is written now does not make the copy look younger.
    a.anonymous().sign_up().await;
    tokio::time::sleep(A_FEW_LOOKS).await;
    assert_eq!(height(&stores), before);
    proxy.pass();
    it.await_refusal(&[&a]).await;
}

/// The newer database is put back, too: nobody was signed out.
#[tokio::test]
async fn the_ledger_itself_is_accepted_again() {
    let stores = one();
    let a = node(&stores.settings()).await;
    let it = Ended::on(&stores, &[&a]).await;
    // What is raised meanwhile is lost again, or this was a copy as well.
    until("nothing is left to be noted", PATIENCE, async || {
        let before = height(&stores);
        tokio::time::sleep(A_FEW_LOOKS).await;
        before == height(&stores)
    })
    .await;
    stores.database.back_up("newest");
    stores.database.put_back("backup");
    it.await_refusal(&[&a]).await;
    stores.database.put_back("newest");
    until("it is answered again", PATIENCE, async || statuses(&it.owner, &a).await == [200, 200]).await;
    assert_eq!(statuses(&it.victim, &a).await, [401, 401]);
}

/// A backup from before Redis was there at all, put back twice.
#[tokio::test]
async fn the_same_copy_is_refused_every_time() {
    let stores = one();
    let settings = stores.settings();
    let embedded = node(&settings.clone().without("REDIS_URL")).await;
    let owner = embedded.anonymous().sign_up().await;
    let victim = owner.sign_in_again().await;
    stores.database.back_up("backup");
    drop(embedded);
    for round in 0..2 {
        let a = node(&settings).await;
        let owner = a.anonymous().sign_in(&owner.email, PASSWORD).await;
        owner.end_session(&victim.session_id).await;
        until("Redis is told", PATIENCE, async || marked(&stores) >= Some(1)).await;
        drop(a);
        stores.database.put_back("backup");
        assert!(refusal(&settings).await.contains("restored"), "round {round}");
        command_line_ok(&settings, &RESTORED, "");
    }
    let a = node(&settings).await;
    assert_eq!(statuses(&victim, &a).await, [401, 401]);
    // Everything was lost that knew of the first history, but the ledger.
    drop(a);
    stores.redis().cli::<()>(&["FLUSHALL"]);
    drop(node(&settings).await);
    stores.database.put_back("backup");
    refusal(&settings).await;
}

/// Redis tells a node without SQL that the history was given up: every record of it may be of a session that was ended.
#[tokio::test]
async fn a_node_that_does_not_reach_sql_trusts_nothing_of_a_history_that_was_given_up() {
    let stores = one();
    let sql = Proxy::start(match &stores.database {
        Database::Postgres(database) => database.address(),
        Database::Sqlite(_) => panic!("it is PostgreSQL"),
    });
    let a = node(&stores.settings()).await;
    let b = node(&stores.settings().with("DATABASE_URL", &sql.in_url(&stores.database.url()))).await;
    let owner = a.anonymous().sign_up().await;
    let by_record = async || owner.copy_at(&b.url()).get("/auth/forward").await.status;
    assert_eq!((statuses(&owner, &b).await, by_record().await), ([200, 200], 200));
    tokio::time::sleep(A_FEW_LOOKS).await;
    sql.refuse();
    sql.cut();
    // Longer than a lease: it goes on by what Redis has.
    tokio::time::sleep(2 * A_FEW_LOOKS).await;
    assert_eq!(by_record().await, 200, "one Redis that stands alone is still trusted");
    let key = stores.redis().keys("session:*").pop().expect("a record");
    let record: String = stores.redis().cli(&["GET", &key]);
    command_line_ok(&stores.settings().without("REDIS_URL"), &RESTORED, "");
    until("A goes on from there", PATIENCE, async || statuses(&owner, &a).await == [401, 401]).await;
    // As if B had filled it again, at the last moment that it could. It may take three leases to hear.
    until("B trusts nothing of before", 3 * LEASE + A_FEW_LOOKS, async || {
        stores.redis().cli::<()>(&["SET", &key, &record, "PX", "60000"]);
        by_record().await == 503
    })
    .await;
    tokio::time::sleep(A_FEW_LOOKS).await;
    assert_eq!(by_record().await, 503, "and goes on trusting nothing");
    sql.pass();
    until("it knows", PATIENCE, async || statuses(&owner, &b).await == [401, 401]).await;
}

/// Another ledger beside the same Redis, with the same prefix, is no copy of this one.
#[tokio::test]
async fn a_fresh_database_beside_an_old_redis_starts_and_disturbs_nobody() {
    let stores = one();
    let a = node(&stores.settings()).await;
    let owner = a.anonymous().sign_up().await;
    let fresh = Database::postgres();
    let b = node(&stores.settings().with("DATABASE_URL", &fresh.url())).await;
    let other = b.anonymous().sign_up().await;
    tokio::time::sleep(A_FEW_LOOKS).await;
    assert_eq!((statuses(&owner, &a).await, statuses(&other, &b).await), ([200, 200], [200, 200]));
    assert_eq!(stores.redis().keys("ledger:*").len(), 2);
}

/// Fails the last step of `sessiond ledger restored`.
fn obstruct(database: &Database) {
    let trigger = match database {
        Database::Sqlite(_) => {
            "CREATE TRIGGER obstacle BEFORE UPDATE ON lineage BEGIN SELECT RAISE(ABORT, 'obstructed'); END"
        }
        Database::Postgres(_) => {
            "CREATE FUNCTION obstruct() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'obstructed'; END $$; \
             CREATE TRIGGER obstacle BEFORE UPDATE ON lineage FOR EACH ROW EXECUTE FUNCTION obstruct()"
        }
    };
    database.execute(trigger);
}

/// As many more sessions.
fn multiply(database: &Database, sessions: usize) {
    let (id, hash, numbers) = match database {
        Database::Sqlite(_) => (
            "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2)) || '-' || \
             hex(randomblob(2)) || '-' || hex(randomblob(6)))",
            "randomblob(32)",
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {sessions}) SELECT i FROM n)"
            ),
        ),
        Database::Postgres(_) => (
            "gen_random_uuid()::text",
            "sha256(gen_random_uuid()::text::bytea)",
            format!("generate_series(1, {sessions})"),
        ),
    };
    let columns = "user_id, created_at, authenticated_at, last_seen_at, expires_at, idle_seconds, remember, \
         sign_in_ip, last_ip";
    database.execute(&format!(
        "INSERT INTO sessions (id, token_hash, {columns}) SELECT {id}, {hash}, {columns} \
         FROM (SELECT * FROM sessions LIMIT 1) AS one, {numbers} AS numbers"
    ));
}

async fn interrupted(stores: Stores) {
    let settings = stores.settings();
    let it = Ended::on(&stores, &[&node(&settings).await]).await;
    stores.database.put_back("backup");
    multiply(&stores.database, 1_200);
    obstruct(&stores.database);
    let output = command_line(&settings, &RESTORED, "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let left = stores.database.count("sessions", "ended_at IS NULL");
    assert_eq!(left, 202, "what was committed stays: all whole batches");
    refusal(&settings).await;
    stores.database.execute(match stores.database {
        Database::Sqlite(_) => "DROP TRIGGER obstacle",
        Database::Postgres(_) => "DROP TRIGGER obstacle ON lineage",
    });
    let said = command_line_ok(&settings, &RESTORED, "");
    assert!(said.contains("; sessions ended: 202."), "{said}");
    let again = command_line_ok(&settings, &RESTORED, "");
    assert!(again.contains("; sessions ended: 0."), "{again}");
    it.assert_anew(&[&node(&settings).await]).await;
}

#[tokio::test]
async fn an_interrupted_declaration_is_repeated_on_sqlite() {
    interrupted(Stores::over(Database::sqlite(), Servers::start(Topology::One))).await;
}

#[tokio::test]
async fn an_interrupted_declaration_is_repeated_on_postgresql() {
    interrupted(one()).await;
}

/// Declared without need, under running nodes that trust their Redis: when the command is done, nobody is signed in,
/// although no node was told.
#[tokio::test]
async fn when_it_is_done_every_session_is_over_on_every_node() {
    let stores = one();
    let nodes = [node(&stores.settings()).await, node(&stores.settings()).await];
    let owner = nodes[0].anonymous().sign_up().await;
    for node in nodes.iter().chain(&nodes) {
        assert_eq!(statuses(&owner, node).await, [200, 200]);
    }
    let link = command_line_ok(&stores.settings(), &["user", "reset", &owner.email], "");
    let token = link.split('#').nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a link");
    command_line_ok(&stores.settings().without("REDIS_URL"), &RESTORED, "");
    for node in &nodes {
        assert_eq!(statuses(&owner, node).await, [401, 401]);
        let reset = serde_json::json!({ "token": token, "new_password": "another four plain words" });
        let answer = node.anonymous().post_json("/reset", &reset).await;
        let field = answer.assert_problem(422, "invalid-body").json().pointer("/errors/0/field").cloned();
        assert_eq!(field, Some("token".into()), "the link is void: {answer}");
    }
    let again = nodes[1].anonymous().sign_in(&owner.email, PASSWORD).await;
    tokio::time::sleep(A_FEW_LOOKS).await;
    assert_eq!((statuses(&again, &nodes[0]).await, statuses(&again, &nodes[1]).await), ([200, 200], [200, 200]));
}

#[tokio::test]
async fn it_asks_before_it_ends_every_session() {
    let stores = Stores::of(Database::sqlite(), None);
    let a = node(&stores.settings()).await;
    let owner = a.anonymous().sign_up().await;
    let output = command_line(&stores.settings(), &["ledger", "restored"], "yes\n");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(owner.is_signed_in().await);
    command_line_ok(&stores.settings(), &RESTORED, "");
    assert!(!owner.is_signed_in().await);
}

/// The operator's clock may run ahead of the nodes', and what is over by it is not over by theirs.
#[tokio::test]
async fn what_is_over_by_the_operators_clock_ends_as_well() {
    for database in [Database::sqlite(), Database::postgres_with_tables()] {
        let stores = Stores::of(database, None);
        let a = node(&stores.settings()).await;
        let owner = a.anonymous().sign_up().await;
        let victim = owner.sign_in_again().await;
        let expires = |of: &str| format!("SELECT CAST(expires_at AS TEXT) AS value FROM sessions WHERE id = '{of}'");
        let later = stores.database.value(&expires(&owner.session_id));
        // A moment ago: what is over for longer than it is kept is purged by the node, at any time.
        let ago = SystemClock::new().now().minus(A_FEW_LOOKS).ms().to_string();
        let set = |to: &str| format!("UPDATE sessions SET expires_at = {to} WHERE id = '{}'", victim.session_id);
        stores.database.execute(&set(&ago));
        let said = command_line_ok(&stores.settings(), &RESTORED, "");
        assert!(said.contains("; sessions ended: 2."), "{said}");
        stores.database.execute(&set(&later));
        for person in [&owner, &victim] {
            assert_eq!(statuses(person, &a).await, [401, 401]);
        }
    }
}

/// Only what must not be forgotten raises the height: neither time nor the use of a session does.
#[tokio::test]
async fn an_idle_server_writes_nothing() {
    let stores = one();
    let a = node(&stores.settings()).await;
    let owner = a.anonymous().sign_up().await;
    tokio::time::sleep(A_FEW_LOOKS).await;
    let (before, written) = (height(&stores), a.app().core.ledger().written());
    assert!(before > 0);
    let watch = stopwatch();
    while watch() < A_FEW_LOOKS {
        assert!(owner.is_signed_in().await);
    }
    assert_eq!((height(&stores), a.app().core.ledger().written()), (before, written));
}
