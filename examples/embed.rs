//! An actix application of its own that keeps its sessions with sessiond: a counter for each session.
//!
//! `Session` and `Identity` are used as always; the layer below lists, limits and ends sessions at any instant, on every
//! node. Sign-in is the application's own: here, anyone who knows a user's id is that user.
//!
//! The layer does not judge where a request comes from, so [`own_pages`] does.
//!
//! Run `cargo run --example embed`, then:
//!
//! ```sh
//! url=http://127.0.0.1:8081 bare='X-Requested-With: curl'
//! user=$(curl -s -X POST -H "$bare" $url/users/ana@example.org)
//! curl -si -X POST -H "$bare" $url/sign-in/$user
//! curl -s -b '<the cookie>' $url/
//! curl -s -b '<the cookie>' $url/sessions
//! ```
//!
//! Before a browser may send anything but GET, `SESSIOND_ORIGIN=http://127.0.0.1:8081` has to name the page's origin.

use actix_identity::Identity;
use actix_session::Session;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::{ErrorForbidden, ErrorInternalServerError};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, Responder, Result, delete, get, post, web};
use sessiond::{Config, Origins, Service, SessionId, UserId};

/// Creates an account. A real application does this once for each of its users and keeps the id.
#[post("/users/{email}")]
async fn create_user(service: web::Data<Service>, email: web::Path<String>) -> Result<impl Responder> {
    Ok(service.create_user(&email, None).await?.to_string())
}

/// Signs a user in. A real application verifies who it is.
#[post("/sign-in/{user}")]
async fn sign_in(request: HttpRequest, user: web::Path<UserId>) -> Result<impl Responder> {
    sessiond::remember_me();
    Identity::login(&request.extensions(), user.to_string())?;
    Ok(HttpResponse::NoContent())
}

/// Signs out.
#[post("/sign-out")]
async fn sign_out(user: Identity) -> impl Responder {
    user.logout();
    HttpResponse::NoContent()
}

/// Counts the visits of this session. Only a session of a user has data: without a sign-in this is 401.
#[get("/")]
async fn count(session: Session, _user: Identity) -> Result<impl Responder> {
    let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(format!("visit {visits}\n"))
}

/// Says who is signed in, if anyone is.
#[get("/who-am-i")]
async fn who_am_i(user: Option<Identity>) -> Result<impl Responder> {
    Ok(match user {
        Some(user) => user.id()?,
        None => "nobody".to_owned(),
    })
}

/// Lists the user's sessions.
#[get("/sessions")]
async fn sessions(service: web::Data<Service>, user: Identity) -> Result<impl Responder> {
    Ok(web::Json(service.sessions(id_of(&user)?).await?))
}

/// Ends one of the user's sessions.
#[delete("/sessions/{id}")]
async fn end_session(
    service: web::Data<Service>,
    user: Identity,
    session: web::Path<SessionId>,
) -> Result<impl Responder> {
    let found = service.end_session(id_of(&user)?, *session).await?;
    Ok(if found { HttpResponse::NoContent() } else { HttpResponse::NotFound() })
}

fn id_of(user: &Identity) -> Result<UserId> {
    UserId::parse(&user.id()?).ok_or_else(|| ErrorInternalServerError("an identity is a user's id"))
}

/// Refuses what another site's page may have sent.
async fn own_pages(
    origins: web::Data<Origins>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>> {
    if !origins.allow(request.method(), request.headers()) {
        return Err(ErrorForbidden("not from a page of this application"));
    }
    next.call(request).await
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let (service, background) = sessiond::open(&config).await?;
    let origins = web::Data::new(Origins::new(&config));
    let application = move || {
        App::new()
            .app_data(web::Data::new(service.clone()))
            .app_data(origins.clone())
            .service((create_user, sign_in, sign_out, count, who_am_i, sessions, end_session))
            .wrap(service.session_layer())
            .wrap(from_fn(own_pages))
    };
    HttpServer::new(application).bind(("127.0.0.1", 8081))?.run().await?;
    background.stop().await;
    Ok(())
}
