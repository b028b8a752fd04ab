//! Binding: what a session is bound to beside its token, and what counts as a change.
//!
//! Owns [`DeviceMark`]: one letter each for the family of the browser and of the system, short enough for a record, and
//! the same for all devices of one kind. Must never treat a new address as a change (telephones change theirs all day),
//! nor an unknown device as another device.

use std::fmt;

use super::Device;

const UNKNOWN: u8 = b'-';

const BROWSERS: [(&str, u8); 9] = [
    ("Chrome", b'C'),
    ("Edge", b'E'),
    ("Firefox", b'F'),
    ("Internet Explorer", b'I'),
    ("Opera", b'O'),
    ("Safari", b'S'),
    ("SamsungBrowser", b'G'),
    ("Vivaldi", b'V'),
    ("Webview", b'W'),
];

const SYSTEMS: [(&str, u8); 7] = [
    ("Android", b'A'),
    ("BSD", b'B'),
    ("ChromeOS", b'C'),
    ("Linux", b'L'),
    ("Windows", b'W'),
    ("iOS", b'I'),
    ("macOS", b'M'),
];

/// Letters for all other names.
const OTHERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The families of a device's browser and system. Versions do not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceMark {
    browser: u8,
    system: u8,
}

impl DeviceMark {
    /// The mark of an unknown device.
    pub const UNKNOWN: Self = Self { browser: UNKNOWN, system: UNKNOWN };

    /// The mark of a device.
    pub fn of(device: &Device) -> Self {
        Self { browser: letter(device.browser.as_deref(), &BROWSERS), system: letter(device.os.as_deref(), &SYSTEMS) }
    }

    /// Reads its two letters.
    pub fn from_bytes(bytes: [u8; 2]) -> Option<Self> {
        let [browser, system] = bytes;
        let is_one = |letter: u8| letter == UNKNOWN || letter.is_ascii_alphanumeric();
        (is_one(browser) && is_one(system)).then_some(Self { browser, system })
    }

    /// Whether this is another browser or another system. An unknown browser or system is no difference.
    pub fn differs_from(self, other: Self) -> bool {
        let differ = |one: u8, other: u8| one != UNKNOWN && other != UNKNOWN && one != other;
        differ(self.browser, other.browser) || differ(self.system, other.system)
    }
}

impl fmt::Display for DeviceMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.browser), char::from(self.system))
    }
}

/// A family's letter. Families without a letter of their own share a few by a checksum; two families rarely share one,
/// and then a change between them goes unnoticed.
fn letter(name: Option<&str>, known: &[(&str, u8)]) -> u8 {
    let Some(name) = name else { return UNKNOWN };
    if let Some((_, letter)) = known.iter().find(|(family, _)| *family == name) {
        return *letter;
    }
    let sum = name.bytes().fold(0_usize, |sum, byte| (sum * 31 + usize::from(byte)) % 1_000_003);
    OTHERS.get(sum % OTHERS.len()).copied().unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(user_agent: &str) -> DeviceMark {
        DeviceMark::of(&Device::from_user_agent(Some(user_agent)))
    }

    const CHROME: &str =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

    #[test]
    fn another_version_is_the_same_device_and_another_family_is_not() {
        assert_eq!(mark(CHROME).to_string(), "CL");
        assert_eq!(mark(FIREFOX).to_string(), "FL");
        assert!(!mark(CHROME).differs_from(mark(&CHROME.replace("142", "143"))));
        assert!(mark(CHROME).differs_from(mark(FIREFOX)));
        assert!(mark(CHROME).differs_from(mark(&CHROME.replace("X11; Linux x86_64", "Windows NT 10.0; Win64; x64"))));
        assert!(mark(CHROME).differs_from(mark("curl/8.5.0")));
        assert!(mark("curl/8.5.0").differs_from(mark("python-requests/2.32")));
    }

    #[test]
    fn what_is_not_told_is_no_difference() {
        for user_agent in ["", "<nothing>", "\u{1f98a}"] {
            assert_eq!(mark(user_agent), DeviceMark::UNKNOWN, "{user_agent}");
        }
        assert!(!mark(CHROME).differs_from(DeviceMark::UNKNOWN));
        assert!(!DeviceMark::UNKNOWN.differs_from(mark(CHROME)));
        // curl does not say what it runs on.
        assert!(!mark("curl/8.5.0").differs_from(DeviceMark::from_bytes(*b"-L").unwrap()));
    }

    #[test]
    fn two_letters_and_nothing_else_are_a_mark() {
        for mark in [mark(CHROME), mark(FIREFOX), mark("curl/8.5.0"), DeviceMark::UNKNOWN] {
            let text = mark.to_string();
            assert_eq!(DeviceMark::from_bytes(text.as_bytes().try_into().unwrap()), Some(mark));
        }
        for bytes in [*b"C ", *b"!L", [0xff, b'L']] {
            assert_eq!(DeviceMark::from_bytes(bytes), None);
        }
    }
}
