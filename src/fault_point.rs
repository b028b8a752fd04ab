//! Fault points: named places between two writes where a test can make the process crash.
//!
//! Owns the check whether this point is the named one. Exists only in builds with the cargo feature `fault-points`,
//! which a release build refuses; in other builds [`reach`] compiles to nothing. Must never affect a point except by
//! ending the process, and must never be on the path of a check.

#[cfg(all(feature = "fault-points", not(debug_assertions)))]
compile_error!("the feature `fault-points` is for tests: a release build must not have a way to be killed");

/// The environment variable with the name of the point to end at.
#[cfg(feature = "fault-points")]
const VARIABLE: &str = "SESSIOND_FAULT_POINT";

/// Ends the process at once, without writing, flushing or answering anything, if the environment names this point.
#[cfg(feature = "fault-points")]
pub(crate) fn reach(point: &str) {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    if CHOSEN.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref() == Some(point) {
        std::process::abort();
    }
}

/// Does nothing: this build has no fault points.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub(crate) fn reach(_point: &str) {}

/// How long a node serves before it keeps copies: in builds with fault points, not at all, unless the environment says so.
pub(crate) fn copies_after(usual: std::time::Duration) -> std::time::Duration {
    #[cfg(feature = "fault-points")]
    if std::env::var_os("SESSIOND_FAULT_COPIES_AT_ONCE").is_none_or(|it| it != "0") {
        return std::time::Duration::ZERO;
    }
    usual
}
