//! Watch: opens a session's event stream, and closes all streams when the server stops.
//!
//! Owns the number of streams on this node. The background task finds their notices.

use super::Events;
use super::hub::EventStream;
use crate::service::core::checked::Checked;
use crate::service::core::unavailable::Unavailable;

const FULL: &str = "too many event streams are open";

impl Events {
    /// Opens an event stream for a session.
    pub fn watch_session(&self, checked: &Checked) -> Result<EventStream, Unavailable> {
        let opened = self.hub.open(checked.session, checked.user, checked.deadlines);
        opened.map_err(|_| Unavailable::Busy(FULL))
    }

    /// Whether a stream could be opened now; opens none.
    pub fn may_watch_session(&self, checked: &Checked) -> Result<(), Unavailable> {
        self.hub.has_room(checked.session, checked.user).map_err(|_| Unavailable::Busy(FULL))
    }

    /// Closes all streams, without ending their sessions, and opens no more: the server is about to stop.
    pub fn close_streams(&self) {
        self.hub.close();
    }

    /// How many streams are open on this node.
    pub fn open_streams(&self) -> usize {
        self.hub.streams()
    }
}
