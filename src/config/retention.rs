//! How long old records are kept.
//!
//! Owns the reading of two settings. Whole seconds, at least a day: an hour would be a slip.

use std::time::Duration;

use super::given::ConfigError;
use super::settings::{Settings, var};
use super::terms::duration;

const DAY: u64 = 24 * 60 * 60;
const LEAST: Duration = Duration::from_secs(DAY);
const MOST: Duration = Duration::from_secs(36_500 * DAY);

/// How long the audit log keeps its lines.
pub(super) fn audit(settings: &Settings) -> Result<Duration, ConfigError> {
    let given = settings.given(var::AUDIT_RETENTION);
    duration(&given, LEAST, MOST)
}

/// How long session rows are kept after their absolute timeout.
pub(super) fn ended_sessions(settings: &Settings) -> Result<Duration, ConfigError> {
    let given = settings.given(var::ENDED_SESSION_RETENTION);
    duration(&given, LEAST, MOST)
}
