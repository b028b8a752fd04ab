//! A signed token in a cookie, verified in process by jsonwebtoken over aws-lc, the fastest of its backends; with a
//! deny-list in Redis, if that is asked for, so that a token can be taken back at all.

use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::cookie::Cookie;
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::{Result, anyhow};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::USER;

const COOKIE: &str = "token";
const LIFETIME_SECONDS: u64 = 12 * 60 * 60;
const SECRET: &[u8] = b"a secret of thirty-two bytes, ok";

/// What a login token usually says.
#[derive(Serialize, Deserialize)]
struct Claims {
    sub: Uuid,
    jti: Uuid,
    iat: u64,
    exp: u64,
}

/// How tokens are signed and verified.
#[derive(Clone)]
pub struct Keys {
    algorithm: Algorithm,
    sign: EncodingKey,
    verify: DecodingKey,
}

impl Keys {
    pub fn hs256() -> Result<Self> {
        let (sign, verify) = (EncodingKey::from_secret(SECRET), DecodingKey::from_secret(SECRET));
        Ok(Self { algorithm: Algorithm::HS256, sign, verify })
    }

    pub fn eddsa() -> Result<Self> {
        let pair = Ed25519KeyPair::generate()?;
        let sign = EncodingKey::from_ed_der(pair.to_pkcs8v1()?.as_ref());
        let verify = DecodingKey::from_ed_der(pair.public_key().as_ref());
        Ok(Self { algorithm: Algorithm::EdDSA, sign, verify })
    }
}

/// One worker's share.
struct Worker {
    keys: Keys,
    validation: Validation,
    deny_list: Option<MultiplexedConnection>,
}

impl Worker {
    /// The claims of a token that is valid and was not taken back.
    async fn claims(&self, token: &str) -> Option<Claims> {
        let claims = decode::<Claims>(token, &self.keys.verify, &self.validation).ok()?.claims;
        if let Some(redis) = &self.deny_list {
            let mut redis = redis.clone();
            let mut command = redis::cmd("EXISTS");
            command.arg(format!("denied:{}", claims.jti));
            if command.query_async::<bool>(&mut redis).await.ok()? {
                return None;
            }
        }
        Some(claims)
    }
}

async fn who(request: HttpRequest, worker: Data<Worker>) -> HttpResponse {
    let Some(cookie) = request.cookie(COOKIE) else { return HttpResponse::Unauthorized().finish() };
    match worker.claims(cookie.value()).await {
        Some(claims) => HttpResponse::Ok().insert_header((USER, claims.sub.to_string())).finish(),
        None => HttpResponse::Unauthorized().finish(),
    }
}

async fn sign_in(worker: Data<Worker>) -> Result<HttpResponse, actix_web::Error> {
    let token = issue(&worker.keys).map_err(actix_web::error::ErrorInternalServerError)?;
    Ok(HttpResponse::NoContent().cookie(Cookie::new(COOKIE, token)).finish())
}

fn issue(keys: &Keys) -> Result<String> {
    let iat = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = Claims { sub: Uuid::now_v7(), jti: Uuid::new_v4(), iat, exp: iat + LIFETIME_SECONDS };
    Ok(encode(&Header::new(keys.algorithm), &claims, &keys.sign)?)
}

/// Serves; each worker makes its own connection to the deny-list.
pub async fn serve(listener: TcpListener, keys: Keys, deny_list: Option<String>) -> Result<()> {
    let deny_list = deny_list.map(redis::Client::open).transpose().map_err(|error| anyhow!("{error}"))?;
    let server = HttpServer::new(move || {
        let (keys, deny_list) = (keys.clone(), deny_list.clone());
        App::new()
            .data_factory(move || worker(keys.clone(), deny_list.clone()))
            .route("/who", web::get().to(who))
            .route("/sign-in", web::post().to(sign_in))
    });
    Ok(server.workers(1).listen(listener)?.run().await?)
}

async fn worker(keys: Keys, deny_list: Option<redis::Client>) -> redis::RedisResult<Worker> {
    let deny_list = match deny_list {
        Some(client) => Some(client.get_multiplexed_async_connection().await?),
        None => None,
    };
    let validation = Validation::new(keys.algorithm);
    Ok(Worker { keys, validation, deny_list })
}
