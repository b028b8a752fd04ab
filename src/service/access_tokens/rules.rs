//! Rules: what the operator says about tokens.

use std::time::Duration;

use crate::domain::Seal;

/// What the operator says about tokens, and what keeps their keys secret.
#[derive(Debug)]
pub struct TokenRules {
    /// Who issues them: `iss`.
    pub issuer: String,
    /// Who may accept them: `aud`.
    pub audience: String,
    /// How long they live, at most [`super::LONGEST`].
    pub lifetime: Duration,
    /// Keeps the private halves of the keys.
    pub seal: Seal,
}
