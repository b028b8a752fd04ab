//! tower-sessions under axum, over fred, on one thread.

use std::net::TcpListener;

use anyhow::Result;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::{get, post};
use tower_sessions::cookie::time::Duration;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{Client, ClientLike, Config};
use uuid::Uuid;

use crate::USER;

async fn who(session: Session) -> (StatusCode, HeaderMap) {
    let user = session.get::<Uuid>("user").await.ok().flatten();
    let value = user.and_then(|user| HeaderValue::from_str(&user.to_string()).ok());
    match value {
        Some(value) => (StatusCode::OK, HeaderMap::from_iter([(USER_HEADER, value)])),
        None => (StatusCode::UNAUTHORIZED, HeaderMap::new()),
    }
}

const USER_HEADER: axum::http::HeaderName = axum::http::HeaderName::from_static("x-session-user");

async fn sign_in(session: Session) -> StatusCode {
    match session.insert("user", Uuid::now_v7()).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Serves.
pub async fn serve(listener: TcpListener, redis: &str) -> Result<()> {
    debug_assert_eq!(USER.as_str(), USER_HEADER.as_str());
    let client = Client::new(Config::from_url(redis)?, None, None, None);
    client.init().await?;
    let layer = SessionManagerLayer::new(RedisStore::new(client))
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::hours(12)));
    let router = Router::new().route("/who", get(who)).route("/sign-in", post(sign_in)).layer(layer);
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(axum::serve(listener, router).await?)
}
