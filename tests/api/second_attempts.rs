//! What is asked for a second time, or by somebody whose word counts no more: it is never answered on the strength of the
//! first, nor of what was true before.

use std::net::IpAddr;

use sessiond::domain::{Token, UserId};
use sessiond::service::{Activity, App, Checked, Denied, IssueError, Those};

use crate::api::tools::fingerprint;
use crate::support::client::{PASSWORD, SignedIn};
use crate::support::issue::client;
use crate::support::requests::Requests;
use crate::support::server::on_each_backend;

async fn checked(app: &App, who: &SignedIn) -> Option<Checked> {
    let token = Token::parse(&who.token()).expect("a token");
    app.check.authenticate(&token, IpAddr::from([127, 0, 0, 1]), Activity::Active).await.expect("an answer")
}

on_each_backend! {
    /// Nobody learns of another's session, nor has it confirmed, alive or ended, one's own command or another's.
    async fn a_strangers_session_is_no_session(server: TestServer) {
        let (owner, stranger) = (server.signed_in().await, server.signed_in().await);
        let victim = server.issue(&owner).await;
        for round in 0..3 {
            if round == 1 {
                owner.end_session(&victim.session_id).await.assert_status(204);
            }
            let before = fingerprint(&server.stores.database);
            stranger.end_session(&victim.session_id).await.assert_problem(404, "not-found");
            assert_eq!(fingerprint(&server.stores.database), before, "round {round}");
        }
    }

    /// A request that was let in by a token, and comes to its change when that was renewed: whoever has the old one would
    /// end the session of whoever has the new one.
    async fn a_token_that_was_renewed_since_changes_nothing(server: TestServer) {
        let owner = server.signed_in().await;
        let (who, other) = (server.issue(&owner).await, server.issue(&owner).await);
        let app = server.node().app();
        let before = checked(app, &who).await.expect("a live session");
        who.reauthenticate(PASSWORD).await.assert_status(200);
        let state = fingerprint(&server.stores.database);
        let session = checked(app, &other).await.expect("a live session").session;
        for attempt in [
            app.sessions.sign_out_session(&before, session, &client()).await.map(|_| ()),
            app.sessions.sign_out_sessions(&before, Those::All(None), &client()).await.map(|_| ()),
        ] {
            assert_eq!(attempt, Err(Denied::Ended));
        }
        assert!(app.users.rename(&before, Some("Somebody Else".to_owned())).await.is_err());
        assert!(app.sign_in.renew(&before, &client()).await.is_err());
        assert!(app.sign_in.store_data(&before, &[("cart".to_owned(), "[]".to_owned())].into()).await.is_err());
        assert_eq!(fingerprint(&server.stores.database), state);
        assert!(who.is_signed_in().await && other.is_signed_in().await);
    }

    /// Whom the application has recognised by its own means is not let in where the account may not sign in.
    async fn nobody_is_issued_a_session_who_may_not_sign_in(server: TestServer) {
        let (admin, owner) = (server.admin().await, server.signed_in().await);
        let user = UserId::parse(&owner.user_id).expect("a user id");
        let issue = async || server.node().app().sign_in.issue(user, false, &[], &client()).await.map(|_| ());
        assert_eq!(issue().await, Ok(()));
        admin.disable(&owner.user_id).await.assert_status(204);
        assert_eq!(issue().await, Err(IssueError::UnknownUser), "disabled");
        admin.enable(&owner.user_id).await.assert_status(204);
        assert_eq!(issue().await, Ok(()));
        admin.delete(&format!("/admin/users/{}", owner.user_id)).await.assert_status(204);
        assert_eq!(issue().await, Err(IssueError::UnknownUser), "deleted");
        let live = format!("user_id = '{}' AND ended_at IS NULL", owner.user_id);
        assert_eq!(server.stores.database.count("sessions", &live), 0);
    }
}

#[cfg(feature = "postgres")]
mod with_redis {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;
    use sessiond::domain::{MovableClock, SystemRandom};
    use sessiond::server::{Parts, open_to_serve};

    use super::*;
    use crate::api::embedding::Application;
    use crate::api::tools::{problem_of, send};
    use crate::support::client::COOKIE;
    use crate::support::database::Database;
    use crate::support::proxy::Proxy;
    use crate::support::redis::PrivateRedis;
    use crate::support::server::{Backend, Stores, TestServer};
    use crate::support::wait::until;

    const PATIENCE: Duration = Duration::from_secs(15);

    #[tokio::test]
    async fn a_role_change_that_is_repeated_is_confirmed_again() {
        let server = TestServer::start(Backend::Production).await;
        let (admin, owner) = (server.admin().await, server.signed_in().await);
        let put = async || {
            admin.put_json(&format!("/admin/users/{}/roles", owner.user_id), &json!({ "roles": ["admin"] })).await
        };
        assert_eq!(owner.get("/auth/forward").await.status, 200);
        server.stores.servers().kill();
        for attempt in 0..2 {
            let answer = put().await;
            assert_eq!((answer.status, answer.problem().as_str()), (503, "unconfirmed"), "attempt {attempt}: {answer}");
        }
        server.stores.servers().restart();
        until("it is confirmed", PATIENCE, async || put().await.status == 204).await;
        assert_eq!(server.stores.database.count("audit", "event = 'authz_change'"), 1, "one change, one line");
        assert_eq!(owner.get("/auth/forward").await.status, 401);
    }

    /// What two renewals could not confirm, a sign-out does, before it says yes. By a service without the background tasks
    /// that would do it a second later.
    #[tokio::test]
    async fn a_sign_out_confirms_what_renewals_left_unconfirmed() {
        let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
        let proxy = Proxy::start(stores.redis().address());
        let direct = stores.settings();
        let through = direct.clone().with("REDIS_URL", &proxy.in_url(&stores.redis().url()));
        let server = TestServer::on(stores, through).await;
        let owner = server.signed_in().await;
        let tokens = [owner.copy_at(&server.url()), owner];
        let [first, present] = &tokens;
        assert_eq!(first.get("/auth/forward").await.status, 200, "it has a record");
        proxy.refuse();
        proxy.cut();
        for _ in 0..2 {
            let answer = present.reauthenticate(PASSWORD).await;
            assert_eq!((answer.status, answer.problem().as_str()), (503, "unconfirmed"), "{answer}");
        }
        let parts = Parts { clock: Arc::<MovableClock>::clone(&server.clock), random: Arc::new(SystemRandom) };
        let app = open_to_serve(&direct.config().expect("settings"), parts).await.expect("a service");
        assert!(checked(&app, first).await.is_some(), "the record of the first token stands, and Redis alone is asked");
        let token = Token::parse(&present.token()).expect("a token");
        app.sessions.sign_out(&[token.hash()], &client()).await.expect("it is confirmed");
        for who in &tokens {
            assert!(checked(&app, who).await.is_none(), "a token of a session that was signed out");
        }
        assert_eq!(server.stores.database.count("pending_invalidations", "1 = 1"), 0);
    }

    /// Of several cookies none goes before the end of every session is recorded, and 204 is the end of all of them.
    #[tokio::test]
    async fn a_sign_out_with_several_cookies_is_repeated_until_all_have_ended() {
        let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
        let (settings, proxy) = stores.through_proxy();
        let server = TestServer::on(stores, settings).await;
        let (one, other) = (server.signed_in().await, server.signed_in().await);
        assert!(one.is_signed_in().await && other.is_signed_in().await, "both have records");
        let cookies = format!("Cookie: {COOKIE}={}; {COOKIE}={}", one.cookie(), other.cookie());
        let sign_out = async || send(&server, "POST", "/logout", &[&cookies, "X-Requested-With: x"], b"").await;
        proxy.refuse();
        proxy.cut();
        let answer = sign_out().await;
        assert_eq!(problem_of(&answer).as_deref(), Some("unavailable"), "{answer:?}");
        assert!(answer.header("set-cookie").is_empty(), "{answer:?}");
        proxy.pass();
        until("PostgreSQL is back", PATIENCE, async || one.me().await.status == 200).await;
        server.stores.servers().kill();
        let answer = sign_out().await;
        assert_eq!(problem_of(&answer).as_deref(), Some("unconfirmed"), "{answer:?}");
        assert_eq!(answer.header("set-cookie").len(), 1, "the ends are recorded: {answer:?}");
        server.stores.servers().restart();
        until("all are confirmed", PATIENCE, async || sign_out().await.status == Some(204)).await;
        assert!(!one.is_signed_in().await && !other.is_signed_in().await);
    }

    /// An application that mounts the session layer: the cookie goes when the end is recorded, and not before.
    #[tokio::test]
    async fn a_sign_out_elsewhere_is_as_honest_as_here() {
        let stores = Stores::of(Database::postgres_with_tables(), Some(PrivateRedis::start()));
        let (settings, proxy) = stores.through_proxy();
        let server = TestServer::on(stores, settings).await;
        let application = Application::on(&server).await;
        let owner = server.signed_in().await;
        for path in ["/logout", "/session/purge", "/session/clear"] {
            let who = server.issue(&owner).await.copy_at(&application.url());
            assert_eq!(who.get("/who").await.text(), owner.user_id);
            let copy = who.copy_at(&server.url());
            proxy.refuse();
            proxy.cut();
            let answer = who.post(path).await;
            assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"), "{path}: {answer}");
            assert!(answer.set_cookies().is_empty(), "{path}: without its cookie nobody could end it: {answer}");
            proxy.pass();
            until("PostgreSQL is back", PATIENCE, async || copy.me().await.status == 200).await;
            server.stores.servers().kill();
            // The application's own connections may still be those that were cut: it says so, and is asked again.
            let mut answer = who.post(path).await;
            for _ in 0..100 {
                if answer.problem() != "unavailable" {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                answer = who.post(path).await;
            }
            assert_eq!((answer.status, answer.problem().as_str()), (503, "unconfirmed"), "{path}: {answer}");
            let cookies = answer.set_cookies();
            assert!(cookies.len() == 1 && cookies[0].starts_with(&format!("{COOKIE}=;")), "{path}: {answer}");
            assert_eq!(copy.get("/auth/forward").await.status, 401, "{path}");
            server.stores.servers().restart();
            let settled = async || server.stores.database.count("pending_invalidations", "1 = 1") == 0;
            until("it is confirmed", PATIENCE, settled).await;
        }
    }

    /// And a renewal there whose old token may still be answered: the new token comes along with the refusal.
    #[tokio::test]
    async fn a_renewal_elsewhere_is_as_honest_as_here() {
        let server = TestServer::start(Backend::Production).await;
        let (owner, application) = (server.signed_in().await, Application::on(&server).await);
        let before = owner.copy_at(&server.url());
        assert_eq!(before.get("/auth/forward").await.status, 200, "it has a record");
        server.stores.servers().kill();
        let there = owner.copy_at(&application.url());
        let answer = there.post("/session/renew").await;
        assert_eq!((answer.status, answer.problem().as_str()), (503, "unconfirmed"), "{answer}");
        assert_eq!(answer.set_cookies().len(), 1, "without the new token the user would be out: {answer}");
        assert_eq!((there.get("/who").await.text(), before.me().await.status), (owner.user_id.clone(), 401));
    }
}
