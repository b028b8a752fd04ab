//! Every setting: its name, default, meaning and check.
//!
//! Owns [`Settings`] (the operator's input) and [`Config`] (its meaning). An invalid or conflicting value is a one-line
//! error that names the variable; an unknown variable is a warning. Must never connect to anything and never print a
//! secret; imports only the domain.

mod clear_site_data;
mod cookie_key;
mod csrf;
mod effective;
mod exchange;
mod given;
mod jwt;
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

use crate::domain::{AtLimit, OnDeviceChange, Registration, RiskPolicy, Terms};

pub use clear_site_data::{ClearSiteData, SiteData};
pub use cookie_key::{CookieKey, CookieKeySource};
pub use exchange::Exchange;
pub use given::ConfigError;
pub use jwt::Jwt;
pub use origin::Origin;
pub(crate) use origin::{MAX_BASE_SEGMENTS, is_public_suffix};
pub use settings::Settings;
pub use stores::{Database, Redis, absolute};
pub use url::SecretUrl;
pub use webhook::Webhook;

use settings::var;

/// The settings of sessiond, parsed and checked. `Debug` shows no secret.
///
/// They are the program's own settings, by the same names: `DATABASE_URL`, `REDIS_URL`, `SESSIOND_ORIGIN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address to serve on. Port 0 asks the operating system for a free one; the default origins cannot know it.
    pub(crate) listen: SocketAddr,
    /// Number of worker threads, at least one.
    pub(crate) workers: usize,
    /// The database that holds what must never be lost.
    pub(crate) database: Database,
    /// The Redis server that answers checks; without it every check reads the database.
    pub(crate) redis: Option<Redis>,
    /// How long a Redis process is trusted after the ledger last confirmed it. A command without Redis needs it, too: it
    /// waits until the nodes no longer trust what they trusted before.
    pub(crate) store_lease: Duration,
    /// How many copies of records a node keeps in its memory; zero: none.
    pub(crate) near_cache: usize,
    /// The path of all routes: empty, or `/auth`.
    pub(crate) base_path: String,
    /// The domain whose hosts share the cookie; `None` for a cookie of one host.
    pub(crate) cookie_domain: Option<String>,
    /// The source of the key that signs the cookie.
    pub(crate) cookie_key: CookieKeySource,
    /// The origins that browsers use, at least one; links use the first.
    pub(crate) origins: Vec<Origin>,
    /// Whether the operator has set them.
    pub(crate) origins_given: bool,
    /// The hosts that HSTS covers, if an origin is https.
    pub(crate) hsts: Hsts,
    /// The networks of trusted proxies; empty if the peer is the client.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The proxies' header with the client's address, in lower case; present if and only if there are trusted proxies.
    pub(crate) client_ip_header: Option<String>,
    /// The header in which a gateway sends the original method, in lower case. Unsafe methods must then show a CSRF
    /// token; `None` leaves this to the application.
    pub(crate) csrf_method_header: Option<String>,
    /// What browsers delete at sign-out.
    pub(crate) clear_site_data: ClearSiteData,
    /// Timeouts of ordinary sessions.
    #[doc(hidden)]
    pub terms: Terms,
    /// Timeouts of remembered sessions.
    #[doc(hidden)]
    pub remember_terms: Terms,
    /// Timeouts of sessions in which somebody acts for the user.
    pub(crate) acting_terms: Terms,
    /// How old a last-seen time must be before it is written again.
    pub(crate) last_seen_resolution: Duration,
    /// Most sessions of one user at a time, at least one.
    pub(crate) max_sessions: usize,
    /// What a sign-in over that limit does.
    pub(crate) max_sessions_policy: AtLimit,
    /// Most open event streams on one node, at least one.
    pub(crate) max_event_streams: usize,
    /// Most wrong passwords from one address in ten minutes, at least one.
    pub(crate) sign_in_address_limit: u32,
    /// Maximum age of a proof of identity, for actions that need a recent one.
    pub(crate) step_up_age: Duration,
    /// What happens when another browser or system presents a session.
    pub(crate) on_device_change: OnDeviceChange,
    /// Location files for addresses; empty if locations are off.
    pub(crate) geoip_files: Vec<PathBuf>,
    /// The rules for unusual sessions and their action.
    pub(crate) risk: RiskPolicy,
    /// Fewest characters of a new password, at least eight.
    pub(crate) password_min_length: usize,
    /// The receiver of session events, if any.
    #[doc(hidden)]
    pub webhook: Option<Webhook>,
    /// Tokens for services, if they are issued.
    pub(crate) jwt: Option<Jwt>,
    /// The exchange of an application's old tokens, if any.
    pub(crate) exchange: Option<Exchange>,
    /// Whether anyone may register.
    pub(crate) registration: Registration,
    /// How long the audit log keeps its lines.
    pub(crate) audit_retention: Duration,
    /// How long session rows are kept after their absolute timeout.
    pub(crate) ended_session_retention: Duration,
    /// The format of log lines.
    pub(crate) log_format: LogFormat,
    /// The variables that name a secret file which its group can reach.
    pub(crate) secrets_of_group: Vec<&'static str>,
}

/// Which secrets are read: a command that uses none may run where none is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// All, for serving.
    All,
    /// Those that sign webhook messages.
    Webhook,
    /// None.
    None,
}

/// The hosts that HSTS covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hsts {
    /// This host.
    Host,
    /// This host and all hosts under it.
    Subdomains,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

const POLICIES: [(&str, AtLimit); 2] = [("evict_oldest", AtLimit::EvictOldest), ("refuse", AtLimit::Refuse)];
const DEVICE_CHANGES: [(&str, OnDeviceChange); 3] =
    [("log", OnDeviceChange::Log), ("step_up", OnDeviceChange::StepUp), ("revoke", OnDeviceChange::Revoke)];
const HSTS: [(&str, Hsts); 2] = [("host", Hsts::Host), ("subdomains", Hsts::Subdomains)];
const REGISTRATIONS: [(&str, Registration); 2] = [("open", Registration::Open), ("closed", Registration::Closed)];
const LOG_FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

const MOST_SESSIONS: usize = 10_000;
const MOST_EVENT_STREAMS: usize = 1_000_000;
const MOST_SIGN_INS: u32 = 1_000_000;

const LEAST_PASSWORD_MIN_LENGTH: usize = 8;
/// Users must be allowed passwords of 64 characters (OWASP ASVS 6.2.9).
const MOST_PASSWORD_MIN_LENGTH: usize = 64;

#[doc(hidden)]
impl TryFrom<Settings> for Config {
    type Error = ConfigError;

    /// Parses and checks everything; returns the first error.
    fn try_from(settings: Settings) -> Result<Self, ConfigError> {
        Self::read(settings, Secrets::All)
    }
}

impl Config {
    /// Parses and checks everything except unneeded secrets.
    pub(crate) fn read(settings: Settings, secrets: Secrets) -> Result<Self, ConfigError> {
        let mut secrets_of_group = Vec::new();
        let listen = network::listen(&settings)?;
        let database = stores::database(&settings)?;
        let redis = stores::redis(&settings)?;
        let origins = origin::origins(&settings, listen.port())?;
        let (trusted_proxies, client_ip_header) = network::proxies(&settings)?;
        let (terms, remember_terms) = terms::both(&settings)?;
        let max_sessions = settings.given(var::MAX_SESSIONS);
        let policy = settings.given(var::MAX_SESSIONS_POLICY);
        let event_streams = settings.given(var::MAX_EVENT_STREAMS);
        let address_limit = settings.given(var::SIGN_IN_ADDRESS_LIMIT);
        let on_device_change = settings.given(var::ON_DEVICE_CHANGE);
        let password_min_length = settings.given(var::PASSWORD_MIN_LENGTH);
        let registration = settings.given(var::REGISTRATION);
        Ok(Self {
            workers: network::workers(&settings)?,
            store_lease: stores::store_lease(&settings)?,
            near_cache: stores::near_cache(&settings, redis.is_some())?,
            base_path: origin::base_path(&settings)?,
            cookie_domain: origin::cookie_domain(&settings, &origins)?,
            cookie_key: match secrets {
                Secrets::All => cookie_key::source(&settings, &database, redis.is_some(), &mut secrets_of_group)?,
                Secrets::Webhook | Secrets::None => CookieKeySource::Unread,
            },
            hsts: settings.given(var::HSTS).choice(&HSTS)?,
            csrf_method_header: csrf::method_header(&settings)?,
            clear_site_data: clear_site_data::clear_site_data(&settings)?,
            acting_terms: terms::acting(&settings, terms)?,
            last_seen_resolution: terms::last_seen_resolution(&settings)?,
            max_sessions: max_sessions.number(1, MOST_SESSIONS)?,
            max_sessions_policy: policy.choice(&POLICIES)?,
            max_event_streams: event_streams.number(1, MOST_EVENT_STREAMS)?,
            sign_in_address_limit: address_limit.number(1, MOST_SIGN_INS)?,
            step_up_age: terms::step_up_age(&settings)?,
            on_device_change: on_device_change.choice(&DEVICE_CHANGES)?,
            geoip_files: risk::geoip_files(&settings)?,
            risk: risk::policy(&settings)?,
            password_min_length: password_min_length.number(LEAST_PASSWORD_MIN_LENGTH, MOST_PASSWORD_MIN_LENGTH)?,
            webhook: webhook::webhook(&settings, secrets != Secrets::None, &mut secrets_of_group)?,
            jwt: jwt::jwt(&settings)?,
            exchange: exchange::exchange(&settings, secrets == Secrets::All, &mut secrets_of_group)?,
            registration: registration.choice(&REGISTRATIONS)?,
            audit_retention: retention::audit(&settings)?,
            ended_session_retention: retention::ended_sessions(&settings)?,
            log_format: settings.given(var::LOG_FORMAT).choice(&LOG_FORMATS)?,
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

    /// Reads the settings from pairs of names and values, for an application with its own source of settings. Ignores
    /// other programs' variables; logs a warning for a `SESSIOND_` name that is not a setting.
    ///
    /// # Errors
    /// When a setting is invalid, conflicts with another one, or names a secret file that cannot be read.
    ///
    /// ```
    /// use sessiond::Config;
    ///
    /// let config = Config::from_pairs([("DATABASE_URL", "sqlite:///var/lib/shop/sessions.db")])?;
    /// let error = Config::from_pairs([("SESSIOND_IDLE_TIMEOUT", "soon")]).expect_err("no duration");
    /// assert!(error.to_string().starts_with("SESSIOND_IDLE_TIMEOUT "));
    /// # Ok::<(), sessiond::ConfigError>(())
    /// ```
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ConfigError> {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let settings = pairs.iter().copied().collect::<Settings>();
        for slip in unknown::unknown(pairs) {
            log::warn!("{slip}");
        }
        Self::try_from(settings)
    }

    /// Reads the settings from the environment of this process. Logs a warning for a `SESSIOND_` name that is not a
    /// setting.
    ///
    /// # Errors
    /// When a setting is not valid text, is invalid, conflicts with another one, or names a secret file that cannot be
    /// read.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::check_env()?;
        let pairs = env();
        Self::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Checks that the settings in this process' environment are valid text.
    pub(crate) fn check_env() -> Result<(), ConfigError> {
        let variables: Vec<_> = std::env::vars_os().collect();
        unknown::check_text(variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())))
    }

    /// A sentence for each variable of this process' environment that looks like a setting but is not one.
    pub(crate) fn slips() -> Vec<String> {
        unknown::unknown(env().iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The address that users open: the first origin with the base path, without a final slash.
    pub(crate) fn public_url(&self) -> String {
        let origin = self.origins.first().map(Origin::to_string).unwrap_or_default();
        format!("{origin}{}", self.base_path)
    }

    /// The settings that all nodes of one database share: the variable, its value (for the key, its fingerprint), and
    /// whether a node with another value cannot serve beside the others.
    pub(crate) fn shared(&self, key: &CookieKey) -> Vec<(&'static str, String, bool)> {
        let mut shared = vec![
            (var::COOKIE_KEY, key.fingerprint(), true),
            (var::COOKIE_DOMAIN, self.cookie_domain.clone().unwrap_or_default(), true),
            (var::BASE_PATH, self.base_path.clone(), false),
        ];
        if let Some(redis) = &self.redis {
            shared.push((var::REDIS_PREFIX, redis.prefix.clone(), true));
            shared.push((var::STORE_LEASE, terms::text(self.store_lease), true));
        }
        if self.origins_given {
            let mut origins: Vec<_> = self.origins.iter().map(Origin::to_string).collect();
            origins.sort();
            shared.push((var::ORIGIN, origins.join(","), false));
        }
        shared
    }

    /// Startup advice for the operator that is not an error.
    pub(crate) fn advice(&self) -> Vec<String> {
        let of_group = |variable| format!("{variable} names a file that its group can read or write");
        self.forgotten_origin().into_iter().chain(self.secrets_of_group.iter().map(of_group)).collect()
    }

    /// Warns that links lead to this machine where that cannot be intended.
    pub(crate) fn forgotten_origin(&self) -> Option<String> {
        let behind_something = !self.trusted_proxies.is_empty() || !self.listen.ip().is_loopback();
        let sqlite = matches!(self.database, Database::Sqlite { .. });
        if self.origins_given || (sqlite && !behind_something) {
            return None;
        }
        let own = list(&self.origins).unwrap_or_default();
        Some(format!(
            "{} is not set, so only pages of {own} can sign in or change anything, and links lead there: name the \
                origin that browsers open, such as https://app.example.com",
            var::ORIGIN
        ))
    }
}

/// The variables of this process that are valid text.
fn env() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

fn list<T: ToString>(items: &[T]) -> Option<String> {
    let texts: Vec<_> = items.iter().map(T::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}
