//! The connections of clients: the address they come to, and how long each may take.
//!
//! Owns the bounds of a connection, in time and number. Must never look into a request.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::dev::{AppConfig, fn_service};
use actix_web::rt::net::TcpStream;
use tokio::net::TcpSocket;

use super::half_close::HalfClose;
use crate::config::Config;
use crate::http::{self, Site};

/// How long the head of a request may take to arrive: longer is a client that holds connections open.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept; longer than the 60 s of common proxies, so that they close first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 2_048;
/// Connections of one worker, beside those that are told events.
const MAX_CONNECTIONS: usize = 5_000;
/// How long requests may still run after a stop was asked for.
const STOP_TIMEOUT_SECONDS: u64 = 10;

/// Takes the address. Connections wait in the system's queue until they are served.
///
/// # Errors
/// When the system refuses it: the port is taken, say.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A node that was just stopped leaves connections behind that would keep the next one from its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// A server of the site's routes on this listener, which answers as soon as it is awaited.
///
/// # Errors
/// When the system refuses the listener.
pub fn serve(listener: TcpListener, config: &Config, site: Site) -> io::Result<Server> {
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder
        .workers(config.workers)
        .worker_max_blocking_threads(site.app.core.ledger().thread_bound())
        .max_concurrent_connections(MAX_CONNECTIONS.saturating_add(config.max_event_streams))
        .shutdown_timeout(STOP_TIMEOUT_SECONDS)
        .disable_signals()
        .listen("sessiond", listener, move || {
            let stopping = stopping.clone();
            let application =
                http::application(site.for_worker()).into_factory().map_err(|error| error.error_response());
            let requests = HttpService::build()
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(HEAD_TIMEOUT)
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                // A client that is gone waits for no hash any more; one that waits is told apart by `HalfClose`.
                .h1_allow_half_closed(false)
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .h1(map_config(application, |()| AppConfig::default()));
            fn_service(|stream: TcpStream| {
                let peer = stream.peer_addr();
                async move { Ok::<_, actix_http::error::DispatchError>((HalfClose::new(stream), peer.ok())) }
            })
            .and_then(requests)
        })?;
    Ok(server.run())
}
