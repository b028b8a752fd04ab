//! Single flight: concurrent requests for the same token share one question to the ledger.
//!
//! Owns [`SingleFlight`]. A request may join another's question only until that question is sent: a later answer could
//! be older than a revocation that the request must see (guard of the model: "join only before it is sent").

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
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

/// The caller's part in a question.
pub(in crate::service) enum Role<T> {
    /// Another request asks; the answer arrives here.
    Joined(watch::Receiver<Option<T>>),
    /// The caller asks, and shares the answer.
    Leader(Leader<T>, watch::Receiver<Option<T>>),
}

/// Asks the question for all requests that joined.
pub(in crate::service) struct Leader<T> {
    answer: watch::Sender<Option<T>>,
    window: JoinWindow<T>,
}

/// While it exists, other requests may join the question.
pub(in crate::service) struct JoinWindow<T> {
    token_hash: TokenHash,
    number: u64,
    open: Arc<Mutex<(u64, Open<T>)>>,
}

impl<T: Clone> SingleFlight<T> {
    /// Joins the question about this token, or leads a new one.
    pub(in crate::service) fn join(&self, token_hash: TokenHash) -> Role<T> {
        let mut open = self.open.lock();
        if let Some((_, answer)) = open.1.get(&token_hash) {
            return Role::Joined(answer.clone());
        }
        open.0 = open.0.wrapping_add(1);
        let number = open.0;
        let (answer, answered) = watch::channel(None);
        open.1.insert(token_hash, (number, answered.clone()));
        let window = JoinWindow { token_hash, number, open: Arc::clone(&self.open) };
        Role::Leader(Leader { answer, window }, answered)
    }
}

impl<T> Leader<T> {
    /// Splits into the window, to be dropped when the question is sent, and the sender of the answer.
    pub(in crate::service) fn split(self) -> (JoinWindow<T>, watch::Sender<Option<T>>) {
        (self.window, self.answer)
    }
}

impl<T> Drop for JoinWindow<T> {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if open.1.get(&self.token_hash).is_some_and(|(number, _)| *number == self.number) {
            open.1.remove(&self.token_hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SystemRandom, Token};

    #[test]
    fn a_question_is_joined_only_before_it_is_sent() {
        let single_flight = SingleFlight::<u8>::default();
        let hash = Token::generate(&SystemRandom).hash();
        let Role::Leader(leader, _) = single_flight.join(hash) else { panic!("nobody was asking") };
        assert!(matches!(single_flight.join(hash), Role::Joined(_)));
        let (window, _answer) = leader.split();
        drop(window);
        assert!(matches!(single_flight.join(hash), Role::Leader(..)), "what was sent can no longer be joined");
    }

    #[test]
    fn a_closed_gate_does_not_close_its_successor() {
        let single_flight = SingleFlight::<u8>::default();
        let hash = Token::generate(&SystemRandom).hash();
        let Role::Leader(first, _) = single_flight.join(hash) else { panic!("nobody was asking") };
        let (window, _answer) = first.split();
        single_flight.open.lock().1.clear();
        let Role::Leader(_second, _) = single_flight.join(hash) else { panic!("nobody was asking") };
        drop(window);
        assert!(matches!(single_flight.join(hash), Role::Joined(_)));
    }
}
