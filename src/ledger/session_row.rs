//! A session's row, and how a new one begins.
//!
//! Owns [`Session`], the columns of the `sessions` table in their order, and the one constructor. Must never read or write
//! the table: [`super::sessions`] does.

use std::net::IpAddr;
use std::time::Duration;

use diesel::prelude::*;

use super::schema::sessions;
use crate::domain::session::{Deadlines, Terms};
use crate::domain::{Acting, Client, SessionId, Timestamp, TokenHash, UserId};

/// A session's row.
#[derive(Clone, Queryable, Insertable)]
#[diesel(table_name = sessions)]
pub struct Session {
    /// The session's public id.
    #[diesel(deserialize_as = String, serialize_as = String)]
    pub id: SessionId,
    /// The owner.
    #[diesel(deserialize_as = String, serialize_as = String)]
    pub user_id: UserId,
    /// The current token's hash.
    #[diesel(deserialize_as = Vec<u8>, serialize_as = Vec<u8>)]
    pub token_hash: TokenHash,
    /// When it was issued.
    #[diesel(deserialize_as = i64, serialize_as = i64)]
    pub created_at: Timestamp,
    /// When its owner last proved their identity.
    #[diesel(deserialize_as = i64, serialize_as = i64)]
    pub authenticated_at: Timestamp,
    /// When it was last used, at most [`crate::domain::session::ledger_lag`] behind.
    #[diesel(deserialize_as = i64, serialize_as = i64)]
    pub last_seen_at: Timestamp,
    /// When it ends in any case.
    #[diesel(deserialize_as = i64, serialize_as = i64)]
    pub expires_at: Timestamp,
    /// The idle timeout.
    pub idle_seconds: i64,
    /// Whether its cookie survives the end of the browser session.
    pub remember: bool,
    /// The address of the sign-in.
    pub sign_in_ip: String,
    /// The address of the last use.
    pub last_ip: String,
    /// The User-Agent of the sign-in, or of the owner's last proof.
    pub user_agent: Option<String>,
    /// The application's data, as JSON.
    pub data: Option<String>,
    /// When it was ended.
    pub ended_at: Option<i64>,
    /// Why it was ended.
    pub end_reason: Option<String>,
    /// Since when its owner must give a new proof before it may change anything.
    pub challenged_at: Option<i64>,
    /// The country of the sign-in: two letters of ISO 3166-1.
    pub country: Option<String>,
    /// The city of the sign-in.
    pub city: Option<String>,
    /// The network (autonomous system number) of the sign-in.
    pub asn: Option<i64>,
    /// That network's name.
    pub network: Option<String>,
    /// The latitude of the sign-in, in degrees north.
    pub latitude: Option<f64>,
    /// The longitude of the sign-in, in degrees east.
    pub longitude: Option<f64>,
    /// The browser's family, from its User-Agent.
    pub browser: Option<String>,
    /// The operating system's family, from its User-Agent.
    pub os: Option<String>,
    /// `last_ip` as [`ip_key`] orders it.
    pub last_ip_key: Option<Vec<u8>>,
    /// The risk score.
    pub risk: i64,
    /// `sign_in_ip` as [`ip_key`] orders it.
    pub sign_in_ip_key: Option<Vec<u8>>,
    /// The country of `last_ip`, where that differs from `sign_in_ip`.
    pub last_country: Option<String>,
    /// The city of `last_ip`, in the same case.
    pub last_city: Option<String>,
    /// The network number of `last_ip`, in the same case.
    pub last_asn: Option<i64>,
    /// That network's name.
    pub last_network: Option<String>,
    /// Who acts in it for its user, as [`Acting`] spells it. With it, the row has as many columns as diesel takes.
    pub actor: Option<String>,
}

/// An address as sixteen bytes, IPv4 mapped into IPv6: sorts the addresses of one network together.
pub fn ip_key(ip: IpAddr) -> Vec<u8> {
    let ip = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    ip.octets().to_vec()
}

impl Session {
    /// The row of a session that begins at `now`, for this client. Its location and risk are not known yet.
    pub fn new(
        id: SessionId,
        user: UserId,
        token_hash: TokenHash,
        (terms, remember): (Terms, bool),
        client: &Client,
        now: Timestamp,
    ) -> Self {
        let (ip, ip_key) = (client.ip.to_string(), Some(ip_key(client.ip)));
        Self {
            id,
            user_id: user,
            token_hash,
            created_at: now,
            authenticated_at: now,
            last_seen_at: now,
            expires_at: now.plus(terms.absolute),
            idle_seconds: i64::try_from(terms.idle.as_secs()).unwrap_or(i64::MAX),
            remember,
            sign_in_ip: ip.clone(),
            last_ip: ip,
            user_agent: client.user_agent.clone(),
            data: None,
            ended_at: None,
            end_reason: None,
            challenged_at: None,
            country: None,
            city: None,
            asn: None,
            network: None,
            latitude: None,
            longitude: None,
            browser: None,
            os: None,
            last_ip_key: ip_key.clone(),
            risk: 0,
            sign_in_ip_key: ip_key,
            last_country: None,
            last_city: None,
            last_asn: None,
            last_network: None,
            actor: None,
        }
    }

    /// The same row, of a session in which this party acts. Its owner has proven nothing, and nothing is expected of the
    /// party: what asks for a proof never gets one.
    #[must_use]
    pub fn acted_in(self, by: Option<&Acting>) -> Self {
        let challenged_at = by.map(|_| self.created_at.ms());
        Self { actor: by.map(ToString::to_string), challenged_at, ..self }
    }

    /// Who acts in it for its user; none in an ordinary session.
    pub fn acting(&self) -> Option<Acting> {
        self.actor.as_deref().and_then(Acting::parse)
    }

    /// When it ends without an action.
    pub fn deadlines(&self) -> Deadlines {
        Deadlines { last_seen: self.last_seen_at, idle: idle(self.idle_seconds), expires: self.expires_at }
    }
}

/// An idle timeout as a duration.
pub(super) fn idle(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
