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
const RUNNERS: usize = 2;

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
    queue: Arc<Mutex<Queue<Q, A>>>,
}

/// The queue.
struct Queue<Q, A> {
    questions: Vec<Q>,
    askers: Vec<Asker<A>>,
    /// Runners that have a batch in flight, or an open one.
    runners: usize,
    /// Whether a batch is open: a new look-up joins it.
    open: bool,
}

impl<Q, A> Clone for QueryBatcher<Q, A> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), look: self.look, queue: Arc::clone(&self.queue) }
    }
}

impl<Q: Send + 'static, A: Send + 'static> QueryBatcher<Q, A> {
    pub(super) fn new(pool: &LedgerPool, look: Look<Q, A>) -> Self {
        let queue = Queue { questions: Vec::new(), askers: Vec::new(), runners: 0, open: false };
        Self { pool: pool.clone(), look, queue: Arc::new(Mutex::new(queue)) }
    }

    /// Returns the answer, read after this call began.
    pub(super) async fn ask(&self, question: Q) -> Result<A, LedgerError> {
        let (asker, answer) = oneshot::channel();
        if self.queue.lock().add(question, asker) {
            let runner = BatchRunner {
                look: self.look,
                queue: Arc::clone(&self.queue),
                state: Mutex::new(RunnerState::Waiting),
            };
            let pool = self.pool.clone();
            // A separate task: a client that hangs up cancels only its own look-up.
            drop(tokio::spawn(async move { runner.drive(&pool).await }));
        }
        let dropped = |_| Err(LedgerError::Unavailable("the query was dropped".to_owned()));
        timeout(LONGEST_WAIT, answer)
            .await
            .map_err(|_| LedgerError::Silent("no answer in time"))?
            .unwrap_or_else(dropped)
    }
}

impl<Q, A> Queue<Q, A> {
    /// Adds a look-up; returns whether a new runner is needed for it.
    fn add(&mut self, question: Q, asker: Asker<A>) -> bool {
        self.questions.push(question);
        self.askers.push(asker);
        let opens = !self.open && self.runners < RUNNERS;
        if opens {
            self.open = true;
            self.runners += 1;
        }
        opens
    }

    /// The next batch. If it is empty, the runner ends: the next look-up starts another.
    fn take(&mut self) -> Option<(Vec<Q>, Vec<Asker<A>>)> {
        let count = self.questions.len().min(MOST);
        if count == 0 {
            self.runners -= 1;
            return None;
        }
        Some((self.questions.drain(..count).collect(), self.askers.drain(..count).collect()))
    }
}

/// Sends one batch after another on one connection, until the queue is empty.
struct BatchRunner<Q, A> {
    look: Look<Q, A>,
    queue: Arc<Mutex<Queue<Q, A>>>,
    state: Mutex<RunnerState>,
}

#[derive(PartialEq, Eq)]
enum RunnerState {
    Waiting,
    Running,
    /// Also when the runner was given up: its running call may return from a server that is no longer the primary.
    Ended,
}

impl<Q: Send + 'static, A: Send + 'static> BatchRunner<Q, A> {
    async fn drive(self, pool: &LedgerPool) {
        let runner = Arc::new(self);
        while *runner.state.lock() != RunnerState::Ended {
            let running = Arc::clone(&runner);
            let Err(error) = pool.run(move |db| running.answer(db)).await else { continue };
            runner.end();
            // Look-ups in a batch have an answer, or get one: these were not sent yet.
            let waiting = {
                let mut queue = runner.queue.lock();
                queue.questions.clear();
                std::mem::take(&mut queue.askers)
            };
            for asker in waiting {
                drop(asker.send(Err(error.clone())));
            }
        }
    }

    /// Answers until the queue is empty, or until it is time for another turn: an endless call would look like a
    /// hanging one. The pool gets the error, so that it checks this connection before it lends it again.
    fn answer(&self, db: &mut Db) -> Result<(), LedgerError> {
        self.start();
        for _ in 0..BATCHES {
            let Some((questions, askers)) = self.next() else { return Ok(()) };
            self.tell(db, &questions, askers)?;
        }
        Ok(())
    }

    fn start(&self) {
        let mut state = self.state.lock();
        if *state == RunnerState::Waiting {
            *state = RunnerState::Running;
            self.queue.lock().open = false;
        }
    }

    fn next(&self) -> Option<(Vec<Q>, Vec<Asker<A>>)> {
        let mut state = self.state.lock();
        if *state == RunnerState::Ended {
            return None;
        }
        let batch = self.queue.lock().take();
        if batch.is_none() {
            *state = RunnerState::Ended;
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

impl<Q, A> BatchRunner<Q, A> {
    /// Makes room for another runner, however this one ends.
    fn end(&self) {
        let state = std::mem::replace(&mut *self.state.lock(), RunnerState::Ended);
        if state == RunnerState::Ended {
            return;
        }
        let mut queue = self.queue.lock();
        queue.runners -= 1;
        if state == RunnerState::Waiting {
            queue.open = false;
        }
    }
}

impl<Q, A> Drop for BatchRunner<Q, A> {
    fn drop(&mut self) {
        self.end();
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

    fn batcher<Q: Send + 'static, A: Send + 'static>(look: Look<Q, A>) -> QueryBatcher<Q, A> {
        let database = Database::Sqlite { path: ":memory:".to_owned() };
        QueryBatcher::new(&LedgerPool::new(&database, Purpose::Read, &Arc::default(), &Generation::default()), look)
    }

    #[tokio::test]
    async fn everybody_gets_their_own_answer_and_many_come_with_one_look() {
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        let doubled = batcher(|_, numbers: &[u64]| {
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
        let read = batcher(|_, questions: &[()]| {
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
        let careful = batcher(|_, numbers: &[u64]| match numbers.contains(&13) {
            true => Err(LedgerError::Corrupt("13".to_owned())),
            false => Ok(numbers.to_vec()),
        });
        let answers = join_all((0..100).map(|number| careful.ask(number))).await;
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.is_err(), number == 13, "{number}");
        }
    }

    /// However a runner ends, the next look-up starts another.
    #[tokio::test]
    async fn a_runner_that_ended_makes_room_for_another() {
        static SICK: AtomicBool = AtomicBool::new(true);
        let moody = batcher(|_, numbers: &[u64]| match (SICK.load(Ordering::SeqCst), numbers) {
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
