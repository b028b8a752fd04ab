//! The security log: one line, in one form, for each refusal that an operator should see.
//!
//! The audit log records these refusals too, and counts frequent ones instead of listing them, so that refused requests
//! cannot fill the database. The service records refused passwords itself, because it knows the account; this file
//! hands it the others. Owns the words (OWASP's logging vocabulary where it has one) and the form. Must never hold
//! typed text: a password easily ends up in the wrong field.

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
    /// A password of a signed-in user.
    Password,
    /// A link to set a new password.
    ResetLink,
    /// An action that the account may not perform.
    Access,
    /// A request that another site's page may have made.
    Forgery,
    /// An old token.
    Exchange,
}

impl Refused {
    /// The audit event of this refusal.
    fn event(self) -> Event {
        match self {
            Self::SignIn => Event::LoginFail,
            Self::Password => Event::PasswordFail,
            Self::ResetLink => Event::PasswordResetFail,
            Self::Access => Event::AccessFail,
            Self::Forgery => Event::Forgery,
            Self::Exchange => Event::TokenExchangeFail,
        }
    }
}

/// Writes the line: the event, the request, the address, and the session if it is known.
pub fn note(app: &App, what: Refused, client: &Client, session: Option<&Checked>, why: &dyn fmt::Display) {
    if matches!(what, Refused::ResetLink | Refused::Forgery) {
        app.audit.note_refusal(what.event(), session, client, None);
    }
    let line = line(what, client, session, why);
    // One call site for each kind: the log limits lines by call site, and no kind may use up the lines of another.
    match what {
        Refused::SignIn => log::warn!(target: TARGET, "{line}"),
        Refused::Password => log::warn!(target: TARGET, "{line}"),
        Refused::ResetLink => log::warn!(target: TARGET, "{line}"),
        Refused::Access => log::warn!(target: TARGET, "{line}"),
        Refused::Forgery => log::warn!(target: TARGET, "{line}"),
        Refused::Exchange => log::warn!(target: TARGET, "{line}"),
    }
}

/// The same for a signed-in user who called a route for others: `route` is the route as declared.
pub fn note_access(app: &App, client: &Client, session: &Checked, route: String, why: &dyn fmt::Display) {
    let why = format_args!("{route}: {why}");
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
