//! One question to the ledger for all who ask it at the same time.
//!
//! Owns [`SingleFlight`]. A request may join another's question only until that question is sent: an answer that was
//! read before the request began could be older than a revocation that it must see (guard of the model:
//! "join only before it is sent").

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::TokenHash;

type Open<T> = HashMap<TokenHash, (u64, watch::Receiver<Option<T>>)>;

/// The questions that can still be joined.
pub(in crate::service) struct SingleFlight<T> {
    open: Arc<Mutex<(u64, Open<T>)>>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { open: Arc::new(Mutex::new((0, HashMap::new()))) }
    }
}

/// A place on a lead.
pub(in crate::service) enum Place<T> {
    /// Somebody else asks; the answer comes here.
    Joined(watch::Receiver<Option<T>>),
    /// Nobody asks yet: the caller has to, and tell the answer.
    Leader(Lead<T>, watch::Receiver<Option<T>>),
}

/// A question that the holder asks on behalf of all who joined.
pub(in crate::service) struct Lead<T> {
    answer: watch::Sender<Option<T>>,
    window: JoinWindow<T>,
}

/// Closes the open of one lead; also when dropped.
pub(in crate::service) struct JoinWindow<T> {
    token_hash: TokenHash,
    number: u64,
    open: Arc<Mutex<(u64, Open<T>)>>,
}

impl<T: Clone> SingleFlight<T> {
    /// Joins the question about this token, or becomes the one who asks it.
    pub(in crate::service) fn join(&self, token_hash: TokenHash) -> Place<T> {
        let mut open = lock(&self.open);
        if let Some((_, answer)) = open.1.get(&token_hash) {
            return Place::Joined(answer.clone());
        }
        open.0 = open.0.wrapping_add(1);
        let number = open.0;
        let (answer, answered) = watch::channel(None);
        open.1.insert(token_hash, (number, answered.clone()));
        let window = JoinWindow { token_hash, number, open: Arc::clone(&self.open) };
        Place::Leader(Lead { answer, window }, answered)
    }
}

impl<T> Lead<T> {
    /// Splits the lead: the window, to be closed when the question is sent, and the answer's way back.
    pub(in crate::service) fn split(self) -> (JoinWindow<T>, watch::Sender<Option<T>>) {
        (self.window, self.answer)
    }
}

impl<T> Drop for JoinWindow<T> {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if open.1.get(&self.token_hash).is_some_and(|(number, _)| *number == self.number) {
            open.1.remove(&self.token_hash);
        }
    }
}

fn lock<T>(open: &Mutex<(u64, Open<T>)>) -> MutexGuard<'_, (u64, Open<T>)> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SystemRandom, Token};

    #[test]
    fn a_question_is_joined_only_before_it_is_sent() {
        let single_flight = SingleFlight::<u8>::default();
        let hash = Token::generate(&SystemRandom).hash();
        let Place::Leader(lead, _) = single_flight.join(hash) else { panic!("nobody was asking") };
        assert!(matches!(single_flight.join(hash), Place::Joined(_)));
        let (window, _answer) = lead.split();
        drop(window);
        assert!(matches!(single_flight.join(hash), Place::Leader(..)), "what was sent can no longer be joined");
    }

    #[test]
    fn a_closed_gate_does_not_close_its_successor() {
        let single_flight = SingleFlight::<u8>::default();
        let hash = Token::generate(&SystemRandom).hash();
        let Place::Leader(first, _) = single_flight.join(hash) else { panic!("nobody was asking") };
        let (window, _answer) = first.split();
        lock(&single_flight.open).1.clear();
        let Place::Leader(_second, _) = single_flight.join(hash) else { panic!("nobody was asking") };
        drop(window);
        assert!(matches!(single_flight.join(hash), Place::Joined(_)));
    }
}
