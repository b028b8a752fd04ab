//! One question to the ledger for all who ask it at the same time.
//!
//! Owns [`Flights`]. A request may join another's question only until that question is sent: an answer that was
//! read before the request began could be older than a revocation that it must see (guard of the model:
//! "join only before it is sent").

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::TokenHash;

type Boarding<T> = HashMap<TokenHash, (u64, watch::Receiver<Option<T>>)>;

/// The questions that can still be joined.
pub(in crate::service) struct Flights<T> {
    boarding: Arc<Mutex<(u64, Boarding<T>)>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { boarding: Arc::new(Mutex::new((0, HashMap::new()))) }
    }
}

/// A place on a flight.
pub(in crate::service) enum Seat<T> {
    /// Somebody else asks; the answer comes here.
    Joined(watch::Receiver<Option<T>>),
    /// Nobody asks yet: the caller has to, and tell the answer.
    Pilot(Flight<T>, watch::Receiver<Option<T>>),
}

/// A question that the holder asks on behalf of all who joined.
pub(in crate::service) struct Flight<T> {
    answer: watch::Sender<Option<T>>,
    gate: BoardingGate<T>,
}

/// Closes the boarding of one flight; also when dropped.
pub(in crate::service) struct BoardingGate<T> {
    token_hash: TokenHash,
    number: u64,
    boarding: Arc<Mutex<(u64, Boarding<T>)>>,
}

impl<T: Clone> Flights<T> {
    /// Joins the question about this token, or becomes the one who asks it.
    pub(in crate::service) fn board(&self, token_hash: TokenHash) -> Seat<T> {
        let mut boarding = lock(&self.boarding);
        if let Some((_, answer)) = boarding.1.get(&token_hash) {
            return Seat::Joined(answer.clone());
        }
        boarding.0 = boarding.0.wrapping_add(1);
        let number = boarding.0;
        let (answer, answered) = watch::channel(None);
        boarding.1.insert(token_hash, (number, answered.clone()));
        let gate = BoardingGate { token_hash, number, boarding: Arc::clone(&self.boarding) };
        Seat::Pilot(Flight { answer, gate }, answered)
    }
}

impl<T> Flight<T> {
    /// Splits the flight: the gate, to be closed when the question is sent, and the answer's way back.
    pub(in crate::service) fn take_off(self) -> (BoardingGate<T>, watch::Sender<Option<T>>) {
        (self.gate, self.answer)
    }
}

impl<T> Drop for BoardingGate<T> {
    fn drop(&mut self) {
        let mut boarding = lock(&self.boarding);
        if boarding.1.get(&self.token_hash).is_some_and(|(number, _)| *number == self.number) {
            boarding.1.remove(&self.token_hash);
        }
    }
}

fn lock<T>(boarding: &Mutex<(u64, Boarding<T>)>) -> MutexGuard<'_, (u64, Boarding<T>)> {
    boarding.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SystemRandom, Token};

    #[test]
    fn a_question_is_joined_only_before_it_is_sent() {
        let flights = Flights::<u8>::default();
        let hash = Token::generate(&SystemRandom).hash();
        let Seat::Pilot(flight, _) = flights.board(hash) else { panic!("nobody was asking") };
        assert!(matches!(flights.board(hash), Seat::Joined(_)));
        let (gate, _answer) = flight.take_off();
        drop(gate);
        assert!(matches!(flights.board(hash), Seat::Pilot(..)), "what was sent can no longer be joined");
    }

    #[test]
    fn a_closed_gate_does_not_close_its_successor() {
        let flights = Flights::<u8>::default();
        let hash = Token::generate(&SystemRandom).hash();
        let Seat::Pilot(first, _) = flights.board(hash) else { panic!("nobody was asking") };
        let (gate, _answer) = first.take_off();
        lock(&flights.boarding).1.clear();
        let Seat::Pilot(_second, _) = flights.board(hash) else { panic!("nobody was asking") };
        drop(gate);
        assert!(matches!(flights.board(hash), Seat::Joined(_)));
    }
}
