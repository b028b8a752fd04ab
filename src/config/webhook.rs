//! The receiver of session events, and the secrets that sign the messages.
//!
//! Owns [`Webhook`]. Must never put a secret or the receiver's path into an error.

use zeroize::Zeroizing;

use crate::domain::webhook::WebhookSecret;
use crate::domain::webhook_url::WebhookUrl;

use super::given::{ConfigError, Given};
use super::settings::{Settings, var};

/// The most secrets at a time; a rotation needs two.
const MOST_SECRETS: usize = 5;
const HOW_TO_MAKE: &str = "make one with `echo whsec_$(openssl rand -base64 32)`";

/// The receiver and the shared secrets: at least one, or none for a command that signs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The receiver's URL.
    pub url: WebhookUrl,
    /// Every secret signs each message, so that a new one can replace an old one.
    pub secrets: Vec<WebhookSecret>,
}

/// Reads the receiver, and its secrets if something is to be signed.
pub(super) fn webhook(
    settings: &Settings,
    signs: bool,
    of_group: &mut Vec<&'static str>,
) -> Result<Option<Webhook>, ConfigError> {
    let url = settings.given(var::WEBHOOK_URL);
    let secret = settings.given(var::WEBHOOK_SECRET);
    let file = settings.given(var::WEBHOOK_SECRET_FILE);
    if secret.text().is_some() && file.text().is_some() {
        return Err(secret.bad(format!("and {} are both set: unset one of them.", var::WEBHOOK_SECRET_FILE)));
    }
    let given = if file.text().is_some() { &file } else { &secret };
    let Some(text) = url.text() else {
        return match given.text() {
            Some(_) if signs => {
                Err(given.bad(format!("is set without {}: set the URL of the receiver.", var::WEBHOOK_URL)))
            }
            _ => Ok(None),
        };
    };
    let url = WebhookUrl::parse(text).map_err(|fault| {
        url.bad(format!("{fault}: write https://HOST/PATH, or http:// and an address of this machine itself."))
    })?;
    if !signs {
        return Ok(Some(Webhook { url, secrets: Vec::new() }));
    }
    let texts = match (secret.text(), file.text()) {
        (Some(text), _) => Zeroizing::new(text.to_owned()),
        (None, Some(_)) => file.secret_file(of_group)?,
        (None, None) => {
            return Err(secret.bad(format!(
                "is needed with {}, so that the receiver can verify the messages: {HOW_TO_MAKE}.",
                var::WEBHOOK_URL
            )));
        }
    };
    Ok(Some(Webhook { url, secrets: secrets(given, &texts)? }))
}

fn secrets(given: &Given<'_>, texts: &str) -> Result<Vec<WebhookSecret>, ConfigError> {
    let texts = texts.split(|c: char| c == ',' || c.is_whitespace()).filter(|text| !text.is_empty());
    let read = texts.map(WebhookSecret::parse).collect::<Result<Vec<_>, _>>();
    let read = read.map_err(|fault| {
        given.bad(format!(
            "{fault}, but must be base64 of 24 to 64 random bytes, several separated by commas: {HOW_TO_MAKE}."
        ))
    })?;
    match read.len() {
        0 => Err(given.bad(format!("contains no secret: {HOW_TO_MAKE}."))),
        1..=MOST_SECRETS => Ok(read),
        _ => Err(given.bad(format!("contains more than {MOST_SECRETS} secrets: remove the unused ones."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn read(url: &str, secret: &str, file: &str) -> Result<Option<Webhook>, String> {
        let settings = Settings::from_iter([
            (var::WEBHOOK_URL, url),
            (var::WEBHOOK_SECRET, secret),
            (var::WEBHOOK_SECRET_FILE, file),
        ]);
        webhook(&settings, true, &mut Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_receiver_has_at_least_one_secret() {
        assert_eq!(read("", "", ""), Ok(None));
        let one = read("https://a.example/in", GOOD, "").unwrap().unwrap();
        let two = read("https://a.example/in", &format!("{GOOD}, {GOOD}"), "").unwrap().unwrap();
        assert_eq!((one.secrets.len(), two.secrets.len()), (1, 2));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{GOOD}\n{GOOD}\n")).unwrap();
        let path = file.path().display().to_string();
        assert_eq!(read("https://a.example/in", "", &path).unwrap(), Some(two));
        std::fs::write(file.path(), "\n").unwrap();
        let refused = read("https://a.example/in", "", &path).unwrap_err();
        assert!(refused.starts_with("SESSIOND_WEBHOOK_SECRET_FILE contains no secret: make one with"), "{refused}");
    }

    #[test]
    fn what_is_wrong_is_one_sentence_without_a_secret() {
        for (url, secret, file, sentence) in [
            ("", GOOD, "", "SESSIOND_WEBHOOK_SECRET is set without SESSIOND_WEBHOOK_URL: set the URL of the receiver."),
            (
                "",
                "",
                "/s",
                "SESSIOND_WEBHOOK_SECRET_FILE is set without SESSIOND_WEBHOOK_URL: set the URL of the receiver.",
            ),
            ("https://a.example", "", "", "SESSIOND_WEBHOOK_SECRET is needed with SESSIOND_WEBHOOK_URL, so that"),
            (
                "https://a.example",
                GOOD,
                "/s",
                "SESSIOND_WEBHOOK_SECRET and SESSIOND_WEBHOOK_SECRET_FILE are both set: ",
            ),
            ("https://a.example", "", "/none", "SESSIOND_WEBHOOK_SECRET_FILE names a file that cannot be read: "),
            ("https://a.example", "hunter2!", "", "SESSIOND_WEBHOOK_SECRET is not base64, but must be base64 of 24 to"),
            (
                "https://a.example",
                "aHVudGVyMg==",
                "",
                "SESSIOND_WEBHOOK_SECRET has fewer than 24 or more than 64 bytes,",
            ),
            ("http://a.example/hunter2", GOOD, "", "SESSIOND_WEBHOOK_URL is http:// to another machine, which anyone"),
            ("a.example", GOOD, "", "SESSIOND_WEBHOOK_URL is not a URL: write https://HOST/PATH, or http://"),
            (
                "https://u:hunter2@a",
                GOOD,
                "",
                "SESSIOND_WEBHOOK_URL contains a user or a password, which are not sent: ",
            ),
            (
                "https://169.254.169.254",
                GOOD,
                "",
                "SESSIOND_WEBHOOK_URL leads to an address that no receiver can have: ",
            ),
        ] {
            let said = read(url, secret, file).unwrap_err();
            assert!(said.starts_with(sentence) && !said.contains("hunter2"), "{said}\nis not\n{sentence}");
            assert_eq!(said.matches(". ").count(), 0, "one sentence: {said}");
        }
        let six = read("https://a.example", &[GOOD; 6].join(","), "").unwrap_err();
        assert!(six.starts_with("SESSIOND_WEBHOOK_SECRET contains more than 5 secrets"), "{six}");
    }
}
