//! Devices: what a User-Agent header says about itself, for people who read a list of sessions.
//!
//! Owns [`Device`]. Must never grant access: the client chooses the header. A changed device is only a hint
//! ([`super::binding`]).

use serde::Serialize;
use utoipa::ToSchema;
use woothee::parser::Parser;

/// Longest User-Agent that is stored and read, in bytes; the rest is cut off. The parser's time grows with it.
pub const MAX_USER_AGENT: usize = 512;

/// A browser on an operating system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[non_exhaustive]
pub struct Device {
    /// The browser's or program's family: `Firefox`, `Chrome`, `curl`; null if unknown.
    #[schema(example = "Firefox")]
    pub browser: Option<String>,
    /// The operating system's family: `Windows`, `iOS`, `Linux`; null if unknown.
    #[schema(example = "Windows")]
    pub os: Option<String>,
    /// The kind of device.
    pub kind: DeviceKind,
}

/// The kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeviceKind {
    /// A computer.
    Desktop,
    /// A telephone or a tablet.
    Mobile,
    /// A program other than a browser: a crawler, a command-line client.
    Program,
    /// Unknown.
    Unknown,
}

impl Device {
    /// Reads a User-Agent header; an absent or unknown header gives an unknown device.
    #[doc(hidden)]
    pub fn from_user_agent(user_agent: Option<&str>) -> Self {
        let user_agent = user_agent.map(cut).unwrap_or_default();
        let Some(found) = Parser::new().parse(user_agent) else {
            return Self { browser: first_product(user_agent), os: None, kind: DeviceKind::Unknown };
        };
        let browser = if found.name == "HTTP Library" { first_product(user_agent) } else { known(found.name) };
        Self { browser, os: known(family(found.os)), kind: kind(found.category) }
    }
}

/// The header's first [`MAX_USER_AGENT`] bytes, cut between characters.
pub fn cut(user_agent: &str) -> &str {
    let end = user_agent.floor_char_boundary(MAX_USER_AGENT);
    user_agent.get(..end).unwrap_or_default()
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty() && text != "UNKNOWN").then(|| text.to_owned())
}

/// Windows writes a frozen version into its User-Agent, so the version would mislead.
fn family(os: &str) -> &str {
    match os {
        "iPhone" | "iPad" | "iPod" => "iOS",
        "Mac OSX" => "macOS",
        windows if windows.starts_with("Windows") && !windows.contains("Phone") => "Windows",
        other => other,
    }
}

fn kind(category: &str) -> DeviceKind {
    match category {
        "pc" => DeviceKind::Desktop,
        "smartphone" | "mobilephone" => DeviceKind::Mobile,
        "crawler" | "misc" => DeviceKind::Program,
        _ => DeviceKind::Unknown,
    }
}

/// The name before the first slash (`curl/8.5.0` is curl), if it is a plain word.
fn first_product(user_agent: &str) -> Option<String> {
    let name = user_agent.split(['/', ' ']).next()?;
    let plain = !name.is_empty() && name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(user_agent: &str) -> (Option<String>, Option<String>, DeviceKind) {
        let device = Device::from_user_agent(Some(user_agent));
        (device.browser, device.os, device.kind)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn common_browsers_are_told_by_family() {
        assert_eq!(
            read(
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
            ),
            (some("Chrome"), some("Linux"), DeviceKind::Desktop)
        );
        assert_eq!(
            read("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"),
            (some("Firefox"), some("Windows"), DeviceKind::Desktop)
        );
        assert_eq!(
            read(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
            ),
            (some("Safari"), some("iOS"), DeviceKind::Mobile)
        );
    }

    #[test]
    fn what_is_unknown_stays_unknown_and_long_headers_are_cut() {
        assert_eq!(Device::from_user_agent(None).kind, DeviceKind::Unknown);
        assert_eq!(read("<img src=x onerror=alert(1)>").0, None);
        assert!(cut(&"é".repeat(1_000)).len() <= MAX_USER_AGENT);
    }

    #[test]
    fn command_line_clients_have_a_name() {
        assert_eq!(read("curl/8.5.0").0, some("curl"));
    }
}
