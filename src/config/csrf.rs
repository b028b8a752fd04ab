//! Whether gateways' unsafe requests must show a CSRF token.
//!
//! Owns the reading of this setting. Must never accept a header that browsers or this server use for something else:
//! such a header never holds a method, so every request would need a token.

use super::given::ConfigError;
use super::settings::{Settings, var};

/// The last four are not headers but values that people try on a switch.
const TAKEN: [&str; 10] =
    ["authorization", "cookie", "host", "origin", "x-csrf-token", "x-forwarded-for", "on", "off", "true", "false"];

/// The header in which the gateway sends the original method, in lower case.
pub(super) fn method_header(settings: &Settings) -> Result<Option<String>, ConfigError> {
    let given = settings.given(var::CSRF_METHOD_HEADER);
    let Some(text) = given.text() else { return Ok(None) };
    let name = text.to_ascii_lowercase();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_plain && !TAKEN.contains(&name.as_str()) {
        return Ok(Some(name));
    }
    Err(given.is_no(text, "but must name the header in which your proxy sends the method, such as X-Forwarded-Method."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<String>, String> {
        let settings = Settings::from_iter([(var::CSRF_METHOD_HEADER, text)]);
        method_header(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_header_is_named_or_none_is() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read(" X-Forwarded-Method "), Ok(Some("x-forwarded-method".to_owned())));
        for bad in ["X_Forwarded_Method", "X Forwarded", "true", "Cookie", "X-CSRF-Token", "é"] {
            assert_eq!(
                read(bad),
                Err(format!(
                    "SESSIOND_CSRF_METHOD_HEADER is {bad:?}, but must name the header in which your proxy sends the \
                        method, such as X-Forwarded-Method."
                ))
            );
        }
    }
}
