//! The same shop with sessiond as its session layer.
//!
//! `DATABASE_URL=sqlite:///var/lib/shop/sessions.db TAKEN=/var/lib/shop/taken SHOP_KEY=… ANAS_PASSWORD=… after 3000`; the key
//! is that of the old cookies. When the last of them is too old, [`old`] goes, and what names it.

mod old;
mod users;

use std::env;
use std::error::Error;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::error::ErrorUnauthorized;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, Responder, Result, get, post, web};
use sessiond::{Config, Service};

#[post("/sign-in")]
async fn sign_in(
    request: HttpRequest,
    service: web::Data<Service>,
    session: Session,
    form: web::Form<users::SignIn>,
) -> Result<impl Responder> {
    let user = users::verified(&form).ok_or_else(|| ErrorUnauthorized("Wrong address or password."))?;
    let account = service.ensure_user(user.id, Some(user.email), Some(user.name)).await?;
    sessiond::remember_me();
    Identity::login(&request.extensions(), account.to_string())?;
    session.insert("user", user.id)?;
    Ok(HttpResponse::NoContent())
}

#[get("/orders")]
async fn orders(session: Session) -> Result<impl Responder> {
    let id = session.get::<String>("user")?;
    let user = id.and_then(|id| users::with_id(&id)).ok_or_else(|| ErrorUnauthorized("Please sign in."))?;
    Ok(format!("{}: a teapot", user.name))
}

/// Ends the session. A copy of the cookie opens nothing from now on.
#[post("/sign-out")]
async fn sign_out(identity: Identity) -> impl Responder {
    identity.logout();
    HttpResponse::NoContent()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (service, background) = sessiond::open(&Config::from_env()?).await?;
    let cookies = web::Data::new(old::Cookies::new(env::var("SHOP_KEY")?.as_bytes(), env::var("TAKEN")?.into())?);
    let port = env::args().nth(1).unwrap_or_default().parse()?;
    let application = move || {
        App::new()
            .app_data(web::Data::new(service.clone()))
            .app_data(cookies.clone())
            .service((sign_in, orders, sign_out))
            .wrap(from_fn(old::sign_in))
            .wrap(service.session_layer())
            .wrap(from_fn(old::take))
    };
    HttpServer::new(application).workers(2).bind(("127.0.0.1", port))?.run().await?;
    background.stop().await;
    Ok(())
}
