//! Look: is the ledger still the one that was seen, or was an older copy of it put back?
//!
//! Owns the look at both memories, once a second and at the start. Redis keeps how far the ledger was seen to come, and
//! so does this node for itself; a ledger that does not go on from there holds sessions as living that were ended
//! since, and is refused until an operator has declared it. Must never believe the ledger's own word for its age, and
//! never raise its height without having read what Redis knows: a copy would grow until it passes for the ledger.

use std::time::Duration;

use super::witness::judge;
use super::{App, StartError};
use crate::domain::{Lineage, Mark};
use crate::ledger::{Ledger, LedgerError, lineage};
use crate::live::{Live, LiveError, Marker};

/// How often, and after which pause, a Redis that does not answer is asked again before a node starts without.
const RETRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(250);

/// Why nobody is answered.
const REPLACED: &str = "the database file was replaced under this process, which has the old one open: nobody is answered \
    until it is restarted; if the file was restored from a backup, run `sessiond ledger restored` first";

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// It is the ledger.
    Continues,
    /// It is an older copy.
    Outdated,
}

/// Why a look did not come to its end. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Blind {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Redis(#[from] LiveError),
}

impl App {
    /// Refuses to start over an older copy of the ledger. A Redis that cannot be asked now is asked later, while it
    /// serves; one that a busy machine let answer too late, a moment later.
    pub(super) async fn look_before_serving(&self) -> Result<(), StartError> {
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
                "The database is older than what Redis has seen of it: it was restored from a backup, and sessions \
                 that were ended since would live again. Put the newer database back, or run `sessiond ledger \
                 restored`, which ends every session."
                    .to_owned(),
            )),
            Ok(Outlook::Continues) => Ok(()),
            Err(error) => {
                log::warn!("whether the database is older than what Redis has seen of it is not known yet: {error}");
                Ok(())
            }
        }
    }

    /// Compares the ledger with what was seen of it; refuses it, or accepts it and notes how far it has come.
    pub(super) async fn look(&self) -> Result<Outlook, Blind> {
        if self.shared.ledger.file_was_replaced() {
            self.refuse(REPLACED);
            return Ok(Outlook::Outdated);
        }
        let Some(live) = &self.live else { return Ok(Outlook::Continues) };
        let mut witness = self.shared.witness.lock().await;
        let ledger = &self.shared.ledger;
        let Some(name) = witness.ledger(ledger).await? else { return Ok(Outlook::Continues) };
        // Before the ledger is read: whatever is counted and whatever was noted is committed, so that it is seen there.
        let written = ledger.written();
        let marker = live.marker(&name).await;
        let history = ledger.read_regardless(lineage::read).await?;
        let noted = marker.as_ref().ok().and_then(|marker| marker.mark.as_ref());
        let Some(mark) = judge(history.as_ref(), [witness.seen.as_ref(), noted]) else {
            witness.seen = noted.or(witness.seen.as_ref()).cloned();
            self.refuse(&older(&live.marker_key(&name)));
            return Ok(Outlook::Outdated);
        };
        self.accept();
        let marker = marker?;
        let from = history.map_or_else(|| mark.clone(), |history| history.mark);
        let up_to_date = from == mark && witness.raised_for == Some(written);
        witness.seen = Some(mark.clone());
        let raised = if up_to_date { Some(mark) } else { raise(ledger, from, mark.raised()).await? };
        witness.raised_for = Some(written);
        if let Some(mark) = raised {
            witness.seen = Some(mark.clone());
            note(live, &name, &marker, &mark).await?;
        }
        Ok(Outlook::Continues)
    }

    fn refuse(&self, why: &str) {
        if self.shared.ledger.set_outdated(true) {
            log::error!("{why}");
        }
        // After that: whoever is about to believe a Redis process sees the one or is seen by the other.
        if let Some(fence) = &self.shared.fence {
            fence.retire_all();
        }
    }

    fn accept(&self) {
        if self.shared.ledger.set_outdated(false) {
            log::warn!("the database goes on from what was seen of it: requests are answered again");
        }
    }
}

fn older(key: &str) -> String {
    format!(
        "the database is older than what was seen of it, which Redis has under {key}: nobody is answered until the newer \
         one is back, or `sessiond ledger restored` has ended every session"
    )
}

/// Raises the height. None when another node was faster: since this one has read where the ledger stood, and so after
/// all that it wanted to be covered.
async fn raise(ledger: &Ledger, from: Mark, to: Mark) -> Result<Option<Mark>, LedgerError> {
    let raised = to.clone();
    let moved = ledger.write_aside(move |db| lineage::advance(db, &from, &to)).await?;
    Ok(moved.then_some(raised))
}

async fn note(live: &Live, name: &Lineage, marker: &Marker, mark: &Mark) -> Result<(), LiveError> {
    if marker.mark.as_ref() != Some(mark) && !live.mark(name, marker, mark).await? {
        log::debug!("another node has noted how far the ledger has come");
    }
    Ok(())
}
