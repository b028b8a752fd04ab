//! What was refused and is worth a look: a line in the log for each, in one form.
//!
//! What happened to accounts and sessions is in the audit log, in SQL; this is what did not happen. It stays out of SQL,
//! so that nobody can fill the database by being refused. Owns the words (OWASP's logging vocabulary where it has one)
//! and the form. Must never hold what somebody typed: a password ends up in the wrong field easily.

use std::fmt;

use crate::domain::Client;
use crate::service::Checked;

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A sign-in.
    SignIn,
    /// A password of who is signed in.
    Password,
    /// Something that the account may not do.
    Access,
    /// A request that a page of somebody else may have made.
    Forgery,
}

impl Refused {
    /// The event's name.
    fn name(self) -> &'static str {
        match self {
            Self::SignIn => "authn_login_fail",
            Self::Password => "authn_password_fail",
            Self::Access => "authz_fail",
            Self::Forgery => "csrf_fail",
        }
    }
}

/// Writes the line: what, in which request, from where, and in whose session if that is known.
pub fn note(what: Refused, client: &Client, session: Option<&Checked>, why: &dyn fmt::Display) {
    log::warn!(target: "sessiond::security", "{}", line(what, client, session, why));
}

fn line(what: Refused, client: &Client, session: Option<&Checked>, why: &dyn fmt::Display) -> String {
    let (name, request, ip) = (what.name(), client.request_id, client.ip);
    match session {
        Some(Checked { user, session, .. }) => {
            format!("event={name} request={request} ip={ip} user={user} session={session}: {why}")
        }
        None => format!("event={name} request={request} ip={ip} user=- session=-: {why}"),
    }
}
