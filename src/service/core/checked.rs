//! Checked: the answer of a check that says yes.
//!
//! Owns [`Checked`], the proof that a token was a live session's a moment ago. Valid for one request; must never be
//! kept for the next.

use std::net::IpAddr;
use std::time::Duration;

use crate::domain::session::{Deadlines, resolution};
use crate::domain::{ActingParty, DeviceMark, Proof, SessionId, Timestamp, TokenHash, UserId};
use crate::live::Record;

/// Whether a request counts as use of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The user does something.
    Active,
    /// A background poll or an event stream: it does not extend the session.
    Background,
}

/// A live session, as a check found it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The session's public id.
    pub session: SessionId,
    /// The owner.
    pub user: UserId,
    /// The hash of the token that was shown.
    pub token_hash: TokenHash,
    /// When it ends without an action.
    pub deadlines: Deadlines,
    /// The address of the last use before this request.
    pub ip: IpAddr,
    /// Whether the application keeps data in it.
    pub has_data: bool,
    /// The device that it is bound to.
    pub device: DeviceMark,
    /// When its owner last proved their identity, to the second; none when that no longer counts. For applications
    /// only: a change in this service asks the ledger.
    pub proven_at: Option<Timestamp>,
    /// Who acts in it for its user; none in an ordinary session. In a box: nearly all sessions have none.
    pub acting: Option<Box<ActingParty>>,
}

impl Checked {
    pub(in crate::service) fn of_record(record: &Record, token_hash: TokenHash, now: Timestamp) -> Self {
        Self {
            session: record.session,
            user: record.user,
            token_hash,
            deadlines: Deadlines { last_seen: record.last_seen, idle: record.idle, expires: record.expires },
            ip: record.ip,
            has_data: record.has_data,
            device: record.device,
            proven_at: record.proven_at.and_then(|at| Proof { at, challenged: false }.counting(now)),
            acting: record.acting.clone(),
        }
    }

    /// Whether the ledger knows no use: its last-seen time is that of the sign-in.
    pub(in crate::service) fn is_unused(&self) -> bool {
        self.deadlines.last_seen <= self.session.made_at()
    }

    /// The last-seen time to write for a request now from this address, if it is known; none when there is nothing to write. Background
    /// activity from another address writes that address with the old last-seen time: the session is not extended, but
    /// the address shows.
    pub(in crate::service) fn use_to_write(
        &self,
        activity: Activity,
        now: Timestamp,
        ip: Option<IpAddr>,
        configured: Duration,
    ) -> Option<Timestamp> {
        let last_seen = self.deadlines.last_seen;
        let has_moved = ip.is_some_and(|ip| ip != self.ip);
        match activity {
            Activity::Active => {
                (has_moved || now.since(last_seen) >= resolution(configured, self.deadlines.idle)).then_some(now)
            }
            Activity::Background => has_moved.then_some(last_seen),
        }
    }
}
