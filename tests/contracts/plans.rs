//! How the databases find what administrators ask for: by an index, in order, whatever is asked.
//!
//! Owns the listening to the ledger's own statements: what is explained is what it sends.

use std::sync::Arc;

use diesel::connection::{Connection, InstrumentationEvent};
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use parking_lot::Mutex;
use sessiond::domain::event::Event;
use sessiond::domain::{SessionId, SystemRandom, Timestamp, UserId};
use sessiond::ledger::alerts;
use sessiond::ledger::audit::{self, Filter};
use sessiond::ledger::user_search::{self, After};
use sessiond::ledger::users::other_hashes;
use sessiond::ledger::{Db, Ledger, LedgerError, erasure, retention, session_history, session_location, users};

use super::ledger::target;
use crate::support::database::Database;

type Read = Box<dyn Fn(&mut Db) -> Result<(), LedgerError>>;

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = Text)]
    #[diesel(column_name = "detail")]
    detail: String,
}

fn user() -> UserId {
    UserId::generate(Timestamp::from_ms(1_700_000_000_000), &SystemRandom)
}

fn session() -> SessionId {
    SessionId::generate(Timestamp::from_ms(1_700_000_000_000), &SystemRandom)
}

fn lines(filter: Filter) -> Read {
    Box::new(move |db| audit::page(db, &filter, Some(session().uuid()), 50).map(drop))
}

fn alerts_about(user: Option<UserId>, state: alerts::AlertState) -> Read {
    Box::new(move |db| alerts::page(db, state, user, None, 50).map(drop))
}

/// What is asked, and the index that serves it; a page comes out of the index in order.
fn reads() -> Vec<(&'static str, &'static str, bool, Read)> {
    let (id, moment) = (user(), Timestamp::from_ms(1_700_000_000_000));
    let none = Filter::default;
    let actor = || Some(id.to_string());
    let event = Some(Event::LoginSuccess);
    let some = |prefix: &'static str, after: bool| -> Read {
        let after = after.then(|| After { name: b"ana".to_vec(), user: id });
        Box::new(move |db| user_search::page(db, prefix, after.as_ref(), 50).map(drop))
    };
    vec![
        ("all lines", "audit_pkey|sqlite_autoindex_audit_1", true, lines(none())),
        (
            "between",
            "audit_pkey|sqlite_autoindex_audit_1",
            true,
            lines(Filter { after: Some(moment), before: Some(moment), ..none() }),
        ),
        ("of a user", "audit_user", true, lines(Filter { user: Some(id), ..none() })),
        (
            "of a user and event",
            "audit_user",
            true,
            lines(Filter { user: Some(id), event, after: Some(moment), ..none() }),
        ),
        ("of a session", "audit_session", true, lines(Filter { session: Some(session()), user: Some(id), ..none() })),
        ("of an event", "audit_event", true, lines(Filter { event, before: Some(moment), ..none() })),
        ("by somebody", "audit_actor", true, lines(Filter { actor: actor(), event, ..none() })),
        ("a query", "user_names_pkey|sqlite_autoindex_user_names_1", true, some("ana", false)),
        ("its next page", "user_names_pkey|sqlite_autoindex_user_names_1", true, some("an", true)),
        (
            "all users",
            "users_email_key_key|sqlite_autoindex_users_2",
            true,
            Box::new(|db| users::page(db, Some("a"), 50).map(drop)),
        ),
        ("alerts about a user", "alerts_user", true, alerts_about(Some(id), alerts::AlertState::All)),
        ("open ones", "alerts_user", true, alerts_about(Some(id), alerts::AlertState::Open)),
        ("open alerts", "alerts_open", true, alerts_about(None, alerts::AlertState::Open)),
        ("administrators", "users_privileged", false, Box::new(|db| users::privileged(db).map(drop))),
        (
            "old lines",
            "audit_pkey|sqlite_autoindex_audit_1",
            true,
            Box::new(move |db| retention::purge_lines(db, moment, 50).map(drop)),
        ),
        ("other systems' hashes", "users_other_hash", false, Box::new(|db| other_hashes::shares(db).map(drop))),
        ("deletions to finish", "users_deleted", false, Box::new(|db| erasure::unfinished(db, 50).map(drop))),
    ]
}

/// The same of sessions.
fn reads_of_sessions() -> Vec<(&'static str, &'static str, bool, Read)> {
    let (id, moment) = (user(), Timestamp::from_ms(1_700_000_000_000));
    vec![
        (
            "what risk compares",
            "sessions_ended_of_user",
            false,
            Box::new(move |db| session_location::history(db, id, 50).map(drop)),
        ),
        (
            "unended",
            "sessions_live_of_user",
            false,
            Box::new(move |db| session_location::unended(db, id, 50).map(drop)),
        ),
        (
            "the round of risk",
            "sessions_live_of_user",
            true,
            Box::new(move |db| session_location::page(db, Some(id), 50).map(drop)),
        ),
        (
            "a history",
            "sessions_ended_of_user",
            false,
            Box::new(move |db| session_history::ended_of(db, id, 50).map(drop)),
        ),
        (
            "live sessions",
            "sessions_live_of_user",
            false,
            Box::new(move |db| session_history::deadlines_of(db, &[id], moment).map(drop)),
        ),
        (
            "live sessions, a part at a time",
            "sessions_live|sessions_pkey",
            true,
            Box::new(move |db| retention::yet_to_come(db, Some(session()), moment, 50).map(drop)),
        ),
        (
            "old sessions",
            "sessions_expiry",
            true,
            Box::new(move |db| retention::purge_sessions(db, moment, 50).map(drop)),
        ),
    ]
}

/// The first statement that each read sends, by the ledger's own functions over a connection that is listened to.
fn statement(db: &mut Db, read: &Read) -> String {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = Arc::clone(&heard);
    db.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            listener.lock().push(query.to_string());
        }
    });
    read(db).expect("it is understood");
    let heard = heard.lock();
    let first = heard.iter().find(|sql| sql.starts_with("SELECT")).expect("a question");
    first.split(" -- binds").next().unwrap_or_default().to_owned()
}

async fn fresh(database: &Database) {
    let ledger = Ledger::open(target(database)).expect("a pool");
    ledger.migrate().await.expect("migrations");
}

fn assert_plan(what: &str, plan: &str, index: &str, in_order: bool) {
    assert!(index.split('|').any(|name| plan.contains(name)), "{what}: not by {index}:\n{plan}");
    assert!(!in_order || !(plan.contains("TEMP B-TREE") || plan.contains("Sort")), "{what}: sorted:\n{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_finds_everything_by_an_index() {
    let database = Database::sqlite();
    fresh(&database).await;
    let path = database.url();
    let open = || SqliteConnection::establish(path.trim_start_matches("sqlite://")).expect("SQLite opens");
    let (mut db, mut explainer) = (Db::Sqlite(open()), open());
    for (what, index, in_order, read) in reads().into_iter().chain(reads_of_sessions()) {
        let sql = statement(&mut db, &read);
        let plan: Vec<Plan> = sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(&mut explainer).expect("a plan");
        let plan = plan.into_iter().map(|step| step.detail).collect::<Vec<_>>().join("\n");
        assert_plan(what, &plan, index, in_order);
        for step in plan.lines() {
            let is_index = step.contains("INDEX") || !(step.starts_with("SCAN") || step.starts_with("SEARCH"));
            assert!(is_index || step.contains("PRIMARY KEY"), "{what}: {step}:\n{sql}");
        }
    }
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_finds_everything_by_an_index() {
    use diesel::PgConnection;
    use diesel::connection::SimpleConnection;

    let database = Database::postgres();
    fresh(&database).await;
    let open = || PgConnection::establish(&database.url()).expect("PostgreSQL answers");
    let (mut db, mut explainer) = (Db::Pg(open()), open());
    explainer.batch_execute(POPULATION).expect("some rows");
    // Most tables are empty: without figures, the question is whether an index can serve at all.
    explainer
        .batch_execute(
            "SET enable_seqscan = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan",
        )
        .expect("settings");
    for (number, (what, index, in_order, read)) in reads().into_iter().chain(reads_of_sessions()).enumerate() {
        let sql = statement(&mut db, &read);
        let most = (1..30).rev().find(|it| sql.contains(&format!("${it}"))).unwrap_or(0);
        let nulls = vec!["NULL"; most].join(", ");
        let arguments = if most > 0 { format!("({nulls})") } else { String::new() };
        explainer
            .batch_execute(&format!("PREPARE p{number} AS {sql}"))
            .unwrap_or_else(|error| panic!("{what}: {error}: {sql}"));
        let ask = format!("EXPLAIN EXECUTE p{number}{arguments}");
        let plan = explain(&mut explainer, &ask);
        assert_plan(what, &plan, index, in_order);
        assert!(!plan.contains("Seq Scan"), "{what}:\n{plan}");
    }
}

/// Sessions of many users, so that it matters by which index one user's are found.
#[cfg(feature = "postgres")]
const POPULATION: &str = "
    INSERT INTO users (id, email, email_key, password_hash, roles, created_at)
    SELECT '01900000-0000-7000-8000-' || lpad(to_hex(u), 12, '0'), 'u' || u, 'u' || u, '', 'user', u
    FROM generate_series(1, 3000) AS u;
    INSERT INTO sessions (id, user_id, token_hash, created_at, authenticated_at, last_seen_at, expires_at, idle_seconds,
        remember, sign_in_ip, last_ip, last_ip_key, sign_in_ip_key, risk, ended_at)
    SELECT '01900000-0000-7000-8001-' || lpad(to_hex(s), 12, '0'), '01900000-0000-7000-8000-' || lpad(to_hex(s % 3000 + 1), 12, '0'),
        sha256(s::text::bytea), s, s, s, s + 1000, 1800, false, '192.0.2.1', '192.0.2.1',
        decode(md5('a' || s), 'hex'), decode(md5('b' || s), 'hex'), 0, CASE WHEN s % 3 = 0 THEN s END
    FROM generate_series(1, 6000) AS s;
    ANALYZE;
";

/// PostgreSQL names the column of a plan in capitals and words, so it is read as whatever comes first.
#[cfg(feature = "postgres")]
fn explain(connection: &mut diesel::PgConnection, ask: &str) -> String {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        #[diesel(column_name = "QUERY PLAN")]
        line: String,
    }
    let lines: Vec<Line> = sql_query(ask).load(connection).expect("a plan");
    lines.into_iter().map(|it| it.line).collect::<Vec<_>>().join("\n")
}
