//! Another actix application that mounts the session layer: `Session` and `Identity` as it is used to them, on sessions
//! that are listed, limited and ended here.

use std::net::SocketAddr;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, web};
use reqwest::Method;
use serde_json::json;
use sessiond::http::SessionLayer;
use sessiond::service::AuditContext;
use tokio::sync::oneshot;

use crate::api::tools::{browser_with, fingerprint, only_cookie};
use crate::support::client::{Anonymous, COOKIE, PASSWORD, SignedIn, new_email};
use crate::support::node::Node;
use crate::support::requests::{Requests, Response};
use crate::support::server::{TestServer, on_each_backend};
use crate::support::service::{IssuedSession, Service, user};
use crate::support::settings::Settings;

async fn count(session: Session) -> actix_web::Result<String> {
    let count = session.get::<u64>("count")?.unwrap_or(0) + 1;
    session.insert("count", count)?;
    Ok(count.to_string())
}

async fn who(identity: Option<Identity>) -> actix_web::Result<String> {
    Ok(identity.map_or(Ok("nobody".to_owned()), |identity| identity.id())?)
}

async fn login(request: HttpRequest, user: web::Path<String>) -> actix_web::Result<HttpResponse> {
    Identity::login(&request.extensions(), user.into_inner())?;
    Ok(HttpResponse::NoContent().finish())
}

async fn logout(identity: Identity) -> HttpResponse {
    identity.logout();
    HttpResponse::NoContent().finish()
}

/// The rest of what a `Session` can do, by name.
async fn session(session: Session, what: web::Path<String>) -> actix_web::Result<HttpResponse> {
    match what.as_str() {
        "renew" => session.renew(),
        "purge" => session.purge(),
        "clear" => session.clear(),
        "remove" => drop(session.remove("count")),
        "fill" => session.insert("big", "x".repeat(17 * 1024))?,
        other => panic!("no such thing: {other}"),
    }
    Ok(HttpResponse::NoContent().finish())
}

/// An application of its own on the stores of a node. Gone when dropped.
pub struct Application {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Application {
    async fn start(node: &Node, settings: &Settings) -> Self {
        let config = settings.config().expect("a configuration");
        let layer: SessionLayer = sessiond::http::session_layer(node.app(), &config).expect("a layer");
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let application = HttpServer::new(move || {
                    App::new()
                        .route("/count", web::post().to(count))
                        .route("/who", web::get().to(who))
                        .route("/login/{user}", web::post().to(login))
                        .route("/logout", web::post().to(logout))
                        .route("/session/{what}", web::post().to(session))
                        .wrap(layer.for_worker())
                });
                let bound = application.workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a port");
                let address = *bound.addrs().first().expect("an address");
                let running = bound.run();
                let _told = tell.send((address, running.handle()));
                running.await.expect("it runs until it is stopped");
            });
        });
        let (address, handle) = told.await.expect("it starts");
        Self { address, handle }
    }

    /// On the stores of a server.
    pub async fn on(server: &TestServer) -> Self {
        Self::start(server.node(), &server.settings).await
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn anonymous(&self) -> Anonymous {
        Anonymous::at(&self.url())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn counted(who: &impl Requests) -> String {
    let answer = who.post("/count").await;
    assert!(answer.assert_status(200).set_cookies().is_empty(), "the cookie is the same: {answer}");
    answer.text()
}

/// The answer takes the cookie away.
fn assert_removes(answer: &Response) {
    let line = only_cookie(answer.assert_status(204));
    assert!(line.starts_with(&format!("{COOKIE}=;")) && line.contains("Max-Age=0"), "{line}");
}

fn column(server: &TestServer, name: &str, who: &SignedIn) -> String {
    let sql = format!("SELECT coalesce({name}, '-') AS value FROM sessions WHERE id = '{}'", who.session_id);
    server.stores.database.value(&sql)
}

on_each_backend! {
    async fn state_persists_over_requests_and_nodes(server: TestServer) {
        let second = server.another_node().await;
        let (here, there) = (Application::on(&server).await, Application::start(&second, &server.settings).await);
        let owner = server.signed_in().await;
        let (at_here, at_there) = (owner.copy_at(&here.url()), owner.copy_at(&there.url()));
        assert_eq!(at_here.get("/who").await.text(), owner.user_id);
        for expected in ["1", "3", "5"] {
            assert_eq!(counted(&at_here).await, expected);
            assert_eq!(counted(&at_there).await, (expected.parse::<u8>().expect("a number") + 1).to_string());
        }
        // Each session has its own.
        let other = server.issue(&owner).await;
        assert_eq!(counted(&other.copy_at(&here.url())).await, "1");
        // It outlives a reader that has only the ledger.
        if let Some(redis) = server.stores.redis_if_any() {
            let _ok: String = redis.cli(&["FLUSHALL"]);
        }
        assert_eq!(counted(&at_there).await, "7");
        at_here.post("/session/remove").await.assert_status(204);
        assert_eq!(counted(&at_there).await, "1");
        owner.me().await.assert_status(200);
    }

    /// Such an application sees the user alone, and would let whoever acts do all that the user may.
    async fn whoever_acts_for_a_user_is_nobody_here(server: TestServer) {
        let (here, shop) =
            (Application::on(&server).await, Service::add(&server.settings, &server.url(), "shop", "issue"));
        let own = shop.session_of("user-1").await;
        let mut body = user("user-1");
        body["actor"] = json!({ "kind": "agent", "id": "assistant-7" });
        let acting = IssuedSession::of(&shop.issue(&body).await);
        let who = async |session: &IssuedSession| session.at(&here.url()).get("/who").await.text();
        // Twice: by the ledger, and by a record where there are any.
        for _ in 0..2 {
            assert_eq!((who(&own).await, who(&acting).await), (own.user_id.clone(), "nobody".to_owned()));
        }
    }

    async fn there_is_no_session_for_nobody(server: TestServer) {
        let application = Application::on(&server).await;
        let visitor = application.anonymous();
        let answer = visitor.get("/who").await;
        assert_eq!((answer.status, answer.text().as_str(), answer.set_cookies().len()), (200, "nobody", 0));
        for path in ["/count", "/session/fill", "/logout"] {
            let answer = visitor.post(path).await;
            assert!(answer.assert_status(401).set_cookies().is_empty(), "{path}: {answer}");
        }
        let unknown = "01937c5e-7b1a-7c3d-8e4f-001122334455";
        for user in [unknown, "nonsense", "1"] {
            let answer = visitor.post(&format!("/login/{user}")).await;
            assert!([401, 500].contains(&answer.status) && answer.set_cookies().is_empty(), "{user}: {answer}");
        }
        assert_eq!(visitor.post(&format!("/login/{unknown}")).await.status, 401);
        assert_eq!(server.stores.database.count("sessions", "1 = 1"), 0);
    }

    async fn identity_signs_in_and_out(server: TestServer) {
        let application = Application::on(&server).await;
        let user = server.signed_in().await;
        let visitor = application.anonymous();
        let answer = visitor.post(&format!("/login/{}", user.user_id)).await;
        let line = only_cookie(answer.assert_status(204));
        for part in [COOKIE, "HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("Domain") && !line.contains("Max-Age"), "{line}");
        assert_eq!(visitor.get("/who").await.text(), user.user_id);
        assert_eq!(server.stores.database.count("sessions", "data IS NOT NULL"), 0, "what is ours is no data of theirs");
        assert_eq!(counted(&visitor).await, "1");
        assert_eq!(user.sessions().await.len(), 2, "it is listed with the others");
        let copy = visitor.browser().copy_at(&server.url());
        let cookie = copy.cookie(COOKIE).expect("a cookie");
        assert_eq!(browser_with(&server, &cookie).get("/auth/forward").await.status, 200, "and known here");
        assert_removes(&visitor.post("/logout").await);
        assert_eq!(visitor.get("/who").await.text(), "nobody");
        assert_eq!(browser_with(&server, &cookie).get("/auth/forward").await.status, 401);
        assert!(user.is_signed_in().await);
    }

    /// Such an account is for applications that verify their users themselves.
    async fn an_account_without_a_password_is_opened_by_its_application_alone(server: TestServer) {
        let application = Application::on(&server).await;
        let (users, email) = (&server.node().app().users, new_email());
        let made = users.create_user_without_password(&email, None, AuditContext::command_line()).await;
        let user = made.expect("an account").id;
        let stranger = server.anonymous();
        for password in ["", "!locked", PASSWORD] {
            stranger.login(&email, password).await.assert_problem(401, "wrong-credentials");
        }
        let visitor = application.anonymous();
        only_cookie(visitor.post(&format!("/login/{user}")).await.assert_status(204));
        assert_eq!(visitor.get("/who").await.text(), user.to_string());
        // Its owner may get one.
        let reset = json!({ "token": server.reset_token(&email), "new_password": PASSWORD });
        stranger.post_json("/reset", &reset).await.assert_status(204);
        stranger.login(&email, PASSWORD).await.assert_status(200);
    }

    async fn a_login_begins_a_new_session_and_leaves_the_old_ones_data_behind(server: TestServer) {
        let application = Application::on(&server).await;
        let (ana, eve) = (server.signed_in().await, server.signed_in().await);
        let before = ana.copy_at(&application.url());
        assert_eq!(counted(&before).await, "1");
        let browser = before.copy_at(&application.url());
        only_cookie(browser.post(&format!("/login/{}", eve.user_id)).await.assert_status(204));
        assert_eq!(browser.get("/who").await.text(), eve.user_id);
        assert_eq!(counted(&browser).await, "1", "another person begins anew");
        assert_eq!(before.get("/who").await.text(), "nobody");
        assert!(!ana.is_signed_in().await);
        assert_eq!(column(&server, "end_reason", &ana), "replaced");
    }

    async fn renewing_changes_the_token_and_keeps_the_session(server: TestServer) {
        let application = Application::on(&server).await;
        let owner = server.signed_in().await;
        let browser = owner.copy_at(&application.url());
        assert_eq!(counted(&browser).await, "1");
        let before = browser.copy_at(&application.url());
        for _ in 0..2 {
            only_cookie(browser.post("/session/renew").await.assert_status(204));
        }
        assert_ne!(browser.cookie(), before.cookie());
        assert_eq!(counted(&browser).await, "2", "the data goes along");
        assert_eq!(before.get("/who").await.text(), "nobody");
        before.post("/count").await.assert_status(401);
        before.post("/session/renew").await;
        assert_eq!(counted(&browser).await, "3", "a dead token renews nothing");
        let me = browser.copy_at(&server.url()).me().await.json();
        assert_eq!(me.pointer("/session/id").and_then(serde_json::Value::as_str), Some(owner.session_id.as_str()));
    }

    async fn purging_and_clearing_end_the_session(server: TestServer) {
        let application = Application::on(&server).await;
        let owner = server.signed_in().await;
        for what in ["purge", "clear"] {
            let session = server.issue(&owner).await;
            let browser = session.copy_at(&application.url());
            assert_eq!(counted(&browser).await, "1");
            assert_removes(&browser.post(&format!("/session/{what}")).await);
            assert!(!session.is_signed_in().await, "{what}");
            session.copy_at(&application.url()).post("/count").await.assert_status(401);
            assert_eq!(column(&server, "end_reason", &session), "signed_out", "{what}");
        }
        assert!(owner.is_signed_in().await);
    }

    /// Nothing is open there, so the application sees nobody, and still what it purges is over.
    async fn purging_ends_the_sessions_of_cookies_that_open_nothing(server: TestServer) {
        let application = Application::on(&server).await;
        let owner = server.signed_in().await;
        let (one, other, renewed) = (server.issue(&owner).await, server.issue(&owner).await, server.issue(&owner).await);
        let old = renewed.copy_at(&application.url());
        renewed.reauthenticate(PASSWORD).await.assert_status(200);
        let several = format!("{COOKIE}={}; {COOKIE}=x; {COOKIE}={}", one.cookie(), other.cookie());
        let visitor = application.anonymous();
        for path in ["/who", "/session/remove"] {
            let method = if path == "/who" { Method::GET } else { Method::POST };
            visitor.call(method, path).header("Cookie", &several).send().await;
        }
        assert!(one.is_signed_in().await && other.is_signed_in().await && renewed.is_signed_in().await);
        assert_removes(&visitor.call(Method::POST, "/session/purge").header("Cookie", &several).send().await);
        assert_removes(&old.post("/session/purge").await);
        for who in [&one, &other, &renewed] {
            assert!(!who.is_signed_in().await, "{}", who.session_id);
        }
        assert!(owner.is_signed_in().await);
    }

    async fn what_is_ended_here_is_over_there(server: TestServer) {
        let application = Application::on(&server).await;
        let owner = server.signed_in().await;
        let victim = server.issue(&owner).await;
        let browser = victim.copy_at(&application.url());
        assert_eq!(counted(&browser).await, "1");
        owner.end_session(&victim.session_id).await.assert_status(204);
        let before = fingerprint(&server.stores.database);
        assert_eq!(browser.get("/who").await.text(), "nobody");
        for path in ["/count", "/session/fill"] {
            let answer = victim.copy_at(&application.url()).post(path).await;
            assert_eq!(answer.status, 401, "{path}: {answer}");
        }
        assert_eq!(fingerprint(&server.stores.database), before, "nothing brings it back");
    }

    async fn more_data_than_a_session_holds_is_refused(server: TestServer) {
        let application = Application::on(&server).await;
        let owner = server.signed_in().await;
        let browser = owner.copy_at(&application.url());
        assert_eq!(counted(&browser).await, "1");
        let stored = column(&server, "data", &owner);
        let answer = browser.post("/session/fill").await;
        answer.assert_problem(413, "body-too-large");
        assert_eq!(column(&server, "data", &owner), stored, "nothing of it was stored");
        assert_eq!(counted(&browser).await, "2");
    }

    async fn cookies_that_are_none_of_ours_are_nobodys(server: TestServer) {
        let application = Application::on(&server).await;
        let owner = server.signed_in().await;
        let cookie = owner.cookie();
        let before = fingerprint(&server.stores.database);
        for line in [
            format!("{COOKIE}={cookie}; {COOKIE}={cookie}"),
            format!("{COOKIE}=x; {COOKIE}={cookie}"),
            format!("{COOKIE}={cookie}x"),
            format!("__Host%2Dsession={cookie}"),
            format!("__host-session={cookie}"),
        ] {
            let visitor = application.anonymous();
            let answer = visitor.call(reqwest::Method::GET, "/who").header("Cookie", &line).send().await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "nobody"), "{line}: {answer}");
            let answer = visitor.call(reqwest::Method::POST, "/count").header("Cookie", &line).send().await;
            assert_eq!(answer.status, 401, "{line}: {answer}");
            assert!(answer.set_cookies().iter().all(|set| set.starts_with(&format!("{COOKIE}=;"))), "{line}: {answer}");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
    }
}
