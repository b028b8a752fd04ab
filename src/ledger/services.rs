//! Services in SQL: applications with users of their own, and the hashes of their secrets.
//!
//! Owns the tables `services` and `service_credentials`. Nodes read all of it at once: there are few.

use diesel::prelude::*;

use super::db::{Db, each};
use super::error::LedgerError;
use super::schema::{service_credentials, services};
use crate::domain::{CredentialId, Scopes, SecretHash, ServiceName, Timestamp};

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was added.
    pub created_at: Timestamp,
    /// Its secrets.
    pub credentials: Vec<Credential>,
}

/// One secret of a service.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The part of the secret that names it.
    pub id: CredentialId,
    /// The hash of the secret.
    pub hash: SecretHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it opens nothing.
    pub expires_at: Option<Timestamp>,
}

type ServiceRow = (String, String, i64);
type CredentialRow = (String, String, Vec<u8>, i64, Option<i64>);

/// Adds a service; false when there is one of this name.
pub fn add(db: &mut Db, service: &Service) -> Result<bool, LedgerError> {
    let row = (
        services::name.eq(service.name.as_str()),
        services::scopes.eq(service.scopes.to_string()),
        services::created_at.eq(service.created_at.ms()),
    );
    let added = each!(db, c => diesel::insert_into(services::table)
        .values(row)
        .on_conflict(services::name)
        .do_nothing()
        .execute(c))?;
    if added == 0 {
        return Ok(false);
    }
    for credential in &service.credentials {
        add_credential(db, service.name, credential)?;
    }
    Ok(true)
}

/// Gives a service one more secret.
pub fn add_credential(db: &mut Db, service: ServiceName, credential: &Credential) -> Result<(), LedgerError> {
    diesel::insert_into(service_credentials::table)
        .values((
            service_credentials::id.eq(credential.id.as_str()),
            service_credentials::service.eq(service.as_str()),
            service_credentials::secret_hash.eq(credential.hash.as_bytes().to_vec()),
            service_credentials::created_at.eq(credential.created_at.ms()),
            service_credentials::expires_at.eq(credential.expires_at.map(Timestamp::ms)),
        ))
        .execute(db)?;
    Ok(())
}

/// How many secrets of a service are valid; none when there is no such service. Two rotations follow each other.
pub fn staying(db: &mut Db, service: ServiceName, now: Timestamp) -> Result<Option<usize>, LedgerError> {
    let name = service.as_str();
    // Locks the row.
    let found = diesel::update(services::table.find(name)).set(services::name.eq(name)).execute(db)?;
    let counts = service_credentials::expires_at.is_null().or(service_credentials::expires_at.gt(now.ms()));
    let rows = service_credentials::table.filter(service_credentials::service.eq(name)).filter(counts);
    let ids: Vec<String> = rows.select(service_credentials::id).load(db)?;
    Ok((found == 1).then_some(ids.len()))
}

/// Lets the present secrets of a service end at this time, if they do not end before it; forgets those that are over.
pub fn end_credentials(db: &mut Db, service: ServiceName, at: Timestamp, now: Timestamp) -> Result<(), LedgerError> {
    let old = || service_credentials::table.filter(service_credentials::service.eq(service.as_str()));
    let longer = service_credentials::expires_at.is_null().or(service_credentials::expires_at.gt(at.ms()));
    diesel::update(old().filter(longer)).set(service_credentials::expires_at.eq(Some(at.ms()))).execute(db)?;
    diesel::delete(old().filter(service_credentials::expires_at.le(now.ms()))).execute(db)?;
    Ok(())
}

/// Removes a service with its secrets; false when there is none of this name.
pub fn remove(db: &mut Db, service: ServiceName) -> Result<bool, LedgerError> {
    let name = service.as_str();
    diesel::delete(service_credentials::table.filter(service_credentials::service.eq(name))).execute(db)?;
    Ok(diesel::delete(services::table.find(name)).execute(db)? == 1)
}

/// Whether a secret is still there. Until the end of the transaction nobody can remove it.
pub fn holds(db: &mut Db, id: &CredentialId, now: Timestamp) -> Result<bool, LedgerError> {
    let counts = service_credentials::expires_at.is_null().or(service_credentials::expires_at.gt(now.ms()));
    let row = service_credentials::table.find(id.as_str()).filter(counts).select(service_credentials::id);
    let found: Option<String> = match db {
        #[cfg(feature = "postgres")]
        Db::Pg(c) => row.for_share().get_result(c).optional()?,
        Db::Sqlite(c) => row.get_result(c).optional()?,
    };
    Ok(found.is_some())
}

/// All services, by name.
pub fn all(db: &mut Db) -> Result<Vec<Service>, LedgerError> {
    let credentials: Vec<CredentialRow> = service_credentials::table.order(service_credentials::created_at).load(db)?;
    let rows: Vec<ServiceRow> = services::table.order(services::name).load(db)?;
    rows.into_iter().map(|row| read(row, &credentials)).collect()
}

fn read((name, scopes, created_at): ServiceRow, all: &[CredentialRow]) -> Result<Service, LedgerError> {
    let own = all.iter().filter(|(_, service, ..)| *service == name);
    let credentials = own.map(|(id, _, hash, created_at, expires_at)| {
        let hash = SecretHash::from_slice(hash).ok_or_else(|| corrupt(&name))?;
        let (created_at, expires_at) = (Timestamp::from_ms(*created_at), expires_at.map(Timestamp::from_ms));
        Ok(Credential { id: id.clone().into(), hash, created_at, expires_at })
    });
    let credentials = credentials.collect::<Result<_, LedgerError>>()?;
    let created_at = Timestamp::from_ms(created_at);
    Ok(Service {
        name: name.parse().map_err(|_| corrupt(&name))?,
        scopes: Scopes::parse(&scopes),
        created_at,
        credentials,
    })
}

fn corrupt(name: &str) -> LedgerError {
    LedgerError::Corrupt(format!("the service {name:?}"))
}
