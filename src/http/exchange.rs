//! The route by which an application's own tokens become sessions: from the browser, once for each token.
//!
//! Owns the answer, which is that of a sign-in. Must never tell why a token is refused: that is for the operator.

use actix_session::Session;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use serde::Deserialize;
use utoipa::IntoParams;

use super::bridge;
use super::extract::{Json, Query, Visit};
use super::old_token::Carried;
use super::problem::{EXCHANGE_OVER, Problem, TOKEN_REFUSED, TOKEN_USED};
use super::security_log::{Refused, note};
use super::sign_in::SignedInAnswer;
use super::site::Site;
use crate::service::ExchangeError;

/// How the session is kept.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Kept {
    /// Whether to stay signed in after the browser is closed.
    #[serde(default)]
    #[param(required = false)]
    remember: bool,
}

/// Exchanges an application's own JSON Web Token for a session, once: a sign-in without a password. The token is in the
/// Authorization header, or in the cookie that the operator has named. The browser's previous session ends.
#[utoipa::path(
    post, path = "/exchange", operation_id = "exchange_token", tag = "anyone", security(("old_token" = []), ()),
    params(Kept),
    responses(
        (status = 200, description = "Signed in; the session is in the cookie.", body = SignedInAnswer,
         headers(("Set-Cookie" = String, description = "The session cookie."))),
        (status = 401, description = "Refused (`token-refused`). The answer is the same for every cause."),
        (status = 403, description = "The user is disabled (`user-disabled`)."),
        (status = 404, description = "This server exchanges no tokens (`not-found`)."),
        (status = 409, description = "The token was exchanged before (`token-used`), perhaps by another tab: ask \
            GET /session before you ask for a password. Or the user has too many sessions (`too-many-sessions`)."),
        (status = 410, description = "The time to exchange tokens is over (`exchange-over`)."),
        (status = 429, description = "Too many sessions of this user, or from this address (`too-many-attempts`)."),
    )
)]
pub async fn exchange(
    site: Data<Site>,
    visit: Visit,
    session: Session,
    request: HttpRequest,
    Query(kept): Query<Kept>,
) -> Result<Json<SignedInAnswer>, Problem> {
    let carried = request.extensions_mut().remove::<Carried>().map_or(Err("no token"), |carried| carried.0);
    let token = carried.as_deref().map_err(|why| *why);
    let exchanged = site.app.sign_in.exchange(token, kept.remember, visit.presented_hashes(), visit.client()).await;
    let signed_in = exchanged.inspect_err(|error| {
        if !matches!(error, ExchangeError::Off | ExchangeError::Over | ExchangeError::Denied(_)) {
            note(&site.app, Refused::Exchange, visit.client(), None, error);
        }
    })?;
    bridge::hand_over(&session, &visit, signed_in.token, &signed_in.session)?;
    Ok(Json(SignedInAnswer { user: signed_in.user, session: signed_in.session }))
}

impl From<ExchangeError> for Problem {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Off => Self::not_found(),
            ExchangeError::Over => Self::new(&EXCHANGE_OVER, "Tokens are no longer exchanged here. Sign in."),
            ExchangeError::Refused(_) => {
                Self::new(&TOKEN_REFUSED, "The token is not accepted. Sign in.").with_challenge()
            }
            ExchangeError::Used => Self::new(&TOKEN_USED, "The token was exchanged before. Sign in, unless you are."),
            ExchangeError::Disabled => Self::user_disabled(),
            ExchangeError::TooManySessions => Self::too_many_sessions(),
            ExchangeError::Denied(denied) => denied.into(),
        }
    }
}
