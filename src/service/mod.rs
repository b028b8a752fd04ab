//! What somebody can do: one public method of [`App`] for each use case, and the order of the writes in it.
//!
//! Owns the protocol between the ledger and the records (see the crate's documentation). Must never know HTTP:
//! its errors say what happened, not which status that is.

mod account;
mod admin;
mod alarm;
mod app;
mod attempt;
mod cause;
mod check;
mod checked;
mod choose;
mod confirm;
mod device_change;
mod devices;
mod end;
mod fence;
mod fill;
mod flights;
mod gate;
mod health;
mod look;
mod notes;
mod open;
mod own_password;
mod probing;
mod reauthenticate;
mod register;
mod reset;
mod restored;
mod session_data;
mod sessions;
mod sightings;
mod sign_in;
mod step_up;
mod sweeper;
mod tallies;
mod throttle;
mod touch;
mod unavailable;
mod unknown_token;
mod views;
mod webhook;
mod witness;

pub use account::{ChangePasswordError, RenameError, Renewed};
pub use admin::{AdminError, NewUser};
pub use app::{App, AtLimit, Parts, Policy};
pub use cause::Cause;
pub use checked::{Activity, Checked};
pub use devices::OnDeviceChange;
pub use end::{Found, RevokeError};
pub use fence::StoreFence;
pub use gate::Hashing;
pub use health::{Condition, Readiness};
pub use open::StartError;
pub use reauthenticate::ReauthenticateError;
pub use register::{NewAccount, RegisterError};
pub use reset::{IssuedReset, ResetError};
pub use session_data::{DataError, SessionData};
pub use sign_in::{IssueError, SignIn, SignInError, SignedIn};
pub use step_up::StepUpRequired;
pub use sweeper::Background;
pub use throttle::{Quota, Throttled};
pub use unavailable::Unavailable;
pub use views::{Me, SessionView, UserRow, UserView};
pub use webhook::{AlertOpened, Pending, PendingNotice, Tried, test as test_webhook};
