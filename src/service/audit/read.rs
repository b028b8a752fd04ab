//! Audit reads: pages of the audit log.
//!
//! Owns how lines are read. Must never write or change one.

use uuid::Uuid;

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
}
