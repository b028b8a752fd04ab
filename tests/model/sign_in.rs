//! Sign-in against whatever ends all of a user's sessions: a second, small model.
//!
//! Owns the steps of `service/sign_in/issue.rs` and `Sessions::end_all` (`change_password`, `disable_user` and
//! `reset_password` have the same shape) on a database that is READ COMMITTED: a statement sees what was committed
//! before it. Must never let a transaction see what another has not committed.

use std::fmt::{self, Display, Formatter};

use super::checker::Model;

const SIGN_INS: usize = 2;

/// What orders the two.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Both lock the user's row first (`locks::users`).
    pub user_lock: bool,
    /// The one raises the epoch (`users::raise_epoch`), the other compares it.
    pub epoch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignInState {
    /// The user's row, as committed: how often all sessions were ended.
    ended_before: u8,
    /// Who holds the lock on it: a sign-in, or the one that ends, which comes after them.
    lock: Option<u8>,
    sign_ins: [SignIn; SIGN_INS],
    ending: Ending,
}

/// One sign-in, and the row that it inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SignIn {
    Begun,
    /// Password hash and epoch were read; it has verified the one under the other.
    Verified {
        under: u8,
    },
    /// In its transaction.
    Begins {
        under: u8,
    },
    Admitted {
        under: u8,
    },
    Inserted {
        under: u8,
    },
    /// Committed, answered with a cookie.
    Live {
        under: u8,
    },
    Ended,
    Refused {
        under: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ending {
    Begun,
    Begins,
    Raised,
    /// Its UPDATE has seen these rows.
    Updated([bool; SIGN_INS]),
    Answered,
}

/// One step, in the code's words.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    SignIn(usize, &'static str),
    Ending(&'static str),
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn(number, what) => write!(f, "sign_in {number}: {what}"),
            Self::Ending(what) => write!(f, "end_all: {what}"),
        }
    }
}

impl Order {
    fn sign_in(&self, state: &SignInState, number: usize) -> Option<(&'static str, SignInState)> {
        let mut next = *state;
        let may_lock = !self.user_lock || state.lock.is_none();
        let me = u8::try_from(number).ok();
        let (what, then) = match state.sign_ins[number] {
            SignIn::Begun => ("find_by_email, verify", SignIn::Verified { under: state.ended_before }),
            SignIn::Verified { under } if may_lock => {
                next.lock = me.filter(|_| self.user_lock);
                ("locks::users", SignIn::Begins { under })
            }
            SignIn::Begins { under } if self.epoch && under != state.ended_before => {
                next.lock = None;
                ("another epoch: refused", SignIn::Refused { under })
            }
            SignIn::Begins { under } => ("the epoch is compared: admitted", SignIn::Admitted { under }),
            SignIn::Admitted { under } => ("sessions::insert", SignIn::Inserted { under }),
            SignIn::Inserted { under } => {
                next.lock = None;
                ("commit; Set-Cookie", SignIn::Live { under })
            }
            _ => return None,
        };
        if !self.user_lock {
            next.lock = None;
        }
        next.sign_ins[number] = then;
        Some((what, next))
    }

    fn ending(&self, state: &SignInState) -> Option<(&'static str, SignInState)> {
        let mut next = *state;
        let may_lock = !self.user_lock || state.lock.is_none();
        let (what, then) = match state.ending {
            Ending::Begun if may_lock => {
                next.lock = u8::try_from(SIGN_INS).ok().filter(|_| self.user_lock);
                ("locks::users", Ending::Begins)
            }
            Ending::Begins => ("raise_epoch", Ending::Raised),
            Ending::Raised => {
                let seen = state.sign_ins.map(|row| matches!(row, SignIn::Live { .. }));
                ("sessions::end sees what is committed", Ending::Updated(seen))
            }
            Ending::Updated(seen) => {
                next.lock = None;
                next.ended_before += 1;
                next.sign_ins.iter_mut().zip(seen).filter(|(_, seen)| *seen).for_each(|(row, _)| *row = SignIn::Ended);
                ("commit; 2xx", Ending::Answered)
            }
            _ => return None,
        };
        next.ending = then;
        Some((what, next))
    }
}

impl Model for Order {
    type State = SignInState;
    type Action = Step;

    fn start(&self) -> SignInState {
        SignInState { ended_before: 0, lock: None, sign_ins: [SignIn::Begun; SIGN_INS], ending: Ending::Begun }
    }

    fn steps(&self, state: &SignInState, steps: &mut Vec<(Step, SignInState)>) {
        for number in 0..SIGN_INS {
            steps.extend(self.sign_in(state, number).map(|(what, next)| (Step::SignIn(number, what), next)));
        }
        steps.extend(self.ending(state).map(|(what, next)| (Step::Ending(what), next)));
    }

    fn violation(&self, state: &SignInState) -> Option<&'static str> {
        let old = |row: &SignIn| matches!(row, SignIn::Live { under } if *under < state.ended_before);
        if state.sign_ins.iter().any(old) {
            return Some("P1, a session of a password that was read before the 2xx lives after it");
        }
        let unjust = |row: &SignIn| matches!(row, SignIn::Refused { under } if *under == state.ended_before);
        state.sign_ins.iter().any(unjust).then_some("P2, a sign-in is refused although nothing was ended meanwhile")
    }
}
