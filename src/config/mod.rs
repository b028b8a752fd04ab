//! Every setting: its name, its default, its meaning, its check.
//!
//! Owns [`Settings`] (what the operator wrote) and [`Config`] (what it means). A bad or contradictory value is
//! one sentence that names the variable; an unknown one is a warning. Must never connect to anything and never print a
//! secret; imports the domain and nothing else.

mod clear_site_data;
mod cookie_key;
mod csrf;
mod effective;
mod given;
mod network;
mod origin;
#[cfg(test)]
mod page;
mod retention;
mod risk;
mod secret_file;
mod settings;
mod stores;
mod terms;
#[cfg(test)]
mod tests;
mod unknown;
mod url;
mod webhook;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::{RiskPolicy, Terms};

pub use clear_site_data::{ClearSiteData, SiteData};
pub use cookie_key::{CookieKey, CookieKeySource};
pub use given::ConfigError;
pub use origin::Origin;
pub(crate) use origin::{MAX_BASE_SEGMENTS, is_public_suffix};
pub use settings::Settings;
pub use stores::{Database, Redis, absolute};
pub use url::SecretUrl;
pub use webhook::Webhook;

use given::Given;
use settings::var;

/// The settings, read and checked. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to serve. Port 0 asks the operating system for a free one; the default origins cannot know it.
    pub listen: SocketAddr,
    /// How many threads serve, at least one.
    pub workers: usize,
    /// What must never be lost, and where it is kept.
    pub database: Database,
    /// The Redis server that answers checks; without one every check reads the database.
    pub redis: Option<Redis>,
    /// The path under which everything is served: empty, or `/auth`.
    pub base_path: String,
    /// The domain whose hosts share the cookie; none for a cookie of one host.
    pub cookie_domain: Option<String>,
    /// Where the key that signs the cookie comes from.
    pub cookie_key: CookieKeySource,
    /// The origins that browsers use, at least one; the first is used in links.
    pub origins: Vec<Origin>,
    /// Whether the operator has named others than this machine's own.
    pub origins_given: bool,
    /// For which hosts browsers are told to use https alone, where an origin is https.
    pub hsts: Hsts,
    /// The networks whose word on a client's address counts; empty when the peer is the client.
    pub trusted_proxies: Vec<IpNet>,
    /// The header with that word, in lower case; there exactly when there are trusted proxies.
    pub client_ip_header: Option<String>,
    /// The header in which a gateway tells the method of the request that it asks about, in lower case. Unsafe ones
    /// must show a CSRF token then; none where that is left to the application.
    pub csrf_method_header: Option<String>,
    /// What browsers delete when somebody signs out.
    pub clear_site_data: ClearSiteData,
    /// How long ordinary sessions last.
    pub terms: Terms,
    /// How long the sessions of people last who chose to be remembered.
    pub remember_terms: Terms,
    /// How old a last-seen time must be before it is written again.
    pub last_seen_resolution: Duration,
    /// How many sessions one user may have at a time, at least one.
    pub max_sessions: usize,
    /// What a sign-in over that limit does.
    pub max_sessions_policy: MaxSessionsPolicy,
    /// How many streams of events may be open on one node, at least one.
    pub max_event_streams: usize,
    /// How many wrong passwords may come from one address in ten minutes, at least one.
    pub sign_in_address_limit: u32,
    /// How old a proof of who somebody is may be, for what wants a recent one.
    pub step_up_age: Duration,
    /// What happens when a session is shown by another browser or system.
    pub on_device_change: DeviceChangePolicy,
    /// Files that say where addresses are; none where nobody asks.
    pub geoip_files: Vec<PathBuf>,
    /// What is strange about sessions, and what is done then.
    pub risk: RiskPolicy,
    /// How many characters a new password must have, at least eight.
    pub password_min_length: usize,
    /// Who is told of sessions that begin and end, if anybody is.
    pub webhook: Option<Webhook>,
    /// Whether anybody may make an account.
    pub registration: Registration,
    /// How long lines of the audit log are kept.
    pub audit_retention: Duration,
    /// How long the rows of sessions are kept after their absolute timeout.
    pub ended_session_retention: Duration,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// The variables that name a file with a secret which its group can reach.
    pub secrets_of_group: Vec<&'static str>,
}

/// Which secrets are read: whoever asks for what uses none may be somebody who has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// All, as to serve.
    All,
    /// Those that sign messages to the webhook's receiver.
    Webhook,
    /// None.
    None,
}

/// For which hosts browsers are told to use https alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hsts {
    /// The one that serves this.
    Host,
    /// That one and all under it.
    Subdomains,
}

/// What a sign-in over the session limit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxSessionsPolicy {
    /// It ends the session that was issued first.
    EvictOldest,
    /// It is refused.
    Refuse,
}

/// What happens when a session is shown by another browser or system than the one that it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChangePolicy {
    /// A line in the audit log.
    Log,
    /// The same, and the session changes nothing before its owner has proven who they are.
    StepUp,
    /// The same, and the session ends.
    Revoke,
}

/// Whether anybody may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anybody may.
    Open,
    /// Only an operator may, from the command line.
    Closed,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

const POLICIES: [(&str, MaxSessionsPolicy); 2] =
    [("evict_oldest", MaxSessionsPolicy::EvictOldest), ("refuse", MaxSessionsPolicy::Refuse)];
const DEVICE_CHANGES: [(&str, DeviceChangePolicy); 3] =
    [("log", DeviceChangePolicy::Log), ("step_up", DeviceChangePolicy::StepUp), ("revoke", DeviceChangePolicy::Revoke)];
const HSTS: [(&str, Hsts); 2] = [("host", Hsts::Host), ("subdomains", Hsts::Subdomains)];
const REGISTRATIONS: [(&str, Registration); 2] = [("open", Registration::Open), ("closed", Registration::Closed)];
const LOG_FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

const MAX_SESSIONS: usize = 100;
const MOST_SESSIONS: usize = 10_000;
const MAX_EVENT_STREAMS: usize = 20_000;
const MOST_EVENT_STREAMS: usize = 1_000_000;
const SIGN_IN_ADDRESS_LIMIT: u32 = 100;
const MOST_SIGN_INS: u32 = 1_000_000;

const PASSWORD_MIN_LENGTH: usize = 8;
/// Whoever wants to use 64 characters must be let (OWASP ASVS 6.2.9).
const MOST_PASSWORD_MIN_LENGTH: usize = 64;

impl TryFrom<Settings> for Config {
    type Error = ConfigError;

    /// Reads and checks everything; the first thing that is wrong is the answer.
    fn try_from(settings: Settings) -> Result<Self, ConfigError> {
        Self::read(settings, Secrets::All)
    }
}

impl Config {
    /// Reads and checks everything but the secrets that are not needed.
    pub(crate) fn read(settings: Settings, secrets: Secrets) -> Result<Self, ConfigError> {
        let mut secrets_of_group = Vec::new();
        let listen = network::listen(&settings)?;
        let database = stores::database(&settings)?;
        let redis = stores::redis(&settings)?;
        let origins = origin::origins(&settings, listen.port())?;
        let (trusted_proxies, client_ip_header) = network::proxies(&settings)?;
        let (terms, remember_terms) = terms::both(&settings)?;
        let max_sessions = Given::new(var::MAX_SESSIONS, settings.max_sessions.as_ref());
        let policy = Given::new(var::MAX_SESSIONS_POLICY, settings.max_sessions_policy.as_ref());
        let event_streams = Given::new(var::MAX_EVENT_STREAMS, settings.max_event_streams.as_ref());
        let address_limit = Given::new(var::SIGN_IN_ADDRESS_LIMIT, settings.sign_in_address_limit.as_ref());
        let on_device_change = Given::new(var::ON_DEVICE_CHANGE, settings.on_device_change.as_ref());
        let password_min_length = Given::new(var::PASSWORD_MIN_LENGTH, settings.password_min_length.as_ref());
        let registration = Given::new(var::REGISTRATION, settings.registration.as_ref());
        Ok(Self {
            workers: network::workers(&settings)?,
            base_path: origin::base_path(&settings)?,
            cookie_domain: origin::cookie_domain(&settings, &origins)?,
            cookie_key: match secrets {
                Secrets::All => cookie_key::source(&settings, &database, redis.is_some(), &mut secrets_of_group)?,
                Secrets::Webhook | Secrets::None => CookieKeySource::Unread,
            },
            hsts: Given::new(var::HSTS, settings.hsts.as_ref()).choice(Hsts::Host, &HSTS)?,
            csrf_method_header: csrf::method_header(&settings)?,
            clear_site_data: clear_site_data::clear_site_data(&settings)?,
            last_seen_resolution: terms::last_seen_resolution(&settings)?,
            max_sessions: max_sessions.number(MAX_SESSIONS, 1, MOST_SESSIONS)?,
            max_sessions_policy: policy.choice(MaxSessionsPolicy::EvictOldest, &POLICIES)?,
            max_event_streams: event_streams.number(MAX_EVENT_STREAMS, 1, MOST_EVENT_STREAMS)?,
            sign_in_address_limit: address_limit.number(SIGN_IN_ADDRESS_LIMIT, 1, MOST_SIGN_INS)?,
            step_up_age: terms::step_up_age(&settings)?,
            on_device_change: on_device_change.choice(DeviceChangePolicy::Log, &DEVICE_CHANGES)?,
            geoip_files: risk::geoip_files(&settings)?,
            risk: risk::policy(&settings)?,
            password_min_length: password_min_length.number(
                PASSWORD_MIN_LENGTH,
                PASSWORD_MIN_LENGTH,
                MOST_PASSWORD_MIN_LENGTH,
            )?,
            webhook: webhook::webhook(&settings, secrets != Secrets::None, &mut secrets_of_group)?,
            registration: registration.choice(Registration::Open, &REGISTRATIONS)?,
            audit_retention: retention::audit(&settings)?,
            ended_session_retention: retention::ended_sessions(&settings)?,
            log_format: Given::new(var::LOG_FORMAT, settings.log_format.as_ref())
                .choice(LogFormat::Text, &LOG_FORMATS)?,
            listen,
            database,
            redis,
            origins_given: origins != origin::own(listen.port()),
            origins,
            trusted_proxies,
            client_ip_header,
            terms,
            remember_terms,
            secrets_of_group,
        })
    }

    /// Reads variables from anywhere but the environment, for applications that embed this library. Other programs'
    /// variables are left alone; the log warns of a `SESSIOND_` one that is no setting.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ConfigError> {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let mut settings = Settings::default();
        for (variable, text) in &pairs {
            if let Some(field) = settings.field(variable) {
                *field = Some((*text).to_owned());
            }
        }
        for slip in unknown::unknown(pairs) {
            log::warn!("{slip}");
        }
        Self::try_from(settings)
    }

    /// The settings of this process' environment: for an application that mounts the session layer.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::check_env()?;
        let pairs = env();
        Self::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Whether the settings of this process' environment are text.
    pub(crate) fn check_env() -> Result<(), ConfigError> {
        let variables: Vec<_> = std::env::vars_os().collect();
        unknown::check_text(variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())))
    }

    /// A sentence for each variable of this process' environment that looks like a setting and is none.
    pub(crate) fn slips() -> Vec<String> {
        unknown::unknown(env().iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The address that people open: the first origin with the base path, without a slash at the end.
    pub fn public_url(&self) -> String {
        let origin = self.origins.first().map(Origin::to_string).unwrap_or_default();
        format!("{origin}{}", self.base_path)
    }

    /// What all nodes that share a database share: the variable, its value (of the key, its fingerprint), and whether a node
    /// that differs cannot serve beside the others.
    pub fn shared(&self, key: &CookieKey) -> Vec<(&'static str, String, bool)> {
        let mut shared = vec![
            (var::COOKIE_KEY, key.fingerprint(), true),
            (var::COOKIE_DOMAIN, self.cookie_domain.clone().unwrap_or_default(), true),
            (var::BASE_PATH, self.base_path.clone(), false),
        ];
        if let Some(redis) = &self.redis {
            shared.push((var::REDIS_PREFIX, redis.prefix.clone(), true));
            shared.push((var::STORE_LEASE, terms::text(redis.store_lease), true));
        }
        if self.origins_given {
            let mut origins: Vec<_> = self.origins.iter().map(Origin::to_string).collect();
            origins.sort();
            shared.push((var::ORIGIN, origins.join(","), false));
        }
        shared
    }

    /// What an operator should be told at the start although it is no error.
    pub fn advice(&self) -> Vec<String> {
        let of_group = |variable| format!("{variable} names a file that its group can read or write");
        self.forgotten_origin().into_iter().chain(self.secrets_of_group.iter().map(of_group)).collect()
    }

    /// That links lead to this machine, where that cannot be meant.
    pub fn forgotten_origin(&self) -> Option<String> {
        let behind_something = !self.trusted_proxies.is_empty() || !self.listen.ip().is_loopback();
        let sqlite = matches!(self.database, Database::Sqlite { .. });
        if self.origins_given || (sqlite && !behind_something) {
            return None;
        }
        let own = list(&self.origins).unwrap_or_default();
        Some(format!(
            "{} is not set: only pages of {own} may sign in or change anything, and links lead there; name what browsers open, \
             such as https://app.example.com",
            var::ORIGIN
        ))
    }
}

/// The variables of this process that are text.
fn env() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

fn list<T: ToString>(items: &[T]) -> Option<String> {
    let texts: Vec<_> = items.iter().map(T::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}
