//! `sessiond service …`: applications that have the sessions of their own users here.
//!
//! Owns the words of these commands. Prints a secret once, to the operator who asked for it, and nowhere else.

use std::io::Write;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use crate::config::Config;
use crate::domain::{Scope, ServiceName, ServiceSecret, Timestamp};
use crate::ledger::services::Service;
use crate::server;
use crate::service::{AuditContext, CredentialError};

use super::failure::Failure;
use super::output::Output;

/// Longest time for which an old secret goes on after a rotation.
const LONGEST_OVERLAP: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Commands on services.
#[derive(Subcommand)]
pub enum Command {
    /// Add a service and print its secret, once
    Add {
        /// Its name: lower-case letters, digits, dots, dashes and underscores. The audit log shows it
        name: ServiceName,
        /// What it may do: issue, introspect, revoke, admin.read, admin.write
        #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', required = true)]
        scopes: Vec<Scope>,
        /// Print the secret as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the services, and the secrets that are valid
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Print another secret, once; the old ones go on for a while
    Rotate {
        /// The service
        name: ServiceName,
        /// How long the old secrets go on, such as 1h. With 0s none does when the command returns
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = overlap)]
        overlap: Duration,
        /// Print the secret as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Remove a service: when the command returns, no node accepts its secrets. Its users and their sessions stay
    Remove {
        /// The service
        name: ServiceName,
    },
}

impl Command {
    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::List { .. })
    }
}

fn overlap(text: &str) -> Result<Duration, String> {
    let overlap = humantime::parse_duration(text).map_err(|_| "write a time such as 0s, 15m or 1day".to_owned())?;
    if overlap > LONGEST_OVERLAP { Err("at most 90 days".to_owned()) } else { Ok(overlap) }
}

/// A new secret, with `--json`.
#[derive(Serialize)]
struct Shown<'a> {
    service: &'a str,
    secret: &'a str,
}

/// A service, with `--json`.
#[derive(Serialize)]
struct Listed {
    name: String,
    scopes: String,
    created_at: Timestamp,
    secrets: Vec<ListedSecret>,
}

#[derive(Serialize)]
struct ListedSecret {
    id: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

/// Runs the command.
pub async fn run(command: Command, config: &Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let app = server::open_existing_ledger(config).await?;
    let (credentials, context) = (&app.credentials, AuditContext::command_line());
    match command {
        Command::Add { name, scopes, json } => {
            let secret = credentials.add(name, scopes.into_iter().collect(), &context).await?;
            tell(name, &secret, json, out)
        }
        Command::List { json } => {
            let now = app.core.clock().now();
            list(credentials.list().await?, now, json, out)
        }
        Command::Rotate { name, overlap, json } => {
            let secret = credentials.rotate(name, overlap, &context).await?;
            tell(name, &secret, json, out)
        }
        Command::Remove { name } => {
            credentials.remove(name, &context).await?;
            out.line(&format!("No node accepts a secret of {name} any more. Its users and their sessions stay."))
        }
    }
}

fn tell(name: ServiceName, secret: &ServiceSecret, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    match json {
        true => out.json(&Shown { service: name.as_str(), secret: secret.expose() }),
        // Alone in its line, for a script; what it is follows on standard error.
        false => out.line(secret.expose()),
    }
}

fn list(services: Vec<Service>, now: Timestamp, json: bool, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let services: Vec<_> = services.into_iter().map(|service| listed(service, now)).collect();
    if json {
        return services.iter().try_for_each(|service| out.json(service));
    }
    if services.is_empty() {
        return out.line("There is no service yet. Add one with `sessiond service add NAME --scope issue,introspect`.");
    }
    let head = ["NAME", "SCOPES", "SECRET", "CREATED", "ENDS"].map(str::to_owned);
    let rows = services.iter().flat_map(|service| {
        let none = [service.name.clone(), service.scopes.clone(), "none".to_owned(), String::new(), String::new()];
        let none = service.secrets.is_empty().then_some(none);
        let secrets = service.secrets.iter().map(|secret| {
            let ends = secret.expires_at.map_or_else(|| "-".to_owned(), Timestamp::to_rfc3339);
            let id = format!("{}{}…", crate::domain::service_secret::PREFIX, secret.id);
            [service.name.clone(), service.scopes.clone(), id, secret.created_at.to_rfc3339(), ends]
        });
        none.into_iter().chain(secrets)
    });
    out.rows(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn listed(service: Service, now: Timestamp) -> Listed {
    let valid = service.credentials.into_iter().filter(|it| it.expires_at.is_none_or(|end| now < end));
    let secrets = valid.map(|it| ListedSecret {
        id: it.id.as_str().to_owned(),
        created_at: it.created_at,
        expires_at: it.expires_at,
    });
    Listed {
        name: service.name.to_string(),
        scopes: service.scopes.to_string(),
        created_at: service.created_at,
        secrets: secrets.collect(),
    }
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Unavailable(error) => error.into(),
            CredentialError::Taken => Self::failed(
                "There is already a service of this name: give it another secret with `sessiond service rotate`.",
            ),
            CredentialError::Unknown => Self::failed("There is no service of this name: see `sessiond service list`."),
            CredentialError::TooMany => Self::failed(
                "There are too many services, or too many secrets of this one: wait until older ones are over.",
            ),
        }
    }
}
