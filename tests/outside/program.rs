//! A whole application: its users and its sign-in are its own, the sessions are sessiond's. docs/embedding.md shows it.

use std::collections::HashMap;
use std::error::Error;

use actix_identity::Identity;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::{ErrorForbidden, ErrorUnauthorized};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, Responder, Result, get, post, web};
use sessiond::{Config, Origins, Service};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // sessiond writes what an operator must know to the `log` crate: without a logger nobody reads it.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let config = Config::from_env()?;
    let (service, background) = sessiond::open(&config).await?;
    let origins = web::Data::new(Origins::new(&config));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(service.clone()))
            .app_data(origins.clone())
            .service((sign_in, home, sign_out))
            .wrap(service.session_layer())
            .wrap(from_fn(own_pages))
    });
    let server = server.bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8081".to_owned()))?;
    log::info!("listening on {:?}", server.addrs());
    server.run().await?;
    // Writes the most recent last-seen times.
    background.stop().await;
    Ok(())
}

/// A user of yours, in your own table. The number never changes and is never given to another user.
struct Person {
    number: u64,
    email: &'static str,
    name: &'static str,
}

/// Your own sign-in. This one knows one password; yours compares a hash, and limits the attempts.
fn verified(form: &HashMap<String, String>) -> Option<Person> {
    let is_right = form.get("password")? == "correct horse battery staple";
    let ana = Person { number: 4711, email: "ana@example.org", name: "Ana Silva" };
    (is_right && form.get("email")? == ana.email).then_some(ana)
}

#[post("/sign-in")]
async fn sign_in(
    request: HttpRequest,
    service: web::Data<Service>,
    form: web::Form<HashMap<String, String>>,
) -> Result<impl Responder> {
    let person = verified(&form).ok_or_else(|| ErrorUnauthorized("wrong address or password"))?;
    // Makes the user at the first sign-in, finds the same one at every later one.
    let key = format!("shop-{}", person.number);
    let user = service.ensure_user(&key, Some(person.email), Some(person.name)).await?;
    Identity::login(&request.extensions(), user.to_string())?;
    Ok(HttpResponse::NoContent())
}

#[get("/")]
async fn home(user: Identity) -> Result<impl Responder> {
    Ok(format!("signed in as {}", user.id()?))
}

#[post("/sign-out")]
async fn sign_out(user: Identity) -> impl Responder {
    user.logout();
    HttpResponse::NoContent()
}

/// Refuses what another site's page may have sent: the session layer does not.
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
