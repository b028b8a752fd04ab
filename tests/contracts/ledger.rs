//! The ledger's contract, on SQLite and on PostgreSQL.
//!
//! Owns what the service may rely on: what ended stays ended, compare-and-set is one, durable is durable. Every test
//! runs on both databases.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sessiond::domain::event::{Actor, Event};
use sessiond::domain::session::Terms;
use sessiond::domain::{
    Client, Clock, Email, EndReason, Place, Process, Roles, SessionId, Stamp, SystemClock, SystemRandom, Timestamp,
    Token, TokenHash, UserId,
};
use sessiond::ledger::live_store::{self, Enrolment, FenceStatus};
use sessiond::ledger::pending_invalidations::{self, PendingInvalidation};
use sessiond::ledger::sessions::{self, Session, Which};
use sessiond::ledger::{
    Database as Target, Ledger, audit, last_seen, locks, resets, retention, session_data, tokens, users,
};

#[cfg(feature = "postgres")]
use sessiond::{domain::PostgresUrl, ledger::Servers};

use super::world::on_each_database;
use crate::support::database::Database;

/// A ledger on a database of its own.
struct Fixture {
    ledger: Ledger,
    database: Database,
    clock: SystemClock,
}

impl Fixture {
    async fn new(database: Database) -> Self {
        let ledger = Ledger::open(target(&database)).expect("a pool");
        ledger.migrate().await.expect("migrations");
        Self { ledger, database, clock: SystemClock::new() }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn user(&self) -> UserId {
        let id = UserId::generate(self.now(), &SystemRandom);
        let user = new_user(id, &format!("{id}@example.org"), self.now());
        assert!(self.ledger.write(move |db| users::insert(db, &user)).await.expect("insert"));
        id
    }

    async fn session(&self, user: UserId) -> (SessionId, TokenHash) {
        let hash = Token::generate(&SystemRandom).hash();
        let session = self.row(user, hash);
        let id = session.id;
        self.ledger.write(move |db| sessions::insert(db, session.clone())).await.expect("insert");
        (id, hash)
    }

    fn row(&self, user: UserId, token_hash: TokenHash) -> Session {
        let terms = Terms { idle: Duration::from_secs(1_800), absolute: Duration::from_secs(3_600) };
        let user_agent = Some("Firefox \u{1f98a}".to_owned());
        let client = Client { ip: [192, 0, 2, 1].into(), user_agent, request_id: uuid::Uuid::nil() };
        let (id, now) = (SessionId::generate(self.now(), &SystemRandom), self.now());
        Session::new(id, user, token_hash, (terms, false), &client, now)
    }

    async fn end(&self, which: Which) -> usize {
        let now = self.now();
        let ended = self.ledger.write(move |db| sessions::end(db, &which, EndReason::Revoked, now)).await;
        ended.expect("end").len()
    }

    async fn is_live(&self, hash: TokenHash) -> bool {
        self.ledger.read(move |db| sessions::find_live(db, &hash)).await.expect("read").is_some()
    }
}

pub fn target(database: &Database) -> Target {
    let url = database.url();
    match database {
        Database::Sqlite(_) => Target::Sqlite { path: url.trim_start_matches("sqlite://").to_owned() },
        #[cfg(feature = "postgres")]
        Database::Postgres(_) => {
            Target::Postgres { servers: Servers::new(PostgresUrl::parse(&url).expect("an address")) }
        }
    }
}

fn new_user(id: UserId, email: &str, created_at: Timestamp) -> users::NewUser {
    users::NewUser {
        id,
        email: Email::parse(email).expect("an address"),
        name: Some("Zoë".to_owned()),
        password_hash: "$argon2id$…".to_owned(),
        roles: Roles::new_account(),
        created_at,
    }
}

on_each_database! {
    async fn an_address_has_one_account_in_whatever_spelling(it: Fixture) {
        let now = it.now();
        let id = || UserId::generate(SystemClock::new().now(), &SystemRandom);
        let (ana, again) = (new_user(id(), "Ana@Example.org", now), new_user(id(), "aNA@example.ORG", now));
        assert!(it.ledger.write(move |db| users::insert(db, &ana)).await.expect("insert"));
        assert!(!it.ledger.write(move |db| users::insert(db, &again)).await.expect("insert"));
        let key = Email::key_of("ANA@EXAMPLE.ORG");
        let found = it.ledger.read(move |db| users::find_by_email(db, &key)).await.expect("read").expect("ana");
        assert_eq!((found.email.as_str(), found.name.as_deref()), ("Ana@Example.org", Some("Zoë")));
        assert_eq!(found.roles, Roles::new_account());
    }

    async fn a_session_reads_back_as_it_was_written(it: Fixture) {
        let user = it.user().await;
        let (id, hash) = it.session(user).await;
        let row = it.ledger.read(move |db| sessions::find(db, id)).await.expect("read").expect("the row");
        assert_eq!((row.user_id, row.token_hash), (user, hash));
        assert_eq!(row.user_agent.as_deref(), Some("Firefox \u{1f98a}"));
        let live = it.ledger.read(move |db| sessions::find_live(db, &hash)).await.expect("read").expect("live");
        assert_eq!((live.id, live.deadlines, live.has_data), (id, row.deadlines(), false));
    }

    async fn what_ended_stays_ended(it: Fixture) {
        let user = it.user().await;
        let (id, hash) = it.session(user).await;
        assert_eq!(it.end(Which::One(id, user)).await, 1);
        assert_eq!(it.end(Which::One(id, user)).await, 0, "ending again ends nothing");
        let again = it.ledger.read(move |db| sessions::find_ended(db, &Which::One(id, user))).await.expect("read");
        assert_eq!(again.first().map(|ended| ended.token_hash), Some(hash));
        let now = it.now().plus(Duration::from_secs(60));
        let other = Token::generate(&SystemRandom).hash();
        it.ledger
            .write(move |db| {
                assert!(!tokens::rotate(db, id, &hash, &other, None)?, "an ended session is not renewed");
                assert!(!session_data::set_data(db, id, &hash, Some("{}"), now)?, "an ended session takes no data");
                last_seen::tell(db, &[(id, now, IpAddr::from([192, 0, 2, 9]))], &|_| Place::default())
            })
            .await
            .expect("write");
        assert!(!it.is_live(hash).await);
        let row = it.ledger.read(move |db| sessions::find(db, id)).await.expect("read").expect("the row");
        assert!(row.last_seen_at < now && row.data.is_none(), "an ended session is not touched");
    }

    async fn ending_knows_whose_session_it_is(it: Fixture) {
        let (ana, bob) = (it.user().await, it.user().await);
        let (of_ana, ana_hash) = it.session(ana).await;
        let (_, bob_hash) = it.session(bob).await;
        assert_eq!(it.end(Which::One(of_ana, bob)).await, 0);
        let (kept, kept_hash) = it.session(ana).await;
        assert_eq!(it.end(Which::OfUser(ana, Some(kept))).await, 1);
        assert!(!it.is_live(ana_hash).await && it.is_live(kept_hash).await && it.is_live(bob_hash).await);
        assert_eq!(it.end(Which::OfUser(ana, None)).await, 1);
        assert!(!it.is_live(kept_hash).await && it.is_live(bob_hash).await);
    }

    async fn renewal_is_compare_and_set_on_the_token_hash(it: Fixture) {
        let user = it.user().await;
        let (id, first) = it.session(user).await;
        let (second, third) = (Token::generate(&SystemRandom).hash(), Token::generate(&SystemRandom).hash());
        let rotate = |from: TokenHash, to: TokenHash| {
            it.ledger.write(move |db| tokens::rotate(db, id, &from, &to, None))
        };
        assert!(rotate(first, second).await.expect("write"));
        assert!(!rotate(first, third).await.expect("write"), "the first token is no longer the one");
        assert!(!it.is_live(first).await && it.is_live(second).await && !it.is_live(third).await);
        assert_eq!(it.end(Which::Tokens(vec![first])).await, 1, "signing out with the token before still ends the session");
        let ended = it.ledger.read(move |db| sessions::find_ended(db, &Which::Tokens(vec![second]))).await.expect("read");
        assert_eq!(ended.first().map(|ended| ended.token_hash), Some(second));
    }

    async fn last_seen_only_moves_forward(it: Fixture) {
        let user = it.user().await;
        let (used, other, rested) = (it.session(user).await.0, it.session(user).await.0, it.session(user).await.0);
        let (earlier, later) = (it.now().minus(Duration::from_secs(9)), it.now().plus(Duration::from_secs(9)));
        let (here, there) = (IpAddr::from([192, 0, 2, 9]), "2001:db8::9".parse::<IpAddr>().expect("an address"));
        let gone = SessionId::generate(it.now(), &SystemRandom);
        let first = vec![(used, later, here), (gone, later, here), (other, later, there)];
        for uses in [first, vec![(used, earlier, there)], vec![(used, earlier, here)]] {
            it.ledger.write(move |db| last_seen::tell(db, &uses, &|_| Place::default())).await.expect("told");
        }
        let ids = [used, other, rested];
        let find = move |db: &mut _| ids.into_iter().map(|id| sessions::find(db, id)).collect::<Result<Vec<_>, _>>();
        let rows = it.ledger.read(find).await.expect("read");
        let seen: Vec<_> = rows.into_iter().flatten().map(|row| (row.last_seen_at, row.last_ip)).collect();
        assert_eq!(seen[0], (later, "192.0.2.9".to_owned()));
        assert_eq!(seen[1], (later, "2001:db8::9".to_owned()), "each its own");
        assert!(seen[2].0 < later, "nobody told of this one");
    }

    async fn the_place_of_a_use_is_written_when_the_address_is_another(it: Fixture) {
        let user = it.user().await;
        let ids = [it.session(user).await.0, it.session(user).await.0];
        let asked = Arc::new(AtomicUsize::new(0));
        let mut seconds = 0;
        // A row from before there were keys, the same address again, another one, that again, one that is nowhere, and
        // back.
        for (ip, country, asked_of) in [
            ("192.0.2.1", None, None), ("192.0.2.1", None, Some(0)), ("192.0.2.9", Some("PT"), Some(2)),
            ("192.0.2.9", Some("PT"), Some(0)), ("2001:db8::9", None, Some(2)), ("192.0.2.9", Some("PT"), Some(2)),
            ("192.0.2.1", None, None), ("192.0.2.1", None, Some(0)),
        ] {
            seconds += 10;
            let (now, ip) = (it.now().plus(Duration::from_secs(seconds)), ip.parse::<IpAddr>().expect("an address"));
            let count = Arc::clone(&asked);
            let place_of = move |ip: IpAddr| {
                count.fetch_add(1, Ordering::Relaxed);
                if ip.is_ipv6() { return Place::default() }
                Place { country: Some("PT".to_owned()), city: Some("Lisbon".to_owned()), asn: Some(64_496), network: Some("Example".to_owned()), point: None }
            };
            it.ledger.write(move |db| last_seen::tell(db, &ids.map(|id| (id, now, ip)), &place_of)).await.expect("told");
            let asked = asked.swap(0, Ordering::Relaxed);
            assert_eq!(asked_of.unwrap_or(asked), asked, "{ip}");
            for id in ids {
                let row = it.ledger.read(move |db| sessions::find(db, id)).await.expect("read").expect("the row");
                assert_eq!((row.last_ip.parse(), row.last_country.as_deref()), (Ok(ip), country));
                let others = (row.last_city.is_some(), row.last_asn.is_some(), row.last_network.is_some(), row.country);
                assert_eq!(others, (country.is_some(), country.is_some(), country.is_some(), None), "{ip}");
                assert_eq!((row.last_seen_at, row.last_ip_key), (now, Some(sessions::ip_key(ip))));
            }
        }
    }

    async fn a_stronger_hash_replaces_only_the_one_that_was_verified(it: Fixture) {
        let id = it.user().await;
        let upgrade = |old: &'static str, new: &'static str| it.ledger.write(move |db| users::upgrade_hash(db, id, old, new));
        assert!(upgrade("$argon2id$…", "stronger").await.expect("write"));
        assert!(!upgrade("$argon2id$…", "lost").await.expect("write"));
        let user = it.ledger.read(move |db| users::find(db, id)).await.expect("read").expect("the user");
        assert_eq!(user.password_hash, "stronger");
    }

    async fn an_invalidation_is_pending_until_it_is_removed(it: Fixture) {
        let session = SessionId::generate(it.now(), &SystemRandom);
        let record = |token_hash| PendingInvalidation { id: SessionId::generate(it.now(), &SystemRandom).uuid(), token_hash, session };
        let records: Vec<_> = (0..1_200).map(|_| record(Token::generate(&SystemRandom).hash())).collect();
        let now = it.now();
        let added = records.clone();
        it.ledger.write(move |db| pending_invalidations::add(db, &added, now)).await.expect("add");
        assert_eq!(it.ledger.read(|db| pending_invalidations::oldest(db, None, 5_000)).await.expect("read").len(), records.len());
        // The same record is wrong once more: a pending invalidation of its own, which outlives the first.
        let last = *records.last().expect("a record");
        let again = record(last.token_hash);
        it.ledger.write(move |db| pending_invalidations::add(db, &[again], now)).await.expect("add");
        let kept = records.clone();
        it.ledger.write(move |db| pending_invalidations::remove(db, &kept)).await.expect("remove");
        assert!(!it.ledger.read(move |db| pending_invalidations::any(db, &records)).await.expect("read"));
        assert!(it.ledger.read(move |db| pending_invalidations::any(db, &[again])).await.expect("read"));
    }

    async fn a_new_redis_process_retires_its_predecessor_for_ever(it: Fixture) {
        let enroll = |process: Process| {
            let fresh = Stamp::generate(&SystemRandom);
            it.ledger.write(move |db| live_store::enroll(db, &process, fresh))
        };
        let Enrolment::Current(first) = enroll(process("a")).await.expect("enroll") else { panic!("retired at once") };
        assert_eq!(enroll(process("a")).await.expect("enroll"), Enrolment::Current(first), "one process, one stamp");
        let Enrolment::Current(second) = enroll(process("b")).await.expect("enroll") else { panic!("retired at once") };
        assert_ne!(first, second);
        assert_eq!(enroll(process("a")).await.expect("enroll"), Enrolment::Retired);
        assert_eq!(it.ledger.read(live_store::current).await.expect("read"), vec![second]);
    }

    async fn nodes_that_meet_a_process_at_once_agree_on_its_stamp(it: Fixture) {
        let tasks: Vec<_> = (0..16).map(|number| {
            let ledger = it.ledger.clone();
            let process = process(if number % 2 == 0 { "a" } else { "b" });
            let fresh = Stamp::generate(&SystemRandom);
            tokio::spawn(async move { ledger.write(move |db| live_store::enroll(db, &process, fresh)).await })
        }).collect();
        let mut stamps = Vec::new();
        for task in tasks {
            if let Enrolment::Current(stamp) = task.await.expect("a task").expect("enroll") { stamps.push(stamp); }
        }
        stamps.sort_by_key(|stamp| *stamp.as_bytes());
        stamps.dedup();
        assert!(stamps.len() <= 2, "{stamps:?}");
        assert_eq!(it.ledger.read(live_store::current).await.expect("read").len(), 1);
    }

    async fn a_process_knows_whether_another_was_retired_for_it(it: Fixture) {
        let status = |stamp: Option<Stamp>| it.ledger.read(move |db| live_store::status(db, stamp.as_slice()));
        assert_eq!(status(None).await.expect("read"), FenceStatus::Always, "no Redis ever");
        let (old, new) = (Stamp::generate(&SystemRandom), Stamp::generate(&SystemRandom));
        it.ledger.write(move |db| live_store::enroll(db, &process("a"), old)).await.expect("enroll");
        assert_eq!(status(Some(old)).await.expect("read"), FenceStatus::Always, "there was no predecessor");
        assert_eq!(status(None).await.expect("read"), FenceStatus::Superseded);
        it.ledger.write(move |db| live_store::enroll(db, &process("b"), new)).await.expect("enroll");
        assert_eq!(status(Some(old)).await.expect("read"), FenceStatus::Superseded);
        let FenceStatus::Since { retired, ago } = status(Some(new)).await.expect("read") else { panic!("a successor") };
        assert!(ago < Duration::from_secs(5), "{ago:?}");
        assert!(it.ledger.write(live_store::retire_current).await.expect("retire"));
        let FenceStatus::Since { retired: later, .. } = status(None).await.expect("read") else { panic!("no Redis") };
        assert_eq!((retired, later), (1, 2));
    }

    async fn a_link_is_good_once_and_not_for_ever(it: Fixture) {
        let user = it.user().await;
        let (first, second) = (Token::generate(&SystemRandom).hash(), Token::generate(&SystemRandom).hash());
        let (now, later) = (it.now(), it.now().plus(Duration::from_secs(60)));
        let issue = |hash: TokenHash| it.ledger.write(move |db| resets::issue(db, user, &hash, now, later));
        let find = |hash: TokenHash, at: Timestamp| it.ledger.read(move |db| resets::find(db, &hash, at));
        issue(first).await.expect("issue");
        issue(second).await.expect("issue");
        assert_eq!(find(first, now).await.expect("read"), None, "a newer link voids it");
        assert_eq!(find(second, now).await.expect("read"), Some(user));
        assert_eq!(find(second, later).await.expect("read"), None);
        assert!(it.ledger.write(move |db| resets::consume(db, &second, now)).await.expect("consume"));
        assert!(!it.ledger.write(move |db| resets::consume(db, &second, now)).await.expect("consume"));
    }

    async fn an_audit_line_is_written_with_what_it_tells_about_or_not_at_all(it: Fixture) {
        let user = it.user().await;
        let (id, _) = it.session(user).await;
        let entry = audit::Entry {
            id: SessionId::generate(it.now(), &SystemRandom).uuid(),
            at: it.now(),
            event: Event::SessionRevoked,
            actor: Actor::CommandLine,
            user: Some(user),
            session: Some(id),
            ip: None,
            request_id: None,
            detail: Some("revoked".to_owned()),
        };
        let failing = entry.clone();
        let failed = it.ledger.write(move |db| {
            audit::append(db, &failing)?;
            Err::<(), _>(sessiond::ledger::LedgerError::Corrupt("a test".to_owned()))
        });
        assert!(failed.await.is_err());
        let count = || it.ledger.read(move |db| audit::count(db, Event::SessionRevoked, id));
        assert_eq!(count().await.expect("count"), 0, "rolled back");
        it.ledger.write(move |db| audit::append(db, &entry)).await.expect("append");
        assert_eq!(count().await.expect("count"), 1);
    }

    async fn a_row_is_not_purged_before_its_absolute_deadline_nor_while_a_record_of_it_may_stand(it: Fixture) {
        let user = it.user().await;
        let (ended, live) = (it.session(user).await.0, it.session(user).await.0);
        let (awaited, hash) = it.session(user).await;
        let now = it.now();
        it.end(Which::Any(ended)).await;
        it.end(Which::Any(awaited)).await;
        let record = PendingInvalidation { id: awaited.uuid(), token_hash: hash, session: awaited };
        it.ledger.write(move |db| pending_invalidations::add(db, &[record], now)).await.expect("add");
        let purge = async |before: Timestamp, limit: i64| {
            it.ledger.write(move |db| retention::purge_sessions(db, before, limit)).await.expect("purge")
        };
        assert_eq!(purge(now.plus(Duration::from_secs(3_590)), 9).await, 0, "ended, but it could last");
        let later = now.plus(Duration::from_secs(3_700));
        assert_eq!((purge(later, 1).await, purge(later, 9).await, purge(later, 9).await), (1, 1, 0), "in batches");
        let left = async |id: SessionId| it.ledger.read(move |db| sessions::find(db, id)).await.expect("read").is_some();
        assert!(!left(ended).await && !left(live).await && left(awaited).await);
        it.ledger.write(move |db| pending_invalidations::remove(db, &[record])).await.expect("remove");
        assert_eq!(purge(later, 9).await, 1);
    }

    async fn four_processes_may_migrate_at_once(it: Fixture) {
        let fresh = match &it.database {
            Database::Sqlite(_) => Database::sqlite(),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => Database::postgres(),
        };
        let tasks: Vec<_> = (0..4).map(|_| {
            let ledger = Ledger::open(target(&fresh)).expect("a pool");
            tokio::spawn(async move { ledger.migrate().await })
        }).collect();
        for task in tasks { task.await.expect("a task").expect("migrations"); }
        assert_eq!(fresh.count("users", "1 = 1"), 0);
    }

    async fn statements_are_counted(it: Fixture) {
        let user = it.user().await;
        let before = it.ledger.statements();
        it.ledger.read(move |db| users::find(db, user)).await.expect("read");
        assert!(it.ledger.statements() > before);
    }

    async fn a_write_that_meets_another_is_run_again_and_both_happen(it: Fixture) {
        let user = it.user().await;
        let tasks: Vec<_> = (0..40).map(|_| {
            let ledger = it.ledger.clone();
            tokio::spawn(async move {
                ledger.write(move |db| {
                    locks::users(db, &[user])?;
                    users::raise_epoch(db, user)
                }).await
            })
        }).collect();
        for task in tasks { task.await.expect("a task").expect("write"); }
        let epoch = it.ledger.read(move |db| users::find(db, user)).await.expect("read").expect("the user").epoch;
        assert_eq!(epoch, 40);
    }
}

fn process(run_id: &str) -> Process {
    Process { run_id: run_id.to_owned(), replid: "r".to_owned(), database: 0, prefix: String::new(), shard: None }
}

/// Invariant 9: durable means durable, set by the session and not inherited.
mod invariant_9_durable_means_durable {
    use diesel::sql_types::Text;
    use diesel::{QueryableByName, RunQueryDsl, sql_query};

    use super::*;

    #[derive(QueryableByName)]
    struct Value {
        #[diesel(sql_type = Text)]
        value: String,
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        let it = Fixture::new(Database::sqlite()).await;
        let settings = it.ledger.write(|db| {
            let mode = sql_query("SELECT journal_mode AS value FROM pragma_journal_mode").get_result::<Value>(db)?;
            let sync = sql_query("SELECT CAST(synchronous AS TEXT) AS value FROM pragma_synchronous")
                .get_result::<Value>(db)?;
            let keys = sql_query("SELECT CAST(foreign_keys AS TEXT) AS value FROM pragma_foreign_keys")
                .get_result::<Value>(db)?;
            Ok((mode.value, sync.value, keys.value))
        });
        let settings = settings.await.expect("read");
        assert_eq!(settings, ("wal".to_owned(), "2".to_owned(), "1".to_owned()), "2 is FULL");
    }

    #[cfg(feature = "postgres")]
    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        let database = Database::postgres();
        // What a careless operator might have set for the role.
        database.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off");
        let it = Fixture::new(database).await;
        let commit = it.ledger.write(|db| {
            Ok(sql_query("SELECT current_setting('synchronous_commit') AS value").get_result::<Value>(db)?.value)
        });
        let value = commit.await.expect("read");
        it.database.execute("ALTER ROLE CURRENT_USER RESET synchronous_commit");
        assert_eq!(value, "on");
    }
}

/// Migrations can be taken back, and run again.
mod migrations_run_up_and_down_and_up {
    use diesel::{Connection, SqliteConnection};
    use diesel_migrations::{FileBasedMigrations, MigrationHarness};

    use super::*;

    fn cycle<C: MigrationHarness<B>, B: diesel::backend::Backend>(connection: &mut C) {
        let migrations = || FileBasedMigrations::find_migrations_directory().expect("the migrations");
        connection.run_pending_migrations(migrations()).expect("up");
        connection.revert_all_migrations(migrations()).expect("down");
        connection.run_pending_migrations(migrations()).expect("up again");
    }

    #[test]
    fn sqlite() {
        let database = Database::sqlite();
        let path = database.url().trim_start_matches("sqlite://").to_owned();
        cycle(&mut SqliteConnection::establish(&path).expect("a connection"));
        assert_eq!(database.count("sessions", "1 = 1"), 0);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn postgres() {
        let database = Database::postgres();
        cycle(&mut diesel::PgConnection::establish(&database.url()).expect("a connection"));
        assert_eq!(database.count("sessions", "1 = 1"), 0);
    }
}
