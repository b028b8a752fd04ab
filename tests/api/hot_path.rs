//! The hot path: what a check costs the stores. Production only: without Redis every check is one read of the ledger.
//!
//! Redis tells what it was sent (`MONITOR`), less what passes once a second whatever the requests: the questions by which
//! each connection makes sure that it still speaks to the same master, and the look at the ledger's marker; and what a
//! connection tries out when it is made, at the key of no session. The ledger
//! counts statements, among them those of background tasks: so the requests
//! go in short windows, and the cheapest window is what the requests themselves cost.
#![cfg(feature = "postgres")]

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::client::{COOKIE, PASSWORD, SignedIn};
use crate::support::raw::get_with;
use crate::support::requests::Requests;
use crate::support::server::{Backend, TestServer};
use crate::support::topologies::Monitors;
use crate::support::wait::until;

const WINDOWS: usize = 10;
const REQUESTS: usize = 10;

/// What Redis was sent by requests since the last call.
fn commands(monitor: &mut Monitors) -> Vec<String> {
    // Those are the node's: each second, and on a connection that was silent.
    let of_node = ["\"INFO\"", "\"CLUSTER\" \"NODES\"", "\"PING\""];
    // With it the node asks each master whether it takes writes: `session:`, and in a cluster `session:1`.
    let is_probe = |command: &String| {
        let key = command.split('"').find_map(|word| word.strip_prefix("session:"));
        key.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let own = |command: &String| {
        !command.contains("ledger:")
            && !is_probe(command)
            && !of_node.iter().any(|question| command.starts_with(question))
    };
    monitor.commands().into_iter().filter(own).collect()
}

/// Statements that `work` costs, in the cheapest of several windows.
async fn statements(server: &TestServer, work: impl AsyncFn()) -> u64 {
    let ledger = server.node().app().core.ledger().clone();
    let mut least = u64::MAX;
    for _ in 0..WINDOWS {
        let before = ledger.statements();
        work().await;
        least = least.min(ledger.statements() - before);
    }
    least
}

/// A server on which both workers have their connections, and somebody with a record.
async fn warm() -> (TestServer, SignedIn) {
    let server = TestServer::start(Backend::Production).await;
    let owner = server.signed_in().await;
    // Each new connection of a client goes to the next worker.
    for _ in 0..4 {
        assert_eq!(owner.copy_at(&server.url()).get("/auth/forward").await.status, 200);
    }
    (server, owner)
}

#[tokio::test]
async fn a_check_on_a_warm_record_is_one_redis_command_and_no_sql() {
    let (server, owner) = warm().await;
    let mut monitor = server.stores.servers().monitor();
    let per_window = statements(&server, async || {
        for _ in 0..REQUESTS {
            assert_eq!(owner.get("/auth/forward").await.status, 200);
        }
    });
    assert_eq!(per_window.await, 0, "no SQL at all");
    let sent = commands(&mut monitor);
    assert_eq!(sent.len(), WINDOWS * REQUESTS, "one for each request: {sent:#?}");
    let key = server.stores.servers().keys("session:*").pop().expect("a record");
    assert!(sent.iter().all(|command| *command == format!("\"GETEX\" \"{key}\"")), "{sent:#?}");
}

/// The counter counts: the same window without a record is not free.
#[tokio::test]
async fn a_check_without_a_record_is_a_question_to_the_ledger_and_leaves_one() {
    let (server, owner) = warm().await;
    let mut monitor = server.stores.servers().monitor();
    let per_window = statements(&server, async || {
        for _ in 0..REQUESTS {
            for key in server.stores.servers().keys("session:*") {
                let _gone: i64 = server.stores.servers().of(&key).cli(&["DEL", &key]);
            }
            assert_eq!(owner.get("/auth/forward").await.status, 200);
        }
    });
    let least = per_window.await;
    assert!(least >= u64::try_from(REQUESTS).expect("a small number"), "{least}");
    let puts = commands(&mut monitor).iter().filter(|command| command.starts_with("lua \"SET\"")).count();
    assert_eq!(puts, WINDOWS * REQUESTS * 2, "a lease and a record each");
}

#[tokio::test]
async fn a_burst_of_requests_is_one_touch() {
    let (server, owner) = warm().await;
    server.clock.advance(Duration::from_secs(11));
    let mut monitor = server.stores.servers().monitor();
    let others = (0..20).map(|_| {
        let copy = owner.copy_at(&server.url());
        tokio::spawn(async move { copy.get("/auth/forward").await.status })
    });
    for request in others.collect::<Vec<_>>() {
        assert_eq!(request.await.expect("a request"), 200);
    }
    // The touch is off their latency; whatever comes after it finds it done.
    let key = server.stores.servers().keys("session:*").pop().expect("a record");
    let now = server.node().app().core.clock().now().ms() - 5_000;
    until("the touch", Duration::from_secs(5), async || {
        let record: String = server.stores.servers().of(&key).cli(&["GET", &key]);
        record.split(' ').nth(5).and_then(|seen| seen.parse::<i64>().ok()).is_some_and(|seen| seen > now)
    })
    .await;
    assert_eq!(owner.get("/auth/forward").await.status, 200);
    let sent: Vec<String> = commands(&mut monitor);
    let touches = sent.iter().filter(|command| command.starts_with("\"EVALSHA\"")).count();
    let reads = sent.iter().filter(|command| command.starts_with("\"GETEX\"")).count();
    assert!(reads >= 21, "{sent:#?}");
    assert_eq!(touches, 1, "{sent:#?}");
}

#[tokio::test]
async fn forged_cookies_never_reach_a_store() {
    let (server, owner) = warm().await;
    let mut monitor = server.stores.servers().monitor();
    let cookie = owner.cookie();
    let tampered = format!("{COOKIE}={cookie}x");
    let lines = [
        String::new(),
        format!("{COOKIE}="),
        format!("{COOKIE}=x"),
        tampered,
        format!("{COOKIE}={}", owner.token()),
        format!("{COOKIE}={cookie}; {COOKIE}={cookie}"),
        format!("{COOKIE}=\r\n DEL x"),
        format!("{COOKIE}={}", "a".repeat(10_000)),
    ];
    let per_window = statements(&server, async || {
        for line in &lines {
            for path in ["/auth/forward", "/me"] {
                let answer = get_with(&server.url(), path, &[format!("Cookie: {line}").as_bytes()]).await;
                assert!([Some(400), Some(401)].contains(&answer.status), "{line}: {answer:?}");
            }
        }
    });
    assert_eq!(per_window.await, 0);
    assert_eq!(commands(&mut monitor), Vec::<String>::new());
}

#[tokio::test]
async fn a_sign_in_touches_no_record_and_a_refused_one_costs_the_same_for_everybody() {
    let (server, owner) = warm().await;
    let mut monitor = server.stores.servers().monitor();
    let visitor = server.anonymous();
    visitor.login(&owner.email, PASSWORD).await.assert_status(200);
    let mut of_success = commands(&mut monitor);
    let is_news = |command: &String| command.starts_with("\"PUBLISH\"");
    // That is not waited for by the answer.
    while !of_success.iter().any(is_news) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        of_success.extend(commands(&mut monitor));
    }
    // Counted, claimed, then forgotten and given back; and counted as a right password: of the account for ten minutes and a
    // day, and of the address. And the other nodes are told, for whoever has a page open.
    let (told, counted): (Vec<_>, Vec<_>) = of_success.iter().partition(|command| is_news(command));
    assert_eq!(told.len(), 1, "{of_success:#?}");
    assert!(counted.iter().all(|command| command.contains("attempts:")), "{of_success:#?}");
    assert!(counted.len() <= 18, "{of_success:#?}");
    let stranger = server.anonymous();
    let refused = async |email: &str| {
        statements(&server, async || {
            // So that the throttle lets every one through.
            server.clock.advance(Duration::from_secs(60));
            stranger.login(email, "not the password").await.assert_status(401);
        })
        .await
    };
    let (known, for_known) = (refused(&owner.email).await, commands(&mut monitor));
    let (unknown, for_unknown) = (refused("nobody@example.org").await, commands(&mut monitor));
    assert!(known > 0);
    assert_eq!(known, unknown, "who has no account costs the same look");
    // Sorted: in a cluster, two accounts are counted by different masters.
    let names = |sent: &[String]| {
        let mut names: Vec<_> = sent.iter().filter_map(|it| it.split(' ').next().map(str::to_owned)).collect();
        names.sort();
        names
    };
    assert_eq!(names(&for_known), names(&for_unknown), "and the same count");
    assert!(for_known.iter().all(|command| command.contains("attempts:")), "{for_known:#?}");
}

/// Also when the browser says what it is, and also when it is another one than the session's, once that is told.
#[tokio::test]
async fn the_device_is_judged_without_asking_a_store() {
    const CHROME: &str =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    let (server, person) = warm().await;
    let body = json!({ "email": person.email, "password": PASSWORD });
    // A browser of its own: no session is replaced, whose end would be announced in between.
    let owner = server.anonymous();
    owner.change(Method::POST, "/login").header("User-Agent", CHROME).json(&body).send().await.assert_status(200);
    let ask = async |user_agent: &str| {
        let answer = owner.call(Method::GET, "/auth/forward").header("User-Agent", user_agent).send().await;
        assert_eq!(answer.status, 200);
    };
    for user_agent in [CHROME, FIREFOX] {
        ask(user_agent).await;
        let told = async || server.stores.database.count("audit", "event = 'session_device_changed'") > 0;
        if user_agent == FIREFOX {
            until("the other device is told", Duration::from_secs(5), told).await;
        }
        let mut monitor = server.stores.servers().monitor();
        let per_window = statements(&server, async || {
            for _ in 0..REQUESTS {
                ask(user_agent).await;
            }
        });
        assert_eq!(per_window.await, 0, "no SQL at all: {user_agent}");
        let sent = commands(&mut monitor);
        assert_eq!(sent.len(), WINDOWS * REQUESTS, "one for each request: {sent:#?}");
    }
}
