//! `/events`: how much of it there may be, and that it holds nothing up.

use std::time::Duration;

use reqwest::Method;

use crate::support::client::Anonymous;
use crate::support::events::Events;
use crate::support::process::{Process, command_line};
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores, TestServer};
use crate::support::wait::{stopwatch, until};

const CALM: Duration = Duration::from_millis(400);
const SOON: Duration = Duration::from_secs(10);
/// What one session may have.
const OF_SESSION: usize = 16;
/// What one user may have on a node.
const OF_USER: usize = 200;

#[tokio::test]
async fn one_session_has_so_many_streams_and_the_oldest_makes_room() {
    let server = TestServer::with(Backend::Embedded, &[("SESSIOND_MAX_EVENT_STREAMS", "17")]).await;
    let (owner, other) = (server.signed_in().await, server.signed_in().await);
    let mut first = Events::of(&owner).await;
    let mut others = Vec::new();
    for _ in 1..OF_SESSION {
        others.push(Events::of(&owner).await);
    }
    let mut theirs = Events::of(&other).await;
    // The node is full, but whoever makes room takes none.
    let mut last = Events::of(&owner).await;
    assert_eq!(first.next().await, None, "closed, and nothing said of the session");
    assert_eq!(server.node().app().events.open_streams(), OF_SESSION + 1);
    assert!(owner.is_signed_in().await);
    owner.sign_out().await.assert_status(204);
    assert_eq!((others[0].ending().await.as_str(), last.ending().await.as_str()), ("signed_out", "signed_out"));
    theirs.assert_silent(CALM).await;
    assert_eq!(server.node().app().events.open_streams(), 1);
}

/// The stream is closed, and nothing is said of its session.
async fn assert_closes(events: &mut Events) {
    while let Some(told) = events.next().await {
        assert_eq!(told.event, "sessions-changed");
    }
}

/// One person with many sessions does not fill a node.
#[tokio::test]
async fn one_user_has_so_many_streams_and_the_oldest_makes_room() {
    let server = TestServer::with(Backend::Embedded, &[("SESSIOND_MAX_EVENT_STREAMS", "1000")]).await;
    let (owner, other) = (server.signed_in().await, server.signed_in().await);
    let mut theirs = Events::of(&other).await;
    let mut first = Events::of(&owner).await;
    let mut others = Vec::new();
    while others.len() < OF_USER - 1 {
        let session = server.issue(&owner).await;
        for _ in 0..OF_SESSION.min(OF_USER - 1 - others.len()) {
            others.push(Events::of(&session).await);
        }
    }
    assert_eq!(server.node().app().events.open_streams(), OF_USER + 1);
    let _last = Events::of(&server.issue(&owner).await).await;
    assert_closes(&mut first).await;
    assert_eq!(server.node().app().events.open_streams(), OF_USER + 1);
    assert!(owner.is_signed_in().await);
    // The next oldest goes next.
    let _again = Events::of(&owner).await;
    assert_closes(&mut others[0]).await;
    assert_eq!(server.node().app().events.open_streams(), OF_USER + 1);
    theirs.assert_silent(CALM).await;
}

#[tokio::test]
async fn a_node_that_is_full_says_so_until_somebody_goes() {
    let server = TestServer::with(Backend::Embedded, &[("SESSIOND_MAX_EVENT_STREAMS", "2")]).await;
    let people = [server.signed_in().await, server.signed_in().await, server.signed_in().await];
    let (first, mut second) = (Events::of(&people[0]).await, Events::of(&people[1]).await);
    let refusal = Events::try_of(&people[2]).await.err().expect("a refusal");
    refusal.assert_problem(503, "busy");
    people[2].call(Method::HEAD, "/events").send().await.assert_status(503);
    people[0].call(Method::HEAD, "/events").send().await.assert_status(503);
    let wait: u64 = refusal.header("retry-after").expect("a header").parse().expect("seconds");
    assert!((1..=5).contains(&wait), "{wait}");
    // Whoever hangs up has gone.
    drop(first);
    until("there is room", SOON, async || Events::try_of(&people[2]).await.is_ok()).await;
    people[1].sign_out().await.assert_status(204);
    assert_eq!(second.ending().await, "signed_out");
    until("nobody is left", SOON, async || server.node().app().events.open_streams() == 0).await;
}

#[tokio::test]
async fn a_stop_closes_all_streams_and_waits_for_none() {
    let server = TestServer::start(Backend::Embedded).await;
    let owner = server.signed_in().await;
    let mut node = server.another_node().await;
    let mut events = Vec::new();
    for _ in 0..OF_SESSION {
        events.push(Events::of(&owner.copy_at(&node.url())).await);
    }
    let watch = stopwatch();
    node.stop().await;
    println!("a stop with {OF_SESSION} open streams took {:?}", watch());
    assert!(watch() < Duration::from_secs(8), "{:?}", watch());
    for one in &mut events {
        assert_eq!(one.next().await, None, "nothing is said of a session that goes on");
    }
    assert!(owner.is_signed_in().await);
}

/// With few files to open there are few streams, which `check-config` says and the log at its most talkative: a newcomer
/// can do nothing about it. The rest is kept for ordinary requests. Where
/// even those take the last one, it goes on as soon as there is one again.
#[tokio::test]
async fn few_open_files_are_told_and_survived() {
    let stores = Stores::new(Backend::Embedded);
    let settings = stores.settings().with("SESSIOND_WORKERS", "1");
    let node = Process::start_with_files(&settings.clone().with("RUST_LOG", "info,sessiond=debug"), 100);
    let sentence = "this process may have 100 files open, which is too few for 20000 event streams: \
        it opens at most 75 streams; raise the limit to 25000 (`ulimit -n`, or LimitNOFILE= of the service), or set \
        SESSIOND_MAX_EVENT_STREAMS";
    assert!(node.output().contains(sentence), "{}", node.output());
    let checked = command_line(&settings.with("SESSIOND_MAX_EVENT_STREAMS", "1000000"), &["check-config"], "");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && said.contains("too few for 1000000 event streams"), "{said}");
    let owner = node.anonymous().sign_up().await;
    // Connections that ask for nothing, more than there are files for.
    let mut idle = Vec::new();
    for _ in 0..120 {
        idle.push(tokio::net::TcpStream::connect(node.address()).await.expect("the system's queue takes it"));
    }
    until("it has run out", SOON, async || node.output().contains("Too many open files")).await;
    drop(idle);
    let asks_again =
        async || Anonymous::at(&node.url()).call(reqwest::Method::GET, "/health/live").try_send().await.is_ok();
    until("it goes on", SOON, asks_again).await;
    let mut events = Events::of(&owner).await;
    owner.sign_out().await.assert_status(204);
    assert_eq!(events.ending().await, "signed_out");
}

#[cfg(feature = "postgres")]
mod outages {
    use super::*;
    use crate::support::database::Database;
    use crate::support::redis::PrivateRedis;

    /// Nobody is called signed out because the database is away; what happened meanwhile is told when it is back.
    #[tokio::test]
    async fn while_the_database_is_away_nothing_is_said() {
        let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
        let (settings, proxy) = stores.through_proxy();
        let server = TestServer::on(stores, settings).await;
        let owner = server.signed_in().await;
        let other = server.issue(&owner).await;
        assert!(other.is_signed_in().await);
        let (mut events, mut others) = (Events::of(&owner).await, Events::of(&other).await);
        events.assert_silent(CALM).await;
        proxy.refuse();
        proxy.cut();
        events.assert_silent(Duration::from_secs(3)).await;
        // A check that Redis answers opens a stream, too.
        let mut new = Events::of(&other).await;
        let ended =
            format!("UPDATE sessions SET ended_at = 1, end_reason = 'revoked' WHERE id = '{}'", other.session_id);
        server.stores.database.execute(&ended);
        others.assert_silent(CALM).await;
        proxy.pass();
        let watch = stopwatch();
        assert_eq!((others.ending().await.as_str(), new.ending().await.as_str()), ("revoked", "revoked"));
        println!("after an outage of the database the end was told within {:?}", watch());
        assert_eq!(events.news().await.expect("the list").event, "sessions-changed");
    }
}
