//! Session location: where and with what sessions were used, for the risk rules.
//!
//! Owns the column `risk` of `sessions`, except its first value. Every read is bounded and uses an index. Must never
//! change a row that has ended, nor read a session in which somebody acts for the user: where an agent is says nothing
//! about the user.

use std::time::Duration;

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::sessions;
use super::sessions::Session;
use crate::domain::session::Deadlines;
use crate::domain::{Place, Point, SessionId, Timestamp, UserId};

/// The columns of a session that the rules judge.
#[derive(Clone, Debug)]
pub struct SessionLocation {
    /// The session's id.
    pub session: SessionId,
    /// The owner.
    pub user: UserId,
    /// The sign-in location.
    pub signed_in: Place,
    /// The sign-in address.
    pub sign_in_ip: String,
    /// The address of the last use.
    pub last_ip: String,
    /// When it ends without an action.
    pub deadlines: Deadlines,
    /// The browser.
    pub browser: Option<String>,
    /// The system.
    pub os: Option<String>,
}

type Row = ((String, String), Times, (String, String), Where, (Option<String>, Option<String>));
type Times = (i64, i64, i64);
type Where = (Option<String>, Option<String>, Option<i64>, Option<String>, Option<f64>, Option<f64>);

macro_rules! columns {
    () => {
        (
            (sessions::id, sessions::user_id),
            (sessions::last_seen_at, sessions::expires_at, sessions::idle_seconds),
            (sessions::sign_in_ip, sessions::last_ip),
            (
                sessions::country,
                sessions::city,
                sessions::asn,
                sessions::network,
                sessions::latitude,
                sessions::longitude,
            ),
            (sessions::browser, sessions::os),
        )
    };
}

fn place((country, city, asn, network, latitude, longitude): Where) -> Place {
    let point = latitude.zip(longitude).and_then(|(latitude, longitude)| Point::new(latitude, longitude));
    Place { country, city, asn, network, point }
}

impl TryFrom<Row> for SessionLocation {
    type Error = LedgerError;

    fn try_from(row: Row) -> Result<Self, LedgerError> {
        let ((id, user), (last_seen, expires, idle_seconds), (sign_in_ip, last_ip), signed_in, (browser, os)) = row;
        Ok(Self {
            session: SessionId::parse(&id).ok_or_else(|| LedgerError::Corrupt(format!("session id {id:?}")))?,
            user: UserId::parse(&user).ok_or_else(|| LedgerError::Corrupt(format!("user id {user:?}")))?,
            signed_in: place(signed_in),
            sign_in_ip,
            last_ip,
            deadlines: Deadlines {
                last_seen: Timestamp::from_ms(last_seen),
                idle: Duration::from_secs(u64::try_from(idle_seconds).unwrap_or(0)),
                expires: Timestamp::from_ms(expires),
            },
            browser,
            os,
        })
    }
}

impl From<&Session> for SessionLocation {
    fn from(session: &Session) -> Self {
        let Session { country, city, asn, network, latitude, longitude, .. } = session.clone();
        Self {
            session: session.id,
            user: session.user_id,
            signed_in: place((country, city, asn, network, latitude, longitude)),
            sign_in_ip: session.sign_in_ip.clone(),
            last_ip: session.last_ip.clone(),
            deadlines: session.deadlines(),
            browser: session.browser.clone(),
            os: session.os.clone(),
        }
    }
}

/// A user's newest sessions, ended or not, the newest first: those that were not ended and those that ended last, with
/// an index for each.
pub fn history(db: &mut Db, user: UserId, limit: i64) -> Result<Vec<SessionLocation>, LedgerError> {
    let ended = sessions::table.filter(sessions::user_id.eq(user.to_string())).filter(sessions::ended_at.is_not_null());
    let ended = ended.filter(sessions::actor.is_null());
    let mut rows = read(ended.order(sessions::ended_at.desc()).limit(limit).select(columns!()).load(db)?)?;
    rows.extend(unended(db, user, limit)?);
    // An id starts with its creation time.
    rows.sort_by_key(|row| std::cmp::Reverse(row.session));
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(rows)
}

/// A user's newest sessions that were not ended, expired or not.
pub fn unended(db: &mut Db, user: UserId, limit: i64) -> Result<Vec<SessionLocation>, LedgerError> {
    let rows = sessions::table.filter(sessions::user_id.eq(user.to_string())).filter(sessions::ended_at.is_null());
    let rows = rows.filter(sessions::actor.is_null());
    read(rows.order(sessions::id.desc()).limit(limit).select(columns!()).load(db)?)
}

/// A page of sessions that were not ended, user by user, after this user: for the rounds over all sessions.
pub fn page(db: &mut Db, after: Option<UserId>, limit: i64) -> Result<Vec<SessionLocation>, LedgerError> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let rows = sessions::table.filter(sessions::ended_at.is_null()).filter(sessions::user_id.gt(after));
    let rows = rows.filter(sessions::actor.is_null());
    read(rows.order((sessions::user_id, sessions::id)).limit(limit).select(columns!()).load(db)?)
}

fn read(rows: Vec<Row>) -> Result<Vec<SessionLocation>, LedgerError> {
    rows.into_iter().map(SessionLocation::try_from).collect()
}

/// Raises the risk of those of these sessions that have not ended; it never falls.
pub fn raise_risk(db: &mut Db, ids: &[SessionId], risk: i64) -> Result<(), LedgerError> {
    for id in ids {
        let row = sessions::table.find(id.to_string()).filter(sessions::ended_at.is_null());
        diesel::update(row.filter(sessions::risk.lt(risk))).set(sessions::risk.eq(risk)).execute(db)?;
    }
    Ok(())
}
