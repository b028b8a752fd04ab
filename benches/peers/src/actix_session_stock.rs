//! actix-session's own Redis store under actix-identity, as their documentation sets them up.

use std::net::TcpListener;

use actix_identity::{Identity, IdentityMiddleware};
use actix_session::SessionMiddleware;
use actix_session::config::{PersistentSession, TtlExtensionPolicy};
use actix_session::storage::RedisSessionStore;
use actix_web::cookie::{Key, time::Duration};
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Result;
use uuid::Uuid;

use crate::USER;

async fn who(identity: Option<Identity>) -> HttpResponse {
    match identity.and_then(|identity| identity.id().ok()) {
        Some(user) => HttpResponse::Ok().insert_header((USER, user)).finish(),
        None => HttpResponse::Unauthorized().finish(),
    }
}

async fn sign_in(request: HttpRequest) -> Result<HttpResponse, actix_web::Error> {
    Identity::login(&request.extensions(), Uuid::now_v7().to_string())
        .map_err(actix_web::error::ErrorInternalServerError)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Serves. `sliding`: each request extends the session's lifetime, which is what it takes to end idle sessions.
pub async fn serve(listener: TcpListener, redis: &str, sliding: bool) -> Result<()> {
    let store = RedisSessionStore::new(redis).await?;
    let key = Key::generate();
    let policy = if sliding { TtlExtensionPolicy::OnEveryRequest } else { TtlExtensionPolicy::OnStateChanges };
    let server = HttpServer::new(move || {
        let lifecycle =
            PersistentSession::default().session_ttl(Duration::hours(12)).session_ttl_extension_policy(policy.clone());
        let sessions =
            SessionMiddleware::builder(store.clone(), key.clone()).session_lifecycle(lifecycle).cookie_secure(false);
        App::new()
            .wrap(IdentityMiddleware::default())
            .wrap(sessions.build())
            .route("/who", web::get().to(who))
            .route("/sign-in", web::post().to(sign_in))
    });
    Ok(server.workers(1).listen(listener)?.run().await?)
}
