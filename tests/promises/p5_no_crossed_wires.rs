//! P5: no answer ever carries another user's data, also when clients hang up in the middle.

use std::time::Duration;

#[cfg(feature = "postgres")]
use crate::promises::origin::{Origin, People};
use crate::support::client::SignedIn;
use crate::support::issue::issue_at;
use crate::support::raw::abandon;
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};
use crate::support::wait::stopwatch;

/// People at once, and for how long.
fn size() -> (usize, Duration) {
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() {
        (200, Duration::from_secs(60))
    } else {
        (24, Duration::from_secs(5))
    }
}

/// Asks who it is, over and over; now and then hangs up before the answer.
async fn keep_asking(person: SignedIn, server: String, how_long: Duration) -> usize {
    let watch = stopwatch();
    let mut answers = 0;
    while watch() < how_long {
        let cookie = person.browser().cookie_header().expect("a cookie");
        let request = format!("GET /me HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
        abandon(&server, request.as_bytes()).await;
        let me = person.me().await;
        me.assert_status(200);
        let body = me.json();
        assert_eq!(body.pointer("/user/id").and_then(|id| id.as_str()), Some(person.user_id.as_str()), "{me}");
        assert_eq!(body.pointer("/session/id").and_then(|id| id.as_str()), Some(person.session_id.as_str()), "{me}");
        let forward = person.get("/auth/forward").await;
        assert_eq!(forward.header("x-session-user"), Some(person.user_id.as_str()), "{forward}");
        answers += 2;
    }
    answers
}

/// That every answer is for the person who asked.
async fn assert_all_their_own(server: &TestServer, people: Vec<SignedIn>, how_long: Duration) {
    let (address, number) = (server.node().address().to_string(), people.len());
    let tasks: Vec<_> =
        people.into_iter().map(|person| tokio::spawn(keep_asking(person, address.clone(), how_long))).collect();
    let mut answers = 0;
    for task in tasks {
        answers += task.await.expect("every answer belongs to its cookie");
    }
    println!("{number} people, {answers} answers, all their own");
}

on_each_backend! {
    async fn clients_that_hang_up_in_the_middle(server: TestServer) {
        let (number, how_long) = size();
        let mut people = Vec::new();
        for _ in 0..number {
            let owner = server.signed_in().await;
            people.push(issue_at(server.node().app(), &server.settings, &owner, &server.url()).await);
        }
        assert_all_their_own(&server, people, how_long).await;
    }

    #[cfg(feature = "postgres")]
    async fn clients_of_an_application_that_hang_up_in_the_middle(server: TestServer) {
        let (number, how_long) = size();
        let issued = People::of(Origin::Issued, &server.settings, &server.url());
        let mut people = Vec::new();
        for _ in 0..number {
            people.push(issued.somebody(&server.url()).await);
        }
        assert_all_their_own(&server, people, how_long).await;
    }
}
