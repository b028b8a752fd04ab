//! The rules by name, and their weights.
//!
//! Owns the closed list. [`super::judge`] defines each rule, and docs/risk.md explains it.

use serde::{Deserialize, Serialize};

/// A rule that can find something unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The user was never seen in this country.
    NewCountry,
    /// The user was never seen in this network.
    NewNetwork,
    /// Two places farther apart than a person can have travelled.
    ImpossibleSpeed,
    /// Live sessions in several countries at the same time.
    SeveralCountries,
    /// Many wrong passwords, then the right one.
    FailuresBeforeSuccess,
    /// No earlier session had this browser and system.
    NewDevice,
}

impl Rule {
    /// Whether a stranger can cause it who knows only an e-mail address. Such a rule only alerts: it is no reason to
    /// act against the person who signed in, who may be the owner.
    pub fn is_anybodys(self) -> bool {
        // All others need a session, and so the password or the cookie.
        self == Self::FailuresBeforeSuccess
    }

    /// Whether its reasons name places and nothing that changes: another place is then another reason.
    pub fn names_places(self) -> bool {
        matches!(self, Self::NewCountry | Self::NewNetwork | Self::SeveralCountries)
    }

    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NewCountry,
        Self::NewNetwork,
        Self::ImpossibleSpeed,
        Self::SeveralCountries,
        Self::FailuresBeforeSuccess,
        Self::NewDevice,
    ];

    /// Its name in settings, alerts and the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewCountry => "new_country",
            Self::NewNetwork => "new_network",
            Self::ImpossibleSpeed => "impossible_speed",
            Self::SeveralCountries => "several_countries",
            Self::FailuresBeforeSuccess => "failures_before_success",
            Self::NewDevice => "new_device",
        }
    }

    /// The rule of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

/// The weight of each rule; 0 switches a rule off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights([(Rule, u32); 6]);

impl Default for Weights {
    /// With the default threshold of 60: a journey with a new telephone (new country, new network, new device) opens no
    /// alert; each of the two rules that travelling cannot trigger does; and so does a guessed password from elsewhere.
    fn default() -> Self {
        Self([
            (Rule::NewCountry, 30),
            (Rule::NewNetwork, 10),
            (Rule::ImpossibleSpeed, 60),
            (Rule::SeveralCountries, 60),
            (Rule::FailuresBeforeSuccess, 50),
            (Rule::NewDevice, 10),
        ])
    }
}

impl Weights {
    /// The weight of a rule.
    pub fn of(&self, rule: Rule) -> u32 {
        self.all().find(|(known, _)| *known == rule).map_or(0, |(_, weight)| weight)
    }

    /// The same weights with another one for this rule.
    #[must_use]
    pub fn with(mut self, rule: Rule, weight: u32) -> Self {
        self.0.iter_mut().filter(|(known, _)| *known == rule).for_each(|entry| entry.1 = weight);
        self
    }

    /// All rules with their weights.
    pub fn all(&self) -> impl Iterator<Item = (Rule, u32)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_weight_and_one_spelling() {
        for rule in Rule::ALL {
            assert!(Weights::default().of(rule) > 0);
            assert_eq!(Rule::named(rule.name()), Some(rule));
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
            assert_eq!(Weights::default().with(rule, 0).of(rule), 0);
        }
        assert_eq!(Rule::named("NEW_COUNTRY"), None);
    }
}
