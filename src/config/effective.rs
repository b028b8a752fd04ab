//! Every setting with its effective value, as `check-config` prints it.
//!
//! Owns the order and the words. Must never print a secret.

use super::settings::var;
use super::{Config, DEVICE_CHANGES, Exchange, HSTS, LOG_FORMATS, POLICIES, REGISTRATIONS, Redis, list, risk, terms};

impl Config {
    /// Every variable with its effective value, secrets masked; `None` if nothing is set.
    pub(crate) fn effective(&self) -> Vec<(&'static str, Option<String>)> {
        let exchange = |show: fn(&Exchange) -> Option<String>| self.exchange.as_ref().and_then(show);
        let redis = |show: fn(&Redis) -> String| self.redis.as_ref().map(show).filter(|text| !text.is_empty());
        vec![
            (var::LISTEN, Some(self.listen.to_string())),
            (var::WORKERS, Some(self.workers.to_string())),
            (var::DATABASE_URL, Some(self.database.to_string())),
            (var::REDIS_URL, redis(|redis| redis.url.to_string())),
            (var::REDIS_PREFIX, redis(|redis| redis.prefix.clone())),
            (var::STORE_LEASE, self.redis.as_ref().map(|_| terms::text(self.store_lease))),
            (var::NEAR_CACHE, Some(self.near_cache.to_string())),
            (var::BASE_PATH, Some(self.base_path.clone()).filter(|path| !path.is_empty())),
            (var::COOKIE_DOMAIN, self.cookie_domain.clone()),
            (var::COOKIE_KEY, Some(self.cookie_key.to_string())),
            (var::ORIGIN, list(&self.origins)),
            (var::TRUSTED_PROXIES, list(&self.trusted_proxies)),
            (var::CLIENT_IP_HEADER, self.client_ip_header.clone()),
            (var::CSRF_METHOD_HEADER, self.csrf_method_header.clone()),
            (var::CLEAR_SITE_DATA, Some(self.clear_site_data.to_string())),
            (var::HSTS, word(self.hsts, &HSTS)),
            (var::IDLE_TIMEOUT, Some(terms::text(self.terms.idle))),
            (var::ABSOLUTE_TIMEOUT, Some(terms::text(self.terms.absolute))),
            (var::REMEMBER_IDLE_TIMEOUT, Some(terms::text(self.remember_terms.idle))),
            (var::REMEMBER_ABSOLUTE_TIMEOUT, Some(terms::text(self.remember_terms.absolute))),
            (var::ACTING_TIMEOUT, Some(terms::text(self.acting_terms.absolute))),
            (var::LAST_SEEN_RESOLUTION, Some(terms::text(self.last_seen_resolution))),
            (var::MAX_SESSIONS, Some(self.max_sessions.to_string())),
            (var::MAX_SESSIONS_POLICY, word(self.max_sessions_policy, &POLICIES)),
            (var::MAX_EVENT_STREAMS, Some(self.max_event_streams.to_string())),
            (var::SIGN_IN_ADDRESS_LIMIT, Some(self.sign_in_address_limit.to_string())),
            (var::STEP_UP_AGE, Some(terms::text(self.step_up_age))),
            (var::ON_DEVICE_CHANGE, word(self.on_device_change, &DEVICE_CHANGES)),
            (var::GEOIP_DB, list(&self.geoip_files.iter().map(|file| file.display()).collect::<Vec<_>>())),
            (var::RISK_WEIGHTS, Some(risk::text(&self.risk.weights))),
            (var::RISK_THRESHOLD, Some(self.risk.threshold.to_string())),
            (var::RISK_ACTION, Some(self.risk.action.name().to_owned())),
            (var::PASSWORD_MIN_LENGTH, Some(self.password_min_length.to_string())),
            (var::WEBHOOK_URL, self.webhook.as_ref().map(|webhook| webhook.url.to_string())),
            (var::WEBHOOK_SECRET, self.webhook.as_ref().map(|_| "***".to_owned())),
            (var::JWT_ISSUER, self.jwt.as_ref().map(|jwt| jwt.issuer.clone())),
            (var::JWT_AUDIENCE, self.jwt.as_ref().map(|jwt| jwt.audience.clone())),
            (var::JWT_LIFETIME, self.jwt.as_ref().map(|jwt| terms::text(jwt.lifetime))),
            (var::JWT_HEADER, self.jwt.as_ref().and_then(|jwt| jwt.header.clone())),
            (var::EXCHANGE_ISSUER, exchange(|it| Some(it.rules.issuer.clone()))),
            (var::EXCHANGE_AUDIENCE, exchange(|it| Some(it.rules.audience.clone()))),
            (var::EXCHANGE_SUBJECT_CLAIM, exchange(|it| Some(it.rules.subject_claim.clone()))),
            (var::EXCHANGE_COOKIE, exchange(|it| it.cookie.clone())),
            (var::EXCHANGE_UNTIL, exchange(|it| Some(it.until.to_rfc3339()))),
            (var::REGISTRATION, word(self.registration, &REGISTRATIONS)),
            (var::AUDIT_RETENTION, Some(terms::text(self.audit_retention))),
            (var::ENDED_SESSION_RETENTION, Some(terms::text(self.ended_session_retention))),
            (var::LOG_FORMAT, word(self.log_format, &LOG_FORMATS)),
        ]
    }
}

fn word<T: Copy + PartialEq>(chosen: T, choices: &[(&str, T)]) -> Option<String> {
    choices.iter().find(|(_, choice)| *choice == chosen).map(|(word, _)| (*word).to_owned())
}
