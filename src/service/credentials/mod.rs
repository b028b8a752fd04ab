//! Credentials: which services there are, and who of them asks.
//!
//! Owns the secrets' life: made, replaced, removed. Nodes know them from memory, so a question by a service costs no SQL;
//! what they know is younger than [`directory::TRUST`], so a removal is complete after that time. Must never keep a
//! secret, and costs nothing where no service asks.

pub(in crate::service) mod directory;
pub(in crate::service) mod manage;
pub(in crate::service) mod recognise;

use std::sync::Arc;

use directory::Directory;

use crate::service::audit::Audit;
use crate::service::core::Core;

/// Services and their secrets.
#[derive(Clone)]
pub struct Credentials {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) audit: Arc<Audit>,
    pub(in crate::service) directory: Arc<Directory>,
}
