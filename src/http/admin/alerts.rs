//! Routes for alerts: see what is strange, take note of it.
//!
//! Owns how a page of alerts is asked for. Must never show a token, nor anything that the alert does not say.

use actix_web::HttpResponse;
use actix_web::web::Data;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::administrator;
use crate::domain::AlertId;
use crate::http::extract::{Json, PathId, PublicId, Query, SignedIn, Visit};
use crate::http::problem::Problem;
use crate::http::site::Site;
use crate::service::{AlertError, AlertState, AlertView};

/// Alerts on a page, and the most that can be asked for.
const PAGE: i64 = 50;
const LARGEST_PAGE: i64 = 200;

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AlertsQuery {
    /// `open` (the default), `acknowledged` or `all`.
    state: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many, from 1 to 200; 50 by default.
    limit: Option<String>,
}

/// A page of alerts, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertsPage {
    /// The alerts.
    alerts: Vec<AlertView>,
    /// Asks for the next page; null on the last one.
    next_cursor: Option<String>,
}

impl PublicId for AlertId {
    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl From<AlertError> for Problem {
    fn from(error: AlertError) -> Self {
        match error {
            AlertError::Unknown => Self::not_found(),
            AlertError::StepUpRequired(required) => Self::step_up_required(required.max_age),
            AlertError::Ended => Self::unauthenticated(),
            AlertError::Unavailable(error) => error.into(),
        }
    }
}

/// Lists alerts: what is strange about whose sessions, and why.
#[utoipa::path(
    get, path = "/admin/alerts", tag = "administrators",
    params(AlertsQuery),
    responses(
        (status = 200, description = "A page of alerts, the newest first.", body = AlertsPage),
        (status = 401, description = "Not signed in."),
        (status = 403, description = "Not an administrator."),
        (status = 422, description = "A parameter is not valid."),
        (status = 429, description = "Too many cookies from this address that open no session."),
        (status = 503, description = "Try again after Retry-After."),
    )
)]
pub async fn list(
    site: Data<Site>,
    visit: Visit,
    SignedIn(checked): SignedIn,
    Query(query): Query<AlertsQuery>,
) -> Result<Json<AlertsPage>, Problem> {
    administrator(&site, &visit, &checked).await?;
    let (state, limit) = (state(query.state.as_deref())?, limit(query.limit.as_deref())?);
    let before = query.cursor.as_deref().map(cursor).transpose()?;
    // One more than asked for tells whether there is a next page.
    let mut alerts = site.app.list_alerts(state, before, limit.saturating_add(1)).await?;
    let asked_for = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = alerts.len() > asked_for;
    alerts.truncate(asked_for);
    let last = alerts.last().filter(|_| has_more);
    let next_cursor = last.map(|alert| URL_SAFE_NO_PAD.encode(alert.id.uuid().as_bytes()));
    Ok(Json(AlertsPage { alerts, next_cursor }))
}

/// Takes note of an alert. The same finding about the same sessions opens no other one; again is no error.
#[utoipa::path(
    post, path = "/admin/alerts/{id}/acknowledge", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The alert's id.")),
    responses(
        (status = 204, description = "Acknowledged."),
        (status = 401, description = "Not signed in."),
        (status = 403, description = "Not an administrator, or the last proof is too old (`step-up-required`)."),
        (status = 404, description = "There is no such alert."),
        (status = 429, description = "Too many cookies from this address that open no session."),
        (status = 503, description = "Try again after Retry-After."),
    )
)]
pub async fn acknowledge(
    site: Data<Site>,
    visit: Visit,
    SignedIn(checked): SignedIn,
    PathId(alert): PathId<AlertId>,
) -> Result<HttpResponse, Problem> {
    let cause = administrator(&site, &visit, &checked).await?;
    site.app.acknowledge_alert(alert, &cause).await.map_err(|error| site.refusal(error))?;
    Ok(HttpResponse::NoContent().finish())
}

fn state(text: Option<&str>) -> Result<AlertState, Problem> {
    match text {
        None | Some("open") => Ok(AlertState::Open),
        Some("acknowledged") => Ok(AlertState::Acknowledged),
        Some("all") => Ok(AlertState::All),
        Some(_) => Err(Problem::invalid_field("state", "It can only be open, acknowledged or all.")),
    }
}

fn limit(text: Option<&str>) -> Result<i64, Problem> {
    let Some(text) = text else { return Ok(PAGE) };
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit| plain && (1..=LARGEST_PAGE).contains(limit));
    limit.ok_or_else(|| Problem::invalid_field("limit", format!("It must be a number from 1 to {LARGEST_PAGE}.")))
}

fn cursor(text: &str) -> Result<AlertId, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    let id = bytes.map(AlertId::from_bytes);
    id.ok_or_else(|| Problem::invalid_field("cursor", "It must be the next_cursor of the page before."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_strictly() {
        assert_eq!(limit(None).unwrap(), 50);
        assert_eq!(limit(Some("200")).unwrap(), 200);
        for text in ["", "0", "201", "-1", "+1", "1.0", "99999999999999999999", "a"] {
            assert!(limit(Some(text)).is_err(), "{text:?}");
        }
        for text in ["", "Open", "openall"] {
            assert!(state(Some(text)).is_err(), "{text:?}");
        }
        let id = AlertId::from_bytes([0xff; 16]);
        assert_eq!(cursor(&URL_SAFE_NO_PAD.encode(id.uuid().as_bytes())).unwrap(), id);
        for text in ["", "AAAA", "////////////////////////", "\u{0}", &"A".repeat(10_000)] {
            assert!(cursor(text).is_err(), "{text:?}");
        }
    }
}
