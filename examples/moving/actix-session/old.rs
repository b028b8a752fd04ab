//! The old cookies of actix-session: each becomes a session, once, with whatever request it comes.
//!
//! A cookie has no id and no end. So the shop notes which ones it has taken, by their hash.

use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use actix_identity::Identity;
use actix_session::SessionExt;
use actix_session::storage::{CookieSessionStore, SessionStore};
use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, CookieJar, Key};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, Result, web};
use serde_json::Value;
use sessiond::Service;
use sha2::{Digest, Sha256};

use crate::users;

/// actix-session's name for its cookie, unless the application chose another one.
const OLD: &str = "id";
/// sessiond's; with `SESSIOND_COOKIE_DOMAIN` it is `__Secure-session`.
const NEW: &str = "__Host-session";

/// What opens old cookies, and the folder with a file for each that was taken. A real application has a table.
pub struct Cookies {
    key: Key,
    taken: PathBuf,
}

/// The data of an old session.
struct State(HashMap<String, Value>);

impl Cookies {
    /// With the key of the old cookies.
    pub fn new(key: &[u8], taken: PathBuf) -> Result<Self, Box<dyn Error>> {
        fs::create_dir_all(&taken)?;
        Ok(Self { key: Key::try_from(key)?, taken })
    }

    /// The data in an old cookie.
    async fn open(&self, cookie: Cookie<'static>) -> Option<State> {
        let mut jar = CookieJar::new();
        jar.add_original(cookie);
        let key = jar.private(&self.key).get(OLD)?.value().to_owned().try_into().ok()?;
        let state = CookieSessionStore::default().load(&key).await.ok()??;
        state
            .into_iter()
            .map(|(key, text)| Some((key, serde_json::from_str(&text).ok()?)))
            .collect::<Option<_>>()
            .map(State)
    }

    /// Takes a cookie: true for one request, on however many threads and processes.
    fn take(&self, cookie: &Cookie<'_>) -> io::Result<bool> {
        match File::options().write(true).create_new(true).open(self.file(cookie)) {
            Ok(_) => Ok(true),
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
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>> {
    let Some(old) = request.cookie(OLD) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let state = if request.cookie(NEW).is_none() { cookies.open(old.clone()).await } else { None };
    let moves = state.is_some();
    if let Some(state) = state {
        if !cookies.take(&old)? {
            // Another request of this browser was faster, and its answer had the session: have this one come with it.
            let here = format!("/{}", request.uri().to_string().trim_start_matches(['/', '\\']));
            let mut again = HttpResponse::TemporaryRedirect().insert_header(("Location", here)).finish();
            again.add_removal_cookie(&forgotten())?;
            return Ok(request.into_response(again).map_into_right_body());
        }
        request.extensions_mut().insert(state);
    }
    let answer = next.call(request).await;
    let moved = answer.as_ref().is_ok_and(|answer| answer.response().cookies().any(|cookie| cookie.name() == NEW));
    if moves && !moved {
        fs::remove_file(cookies.file(&old))?;
        return Ok(answer?.map_into_left_body());
    }
    let mut answer = answer?;
    answer.response_mut().add_removal_cookie(&forgotten())?;
    Ok(answer.map_into_left_body())
}

/// Inside the session layer: signs in the user whose cookie was taken, with the data that was in it.
pub async fn sign_in(
    service: web::Data<Service>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>> {
    let state = request.extensions_mut().remove::<State>();
    let user = state.as_ref().and_then(|state| users::with_id(state.0.get("user")?.as_str()?));
    if let (Some(State(state)), Some(user)) = (state, user) {
        let account = service.ensure_user(user.id, Some(user.email), Some(user.name)).await?;
        sessiond::remember_me();
        Identity::login(&request.extensions(), account.to_string())?;
        let session = request.get_session();
        for (key, value) in state {
            session.insert(key, value)?;
        }
    }
    next.call(request).await
}

/// The old cookie, as its browser knows it.
fn forgotten() -> Cookie<'static> {
    Cookie::build(OLD, "").path("/").secure(true).http_only(true).finish()
}
