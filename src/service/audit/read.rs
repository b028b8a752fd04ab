//! Audit reads: pages of the audit log.
//!
//! Owns how lines are read. Must never write or change one.

use serde::Serialize;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::event::Event;
use crate::ledger::audit;

pub use crate::ledger::audit::Filter as EventFilter;
use crate::service::audit::Audit;
use crate::service::core::admin_views::EventView;
use crate::service::core::page::cut;
use crate::service::core::unavailable::Unavailable;

impl Audit {
    /// A page of the lines that match the whole filter, the newest first, before the line with this id; and the id
    /// before which the next page begins, if there is one.
    pub async fn events(
        &self,
        filter: EventFilter,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<(Vec<EventView>, Option<Uuid>), Unavailable> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let lines = self.core.ledger.read(move |db| audit::page(db, &filter, before, limit.saturating_add(1)));
        let mut lines = lines.await?;
        let next = cut(&mut lines, limit).and_then(|line| Uuid::try_parse(&line.id).ok());
        Ok((lines.into_iter().map(EventView::from).collect(), next))
    }

    /// Which clients have exchanged old tokens since then, how often, and when last; at most this many, the last first.
    pub async fn exchanges(&self, since: Timestamp, limit: i64) -> Result<Vec<Exchanges>, Unavailable> {
        let found = self.core.ledger.read(move |db| audit::by_detail(db, Event::TokenExchanged, since, limit)).await?;
        let read = |(detail, count, last): (Option<String>, i64, Option<i64>)| {
            let detail = detail.unwrap_or_default();
            let (client, browser) = detail.split_once(' ').unwrap_or((detail.as_str(), ""));
            let last = Timestamp::from_ms(last.unwrap_or_default());
            Exchanges { client: client.to_owned(), browser: browser.to_owned(), count, last }
        };
        Ok(found.into_iter().map(read).collect())
    }
}

/// The old tokens of one kind of client that were exchanged.
#[derive(Clone, Debug, Serialize)]
pub struct Exchanges {
    /// The application that got the tokens, as they say; `-` if they do not.
    pub client: String,
    /// The family of the browser or program that sent them.
    pub browser: String,
    /// How many.
    pub count: i64,
    /// When the last one came.
    pub last: Timestamp,
}
