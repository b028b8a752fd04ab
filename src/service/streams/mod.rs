//! Streams: pages that are open are told what happens to their session, at once.
//!
//! Three steps. Whoever changes something gives a **hint**, which is nothing but a session's id ([`spread`]). The
//! [`hub`] gathers hints for those who watch. One task **looks** in the ledger ([`look`]) what is true, and puts it into
//! the [`mailbox`] of each stream. So a hint that is lost, doubled or forged does no harm: everything is looked at again
//! within ten seconds, and nobody is told but what the ledger says.

pub(super) mod hub;
mod look;
mod mailbox;
mod registry;
mod spread;

pub use hub::EventStream;
pub use mailbox::Notice;
