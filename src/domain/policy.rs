//! Policy: what the operator chooses where sessiond could do one thing or another.
//!
//! Owns the choices. Must never know their words in the settings, nor a default.

/// What happens when a user with as many sessions as allowed signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLimit {
    /// The session that was issued first ends.
    EvictOldest,
    /// The sign-in is refused.
    Refuse,
}

/// What happens when another browser or system than the bound one presents a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeviceChange {
    /// Write a line to the audit log.
    Log,
    /// The same, and the session can change nothing until its owner gives a new proof of identity.
    StepUp,
    /// The same, and the session ends.
    Revoke,
}

/// Whether anyone may create an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anyone may.
    Open,
    /// Only an operator may, from the command line.
    Closed,
}
