//! Rollback check: is the ledger still the one that was seen, or was an older copy put back?
//!
//! Owns the comparison with both memories, once a second and at startup: Redis keeps how far the ledger was seen to
//! come, and so does this node. A ledger that does not continue from there holds sessions as live that have ended
//! since; the node refuses it until an operator declares it. Must never trust the ledger's own word for its age, and
//! never raise its height without reading what Redis knows: an old copy would grow until it passes for the ledger.

use std::time::Duration;

use tokio::time::timeout;

use crate::domain::{HistoryPosition, Lineage};
use crate::fault_point;
use crate::ledger::{Db, Ledger, LedgerError, Refusal, lineage, timeline};
use crate::live::{Live, LiveError, Marker};
use crate::service::core::start_error::StartError;
use crate::service::fence::Fence;
use crate::service::fence::rollback_detector::{RollbackDetector, judge};

/// How often, and after which pause, startup asks a silent Redis again before the node starts without it.
const RETRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(250);

/// Why the node refuses every request.
const REPLACED: &str = "the database file was replaced while this process has the old one open: every request is \
    refused until the process restarts; if the file was restored from a backup, run `sessiond ledger restored` first";

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Outlook {
    /// It is the ledger.
    Continues,
    /// It is an older copy.
    Outdated,
}

/// Why a check did not finish. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub(in crate::service) enum Blind {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Redis(#[from] LiveError),
}

impl Fence {
    /// Refuses to start over an older copy of the ledger. A Redis that cannot be asked now is asked later, while the
    /// node serves; one that answered too late on a busy machine is asked again a moment later.
    pub(in crate::service) async fn look_before_serving(&self) -> Result<(), StartError> {
        let mut outlook = self.look().await;
        for _ in 0..RETRIES {
            if !matches!(outlook, Err(Blind::Redis(_))) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            outlook = self.look().await;
        }
        match outlook {
            Ok(Outlook::Outdated) => Err(StartError(
                "The database is older than the one that Redis last saw: it was restored from a backup, and sessions \
                 that have ended since would live again. Put the newer database back, or run `sessiond ledger \
                 restored`, which ends every session."
                    .to_owned(),
            )),
            Ok(Outlook::Continues) => Ok(()),
            Err(error) => {
                log::warn!("cannot check yet whether the database is older than the one that Redis last saw: {error}");
                Ok(())
            }
        }
    }

    /// Compares the ledger with what was seen of it; refuses it, or accepts it and records how far it has come. When
    /// the ledger returns after an older copy, or continues elsewhere, it begins another history first and every Redis
    /// process gets a new stamp: no record that may have been filled from the other ledger is trusted.
    pub(in crate::service) async fn look(&self) -> Result<Outlook, Blind> {
        if self.core.ledger.file_was_replaced() {
            self.refuse(REPLACED);
            return Ok(Outlook::Outdated);
        }
        let Some(live) = &self.core.live else { return Ok(Outlook::Continues) };
        let mut detector = self.detector.lock().await;
        let ledger = &self.core.ledger;
        let Some(name) = detector.ledger(ledger).await? else { return Ok(Outlook::Continues) };
        // Before the ledger is read: every change counted and every position noted so far is committed, so the read
        // sees it.
        let written = ledger.written();
        let marker = live.marker(&name).await;
        let noted = marker.as_ref().ok().and_then(|marker| marker.position.as_ref());
        match &self.fence {
            // The ledger may be unreadable by now: until then, trust nothing that was filled from it.
            Some(fence) if detector.was_given_up(noted) => fence.retire_all(),
            Some(fence) if marker.is_ok() => fence.hear(),
            _ => {}
        }
        let read = |db: &mut Db| Ok((lineage::read(db)?, timeline::settled(db)?));
        // Redis must be asked again soon, whether the ledger answers or not.
        let answer = timeout(self.core.policy.store_lease / 2, ledger.read_regardless(read)).await;
        let (history, settled) = answer.map_err(|_| LedgerError::Silent("no answer in time"))??;
        detector.own = history.as_ref().map(|history| history.position.lineage);
        let Some(position) = judge(history.as_ref(), [detector.seen.as_ref(), noted]) else {
            detector.seen = noted.or(detector.seen.as_ref()).cloned();
            self.refuse(&older(&live.marker_key(&name)));
            if let Ok(marker) = &marker {
                self.doubt(&mut detector, live, &name, marker).await;
            }
            return Ok(Outlook::Outdated);
        };
        let from = history.map_or_else(|| position.clone(), |history| history.position);
        let doubted =
            detector.doubted == Some(from.lineage) || marker.as_ref().is_ok_and(|marker| marker.doubts(from.lineage));
        if doubted || !settled {
            // Never without reading what Redis knows: a history that begins now passes for the ledger.
            let marker = marker?;
            return self.begin(&mut detector, live, &name, &marker, [from, position]).await;
        }
        self.accept();
        let marker = marker?;
        let up_to_date = from == position && detector.raised_for == Some(written);
        detector.seen = Some(position.clone());
        let raised = if up_to_date { Some(position) } else { raise(ledger, from, position.raised()).await? };
        detector.raised_for = Some(written);
        if let Some(position) = raised {
            detector.seen = Some(position.clone());
            note(live, &name, &marker, &position).await?;
        }
        self.judged();
        Ok(Outlook::Continues)
    }

    /// Records that an older copy of this very history was seen, for the check that finds the real ledger back in
    /// place: the copy has the same stamps, and records may have been filled from it.
    async fn doubt(&self, detector: &mut RollbackDetector, live: &Live, name: &Lineage, marker: &Marker) {
        let Some(seen) = detector.seen.as_ref().map(|seen| seen.lineage) else { return };
        // Nothing of a history that was given up is trusted.
        if detector.own.is_none_or(|own| own == seen) {
            detector.doubted = Some(seen);
        }
        let noted = marker.position.as_ref().map(|position| position.lineage);
        let is_new = detector.doubted == noted && noted.is_some_and(|noted| !marker.doubts(noted));
        if is_new && let Err(error) = live.doubt(name, marker).await {
            log::debug!("Redis was not told of the older copy: {error}");
        }
    }

    /// Begins another history at the ledger's position, and accepts it. Retires the stamps before anything is trusted.
    async fn begin(
        &self,
        detector: &mut RollbackDetector,
        live: &Live,
        name: &Lineage,
        marker: &Marker,
        [from, position]: [HistoryPosition; 2],
    ) -> Result<Outlook, Blind> {
        let to = position.begin(Lineage::generate(self.core.random()));
        let begun = to.clone();
        let ledger = &self.core.ledger;
        if ledger.write_regardless(move |db| lineage::begin(db, &from, &begun)).await?.is_none() {
            // Another node was faster: the next check finds the history that it began.
            return Ok(if ledger.refuses(Refusal::Outdated) { Outlook::Outdated } else { Outlook::Continues });
        }
        fault_point::reach("look: begun");
        log::warn!("the database returned after an older copy, or continues elsewhere: Redis is filled again");
        self.retire_leases();
        detector.seen = Some(to.clone());
        detector.own = Some(to.lineage);
        self.accept();
        note(live, name, marker, &to).await?;
        self.judged();
        Ok(Outlook::Continues)
    }

    fn refuse(&self, why: &str) {
        if self.core.ledger.refuse(Refusal::Outdated, true) {
            log::error!("{why}");
        }
        // Only after `refuse`: a task that is about to take a store lease either sees the refusal or is seen here.
        self.retire_leases();
    }

    /// Trusts no Redis process any more, and no copy.
    pub(in crate::service) fn retire_leases(&self) {
        self.node_lease.stop_copies();
        if let Some(fence) = &self.fence {
            fence.retire_all();
        }
    }

    fn judged(&self) {
        if let Some(fence) = &self.fence {
            fence.set_judged();
        }
    }

    fn accept(&self) {
        if self.core.ledger.refuse(Refusal::Outdated, false) {
            log::warn!("the database continues from its last known position: requests are answered again");
        }
    }
}

fn older(key: &str) -> String {
    format!(
        "the database is older than the position that Redis has under {key}, or continues elsewhere: every request is \
         refused until the newer database is back, or `sessiond ledger restored` has ended every session"
    )
}

/// Raises the height. None when another node was faster: it did so after this node read the ledger's position, and so
/// covers everything that this node wanted covered.
async fn raise(
    ledger: &Ledger,
    from: HistoryPosition,
    to: HistoryPosition,
) -> Result<Option<HistoryPosition>, LedgerError> {
    let raised = to.clone();
    let moved = ledger.write_aside(move |db| lineage::advance(db, &from, &to)).await?;
    Ok(moved.then_some(raised))
}

async fn note(live: &Live, name: &Lineage, marker: &Marker, position: &HistoryPosition) -> Result<(), LiveError> {
    if marker.position.as_ref() != Some(position) && !live.note_position(name, marker, position).await? {
        log::debug!("another node has already recorded the ledger's position");
    }
    Ok(())
}
