//! The location files, and the rules for unusual sessions.
//!
//! Owns the parsing of weights. Must never open a file: the server does that at startup.

use std::path::PathBuf;

use super::given::{ConfigError, Given};
use super::settings::{Settings, var};
use crate::domain::risk::{Rule, Weights};
use crate::domain::{RiskAction, RiskPolicy};

/// One file of countries or cities, one of networks, and spare ones for a vendor who splits them further.
const MOST_FILES: usize = 4;
const MOST_WEIGHT: u32 = 1_000;

const ACTIONS: [(&str, RiskAction); 3] = [
    (RiskAction::Alert.name(), RiskAction::Alert),
    (RiskAction::StepUp.name(), RiskAction::StepUp),
    (RiskAction::Revoke.name(), RiskAction::Revoke),
];

/// The location files; empty if locations are off.
pub(super) fn geoip_files(settings: &Settings) -> Result<Vec<PathBuf>, ConfigError> {
    let given = settings.given(var::GEOIP_DB);
    let files: Vec<_> = given.list().map(PathBuf::from).collect();
    if files.len() > MOST_FILES {
        return Err(given.bad(format!("names {} files, but can name {MOST_FILES} at most.", files.len())));
    }
    Ok(files)
}

/// The rules' weights, the alert threshold and the action.
pub(super) fn policy(settings: &Settings) -> Result<RiskPolicy, ConfigError> {
    let threshold = settings.given(var::RISK_THRESHOLD);
    let action = settings.given(var::RISK_ACTION);
    Ok(RiskPolicy {
        weights: weights(&settings.given(var::RISK_WEIGHTS))?,
        threshold: threshold.number(1, MOST_WEIGHT)?,
        action: action.choice(&ACTIONS)?,
    })
}

/// `new_country=30,new_device=0`: unnamed rules keep their weights.
fn weights(given: &Given<'_>) -> Result<Weights, ConfigError> {
    let mut named = Vec::new();
    given.list().try_fold(Weights::default(), |weights, entry| {
        let (name, number) = entry.split_once('=').map_or((entry, ""), |(name, number)| (name.trim(), number.trim()));
        let Some(rule) = Rule::named(name) else {
            let names: Vec<_> = Rule::ALL.into_iter().map(Rule::name).collect();
            return Err(given.bad(format!("has {entry:?}, but the rules are {}.", names.join(", "))));
        };
        if named.contains(&rule) {
            return Err(given.bad(format!("has two weights for {name}: keep one of them.")));
        }
        named.push(rule);
        // Numbers have one spelling; Rust would also parse `+30`.
        let digits = Some(number).filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
        let weight = digits.and_then(|text| text.parse().ok()).filter(|weight| *weight <= MOST_WEIGHT);
        let Some(weight) = weight else {
            return Err(given.bad(format!("has {entry:?}: write {name}= and a number from 0 (off) to {MOST_WEIGHT}.")));
        };
        Ok(weights.with(rule, weight))
    })
}

/// The weights as an operator would write them.
pub(super) fn text(weights: &Weights) -> String {
    let entries: Vec<_> = weights.all().map(|(rule, weight)| format!("{}={weight}", rule.name())).collect();
    entries.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let settings = Settings::from_iter([(var::RISK_WEIGHTS, text)]);
        policy(&settings).map(|policy| super::text(&policy.weights)).map_err(|error| error.to_string())
    }

    #[test]
    fn weights_that_are_named_are_changed_and_the_rest_stays() {
        let default = text(&Weights::default());
        assert_eq!(read(""), Ok(default.clone()));
        assert_eq!(read(&default), Ok(default.clone()), "what is printed can be given");
        let changed = default.replace("new_country=30", "new_country=7").replace("new_device=10", "new_device=0");
        assert_eq!(read(" new_device = 0 , new_country=7,"), Ok(changed));
    }

    #[test]
    fn a_bad_weight_is_one_sentence() {
        for (text, sentence) in [
            (
                "new_planet=3",
                "SESSIOND_RISK_WEIGHTS has \"new_planet=3\", but the rules are new_country, new_network, \
                 impossible_speed, several_countries, failures_before_success, new_device.",
            ),
            (
                "new_country",
                "SESSIOND_RISK_WEIGHTS has \"new_country\": write new_country= and a number from 0 (off) to 1000.",
            ),
            (
                "new_country=-1",
                "SESSIOND_RISK_WEIGHTS has \"new_country=-1\": write new_country= and a number from 0 (off) to 1000.",
            ),
            (
                "new_country=+30",
                "SESSIOND_RISK_WEIGHTS has \"new_country=+30\": write new_country= and a number from 0 (off) to 1000.",
            ),
            (
                "new_country=1001",
                "SESSIOND_RISK_WEIGHTS has \"new_country=1001\": write new_country= and a number from 0 (off) to 1000.",
            ),
            ("new_country=1,new_country=2", "SESSIOND_RISK_WEIGHTS has two weights for new_country: keep one of them."),
        ] {
            assert_eq!(read(text), Err(sentence.to_owned()));
        }
    }

    #[test]
    fn files_have_commas_between_them() {
        let files = |text: &str| geoip_files(&Settings::from_iter([(var::GEOIP_DB, text)]));
        assert_eq!(files(" /a b.mmdb , c.mmdb,"), Ok(vec![PathBuf::from("/a b.mmdb"), PathBuf::from("c.mmdb")]));
        assert_eq!(files(""), Ok(Vec::new()));
        assert_eq!(
            files("1,2,3,4,5").unwrap_err().to_string(),
            "SESSIOND_GEOIP_DB names 5 files, but can name 4 at most."
        );
    }
}
