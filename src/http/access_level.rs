//! Who may reach a route.
//!
//! Owns [`AccessLevel`], which the route table gives and the session layer obeys.

/// Who may reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLevel {
    /// Everybody. The session cookie is kept from actix-session, so that a sick store never breaks signing in
    /// and out.
    Public,
    /// Everybody; who is signed in is known as such, and that nobody is, is an answer.
    Anyone,
    /// Only who is signed in: checked here, once, before anything else runs.
    Account,
    /// The same, but to come here is no use of the session: it keeps nobody signed in.
    Background,
    /// The same, for who is an administrator at this moment: asked after the session and before the body.
    Administrator,
    /// The same as for an account, for a route that may give the session a new token, or begin another: actix-session sets the cookie.
    /// On the others it would cost as much as the check and do nothing.
    Renewal,
    /// Every route of another application, which asks for `Identity` where it needs one.
    Embedded,
}
