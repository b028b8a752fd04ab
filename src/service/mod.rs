//! Service: rooms with one public method for each use case, and the order of their writes.
//!
//! Owns the protocol between the ledger and the records (see the crate's documentation). A room uses those above it in
//! this list, and none below. Must never know HTTP: its errors say what happened, not which status that is.

mod core;

mod audit;
mod events;
mod fence;
mod sessions;

mod risk;

mod near_cache;

mod check;

mod credentials;

mod access_tokens;

mod sign_in;

mod users;

mod jobs;

mod app;

pub use access_tokens::LONGEST as LONGEST_ACCESS_TOKEN;
pub use access_tokens::rules::TokenRules;
pub use app::{App, Parts};
pub use audit::read::{EventFilter, Exchanges};
pub use core::admin_views::{EndedSessionView, EventView, SessionDetail, UserDetail};
pub use core::audit_context::AuditContext;
pub use core::authority::{Authority, SessionAuthority};
pub use core::checked::{Activity, Checked};
pub use core::denied::{Denied, StepUpRequired};
pub use core::location::Locator;
pub use core::policy::Policy;
pub use core::start_error::StartError;
pub use core::throttled::{Quota, Throttled};
pub use core::unavailable::Unavailable;
pub use core::views::{ActorView, Me, Renewed, SessionView, UserRow, UserView};
pub use credentials::directory::Caller;
pub use credentials::manage::CredentialError;
pub use events::hub::EventStream;
pub use events::mailbox::Notice;
pub use events::pending::{Pending, PendingNotice};
pub use events::trial::{Tried, test as test_webhook};
pub use events::webhook::AlertOpened;
pub use fence::membership::{Membership, Shared};
pub use fence::readiness::{Condition, Readiness};
pub use fence::startup::prepare;
pub use fence::store_fence::StoreFence;
pub use jobs::background::Background;
pub use near_cache::copies::CopyKey;
pub use near_cache::figures::NearCacheFigures;
pub use risk::alerts::{AlertError, AlertState, AlertUser, AlertView, SignalView};
pub use sessions::end::{Existed, Those};
pub use sessions::find::{FoundPage, FoundSession, Wanted};
pub use sessions::revoke_matching::{Matching, Outcome};
pub use sign_in::exchange::ExchangeError;
pub use sign_in::exchange_rules::ExchangeRules;
pub use sign_in::hash_pool::Hashing;
pub use sign_in::impersonate::Impersonate;
pub use sign_in::issue::{IssueError, SignIn, SignInError, SignedIn};
pub use sign_in::issue_to_subject::{IssueRequest, Issued};
pub use sign_in::reauthenticate::ReauthenticateError;
pub use sign_in::revoked_tokens::RevokedTokens;
pub use sign_in::session_data::{DataError, SessionData};
pub use users::account::{ChangePasswordError, RenameError};
pub use users::admin::{AdminError, NewUser};
pub use users::directory::UserPosition;
pub use users::ensure::EnsureError;
pub use users::import::ImportedUser;
pub use users::register::{NewAccount, RegisterError};
pub use users::reset::{IssuedReset, ResetError};
