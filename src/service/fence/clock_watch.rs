//! Clock watch: compares this node's clock with SQL's.
//!
//! Owns the comparison, once a second and before the node serves. While the clocks disagree, the node answers no
//! request and trusts no record. Must never judge a deadline by the node's own clock.

use crate::domain::{MAX_SKEW, Reading, Skew, Timestamp};
use crate::ledger::{self, Db, LedgerError, Refusal};
use crate::service::fence::Fence;

impl Fence {
    /// Compares the clocks. Also useful when SQL does not answer: the node knows how much time has passed since the
    /// last answer.
    pub(in crate::service) async fn compare_clocks(&self) -> Result<Skew, LedgerError> {
        let room = self.clone();
        let read = self.core.ledger.watch(move |db| room.read_clock(db)).await;
        let clock = &self.core.clock;
        let skew = read.as_ref().map_or_else(|_| clock.skew(), |reading| clock.correct(reading));
        self.obey(skew);
        read.map(|_| skew)
    }

    /// Follows SQL's clock from now on, whatever this machine's clock shows: for a command that may have to end a
    /// session quickly.
    pub async fn follow_clock(&self) -> Result<(), LedgerError> {
        let room = self.clone();
        let reading = self.core.ledger.watch(move |db| room.read_clock(db)).await?;
        self.core.clock.follow(&reading);
        Ok(())
    }

    /// The purge time for this transaction: SQL's time, while this node's clock agrees with it.
    pub(in crate::service) fn purge_moment(&self, db: &mut Db) -> Result<Timestamp, LedgerError> {
        let reading = self.read_clock(db)?;
        self.core.clock.purge_moment(&reading).ok_or(LedgerError::Clock)
    }

    /// SQL's time in this transaction.
    pub(in crate::service) fn ledger_now(&self, db: &mut Db) -> Result<Timestamp, LedgerError> {
        Ok(self.core.clock().travel(Timestamp::from_ms(ledger::now_ms(db)?)))
    }

    fn read_clock(&self, db: &mut Db) -> Result<Reading, LedgerError> {
        let before = self.core.clock().monotonic();
        let there = Timestamp::from_ms(ledger::now_ms(db)?);
        Ok(Reading { before, there, after: self.core.clock().monotonic() })
    }

    fn obey(&self, skew: Skew) {
        let is_news = self.core.ledger.refuse(Refusal::Clock, skew != Skew::Small);
        match skew {
            Skew::Small if is_news => log::info!("this node's clock agrees with the database's: requests are answered"),
            Skew::Large(ahead) if is_news => log::error!(
                "this node's clock is {ahead} ms ahead of the database's, but may differ by at most {} ms: every \
                 request is refused until they agree; check that both machines synchronize their clocks (NTP)",
                MAX_SKEW.as_millis()
            ),
            _ => {}
        }
        // Only after `refuse`: a task that is about to take a store lease either sees the refusal or is seen here.
        if skew != Skew::Small {
            self.retire_leases();
        }
    }
}
