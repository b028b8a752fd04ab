//! Erasure: removes the personal data of a deleted account.
//!
//! Owns the list of personal columns. The rows of the account and its sessions stay, with only ids, times and reasons:
//! while those sessions could last, the ledger must know that they have ended. Audit log lines keep only the id.

use std::time::Duration;

use diesel::prelude::*;

use super::db::Db;
use super::error::LedgerError;
use super::schema::{alerts, audit, sessions, users, webhook_outbox};
use super::{resets, user_names};
use crate::domain::event::{Actor, Event};
use crate::domain::{Filter, Timestamp, UserId};

/// Deletes a locked account: its address becomes free, and it allows no sign-in. The caller ends its sessions in the
/// same transaction.
pub fn delete(db: &mut Db, id: UserId, at: Timestamp) -> Result<(), LedgerError> {
    user_names::forget(db, id)?;
    resets::void(db, id)?;
    diesel::update(users::table.find(id.to_string()))
        .set((
            users::email.eq(""),
            // Unique, and not an address: it contains a space.
            users::email_key.eq(format!("deleted {id}")),
            users::name.eq(None::<String>),
            users::password_hash.eq(""),
            users::roles.eq("user"),
            (users::subject.eq(None::<String>), users::claims.eq(None::<String>)),
            users::disabled_at.eq(Some(at.ms())),
            users::deleted_at.eq(Some(at.ms())),
        ))
        .execute(db)?;
    Ok(())
}

/// Erases personal data in at most this many rows of a deleted account; false when nothing was left.
pub fn erase_some(db: &mut Db, id: UserId, limit: i64) -> Result<bool, LedgerError> {
    Ok(erase_sessions(db, id, limit)?
        || erase_lines(db, id, limit)?
        || erase_alerts(db, id, limit)?
        || erase_messages(db, id, limit)?)
}

fn erase_sessions(db: &mut Db, id: UserId, limit: i64) -> Result<bool, LedgerError> {
    // All of them have ended, and this index covers ended sessions.
    let rows = sessions::table
        .filter(sessions::user_id.eq(id.to_string()))
        .filter(sessions::ended_at.is_not_null())
        .filter(sessions::sign_in_ip.ne(""));
    let ids: Vec<String> = rows.select(sessions::id).limit(limit).load(db)?;
    diesel::update(sessions::table.filter(sessions::id.eq_any(&ids)))
        .set((
            (sessions::sign_in_ip.eq(""), sessions::last_ip.eq(""), sessions::last_ip_key.eq(None::<Vec<u8>>)),
            (sessions::sign_in_ip_key.eq(None::<Vec<u8>>), sessions::risk.eq(0)),
            (sessions::user_agent.eq(None::<String>), sessions::browser.eq(None::<String>)),
            (sessions::os.eq(None::<String>), sessions::data.eq(None::<String>)),
            (sessions::country.eq(None::<String>), sessions::city.eq(None::<String>)),
            (sessions::asn.eq(None::<i64>), sessions::network.eq(None::<String>)),
            (sessions::latitude.eq(None::<f64>), sessions::longitude.eq(None::<f64>)),
            (sessions::last_country.eq(None::<String>), sessions::last_city.eq(None::<String>)),
            (sessions::last_asn.eq(None::<i64>), sessions::last_network.eq(None::<String>)),
            sessions::actor.eq(None::<String>),
        ))
        .execute(db)?;
    Ok(!ids.is_empty())
}

/// The addresses and devices in lines about the account, and in lines of its own actions.
fn erase_lines(db: &mut Db, user: UserId, limit: i64) -> Result<bool, LedgerError> {
    let id = user.to_string();
    // A device, or an administrator's words about the user.
    let telling = [Event::DeviceChanged.name(), Event::ActingSessionIssued.name()];
    let device = || audit::event.concat("").eq_any(telling).and(audit::detail.is_not_null());
    // The address of an administrator who acted on the account is not the account's data.
    let own = [id.clone(), Actor::Anonymous.name(), Actor::Server.name()];
    let from = || audit::ip.is_not_null().and(audit::actor.concat("").eq_any(own.clone()));
    // Apart from the user, a filter may name locations and devices.
    let of_account = Filter { user: Some(user), ..Filter::default() }.to_string();
    let filter = || {
        let is_of_filter = audit::event.concat("").eq(Event::SessionsRevokedByFilter.name());
        is_of_filter.and(audit::detail.ne(Some(&of_account)))
    };
    let about = audit::table.filter(audit::user_id.eq(&id)).filter(from().or(device()).or(filter()));
    let mut ids: Vec<String> = about.select(audit::id).limit(limit).load(db)?;
    if ids.is_empty() {
        let by = audit::table.filter(audit::actor.eq(&id)).filter(audit::ip.is_not_null());
        ids = by.select(audit::id).limit(limit).load(db)?;
    }
    let devices = audit::table.filter(audit::id.eq_any(&ids)).filter(audit::user_id.eq(&id)).filter(device());
    diesel::update(devices).set(audit::detail.eq(None::<String>)).execute(db)?;
    let filters = audit::table.filter(audit::id.eq_any(&ids)).filter(filter());
    diesel::update(filters).set(audit::detail.eq(Some(&of_account))).execute(db)?;
    diesel::update(audit::table.filter(audit::id.eq_any(&ids))).set(audit::ip.eq(None::<String>)).execute(db)?;
    Ok(!ids.is_empty())
}

/// The reasons name locations and devices.
fn erase_alerts(db: &mut Db, id: UserId, limit: i64) -> Result<bool, LedgerError> {
    let rows = alerts::table.filter(alerts::user_id.eq(id.to_string())).filter(alerts::signals.ne("[]"));
    let ids: Vec<String> = rows.select(alerts::id).limit(limit).load(db)?;
    diesel::update(alerts::table.filter(alerts::id.eq_any(&ids))).set(alerts::signals.eq("[]")).execute(db)?;
    Ok(!ids.is_empty())
}

/// Erases delivered messages; one still waiting goes like all others, some days after its delivery.
fn erase_messages(db: &mut Db, id: UserId, limit: i64) -> Result<bool, LedgerError> {
    let rows = webhook_outbox::table
        .filter(webhook_outbox::ordering_key.eq(id.to_string()))
        .filter(webhook_outbox::done_at.is_not_null());
    let ids: Vec<String> = rows.select(webhook_outbox::id).limit(limit).load(db)?;
    diesel::delete(webhook_outbox::table.filter(webhook_outbox::id.eq_any(&ids))).execute(db)?;
    Ok(!ids.is_empty())
}

/// A refusal's line is written at most a minute later: an account is checked again for this long.
const LATE_LINES: Duration = Duration::from_secs(120);

/// Records that no personal data is left, once no late line can come.
pub fn finish(db: &mut Db, id: UserId, at: Timestamp) -> Result<(), LedgerError> {
    let late = i64::try_from(LATE_LINES.as_millis()).unwrap_or(i64::MAX);
    let row = users::table
        .find(id.to_string())
        .filter(users::erased_at.is_null())
        .filter(users::deleted_at.le(at.ms().saturating_sub(late)));
    diesel::update(row).set(users::erased_at.eq(Some(at.ms()))).execute(db)?;
    Ok(())
}

/// Deleted accounts that may still hold personal data, up to a limit.
pub fn unfinished(db: &mut Db, limit: i64) -> Result<Vec<UserId>, LedgerError> {
    let rows = users::table.filter(users::deleted_at.is_not_null()).filter(users::erased_at.is_null());
    let ids: Vec<String> = rows.order(users::id).limit(limit).select(users::id).load(db)?;
    ids.iter().map(|id| UserId::parse(id).ok_or(LedgerError::Corrupt(format!("user id {id:?}")))).collect()
}
