//! Exchange rules: which old tokens are exchanged for sessions, and until when.
//!
//! Owns [`ExchangeRules`], made once at startup. [`super::exchange`] applies them.

use crate::domain::Timestamp;
use crate::domain::old_token::TokenRules;
use crate::service::sign_in::revoked_tokens::RevokedTokens;

/// What is exchanged, and until when.
pub struct ExchangeRules {
    /// What tokens must be.
    pub tokens: TokenRules,
    /// From when on none is exchanged.
    pub until: Timestamp,
    /// The revoked ones, if there is a list.
    pub revoked: Option<RevokedTokens>,
}
