//! Alerts in SQL: which sessions an administrator should look at, and why.
//!
//! Owns the tables `alerts` and `alert_sessions`. An open alert may grow; an acknowledged one never changes. Must never
//! open an alert outside its user's lock, which shows whether there is one already.

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::{alert_sessions, alerts, users};
use crate::domain::risk::{KnownAlert, Signal};
use crate::domain::{AlertId, SessionId, Timestamp, UserId};

/// An alert.
#[derive(Clone, Debug)]
pub struct Alert {
    /// The alert's id.
    pub id: AlertId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The user that it is about.
    pub user: UserId,
    /// Their address; none when the account no longer exists.
    pub email: Option<String>,
    /// The risk score.
    pub risk: i64,
    /// The reaction.
    pub action: String,
    /// The matched rules.
    pub signals: Vec<Signal>,
    /// The sessions concerned, in the order of their sign-ins.
    pub sessions: Vec<SessionId>,
    /// When it was acknowledged.
    pub acknowledged_at: Option<Timestamp>,
    /// Who acknowledged it.
    pub acknowledged_by: Option<String>,
}

impl KnownAlert for Alert {
    fn acknowledged_at(&self) -> Option<Timestamp> {
        self.acknowledged_at
    }

    fn signals(&self) -> &[Signal] {
        &self.signals
    }

    fn sessions(&self) -> &[SessionId] {
        &self.sessions
    }
}

/// Which alerts to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// Not acknowledged.
    Open,
    /// Acknowledged.
    Acknowledged,
    /// All.
    All,
}

type Row = (String, i64, String, i64, String, String, Option<i64>, Option<String>);
type Listed = (Row, Option<(String, Option<String>)>);

/// Opens an alert.
pub fn open(db: &mut Db, alert: &Alert) -> Result<(), LedgerError> {
    let row = (
        alerts::id.eq(alert.id.to_string()),
        alerts::opened_at.eq(alert.opened_at.ms()),
        alerts::user_id.eq(alert.user.to_string()),
        alerts::risk.eq(alert.risk),
        alerts::action.eq(&alert.action),
        alerts::signals.eq(json(&alert.signals)?),
    );
    diesel::insert_into(alerts::table).values(row).execute(db)?;
    name_sessions(db, alert.id, &alert.sessions)
}

/// Adds signals and sessions to an open alert.
pub fn extend(
    db: &mut Db,
    id: AlertId,
    signals: &[Signal],
    risk: i64,
    new_sessions: &[SessionId],
) -> Result<(), LedgerError> {
    let row = alerts::table.find(id.to_string()).filter(alerts::acknowledged_at.is_null());
    if diesel::update(row).set((alerts::signals.eq(json(signals)?), alerts::risk.eq(risk))).execute(db)? == 1 {
        name_sessions(db, id, new_sessions)?;
    }
    Ok(())
}

fn name_sessions(db: &mut Db, id: AlertId, sessions: &[SessionId]) -> Result<(), LedgerError> {
    for session in sessions {
        let row = (alert_sessions::alert_id.eq(id.to_string()), alert_sessions::session_id.eq(session.to_string()));
        diesel::insert_into(alert_sessions::table).values(row).execute(db)?;
    }
    Ok(())
}

/// A user's newest alerts, the newest first.
pub fn of_user(db: &mut Db, user: UserId, limit: i64) -> Result<Vec<Alert>, LedgerError> {
    let rows = alerts::table.filter(alerts::user_id.eq(user.to_string())).order(alerts::id.desc());
    let rows: Vec<Row> = rows.limit(limit).select(alerts::all_columns).load(db)?;
    with_sessions(db, rows.into_iter().map(|row| (row, None)).collect())
}

/// A page of alerts of all users or of one, the newest first, older than the given one.
pub fn page(
    db: &mut Db,
    state: AlertState,
    user: Option<UserId>,
    before: Option<AlertId>,
    limit: i64,
) -> Result<Vec<Alert>, LedgerError> {
    // An id is a time and a random part in hexadecimal: this text sorts after every id.
    let before = before.map_or_else(|| "g".to_owned(), |id| id.to_string());
    let all = alerts::table.left_join(users::table.on(users::id.eq(alerts::user_id))).filter(alerts::id.lt(before));
    macro_rules! load {
        ($rows:expr) => {{
            let rows = $rows.order(alerts::id.desc()).limit(limit);
            let rows = rows.select((alerts::all_columns, (users::email, users::subject).nullable())).into_boxed();
            match user {
                Some(user) => rows.filter(alerts::user_id.eq(user.to_string())).load(db)?,
                None => rows.load(db)?,
            }
        }};
    }
    let rows: Vec<Listed> = match state {
        AlertState::Open => load!(all.filter(alerts::acknowledged_at.is_null())),
        AlertState::Acknowledged => load!(all.filter(alerts::acknowledged_at.is_not_null())),
        AlertState::All => load!(all),
    };
    with_sessions(db, rows)
}

/// Acknowledges an alert. None: there is no such alert; false: it was acknowledged before.
pub fn acknowledge(db: &mut Db, id: AlertId, at: Timestamp, by: &str) -> Result<Option<bool>, LedgerError> {
    let open = alerts::table.find(id.to_string()).filter(alerts::acknowledged_at.is_null());
    let taken = (alerts::acknowledged_at.eq(Some(at.ms())), alerts::acknowledged_by.eq(Some(by)));
    if diesel::update(open).set(taken).execute(db)? == 1 {
        return Ok(Some(true));
    }
    let known: Option<String> = alerts::table.find(id.to_string()).select(alerts::id).get_result(db).optional()?;
    Ok(known.map(|_| false))
}

/// Acknowledges all alerts about a user.
pub fn acknowledge_all(db: &mut Db, user: UserId, at: Timestamp, by: &str) -> Result<(), LedgerError> {
    let open = alerts::table.filter(alerts::user_id.eq(user.to_string())).filter(alerts::acknowledged_at.is_null());
    let taken = (alerts::acknowledged_at.eq(Some(at.ms())), alerts::acknowledged_by.eq(Some(by)));
    diesel::update(open).set(taken).execute(db)?;
    Ok(())
}

/// The user that an alert is about.
pub fn user_of(db: &mut Db, id: AlertId) -> Result<Option<UserId>, LedgerError> {
    let row = alerts::table.find(id.to_string()).select(alerts::user_id);
    let user: Option<String> = row.get_result(db).optional()?;
    user.map(|id| user_id(&id)).transpose()
}

/// Adds the sessions of a page with one query for all its alerts.
fn with_sessions(db: &mut Db, rows: Vec<Listed>) -> Result<Vec<Alert>, LedgerError> {
    let ids: Vec<&String> = rows.iter().map(|((id, ..), _)| id).collect();
    let named = alert_sessions::table.filter(alert_sessions::alert_id.eq_any(ids));
    let named: Vec<(String, String)> = named
        .order((alert_sessions::alert_id, alert_sessions::session_id))
        .select(alert_sessions::all_columns)
        .load(db)?;
    let alert = |(row, owner): Listed| {
        let (email, subject) = owner.unwrap_or_default();
        let (id, opened_at, user, risk, action, signals, acknowledged_at, acknowledged_by) = row;
        let sessions = named.iter().filter(|(alert, _)| *alert == id).map(|(_, session)| {
            SessionId::parse(session).ok_or_else(|| LedgerError::Corrupt(format!("session id {session:?}")))
        });
        Ok(Alert {
            id: AlertId::parse(&id).ok_or_else(|| LedgerError::Corrupt(format!("alert id {id:?}")))?,
            opened_at: Timestamp::from_ms(opened_at),
            user: user_id(&user)?,
            // A deleted account has an empty address.
            email: Some(email).filter(|email| !email.is_empty()).or(subject),
            risk,
            action,
            signals: serde_json::from_str(&signals)
                .map_err(|error| LedgerError::Corrupt(format!("signals of alert {id}: {error}")))?,
            sessions: sessions.collect::<Result<_, _>>()?,
            acknowledged_at: acknowledged_at.map(Timestamp::from_ms),
            acknowledged_by,
        })
    };
    rows.into_iter().map(alert).collect()
}

fn user_id(text: &str) -> Result<UserId, LedgerError> {
    UserId::parse(text).ok_or_else(|| LedgerError::Corrupt(format!("user id {text:?}")))
}

fn json(signals: &[Signal]) -> Result<String, LedgerError> {
    serde_json::to_string(signals).map_err(|error| LedgerError::Corrupt(error.to_string()))
}
