//! Variables that look like settings but are not: slips that would otherwise have no effect and no message.
//!
//! Owns what counts as a slip, and its sentence. Must never abort on one: an orchestrator may set variables that the
//! operator cannot remove. Must never print a value.

use std::ffi::OsStr;

use super::given::ConfigError;
use super::settings::DECLARED;

/// One wrong letter in this many still counts as a slip of a name.
const LETTERS_FOR_A_SLIP: usize = 4;

/// Variables read beside the settings, under names that other programs share.
const SHARED: [&str; 2] = ["RUST_LOG", "RUST_LOG_STYLE"];

/// A sentence for each variable that is meant for this program but is not a setting.
pub(super) fn unknown<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let known = names();
    let is_known = |name: &str| known.contains(&name);
    let slips = variables
        .into_iter()
        .filter(|(name, value)| is_meant(name, &known) && !is_known(name) && !is_service_link(name, value));
    slips.map(|(name, _)| sentence(name, &known)).collect()
}

/// The name of every setting's variable.
fn names() -> Vec<&'static str> {
    DECLARED.iter().map(|setting| setting.variable).collect()
}

/// Refuses a setting that is not valid text: clap's error would not name it.
pub(super) fn check_text<'a>(variables: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>) -> Result<(), ConfigError> {
    let known = names();
    let is_text = |(name, value): &(&OsStr, &OsStr)| {
        value.to_str().is_some() || !name.to_str().is_some_and(|name| known.contains(&name))
    };
    match variables.into_iter().find(|variable| !is_text(variable)) {
        Some((name, _)) => Err(ConfigError::new(&name.to_string_lossy(), "is not UTF-8.")),
        None => Ok(()),
    }
}

/// Whether a name, possibly misspelt, can only be meant for this program.
fn is_meant(name: &str, known: &[&str]) -> bool {
    let upper = name.to_ascii_uppercase();
    upper.starts_with("SESSIOND_") || upper.strip_suffix("_FILE").is_some_and(|of| known.contains(&of))
}

/// Variables that Kubernetes and Docker set for a service named `sessiond` or `sessiond-…`.
fn is_service_link(name: &str, value: &str) -> bool {
    let protocols = ["tcp", "udp", "sctp"];
    let of_port = |(_, port): (&str, &str)| {
        let mut parts = port.split('_');
        let number = parts.next().is_some_and(|number| number.parse::<u16>().is_ok());
        let protocol = parts.next().is_some_and(|protocol| protocols.contains(&protocol.to_ascii_lowercase().as_str()));
        number && protocol && parts.next().is_none_or(|last| ["PROTO", "PORT", "ADDR"].contains(&last))
    };
    let is_address = protocols.iter().any(|protocol| value.starts_with(&format!("{protocol}://")));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_address)
        || name.rsplit_once("_PORT_").is_some_and(of_port)
        || name.split_once("_PORT_").is_some_and(of_port)
}

fn sentence(name: &str, known: &[&'static str]) -> String {
    let upper = name.to_ascii_uppercase();
    // A setting that is not a secret has no `_FILE` variant.
    let of_file = upper.strip_suffix("_FILE").and_then(|of| nearest(of, known));
    match nearest(&upper, known).or(of_file) {
        Some(nearest) => format!("{name} is not a setting and has no effect: did you mean {nearest}?"),
        None => format!("{name} is not a setting and has no effect: see `sessiond --help`"),
    }
}

/// The intended name, if one is close enough.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let bare = |name: &str| name.strip_prefix("SESSIOND_").unwrap_or(name).to_owned();
    // Some settings lack the prefix because other programs share them.
    let distance = |known: &str| {
        let whole = strsim::damerau_levenshtein(name, known);
        whole.min(strsim::damerau_levenshtein(&bare(name), &bare(known)))
    };
    let own_letters = name.len().saturating_sub("SESSIOND_".len()).max(LETTERS_FOR_A_SLIP);
    let nearest = known.iter().copied().chain(SHARED).min_by_key(|known| distance(known));
    nearest.filter(|known| distance(known) <= own_letters / LETTERS_FOR_A_SLIP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_named_with_the_setting_that_is_nearest() {
        for (slip, meant) in [
            ("SESSIOND_REGISTRATON", Some("SESSIOND_REGISTRATION")),
            ("SESSIOND_IDLE_TIMOUT", Some("SESSIOND_IDLE_TIMEOUT")),
            ("SESSIOND_ORGIIN", Some("SESSIOND_ORIGIN")),
            ("sessiond_registration", Some("SESSIOND_REGISTRATION")),
            ("SESSIOND_COOKIE_KEYFILE", Some("SESSIOND_COOKIE_KEY_FILE")),
            ("SESSIOND_TRUSTED_PROXY", Some("SESSIOND_TRUSTED_PROXIES")),
            ("SESSIOND_DATABASE_URL", Some("DATABASE_URL")),
            ("SESSIOND_REDIS_URL", Some("REDIS_URL")),
            ("SESSIOND_DATABASE", None),
            ("SESSIOND_X", None),
            ("SESSIOND_RUST_LOG", Some("RUST_LOG")),
            ("SESSIOND_RUST_LOGSTYLE", Some("RUST_LOG_STYLE")),
            ("DATABASE_URL_FILE", Some("DATABASE_URL")),
            ("REDIS_URL_FILE", Some("REDIS_URL")),
            ("SESSIOND_DATABASE_URL_FILE", Some("DATABASE_URL")),
            ("SESSIOND_LISTEN_FILE", Some("SESSIOND_LISTEN")),
            ("SESSIOND_COKIE_KEY_FILE", Some("SESSIOND_COOKIE_KEY_FILE")),
            ("SESSIOND_WEBHOOK_URL_FILE", Some("SESSIOND_WEBHOOK_URL")),
            ("SESSIOND_X_FILE", None),
        ] {
            let said = unknown([(slip, "hunter2")]);
            let end = meant.map_or("see `sessiond --help`".to_owned(), |meant| format!("did you mean {meant}?"));
            assert_eq!(said, [format!("{slip} is not a setting and has no effect: {end}")]);
        }
    }

    #[test]
    fn what_is_a_setting_or_an_orchestrator_s_is_no_slip() {
        for (name, value) in [
            ("SESSIOND_REGISTRATION", "closed"),
            ("SESSIOND_COOKIE_KEY_FILE", "/run/secrets/key"),
            ("DATABASE_URL", ""),
            ("PATH", "/bin"),
            ("SESSION_X", ""),
            ("SESSIOND_PORT", "tcp://10.0.0.7:8080"),
            ("SESSIOND_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
            ("SESSIOND_PORT_8080_TCP_PORT", "8080"),
            ("SESSIOND_PORT_8080_TCP_ADDR", "10.0.0.7"),
            ("SESSIOND_SERVICE_HOST", "10.0.0.7"),
            ("SESSIOND_SERVICE_PORT", "8080"),
            ("SESSIOND_SERVICE_PORT_HTTP", "8080"),
            ("SESSIOND_REDIS_PORT_6379_TCP_PROTO", "tcp"),
            ("SESSIOND_REDIS_SERVICE_HOST", "10.0.0.8"),
        ] {
            assert_eq!(unknown([(name, value)]), Vec::<String>::new(), "{name}");
        }
        assert_eq!(unknown([("SESSIOND_PORT", "8080")]).len(), 1, "somebody meant to set the port");
    }
}
