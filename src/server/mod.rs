//! Server: wiring. Settings become stores, stores become the service, the service gets its routes.
//!
//! The only layer that knows every other. Owns the order of startup and shutdown; must never hold a rule.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::http::Site;
use crate::service::{App, Background, StartError};

mod connections;
mod descriptors;
mod half_close;
mod wiring;

pub use wiring::{Parts, check_files, open, open_existing_ledger, open_ledger, open_to_serve};

/// A warning for the operator about the limit on open files; none when it is high enough.
pub fn open_files_note(config: &Config) -> Option<String> {
    descriptors::note(config.max_event_streams)
}

/// A server that listens.
pub struct Server {
    address: SocketAddr,
    app: App,
    background: Background,
    server: actix_web::dev::Server,
}

impl Server {
    /// Binds the address, then opens everything: a node that cannot listen changes nothing that nodes share.
    /// Connections wait in the system's queue until [`Server::run`].
    pub async fn build(mut config: Config, parts: Parts) -> Result<Self, StartError> {
        config.max_event_streams = descriptors::fitting(config.max_event_streams);
        let refused =
            |error: io::Error| StartError(format!("SESSIOND_LISTEN: cannot listen on {}: {error}.", config.listen));
        let listener = connections::bind(config.listen).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let random = Arc::clone(&parts.random);
        let (app, background) = open(&config, parts).await?;
        let site = Site::new(&app, &config, random).map_err(|error| StartError(error.to_string()))?;
        let server = connections::serve(listener, &config, site).map_err(refused)?;
        log::info!("listening on http://{address}");
        Ok(Self { address, app, background, server })
    }

    /// The address that it listens on, with the system's port for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The service behind it.
    pub fn app(&self) -> App {
        self.app.clone()
    }

    /// A handle that stops the server.
    pub fn handle(&self) -> Handle {
        Handle { app: self.app(), server: self.server.handle() }
    }

    /// Answers requests until its handle or a signal stops it: SIGTERM or SIGQUIT from a service manager, Ctrl-C from a
    /// person. It finishes open requests first, then the background tasks' remaining writes. A second signal ends it at
    /// once. SIGHUP stops it when a person's terminal closes, and changes nothing elsewhere; nor do SIGUSR1 and
    /// SIGUSR2.
    pub async fn run(self) -> io::Result<()> {
        let mut signals = Signals::listen()?;
        let handle = self.handle();
        let mut server = self.server;
        tokio::select! {
            ended = &mut server => return finish(ended, self.background).await,
            () = signals.next() => {}
        }
        log::info!("stopping when open requests are answered; a second signal stops at once");
        // The call sends the command; its future only waits for the server to end.
        drop(handle.stop(true));
        tokio::select! {
            ended = async { finish(server.await, self.background).await } => ended,
            () = signals.next() => {
                log::warn!("stopped at once");
                Ok(())
            }
        }
    }
}

/// A handle that stops a server.
#[derive(Clone)]
pub struct Handle {
    app: App,
    server: ServerHandle,
}

impl Handle {
    /// Stops the server: in order, so that open requests are answered, or at once. The call sends the command; the
    /// returned future completes when the server has ended. Event streams never complete, so they are closed.
    pub fn stop(&self, in_order: bool) -> impl Future<Output = ()> + use<> {
        self.app.events.close_streams();
        self.server.stop(in_order)
    }
}

async fn finish(ended: io::Result<()>, background: Background) -> io::Result<()> {
    background.stop().await;
    ended
}

/// The signals that stop a process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hang_up: Signal,
    user_defined: [Signal; 2],
    /// Whether a person started it on a terminal, which sends SIGHUP when it closes.
    on_terminal: bool,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hang_up: signal(SignalKind::hangup())?,
            user_defined: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
            on_terminal: io::stdin().is_terminal(),
        })
    }

    async fn next(&mut self) {
        let [one, two] = &mut self.user_defined;
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.quit.recv() => return,
                _ = self.hang_up.recv() => {
                    if self.on_terminal {
                        return;
                    }
                    log::info!("SIGHUP has no effect: settings are read at startup, and there is no log file");
                }
                _ = one.recv() => log::info!("SIGUSR1 has no effect"),
                _ = two.recv() => log::info!("SIGUSR2 has no effect"),
            }
        }
    }
}
