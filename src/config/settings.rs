//! The settings as an operator writes them: one environment variable and one `--flag` for each.
//!
//! Owns the declaration of each setting: its variable, its default, its help text. The flag is the variable in lower
//! case, without `SESSIOND_`. Must never judge a value: [`super::Config`] does that. Has no `Debug` on purpose, because
//! some of the texts are secrets.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::given::Given;

/// What is declared of one setting.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    /// The environment variable, which is also its name in errors.
    pub variable: &'static str,
    /// What it means, without a full stop at the end.
    pub help: &'static str,
    /// What an absent value stands for, as an operator would write it.
    pub default: Option<&'static str>,
    /// The default in words, where it depends on something.
    pub in_words: Option<&'static str>,
    value_name: &'static str,
    is_secret: bool,
    takes_any_text: bool,
}

impl Setting {
    const fn new(variable: &'static str, value_name: &'static str, help: &'static str) -> Self {
        Self { variable, help, default: None, in_words: None, value_name, is_secret: false, takes_any_text: false }
    }

    const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    const fn in_words(mut self, words: &'static str) -> Self {
        self.in_words = Some(words);
        self
    }

    /// The help does not show its value.
    const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// The value may begin with a hyphen.
    const fn any_text(mut self) -> Self {
        self.takes_any_text = true;
        self
    }

    fn arg(&self) -> Arg {
        let flag = self.variable.trim_start_matches("SESSIOND_").to_ascii_lowercase().replace('_', "-");
        let help = self.help.trim();
        let help = match self.default.or(self.in_words) {
            Some(default) => format!("{help} [default: {default}]"),
            None => help.to_owned(),
        };
        Arg::new(self.variable)
            .long(flag)
            .env(self.variable)
            .value_name(self.value_name)
            .help(help)
            .help_heading("Settings")
            .global(true)
            .hide_short_help(true)
            .hide_env_values(self.is_secret)
            .allow_hyphen_values(self.takes_any_text)
    }
}

/// Declares each setting once: its help text, its name here, its variable, what its value is, and what else holds.
macro_rules! settings {
    ($(
        $(#[doc = $help:literal])+
        $name:ident = $variable:literal, $value:literal $(, $mark:ident($($text:literal)?))*;
    )+) => {
        /// The variables' names: in the environment, in `check-config` and in errors.
        pub(super) mod var {
            $(pub const $name: &str = $variable;)+
        }

        /// Every setting, in the order of the help.
        pub(super) const DECLARED: &[Setting] =
            &[$(Setting::new($variable, $value, concat!($($help),+))$(.$mark($($text)?))*),+];
    };
}

settings! {
    /// Address and port to serve on
    LISTEN = "SESSIOND_LISTEN", "IP:PORT", default("127.0.0.1:8080");

    /// Worker threads
    WORKERS = "SESSIOND_WORKERS", "COUNT", in_words("one per core");

    /// The database: sqlite://FILE, or postgres://… in a build with that feature
    DATABASE_URL = "DATABASE_URL", "URL", default("sqlite://sessiond.db"), secret();

    /// Redis, which answers checks in microseconds: redis://… or rediss://…; without it, every check reads the
    /// database
    REDIS_URL = "REDIS_URL", "URL", secret();

    /// Prefix of every key in Redis, for several installations on one server
    REDIS_PREFIX = "SESSIOND_REDIS_PREFIX", "TEXT";

    /// How long nodes trust a Redis process after the database last confirmed it
    STORE_LEASE = "SESSIOND_STORE_LEASE", "DURATION", default("3s");

    /// How many sessions this node keeps in its own memory, so that most checks need no Redis; each revocation then waits
    /// for this node; 0 is off
    NEAR_CACHE = "SESSIOND_NEAR_CACHE", "COUNT", default("0");

    /// Path of all routes, such as /auth
    BASE_PATH = "SESSIOND_BASE_PATH", "PATH", in_words("the root");

    /// Share the cookie between the hosts under this domain
    COOKIE_DOMAIN = "SESSIOND_COOKIE_DOMAIN", "DOMAIN", in_words("the cookie is for one host");

    /// Signs the cookie: base64 of at least 64 random bytes
    COOKIE_KEY = "SESSIOND_COOKIE_KEY", "BASE64",
        in_words("with SQLite alone, created once beside the database"), secret(), any_text();

    /// A file that contains the cookie key, instead of the key itself
    COOKIE_KEY_FILE = "SESSIOND_COOKIE_KEY_FILE", "FILE";

    /// Origins that browsers use, separated by commas; links use the first
    ORIGIN = "SESSIOND_ORIGIN", "ORIGINS", in_words("http://localhost:PORT,http://127.0.0.1:PORT");

    /// Proxies in front that may report a client's address: addresses or networks, separated by commas
    TRUSTED_PROXIES = "SESSIOND_TRUSTED_PROXIES", "NETWORKS";

    /// The header in which those proxies report the client's address, such as X-Forwarded-For
    CLIENT_IP_HEADER = "SESSIOND_CLIENT_IP_HEADER", "HEADER";

    /// Refuse changing requests without a CSRF token at /auth/forward: the header in which the proxy sends the
    /// method, such as X-Forwarded-Method
    CSRF_METHOD_HEADER = "SESSIOND_CSRF_METHOD_HEADER", "HEADER", in_words("the application checks the token");

    /// What browsers delete at sign-out, separated by commas: cache, storage, cookies (of the whole registrable
    /// domain); or none
    CLEAR_SITE_DATA = "SESSIOND_CLEAR_SITE_DATA", "KINDS", default("cache,storage");

    /// With an https origin, browsers use only https for two years: on this host (host), or also on all hosts under
    /// it (subdomains)
    HSTS = "SESSIOND_HSTS", "HOSTS", default("host");

    /// A session ends when it is unused for this long
    IDLE_TIMEOUT = "SESSIOND_IDLE_TIMEOUT", "DURATION", default("30m");

    /// A session ends this long after sign-in
    ABSOLUTE_TIMEOUT = "SESSIOND_ABSOLUTE_TIMEOUT", "DURATION", default("12h");

    /// The idle timeout of users who chose to be remembered
    REMEMBER_IDLE_TIMEOUT = "SESSIOND_REMEMBER_IDLE_TIMEOUT", "DURATION", default("14d");

    /// The absolute timeout of users who chose to be remembered
    REMEMBER_ABSOLUTE_TIMEOUT = "SESSIOND_REMEMBER_ABSOLUTE_TIMEOUT", "DURATION", default("30d");

    /// A session in which an agent or an administrator acts for the user ends this long after it was issued; at most the
    /// absolute timeout
    ACTING_TIMEOUT = "SESSIOND_ACTING_TIMEOUT", "DURATION", default("1h");

    /// How old a last-seen time must be before it is written again; more than a twentieth of the idle timeout counts as that
    /// twentieth
    LAST_SEEN_RESOLUTION = "SESSIOND_LAST_SEEN_RESOLUTION", "DURATION", default("10s");

    /// Maximum number of live sessions per user
    MAX_SESSIONS = "SESSIOND_MAX_SESSIONS", "COUNT", default("100");

    /// What a sign-in over that limit does: evict_oldest or refuse
    MAX_SESSIONS_POLICY = "SESSIOND_MAX_SESSIONS_POLICY", "POLICY", default("evict_oldest");

    /// Maximum number of open event streams (GET /events) on this node
    MAX_EVENT_STREAMS = "SESSIOND_MAX_EVENT_STREAMS", "COUNT", default("20000");

    /// Maximum number of wrong passwords from one address in ten minutes; a whole office may share an address
    SIGN_IN_ADDRESS_LIMIT = "SESSIOND_SIGN_IN_ADDRESS_LIMIT", "COUNT", default("100");

    /// Maximum age of the last password proof, to end other sessions or administer accounts
    STEP_UP_AGE = "SESSIOND_STEP_UP_AGE", "DURATION", default("15m");

    /// What happens when another browser or system presents a session: log, step_up or revoke
    ON_DEVICE_CHANGE = "SESSIOND_ON_DEVICE_CHANGE", "ANSWER", default("log");

    /// MaxMind-format files that locate addresses (countries or cities, networks), separated by commas
    GEOIP_DB = "SESSIOND_GEOIP_DB", "FILES", in_words("no file");

    /// Weights of the rules for unusual sessions, such as new_country=30,new_device=0; 0 is off
    RISK_WEIGHTS = "SESSIOND_RISK_WEIGHTS", "RULE=WEIGHT,…",
        default("new_country=30,new_network=10,impossible_speed=60,several_countries=60,failures_before_success=50,\
                 new_device=10");

    /// The sum of weights that opens an alert
    RISK_THRESHOLD = "SESSIOND_RISK_THRESHOLD", "WEIGHT", default("60");

    /// What an alert does to its sessions: alert, step_up or revoke
    RISK_ACTION = "SESSIOND_RISK_ACTION", "ANSWER", default("alert");

    /// Minimum length of a new password, from 8 to 64; NIST asks for 15 if the password is the only factor
    PASSWORD_MIN_LENGTH = "SESSIOND_PASSWORD_MIN_LENGTH", "COUNT", default("8");

    /// Receiver of signed messages about sessions that begin and end: https://…, or http:// on this machine
    WEBHOOK_URL = "SESSIOND_WEBHOOK_URL", "URL", secret();

    /// Signs those messages: base64 of 24 to 64 random bytes; several, separated by commas, during a rotation
    WEBHOOK_SECRET = "SESSIOND_WEBHOOK_SECRET", "SECRETS", secret(), any_text();

    /// A file that contains those secrets, instead of the secrets themselves
    WEBHOOK_SECRET_FILE = "SESSIOND_WEBHOOK_SECRET_FILE", "FILE";

    /// Issue short-lived JSON Web Tokens to services behind a gateway, as this issuer: the URL of this server
    JWT_ISSUER = "SESSIOND_JWT_ISSUER", "URL", in_words("no tokens");

    /// Who may accept these tokens
    JWT_AUDIENCE = "SESSIOND_JWT_AUDIENCE", "TEXT", in_words("the issuer");

    /// How long these tokens live, at most a minute: nobody can take one back
    JWT_LIFETIME = "SESSIOND_JWT_LIFETIME", "DURATION", default("1m");

    /// The header of /auth/forward that has such a token; with Authorization, a bearer token
    JWT_HEADER = "SESSIOND_JWT_HEADER", "HEADER";

    /// The public key of an application's old JWTs, which POST /exchange takes: a file with one key in PEM, or a JWK set
    EXCHANGE_KEY_FILE = "SESSIOND_EXCHANGE_KEY_FILE", "FILE", in_words("nothing is exchanged");

    /// The shared secret of those tokens (HS256), instead of a public key: a file with at least 32 bytes
    EXCHANGE_SECRET_FILE = "SESSIOND_EXCHANGE_SECRET_FILE", "FILE", in_words("nothing is exchanged");

    /// The iss of those tokens
    EXCHANGE_ISSUER = "SESSIOND_EXCHANGE_ISSUER", "TEXT";

    /// The aud of those tokens
    EXCHANGE_AUDIENCE = "SESSIOND_EXCHANGE_AUDIENCE", "TEXT";

    /// The claim of those tokens that names the user
    EXCHANGE_SUBJECT_CLAIM = "SESSIOND_EXCHANGE_SUBJECT_CLAIM", "NAME", default("sub");

    /// The cookie that holds such a token, if the Authorization header does not
    EXCHANGE_COOKIE = "SESSIOND_EXCHANGE_COOKIE", "NAME";

    /// A file with the jti of each of those tokens that is revoked, one a line
    EXCHANGE_REVOKED_FILE = "SESSIOND_EXCHANGE_REVOKED_FILE", "FILE";

    /// From this date on nothing is exchanged: 2027-03-01 (its midnight in UTC), or a time
    EXCHANGE_UNTIL = "SESSIOND_EXCHANGE_UNTIL", "DATE";

    /// Whether anyone may register: open or closed
    REGISTRATION = "SESSIOND_REGISTRATION", "STATE", default("open");

    /// How long the audit log keeps its lines
    AUDIT_RETENTION = "SESSIOND_AUDIT_RETENTION", "DURATION", default("400d");

    /// How long a session's row is kept after its absolute timeout, ended or not
    ENDED_SESSION_RETENTION = "SESSIOND_ENDED_SESSION_RETENTION", "DURATION", default("90d");

    /// Format of log lines on standard error: text or json
    LOG_FORMAT = "SESSIOND_LOG_FORMAT", "FORMAT", default("text");
}

/// The texts that were given, unread. An absent setting has its default; an empty one is an absent one, so that
/// `SESSIOND_COOKIE_DOMAIN= sessiond` means what it looks like.
#[derive(Clone, Default)]
pub struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// Takes a variable's text; ignores a variable that is no setting.
    pub(super) fn set(&mut self, variable: &str, text: &str) {
        if let Some(setting) = declared(variable) {
            self.0.insert(setting.variable, text.to_owned());
        }
    }

    /// A command, and all commands below it, that accept the settings without showing them in their help.
    pub(crate) fn accepted(command: Command) -> Command {
        let hidden = DECLARED.iter().map(|setting| setting.arg().hide(true));
        command.args(hidden).after_help("Settings: see `sessiond --help`").mut_subcommands(Self::accepted)
    }

    /// A setting as it was given, with its declared default.
    pub(super) fn given(&self, variable: &'static str) -> Given<'_> {
        let default = declared(variable).and_then(|setting| setting.default);
        Given::new(variable, self.0.get(variable), default)
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Settings {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        let mut settings = Self::default();
        for (variable, text) in pairs {
            settings.set(variable, text);
        }
        settings
    }
}

fn declared(variable: &str) -> Option<&'static Setting> {
    DECLARED.iter().find(|setting| setting.variable == variable)
}

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        command.args(DECLARED.iter().map(Setting::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut settings = Self::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in DECLARED {
            if let Some(text) = matches.get_one::<String>(setting.variable) {
                self.set(setting.variable, text);
            }
        }
        Ok(())
    }
}
