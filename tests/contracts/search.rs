//! Sessions that fit a filter, on SQLite and on PostgreSQL: what a filter means, and that an index serves it.
//!
//! Owns the comparison with a filter over plain rows, and the reading of the databases' own plans.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sessiond::domain::filter::Moments;
use sessiond::domain::{Clock, Filter, SystemClock, Timestamp, UserId};
use sessiond::ledger::search::{self, Search};
use sessiond::ledger::sessions::Session;
use sessiond::server::open_ledger;
use sessiond::service::{App, Wanted};

use crate::support::crowd::{Member, gather, user};
use crate::support::database::Database;
use crate::support::settings::Settings;

const MINUTE: Duration = Duration::from_secs(60);
const COUNTRIES: [&str; 4] = ["PT", "ES", "FR", "BR"];
const BROWSERS: [&str; 3] = ["Firefox", "Chrome", "Safari"];
const SYSTEMS: [&str; 3] = ["Windows", "Linux", "iOS"];
const ADDRESSES: [&str; 6] = ["192.0.2.1", "192.0.2.200", "198.51.100.7", "2001:db8::1", "2001:db8:1::1", "10.1.2.3"];
const NETWORKS: [&str; 7] =
    ["192.0.2.1", "192.0.2.0/24", "192.0.2.128/25", "2001:db8::/32", "::ffff:10.1.2.3", "0.0.0.0/0", "203.0.113.0/24"];

/// How far the database's clock may be from the test's.
const MARGIN: Duration = Duration::from_secs(1);

/// How far the ledger may be behind, with the idle timeout of these rows.
const LAG: Duration = MINUTE;

async fn app(database: &Database) -> App {
    let settings = Settings::new().with("DATABASE_URL", &database.url());
    open_ledger(&settings.config().expect("settings")).await.expect("the service")
}

/// A number made of another, the same each time.
fn scattered(number: usize, salt: usize, below: usize) -> usize {
    (number.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(40_503)) >> 7) % below
}

/// Rows of all kinds, the dead ones among them.
fn vary(number: usize, row: &mut Session) {
    let of = |salt, below| scattered(number, salt, below);
    let now = row.created_at;
    row.created_at = now.plus(Duration::ZERO).minus(MINUTE * u32::try_from(of(1, 300)).expect("small"));
    let age = usize::try_from(now.since(row.created_at).as_secs() / 60).expect("small");
    row.last_seen_at = row.created_at.plus(MINUTE * u32::try_from(of(2, age + 1)).expect("small"));
    row.country = (of(3, 5) > 0).then(|| COUNTRIES[of(4, 4)].to_owned());
    row.asn = (of(5, 5) > 0).then(|| 64_496 + i64::try_from(of(6, 4)).expect("small"));
    row.browser = (of(7, 5) > 0).then(|| BROWSERS[of(8, 3)].to_owned());
    row.os = (of(9, 5) > 0).then(|| SYSTEMS[of(10, 3)].to_owned());
    row.last_ip = ADDRESSES[of(11, 6)].to_owned();
    row.sign_in_ip = ADDRESSES[of(12, 6)].to_owned();
    if row.last_ip != row.sign_in_ip {
        row.last_country = (of(15, 5) > 0).then(|| COUNTRIES[of(16, 4)].to_owned());
        row.last_asn = (of(17, 5) > 0).then(|| 64_496 + i64::try_from(of(18, 4)).expect("small"));
    }
    row.risk = i64::try_from(of(13, 4) * 20).expect("small");
    match of(14, 10) {
        0 => (row.ended_at, row.end_reason) = (Some(now.ms()), Some("revoked".to_owned())),
        1 => row.expires_at = now.minus(MINUTE),
        2 => row.idle_seconds = 300,
        _ => {}
    }
}

/// What a filter means, told without it: the value of each field as text.
fn expected(row: &Session, fields: &[(&str, String)], now: Timestamp) -> bool {
    let idle = Duration::from_secs(u64::try_from(row.idle_seconds).expect("a duration"));
    let lag = LAG.min(idle / 8);
    let alive = row.ended_at.is_none() && row.expires_at > now && row.last_seen_at.plus(idle).plus(lag) > now;
    let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).expect("a moment").timestamp_millis();
    let within = |address: &str, network: &str| {
        let address: IpAddr = address.parse().expect("an address");
        match network.parse::<ipnet::IpNet>() {
            Ok(network) => network.contains(&address),
            Err(_) => address == network.parse::<IpAddr>().expect("an address").to_canonical(),
        }
    };
    let wanted = |name: &str| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str());
    let is_of = |country: Option<&str>, asn: Option<i64>| {
        wanted("country").is_none_or(|it| country == Some(it))
            && wanted("asn").is_none_or(|it| asn.is_some_and(|asn| asn.to_string() == it))
    };
    // Of one place, whichever.
    let at_once = is_of(row.country.as_deref(), row.asn) || is_of(row.last_country.as_deref(), row.last_asn);
    alive
        && fields.iter().all(|(field, value)| match *field {
            "user" => row.user_id.to_string() == *value,
            "ip" => within(&row.last_ip, value),
            "sign_in_ip" => within(&row.sign_in_ip, value),
            "country" | "asn" => at_once,
            "browser" => row.browser.as_deref() == Some(value),
            "os" => row.os.as_deref() == Some(value),
            "created_before" => row.created_at.ms() < at(value),
            "created_after" => row.created_at.ms() >= at(value),
            "last_seen_before" => row.last_seen_at.plus(lag).ms() < at(value),
            "last_seen_after" => row.last_seen_at.ms() >= at(value),
            "risk" => row.risk >= value.parse::<i64>().expect("a number"),
            other => panic!("{other}"),
        })
}

/// Any filter: for each field nothing or one of its values, and the size of a page.
fn any_filter(users: &[UserId], now: Timestamp) -> impl Strategy<Value = (Vec<(&'static str, String)>, usize)> + use<> {
    let one_of = |values: Vec<String>| proptest::option::weighted(0.25, proptest::sample::select(values));
    let texts = |values: &[&str]| one_of(values.iter().map(ToString::to_string).collect());
    // Half minutes: no row stands on the edge, but many stand within the ledger's lag.
    let moments = || {
        let moment = move |halves: u32| now.minus(MINUTE / 2 * (2 * halves + 1)).to_rfc3339();
        proptest::option::weighted(0.25, (0u32..310).prop_map(moment))
    };
    let users = one_of(users.iter().map(ToString::to_string).collect());
    let numbers = one_of((64_496..64_501).map(|asn| asn.to_string()).collect());
    let places = (users, texts(&NETWORKS), texts(&NETWORKS), texts(&COUNTRIES), numbers);
    let devices = (texts(&BROWSERS), texts(&SYSTEMS), texts(&["0", "1", "20", "60", "61"]));
    let times = (moments(), moments(), moments(), moments());
    (places, devices, times, 1usize..120).prop_map(|(places, devices, times, limit)| {
        let fields = [
            ("user", places.0),
            ("ip", places.1),
            ("sign_in_ip", places.2),
            ("country", places.3),
            ("asn", places.4),
            ("browser", devices.0),
            ("os", devices.1),
            ("risk", devices.2),
            ("created_before", times.0),
            ("created_after", times.1),
            ("last_seen_before", times.2),
            ("last_seen_after", times.3),
        ];
        (fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect(), limit)
    })
}

fn filter(fields: &[(&str, String)]) -> Filter {
    let fields = fields.iter().map(|(field, value)| (*field, value.as_str()));
    Filter::parse(fields, Moments::Absolute).expect("a filter")
}

async fn all_pages(app: &App, filter: Filter, limit: usize) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = app.sessions.find_sessions(Wanted { filter: filter.clone(), after, limit, current: None }).await;
        let page = page.expect("a page");
        assert!(page.sessions.len() <= limit);
        found.extend(page.sessions.iter().map(|found| found.detail.session.id.to_string()));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

fn means_what_it_says(database: Database, cases: u32) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let app = runtime.block_on(app(&database));
    let clock = SystemClock::new();
    let now = clock.now();
    let (users, rows) = runtime.block_on(async {
        let (mut users, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let user = user(app.core.ledger(), now).await;
            rows.extend(gather(app.core.ledger(), user, now, 300, vary).await);
            users.push(user);
        }
        (users, rows)
    });
    let mut found_in_all = 0;
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let any = any_filter(&users, now);
    let found = std::cell::Cell::new(0);
    runner
        .run(&any, |(fields, limit)| {
            let fitting = |now: Timestamp| {
                let fits = |member: &&Member| expected(&member.row, &fields, now);
                let mut ids: Vec<_> = rows.iter().filter(fits).map(|member| member.row.id.to_string()).collect();
                ids.sort_unstable_by(|a, b| b.cmp(a));
                ids
            };
            let before = fitting(clock.now().minus(MARGIN));
            let pages = runtime.block_on(all_pages(&app, filter(&fields), limit));
            // A session may rest too long just now: then it may be among them, and need not.
            let after = fitting(clock.now().plus(MARGIN));
            let sure: Vec<_> = before.iter().filter(|id| after.contains(id) || pages.contains(id)).cloned().collect();
            prop_assert_eq!(&pages, &sure, "{:?} in pages of {}", fields, limit);
            prop_assert!(before.len() - after.len() < rows.len() / 10, "most of them are over");
            found.set(found.get() + after.len());
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    found_in_all += found.get();
    println!("{cases} filters found {found_in_all} sessions");
    assert!(found_in_all > 1_000, "most filters found nothing: {found_in_all}");
}

#[test]
fn a_filter_means_what_it_says_sqlite() {
    means_what_it_says(Database::sqlite(), 250);
}

#[cfg(feature = "postgres")]
#[test]
fn a_filter_means_what_it_says_postgres() {
    means_what_it_says(Database::postgres(), 250);
}

/// What people look for, and the index that has to serve it.
const SERVED: [(&[(&str, &str)], &str); 24] = [
    (&[], "sessions_live"),
    (&[("user", "USER")], "sessions_live_of_user"),
    (&[("ip", "192.0.2.9")], "sessions_live_ip"),
    (&[("ip", "192.0.2.8/29")], "sessions_live_ip"),
    (&[("sign_in_ip", "192.0.2.9")], "sessions_live_sign_in_ip"),
    (&[("sign_in_ip", "192.0.2.8/29")], "sessions_live_sign_in_ip"),
    (&[("country", "IS")], "sessions_live_country"),
    (&[("asn", "64999")], "sessions_live_asn"),
    (&[("country", "IS")], "sessions_live_last_country"),
    (&[("asn", "64999")], "sessions_live_last_asn"),
    (&[("browser", "Lynx")], "sessions_live_browser"),
    (&[("os", "Plan 9")], "sessions_live_os"),
    (&[("risk", "90")], "sessions_live_risk"),
    (&[("created_before", "EARLY")], "sessions_live"),
    (&[("created_after", "LATE")], "sessions_live"),
    (&[("last_seen_before", "EARLY")], "sessions_live"),
    (&[("last_seen_after", "LATE")], "sessions_live"),
    (&[("user", "USER"), ("country", "IS")], "sessions_live_of_user"),
    (&[("user", "USER"), ("ip", "192.0.2.0/24")], "sessions_live_of_user"),
    (&[("user", "USER"), ("last_seen_before", "EARLY")], "sessions_live_of_user"),
    (&[("country", "IS"), ("last_seen_before", "LATE")], "sessions_live_country"),
    (&[("country", "IS"), ("browser", "Chrome"), ("os", "Windows")], "sessions_live_country"),
    (&[("ip", "192.0.2.8/29"), ("browser", "Chrome")], "sessions_live_ip"),
    (&[("asn", "64999"), ("country", "PT"), ("os", "Windows")], "sessions_live_asn"),
];

/// Many rows with common values, a few with rare ones.
fn common_or_rare(number: usize, row: &mut Session) {
    let rare = number.is_multiple_of(500);
    let pick = |common: &str, uncommon: &str| Some(if rare { uncommon } else { common }.to_owned());
    row.created_at = row.created_at.minus(Duration::from_secs(u64::try_from(number).expect("small")));
    row.last_seen_at = row.created_at;
    // One in a thousand is used elsewhere than it was signed in, some in the same country.
    if number % 1_000 == 7 {
        (row.last_country, row.last_asn) = (Some("IS".to_owned()), Some(64_999));
    } else if number % 10 == 7 {
        row.last_country = Some("PT".to_owned());
    }
    (row.country, row.browser, row.os) = (pick("PT", "IS"), pick("Chrome", "Lynx"), pick("Windows", "Plan 9"));
    row.asn = Some(if rare { 64_999 } else { 64_496 });
    row.last_ip = if rare { "192.0.2.9".to_owned() } else { format!("10.0.{}.{}", number / 250 % 250, number % 250) };
    row.sign_in_ip.clone_from(&row.last_ip);
    row.risk = if rare { 90 } else { i64::from(number.is_multiple_of(2)) };
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

/// The database's own plan of a statement.
fn plan(database: &Database, statement: &str) -> String {
    let lines: Vec<Line> = match database {
        Database::Sqlite(folder) => {
            let path = folder.path().join("sessiond.db");
            let mut connection = SqliteConnection::establish(&path.to_string_lossy()).expect("SQLite opens");
            sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(&mut connection).expect("a plan")
        }
        #[cfg(feature = "postgres")]
        Database::Postgres(database) => {
            use diesel::connection::SimpleConnection;

            let mut connection = database.connect();
            let explain = "CREATE OR REPLACE FUNCTION plan_of(statement text) RETURNS SETOF text LANGUAGE plpgsql \
                           AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN ' || statement; END $$";
            connection.batch_execute(explain).expect("a function");
            // Bytes are written as SQLite writes them.
            let statement = statement.replace(" x'", " '\\x").replace('\'', "''");
            let asked = format!("SELECT detail FROM plan_of('{statement}') AS detail");
            sql_query(asked).load(&mut connection).expect("a plan")
        }
    };
    lines.into_iter().map(|line| line.detail + "\n").collect()
}

async fn is_served_by_an_index(database: Database) {
    let app = app(&database).await;
    let now = SystemClock::new().now();
    let (somebody, everybody) = (user(app.core.ledger(), now).await, user(app.core.ledger(), now).await);
    gather(app.core.ledger(), everybody, now, 6_000, common_or_rare).await;
    gather(app.core.ledger(), somebody, now, 20, common_or_rare).await;
    // As autovacuum does. SQLite is told nothing: there nobody runs it.
    if !matches!(database, Database::Sqlite(_)) {
        database.execute("ANALYZE sessions");
    }
    let (early, late) = (now.minus(Duration::from_secs(5_000)), now.minus(Duration::from_secs(900)));
    for (fields, index) in SERVED {
        let value = |text: &str| match text {
            "USER" => somebody.to_string(),
            "EARLY" => early.to_rfc3339(),
            "LATE" => late.to_rfc3339(),
            other => other.to_owned(),
        };
        let fields: Vec<_> = fields.iter().map(|(field, text)| (*field, value(text))).collect();
        let search = Search { filter: filter(&fields), after: None, now, limit: 50 };
        let statements = app.core.ledger().read(move |db| search::statements(db, &search)).await.expect("statements");
        let mut used = BTreeSet::new();
        for statement in &statements {
            let plan = plan(&database, &statement.to_string());
            let whole = ["Seq Scan on sessions", "SCAN sessions\n"].iter().any(|way| plan.contains(way));
            assert!(!whole, "{fields:?}: the whole table: {statement}\n{plan}");
            let indexes = plan.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            // Where nearly all sessions live, PostgreSQL may as well go by their ids alone.
            let known = |word: &str| word.replace("sessions_pkey", "sessions_live");
            used.extend(indexes.map(known).filter(|word| word.starts_with("sessions_live")));
        }
        assert!(used.contains(index), "{fields:?} is served by {used:?}, not by {index}");
    }
    // More than one page looks at: the rare ones are found all the same, and the page says that there is more to look at.
    let wide: [(&[(&str, &str)], usize); 4] = [
        (&[("ip", "0.0.0.0/0")], 6_020),
        (&[("ip", "0.0.0.0/0"), ("sign_in_ip", "0.0.0.0/0"), ("last_seen_after", "LONG AGO")], 6_020),
        (&[("country", "PT")], 6_007),
        (&[("country", "PT"), ("os", "Plan 9")], 0),
    ];
    for (wide, count) in wide {
        let value = |text: &str| text.replace("LONG AGO", &now.minus(MINUTE * 600).to_rfc3339());
        let fields: Vec<_> = wide.iter().map(|(field, text)| (*field, value(text))).collect();
        assert_eq!(all_pages(&app, filter(&fields), 200).await.len(), count, "{wide:?}");
        let search = Search { filter: filter(&fields), after: None, now, limit: 50 };
        let first = app.core.ledger().read(move |db| search::page(db, &search)).await.expect("a page");
        assert!(first.next.is_some(), "{wide:?}: a page looks at {} rows and no more", search::WINDOW);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_is_served_by_an_index_sqlite() {
    is_served_by_an_index(Database::sqlite()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn every_filter_is_served_by_an_index_postgres() {
    is_served_by_an_index(Database::postgres()).await;
}
