//! The judge: holds every check of a history against the revocations around it.
//!
//! Owns the two rules. Once a revocation was answered 2xx, no check that begins afterwards says yes (P1). No check
//! says no before a revocation has begun (P3). What is under way at the same time may come in either order.

use std::time::Duration;

use super::history::{Answer, Deed, Event, History, Scope, Session, Span};

/// How long after it was given up a revocation that was not answered 2xx may still happen: the statement waits for a
/// turn, a lock and an answer, each with a bound.
const LATE: Duration = Duration::from_secs(20);

/// What a history came to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Checks that were answered 200, 401, 503, and not at all.
    pub answers: [usize; 4],
    /// Checks that began after a revocation of their session had been answered 2xx.
    pub after_revocation: usize,
    /// Revocations that were answered 2xx, and that were not.
    pub revocations: [usize; 2],
    /// What must not be, one sentence each.
    pub violations: Vec<String>,
}

/// When a session was over.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// For certain: from the first 2xx of a revocation that covers it.
    dead_from: Option<Duration>,
    /// Perhaps: from the beginning of the first revocation that may cover it.
    doubtful_from: Option<Duration>,
}

/// Judges every check.
pub fn judge(history: &History) -> Verdict {
    let fates = fates(history);
    let mut verdict = Verdict::default();
    for event in &history.events {
        match &event.deed {
            Deed::Revoke(_, confirmed) => verdict.revocations[usize::from(!confirmed)] += 1,
            Deed::Check(session, answer) => verdict.hear(event, *session, answer, fates[*session]),
        }
    }
    verdict
}

impl Verdict {
    /// How many checks were judged.
    pub fn checks(&self) -> usize {
        self.answers.iter().sum()
    }

    fn hear(&mut self, event: &Event, session: Session, answer: &Answer, fate: Fate) {
        let dead = fate.dead_from.is_some_and(|dead| dead < event.span.began);
        self.after_revocation += usize::from(dead);
        let at = format!("session {session} at node {}, {:?}", event.node, event.span);
        match answer {
            Answer::Own => {
                self.answers[0] += 1;
                if dead {
                    self.violations.push(format!("came back: {at}, revoked by {:?}", fate.dead_from));
                }
            }
            Answer::Ended => {
                self.answers[1] += 1;
                if fate.doubtful_from.is_none_or(|from| from > event.span.ended) {
                    self.violations.push(format!("signed out by nobody: {at}, revoked from {:?}", fate.doubtful_from));
                }
            }
            Answer::Unknown => self.answers[2] += 1,
            Answer::Nothing => self.answers[3] += 1,
            Answer::Foreign(whose) => self.violations.push(format!("crossed wires: {at}: {whose}")),
            Answer::Odd(what) => self.violations.push(format!("neither yes nor no: {at}: {what}")),
        }
    }
}

fn fates(history: &History) -> Vec<Fate> {
    let mut fates = vec![Fate { dead_from: None, doubtful_from: None }; history.sessions.len()];
    for event in &history.events {
        let Deed::Revoke(scope, confirmed) = event.deed else { continue };
        for (session, fate) in fates.iter_mut().enumerate() {
            let Some(certain) = covers(history, scope, event.span, session) else { continue };
            let late = if confirmed { Duration::ZERO } else { LATE };
            if !certain && history.sessions[session].span.began > event.span.ended + late {
                continue;
            }
            earlier(&mut fate.doubtful_from, event.span.began);
            if confirmed && certain {
                earlier(&mut fate.dead_from, event.span.ended);
            }
        }
    }
    fates
}

/// Whether a revocation is about a session; true for certain: the session was there when it began.
fn covers(history: &History, scope: Scope, span: Span, session: Session) -> Option<bool> {
    let (asked, all) = match scope {
        Scope::One(one) => return (one == session).then_some(true),
        Scope::Others(asked) => (asked, false),
        Scope::All(asked) => (asked, true),
    };
    let (theirs, whose) = (history.sessions[session], history.sessions[asked].user);
    (theirs.user == whose && (all || session != asked)).then_some(theirs.span.ended < span.began)
}

fn earlier(known: &mut Option<Duration>, time: Duration) {
    *known = Some(known.map_or(time, |known| known.min(time)));
}
