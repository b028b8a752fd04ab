//! The settings as an operator writes them: one environment variable and one `--flag` for each.
//!
//! Owns the names and the help texts. Must never judge a value: [`super::Config`] does that. Has no `Debug` on purpose,
//! because some of the texts are secrets.

use clap::Args;

/// Every setting, unread. An absent one has its default; an empty one is an absent one, so that
/// `SESSIOND_COOKIE_DOMAIN= sessiond` means what it looks like.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Address and port to serve on [default: 127.0.0.1:8080]
    #[arg(long, env = var::LISTEN, value_name = "IP:PORT", global = true, hide_short_help = true)]
    pub listen: Option<String>,

    /// Worker threads [default: one for each core]
    #[arg(long, env = var::WORKERS, value_name = "COUNT", global = true, hide_short_help = true)]
    pub workers: Option<String>,

    /// The database that holds what must never be lost: sqlite://FILE, or postgres://… in a build with that feature
    /// [default: sqlite://sessiond.db]
    #[arg(long, env = var::DATABASE_URL, value_name = "URL", global = true, hide_short_help = true)]
    #[arg(hide_env_values = true)]
    pub database_url: Option<String>,

    /// The Redis that answers checks in microseconds: redis://… or rediss://…; without it every check reads the
    /// database
    #[arg(long, env = var::REDIS_URL, value_name = "URL", global = true, hide_short_help = true)]
    #[arg(hide_env_values = true)]
    pub redis_url: Option<String>,

    /// Prefix of every key in Redis, for several installations on one server
    #[arg(long, env = var::REDIS_PREFIX, value_name = "TEXT", global = true, hide_short_help = true)]
    pub redis_prefix: Option<String>,

    /// How long a Redis process is trusted after the database last confirmed it [default: 3s]
    #[arg(long, env = var::STORE_LEASE, value_name = "DURATION", global = true, hide_short_help = true)]
    pub store_lease: Option<String>,

    /// Path of all routes, such as /auth [default: the root]
    #[arg(long, env = var::BASE_PATH, value_name = "PATH", global = true, hide_short_help = true)]
    pub base_path: Option<String>,

    /// Share the cookie between the hosts under this domain [default: the cookie is for one host]
    #[arg(long, env = var::COOKIE_DOMAIN, value_name = "DOMAIN", global = true, hide_short_help = true)]
    pub cookie_domain: Option<String>,

    /// Signs the cookie: base64 of at least 64 random bytes [default: with SQLite alone, made once and kept
    /// beside the database]
    #[arg(long, env = var::COOKIE_KEY, value_name = "BASE64", global = true, hide_short_help = true)]
    #[arg(hide_env_values = true, allow_hyphen_values = true)]
    pub cookie_key: Option<String>,

    /// A file that holds the cookie key, instead of the key itself
    #[arg(long, env = var::COOKIE_KEY_FILE, value_name = "FILE", global = true, hide_short_help = true)]
    pub cookie_key_file: Option<String>,

    /// Origins that browsers use, separated by commas; links use the first
    /// [default: http://localhost:PORT,http://127.0.0.1:PORT]
    #[arg(long, env = var::ORIGIN, value_name = "ORIGINS", global = true, hide_short_help = true)]
    pub origin: Option<String>,

    /// Proxies in front that may report a client's address: addresses or networks, separated by commas
    #[arg(long, env = var::TRUSTED_PROXIES, value_name = "NETWORKS", global = true, hide_short_help = true)]
    pub trusted_proxies: Option<String>,

    /// The header in which those proxies report the client's address, such as X-Forwarded-For
    #[arg(long, env = var::CLIENT_IP_HEADER, value_name = "HEADER", global = true, hide_short_help = true)]
    pub client_ip_header: Option<String>,

    /// Refuse changing requests without a CSRF token at /auth/forward: the header in which the proxy sends the method,
    /// such as X-Forwarded-Method [default: that is left to the application]
    #[arg(long, env = var::CSRF_METHOD_HEADER, value_name = "HEADER", global = true, hide_short_help = true)]
    pub csrf_method_header: Option<String>,

    /// What browsers delete at sign-out, separated by commas: cache, storage, cookies (of the whole registrable
    /// domain); or none [default: cache,storage]
    #[arg(long, env = var::CLEAR_SITE_DATA, value_name = "KINDS", global = true, hide_short_help = true)]
    pub clear_site_data: Option<String>,

    /// With an https origin, browsers use only https for two years: on this host (host), or also on all hosts under it
    /// (subdomains) [default: host]
    #[arg(long, env = var::HSTS, value_name = "HOSTS", global = true, hide_short_help = true)]
    pub hsts: Option<String>,

    /// A session ends when it is unused for this long [default: 30m]
    #[arg(long, env = var::IDLE_TIMEOUT, value_name = "DURATION", global = true, hide_short_help = true)]
    pub idle_timeout: Option<String>,

    /// A session ends this long after sign-in [default: 12h]
    #[arg(long, env = var::ABSOLUTE_TIMEOUT, value_name = "DURATION", global = true, hide_short_help = true)]
    pub absolute_timeout: Option<String>,

    /// The idle timeout of users who chose to be remembered [default: 14d]
    #[arg(long, env = var::REMEMBER_IDLE_TIMEOUT, value_name = "DURATION", global = true, hide_short_help = true)]
    pub remember_idle_timeout: Option<String>,

    /// The absolute timeout of users who chose to be remembered [default: 30d]
    #[arg(long, env = var::REMEMBER_ABSOLUTE_TIMEOUT, value_name = "DURATION", global = true, hide_short_help = true)]
    pub remember_absolute_timeout: Option<String>,

    /// How old a last-seen time must be before it is written again; at most a twentieth of the idle timeout
    /// [default: 10s]
    #[arg(long, env = var::LAST_SEEN_RESOLUTION, value_name = "DURATION", global = true, hide_short_help = true)]
    pub last_seen_resolution: Option<String>,

    /// Most sessions of one user at a time [default: 100]
    #[arg(long, env = var::MAX_SESSIONS, value_name = "COUNT", global = true, hide_short_help = true)]
    pub max_sessions: Option<String>,

    /// What a sign-in over that limit does: evict_oldest or refuse [default: evict_oldest]
    #[arg(long, env = var::MAX_SESSIONS_POLICY, value_name = "POLICY", global = true, hide_short_help = true)]
    pub max_sessions_policy: Option<String>,

    /// Most open event streams (GET /events) on this node [default: 20000]
    #[arg(long, env = var::MAX_EVENT_STREAMS, value_name = "COUNT", global = true, hide_short_help = true)]
    pub max_event_streams: Option<String>,

    /// Most wrong passwords from one address in ten minutes; a whole office may share an address [default: 100]
    #[arg(long, env = var::SIGN_IN_ADDRESS_LIMIT, value_name = "COUNT", global = true, hide_short_help = true)]
    pub sign_in_address_limit: Option<String>,

    /// Maximum age of the last password proof, to end other sessions or administer accounts
    /// [default: 15m]
    #[arg(long, env = var::STEP_UP_AGE, value_name = "DURATION", global = true, hide_short_help = true)]
    pub step_up_age: Option<String>,

    /// What happens when another browser or system presents a session: log, step_up or revoke [default: log]
    #[arg(long, env = var::ON_DEVICE_CHANGE, value_name = "ANSWER", global = true, hide_short_help = true)]
    pub on_device_change: Option<String>,

    /// MaxMind-format files that locate addresses (countries or cities, networks), separated by commas
    /// [default: no file]
    #[arg(long, env = var::GEOIP_DB, value_name = "FILES", global = true, hide_short_help = true)]
    pub geoip_db: Option<String>,

    /// Weights of the rules for unusual sessions, such as new_country=30,new_device=0; 0 is off
    #[arg(long, env = var::RISK_WEIGHTS, value_name = "RULE=WEIGHT,…", global = true, hide_short_help = true)]
    pub risk_weights: Option<String>,

    /// The sum of weights from which an alert is opened [default: 60]
    #[arg(long, env = var::RISK_THRESHOLD, value_name = "WEIGHT", global = true, hide_short_help = true)]
    pub risk_threshold: Option<String>,

    /// What an alert does to its sessions: alert, step_up or revoke [default: alert]
    #[arg(long, env = var::RISK_ACTION, value_name = "ANSWER", global = true, hide_short_help = true)]
    pub risk_action: Option<String>,

    /// Fewest characters of a new password, from 8 to 64; NIST asks for 15 if the password is the only factor
    /// [default: 8]
    #[arg(long, env = var::PASSWORD_MIN_LENGTH, value_name = "COUNT", global = true, hide_short_help = true)]
    pub password_min_length: Option<String>,

    /// Receiver of signed messages about sessions that begin and end: https://…, or http:// on this machine
    #[arg(long, env = var::WEBHOOK_URL, value_name = "URL", global = true, hide_short_help = true)]
    #[arg(hide_env_values = true)]
    pub webhook_url: Option<String>,

    /// Signs those messages: base64 of 24 to 64 random bytes; several, separated by commas, during a rotation
    #[arg(long, env = var::WEBHOOK_SECRET, value_name = "SECRETS", global = true, hide_short_help = true)]
    #[arg(hide_env_values = true, allow_hyphen_values = true)]
    pub webhook_secret: Option<String>,

    /// A file that holds those secrets, instead of the secrets themselves
    #[arg(long, env = var::WEBHOOK_SECRET_FILE, value_name = "FILE", global = true, hide_short_help = true)]
    pub webhook_secret_file: Option<String>,

    /// Whether anyone may register: open or closed [default: open]
    #[arg(long, env = var::REGISTRATION, value_name = "STATE", global = true, hide_short_help = true)]
    pub registration: Option<String>,

    /// How long the audit log keeps its lines [default: 400d]
    #[arg(long, env = var::AUDIT_RETENTION, value_name = "DURATION", global = true, hide_short_help = true)]
    pub audit_retention: Option<String>,

    /// How long a session's row is kept after its absolute timeout, ended or not [default: 90d]
    #[arg(long, env = var::ENDED_SESSION_RETENTION, value_name = "DURATION", global = true, hide_short_help = true)]
    pub ended_session_retention: Option<String>,

    /// Format of log lines on standard error: text or json [default: text]
    #[arg(long, env = var::LOG_FORMAT, value_name = "FORMAT", global = true, hide_short_help = true)]
    pub log_format: Option<String>,
}

impl Settings {
    /// The field for a variable's text; `None` if there is no such setting.
    pub(super) fn field(&mut self, variable: &str) -> Option<&mut Option<String>> {
        Some(match variable {
            var::LISTEN => &mut self.listen,
            var::WORKERS => &mut self.workers,
            var::DATABASE_URL => &mut self.database_url,
            var::REDIS_URL => &mut self.redis_url,
            var::REDIS_PREFIX => &mut self.redis_prefix,
            var::STORE_LEASE => &mut self.store_lease,
            var::BASE_PATH => &mut self.base_path,
            var::COOKIE_DOMAIN => &mut self.cookie_domain,
            var::COOKIE_KEY => &mut self.cookie_key,
            var::COOKIE_KEY_FILE => &mut self.cookie_key_file,
            var::ORIGIN => &mut self.origin,
            var::TRUSTED_PROXIES => &mut self.trusted_proxies,
            var::CLIENT_IP_HEADER => &mut self.client_ip_header,
            var::CSRF_METHOD_HEADER => &mut self.csrf_method_header,
            var::CLEAR_SITE_DATA => &mut self.clear_site_data,
            var::HSTS => &mut self.hsts,
            var::IDLE_TIMEOUT => &mut self.idle_timeout,
            var::ABSOLUTE_TIMEOUT => &mut self.absolute_timeout,
            var::REMEMBER_IDLE_TIMEOUT => &mut self.remember_idle_timeout,
            var::REMEMBER_ABSOLUTE_TIMEOUT => &mut self.remember_absolute_timeout,
            var::LAST_SEEN_RESOLUTION => &mut self.last_seen_resolution,
            var::MAX_SESSIONS => &mut self.max_sessions,
            var::MAX_SESSIONS_POLICY => &mut self.max_sessions_policy,
            var::MAX_EVENT_STREAMS => &mut self.max_event_streams,
            var::SIGN_IN_ADDRESS_LIMIT => &mut self.sign_in_address_limit,
            var::STEP_UP_AGE => &mut self.step_up_age,
            var::ON_DEVICE_CHANGE => &mut self.on_device_change,
            var::GEOIP_DB => &mut self.geoip_db,
            var::RISK_WEIGHTS => &mut self.risk_weights,
            var::RISK_THRESHOLD => &mut self.risk_threshold,
            var::RISK_ACTION => &mut self.risk_action,
            var::PASSWORD_MIN_LENGTH => &mut self.password_min_length,
            var::WEBHOOK_URL => &mut self.webhook_url,
            var::WEBHOOK_SECRET => &mut self.webhook_secret,
            var::WEBHOOK_SECRET_FILE => &mut self.webhook_secret_file,
            var::REGISTRATION => &mut self.registration,
            var::AUDIT_RETENTION => &mut self.audit_retention,
            var::ENDED_SESSION_RETENTION => &mut self.ended_session_retention,
            var::LOG_FORMAT => &mut self.log_format,
            _ => return None,
        })
    }
}

/// The variables' names: in the environment, in `check-config` and in errors.
pub(super) mod var {
    pub const LISTEN: &str = "SESSIOND_LISTEN";
    pub const WORKERS: &str = "SESSIOND_WORKERS";
    pub const DATABASE_URL: &str = "DATABASE_URL";
    pub const REDIS_URL: &str = "REDIS_URL";
    pub const REDIS_PREFIX: &str = "SESSIOND_REDIS_PREFIX";
    pub const STORE_LEASE: &str = "SESSIOND_STORE_LEASE";
    pub const BASE_PATH: &str = "SESSIOND_BASE_PATH";
    pub const COOKIE_DOMAIN: &str = "SESSIOND_COOKIE_DOMAIN";
    pub const COOKIE_KEY: &str = "SESSIOND_COOKIE_KEY";
    pub const COOKIE_KEY_FILE: &str = "SESSIOND_COOKIE_KEY_FILE";
    pub const ORIGIN: &str = "SESSIOND_ORIGIN";
    pub const TRUSTED_PROXIES: &str = "SESSIOND_TRUSTED_PROXIES";
    pub const CLIENT_IP_HEADER: &str = "SESSIOND_CLIENT_IP_HEADER";
    pub const CSRF_METHOD_HEADER: &str = "SESSIOND_CSRF_METHOD_HEADER";
    pub const CLEAR_SITE_DATA: &str = "SESSIOND_CLEAR_SITE_DATA";
    pub const HSTS: &str = "SESSIOND_HSTS";
    pub const IDLE_TIMEOUT: &str = "SESSIOND_IDLE_TIMEOUT";
    pub const ABSOLUTE_TIMEOUT: &str = "SESSIOND_ABSOLUTE_TIMEOUT";
    pub const REMEMBER_IDLE_TIMEOUT: &str = "SESSIOND_REMEMBER_IDLE_TIMEOUT";
    pub const REMEMBER_ABSOLUTE_TIMEOUT: &str = "SESSIOND_REMEMBER_ABSOLUTE_TIMEOUT";
    pub const LAST_SEEN_RESOLUTION: &str = "SESSIOND_LAST_SEEN_RESOLUTION";
    pub const MAX_SESSIONS: &str = "SESSIOND_MAX_SESSIONS";
    pub const MAX_SESSIONS_POLICY: &str = "SESSIOND_MAX_SESSIONS_POLICY";
    pub const MAX_EVENT_STREAMS: &str = "SESSIOND_MAX_EVENT_STREAMS";
    pub const SIGN_IN_ADDRESS_LIMIT: &str = "SESSIOND_SIGN_IN_ADDRESS_LIMIT";
    pub const STEP_UP_AGE: &str = "SESSIOND_STEP_UP_AGE";
    pub const ON_DEVICE_CHANGE: &str = "SESSIOND_ON_DEVICE_CHANGE";
    pub const GEOIP_DB: &str = "SESSIOND_GEOIP_DB";
    pub const RISK_WEIGHTS: &str = "SESSIOND_RISK_WEIGHTS";
    pub const RISK_THRESHOLD: &str = "SESSIOND_RISK_THRESHOLD";
    pub const RISK_ACTION: &str = "SESSIOND_RISK_ACTION";
    pub const PASSWORD_MIN_LENGTH: &str = "SESSIOND_PASSWORD_MIN_LENGTH";
    pub const WEBHOOK_URL: &str = "SESSIOND_WEBHOOK_URL";
    pub const WEBHOOK_SECRET: &str = "SESSIOND_WEBHOOK_SECRET";
    pub const WEBHOOK_SECRET_FILE: &str = "SESSIOND_WEBHOOK_SECRET_FILE";
    pub const REGISTRATION: &str = "SESSIOND_REGISTRATION";
    pub const AUDIT_RETENTION: &str = "SESSIOND_AUDIT_RETENTION";
    pub const ENDED_SESSION_RETENTION: &str = "SESSIOND_ENDED_SESSION_RETENTION";
    pub const LOG_FORMAT: &str = "SESSIOND_LOG_FORMAT";
}
