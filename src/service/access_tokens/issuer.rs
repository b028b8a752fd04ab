//! Issuer: what all workers of a node share when tokens are issued.
//!
//! Owns the rules, the keys as they were last read, and the tokens that are used again. Must never decide whether one is.

use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::Cache;

use super::key_list::KeyList;
use super::rules::TokenRules;
use crate::domain::{ServiceName, Timestamp, TokenHash, jwt_crypto};
use crate::service::core::unavailable::Unavailable;

/// Tokens in memory, per node: about a kilobyte each.
const MOST_MINTED: usize = 10_000;

/// For what a token is used again: the session's token, and the service that asks; none: a gateway.
pub(super) type Use = (TokenHash, Option<ServiceName>);

/// A token that was minted.
#[derive(Clone)]
pub(super) struct Minted {
    pub text: Arc<str>,
    /// The key that signed it.
    pub key: String,
    /// In seconds: a record in Redis knows no more.
    pub auth_time: Option<i64>,
    pub made_at: Timestamp,
    pub again_until: Timestamp,
}

/// The state of a node that issues tokens.
pub(in crate::service) struct Issuer {
    pub(super) rules: TokenRules,
    pub(super) keys: Mutex<Option<Arc<KeyList>>>,
    pub(super) minted: Cache<Use, Minted>,
}

impl Issuer {
    pub(in crate::service) fn new(rules: TokenRules) -> Self {
        jwt_crypto::install();
        Self { rules, keys: Mutex::default(), minted: Cache::new(MOST_MINTED) }
    }

    /// The keys as they were last read.
    pub(super) fn known(&self) -> Result<Arc<KeyList>, Unavailable> {
        let known = self.keys.lock().clone();
        known.ok_or_else(|| Unavailable::Store("the keys that sign tokens have not been read yet".to_owned()))
    }
}
