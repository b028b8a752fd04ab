//! P3: a sick store is 503 with Retry-After, never 401, and never a cookie that is cleared.
#![cfg(feature = "postgres")]

use crate::promises::origin::{Origin, People, for_both_origins};
use crate::support::database::Database;
use crate::support::process::Process;
use crate::support::redis::PrivateRedis;
use crate::support::requests::{Requests, Response};
use crate::support::server::Stores;

fn assert_honest(answer: &Response, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {answer}");
    assert!(answer.header("retry-after").is_some(), "{what}: {answer}");
    assert!(answer.set_cookies().is_empty(), "{what}: {answer}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    let told = answer.text().to_lowercase();
    for inside in ["redis", "sql", "postgres", "diesel", "connection"] {
        assert!(!told.contains(inside), "{what}: {answer}");
    }
}

for_both_origins! {
    async fn sql_is_away(origin: Origin) {
        let stores = Stores::of(Database::postgres(), Some(PrivateRedis::start()));
        let (settings, proxy) = stores.through_proxy();
        let server = Process::start(&settings);
        let people = People::of(origin, &stores.settings(), &server.url());
        let person = people.somebody(&server.url()).await;
        let unseen = people.again(&person, &server.url()).await;
        assert!(person.is_signed_in().await, "there is a record");
        proxy.refuse();
        proxy.cut();
        assert_eq!(person.get("/auth/forward").await.status, 200, "one Redis is still trusted");
        assert_honest(&unseen.get("/auth/forward").await, "a check that needs SQL");
        assert_honest(&person.me().await, "/me");
        assert_honest(&person.get("/session").await, "whether somebody is signed in");
        assert_honest(&unseen.get("/session").await, "the same, without a record");
        assert_honest(&person.end_session(&unseen.session_id).await, "a revocation");
        assert_honest(&server.anonymous().login(&person.email, &person.password).await, "a sign-in");
        proxy.pass();
        crate::support::wait::until("SQL is back", std::time::Duration::from_secs(15), || async {
            person.me().await.status == 200
        })
        .await;
        assert!(unseen.is_signed_in().await, "nobody was signed out, and nothing was half done");
    }

    /// The end is in the ledger, so the cookie goes whatever Redis says: the one exception.
    async fn signing_out_clears_the_cookie_as_soon_as_it_is_recorded(origin: Origin) {
        let stores = Stores::of(Database::postgres(), Some(PrivateRedis::start()));
        let server = Process::start(&stores.settings());
        let person = People::of(origin, &stores.settings(), &server.url()).somebody(&server.url()).await;
        assert!(person.is_signed_in().await);
        let stolen = person.copy_at(&server.url());
        stores.redis().kill();
        let answer = person.sign_out().await;
        answer.assert_problem(503, "unconfirmed");
        assert!(answer.set_cookies().iter().any(|cookie| cookie.contains("Max-Age=0")), "{answer}");
        assert_eq!(stolen.get("/auth/forward").await.status, 401, "the ledger has said no");
    }
}
