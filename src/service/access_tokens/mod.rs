//! Access tokens: signed JSON Web Tokens that live for a minute at most, for services behind a gateway that cannot ask
//! (the phantom token: opaque outside, a JWT inside).
//!
//! Owns the keys' life and what a token says. Each token is made from a check that has just said yes. Must never reach a
//! browser, never outlive [`LONGEST`], and costs nothing where no issuer is set. A token cannot be taken back before it
//! expires: that is its price, and why it is short.

pub(in crate::service) mod issuer;
pub(in crate::service) mod key_list;
pub(in crate::service) mod keys;
pub(in crate::service) mod mint;
pub(in crate::service) mod rotate;
pub(in crate::service) mod rules;

use std::sync::Arc;
use std::time::Duration;

use issuer::Issuer;

use crate::service::audit::Audit;
use crate::service::core::Core;

/// The longest life of a token.
pub const LONGEST: Duration = Duration::from_secs(60);

/// Tokens for services, and the keys that sign them.
#[derive(Clone)]
pub struct AccessTokens {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) audit: Arc<Audit>,
    pub(in crate::service) issuer: Option<Arc<Issuer>>,
}
