//! Routes for alerts: list them, acknowledge them.
//!
//! Owns how a client asks for a page of alerts. Must never show a token, nor anything that the alert does not say.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{AlertId, UserId};
use crate::http::administrator::Administrator;
use crate::http::extract::{Json, PathId, PublicId};
use crate::http::filter_document::Page;
use crate::http::listing::{Parameters, cursor};
use crate::http::problem::Problem;
use crate::http::site::Site;
use crate::service::{AlertError, AlertState, AlertView};

/// A page of alerts, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertsPage {
    /// The alerts.
    alerts: Vec<AlertView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Which alerts.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document alone")]
enum WantedAlerts {
    /// Not yet acknowledged.
    Open,
    /// Acknowledged.
    Acknowledged,
    /// All of them.
    All,
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
            AlertError::Denied(denied) => denied.into(),
        }
    }
}

/// Lists alerts: unusual sessions, their users and the reasons.
#[utoipa::path(
    get, path = "/admin/alerts", operation_id = "list_alerts", tag = "administrators",
    params(
        ("state" = inline(Option<WantedAlerts>), Query, description = "Which alerts; by default, the open ones."),
        ("filter[user]" = Option<uuid::Uuid>, Query, description = "About this user."),
        Page,
    ),
    responses(
        (status = 200, description = "A page of alerts, the newest first.", body = AlertsPage),
    )
)]
pub async fn list(site: Data<Site>, mut asked: Parameters) -> Result<Json<AlertsPage>, Problem> {
    let wanted = asked.parse("state", "Must be open, acknowledged or all.", state)?.unwrap_or(AlertState::Open);
    let user = asked.parse("filter[user]", "Not an id: copy it as the lists show it.", UserId::parse)?;
    let (before, limit) = (asked.cursor(alert)?, asked.limit()?);
    asked.finish()?;
    // One row more than the limit shows whether there is a next page.
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut alerts = site.app.risk.list_alerts(wanted, user, before, most).await?;
    let has_more = alerts.len() > limit;
    alerts.truncate(limit);
    let next_cursor = alerts.last().filter(|_| has_more).map(|alert| place(alert.id));
    Ok(Json(AlertsPage { alerts, next_cursor }))
}

/// Acknowledges an alert. The same reasons for the same sessions open no new alert. Repeating the request is no error.
#[utoipa::path(
    post, path = "/admin/alerts/{id}/acknowledge", operation_id = "acknowledge_alert", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The alert's id.")),
    responses(
        (status = 204, description = "Acknowledged."),
    )
)]
pub async fn acknowledge(
    site: Data<Site>,
    by: Administrator,
    PathId(alert): PathId<AlertId>,
) -> Result<HttpResponse, Problem> {
    let context = by.context();
    site.app.risk.acknowledge_alert(alert, &context).await.map_err(|error| by.refusal(&site, error))?;
    Ok(HttpResponse::NoContent().finish())
}

fn state(text: &str) -> Option<AlertState> {
    match text {
        "open" => Some(AlertState::Open),
        "acknowledged" => Some(AlertState::Acknowledged),
        "all" => Some(AlertState::All),
        _ => None,
    }
}

/// The cursor's content: `a` and an id, so that no other list accepts the cursor.
fn place(id: AlertId) -> String {
    cursor(&[b"a", id.uuid().as_bytes().as_slice()].concat())
}

fn alert(place: &[u8]) -> Option<AlertId> {
    place.strip_prefix(b"a")?.try_into().ok().map(AlertId::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_strictly() {
        for text in ["", "Open", "openall"] {
            assert!(state(text).is_none(), "{text:?}");
        }
        let id = AlertId::from_bytes([0xff; 16]);
        let asked = |text: &str| Parameters::of(&format!("cursor={text}")).cursor(alert);
        assert_eq!(asked(&place(id)).unwrap(), Some(id));
        for text in ["", "AAAA", "////////////////////////", "%00", &"A".repeat(10_000)] {
            assert!(asked(text).is_err(), "{text:?}");
        }
        for text in ["", "0", "201", "-1", "%2B7", "07a", "1.0", "99999999999999999999", "a"] {
            assert!(Parameters::of(&format!("limit={text}")).limit().is_err(), "{text:?}");
        }
    }
}
