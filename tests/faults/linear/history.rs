//! The history of a run: every session, every check and every revocation, when it began and when it was answered.
//!
//! Owns the record, on one clock. Must never judge: see [`super::judge`].

use std::time::Duration;

/// From the moment before something was asked to the moment after it was answered.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Nothing was sent before.
    pub began: Duration,
    /// The whole answer was there, or it was clear that there would be none.
    pub ended: Duration,
}

/// A session, by the number of its place in [`History::sessions`].
pub type Session = usize;

/// A session that was issued.
#[derive(Clone, Copy, Debug)]
pub struct Issued {
    /// Whose it is.
    pub user: usize,
    /// Its sign-in.
    pub span: Span,
}

/// What a check was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200 and the session's own user and id.
    Own,
    /// 200 and somebody else's.
    Foreign(String),
    /// 401.
    Ended,
    /// 503, in good form.
    Unknown,
    /// The connection broke.
    Nothing,
    /// What no check may be answered with.
    Odd(String),
}

/// What a revocation is about.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// This session.
    One(Session),
    /// All of the user's but the one that asked.
    Others(Session),
    /// All of the user's, the one that asked among them.
    All(Session),
}

/// Something that a client did.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A check of a session at a node.
    Check(Session, Answer),
    /// A revocation, and whether it was answered 2xx. If not, it may have happened, or happen yet.
    Revoke(Scope, bool),
}

/// A deed and its time.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub span: Span,
    /// At which node.
    pub node: usize,
    /// What.
    pub deed: Deed,
}

/// All that happened, in the order of the answers.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Every session ever issued.
    pub sessions: Vec<Issued>,
    /// Every check and every revocation.
    pub events: Vec<Event>,
}
