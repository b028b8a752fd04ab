//! Clients that hang up at random moments while everything behind the nodes is ill: every body belongs to its cookie.
//!
//! Owns P5 under faults; without them it is shown in `tests/promises`. Nobody is signed out, either.
#![cfg(feature = "postgres")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::faults::trouble::{Dice, System};
use crate::support::client::{Anonymous, SignedIn};
use crate::support::raw::abandon;
use crate::support::requests::{Requests, Response};

/// People at once, for how long, and how long each trouble and the rest before the next.
fn size() -> (usize, [Duration; 3]) {
    let ms = Duration::from_millis;
    if std::env::var_os("SESSIOND_TEST_SOAK").is_some() {
        (200, [ms(60_000), ms(1_500), ms(1_500)])
    } else {
        (24, [ms(6_000), ms(500), ms(500)])
    }
}

/// How often the answer was 200, 503, none; and how often the client did not wait for it.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    own: usize,
    unknown: usize,
    nothing: usize,
    abandoned: usize,
}

/// Asks this and that at any node until it is over.
async fn keep_asking(person: SignedIn, urls: Vec<String>, over: Arc<AtomicBool>) -> Count {
    let (mut dice, mut count) = (Dice::new(), Count::default());
    let cookie = person.browser().cookie_header().expect("a cookie");
    let at: Vec<SignedIn> = urls.iter().map(|url| person.copy_at(url)).collect();
    while !over.load(Ordering::SeqCst) {
        let node = dice.below(urls.len());
        let path = ["/me", "/auth/forward", "/sessions"][dice.below(3)];
        if dice.below(2) == 0 {
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
            abandon(&urls[node], request.as_bytes()).await;
            count.abandoned += 1;
            continue;
        }
        match at[node].call(reqwest::Method::GET, path).try_send().await {
            Err(_) => count.nothing += 1,
            // A connection that was given up before the request came, as by a node that was frozen meanwhile.
            Ok(answer) if answer.status == 408 => count.nothing += 1,
            Ok(answer) if answer.status == 503 => count.unknown += 1,
            Ok(answer) => {
                assert_own(&answer, path, &person);
                count.own += 1;
            }
        }
    }
    count
}

fn assert_own(answer: &Response, path: &str, person: &SignedIn) {
    answer.assert_status(200);
    let (user, session) = (person.user_id.as_str(), person.session_id.as_str());
    if path == "/auth/forward" {
        let found = (answer.header("x-session-user"), answer.header("x-session-id"));
        assert_eq!(found, (Some(user), Some(session)), "{answer}");
        return;
    }
    let body = answer.json();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    if path == "/me" {
        assert_eq!(text("/user/id").as_deref(), Some(user), "{answer}");
        assert_eq!(text("/session/id").as_deref(), Some(session), "{answer}");
    } else {
        // Everybody here has one session.
        assert_eq!(text("/sessions/0/id").as_deref(), Some(session), "{answer}");
        assert_eq!(body.pointer("/sessions/1"), None, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_while_the_stores_are_ill_get_nothing_but_their_own() {
    let (number, [lasts, ill, rest]) = size();
    let system = System::start(&[]);
    let urls = system.urls();
    let mut people = Vec::new();
    for person in 0..number {
        people.push(Anonymous::at(&urls[person % urls.len()]).sign_up().await);
    }
    let over = Arc::new(AtomicBool::new(false));
    let asking = people.into_iter().map(|person| tokio::spawn(keep_asking(person, urls.clone(), Arc::clone(&over))));
    let asking: Vec<_> = asking.collect();
    let watch = crate::support::wait::stopwatch();
    let trouble = tokio::task::spawn_blocking(move || system.suffer(ill, rest, || watch() >= lasts));
    let (_system, faults) = trouble.await.expect("the faults go on");
    over.store(true, Ordering::SeqCst);
    let mut all = Count::default();
    for person in asking {
        let count = person.await.expect("every body belongs to its cookie");
        all.own += count.own;
        all.unknown += count.unknown;
        all.nothing += count.nothing;
        all.abandoned += count.abandoned;
    }
    println!("{number} people, {} faults ({}): {all:?}", faults.len(), faults.join(", "));
    assert!(all.own > 10 * number && all.abandoned > 10 * number && faults.len() >= 3, "too little was done");
}
