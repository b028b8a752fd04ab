//! A sessiond inside the test's process: the real server on a port of its own, with a clock that moves by hand.
//!
//! Owns the thread that it runs on. Must never share a runtime with the test, which may block or end early.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::rt::System;
use sessiond::domain::{Clock, MovableClock, SystemRandom};
use sessiond::server::{Handle, Parts, Server};
use sessiond::service::App;
use tokio::sync::oneshot;

use super::client::Anonymous;
use super::settings::Settings;
use super::wait::stopwatch;

/// How long a server may take to stop when its test is over.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a node with copies is waited for; where its stores are away, it has none.
const PATIENCE_FOR_COPIES: Duration = Duration::from_secs(3);

/// One running server.
pub struct Node {
    address: SocketAddr,
    app: App,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

struct Started {
    address: SocketAddr,
    app: App,
    handle: Handle,
}

impl Node {
    /// Starts a server; panics with its own sentence when it refuses to.
    pub async fn start(settings: &Settings, clock: &Arc<MovableClock>) -> Self {
        Self::try_start(settings, clock).await.unwrap_or_else(|error| panic!("the server does not start: {error}"))
    }

    /// Starts a server; an error is the sentence that a user would read.
    pub async fn try_start(settings: &Settings, clock: &Arc<MovableClock>) -> Result<Self, String> {
        let (config, clock) = (settings.config()?, Arc::clone(clock));
        let (tell, told) = oneshot::channel();
        let thread = std::thread::spawn(move || System::new().block_on(serve(config, clock, tell)));
        let Started { address, app, handle } = told.await.map_err(|_| "the server's thread has ended".to_owned())??;
        until_copies(&app).await;
        Ok(Self { address, app, handle, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The use cases behind it, for what has no route and to look inside.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Somebody who is not signed in.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous::at(&self.url())
    }

    /// Stops it in order: requests that are under way are answered.
    pub async fn stop(&mut self) {
        self.handle.stop(true).await;
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic in there was printed there; the test that saw its effect says the rest.
            let _ = thread.join();
        }
    }
}

/// A node that keeps copies has a lease for them a moment after it started, if its stores are well.
async fn until_copies(app: &App) {
    let watch = stopwatch();
    while app.near_cache.figures().is_some_and(|figures| !figures.in_use) && watch() < PATIENCE_FOR_COPIES {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Node {
    /// As [`Node::join`], but a thread that waits for a database which never answers is left behind: the test that
    /// made the database silent has failed, and should say so now.
    fn join_soon(&mut self) {
        let watch = stopwatch();
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            if watch() > PATIENCE {
                eprintln!("the server's thread does not end within {PATIENCE:?} and is left behind");
                self.thread = None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.join();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // The command is sent by the call; only its completion would have to be awaited.
            drop(self.handle.stop(false));
            self.join_soon();
        }
    }
}

async fn serve(
    config: sessiond::config::Config,
    clock: Arc<dyn Clock>,
    tell: oneshot::Sender<Result<Started, String>>,
) {
    let parts = Parts { clock, random: Arc::new(SystemRandom) };
    let server = match Server::build(config, parts).await {
        Ok(server) => server,
        Err(error) => return drop(tell.send(Err(error.to_string()))),
    };
    let started = Started { address: server.address(), app: server.app(), handle: server.handle() };
    if tell.send(Ok(started)).is_ok() {
        server.run().await.expect("the server runs until it is stopped");
    }
}
