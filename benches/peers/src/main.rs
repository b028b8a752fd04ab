//! The servers that sessiond is compared with, one a process: `peers NAME [REDIS_URL]`.
//!
//! Each has one worker, prints `listening PORT`, signs anybody in at `POST /sign-in` (a fresh user each time), and
//! answers `GET /who` with 200 and the user's id in a header: the question that every contender is measured by.

mod actix_session_stock;
mod jwt;
mod tower_sessions_axum;

use std::net::TcpListener;

use actix_web::http::header::HeaderName;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result, bail};

/// Who is signed in.
pub const USER: HeaderName = HeaderName::from_static("x-session-user");

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().context("usage: peers NAME [REDIS_URL]")?;
    let redis = arguments.next().unwrap_or_default();
    let listener = listen()?;
    match name.as_str() {
        "floor" => actix_web::rt::System::new().block_on(floor(listener)),
        "jwt-hs256" => actix_web::rt::System::new().block_on(jwt::serve(listener, jwt::Keys::hs256()?, None)),
        "jwt-eddsa" => actix_web::rt::System::new().block_on(jwt::serve(listener, jwt::Keys::eddsa()?, None)),
        "jwt-deny-list" => {
            actix_web::rt::System::new().block_on(jwt::serve(listener, jwt::Keys::hs256()?, Some(redis)))
        }
        "actix-session" => actix_web::rt::System::new().block_on(actix_session_stock::serve(listener, &redis, false)),
        "actix-session-sliding" => {
            actix_web::rt::System::new().block_on(actix_session_stock::serve(listener, &redis, true))
        }
        "tower-sessions" => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(tower_sessions_axum::serve(listener, &redis)),
        other => bail!("no contender is called {other}"),
    }
}

fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening {}", listener.local_addr()?.port());
    Ok(listener)
}

/// actix-web with no session at all.
async fn floor(listener: TcpListener) -> Result<()> {
    let who = || async { HttpResponse::Ok().insert_header((USER, "nobody")).finish() };
    let server = HttpServer::new(move || App::new().route("/who", web::get().to(who)));
    Ok(server.workers(1).listen(listener)?.run().await?)
}
