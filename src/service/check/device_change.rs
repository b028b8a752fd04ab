//! Device change: another device than the bound one shows a live session.
//!
//! Owns the comparison, which every request pays for, and the reaction, which the operator chooses. Must never ask a
//! store about a request from the session's own device, nor twice about the same other device.

use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::{Client, Device, DeviceMark, EndReason, OnDeviceChange};
use crate::ledger::pending_invalidations::{self, PendingInvalidation};
use crate::ledger::sessions::{self, Session, Which};
use crate::ledger::{Db, LedgerError, audit, locks, proofs};
use crate::service::check::Check;
use crate::service::check::devices::mark_of;
use crate::service::core::audit_context::AuditContext;
use crate::service::core::checked::Checked;
use crate::service::core::unavailable::Unavailable;

/// Lines that device changes of one session can add to the audit log between two proofs.
const MAX_LINES: usize = 16;
/// The pause before a change that the ledger did not take is written again.
const PAUSE: Duration = Duration::from_secs(10);

/// A change, as the transaction needs it.
#[derive(Clone)]
struct Change {
    checked: Checked,
    shown: DeviceMark,
    client: Client,
    answer: OnDeviceChange,
}

impl Check {
    /// Judges the device that shows a session that was just checked. None: the reaction ended the session. `client` is
    /// called only when there is a change to report.
    pub async fn recognise(
        &self,
        checked: Checked,
        user_agent: Option<&str>,
        client: impl FnOnce() -> Client,
    ) -> Result<Option<Checked>, Unavailable> {
        let shown = mark_of(user_agent);
        match shown.differs_from(checked.device) {
            false => Ok(Some(checked)),
            // In a box: nearly no request needs its room.
            true => Box::pin(self.react(checked, shown, client)).await,
        }
    }

    async fn react(
        &self,
        mut checked: Checked,
        shown: DeviceMark,
        client: impl FnOnce() -> Client,
    ) -> Result<Option<Checked>, Unavailable> {
        let answer = self.core.policy.on_device_change;
        if answer == OnDeviceChange::StepUp {
            // Even if the write below fails, this request does not count as one from a proven owner.
            checked.proven_at = None;
        }
        let change = (checked.token_hash, shown);
        if self.device_changes.has(change) {
            return Ok(Some(checked));
        }
        let told = Change { checked: checked.clone(), shown, client: client(), answer };
        match answer {
            OnDeviceChange::Log => self.tell_later(told),
            OnDeviceChange::StepUp => match self.tell(told).await {
                Ok(records) => {
                    self.device_changes.add(change);
                    self.sessions
                        .invalidate(&records)
                        .await
                        .unwrap_or_else(|error| log::info!("invalidation left to the sweeper: {error}"));
                }
                // A request that would change something asks the same ledger.
                Err(error) => log::warn!("the device change of session {} was not recorded: {error}", checked.session),
            },
            OnDeviceChange::Revoke => {
                let records = self.tell(told).await?;
                self.sessions
                    .invalidate(&records)
                    .await
                    .unwrap_or_else(|error| log::info!("invalidation left to the sweeper: {error}"));
                return Ok(None);
            }
        }
        Ok(Some(checked))
    }

    /// Outside the request's latency, one at a time: only an audit line depends on it.
    fn tell_later(&self, told: Change) {
        let change = (told.checked.token_hash, told.shown);
        if !self.device_changes.add(change) {
            return;
        }
        let room = self.clone();
        tokio::spawn(async move {
            if let Err(error) = room.tell(told).await {
                log::warn!("the device change of a session is not in the audit log yet: {error}");
                tokio::time::sleep(PAUSE).await;
                room.device_changes.forget(change);
            }
        });
    }

    async fn tell(&self, told: Change) -> Result<Vec<PendingInvalidation>, Unavailable> {
        let room = self.clone();
        Ok(self.core.write(move |db| room.answer_change(db, &told)).await?)
    }

    /// The transaction, under the user's lock so that two nodes write one line. Returns the records to delete.
    fn answer_change(&self, db: &mut Db, told: &Change) -> Result<Vec<PendingInvalidation>, LedgerError> {
        let Checked { user, session, token_hash, .. } = told.checked;
        let locked = locks::users(db, &[user])?;
        let row = sessions::find(db, session)?.filter(|row| row.ended_at.is_none() && row.token_hash == token_hash);
        let Some(row) = row else { return Ok(Vec::new()) };
        let context = AuditContext::server(Some(told.client.clone()));
        self.write_line(db, &row, told, &context)?;
        match told.answer {
            OnDeviceChange::Log => Ok(Vec::new()),
            OnDeviceChange::StepUp => {
                let now = self.core.clock().now();
                if !proofs::challenge(db, session, now)? {
                    return Ok(Vec::new());
                }
                // The record shows applications a proof that no longer counts.
                let outdated = self.sessions.pending_invalidation(token_hash, session);
                pending_invalidations::add(db, &[outdated], now)?;
                Ok(vec![outdated])
            }
            OnDeviceChange::Revoke => {
                let which = Which::One(session, user);
                Ok(self.sessions.end_rows(db, &locked, &which, EndReason::DeviceChanged, &context)?.records)
            }
        }
    }

    /// One line for each other device since the last proof; of too many, the first ones.
    fn write_line(&self, db: &mut Db, row: &Session, told: &Change, context: &AuditContext) -> Result<(), LedgerError> {
        let detail = format!(
            "{} -> {}",
            name(&Device::from_user_agent(row.user_agent.as_deref())),
            name(&Device::from_user_agent(told.client.user_agent.as_deref()))
        );
        let limit = i64::try_from(MAX_LINES).unwrap_or(i64::MAX);
        let (user, session) = (row.user_id, row.id);
        let said = audit::details(db, Event::DeviceChanged, user, session, row.authenticated_at, limit)?;
        if said.len() >= MAX_LINES || said.iter().any(|line| line.as_deref() == Some(&detail)) {
            return Ok(());
        }
        let mut line = self.audit.entry(Event::DeviceChanged, context, Some(user), Some(session));
        line.detail = Some(detail);
        audit::append(db, &line)
    }
}

/// The device's name, as in the list of sessions.
fn name(device: &Device) -> String {
    let known = |family: &Option<String>| family.clone().unwrap_or_else(|| "unknown".to_owned());
    format!("{} on {}", known(&device.browser), known(&device.os))
}
