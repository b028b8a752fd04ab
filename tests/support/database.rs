//! A database of one test's own: an SQLite file in a folder, or a database in the private PostgreSQL that
//! `tests/run` has started.
//!
//! Owns the creating and dropping of it, and plain SQL against it from outside of sessiond. Must never connect
//! to a PostgreSQL that `tests/run` did not start.

use diesel::connection::SimpleConnection;
use diesel::sql_types::{Nullable, Text};
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use tempfile::TempDir;

/// The environment variable with the URL of the private PostgreSQL.
pub const POSTGRES_VARIABLE: &str = "SESSIOND_TEST_POSTGRES";

/// One test's database. It is gone when the value is dropped.
pub enum Database {
    /// A file, which several processes may open.
    Sqlite(TempDir),
    /// A database with a name of its own.
    #[cfg(feature = "postgres")]
    Postgres(postgres::PrivateDatabase),
}

impl Database {
    /// An SQLite file that does not exist yet, in a new folder.
    pub fn sqlite() -> Self {
        Self::Sqlite(TempDir::with_prefix("sqlite-").expect("a folder for SQLite"))
    }

    /// A new, empty PostgreSQL database, without any tables.
    #[cfg(feature = "postgres")]
    pub fn postgres() -> Self {
        Self::Postgres(postgres::PrivateDatabase::create())
    }

    /// A new PostgreSQL database with sessiond's tables, as `sessiond migrate` makes them: for tests that are not about
    /// their making. It is a copy, which takes half of the work.
    #[cfg(feature = "postgres")]
    pub fn postgres_with_tables() -> Self {
        Self::Postgres(postgres::PrivateDatabase::with_tables())
    }

    /// What sessiond takes as `DATABASE_URL`.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}", folder.path().join("sessiond.db").display()),
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.url(),
        }
    }

    /// Runs statements that answer nothing.
    pub fn execute(&self, sql: &str) {
        self.connected(|connection| connection.execute(sql));
    }

    /// The rows of a query with one column, named `value`, as text:
    /// `SELECT CAST(count(*) AS TEXT) AS value FROM sessions`.
    pub fn values(&self, sql: &str) -> Vec<Option<String>> {
        self.connected(|connection| connection.values(sql))
    }

    /// The one value of a query with one row; see [`Database::values`].
    pub fn value(&self, sql: &str) -> String {
        let mut rows = self.values(sql);
        assert_eq!(rows.len(), 1, "one row was expected: {sql}");
        rows.pop().flatten().unwrap_or_else(|| panic!("a value was expected: {sql}"))
    }

    /// How many rows of `table` match `condition`.
    pub fn count(&self, table: &str, condition: &str) -> usize {
        let sql = format!("SELECT CAST(count(*) AS TEXT) AS value FROM {table} WHERE {condition}");
        self.value(&sql).parse().expect("a number")
    }

    /// Keeps everybody from writing until it is dropped; readers go on.
    pub fn block_writers(&self) -> Box<dyn std::any::Any> {
        match self {
            Self::Sqlite(_) => {
                let mut writer =
                    SqliteConnection::establish(&self.url().replace("sqlite://", "")).expect("SQLite opens");
                writer.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").expect("the lock of all writers");
                Box::new(writer)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => {
                let mut writer = database.connect();
                let lock = "BEGIN; LOCK TABLE users, sessions, pending_invalidations, audit IN EXCLUSIVE MODE";
                writer.batch_execute(lock).expect("the lock of all writers");
                Box::new(writer)
            }
        }
    }

    /// Copies all rows aside, under this name.
    pub fn back_up(&self, name: &str) {
        let copy = |table: &String| format!("CREATE TABLE {name}.{table} AS SELECT * FROM main.{table};");
        let copies: String = self.own_tables().iter().map(copy).collect();
        match self {
            Self::Sqlite(_) => self.execute(&format!("{} BEGIN; {copies} COMMIT", self.attached(name))),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => self.execute(&format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ; CREATE SCHEMA {name}; {} COMMIT",
                copies.replace(" main.", " public.")
            )),
        }
    }

    /// Puts the rows of [`Database::back_up`] in the place of all that is there now, in one transaction: under whoever
    /// has the database open.
    pub fn put_back(&self, name: &str) {
        let tables = self.own_tables();
        let delete = |table: &String| format!("DELETE FROM {table};");
        let insert = |table: &String| format!("INSERT INTO {table} SELECT * FROM {name}.{table};");
        let rows: String = tables.iter().map(delete).chain(tables.iter().map(insert)).collect();
        match self {
            Self::Sqlite(_) => self
                .execute(&format!("PRAGMA foreign_keys = OFF; {} BEGIN IMMEDIATE; {rows} COMMIT", self.attached(name))),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => self.execute(&format!(
                "SET session_replication_role = replica; BEGIN; LOCK TABLE {} IN EXCLUSIVE MODE; {rows} COMMIT",
                tables.join(", ")
            )),
        }
    }

    fn attached(&self, name: &str) -> String {
        let url = self.url();
        format!("ATTACH '{}.{name}' AS {name};", url.trim_start_matches("sqlite://"))
    }

    /// Without those of the tools that made them.
    fn own_tables(&self) -> Vec<String> {
        self.tables().into_iter().filter(|table| !table.starts_with("__") && !table.starts_with("sqlite_")).collect()
    }

    /// Everything that is stored, as one text: to search for what must not be there. Binary columns are
    /// upper-case hexadecimal.
    pub fn dump_text(&self) -> String {
        self.tables().iter().map(|table| format!("{table}\n{}\n", self.rows(table).join("\n"))).collect()
    }

    fn tables(&self) -> Vec<String> {
        let sql = match self {
            Self::Sqlite(_) => "SELECT name AS value FROM sqlite_master WHERE type = 'table'",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "SELECT tablename::text AS value FROM pg_tables WHERE schemaname = 'public'",
        };
        self.values(sql).into_iter().flatten().collect()
    }

    fn rows(&self, table: &str) -> Vec<String> {
        let columns = match self {
            Self::Sqlite(_) => format!("SELECT name AS value FROM pragma_table_info('{table}')"),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => format!(
                "SELECT column_name::text AS value FROM information_schema.columns WHERE table_name = '{table}'"
            ),
        };
        let as_text = |column: String| match self {
            Self::Sqlite(_) => format!(
                "coalesce(CASE WHEN typeof(\"{column}\") = 'blob' THEN hex(\"{column}\") \
                 ELSE CAST(\"{column}\" AS TEXT) END, '')"
            ),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                format!("coalesce(upper(ltrim(\"{column}\"::text, '\\\\x')) || ' ' || \"{column}\"::text, '')")
            }
        };
        let row: Vec<String> = self.values(&columns).into_iter().flatten().map(as_text).collect();
        self.values(&format!("SELECT {} AS value FROM \"{table}\"", row.join(" || ' ' || ")))
            .into_iter()
            .flatten()
            .collect()
    }

    fn connected<T>(&self, work: impl FnOnce(&mut dyn PlainSql) -> T) -> T {
        match self {
            Self::Sqlite(folder) => {
                let path = folder.path().join("sessiond.db");
                let mut connection = SqliteConnection::establish(&path.to_string_lossy()).expect("SQLite opens");
                connection.batch_execute("PRAGMA busy_timeout = 5000").expect("the pragma is known");
                work(&mut connection)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => work(&mut database.connect()),
        }
    }
}

/// The two things that tests ask of a connection, whatever its kind.
trait PlainSql {
    fn execute(&mut self, sql: &str);
    fn values(&mut self, sql: &str) -> Vec<Option<String>>;
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

macro_rules! plain_sql {
    ($connection:ty) => {
        impl PlainSql for $connection {
            fn execute(&mut self, sql: &str) {
                self.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            }

            fn values(&mut self, sql: &str) -> Vec<Option<String>> {
                let rows: Vec<Row> = sql_query(sql).load(self).unwrap_or_else(|error| panic!("{sql}: {error}"));
                rows.into_iter().map(|row| row.value).collect()
            }
        }
    };
}

plain_sql!(SqliteConnection);
#[cfg(feature = "postgres")]
plain_sql!(diesel::PgConnection);

#[cfg(feature = "postgres")]
pub mod postgres {
    //! A database in the private PostgreSQL.

    use std::process::Command;

    use diesel::connection::SimpleConnection;
    use diesel::{Connection, PgConnection};

    use super::{POSTGRES_VARIABLE, PlainSql};
    use crate::support::ports::random;

    /// The database that has sessiond's tables and nothing in them, for others to be copies of.
    const TEMPLATE: &str = "with_tables";
    /// Of the one process that makes the template: any number, for an advisory lock at the server's own database.
    const TURN: u64 = 7_211_406;

    /// One database, dropped with the value.
    pub struct PrivateDatabase {
        server: String,
        name: String,
    }

    impl PrivateDatabase {
        /// Creates an empty one with a name that no other test has.
        pub fn create() -> Self {
            let database = Self::named_anew();
            database.create_by(&mut database.server(), "");
            database
        }

        /// Creates one that has sessiond's tables.
        pub fn with_tables() -> Self {
            let database = Self::named_anew();
            let mut server = database.server();
            if !has_template(&mut server) {
                make_template(&mut server);
            }
            database.create_by(&mut server, &format!("TEMPLATE {TEMPLATE}"));
            database
        }

        fn named_anew() -> Self {
            let server = std::env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| {
                panic!("this test needs PostgreSQL: run tests/run, which starts one and sets {POSTGRES_VARIABLE}")
            });
            Self { server, name: format!("test_{:016x}", random()) }
        }

        /// To copy files takes less than to write all of them as a log.
        fn create_by(&self, server: &mut PgConnection, from: &str) {
            server.execute(&format!("CREATE DATABASE {} {from} STRATEGY FILE_COPY", self.name));
        }

        fn server(&self) -> PgConnection {
            PgConnection::establish(&self.server).expect("the private PostgreSQL answers")
        }

        /// The URL of this database.
        pub fn url(&self) -> String {
            let (server, _) = self.server.rsplit_once('/').expect("the URL ends in a database's name");
            format!("{server}/{}", self.name)
        }

        /// Where the server listens, for a proxy in front.
        pub fn address(&self) -> std::net::SocketAddr {
            let host = self.server.rsplit('@').next().and_then(|rest| rest.split('/').next());
            host.and_then(|host| host.parse().ok()).expect("the URL names an address and a port")
        }

        /// A connection of the test's own.
        pub fn connect(&self) -> PgConnection {
            PgConnection::establish(&self.url()).expect("the private PostgreSQL answers")
        }

        fn at_server(&self, sql: &str) -> Result<(), Box<dyn std::error::Error>> {
            Ok(PgConnection::establish(&self.server)?.batch_execute(sql)?)
        }
    }

    fn has_template(server: &mut PgConnection) -> bool {
        let sql = format!("SELECT datname::text AS value FROM pg_database WHERE datname = '{TEMPLATE}'");
        !server.values(&sql).is_empty()
    }

    /// The first process creates it; the others wait. It gets its name when it is complete.
    fn make_template(server: &mut PgConnection) {
        server.execute(&format!("SELECT pg_advisory_lock({TURN})"));
        if !has_template(server) {
            let new = PrivateDatabase::create();
            let mut migrate = Command::new(env!("CARGO_BIN_EXE_sessiond"));
            let made = migrate.arg("migrate").env_clear().env("DATABASE_URL", new.url()).output().expect("a program");
            assert!(made.status.success(), "{made:?}");
            server.execute(&format!("ALTER DATABASE {} RENAME TO {TEMPLATE}", new.name));
        }
        server.execute(&format!("SELECT pg_advisory_unlock({TURN})"));
    }

    impl Drop for PrivateDatabase {
        fn drop(&mut self) {
            // A test that already fails must not fail twice; tests/run throws the whole server away.
            let _ = self.at_server(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}
