//! Clients that close their side once they have asked (`nc -N`, `shutdown(SHUT_WR)`): they wait for an answer, and get it.
//!
//! Those that are gone look the same; what they may cost is in `password_gate.rs` and `event_limits.rs`.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::{PASSWORD, new_email};
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

const TRIES: usize = 5;

/// Sends this, closes its side, and reads to the end.
async fn ask(server: &TestServer, request: &str) -> String {
    let mut stream = TcpStream::connect(server.node().address().to_string()).await.expect("the server accepts");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    stream.shutdown().await.expect("this side is closed");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the answer and its end");
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.").skip(1).filter_map(|answer| answer.split(' ').nth(1)).collect()
}

/// Asks until the answer is there: on a busy machine one may take longer than a client that closed its side can wait. That
/// nobody would be answered at all is what fails.
async fn answered(server: &TestServer, request: impl Fn() -> String, expected: &[&str]) -> String {
    let mut last = String::new();
    for _ in 0..TRIES {
        last = ask(server, &request()).await;
        if statuses(&last) == expected {
            return last;
        }
    }
    panic!("{expected:?} was expected {TRIES} times: {}\n{last}", request());
}

fn get(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

on_each_backend! {
    async fn who_has_asked_and_closed_their_side_is_answered(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = format!("Cookie: {}\r\n", owner.browser().cookie_header().expect("a session"));
        let right = json!({ "email": owner.email, "password": PASSWORD }).to_string();
        let wrong = json!({ "email": owner.email, "password": "not the password of theirs" }).to_string();
        for (request, expected) in [
            (get("/health/live", ""), "200"),
            (get("/", ""), "200"),
            (get("/me", ""), "401"),
            (get("/me", &cookie), "200"),
            (get("/sessions", &cookie), "200"),
            (get("/auth/forward", &cookie), "200"),
            (get("/me", &format!("{cookie}Connection: close\r\n")), "200"),
            (format!("GET /me HTTP/1.0\r\n{cookie}\r\n"), "200"),
            (post("/login", &right), "200"),
            (post("/login", &wrong), "401"),
        ] {
            let answer = answered(&server, || request.clone(), &[expected]).await;
            let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
            assert!(!body.is_empty() || request.contains("/health") || request.contains("/auth"), "{request}\n{answer}");
        }
        let several = [get("/me", &cookie), post("/login", &right), get("/auth/forward", &cookie)].concat();
        answered(&server, || several.clone(), &["200", "200", "200"]).await;
        // An account that was made without its answer would be there the next time.
        let new = || json!({ "email": new_email(), "password": PASSWORD }).to_string();
        answered(&server, || post("/register", &new()), &["201"]).await;
    }

    async fn what_was_not_sent_to_its_end_is_not_done(server: TestServer) {
        let email = new_email();
        let whole = post("/register", &json!({ "email": email, "password": PASSWORD }).to_string());
        for length in [whole.len() - 1, whole.len() - 20, 60, 10] {
            let answer = ask(&server, whole.get(..length).expect("ASCII")).await;
            assert!(statuses(&answer).iter().all(|status| status.starts_with('4')), "{length}: {answer}");
        }
        server.anonymous().login(&email, PASSWORD).await.assert_problem(401, "wrong-credentials");
    }
}
