//! The administrators' route to the audit log.

use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::event::Event;
use crate::domain::{ServiceName, SessionId, UserId};
use crate::http::extract::Json;
use crate::http::filter_document::Page;
use crate::http::listing::{Parameters, cursor};
use crate::http::problem::Problem;
use crate::http::site::Site;
use crate::service::{EventFilter, EventView};

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditAnswer {
    /// The events, the newest first.
    pub events: Vec<EventView>,
    /// The `cursor` of the next page; null on the last one.
    pub next_cursor: Option<String>,
}

const NO_ID: &str = "Not an id: copy it as the lists show it.";
const NO_ACTOR: &str = "Must be a user's id, `anonymous`, `command line`, `server`, or `service` and a name.";
const NO_EVENT: &str = "Unknown event: the log shows the names.";

/// Lists the audit log, newest first.
#[utoipa::path(
    get, path = "/admin/audit", operation_id = "list_audit_events", tag = "administrators",
    params(
        ("filter[user]" = Option<Uuid>, Query, description = "About this user."),
        ("filter[session]" = Option<Uuid>, Query, description = "About this session."),
        ("filter[actor]" = Option<String>, Query, description = "The actor: a user's id, `anonymous`, `command line`, \
            `server`, or `service` and a name."),
        ("filter[event]" = Option<String>, Query, description = "What happened, such as `authn_login_success`."),
        ("filter[after]" = Option<chrono::DateTime<chrono::Utc>>, Query, description = "At this time or later."),
        ("filter[before]" = Option<chrono::DateTime<chrono::Utc>>, Query, description = "Before this time."),
        Page,
    ),
    responses(
        (status = 200, description = "A page of it.", body = AuditAnswer),
    )
)]
pub async fn list(site: Data<Site>, mut asked: Parameters) -> Result<Json<AuditAnswer>, Problem> {
    let filter = EventFilter {
        user: asked.parse("filter[user]", NO_ID, UserId::parse)?,
        session: asked.parse("filter[session]", NO_ID, SessionId::parse)?,
        actor: asked.parse("filter[actor]", NO_ACTOR, actor)?,
        event: asked.parse("filter[event]", NO_EVENT, Event::parse)?,
        after: asked.time("filter[after]")?,
        before: asked.time("filter[before]")?,
    };
    let (before, limit) = (asked.cursor(line)?, asked.limit()?);
    asked.finish()?;
    let (events, next) = site.app.audit.events(filter, before, limit).await?;
    Ok(Json(AuditAnswer { events, next_cursor: next.map(place) }))
}

/// The cursor's content: `l` and an id, so that no other list accepts the cursor.
fn place(id: Uuid) -> String {
    cursor(&[b"l", id.as_bytes().as_slice()].concat())
}

fn line(place: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(place.strip_prefix(b"l")?).ok()
}

fn actor(text: &str) -> Option<String> {
    let is_service = text.strip_prefix("service ").is_some_and(|name| name.parse::<ServiceName>().is_ok());
    let is_known =
        UserId::parse(text).is_some() || is_service || ["anonymous", "command line", "server"].contains(&text);
    is_known.then(|| text.to_owned())
}
