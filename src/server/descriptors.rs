//! Descriptors: the limit on open files, as each connection is one.
//!
//! Owns the share of event streams, so that they never take the last descriptor from ordinary requests and the stores.
//! Must never raise the limit beyond what the process may.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// One in this many open files is reserved for everything but streams.
const KEPT: u64 = 4;
/// The largest reserve.
const MOST_KEPT: u64 = 5_000;

/// Raises the limit as far as allowed. Returns how many streams fit below it, at most `wanted`.
pub(super) fn fitting(wanted: usize) -> usize {
    let fitting = raise().map_or(wanted, |limit| room(limit).min(wanted));
    if let Some(note) = note(wanted) {
        log::debug!("{note}");
    }
    fitting
}

/// A warning when fewer streams fit than wanted.
pub(super) fn note(wanted: usize) -> Option<String> {
    let limit = raise().filter(|limit| room(*limit) < wanted)?;
    Some(format!(
        "this process may have {limit} files open, which is too few for {wanted} event streams: it opens at most {} \
         streams; raise the limit to {} (`ulimit -n`, or LimitNOFILE= of the service), or set \
         SESSIOND_MAX_EVENT_STREAMS",
        room(limit),
        needed(wanted)
    ))
}

/// Raises the soft limit to the hard one. Returns the limit, if there is one.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum || setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        return maximum;
    }
    current
}

fn room(limit: u64) -> usize {
    let kept = (limit / KEPT).min(MOST_KEPT);
    usize::try_from(limit - kept).unwrap_or(usize::MAX)
}

fn needed(streams: usize) -> u64 {
    let streams = u64::try_from(streams).unwrap_or(u64::MAX);
    streams.saturating_add((streams / (KEPT - 1)).saturating_add(1).min(MOST_KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_needed_is_enough_and_not_much_more() {
        for streams in [1, 2, 3, 100, 10_000, 14_999, 15_000, 20_000, 1_000_000] {
            assert!(room(needed(streams)) >= streams, "{streams}");
            assert!(room(needed(streams).saturating_sub(3)) < streams, "{streams}");
        }
        assert_eq!((room(64), room(1_024), room(1_048_576)), (48, 768, 1_043_576));
    }
}
