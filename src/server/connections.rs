//! Connections: the server's address, and the limits of each client connection.
//!
//! Owns these limits, in time and number. Must never look into a request.

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

/// How long a request's head may take to arrive: a slower client only holds connections open.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept; longer than the 60 s of common proxies, so that they close first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 2_048;
/// Connections of one worker, besides event streams.
const MAX_CONNECTIONS: usize = 5_000;
/// How long requests may still run after a stop.
const STOP_TIMEOUT_SECONDS: u64 = 10;

/// Binds the address. Connections wait in the system's queue until they are served.
///
/// # Errors
/// When the system refuses it, for example because the port is taken.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of a stopped node would otherwise keep the next node from its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// A server for the site's routes on this listener; it answers once it is awaited.
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
                // A client that is gone must not wait for a hash; `HalfClose` recognises a client that still waits.
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
