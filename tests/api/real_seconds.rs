//! P7 in real seconds, on a Redis of every shape and without: nobody moves a clock here, and short timeouts are waited
//! for. While they run, no record may be kept for longer than its session can live (invariant 4).

use std::time::Duration;

use sessiond::domain::Clock;

use crate::support::client::SignedIn;
use crate::support::record::from_record;
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores, TestServer};
use crate::support::wait::stopwatch;

const SECOND: Duration = Duration::from_secs(1);
/// A TTL is reckoned before the command that sets it is sent; no command is waited for longer.
const TRANSIT_MS: i64 = 250;

/// Idle and absolute timeout, in seconds.
fn terms() -> (u64, u64) {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() { (4, 8) } else { (2, 4) }
}

async fn check(who: &SignedIn) -> bool {
    match who.get("/auth/forward").await.status {
        200 => true,
        401 => false,
        other => panic!("a check answered {other}"),
    }
}

fn now(server: &TestServer) -> i64 {
    server.clock.now().ms()
}

/// Looks at every record; gives how much longer than its session one of them is kept, in milliseconds.
fn longest_beyond(server: &TestServer) -> i64 {
    let Some(redis) = server.stores.servers_if_any() else { return i64::MIN };
    let mut longest = i64::MIN;
    for key in redis.keys("session:*") {
        let before = now(server);
        let ttl: i64 = redis.of(&key).cli(&["PTTL", &key]);
        let Some(text): Option<String> = redis.of(&key).cli(&["GET", &key]) else { continue };
        // A lease names no session, and lasts five seconds.
        let Some(session) = text.split(' ').nth(3).filter(|_| ttl >= 0).map(from_record) else {
            assert!(ttl != -1, "no TTL: {text}");
            continue;
        };
        let sql = format!("SELECT CAST(expires_at AS TEXT) AS value FROM sessions WHERE id = '{session}'");
        let expires: i64 = server.stores.database.value(&sql).parse().expect("a time");
        longest = longest.max(ttl - (expires - before));
    }
    longest
}

async fn deadlines_hold_in_real_seconds(stores: Stores, what: &str) {
    let (idle, absolute) = terms();
    let variables = [
        ("SESSIOND_IDLE_TIMEOUT", format!("{idle}s")),
        ("SESSIOND_ABSOLUTE_TIMEOUT", format!("{absolute}s")),
        ("SESSIOND_LAST_SEEN_RESOLUTION", "1s".to_owned()),
    ];
    let pairs: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let settings = stores.settings().with_all(&pairs);
    let server = TestServer::on(stores, settings).await;
    let owner = server.signed_in().await;
    // Redis is connected to, so that the first use is not spent on that.
    assert!(check(&server.issue(&owner).await).await);
    let begun = stopwatch();
    let (below, above, busy) = (server.issue(&owner).await, server.issue(&owner).await, server.issue(&owner).await);
    for who in [&below, &above, &busy] {
        assert!(check(who).await);
    }
    let (used, idle) = (begun(), Duration::from_secs(idle));
    let sql = format!("SELECT CAST(expires_at AS TEXT) AS value FROM sessions WHERE id = '{}'", busy.session_id);
    let expires: i64 = server.stores.database.value(&sql).parse().expect("a time");
    let (mut below_asked, mut above_asked, mut beyond) = (false, false, i64::MIN);
    let (mut last_yes, deadline) = (0, expires + 1_000);
    let first_no = loop {
        if !below_asked && begun() >= idle - SECOND {
            let yes = check(&below).await;
            // Judged only if the machine was not asleep meanwhile.
            assert!(yes || begun() > idle - idle / 20, "{what}: a second below the idle timeout: early");
            println!("{what}: idle {idle:?}: in after {:?}", begun());
            below_asked = true;
        }
        if !above_asked && begun() >= used + idle + SECOND {
            assert!(!check(&above).await, "{what}: a second above the idle timeout: late");
            println!("{what}: idle {idle:?}: out after {:?}", begun());
            above_asked = true;
        }
        beyond = beyond.max(longest_beyond(&server));
        let asked = now(&server);
        if !check(&busy).await {
            break now(&server);
        }
        last_yes = asked;
        assert!(asked < deadline, "{what}: a second after its absolute end it is in");
        tokio::time::sleep(SECOND / 20).await;
    };
    println!(
        "{what}: absolute {absolute} s: the last yes {} ms before the end, the first no {} ms after it; TTLs at most {beyond} ms longer",
        expires - last_yes,
        first_no - expires
    );
    assert!(first_no >= expires - 50, "{what}: early by {} ms", expires - first_no);
    assert!(beyond <= TRANSIT_MS, "{what}: a record is kept {beyond} ms longer than its session lives");
    assert!(below_asked && above_asked, "{what}: all were asked");
    assert!(server.stores.servers_if_any().is_none() || beyond > i64::MIN, "{what}: there were records");
}

#[tokio::test]
async fn deadlines_hold_in_real_seconds_embedded() {
    deadlines_hold_in_real_seconds(Stores::new(Backend::Embedded), "embedded").await;
}

#[cfg(feature = "postgres")]
mod redis {
    //! With a Redis.

    use super::{Backend, Stores, deadlines_hold_in_real_seconds};
    use crate::support::database::Database;
    use crate::support::tls;
    use crate::support::topologies::{Servers, Topology};

    #[tokio::test]
    async fn deadlines_hold_in_real_seconds_one() {
        deadlines_hold_in_real_seconds(Stores::new(Backend::Production), "one Redis").await;
    }

    #[tokio::test]
    async fn deadlines_hold_in_real_seconds_behind_tls() {
        if tls::trusting(concat!(module_path!(), "::deadlines_hold_in_real_seconds_behind_tls")) {
            let stores = Stores::over(Database::postgres_with_tables(), Servers::start(Topology::Tls));
            deadlines_hold_in_real_seconds(stores, "TLS").await;
        }
    }

    #[tokio::test]
    async fn deadlines_hold_in_real_seconds_sentinel() {
        deadlines_hold_in_real_seconds(Stores::new(Backend::Sentinel), "Sentinel").await;
    }

    #[tokio::test]
    async fn deadlines_hold_in_real_seconds_cluster() {
        deadlines_hold_in_real_seconds(Stores::new(Backend::Cluster), "Cluster").await;
    }
}
