//! The old cookies of actix-session: each becomes a session, once, with whatever request it comes.
//!
//! A cookie has no id and no end. So the shop notes which ones it has taken, by their hash.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use actix_identity::Identity;
use actix_session::storage::{CookieSessionStore, SessionStore};
use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, CookieJar, Key};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, Result, web};
use sha2::{Digest, Sha256};

use crate::Accounts;
use crate::users::{self, User};

/// actix-session's name for its cookie, unless the application chose another one.
const OLD: &str = "id";
/// sessiond's; with `SESSIOND_COOKIE_DOMAIN` it is `__Secure-session`.
const NEW: &str = "__Host-session";

/// What opens old cookies, and the folder with a file for each that was taken. A real application has a table.
pub struct Cookies {
    key: Key,
    taken: PathBuf,
}

impl Cookies {
    /// With the key of the old cookies.
    pub fn new(key: &[u8], taken: PathBuf) -> Result<Self, Box<dyn std::error::Error>> {
        fs::create_dir_all(&taken)?;
        Ok(Self { key: Key::try_from(key)?, taken })
    }

    /// The user whom the session in an old cookie belongs to.
    async fn user(&self, cookie: Cookie<'static>) -> Option<User> {
        let mut jar = CookieJar::new();
        jar.add_original(cookie);
        let key = jar.private(&self.key).get(OLD)?.value().to_owned().try_into().ok()?;
        let state = CookieSessionStore::default().load(&key).await.ok()??;
        users::with_id(&serde_json::from_str::<String>(state.get("user")?).ok()?)
    }

    /// Takes a cookie: true for one request, on however many threads and processes.
    fn take(&self, cookie: &Cookie<'_>) -> io::Result<bool> {
        match File::options().write(true).create_new(true).open(self.file(cookie)) {
            Ok(file) => file.sync_all().map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn file(&self, cookie: &Cookie<'_>) -> PathBuf {
        let hash = Sha256::digest(cookie.value());
        self.taken.join(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

/// Around the session layer: takes the old cookie, and gives it back unless the answer has a session.
pub async fn take(
    cookies: web::Data<Cookies>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>> {
    let Some(old) = request.cookie(OLD) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let mut taken = false;
    if request.cookie(NEW).is_none()
        && let Some(user) = cookies.user(old.clone()).await
    {
        taken = cookies.take(&old)?;
        if !taken {
            // Another request of this browser was faster, and its answer had the session: have this one come with it.
            let here = format!("/{}", request.uri().to_string().trim_start_matches(['/', '\\']));
            let mut again = HttpResponse::TemporaryRedirect().insert_header(("Location", here)).finish();
            again.add_removal_cookie(&forgotten())?;
            return Ok(request.into_response(again).map_into_right_body());
        }
        request.extensions_mut().insert(user);
    }
    let answer = next.call(request).await;
    let opened = |answer: &ServiceResponse<_>| answer.response().cookies().any(|cookie| cookie.name() == NEW);
    if taken && !answer.as_ref().is_ok_and(opened) {
        fs::remove_file(cookies.file(&old))?;
        return Ok(answer?.map_into_left_body());
    }
    let mut answer = answer?;
    answer.response_mut().add_removal_cookie(&forgotten())?;
    Ok(answer.map_into_left_body())
}

/// Inside the session layer: signs in the user whose cookie was taken.
pub async fn sign_in(
    accounts: web::Data<Accounts>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>> {
    let user = request.extensions_mut().remove::<User>();
    if let Some(user) = user {
        let account = accounts.of(&user).await?;
        sessiond::remember_me();
        Identity::login(&request.extensions(), account.to_string())?;
    }
    next.call(request).await
}

/// The old cookie, as its browser knows it.
fn forgotten() -> Cookie<'static> {
    Cookie::build(OLD, "").path("/").secure(true).http_only(true).finish()
}
