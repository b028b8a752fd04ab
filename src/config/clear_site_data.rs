//! What browsers delete at sign-out.
//!
//! Owns [`ClearSiteData`]. Must never delete cookies unless the operator asks for it: browsers delete the cookies of
//! the whole registrable domain, including those of other applications.

use std::fmt;

use super::given::ConfigError;
use super::settings::{Settings, var};

const NONE: &str = "none";

/// One type of browser data (W3C Clear Site Data §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteData {
    /// Cached answers, and pages that the back button would restore.
    Cache,
    /// All cookies of every host under the registrable domain.
    Cookies,
    /// Data that scripts of this origin have stored: web storage, databases, service workers.
    Storage,
}

impl SiteData {
    /// The word in the setting and, quoted, in the header.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Cookies => "cookies",
            Self::Storage => "storage",
        }
    }
}

/// The types to delete, possibly none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearSiteData(pub Vec<SiteData>);

impl fmt::Display for ClearSiteData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|kind| kind.word()).collect();
        f.write_str(&if words.is_empty() { NONE.to_owned() } else { words.join(",") })
    }
}

/// The listed types, each once.
pub(super) fn clear_site_data(settings: &Settings) -> Result<ClearSiteData, ConfigError> {
    let given = settings.given(var::CLEAR_SITE_DATA);
    if given.text_or_default() == NONE {
        return Ok(ClearSiteData(Vec::new()));
    }
    let mut kinds = Vec::new();
    for word in given.list() {
        let kind = [SiteData::Cache, SiteData::Cookies, SiteData::Storage].into_iter().find(|kind| kind.word() == word);
        match kind {
            Some(kind) if !kinds.contains(&kind) => kinds.push(kind),
            Some(_) => return Err(given.is_no(word, "which is listed twice.")),
            None => {
                return Err(
                    given.is_no(word, "but can only be cache, cookies and storage, separated by commas, or none.")
                );
            }
        }
    }
    if kinds.is_empty() {
        Err(given.bad("is an empty list: write cache,storage or none."))
    } else {
        Ok(ClearSiteData(kinds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let settings = Settings::from_iter([(var::CLEAR_SITE_DATA, text)]);
        clear_site_data(&settings).map(|kinds| kinds.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn cookies_go_only_when_they_are_listed() {
        for (text, kinds) in [
            ("", "cache,storage"),
            ("none", "none"),
            ("storage", "storage"),
            (" cookies , cache ", "cookies,cache"),
            ("cache,storage,cookies", "cache,storage,cookies"),
        ] {
            assert_eq!(read(text), Ok(kinds.to_owned()), "{text:?}");
        }
        for (text, end) in [
            ("*", "is \"*\", but can only be cache, cookies and storage, separated by commas, or none."),
            ("cache,none", "is \"none\", but can only be cache, cookies and storage, separated by commas, or none."),
            ("Cache", "is \"Cache\", but can only be cache, cookies and storage, separated by commas, or none."),
            ("cache,cache", "is \"cache\", which is listed twice."),
            (",", "is an empty list: write cache,storage or none."),
        ] {
            assert_eq!(read(text), Err(format!("SESSIOND_CLEAR_SITE_DATA {end}")), "{text:?}");
        }
    }
}
