//! An application of its own that keeps its sessions with sessiond, by actix-session and actix-identity: what those two
//! cost on top of a check. Run by the benchmark as a process beside the other contenders.

use actix_identity::Identity;
use actix_web::{App, HttpServer, Responder, web};
use anyhow::{Context, Result};
use sessiond::config::Config;
use sessiond::http;
use sessiond::server::{self, Parts};

/// What the benchmark calls itself with to be this application.
pub const NAME: &str = "embedding";

/// Serves until it is ended.
pub async fn serve() -> Result<()> {
    let config = Config::from_env()?;
    let (service, _background) = server::open(&config, Parts::default()).await?;
    let sessions = http::session_layer(&service, &config)?;
    let application = move || App::new().wrap(sessions.for_worker()).route("/who", web::get().to(who));
    let server = HttpServer::new(application).workers(1).bind(("127.0.0.1", 0))?;
    let address = *server.addrs().first().context("it listens nowhere")?;
    println!("listening on http://{address}");
    Ok(server.run().await?)
}

async fn who(identity: Identity) -> actix_web::Result<impl Responder> {
    Ok(identity.id()?)
}
