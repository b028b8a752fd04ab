//! Wiring: builds the service from the configuration, with or without the records.
//!
//! Owns the path from the operator's settings to the service. The command line needs only the ledger: it ends sessions
//! there and waits until a serving node has confirmed it. Must never change what nodes share before every check that
//! can refuse this node.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, ConfigError, CookieKey, Database, Origin, Redis};
use crate::domain::{Clock, LedgerClock, PasswordRules, Random, Seal, SystemClock, SystemRandom, ThrottleKey, random};
use crate::ledger::{self, Ledger, Tables};
use crate::live::{Fence, Live, LiveConfig, LiveError};
use crate::service::{self, App, Background, ExchangeRules, Locator, Membership, Policy, RevokedTokens, Shared};
use crate::service::{StartError, StoreFence, TokenRules};
use crate::webhook::Sender;

/// The service's inputs besides its settings.
pub struct Parts {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of secrets.
    pub random: Arc<dyn Random>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock::new()), random: Arc::new(SystemRandom) }
    }
}

/// Opens the stores and starts the service over them, without a listener: for an application that mounts the session
/// layer, and for the server itself. The background tasks run on the current runtime until they are stopped.
pub async fn open(config: &Config, parts: Parts) -> Result<(App, Background), StartError> {
    for advice in config.advice() {
        log::warn!("{advice}");
    }
    let app = open_to_serve(config, parts).await?;
    let background = app.serve();
    Ok((app, background))
}

/// The service over the ledger alone, with its tables created or migrated: for the command line.
pub async fn open_ledger(config: &Config) -> Result<App, StartError> {
    over(Ledger::open(database(config))?, config).await
}

/// The same over an existing ledger: a command in the wrong folder creates none.
pub async fn open_existing_ledger(config: &Config) -> Result<App, StartError> {
    let ledger = Ledger::open(database(config))?;
    if ledger.tables().await? == Tables::None {
        return Err(StartError(format!(
            "There is no ledger in {}: name its database (DATABASE_URL or --database-url), or create one there \
             with `sessiond migrate`.",
            config.database.whole()
        )));
    }
    over(ledger, config).await
}

async fn over(ledger: Ledger, config: &Config) -> Result<App, StartError> {
    let clock = Arc::new(LedgerClock::new(Arc::new(SystemClock::new())));
    let random = Arc::new(SystemRandom);
    service::prepare(&ledger, random.as_ref()).await?;
    // What it does on one server must not be confirmed by another.
    ledger.pin_server().await?;
    // The command line serves no sign-in, so no other process has to find its counters again.
    let throttle_key = ThrottleKey::derive(&random::bytes::<64>(random.as_ref()));
    // It needs no location files either.
    let (policy, webhook) = (Policy::from(config), sender(config));
    let (live, locator, exchange, tokens) = (None, None, None, None);
    let app = App::new(service::Parts {
        ledger,
        live,
        clock,
        random,
        policy,
        throttle_key,
        webhook,
        locator,
        exchange,
        tokens,
    });
    app.fence.follow_clock().await?;
    Ok(app)
}

/// The service over the ledger, with migrated tables, and over the records if there is a Redis; its background tasks
/// are not started. Redis need not answer now; if it does and says that the ledger is an older copy, this fails.
pub async fn open_to_serve(config: &Config, parts: Parts) -> Result<App, StartError> {
    let Parts { clock, random } = parts;
    let (locator, exchange) = (locator(config)?, exchange(config)?);
    let (policy, webhook) = (Policy::from(config), sender(config));
    if let Some(Err(error)) = webhook.as_ref().map(Sender::prepare) {
        return Err(StartError(format!("SESSIOND_WEBHOOK_URL: {error}.")));
    }
    let bad_key = |error: ConfigError| StartError(error.to_string());
    let cookie_key = config.cookie_key.find().map_err(bad_key)?;
    let clock = Arc::new(LedgerClock::new(clock));
    let ledger = Ledger::open(database(config))?;
    let live =
        config.redis.as_ref().map(|redis| records(redis, config.store_lease, &ledger, &clock, &random)).transpose()?;
    let name = format!("{:016x}", u64::from_be_bytes(random::bytes(random.as_ref())));
    let settings = cookie_key.as_ref().and_then(|key| shared_settings(config, key));
    let membership = settings.map(|settings| Membership::new(name, settings));
    if let Some(membership) = &membership
        && ledger.tables().await? == Tables::Behind
    {
        membership.refuse_beside(&ledger, clock.as_ref()).await?;
    }
    service::prepare(&ledger, random.as_ref()).await?;
    let cookie_key = match cookie_key {
        Some(key) => key,
        None => config.cookie_key.open(random.as_ref()).map_err(bad_key)?,
    };
    let throttle_key = ThrottleKey::derive(cookie_key.as_bytes());
    let tokens = token_rules(config, &cookie_key)?;
    let app = App::new(service::Parts {
        ledger,
        live,
        clock,
        random,
        policy,
        throttle_key,
        webhook,
        locator,
        exchange,
        tokens,
    });
    app.fence.enter(membership).await?;
    Ok(app)
}

/// The rules of tokens for services, if they are issued. Their keys are sealed under the cookie key.
fn token_rules(config: &Config, cookie_key: &CookieKey) -> Result<Option<TokenRules>, StartError> {
    let Some(jwt) = &config.jwt else { return Ok(None) };
    let seal = Seal::new(cookie_key.as_bytes(), "sessiond: seals the keys that sign tokens");
    let seal = seal.ok_or_else(|| StartError("The keys that sign tokens cannot be sealed.".to_owned()))?;
    let (issuer, audience) = (jwt.issuer.clone(), jwt.audience.clone());
    Ok(Some(TokenRules { issuer, audience, lifetime: jwt.lifetime, seal }))
}

/// The settings that all nodes on one database must share. An SQLite file without Redis has one node.
fn shared_settings(config: &Config, cookie_key: &CookieKey) -> Option<Vec<Shared>> {
    if config.redis.is_none() && matches!(config.database, Database::Sqlite { .. }) {
        return None;
    }
    let shared = |(variable, value, must)| Shared { variable, value, must };
    Some(config.shared(cookie_key).into_iter().map(shared).collect())
}

/// The location files, if the operator has set any. A missing or invalid file fails now, not at the first sign-in.
fn locator(config: &Config) -> Result<Option<Locator>, StartError> {
    let open = || Locator::open(&config.geoip_files);
    let locator = (!config.geoip_files.is_empty()).then(open).transpose();
    locator.map_err(|sentence| StartError(format!("SESSIOND_GEOIP_DB: {sentence}")))
}

/// What old tokens are exchanged, with the list of the revoked ones, which must be there.
fn exchange(config: &Config) -> Result<Option<ExchangeRules>, StartError> {
    let rules = config.exchange.as_ref().map(|exchange| {
        let revoked = exchange.revoked.clone().map(RevokedTokens::open).transpose();
        let revoked = revoked.map_err(|sentence| StartError(format!("SESSIOND_EXCHANGE_REVOKED_FILE: {sentence}")))?;
        Ok(ExchangeRules { tokens: exchange.rules.clone(), until: exchange.until, revoked })
    });
    rules.transpose()
}

/// Whether the files in the settings exist and are valid.
pub fn check_files(config: &Config) -> Result<(), StartError> {
    locator(config)?;
    exchange(config).map(drop)
}

fn records(
    redis: &Redis,
    store_lease: Duration,
    ledger: &Ledger,
    clock: &Arc<LedgerClock>,
    random: &Arc<dyn Random>,
) -> Result<(Live, Arc<StoreFence>), LiveError> {
    let fence = StoreFence::new(ledger.clone(), Arc::<LedgerClock>::clone(clock), Arc::clone(random), store_lease);
    let fence = Arc::new(fence);
    let mut settings = LiveConfig::new(redis.url.expose());
    settings.prefix.clone_from(&redis.prefix);
    let judge: Arc<dyn Fence> = Arc::<StoreFence>::clone(&fence);
    let live = Live::open(settings, judge, Arc::<LedgerClock>::clone(clock))?;
    Ok((live, fence))
}

/// Also for the command line, which ends sessions and disables accounts, but leaves the delivery to the nodes.
fn sender(config: &Config) -> Option<Sender> {
    config.webhook.as_ref().map(|webhook| Sender::new(webhook.url.clone(), webhook.secrets.clone()))
}

fn database(config: &Config) -> ledger::Database {
    match &config.database {
        Database::Sqlite { path } => ledger::Database::Sqlite { path: path.display().to_string() },
        #[cfg(feature = "postgres")]
        Database::Postgres { url } => ledger::Database::Postgres { servers: ledger::Servers::new(url.clone()) },
    }
}

impl From<&Config> for Policy {
    fn from(config: &Config) -> Self {
        Self {
            terms: config.terms,
            remember_terms: config.remember_terms,
            acting_terms: config.acting_terms,
            last_seen_resolution: config.last_seen_resolution,
            max_sessions: config.max_sessions,
            at_limit: config.max_sessions_policy,
            sign_in_address_limit: config.sign_in_address_limit,
            step_up_age: config.step_up_age,
            on_device_change: config.on_device_change,
            password_rules: Arc::new(PasswordRules::new(
                config.password_min_length,
                config.origins.iter().map(Origin::host),
            )),
            risk: config.risk.clone(),
            max_event_streams: config.max_event_streams,
            registration: config.registration,
            audit_retention: config.audit_retention,
            session_retention: config.ended_session_retention,
            store_lease: config.store_lease,
            near_cache: config.near_cache,
        }
    }
}
