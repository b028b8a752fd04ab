//! Judge: turns an assessment into an alert and the operator's chosen reaction.
//!
//! Owns the path from rows and location files to the input of the rules, and the transaction that opens one alert for
//! one incident, under the user's lock. The rules are in [`crate::domain::risk`]. Must never block a sign-in because
//! something could not be judged.

use std::net::IpAddr;

use crate::domain::event::Event;
use crate::domain::risk::{Arrival, Assessment, News, Past, Sighting};
use crate::domain::{AlertId, Client, Device, EndReason, Place, Point, RiskAction, SessionId, Timestamp, UserId};
use crate::ledger::alerts::{self, Alert};
use crate::ledger::locks::Locked;
use crate::ledger::pending_invalidations::{self, PendingInvalidation};
use crate::ledger::session_location::{self, SessionLocation};
use crate::ledger::sessions::{self, Session, Which};
use crate::ledger::{Db, LedgerError, audit, proofs};
use crate::service::core::audit_context::AuditContext;
use crate::service::core::checked::Checked;
use crate::service::events::webhook::AlertOpened;
use crate::service::risk::Risk;
use crate::service::risk::address_changes::AddressChange;
use crate::service::risk::alerts::SignalView;

/// The user's newest sessions, to compare a new one with.
pub(in crate::service) const HISTORY: i64 = 200;
/// The user's newest alerts, to find an earlier one about the same incident.
const ALERTS: i64 = 50;

/// How a user signed in, as the rules see it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::service) struct Entry {
    /// How many wrong passwords came directly before.
    pub(in crate::service) failures: u32,
    /// Whether the browser shows that its owner has signed in on it before.
    pub(in crate::service) familiar: bool,
}

impl Risk {
    /// Where a session was last used: its sign-in location, unless it has moved since.
    pub(in crate::service) fn last(&self, row: &SessionLocation) -> Sighting {
        let moved = row.last_ip != row.sign_in_ip;
        let place = match row.last_ip.parse() {
            Ok(ip) if moved => self.core.place(ip),
            _ => row.signed_in.clone(),
        };
        Sighting { session: row.session, place, at: row.deadlines.last_seen }
    }

    pub(in crate::service) fn past(&self, row: SessionLocation) -> Past {
        let last = self.last(&row);
        Past { session: row.session, signed_in: row.signed_in, last, browser: row.browser, os: row.os }
    }

    /// Queues a use from a new address: costs a comparison and, for few requests, a place in the queue.
    pub(in crate::service) fn note_move(&self, checked: &Checked, now: Timestamp, ip: IpAddr) {
        if ip != checked.ip && self.core.locator.is_some() && checked.acting.is_none() {
            let (user, session) = (checked.user, checked.session);
            let from = (checked.ip, checked.deadlines.last_seen);
            self.address_changes.note(AddressChange { user, session, from, to: (ip, now) });
        }
    }

    /// Judges a session before it is created, against earlier sessions and those that stay live, under its owner's
    /// lock: of two concurrent sign-ins, the second is compared with the first. Data that cannot be read is not judged, nor
    /// is a session in which somebody acts for the owner: where an agent is says nothing about the owner.
    pub(in crate::service) fn judge_arrival(
        &self,
        db: &mut Db,
        new: &Session,
        entry: Entry,
        staying: &[Session],
    ) -> Result<Assessment, LedgerError> {
        if new.actor.is_some() {
            return Ok(Assessment::default());
        }
        let past = match session_location::history(db, new.user_id, HISTORY) {
            Err(error @ LedgerError::Corrupt(_)) => {
                log::warn!("a sign-in was not assessed: {error}");
                return Ok(Assessment::default());
            }
            read => read?,
        };
        let past: Vec<_> = past.into_iter().map(|row| self.past(row)).collect();
        let live: Vec<_> = staying.iter().map(|row| self.last(&SessionLocation::from(row))).collect();
        let SessionLocation { session, signed_in, browser, os, .. } = SessionLocation::from(new);
        let sighting = Sighting { session, place: signed_in, at: new.created_at };
        let arrival = Arrival { sighting, browser, os, failures: entry.failures, familiar: entry.familiar };
        Ok(self.core.policy.risk.judge_arrival(&arrival, &past, &live))
    }

    /// Opens an alert for an assessment that is serious enough and new, and takes the operator's chosen action. Runs
    /// under the user's lock. Returns the records to delete.
    pub(in crate::service) fn settle(
        &self,
        db: &mut Db,
        locked: &Locked,
        user: UserId,
        found: &Assessment,
        context: &AuditContext,
    ) -> Result<Vec<PendingInvalidation>, LedgerError> {
        session_location::raise_risk(db, &found.concerned, i64::from(found.risk()))?;
        if !self.core.policy.risk.is_alarming(found) {
            return Ok(Vec::new());
        }
        let known = alerts::of_user(db, user, ALERTS)?;
        // A session that was challenged for these reasons and has a proof since stays proven.
        let concerned = match found.news(&known) {
            News::Known => return Ok(Vec::new()),
            News::More(alert) => {
                let signals = found.signals_after(&alert.signals);
                let risk = alert.risk.max(i64::from(found.risk()));
                alerts::extend(db, alert.id, &signals, risk, &found.sessions_after(&alert.sessions))?;
                found.concerned_beside(alert)
            }
            News::New => {
                self.open_alert(db, user, found, context)?;
                found.concerned.clone()
            }
        };
        self.act(db, locked, (user, self.core.policy.risk.action_on(found)), &concerned, context)
    }

    fn open_alert(
        &self,
        db: &mut Db,
        user: UserId,
        found: &Assessment,
        context: &AuditContext,
    ) -> Result<(), LedgerError> {
        let now = self.core.clock().now();
        let alert = Alert {
            id: AlertId::generate(now, self.core.random()),
            opened_at: now,
            user,
            email: None,
            risk: found.risk().into(),
            action: self.core.policy.risk.action_on(found).name().to_owned(),
            signals: found.signals_after(&[]),
            sessions: found.sessions_after(&[]),
            acknowledged_at: None,
            acknowledged_by: None,
        };
        alerts::open(db, &alert)?;
        // The newest session is the one that raised the alert.
        let mut line = self.audit.entry(Event::AlertOpened, context, Some(user), found.core.last().copied());
        let rules: Vec<_> = found.signals.iter().map(|signal| signal.rule.name()).collect();
        line.detail = Some(format!("{}: {} ({})", alert.id, alert.risk, rules.join(", ")));
        audit::append(db, &line)?;
        let Alert { id, risk, action, signals, sessions, .. } = &alert;
        let (id, risk) = (id.uuid(), *risk);
        let signals: Vec<_> = signals.iter().cloned().map(SignalView::from).collect();
        self.events.tell_alert_opened(db, &AlertOpened { id, user, risk, action, signals: &signals, sessions })
    }

    fn act(
        &self,
        db: &mut Db,
        locked: &Locked,
        (user, action): (UserId, RiskAction),
        concerned: &[SessionId],
        context: &AuditContext,
    ) -> Result<Vec<PendingInvalidation>, LedgerError> {
        let mut records = Vec::new();
        for &session in concerned {
            match action {
                RiskAction::Alert => {}
                RiskAction::StepUp => records.extend(self.challenge(db, session)?),
                RiskAction::Revoke => {
                    let which = Which::One(session, user);
                    records.extend(self.sessions.end_rows(db, locked, &which, EndReason::Suspicious, context)?.records);
                }
            }
        }
        Ok(records)
    }

    /// Requires a new proof from a session's owner; outdates its record, which shows applications the proof.
    fn challenge(&self, db: &mut Db, session: SessionId) -> Result<Option<PendingInvalidation>, LedgerError> {
        let now = self.core.clock().now();
        let row = sessions::find(db, session)?.filter(|row| row.ended_at.is_none());
        let Some(row) = row else { return Ok(None) };
        if !proofs::challenge(db, session, now)? {
            return Ok(None);
        }
        let outdated = self.sessions.pending_invalidation(row.token_hash, session);
        pending_invalidations::add(db, &[outdated], now)?;
        Ok(Some(outdated))
    }

    /// Fills in the location and device of a new session.
    pub(in crate::service) fn arrive(&self, session: &mut Session, client: &Client) {
        let Place { country, city, asn, network, point } = self.core.place(client.ip);
        (session.country, session.city, session.asn, session.network) = (country, city, asn, network);
        (session.latitude, session.longitude) = (point.map(Point::latitude), point.map(Point::longitude));
        let Device { browser, os, .. } = Device::from_user_agent(client.user_agent.as_deref());
        (session.browser, session.os) = (browser, os);
    }

    /// The live sessions among these rows.
    pub(in crate::service) fn alive(&self, rows: &[SessionLocation], now: Timestamp) -> Vec<Sighting> {
        let alive = rows.iter().filter(|row| row.deadlines.hold_with_lag(now));
        alive.map(|row| self.last(row)).collect()
    }
}
