//! A shop whose sessions are encrypted cookies, by actix-session.
//!
//! `SHOP_KEY=… ANAS_PASSWORD=… before 3000`; the key has at least 64 bytes.

mod users;

use std::env;
use std::error::Error;

use actix_session::config::PersistentSession;
use actix_session::storage::CookieSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::cookie::time::Duration;
use actix_web::error::ErrorUnauthorized;
use actix_web::{App, HttpResponse, HttpServer, Responder, Result, get, post, web};

#[post("/sign-in")]
async fn sign_in(session: Session, form: web::Form<users::SignIn>) -> Result<impl Responder> {
    let user = users::verified(&form).ok_or_else(|| ErrorUnauthorized("Wrong address or password."))?;
    session.renew();
    session.insert("user", user.id)?;
    Ok(HttpResponse::NoContent())
}

#[get("/orders")]
async fn orders(session: Session) -> Result<impl Responder> {
    let id = session.get::<String>("user")?;
    let user = id.and_then(|id| users::with_id(&id)).ok_or_else(|| ErrorUnauthorized("Please sign in."))?;
    Ok(format!("{}: a teapot", user.name))
}

/// Asks the browser to forget the cookie. A copy of it is good for ever.
#[post("/sign-out")]
async fn sign_out(session: Session) -> impl Responder {
    session.purge();
    HttpResponse::NoContent()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = Key::try_from(env::var("SHOP_KEY")?.as_bytes())?;
    let port = env::args().nth(1).unwrap_or_default().parse()?;
    let application = move || {
        let month = PersistentSession::default().session_ttl(Duration::days(30));
        let sessions = SessionMiddleware::builder(CookieSessionStore::default(), key.clone()).session_lifecycle(month);
        App::new().service((sign_in, orders, sign_out)).wrap(sessions.build())
    };
    HttpServer::new(application).workers(2).bind(("127.0.0.1", port))?.run().await?;
    Ok(())
}
