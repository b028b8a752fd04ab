//! Settings of a server under test: environment variables, whether the server is a process or not.
//!
//! Owns the test defaults and the one place where tests make a `Config`. Must never repeat a default of
//! sessiond: what is not set here is what every user gets.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sessiond::config::Config;

/// Names and values, as in the environment.
#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// A port of the system's choice, two workers, and a cookie key that every test server shares.
    pub fn new() -> Self {
        let key = STANDARD.encode((0..64).collect::<Vec<u8>>());
        Self::default()
            .with("SESSIOND_LISTEN", "127.0.0.1:0")
            .with("SESSIOND_WORKERS", "2")
            .with("SESSIOND_COOKIE_KEY", &key)
    }

    /// The same with one variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with these variables set.
    #[must_use]
    pub fn with_all(self, pairs: &[(&str, &str)]) -> Self {
        pairs.iter().fold(self, |settings, (name, value)| settings.with(name, value))
    }

    /// The same without one variable; without Redis, also without the copies of what it holds.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        if name == "REDIS_URL" {
            self.0.remove("SESSIOND_NEAR_CACHE");
        }
        self
    }

    /// What a variable is set to.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, for the environment of a process.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What sessiond makes of them; a refused setting is the sentence that a user would read.
    pub fn config(&self) -> Result<Config, String> {
        Config::from_pairs(self.pairs()).map_err(|error| error.to_string())
    }
}
