//! The application: a counter for each session, with a sign-in of its own and the check against forged requests.
//!
//! Owns its routes and the server that they run on. Must never know sessiond by another name than those of the crate
//! root, and never make an account or end a session: the test does.

use std::error::Error;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::body::MessageBody;
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::error::ErrorForbidden;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, Responder, Result, get, post, rt, web};
use sessiond::{Config, Origins, Service, UserId};

/// The application on a port of its own.
pub struct Application {
    /// `http://127.0.0.1:port`.
    pub url: String,
    handle: ServerHandle,
}

impl Application {
    /// Starts it on the service.
    pub fn start(service: &Service, config: &Config) -> Result<Self, Box<dyn Error>> {
        let (service, origins) = (service.clone(), web::Data::new(Origins::new(config)));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(service.clone()))
                .app_data(origins.clone())
                .service((sign_in, remembered, count, who_am_i, my_sessions, sign_out))
                .wrap(service.session_layer())
                .wrap(from_fn(own_pages))
        });
        let server = server.workers(2).disable_signals().bind(("127.0.0.1", 0))?;
        let address = server.addrs().first().copied().ok_or("it listens nowhere")?;
        let server = server.run();
        let handle = server.handle();
        rt::spawn(server);
        Ok(Self { url: format!("http://{address}"), handle })
    }

    /// Answers the open requests, then ends.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }
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

/// Anyone who knows a user's id is that user: a real application verifies a password, or asks an identity provider.
#[post("/sign-in/{user}")]
async fn sign_in(request: HttpRequest, user: web::Path<UserId>) -> Result<impl Responder> {
    Identity::login(&request.extensions(), user.to_string())?;
    Ok(HttpResponse::NoContent())
}

#[post("/sign-in/{user}/remembered")]
async fn remembered(request: HttpRequest, user: web::Path<UserId>) -> Result<impl Responder> {
    sessiond::remember_me();
    Identity::login(&request.extensions(), user.to_string())?;
    Ok(HttpResponse::NoContent())
}

#[get("/")]
async fn count(session: Session, _user: Identity) -> Result<impl Responder> {
    let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(visits.to_string())
}

#[get("/who-am-i")]
async fn who_am_i(user: Option<Identity>) -> Result<impl Responder> {
    Ok(match user {
        Some(user) => user.id()?,
        None => "nobody".to_owned(),
    })
}

#[get("/sessions")]
async fn my_sessions(service: web::Data<Service>, user: Identity) -> Result<impl Responder> {
    let user = UserId::parse(&user.id()?).ok_or_else(|| ErrorForbidden("not a user of sessiond"))?;
    Ok(web::Json(service.sessions(user).await?))
}

#[post("/sign-out")]
async fn sign_out(user: Identity) -> impl Responder {
    user.logout();
    HttpResponse::NoContent()
}
