//! Databases as they are: servers that say nothing, poolers, roles with few rights, encodings. What can be used works; what
//! cannot is one sentence within a bound, and leaves nothing behind.
#![cfg(feature = "postgres")]

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};
use tempfile::TempDir;

use crate::support::database::Database;
use crate::support::ports::{free_port, random};
use crate::support::process::{Process, command_line, command_line_ok};
use crate::support::proxy::{Proxy, contains};
use crate::support::server::Stores;
use crate::support::settings::Settings;
use crate::support::wait::{stopwatch, until, until_found};

/// The longest that a command may take which cannot reach its database, on a busy machine.
const BOUND: Duration = Duration::from_secs(40);

/// Accepts connections, and says nothing.
struct Mute(TcpListener);

impl Mute {
    fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }
}

fn postgres(stores: &Stores) -> SocketAddr {
    let Database::Postgres(database) = &stores.database else { panic!("PostgreSQL") };
    database.address()
}

/// A command that fails with one sentence, within the bound.
fn refused(settings: &Settings, arguments: &[&str]) -> String {
    let took = stopwatch();
    let output = command_line(settings, arguments, "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let sentences = said.lines().filter(|line| line.starts_with("sessiond: ")).count();
    assert_eq!(sentences, 1, "{said}");
    assert!(took() < BOUND, "{:?}: {said}", took());
    println!("{arguments:?}: {said}after {:?}", took());
    said
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_told_within_a_bound() {
    let stores = Stores::of(Database::postgres(), None);
    let mute = Mute::listen();
    let silent = stores.settings().with("DATABASE_URL", &format!("postgres://sd:pw@{}/sd", mute.address()));
    for arguments in [&["user", "list"][..], &["migrate"], &[]] {
        let said = refused(&silent, arguments);
        assert!(said.contains("The database cannot be used: ") && !said.contains("pw@"), "{said}");
    }
    // One that goes silent only once it is asked something.
    let proxy = Proxy::start(postgres(&stores));
    let _held = proxy.hold(contains("server_encoding"));
    let behind = stores.settings().with("DATABASE_URL", &proxy.in_url(&stores.database.url()));
    assert!(refused(&behind, &["user", "list"]).contains("but does not answer within"));

    // And the next one of the address is tried, at the start and for every connection after it.
    let two = stores.database.url().replace("@", &format!("@{},{},", mute.address(), proxy.address()));
    let process = Process::start(&stores.settings().with("DATABASE_URL", &two));
    let owner = process.anonymous().sign_up().await;
    owner.me().await.assert_status(200);
    owner.sign_out().await.assert_status(204);
}

/// A server that goes on accepting connections, and answers none of them any more: the next one of the address is asked.
#[tokio::test]
async fn a_server_that_goes_mute_once_it_is_connected_to_makes_way_for_the_next() {
    let stores = Stores::of(Database::postgres(), None);
    let proxy = Proxy::start(postgres(&stores));
    let two = stores.database.url().replace("@", &format!("@{},", proxy.address()));
    let process = Process::start(&stores.settings().with("DATABASE_URL", &two));
    let owner = process.anonymous().sign_up().await;
    assert!(proxy.accepted() > 0, "the first one is asked first");
    let held = proxy.hold(contains("synchronous_commit"));
    proxy.cut();
    until("the next one answers", BOUND, async || owner.me().await.status == 200).await;
    assert!(held.count() > 0, "the first one was asked first");
    owner.sign_out().await.assert_status(204);
}

/// A server that does not answer is no sign of too many questions, however many are asked.
#[tokio::test]
async fn a_database_that_freezes_is_unavailable_and_not_busy() {
    let stores = Stores::of(Database::postgres(), None);
    let proxy = Proxy::start(postgres(&stores));
    let process = Process::start(&stores.settings().with("DATABASE_URL", &proxy.in_url(&stores.database.url())));
    let owner = process.anonymous().sign_up().await;
    proxy.black_hole();
    // More than there are connections, of those that read and of those that write.
    let asked = futures_util::future::join_all((0..24).map(|number| {
        let owner = &owner;
        async move { if number % 2 == 0 { owner.me().await } else { owner.rename(Some("Ana")).await } }
    }));
    for answer in asked.await {
        answer.assert_problem(503, "unavailable");
    }
    let log = process.output();
    assert!(log.contains("does not answer") && !log.contains("too busy"), "{log}");
}

/// What the driver says of several addresses, with hints over several lines, is one line with a full stop at its end.
#[test]
fn a_server_that_cannot_be_reached_is_one_line() {
    let settings = Settings::new().with("DATABASE_URL", "postgres://sd@127.0.0.1:1,127.0.0.1:2/sd");
    let said = refused(&settings, &["user", "list"]);
    let one = "connection to server at \"127.0.0.1\", port";
    let two = format!(
        "no connection to the database: {one} 1 failed: Connection refused; {one} 2 failed: Connection refused."
    );
    assert!(said.trim_end().ends_with(&two), "{said}");
}

/// PgBouncer in front of the private PostgreSQL.
struct PgBouncer {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl PgBouncer {
    fn start(server: SocketAddr, pool_mode: &str) -> Self {
        let folder = TempDir::with_prefix("pgbouncer-").expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("its own folder");
        let (path, users) = (folder.path().join("pgbouncer.ini"), folder.path().join("users"));
        fs::write(&users, "\"sessiond\" \"\"\n").expect("a file");
        let port = free_port();
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = {pool_mode}\nlogfile = {}\n",
            server.ip(),
            server.port(),
            users.display(),
            folder.path().join("log").display(),
        );
        fs::write(&path, settings).expect("a file");
        let program =
            if fs::exists("/usr/sbin/pgbouncer").unwrap_or(false) { "/usr/sbin/pgbouncer" } else { "pgbouncer" };
        let mut command = Command::new(program);
        if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
            // It refuses to be root.
            command.args(["-u", "nobody"]);
        }
        let child = command.arg(&path).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut pooler = Self { child: child.expect("pgbouncer is installed: tests/run does it"), port, folder };
        until_found("PgBouncer listens", Duration::from_secs(20), || {
            assert!(pooler.child.try_wait().expect("own process").is_none(), "{}", pooler.log());
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        pooler
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn in_url(&self, url: &str) -> String {
        let (_, name) = url.rsplit_once('/').expect("a database");
        format!("postgres://sessiond@127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Text)]
    value: String,
}

fn asked(connection: &mut PgConnection, sql: &str) -> String {
    sql_query(sql).get_result::<Value>(connection).unwrap_or_else(|error| panic!("{sql}: {error}")).value
}

/// A pooler that gives each transaction another connection cannot be used, is told from one that does not, and has nothing
/// of ours afterwards.
#[tokio::test]
async fn a_pooler_is_used_where_connections_stay_and_refused_without_a_trace_where_not() {
    let stores = Stores::of(Database::postgres(), None);
    let mut pooler = None;
    for (pool_mode, migrated) in
        [("transaction", false), ("statement", false), ("transaction", true), ("statement", true)]
    {
        let url = pooler.insert(PgBouncer::start(postgres(&stores), pool_mode)).in_url(&stores.database.url());
        let pooled = stores.settings().with("DATABASE_URL", &url);
        for arguments in [&["migrate"][..], &["user", "list"], &[]] {
            let said = refused(&pooled, arguments);
            assert!(said.contains("use pool_mode = session"), "{pool_mode}, migrated: {migrated}: {said}");
            assert!(!said.contains("no connection"), "it was reached: {said}");
        }
        let locks = "SELECT count(*)::text AS value FROM pg_locks JOIN pg_database d ON d.oid = database \
             WHERE locktype = 'advisory' AND datname = current_database()";
        assert_eq!(stores.database.value(locks), "0");
        let mut through = PgConnection::establish(&url).expect("the pooler answers");
        for (name, value) in [("lock_timeout", "0"), ("synchronous_commit", "on"), ("statement_timeout", "0")] {
            let sql = format!("SELECT current_setting('{name}') AS value");
            assert_eq!(asked(&mut through, &sql), value, "{name} of others who share the connection");
        }
        // Nothing is in the way of whoever comes directly.
        if pool_mode == "statement" {
            command_line_ok(&stores.settings(), &["migrate"], "");
        }
    }
    drop(pooler);
    let pooler = PgBouncer::start(postgres(&stores), "session");
    let through = stores.settings().with("DATABASE_URL", &pooler.in_url(&stores.database.url()));
    let process = Process::start(&through);
    let owner = process.anonymous().sign_up().await;
    owner.me().await.assert_status(200);
    owner.sign_out().await.assert_status(204);
}

/// A node needs the rows. The tables are their owner's, who brings them up to date.
#[tokio::test]
async fn a_role_that_may_only_read_and_write_runs_a_node_when_nothing_is_pending() {
    let stores = Stores::of(Database::postgres(), None);
    let role = format!("node_{:016x}", random());
    stores.database.execute(&format!("CREATE ROLE {role} LOGIN"));
    let (_, place) = stores.database.url().rsplit_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a user");
    let as_node = stores.settings().with("DATABASE_URL", &format!("postgres://{role}@{place}"));
    let said = refused(&as_node, &[]);
    assert!(said.contains("run `sessiond migrate` as the tables' owner"), "{said}");

    command_line_ok(&stores.settings(), &["migrate"], "");
    for (granted, arguments) in [("", &["user", "list"][..]), ("", &[]), ("SELECT", &[]), ("SELECT, INSERT", &[])] {
        if !granted.is_empty() {
            stores.database.execute(&format!("GRANT {granted} ON ALL TABLES IN SCHEMA public TO {role}"));
        }
        let said = refused(&as_node, arguments);
        assert!(said.contains("lacks a privilege: permission denied for table"), "{granted}: {said}");
        assert!(said.contains("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"), "{granted}: {said}");
    }
    let grant = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}");
    stores.database.execute(&grant);
    command_line_ok(&as_node, &["migrate"], "");
    let process = Process::start(&as_node);
    let owner = process.anonymous().sign_up().await;
    owner.me().await.assert_status(200);
    owner.sign_out().await.assert_status(204);
    drop(process);
    stores.database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_database_that_is_not_utf_8_is_refused_at_the_start() {
    let stores = Stores::of(Database::postgres(), None);
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let name = format!("test_{:016x}", random());
        stores.database.execute(&format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"));
        let (server, _) =
            stores.database.url().rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a name");
        let settings = stores.settings().with("DATABASE_URL", &format!("{server}/{name}"));
        for arguments in [&["migrate"][..], &[]] {
            let said = refused(&settings, arguments);
            assert!(said.contains(&format!("encoding is {encoding}, but must be UTF8")), "{said}");
            assert!(!said.contains("no connection"), "it was reached: {said}");
        }
        let mut there = PgConnection::establish(&format!("{server}/{name}")).expect("it answers");
        assert_eq!(asked(&mut there, "SELECT count(*)::text AS value FROM pg_tables WHERE schemaname = 'public'"), "0");
        drop(there);
        stores.database.execute(&format!("DROP DATABASE {name}"));
    }
}

/// A command that finds the tables up to date writes nothing and leaves no file that only it could open.
#[test]
fn a_command_leaves_no_file_beside_an_sqlite_database() {
    let stores = Stores::of(Database::sqlite(), None);
    let Database::Sqlite(folder) = &stores.database else { panic!("SQLite") };
    for arguments in [&["migrate"][..], &["user", "list"], &["user", "list"]] {
        command_line_ok(&stores.settings(), arguments, "");
        let names = fs::read_dir(folder.path()).expect("a folder").map(|file| file.expect("a file").file_name());
        let mut others: Vec<_> = names.filter(|name| name != "sessiond.db").collect();
        others.retain(|name| name != "sessiond.db-wal" && name != "sessiond.db-shm");
        assert!(others.is_empty(), "{others:?}");
    }
    let mut connection = diesel::SqliteConnection::establish(&folder.path().join("sessiond.db").display().to_string())
        .expect("SQLite opens");
    connection.batch_execute("BEGIN IMMEDIATE").expect("a writer");
    command_line_ok(&stores.settings(), &["user", "list"], "");
}
