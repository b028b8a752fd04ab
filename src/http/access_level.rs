//! Access levels: who may call a route.
//!
//! Owns [`AccessLevel`]: the route table sets it, and the session layer enforces it.

use crate::domain::Scope;

/// Who may reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLevel {
    /// Everyone. actix-session does not see the session cookie, so a failing store never breaks signing in or out.
    Public,
    /// Everyone. Authentication is optional; anonymous requests are allowed.
    Anyone,
    /// Signed-in users only. The session layer checks this once, before anything else runs.
    Account,
    /// As `Account`, but the request does not count as use: it does not extend the session.
    Background,
    /// As `Account`, for current administrators: the role is checked after the session and before the body. Also for
    /// services with the scope to administer, which show a secret.
    Administrator,
    /// As `Account`, for a route that may renew the session's token or start another session: actix-session sets the
    /// cookie. On other routes actix-session would double the cost of the check and do nothing.
    Renewal,
    /// Services with this scope, which show a secret: no session, and no browser.
    Service(Scope),
    /// Every route of another application, which asks for `Identity` where it needs one.
    Embedded,
}
