//! The exchange of an application's old JSON Web Tokens for sessions.
//!
//! Owns [`Exchange`]. Must never put a key into an error, and never leave out what bounds the exchange: issuer, audience
//! and an end.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime};

use super::given::{ConfigError, Given};
use super::settings::{Settings, var};
use crate::domain::Timestamp;
use crate::domain::jwt_keys::JwtKeys;
use crate::domain::old_token::TokenRules;

/// What is exchanged, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What tokens must be.
    pub rules: TokenRules,
    /// From when on none is exchanged.
    pub until: Timestamp,
    /// The cookie that holds a token, beside the Authorization header.
    pub cookie: Option<String>,
    /// The file with the revoked tokens.
    pub revoked: Option<PathBuf>,
}

/// Settings that mean nothing without a key.
const DEPENDENT: [&str; 5] = [
    var::EXCHANGE_ISSUER,
    var::EXCHANGE_AUDIENCE,
    var::EXCHANGE_UNTIL,
    var::EXCHANGE_COOKIE,
    var::EXCHANGE_REVOKED_FILE,
];

/// Reads the settings, and the key if it is needed; none if there is no exchange.
pub(super) fn exchange(
    settings: &Settings,
    verifies: bool,
    of_group: &mut Vec<&'static str>,
) -> Result<Option<Exchange>, ConfigError> {
    let secret = settings.given(var::EXCHANGE_SECRET_FILE);
    let key = settings.given(var::EXCHANGE_KEY_FILE);
    if secret.text().is_some() && key.text().is_some() {
        return Err(secret.bad(format!("and {} are both set: unset one of them.", var::EXCHANGE_KEY_FILE)));
    }
    if secret.text().is_none() && key.text().is_none() {
        let useless = DEPENDENT.iter().map(|name| settings.given(name)).find(|given| given.text().is_some());
        return useless.map_or(Ok(None), |given| {
            Err(given.bad(format!(
                "is set without a key: name its file with {} or {}.",
                var::EXCHANGE_KEY_FILE,
                var::EXCHANGE_SECRET_FILE
            )))
        });
    }
    if !verifies {
        return Ok(None);
    }
    let invalid = |given: &Given<'_>, why: &dyn ToString| given.bad(why.to_string());
    let keys = match secret.text() {
        Some(_) => JwtKeys::secret(&secret.secret_file(of_group)?).map_err(|why| invalid(&secret, &why))?,
        None => JwtKeys::public(&key.public_file()?).map_err(|why| invalid(&key, &why))?,
    };
    let needed = |name, what: &str| {
        let given = settings.given(name);
        let text = given.text().map(ToOwned::to_owned);
        text.ok_or_else(|| given.bad(format!("is needed to exchange tokens: {what}.")))
    };
    let rules = TokenRules {
        keys,
        issuer: needed(var::EXCHANGE_ISSUER, "set it to the iss of the application's tokens")?,
        audience: needed(var::EXCHANGE_AUDIENCE, "set it to the aud of the application's tokens")?,
        subject_claim: settings.given(var::EXCHANGE_SUBJECT_CLAIM).text_or_default().to_owned(),
    };
    let until = settings.given(var::EXCHANGE_UNTIL);
    let end =
        needed(var::EXCHANGE_UNTIL, "set it to a date by which the last of the application's tokens has expired")?;
    let revoked = settings.given(var::EXCHANGE_REVOKED_FILE).text().map(PathBuf::from);
    Ok(Some(Exchange { rules, until: date(&until, &end)?, cookie: cookie(settings)?, revoked }))
}

/// A moment, or a date: the midnight in UTC with which it begins.
fn date(given: &Given<'_>, text: &str) -> Result<Timestamp, ConfigError> {
    let moment = DateTime::parse_from_rfc3339(text).map(|moment| moment.timestamp_millis());
    let day = || text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc().timestamp_millis());
    // Years have four digits: 27-3-1 is no date of ours.
    let is_dated = text.bytes().position(|byte| byte == b'-') == Some(4);
    let read = moment.or_else(|_| day()).ok().filter(|_| is_dated).map(Timestamp::from_ms);
    read.ok_or_else(|| given.is_no(text, "but must be a date, such as 2027-03-01 or 2027-03-01T12:00:00Z."))
}

/// A cookie's name (RFC 6265 §4.1.1), and none of our own.
fn cookie(settings: &Settings) -> Result<Option<String>, ConfigError> {
    const OURS: [&str; 3] = ["__Host-session", "__Secure-session", "__Host-device"];
    let given = settings.given(var::EXCHANGE_COOKIE);
    let Some(name) = given.text() else { return Ok(None) };
    let is_name = name.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte));
    match is_name && !OURS.contains(&name) {
        true => Ok(Some(name.to_owned())),
        false => Err(given.is_no(name, "but must be the name of the cookie that holds the application's token.")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct File(tempfile::NamedTempFile);

    impl File {
        fn with(text: &str, mode: u32) -> Self {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), text).unwrap();
            fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            Self(file)
        }

        fn path(&self) -> String {
            self.0.path().display().to_string()
        }
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Exchange>, String> {
        let settings = pairs.iter().copied().collect();
        exchange(&settings, true, &mut Vec::new()).map_err(|error| error.to_string())
    }

    fn with(secret: &File, more: &[(&'static str, &str)]) -> Result<Exchange, String> {
        let path = secret.path();
        let mut pairs = vec![
            (var::EXCHANGE_SECRET_FILE, path.as_str()),
            (var::EXCHANGE_ISSUER, "shop"),
            (var::EXCHANGE_AUDIENCE, "shop"),
            (var::EXCHANGE_UNTIL, "2027-03-01"),
        ];
        pairs.extend(more);
        read(&pairs).map(Option::unwrap)
    }

    #[test]
    fn it_is_off_without_a_key_and_bounded_with_one() {
        assert_eq!(read(&[]), Ok(None));
        let secret = File::with(&format!("{}\n", "s".repeat(32)), 0o600);
        let found = with(&secret, &[(var::EXCHANGE_COOKIE, "jwt")]).unwrap();
        assert_eq!((found.rules.subject_claim.as_str(), found.cookie.as_deref()), ("sub", Some("jwt")));
        assert_eq!(found.until.to_rfc3339(), "2027-03-01T00:00:00.000Z");
        let later = with(&secret, &[(var::EXCHANGE_UNTIL, "2027-03-01T12:00:00+02:00")]).unwrap();
        assert_eq!(later.until.to_rfc3339(), "2027-03-01T10:00:00.000Z");
        assert!(!format!("{found:?}").contains("ssss"));
    }

    #[test]
    fn what_is_wrong_is_one_sentence() {
        let good = File::with(&"s".repeat(32), 0o600);
        for (more, sentence) in [
            ((var::EXCHANGE_ISSUER, ""), "SESSIOND_EXCHANGE_ISSUER is needed to exchange tokens: set it to the iss"),
            (
                (var::EXCHANGE_AUDIENCE, ""),
                "SESSIOND_EXCHANGE_AUDIENCE is needed to exchange tokens: set it to the aud",
            ),
            ((var::EXCHANGE_UNTIL, ""), "SESSIOND_EXCHANGE_UNTIL is needed to exchange tokens: set it to a date"),
            ((var::EXCHANGE_UNTIL, "27-3-1"), "SESSIOND_EXCHANGE_UNTIL is \"27-3-1\", but must be a date, such as"),
            ((var::EXCHANGE_UNTIL, "soon"), "SESSIOND_EXCHANGE_UNTIL is \"soon\", but must be a date, such as"),
            ((var::EXCHANGE_COOKIE, "a b"), "SESSIOND_EXCHANGE_COOKIE is \"a b\", but must be the name"),
            ((var::EXCHANGE_COOKIE, "__Host-session"), "SESSIOND_EXCHANGE_COOKIE is \"__Host-session\", but must be"),
            (
                (var::EXCHANGE_KEY_FILE, "x"),
                "SESSIOND_EXCHANGE_SECRET_FILE and SESSIOND_EXCHANGE_KEY_FILE are both set",
            ),
            ((var::EXCHANGE_SECRET_FILE, "/none"), "SESSIOND_EXCHANGE_SECRET_FILE names a file that cannot be read"),
        ] {
            let said = with(&good, &[more]).unwrap_err();
            assert!(said.starts_with(sentence), "{said}\nis not\n{sentence}");
        }
        for name in DEPENDENT {
            assert!(read(&[(name, "x")]).unwrap_err().starts_with(&format!("{name} is set without a key: ")), "{name}");
        }
        let short = with(&File::with("hunter2", 0o600), &[]).unwrap_err();
        assert!(
            short.starts_with("SESSIOND_EXCHANGE_SECRET_FILE contains a secret of 7 bytes")
                && !short.contains("hunter2")
        );
        let open = with(&File::with(&"s".repeat(32), 0o644), &[]).unwrap_err();
        assert!(
            open.starts_with("SESSIOND_EXCHANGE_SECRET_FILE names a file that every user can read or write"),
            "{open}"
        );
        // A public key may be read by all, but not changed.
        for (mode, sentence) in
            [(0o646, "names a file that every user can write"), (0o644, "contains neither one public")]
        {
            let key = File::with("nothing", mode);
            let said = read(&[(var::EXCHANGE_KEY_FILE, &key.path())]).unwrap_err();
            assert!(said.starts_with(&format!("SESSIOND_EXCHANGE_KEY_FILE {sentence}")), "{said}");
        }
    }
}
