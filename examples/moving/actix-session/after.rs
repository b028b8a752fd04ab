//! The same shop with sessiond as its session layer.
//!
//! `DATABASE_URL=sqlite:///var/lib/shop/sessions.db SHOP_DATA=/var/lib/shop SHOP_KEY=… ANAS_PASSWORD=… after 3000`; the key
//! is that of the old cookies. When the last of them is too old, [`old`] and the two middlewares go.

#[path = "old.rs"]
mod old;
#[path = "users.rs"]
mod users;

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use actix_identity::Identity;
use actix_web::error::{ErrorInternalServerError, ErrorUnauthorized};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, Responder, Result, get, post, web};
use sessiond::{Config, Service, UserId};
use users::User;

/// What the shop knows beside its users: which account of sessiond is whose. A real application has a column for it.
pub struct Accounts {
    service: Service,
    folder: PathBuf,
}

impl Accounts {
    /// The account of a user; the first call makes it.
    async fn of(&self, user: &User) -> Result<UserId> {
        let file = self.folder.join(user.id);
        if let Some(account) = fs::read_to_string(&file).ok().and_then(|text| UserId::parse(&text)) {
            return Ok(account);
        }
        let account = self.service.create_user(user.email, Some(user.name)).await?;
        fs::write(file, account.to_string())?;
        Ok(account)
    }

    /// The user whose account this is.
    fn user(&self, account: &str) -> Option<User> {
        let files = fs::read_dir(&self.folder).ok()?.filter_map(Result::ok);
        let mut of_account = files.filter(|file| fs::read_to_string(file.path()).is_ok_and(|text| text == account));
        of_account.next()?.file_name().to_str().and_then(users::with_id)
    }
}

#[post("/sign-in")]
async fn sign_in(
    request: HttpRequest,
    accounts: web::Data<Accounts>,
    form: web::Form<users::SignIn>,
) -> Result<impl Responder> {
    let user = users::verified(&form).ok_or_else(|| ErrorUnauthorized("Wrong address or password."))?;
    sessiond::remember_me();
    Identity::login(&request.extensions(), accounts.of(&user).await?.to_string())?;
    Ok(HttpResponse::NoContent())
}

#[get("/orders")]
async fn orders(accounts: web::Data<Accounts>, identity: Identity) -> Result<impl Responder> {
    let user = accounts.user(&identity.id()?).ok_or_else(|| ErrorInternalServerError("an account of nobody"))?;
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
    let data = PathBuf::from(env::var("SHOP_DATA")?);
    let accounts = web::Data::new(Accounts { service: service.clone(), folder: data.join("accounts") });
    fs::create_dir_all(&accounts.folder)?;
    let cookies = web::Data::new(old::Cookies::new(env::var("SHOP_KEY")?.as_bytes(), data.join("moved"))?);
    let port = env::args().nth(1).unwrap_or_default().parse()?;
    let application = move || {
        App::new()
            .app_data(accounts.clone())
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
