//! Devices: what a node remembers of devices, so that most comparisons take well under a microsecond and each change is
//! reported once.
//!
//! Owns both memories, each bounded. Must never replace the ledger: forgotten entries are parsed or looked up again.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;

use crate::domain::{Device, DeviceMark, TokenHash};

/// Headers whose device each thread remembers. A browser sends the same header with each request, and parsing it takes
/// longer than the rest of the comparison.
const KNOWN_HEADERS: usize = 1_024;
/// Changes that a node remembers as handled. A forgotten one is looked up in the ledger.
const KNOWN_CHANGES: usize = 10_000;

thread_local! {
    static HEADERS: RefCell<HashMap<Box<str>, DeviceMark>> = RefCell::default();
}

/// The mark of the device that sends this User-Agent.
pub(in crate::service) fn mark_of(user_agent: Option<&str>) -> DeviceMark {
    let Some(user_agent) = user_agent else { return DeviceMark::UNKNOWN };
    HEADERS.with_borrow_mut(|known| {
        if let Some(mark) = known.get(user_agent) {
            return *mark;
        }
        if known.len() >= KNOWN_HEADERS {
            known.clear();
        }
        let mark = DeviceMark::of(&Device::from_user_agent(Some(user_agent)));
        known.insert(user_agent.into(), mark);
        mark
    })
}

/// The changes that this node has handled, by token: each proof brings a new token, and starts over.
#[derive(Default)]
pub(in crate::service) struct DealtWith(Mutex<HashSet<(TokenHash, DeviceMark)>>);

impl DealtWith {
    /// Whether this change was handled.
    pub(in crate::service) fn has(&self, change: (TokenHash, DeviceMark)) -> bool {
        self.0.lock().contains(&change)
    }

    /// Marks this change as handled. Returns whether that is new.
    pub(in crate::service) fn add(&self, change: (TokenHash, DeviceMark)) -> bool {
        let mut known = self.0.lock();
        if known.len() >= KNOWN_CHANGES {
            known.clear();
        }
        known.insert(change)
    }

    pub(in crate::service) fn forget(&self, change: (TokenHash, DeviceMark)) {
        self.0.lock().remove(&change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SystemRandom, Token};

    #[test]
    fn what_a_thread_and_a_node_remember_is_bounded() {
        for number in 0..=KNOWN_HEADERS {
            mark_of(Some(&format!("program-{number}/1.0")));
        }
        assert!(HEADERS.with_borrow(HashMap::len) <= KNOWN_HEADERS);
        let dealt_with = DealtWith::default();
        for _ in 0..=KNOWN_CHANGES {
            dealt_with.add((Token::generate(&SystemRandom).hash(), DeviceMark::UNKNOWN));
        }
        assert!(dealt_with.0.lock().len() <= KNOWN_CHANGES);
    }

    #[test]
    fn a_change_is_dealt_with_once_for_each_token_and_device() {
        let dealt_with = DealtWith::default();
        let (one, other) = (Token::generate(&SystemRandom).hash(), Token::generate(&SystemRandom).hash());
        let curl = mark_of(Some("curl/8.5.0"));
        assert!(dealt_with.add((one, curl)) && !dealt_with.add((one, curl)));
        assert!(!dealt_with.has((other, curl)) && !dealt_with.has((one, DeviceMark::UNKNOWN)));
        dealt_with.forget((one, curl));
        assert!(!dealt_with.has((one, curl)));
    }
}
