//! Who may reach a route.
//!
//! Owns [`Rank`], which the route table gives and the session layer obeys.

/// Who may reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Everybody. The session cookie is kept from actix-session, so that a sick store never breaks signing in
    /// and out.
    Public,
    /// Only who is signed in: checked here, once, before anything else runs.
    Account,
    /// Every route of another application, which asks for `Identity` where it needs one.
    Embedded,
}
