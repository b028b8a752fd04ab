//! Another actix application that mounts the session layer, and a request in it that takes its time.
//!
//! Owns the proof that a request which writes session state cannot bring back a session that ended meanwhile: the
//! failure that stock stores have (CVE-2025-46336 and its like).

use std::net::SocketAddr;
use std::sync::Arc;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use tokio::sync::{Notify, oneshot};

use crate::races::rounds;
use crate::support::client::COOKIE;
use crate::support::requests::{Requests, Response};
use crate::support::server::{TestServer, on_each_backend};

/// What the slow handler waits for, and tells when it has come so far.
#[derive(Default)]
struct Turnstile {
    arrived: Notify,
    go_on: Notify,
}

async fn slow(session: Session, _who: Identity, turnstile: web::Data<Turnstile>) -> HttpResponse {
    let count = session.get::<u64>("count").expect("a number").unwrap_or(0);
    turnstile.arrived.notify_one();
    turnstile.go_on.notified().await;
    session.insert("count", count + 1).expect("state");
    HttpResponse::Ok().body("written")
}

/// An application of its own on the same stores. Gone when dropped.
struct Application {
    address: SocketAddr,
    handle: ServerHandle,
    turnstile: web::Data<Turnstile>,
}

impl Application {
    async fn start(server: &TestServer) -> Self {
        let config = server.settings.config().expect("a configuration");
        let layer = sessiond::http::session_layer(server.node().app(), &config).expect("a layer");
        let turnstile = web::Data::from(Arc::new(Turnstile::default()));
        let (for_handlers, (tell, told)) = (turnstile.clone(), oneshot::channel());
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let application = HttpServer::new(move || {
                    App::new()
                        .app_data(for_handlers.clone())
                        .wrap(layer.for_worker())
                        .route("/slow", web::post().to(slow))
                });
                let bound = application.workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a port");
                let address = *bound.addrs().first().expect("an address");
                let running = bound.run();
                let _told = tell.send((address, running.handle()));
                running.await.expect("it runs until it is stopped");
            });
        });
        let (address, handle) = told.await.expect("it starts");
        Self { address, handle, turnstile }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

fn assert_no_new_session(answer: &Response, round: usize) {
    let cookies = answer.set_cookies();
    let revives =
        cookies.iter().any(|cookie| cookie.starts_with(COOKIE) && !cookie.starts_with(&format!("{COOKIE}=;")));
    assert!(!revives, "round {round}: a new cookie: {cookies:?}");
}

on_each_backend! {
    async fn a_slow_request_that_writes_session_state_against_logout(server: TestServer) {
        let application = Application::start(&server).await;
        let base = format!("http://{}", application.address);
        let owner = server.signed_in().await;
        for round in 0..rounds() {
            let victim = server.issue(&owner).await;
            let there = victim.copy_at(&base);
            let writing = tokio::spawn(async move { (there.post("/slow").await, there) });
            application.turnstile.arrived.notified().await;
            victim.sign_out().await.assert_status(204);
            application.turnstile.go_on.notify_one();
            let (answer, there) = writing.await.expect("a request");
            assert_eq!(answer.status, 401, "round {round}: {answer}");
            assert_no_new_session(&answer, round);
            for who in [&victim, &there] {
                assert_eq!(who.copy_at(&server.url()).get("/auth/forward").await.status, 401, "round {round}: it came back");
            }
        }
        assert_eq!(server.stores.database.count("sessions", "data IS NOT NULL"), 0, "nothing was written");
    }
}
