//! An actix application of its own that keeps its sessions with sessiond: a counter for each session.
//!
//! `Session` and `Identity` are used as always; that a session can be seen, limited and ended at any instant, on
//! every node, comes from the layer below. Sign-in is the application's own: here, whoever knows a user's id
//! (`sessiond user add`) is that user.
//!
//! The layer does not judge where a request comes from: an application with cookies needs its own defence against
//! forged requests (SameSite=Strict is one, and not enough alone); `sessiond::http::csrf::Origins` is ours.
//!
//! Run: `cargo run --example embed`, then
//! `curl -si -X POST http://127.0.0.1:8081/sign-in/<user id>` and `curl -s -b '<the cookie>' http://127.0.0.1:8081/`.

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, Responder, Result, get, post, web};
use sessiond::config::Config;
use sessiond::domain::UserId;
use sessiond::http;
use sessiond::server::{self, Parts};

/// Counts the visits of this session. There are no sessions of nobody: without a sign-in this is 401.
#[get("/")]
async fn count(session: Session) -> Result<impl Responder> {
    let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(format!("visit {visits}\n"))
}

/// Signs a user in.
#[post("/sign-in/{user}")]
async fn sign_in(request: HttpRequest, user: web::Path<String>) -> Result<impl Responder> {
    let Some(user) = UserId::parse(&user) else { return Ok(HttpResponse::NotFound()) };
    http::remember_me();
    Identity::login(&request.extensions(), user.to_string())?;
    Ok(HttpResponse::NoContent())
}

/// Signs out.
#[post("/sign-out")]
async fn sign_out(identity: Identity) -> impl Responder {
    identity.logout();
    HttpResponse::NoContent()
}

/// Says who is signed in, if anybody.
#[get("/who-am-i")]
async fn who_am_i(identity: Option<Identity>) -> Result<impl Responder> {
    Ok(match identity {
        Some(identity) => identity.id()?,
        None => "nobody".to_owned(),
    })
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let (service, background) = server::open(&config, Parts::default()).await?;
    let sessions = http::session_layer(&service, &config)?;
    let application = move || {
        App::new().service(count).service(sign_in).service(sign_out).service(who_am_i).wrap(sessions.for_worker())
    };
    HttpServer::new(application).bind(("127.0.0.1", 8081))?.run().await?;
    background.stop().await;
    Ok(())
}
