//! The judge of every answer: what a fault may never bring about, whatever it is.
//!
//! Owns what is known of each session while a fault lasts, and the verdict on each answer about it. Must never know
//! which fault it is: no row has rules of its own.
#![cfg(feature = "postgres")]

use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Method;
use sessiond::domain::Token;

use crate::support::client::SignedIn;
use crate::support::requests::{Requests, Response};
use crate::support::wait::stopwatch;

/// Nobody may wait longer for any answer.
const BOUND: Duration = Duration::from_secs(10);

/// One session, as it is known at every node.
pub struct Session {
    copies: Vec<SignedIn>,
    fate: Mutex<Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// Nobody has wished it to end.
    Live,
    /// Somebody has, and nobody has said that it is so.
    Ending,
    /// A revocation was answered 2xx.
    Ended,
}

impl Session {
    /// The session of this person, with a browser at each of these nodes.
    pub fn new(person: &SignedIn, nodes: &[String]) -> Self {
        Self { copies: nodes.iter().map(|node| person.copy_at(node)).collect(), fate: Mutex::new(Fate::Live) }
    }

    /// Whether a revocation was answered 2xx.
    pub fn has_ended(&self) -> bool {
        self.fate() == Fate::Ended
    }

    /// Its record's place in Redis.
    pub fn key(&self) -> String {
        let token = Token::parse(&self.copies[0].token()).expect("a token");
        format!("session:{}", token.hash().to_base64url())
    }

    fn fate(&self) -> Fate {
        *self.fate.lock()
    }

    /// It never goes back.
    fn moves_on_to(&self, fate: Fate) {
        let mut known = self.fate.lock();
        *known = fate.max(*known);
    }
}

/// Something to ask about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `/auth/forward`: the record will do.
    Forward,
    /// `/me`: the user is read from SQL.
    Me,
}

/// Counts the answers, and remembers what was wrong with any.
#[derive(Default)]
pub struct Judge(Mutex<Verdicts>);

#[derive(Clone, Default)]
struct Verdicts {
    judged: usize,
    refused_checks: usize,
    refused_revocations: usize,
    slowest: Duration,
    wrong: Vec<String>,
}

impl Judge {
    /// Asks a node about a session. Gives the status; 0 when there was no answer at all.
    pub async fn check(&self, session: &Session, node: usize, question: Question) -> u16 {
        let (who, before, watch) = (&session.copies[node], session.fate(), stopwatch());
        let path = if question == Question::Me { "/me" } else { "/auth/forward" };
        let answer = who.call(Method::GET, path).try_send().await;
        let Some(answer) = self.answered(answer.map_err(|error| format!("{error:?}")), watch(), path) else { return 0 };
        let wrong = match answer.status {
            200 if before == Fate::Ended => Some("a session whose revocation was answered 2xx"),
            200 if !is_own(&answer, who, question) => Some("another one's data"),
            200 => None,
            401 if session.fate() == Fate::Live => Some("a live session was told that it is over"),
            401 => None,
            503 => None,
            _ => Some("neither yes, nor no, nor later"),
        };
        self.found(wrong, &answer, path);
        if answer.status == 503 {
            self.0.lock().refused_checks += 1;
        }
        answer.status
    }

    /// Has the owner end a session at a node. Gives the status; 0 when there was no answer at all.
    pub async fn revoke(&self, owner: &Session, session: &Session, node: usize) -> u16 {
        let (who, watch) = (&owner.copies[node], stopwatch());
        let path = format!("/sessions/{}", session.copies[node].session_id);
        session.moves_on_to(Fate::Ending);
        let answer = who.change(Method::DELETE, &path).try_send().await;
        let Some(answer) = self.answered(answer.map_err(|error| format!("{error:?}")), watch(), &path) else {
            return 0;
        };
        match answer.status {
            204 => session.moves_on_to(Fate::Ended),
            503 => self.0.lock().refused_revocations += 1,
            _ => self.found(Some("neither done nor later"), &answer, &path),
        }
        self.found(None, &answer, &path);
        answer.status
    }

    fn answered(&self, answer: Result<Response, String>, took: Duration, path: &str) -> Option<Response> {
        let mut verdicts = self.0.lock();
        verdicts.judged += 1;
        verdicts.slowest = verdicts.slowest.max(took);
        if took > BOUND {
            verdicts.wrong.push(format!("{path}: an answer after {took:?}"));
        }
        answer.map_err(|error| verdicts.wrong.push(format!("{path}: no answer after {took:?}: {error}"))).ok()
    }

    /// Notes what is wrong with an answer, if anything is: in particular or with any answer of its kind.
    fn found(&self, wrong: Option<&str>, answer: &Response, path: &str) {
        let general = match answer.status {
            _ if !answer.set_cookies().is_empty() => Some("the cookie was touched"),
            503 if answer.header("retry-after").is_none() => Some("no word on when to come back"),
            _ => None,
        };
        if let Some(wrong) = wrong.or(general) {
            self.0.lock().wrong.push(format!("{path}: {wrong}: {answer}"));
        }
    }

    /// How many answers there were.
    pub fn judged(&self) -> usize {
        self.0.lock().judged
    }

    /// How many answers of 503 there were.
    pub fn refused(&self) -> usize {
        let verdicts = self.0.lock();
        verdicts.refused_checks + verdicts.refused_revocations
    }

    /// Panics unless every answer was right; says what there was.
    pub fn verdict(&self, row: &str) -> String {
        let Verdicts { judged, refused_checks, refused_revocations, slowest, wrong } = self.0.lock().clone();
        assert!(wrong.is_empty(), "{row}: {} of {judged} answers were wrong:\n{}", wrong.len(), some(&wrong));
        format!(
            "{} answers of 503 ({refused_checks} to checks), slowest answer {:.1} s, {judged} judged",
            refused_checks + refused_revocations,
            slowest.as_secs_f32()
        )
    }
}

/// Whether the answer names this very person and session.
fn is_own(answer: &Response, who: &SignedIn, question: Question) -> bool {
    if question == Question::Forward {
        let named = |name, id: &str| answer.header(name) == Some(id);
        return named("x-session-user", &who.user_id) && named("x-session-id", &who.session_id);
    }
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(&answer.body) else { return false };
    let names = |place: &str, text: &str| body.pointer(place).and_then(|found| found.as_str()) == Some(text);
    names("/user/id", &who.user_id) && names("/user/email", &who.email) && names("/session/id", &who.session_id)
}

fn some(wrong: &[String]) -> String {
    wrong.iter().take(5).map(|line| format!("{line}\n")).collect()
}
