//! What was refused and is worth a look: a line in the log for each, in one form.
//!
//! In the audit log it is too, where it is counted as soon as it gets much, so that nobody can fill the database by being
//! refused: the service does that with passwords, of which it knows whose account they were for; the others are handed to
//! it here. Owns the words (OWASP's logging vocabulary where it has one) and the form. Must never hold what somebody
//! typed: a password ends up in the wrong field easily.

use std::fmt;

use crate::domain::Client;
use crate::domain::event::Event;
use crate::service::{App, Checked};

const TARGET: &str = "sessiond::security";

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A sign-in.
    SignIn,
    /// A password of who is signed in.
    Password,
    /// A link to set a new password.
    ResetLink,
    /// Something that the account may not do.
    Access,
    /// A request that a page of somebody else may have made.
    Forgery,
}

impl Refused {
    /// The event that it is.
    fn event(self) -> Event {
        match self {
            Self::SignIn => Event::LoginFail,
            Self::Password => Event::PasswordFail,
            Self::ResetLink => Event::PasswordResetFail,
            Self::Access => Event::AccessFail,
            Self::Forgery => Event::Forgery,
        }
    }
}

/// Writes the line: what, in which request, from where, and in whose session if that is known.
pub fn note(app: &App, what: Refused, client: &Client, session: Option<&Checked>, why: &dyn fmt::Display) {
    if matches!(what, Refused::ResetLink | Refused::Forgery) {
        app.audit.note_refusal(what.event(), session, client, None);
    }
    let line = line(what, client, session, why);
    // A place in the code for each: lines are bounded by place, and no kind may use up those of another.
    match what {
        Refused::SignIn => log::warn!(target: TARGET, "{line}"),
        Refused::Password => log::warn!(target: TARGET, "{line}"),
        Refused::ResetLink => log::warn!(target: TARGET, "{line}"),
        Refused::Access => log::warn!(target: TARGET, "{line}"),
        Refused::Forgery => log::warn!(target: TARGET, "{line}"),
    }
}

/// The same of somebody who asked, in a session, for what only administrators may have: `route` is which, as it is declared.
pub fn note_access(app: &App, client: &Client, session: &Checked, route: String) {
    let why = format_args!("{route}: not an administrator");
    log::warn!(target: TARGET, "{}", line(Refused::Access, client, Some(session), &why));
    app.audit.note_refusal(Refused::Access.event(), Some(session), client, Some(route));
}

fn line(what: Refused, client: &Client, session: Option<&Checked>, why: &dyn fmt::Display) -> String {
    let (name, request, ip) = (what.event().name(), client.request_id, client.ip);
    match session {
        Some(Checked { user, session, .. }) => {
            format!("event={name} request={request} ip={ip} user={user} session={session}: {why}")
        }
        None => format!("event={name} request={request} ip={ip} user=- session=-: {why}"),
    }
}
