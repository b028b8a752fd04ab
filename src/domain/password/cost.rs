//! What one password hash costs today.
//!
//! Owns the two numbers. With the feature `fault-points`, which a release build refuses, and with the environment variable
//! `CHEAP_VARIABLE` set, a hash costs next to nothing: tests about other things need not wait for it. Must never be cheap in any other build, and never change within one process.

/// What a hash takes.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// OWASP Password Storage: 19 MiB, 2 passes.
pub(super) const FULL: Cost = Cost { memory_kib: 19_456, passes: 2 };

/// Of every hash that is made now.
#[cfg(any(not(feature = "fault-points"), test))]
pub(super) const fn today() -> Cost {
    FULL
}

#[cfg(all(feature = "fault-points", not(test)))]
pub(super) fn today() -> Cost {
    if is_cheap() { Cost { memory_kib: 64, passes: 1 } } else { FULL }
}

/// The environment variable that asks for cheap hashes, where a build has them. The log of a server, which tests read, warns
/// of a name that begins with `SESSIOND_` and is no setting: this one does not.
#[cfg(feature = "fault-points")]
pub const CHEAP_VARIABLE: &str = "TEST_SESSIOND_CHEAP_HASH";

#[cfg(feature = "fault-points")]
static CHEAP: std::sync::OnceLock<bool> = std::sync::OnceLock::new();

/// Whether hashes of this process are cheap. It stays so from the first question on.
#[cfg(feature = "fault-points")]
pub fn is_cheap() -> bool {
    *CHEAP.get_or_init(|| std::env::var_os(CHEAP_VARIABLE).is_some())
}

/// Hashes of this process cost what they cost users: for tests about hashing. Panics if a cheap hash may exist already.
#[cfg(feature = "fault-points")]
pub fn hash_at_full_cost() {
    assert!(!CHEAP.get_or_init(|| false), "a cheap hash may have been made already: ask for full cost first");
}
