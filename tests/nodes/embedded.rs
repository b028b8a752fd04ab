//! Processes on one SQLite file.

use std::time::Duration;

use crate::support::database::Database;
use crate::support::process::{Process, command_line_ok, signal};
use crate::support::requests::Requests;
use crate::support::server::Stores;
use crate::support::wait::until;

/// Without Redis, a revocation made by another process on the same SQLite file is seen by the next request.
#[tokio::test]
async fn a_revocation_by_another_process_on_one_sqlite_file_is_seen_by_the_next_request() {
    let stores = Stores::of(Database::sqlite(), None);
    let (a, b) = (Process::start(&stores.settings()), Process::start(&stores.settings()));
    let owner = a.anonymous().sign_up().await;
    for _ in 0..50 {
        let victim = owner.sign_in_again().await;
        assert!(victim.copy_at(&b.url()).is_signed_in().await);
        owner.copy_at(&b.url()).end_session(&victim.session_id).await.assert_status(204);
        assert!(!victim.is_signed_in().await, "the very next request on A");
    }
}

/// The command line is such a process, too.
#[tokio::test]
async fn a_revocation_at_the_command_line_is_seen_by_the_next_request() {
    let stores = Stores::of(Database::sqlite(), None);
    let server = Process::start(&stores.settings());
    let owner = server.anonymous().sign_up().await;
    command_line_ok(&stores.settings(), &["sessions", "revoke", &owner.session_id], "");
    assert!(!owner.is_signed_in().await);
    let other = owner.sign_in_again().await;
    command_line_ok(&stores.settings(), &["user", "disable", &owner.email], "");
    assert!(!other.is_signed_in().await);
}

/// A restart signs nobody out and nobody in.
#[tokio::test]
async fn a_restart_signs_nobody_out_and_nobody_in() {
    let stores = Stores::of(Database::sqlite(), None);
    let mut server = Process::start(&stores.settings());
    let owner = server.anonymous().sign_up().await;
    let victim = owner.sign_in_again().await;
    owner.end_session(&victim.session_id).await.assert_status(204);
    for how in ["in order", "after SIGKILL"] {
        if how == "after SIGKILL" {
            server.kill();
        }
        server.restart();
        // Connections to the server before are gone, as they are for a browser.
        let (owner, victim) = (owner.copy_at(&server.url()), victim.copy_at(&server.url()));
        assert!(owner.is_signed_in().await && !victim.is_signed_in().await, "{how}");
    }
}

/// A request whose body is still to come: under way until it has.
async fn half_a_registration(server: &Process) -> (tokio::net::TcpStream, &'static [u8]) {
    use tokio::io::AsyncWriteExt as _;

    let body = br#"{"email":"late@example.com","password":"four plain words, unlikely"}"#;
    let (first, rest) = body.split_at(20);
    let head = format!(
        "POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("a head");
    stream.write_all(first).await.expect("half a body");
    tokio::time::sleep(Duration::from_millis(200)).await;
    (stream, rest)
}

/// SIGTERM finishes what is under way, refuses what is new, and ends in order.
#[tokio::test]
async fn a_stop_finishes_requests_under_way_and_refuses_new_ones() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let stores = Stores::of(Database::sqlite(), None);
    let server = Process::start(&stores.settings());
    let (mut stream, rest) = half_a_registration(&server).await;
    signal("TERM", server.pid());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.anonymous().call(reqwest::Method::GET, "/health/live").try_send().await.is_err(), "a new one");
    stream.write_all(rest).await.expect("the rest of the body");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    until("the process ends", Duration::from_secs(5), || async { !is_running(server.pid()) }).await;
}

/// Whoever cannot wait signals twice.
#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let stores = Stores::of(Database::sqlite(), None);
    let server = Process::start(&stores.settings());
    let (_stream, _) = half_a_registration(&server).await;
    signal("TERM", server.pid());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(is_running(server.pid()), "it waits for the request");
    signal("TERM", server.pid());
    until("the process ends", Duration::from_secs(2), || async { !is_running(server.pid()) }).await;
}

/// Not a zombie that only waits to be collected.
fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}
