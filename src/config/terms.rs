//! Durations and timeouts.
//!
//! Owns the parsing of durations and the rules between the timeouts. Whole seconds only, the unit of a record in Redis.

use std::time::Duration;

use crate::domain::Terms;

use super::given::{ConfigError, Given};
use super::settings::{Settings, var};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The longest life of a cookie in a browser (RFC 6265bis §5.5); no setting promises more.
const LONGEST: Duration = Duration::from_secs(400 * DAY);

/// The names of one pair of timeouts.
struct Pair {
    idle: &'static str,
    absolute: &'static str,
}

const PLAIN: Pair = Pair { idle: var::IDLE_TIMEOUT, absolute: var::ABSOLUTE_TIMEOUT };
const REMEMBER: Pair = Pair { idle: var::REMEMBER_IDLE_TIMEOUT, absolute: var::REMEMBER_ABSOLUTE_TIMEOUT };

/// The timeouts of ordinary and of remembered sessions.
pub(super) fn both(settings: &Settings) -> Result<(Terms, Terms), ConfigError> {
    let terms = pair(settings, &PLAIN)?;
    let remembered = pair(settings, &REMEMBER)?;
    not_less((REMEMBER.idle, remembered.idle), (PLAIN.idle, terms.idle))?;
    not_less((REMEMBER.absolute, remembered.absolute), (PLAIN.absolute, terms.absolute))?;
    Ok((terms, remembered))
}

/// The timeouts of sessions in which somebody acts for the user: never longer than the user's own. The default is no promise,
/// so a shorter absolute timeout shortens it.
pub(super) fn acting(settings: &Settings, plain: Terms) -> Result<Terms, ConfigError> {
    let given = settings.given(var::ACTING_TIMEOUT);
    let absolute = duration(&given, SECOND, LONGEST)?;
    if given.text().is_some() {
        not_less((PLAIN.absolute, plain.absolute), (var::ACTING_TIMEOUT, absolute))?;
    }
    let absolute = absolute.min(plain.absolute);
    Ok(Terms { idle: plain.idle.min(absolute), absolute })
}

/// How old a last-seen time must be before it is written again.
pub(super) fn last_seen_resolution(settings: &Settings) -> Result<Duration, ConfigError> {
    let given = settings.given(var::LAST_SEEN_RESOLUTION);
    duration(&given, SECOND, Duration::from_secs(HOUR))
}

/// Maximum age of a proof of identity. If it could expire before the user has typed the password and repeated the
/// change, no change could succeed.
pub(super) fn step_up_age(settings: &Settings) -> Result<Duration, ConfigError> {
    let given = settings.given(var::STEP_UP_AGE);
    duration(&given, Duration::from_secs(30), LONGEST)
}

fn pair(settings: &Settings, names: &Pair) -> Result<Terms, ConfigError> {
    let idle = duration(&settings.given(names.idle), SECOND, LONGEST)?;
    let absolute = duration(&settings.given(names.absolute), SECOND, LONGEST)?;
    not_less((names.absolute, absolute), (names.idle, idle))?;
    Ok(Terms { idle, absolute })
}

fn not_less(longer: (&'static str, Duration), shorter: (&'static str, Duration)) -> Result<(), ConfigError> {
    if longer.1 >= shorter.1 {
        return Ok(());
    }
    let (long, short) = (text(longer.1), text(shorter.1));
    Err(ConfigError::new(
        longer.0,
        format!("is {long}, which is less than {} ({short}): raise the first or lower the second.", shorter.0),
    ))
}

/// Parses a duration in whole seconds between two bounds.
pub(super) fn duration(given: &Given<'_>, least: Duration, most: Duration) -> Result<Duration, ConfigError> {
    let words = given.text_or_default();
    let Ok(read) = humantime::parse_duration(words) else {
        return Err(given.is_no(words, "but must be a duration, such as 90s, 30m, 12h or 14d."));
    };
    if read.subsec_nanos() != 0 || read < least || read > most {
        let (least, most) = (text(least), text(most));
        return Err(given.is_no(words, format_args!("but must be whole seconds from {least} to {most}.")));
    }
    Ok(read)
}

/// A duration as an operator would write it: `14d`, `1h 30m`.
pub(super) fn text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts =
        [(seconds / DAY, "d"), (seconds % DAY / HOUR, "h"), (seconds % HOUR / MINUTE, "m"), (seconds % MINUTE, "s")];
    let shown: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}
