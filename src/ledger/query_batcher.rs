//! Query batcher: look-ups that arrive while others are in flight are sent together.
//!
//! Owns the queue of look-ups. Waking a thread, taking a connection and locking the database cost more than one
//! look-up, so under load this makes one cheap; alone, a look-up waits for no other. Must never answer with data read
//! before the look-up arrived (a batch closes before its first statement is sent), and one unreadable row must never
//! affect the other answers.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::db::Db;
use super::error::LedgerError;
use super::pool::{LONGEST_WAIT, LedgerPool};

/// Most look-ups in one batch: further ones wait for the next, so that no answer waits for a long batch.
const MOST: usize = 64;

/// How many batches are in flight at once. With one, a hanging connection would hold all look-ups; with many, each
/// batch would be small.
const LANES: usize = 2;

/// Most batches in one turn.
const BATCHES: usize = 16;

/// Answers several look-ups at once, in the same order.
type Look<Q, A> = fn(&mut Db, &[Q]) -> Result<Vec<A>, LedgerError>;

/// Receives an answer.
type Asker<A> = oneshot::Sender<Result<A, LedgerError>>;

/// One kind of look-up, with its queue.
pub(super) struct QueryBatcher<Q, A> {
    pool: LedgerPool,
    look: Look<Q, A>,
    row: Arc<Mutex<Row<Q, A>>>,
}

/// The queue.
struct Row<Q, A> {
    questions: Vec<Q>,
    askers: Vec<Asker<A>>,
    /// Lanes with a batch in flight or open.
    lanes: usize,
    /// Whether a batch is open: a new look-up joins it.
    boarding: bool,
}

impl<Q, A> Clone for QueryBatcher<Q, A> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), look: self.look, row: Arc::clone(&self.row) }
    }
}

impl<Q: Send + 'static, A: Send + 'static> QueryBatcher<Q, A> {
    pub(super) fn new(pool: &LedgerPool, look: Look<Q, A>) -> Self {
        let row = Row { questions: Vec::new(), askers: Vec::new(), lanes: 0, boarding: false };
        Self { pool: pool.clone(), look, row: Arc::new(Mutex::new(row)) }
    }

    /// Returns the answer, read after this call began.
    pub(super) async fn ask(&self, question: Q) -> Result<A, LedgerError> {
        let (asker, answer) = oneshot::channel();
        if self.row.lock().add(question, asker) {
            let lane = Lane { look: self.look, row: Arc::clone(&self.row), state: Mutex::new(State::Boarding) };
            let pool = self.pool.clone();
            // A separate task: a client that hangs up cancels only its own look-up.
            drop(tokio::spawn(async move { lane.drive(&pool).await }));
        }
        let dropped = |_| Err(LedgerError::Unavailable("nobody answered the question".to_owned()));
        timeout(LONGEST_WAIT, answer)
            .await
            .map_err(|_| LedgerError::Silent("no answer in time"))?
            .unwrap_or_else(dropped)
    }
}

impl<Q, A> Row<Q, A> {
    /// Adds a look-up; returns whether a new lane is needed for it.
    fn add(&mut self, question: Q, asker: Asker<A>) -> bool {
        self.questions.push(question);
        self.askers.push(asker);
        let opens = !self.boarding && self.lanes < LANES;
        if opens {
            self.boarding = true;
            self.lanes += 1;
        }
        opens
    }

    /// The next batch. If it is empty, the lane closes: the next look-up opens another.
    fn take(&mut self) -> Option<(Vec<Q>, Vec<Asker<A>>)> {
        let count = self.questions.len().min(MOST);
        if count == 0 {
            self.lanes -= 1;
            return None;
        }
        Some((self.questions.drain(..count).collect(), self.askers.drain(..count).collect()))
    }
}

/// Sends one batch after another on one connection, until the queue is empty.
struct Lane<Q, A> {
    look: Look<Q, A>,
    row: Arc<Mutex<Row<Q, A>>>,
    state: Mutex<State>,
}

#[derive(PartialEq, Eq)]
enum State {
    Boarding,
    Moving,
    /// Also when the lane was given up: its running call may return from a server that is no longer the primary.
    Closed,
}

impl<Q: Send + 'static, A: Send + 'static> Lane<Q, A> {
    async fn drive(self, pool: &LedgerPool) {
        let lane = Arc::new(self);
        while *lane.state.lock() != State::Closed {
            let moving = Arc::clone(&lane);
            let Err(error) = pool.run(move |db| moving.answer(db)).await else { continue };
            lane.close();
            // Look-ups in a batch have an answer, or get one: these were not sent yet.
            let waiting = {
                let mut row = lane.row.lock();
                row.questions.clear();
                std::mem::take(&mut row.askers)
            };
            for asker in waiting {
                drop(asker.send(Err(error.clone())));
            }
        }
    }

    /// Answers until the queue is empty, or until it is time for another turn: an endless call would look like a
    /// hanging one. The pool gets the error, so that it checks this connection before it lends it again.
    fn answer(&self, db: &mut Db) -> Result<(), LedgerError> {
        self.depart();
        for _ in 0..BATCHES {
            let Some((questions, askers)) = self.next() else { return Ok(()) };
            self.tell(db, &questions, askers)?;
        }
        Ok(())
    }

    fn depart(&self) {
        let mut state = self.state.lock();
        if *state == State::Boarding {
            *state = State::Moving;
            self.row.lock().boarding = false;
        }
    }

    fn next(&self) -> Option<(Vec<Q>, Vec<Asker<A>>)> {
        let mut state = self.state.lock();
        if *state == State::Closed {
            return None;
        }
        let batch = self.row.lock().take();
        if batch.is_none() {
            *state = State::Closed;
        }
        batch
    }

    fn tell(&self, db: &mut Db, questions: &[Q], askers: Vec<Asker<A>>) -> Result<(), LedgerError> {
        let error = match (self.look)(db, questions) {
            Ok(answers) => {
                for (asker, answer) in askers.into_iter().zip(answers) {
                    drop(asker.send(Ok(answer)));
                }
                return Ok(());
            }
            Err(error) => error,
        };
        if matches!(error, LedgerError::Corrupt(_)) && questions.len() > 1 {
            // One of the rows is unreadable: split the batch.
            let (first, others) = questions.split_at(questions.len() / 2);
            let mut askers = askers;
            let of_others = askers.split_off(first.len());
            self.tell(db, first, askers)?;
            return self.tell(db, others, of_others);
        }
        for asker in askers {
            drop(asker.send(Err(error.clone())));
        }
        // An unreadable row does not make the connection suspect.
        if matches!(error, LedgerError::Corrupt(_)) { Ok(()) } else { Err(error) }
    }
}

impl<Q, A> Lane<Q, A> {
    /// Frees the lane for the next look-up, after any end.
    fn close(&self) {
        let state = std::mem::replace(&mut *self.state.lock(), State::Closed);
        if state == State::Closed {
            return;
        }
        let mut row = self.row.lock();
        row.lanes -= 1;
        if state == State::Boarding {
            row.boarding = false;
        }
    }
}

impl<Q, A> Drop for Lane<Q, A> {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use futures_util::future::join_all;

    use super::*;
    use crate::ledger::Database;
    use crate::ledger::connections::Generation;
    use crate::ledger::db::Purpose;

    fn gathered<Q: Send + 'static, A: Send + 'static>(look: Look<Q, A>) -> QueryBatcher<Q, A> {
        let database = Database::Sqlite { path: ":memory:".to_owned() };
        QueryBatcher::new(&LedgerPool::new(&database, Purpose::Read, &Arc::default(), &Generation::default()), look)
    }

    #[tokio::test]
    async fn everybody_gets_their_own_answer_and_many_come_with_one_look() {
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        let doubled = gathered(|_, numbers: &[u64]| {
            LOOKS.fetch_add(1, Ordering::SeqCst);
            Ok(numbers.iter().map(|number| number * 2).collect())
        });
        let answers = join_all((0..500).map(|number| doubled.ask(number))).await;
        for (number, answer) in (0..).zip(answers) {
            assert_eq!(answer.expect("an answer"), number * 2);
        }
        let looks = LOOKS.load(Ordering::SeqCst);
        assert!((8..=30).contains(&looks), "{looks} looks for 500 questions, of at most {MOST} each");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_is_answered_with_what_was_read_before_they_asked() {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let read = gathered(|_, questions: &[()]| {
            let read = WRITTEN.load(Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(1));
            Ok(vec![read; questions.len()])
        });
        let people = (0..8).map(|_| {
            let read = read.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    let mine = WRITTEN.fetch_add(1, Ordering::SeqCst) + 1;
                    assert!(read.ask(()).await.expect("an answer") >= mine);
                }
            })
        });
        for person in join_all(people).await {
            person.expect("no stale answer");
        }
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_is_one_persons_trouble() {
        let careful = gathered(|_, numbers: &[u64]| match numbers.contains(&13) {
            true => Err(LedgerError::Corrupt("13".to_owned())),
            false => Ok(numbers.to_vec()),
        });
        let answers = join_all((0..100).map(|number| careful.ask(number))).await;
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.is_err(), number == 13, "{number}");
        }
    }

    /// The next look-up finds a free lane after any end of one.
    #[tokio::test]
    async fn lanes_are_given_back() {
        static SICK: AtomicBool = AtomicBool::new(true);
        let moody = gathered(|_, numbers: &[u64]| match (SICK.load(Ordering::SeqCst), numbers) {
            (true, [0, ..]) => panic!("this is part of the test"),
            (true, _) => Err(LedgerError::Unavailable("sick".to_owned())),
            (false, _) => Ok(numbers.to_vec()),
        });
        for number in 0..6 {
            assert!(moody.ask(number % 2).await.is_err(), "{number}");
        }
        SICK.store(false, Ordering::SeqCst);
        for number in 0..100 {
            let asked = tokio::spawn({
                let moody = moody.clone();
                async move { moody.ask(number).await }
            });
            tokio::task::yield_now().await;
            // A client that hangs up.
            asked.abort();
        }
        let answers = join_all((0..100).map(|number| moody.ask(number))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
}
