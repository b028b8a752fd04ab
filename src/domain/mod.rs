//! The rules: tokens, sessions, users, passwords and devices, and when a session is over.
//!
//! Owns every decision that needs only its arguments. Must never do I/O, await, or import anything else of this crate:
//! time and randomness come in through [`Clock`] and [`Random`].

pub mod binding;
pub mod client;
pub mod clock;
pub mod device;
pub mod email;
pub mod event;
pub mod filter;
pub mod ids;
pub mod jwt_crypto;
pub mod jwt_keys;
pub mod ledger_clock;
pub mod lineage;
pub mod name;
pub mod old_token;
pub mod password;
pub mod password_rules;
pub mod place;
pub mod policy;
pub mod postgres_url;
pub mod process;
pub mod proof;
pub mod random;
pub mod repeatable;
pub mod risk;
pub mod role;
pub mod search;
pub mod service;
pub mod service_secret;
pub mod session;
pub mod slots;
pub mod subject;
pub mod throttle;
pub mod throttle_key;
pub mod token;
pub mod webhook;
pub mod webhook_url;

pub use binding::DeviceMark;
pub use client::Client;
pub use clock::{Clock, MovableClock, SystemClock, Timestamp};
pub use device::{Device, DeviceKind};
pub use email::Email;
pub use filter::{Filter, FilterError, Network};
pub use ids::{AlertId, Nonce, SessionId, Stamp, UserId};
pub use ledger_clock::{LedgerClock, MAX_SKEW, Reading, Skew};
pub use lineage::{History, HistoryPosition, Lineage};
pub use password::Password;
pub use password_rules::PasswordRules;
pub use place::{Place, Point};
pub use policy::{AtLimit, OnDeviceChange, Registration};
pub use postgres_url::PostgresUrl;
pub use process::{Process, Shard};
pub use proof::Proof;
pub use random::{Random, SystemRandom};
pub use repeatable::Repeatable;
pub use risk::{RiskAction, RiskPolicy};
pub use role::{Role, Roles};
pub use service::{Scope, Scopes, ServiceName};
pub use service_secret::{CredentialId, SecretHash, ServiceSecret};
pub use session::{EndReason, Terms};
pub use slots::Slots;
pub use subject::{Claims, InvalidSubject, Profile, Subject};
pub use throttle_key::{BucketId, DeviceCookie, ThrottleKey};
pub use token::{Token, TokenHash};
