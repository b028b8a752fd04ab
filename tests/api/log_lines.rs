//! Lines of the log: bounded in length and in number, whatever strangers send.

use std::time::Duration;

use reqwest::Method;

use crate::support::process::Process;
use crate::support::requests::Requests;
use crate::support::server::{Backend, Stores};
use crate::support::wait::{until, until_found};

/// Refusals: more than a place in the code may write lines in a minute.
const REFUSED: usize = 400;
const LINES: usize = 300;
/// One line, with its time, its level and its target.
const LONGEST: usize = 2_500;

/// What a stranger can put into a request that is refused with a line, each so long as the server lets it be.
fn hostile(number: usize) -> (Method, String, Vec<(&'static str, String)>, Option<String>) {
    let long = "a".repeat(20_000);
    let foreign = ("Origin", "https://evil.example".to_owned());
    match number % 8 {
        0 => (Method::DELETE, format!("/sessions/{long}"), vec![foreign], None),
        1 => (Method::POST, format!("/login?{long}"), vec![foreign], Some("{}".to_owned())),
        2 => (Method::DELETE, "/sessions/x".to_owned(), vec![foreign, ("User-Agent", long)], None),
        // An origin is shown, as long as one can be: the operator may have forgotten it.
        3 => (
            Method::DELETE,
            "/sessions/x".to_owned(),
            vec![("Origin", format!("https://{}", "b".repeat(20_000)))],
            None,
        ),
        4 => (Method::DELETE, "/sessions/x".to_owned(), vec![("X-CSRF-Token", long)], None),
        5 => (Method::DELETE, "/sessions/x".to_owned(), vec![foreign, ("Cookie", format!("{long}=x"))], None),
        6 => {
            let method = Method::from_bytes("A".repeat(2_000).as_bytes()).expect("a method");
            (method, format!("/sessions/{long}"), vec![foreign], None)
        }
        _ => (Method::POST, "/reset".to_owned(), vec![], Some(format!("{{\"{}\":1}}", "a".repeat(9_000)))),
    }
}

#[tokio::test]
async fn no_text_of_a_stranger_makes_a_line_long_and_refusals_are_counted_when_there_are_many() {
    let stores = Stores::new(Backend::Embedded);
    let process = Process::start(&stores.settings());
    let stranger = process.anonymous();
    for number in 0..REFUSED {
        let (method, path, headers, body) = hostile(number);
        let call = headers.iter().fold(stranger.call(method, &path), |call, (name, value)| call.header(name, value));
        let call = match body {
            Some(body) => call.body("application/json", body),
            None => call,
        };
        // Some are refused before anything is read.
        if let Ok(answer) = call.try_send().await {
            assert!(answer.status >= 400, "{answer}");
            assert!(answer.text().len() < 2_000, "nor is it repeated in an answer: {answer}");
        }
    }
    // One kind, over the limit of its place.
    for _ in 0..REFUSED {
        let call = stranger.call(Method::DELETE, "/sessions/x").header("Origin", "https://evil.example");
        call.send().await.assert_problem(403, "forbidden-origin");
    }
    let log = process.output();
    let refusals = log.lines().filter(|line| line.contains("csrf_fail")).count();
    assert!((LINES / 2..=LINES).contains(&refusals), "{refusals} lines");
    assert_eq!(log.lines().filter(|line| line.contains("are counted, and not written")).count(), 1, "{log}");
    let longest = log.lines().map(str::len).max().unwrap_or_default();
    assert!(longest < LONGEST, "{longest} bytes");
    assert!(!log.contains("aaaaaaaa") && !log.contains("AAAAAAAA"), "what strangers send is in no line");
    println!("{} requests, {} bytes of log, the longest line {longest}", 2 * REFUSED, log.len());
}

#[tokio::test]
async fn a_flood_of_one_refusal_hides_no_other_in_the_log_or_in_the_table() {
    let stores = Stores::new(Backend::Embedded);
    let proxy = [("SESSIOND_TRUSTED_PROXIES", "127.0.0.1"), ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For")];
    let process = Process::start(&stores.settings().with_all(&proxy));
    let stranger = process.anonymous();
    for number in 0..REFUSED {
        let call = stranger.call(Method::POST, "/logout").header("Origin", "https://evil.example");
        let call = call.header("X-Forwarded-For", &format!("198.51.{}.{}", number / 200, number % 200));
        call.send().await.assert_problem(403, "forbidden-origin");
    }
    stranger.login("nobody@example.org", "a wrong password").await.assert_problem(401, "wrong-credentials");
    // Lines are written by a thread of their own.
    let said = || process.output().contains("event=authn_login_fail ").then_some(());
    until_found("the other refusal is in the log", Duration::from_secs(20), said);
    let log = process.output();
    assert_eq!(log.lines().filter(|line| line.contains("are counted, and not written")).count(), 1, "{log}");
    assert_eq!(log.lines().filter(|line| line.contains("event=authn_login_fail ")).count(), 1, "{log}");
    let rows = |event: &str| stores.database.count("audit", &format!("event = '{event}' AND detail IS NULL"));
    until("it is in the table", Duration::from_secs(20), async || rows("authn_login_fail") == 1).await;
    assert_eq!(rows("csrf_fail"), LINES, "over its own budget");
}
