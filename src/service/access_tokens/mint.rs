//! Mint: what a token says, and how long it is used again.
//!
//! Owns the claims (RFC 9068, RFC 9701). A token is used again for the same session's token, service and proof, until a
//! tenth of its life is left. The session's token changes with everything that ends a user's other sessions, so what was
//! minted before such an end is never used after it.

use std::sync::Arc;

use jsonwebtoken::{Header, encode};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::AccessTokens;
use super::issuer::Minted;
use super::key_list::{ALGORITHM, Pair};
use crate::domain::{ActingParty, Role, ServiceName, Timestamp, random};
use crate::service::core::checked::Checked;
use crate::service::core::unavailable::Unavailable;
use crate::service::core::views::UserView;

/// `client_id` of a token that no service has asked for: a gateway's.
const GATEWAY: &str = "gateway";

/// The claims of an access token (RFC 9068 §2.2).
#[derive(Serialize)]
struct AccessClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: Uuid,
    sid: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    /// Who acts for the user (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a ActingParty>,
    #[serde(flatten)]
    user: Option<UserClaims<'a>>,
}

#[derive(Serialize)]
struct UserClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    roles: &'a [Role],
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a Value>,
}

/// The claims of a signed answer to an introspection (RFC 9701 §5).
#[derive(Serialize)]
struct IntrospectionClaims<'a, T> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    token_introspection: &'a T,
}

impl AccessTokens {
    /// Whether tokens are issued.
    pub fn are_on(&self) -> bool {
        self.issuer.is_some()
    }

    /// An access token for a session that a check has just found, and with what is known of the user if it is given. `by`:
    /// the service that asks; none: a gateway. None when no issuer is set.
    ///
    /// # Errors
    /// When the keys have not been read yet.
    pub fn access_token(
        &self,
        checked: &Checked,
        by: Option<ServiceName>,
        about: Option<&UserView>,
    ) -> Result<Option<Arc<str>>, Unavailable> {
        let Some(issuer) = &self.issuer else { return Ok(None) };
        let (keys, now) = (issuer.known()?, self.core.clock().now());
        let pair = keys.signs(now).ok_or_else(no_key)?;
        let key = (checked.token_hash, by);
        if about.is_none()
            && let Some(minted) = issuer.minted.get(&key)
            && minted.counts(pair, checked, now)
        {
            return Ok(Some(minted.text));
        }
        let exp = now.plus(issuer.rules.lifetime).min(checked.deadlines.idle_expires());
        let claims = AccessClaims {
            iss: &issuer.rules.issuer,
            aud: &issuer.rules.audience,
            sub: checked.user.uuid(),
            client_id: by.as_ref().map_or(GATEWAY, ServiceName::as_str),
            iat: seconds(now),
            exp: seconds(exp),
            jti: Uuid::from_bytes(random::bytes(self.core.random())),
            sid: checked.session.uuid(),
            auth_time: checked.proven_at.map(seconds),
            act: checked.acting.as_deref(),
            user: about.map(UserClaims::of),
        };
        let text: Arc<str> = sign("at+jwt", &claims, pair)?.into();
        if about.is_none() {
            let again_until = exp.minus(exp.since(now) / 10);
            let (id, auth_time) = (pair.id.clone(), claims.auth_time);
            let minted = Minted { text: Arc::clone(&text), key: id, auth_time, made_at: now, again_until };
            issuer.minted.insert(key, minted);
        }
        Ok(Some(text))
    }

    /// The signed answer to a service's introspection. None when no issuer is set.
    ///
    /// # Errors
    /// When the keys have not been read yet.
    pub fn introspection_token(&self, by: ServiceName, answer: &impl Serialize) -> Result<Option<String>, Unavailable> {
        let Some(issuer) = &self.issuer else { return Ok(None) };
        let (keys, now) = (issuer.known()?, self.core.clock().now());
        let pair = keys.signs(now).ok_or_else(no_key)?;
        let iss = &issuer.rules.issuer;
        let claims = IntrospectionClaims { iss, aud: by.as_str(), iat: seconds(now), token_introspection: answer };
        sign("token-introspection+jwt", &claims, pair).map(Some)
    }
}

impl Minted {
    fn counts(&self, pair: &Pair, checked: &Checked, now: Timestamp) -> bool {
        // A clock that was set back must not make it live longer.
        let is_young = self.made_at <= now && now < self.again_until;
        is_young && self.key == pair.id && self.auth_time == checked.proven_at.map(seconds)
    }
}

impl<'a> UserClaims<'a> {
    fn of(user: &'a UserView) -> Self {
        let subject = user.subject.as_deref();
        let username = user.email.as_deref().or(subject);
        Self { subject, username, name: user.name.as_deref(), roles: &user.roles, claims: user.claims.as_ref() }
    }
}

fn sign(kind: &str, claims: &impl Serialize, pair: &Pair) -> Result<String, Unavailable> {
    let header = Header { typ: Some(kind.to_owned()), kid: Some(pair.id.clone()), ..Header::new(ALGORITHM) };
    encode(&header, claims, &pair.private).map_err(|error| Unavailable::Store(format!("no token is signed: {error}")))
}

fn no_key() -> Unavailable {
    Unavailable::Store("no key signs tokens now".to_owned())
}

/// Rounded down: a token never lives longer than it says.
fn seconds(at: Timestamp) -> i64 {
    at.ms().div_euclid(1_000)
}
