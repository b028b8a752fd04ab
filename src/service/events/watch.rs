//! Streams of events: opened for a session, closed when the server stops.
//!
//! Owns their number on this node. What they are told is the background's to find out.

use super::Events;
use super::hub::EventStream;
use crate::service::core::checked::Checked;
use crate::service::core::unavailable::Unavailable;

const FULL: &str = "as many event streams are open as may be";

impl Events {
    /// Opens a stream of what happens to a session.
    pub fn watch_session(&self, checked: &Checked) -> Result<EventStream, Unavailable> {
        let opened = self.hub.open(checked.session, checked.user, checked.deadlines);
        opened.map_err(|_| Unavailable::Busy(FULL))
    }

    /// Whether a stream could be opened now; opens none.
    pub fn may_watch_session(&self, checked: &Checked) -> Result<(), Unavailable> {
        self.hub.has_room(checked.session, checked.user).map_err(|_| Unavailable::Busy(FULL))
    }

    /// Ends all streams, which says nothing about their sessions, and opens no more: the server is about to stop.
    pub fn close_streams(&self) {
        self.hub.close();
    }

    /// How many streams are open on this node.
    pub fn open_streams(&self) -> usize {
        self.hub.streams()
    }
}
