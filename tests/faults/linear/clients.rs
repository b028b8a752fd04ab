//! The clients: they sign in, check and revoke, at any node, whatever is broken, and write down what they saw.
//!
//! Owns the choice of what to do, and the reading of answers. Must never repeat a request, and never leave one out
//! of the history.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{COOKIE as COOKIE_HEADER, RETRY_AFTER, SET_COOKIE};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sessiond::domain::UserId;
use sessiond::service::App;

use super::bursts;
use super::history::{Answer, Deed, Event, History, Issued, Scope, Session, Span};
use crate::faults::trouble::Dice;
use crate::support::client::{COOKIE, PASSWORD, SignedIn};
use crate::support::issue::{client, signed};
use crate::support::settings::Settings;

/// Longer than a node may take for anything.
const PATIENCE: Duration = Duration::from_secs(25);
/// Sessions that were revoked last, which is when they could come back.
const GONE: usize = 60;
/// Sessions that one burst asks about.
const SESSIONS_IN_A_BURST: usize = 8;
/// Live sessions are kept between these.
const FEW: usize = 40;
const MANY: usize = 300;

/// An account.
pub struct User {
    id: String,
    email: String,
}

/// What a client needs to ask about a session.
#[derive(Clone)]
struct Known {
    user: usize,
    id: String,
    cookie: String,
}

/// What the clients expect, to choose what is worth asking. The judge does not.
#[derive(Default)]
struct Expected {
    known: Vec<Known>,
    live: Vec<Session>,
    gone: VecDeque<Session>,
}

/// What all clients share.
pub struct Clients {
    http: reqwest::Client,
    nodes: Vec<String>,
    users: Vec<User>,
    app: App,
    settings: Settings,
    now: Box<dyn Fn() -> Duration + Send + Sync>,
    expected: Mutex<Expected>,
    history: Mutex<History>,
    checks: AtomicUsize,
    /// Checks in a burst; none: checks come one by one.
    burst: usize,
}

impl Clients {
    /// For these nodes and people. Sessions are issued past the nodes by `app`, which knows their ledger.
    pub fn new(nodes: Vec<String>, people: &[SignedIn], app: App, settings: Settings) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let users = people.iter().map(|person| User { id: person.user_id.clone(), email: person.email.clone() });
        let now = Box::new(crate::support::wait::stopwatch());
        let (expected, history) = (Mutex::default(), Mutex::default());
        Self {
            http,
            nodes,
            users: users.collect(),
            app,
            settings,
            now,
            expected,
            history,
            checks: AtomicUsize::new(0),
            burst: 0,
        }
    }

    /// The same, with checks in bursts of so many.
    pub fn in_bursts_of(self, burst: usize) -> Self {
        Self { burst, ..self }
    }

    /// The clock of the history.
    pub fn now(&self) -> Duration {
        (self.now)()
    }

    /// What has happened so far.
    pub fn history(&self) -> History {
        self.history.lock().clone()
    }

    /// How many checks there were.
    pub fn checks(&self) -> usize {
        self.checks.load(Ordering::Relaxed)
    }

    /// One client's life.
    pub async fn live(&self, is_over: impl Fn() -> bool) {
        let mut dice = Dice::new();
        while !is_over() {
            let live = self.expected.lock().live.len();
            match dice.below(100) {
                _ if live < FEW => self.issue(&mut dice).await,
                0..=77 if self.burst > 0 => self.check_in_a_burst(&mut dice).await,
                0..=77 => self.check_any(&mut dice).await,
                78..=87 if live < MANY => self.issue(&mut dice).await,
                88 => self.sign_in(&mut dice).await,
                89..=94 => self.revoke(&mut dice, Scope::One).await,
                95..=97 => self.sign_out(&mut dice).await,
                98 => self.revoke(&mut dice, Scope::Others).await,
                99 if dice.below(3) == 0 => self.revoke(&mut dice, Scope::All).await,
                _ => self.revoke(&mut dice, Scope::One).await,
            }
        }
    }

    /// Checks at every node what lives, and what was revoked last; true if no answer was left open.
    pub async fn check_all(&self) -> bool {
        let sessions = {
            let expected = self.expected.lock();
            expected.live.iter().chain(&expected.gone).copied().collect::<Vec<_>>()
        };
        let mut clear = true;
        for session in sessions {
            for node in 0..self.nodes.len() {
                let answer = self.check(session, node, "/auth/forward").await;
                clear &= matches!(answer, Answer::Own | Answer::Ended);
            }
        }
        clear
    }

    async fn check_any(&self, dice: &mut Dice) {
        let session = {
            let mut expected = self.expected.lock();
            let gone = expected.gone.make_contiguous();
            let gone = if dice.below(5) < 2 { dice.pick(gone) } else { None };
            gone.or_else(|| dice.pick(&expected.live))
        };
        let path = if dice.below(3) == 0 { "/me" } else { "/auth/forward" };
        if let Some(session) = session {
            self.check(session, dice.below(self.nodes.len()), path).await;
        }
    }

    /// Many checks of one node, over one connection: the same few sessions again and again, so that copies answer.
    async fn check_in_a_burst(&self, dice: &mut Dice) {
        let (node, mut asked) = (dice.below(self.nodes.len()), Vec::new());
        {
            let mut expected = self.expected.lock();
            for _ in 0..SESSIONS_IN_A_BURST {
                let gone = expected.gone.make_contiguous();
                let gone = if dice.below(2) == 0 { dice.pick(gone) } else { None };
                asked.extend(gone.or_else(|| dice.pick(&expected.live)));
            }
        }
        let asked: Vec<Session> = asked.iter().copied().cycle().take(self.burst).collect();
        let known: Vec<Known> = {
            let expected = self.expected.lock();
            asked.iter().map(|session| expected.known[*session].clone()).collect()
        };
        let cookies: Vec<_> = known.iter().map(|known| format!("{COOKIE}={}", known.cookie)).collect();
        let began = self.now();
        let told = bursts::ask(&self.nodes[node], &cookies, PATIENCE, &self.now).await;
        let mut told = told.into_iter();
        for (session, known) in asked.into_iter().zip(known) {
            let told = told.next();
            let ended = told.as_ref().map_or_else(&self.now, |told| told.at);
            let answer = told.map_or(Answer::Nothing, |told| self.read_burst(&told, &known));
            self.checks.fetch_add(1, Ordering::Relaxed);
            let event = Event { span: Span { began, ended }, node, deed: Deed::Check(session, answer) };
            self.history.lock().events.push(event);
        }
    }

    fn read_burst(&self, told: &bursts::Told, known: &Known) -> Answer {
        let own = || {
            told.header("x-session-user") == Some(&self.users[known.user].id)
                && told.header("x-session-id") == Some(&known.id)
        };
        match told.status {
            200 if own() => Answer::Own,
            200 => Answer::Foreign(format!("{:?}", told.header("x-session-id"))),
            401 => Answer::Ended,
            503 if told.header("retry-after").is_some() => Answer::Unknown,
            other => Answer::Odd(format!("{other}")),
        }
    }

    async fn check(&self, session: Session, node: usize, path: &str) -> Answer {
        let known = self.expected.lock().known[session].clone();
        let began = self.now();
        let answer = self.ask(Method::GET, node, path, &known.cookie).send().await;
        let answer = match answer {
            Ok(answer) => read(answer, &self.users[known.user].id, &known.id).await,
            Err(_) => Answer::Nothing,
        };
        self.checks.fetch_add(1, Ordering::Relaxed);
        self.note(began, node, Deed::Check(session, answer.clone()));
        answer
    }

    /// A session that costs no password hash.
    async fn issue(&self, dice: &mut Dice) {
        let user = dice.below(self.users.len());
        let id = UserId::parse(&self.users[user].id).expect("a user id");
        let began = self.now();
        let issued = self.app.sign_in.issue(id, false, &[], &client()).await.expect("the ledger is well on this side");
        let cookie = signed(&self.settings, &issued.token.expose());
        self.begin(began, Known { user, id: issued.session.id.to_string(), cookie });
    }

    /// A real sign-in at a node. One that is refused lost to a revocation of all sessions.
    async fn sign_in(&self, dice: &mut Dice) {
        let (user, node) = (dice.below(self.users.len()), dice.below(self.nodes.len()));
        let body = json!({ "email": self.users[user].email, "password": PASSWORD });
        let began = self.now();
        let Ok(answer) = self.http.post(format!("{}/login", self.nodes[node])).json(&body).send().await else { return };
        let mut cookies = answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookie = cookies.find(|line| line.starts_with(COOKIE)).map(str::to_owned);
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await);
        // 429: one person has signed in more often than anybody does in ten minutes.
        assert!([200, 401, 408, 429, 503].contains(&status), "a sign-in answered {status}");
        let (200, Some(cookie), Ok(body)) = (status, cookie, body) else { return };
        let cookie = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie").1.to_owned();
        let id = body.pointer("/session/id").and_then(Value::as_str).expect("a session").to_owned();
        self.begin(began, Known { user, id, cookie });
    }

    fn begin(&self, began: Duration, known: Known) {
        let issued = Issued { user: known.user, span: Span { began, ended: self.now() } };
        let mut expected = self.expected.lock();
        let session = expected.known.len();
        expected.known.push(known);
        expected.live.push(session);
        self.history.lock().sessions.push(issued);
    }

    /// Somebody ends one of their sessions, the others, or all.
    async fn revoke(&self, dice: &mut Dice, kind: impl Fn(Session) -> Scope) {
        let Some((scope, asks, victims)) = self.choose(dice, kind) else { return };
        let path = match scope {
            Scope::One(one) => format!("/sessions/{}", self.expected.lock().known[one].id),
            Scope::Others(_) => "/sessions".to_owned(),
            Scope::All(_) => "/sessions?include_current=true".to_owned(),
        };
        let (node, began) = (dice.below(self.nodes.len()), self.now());
        let cookie = self.expected.lock().known[asks].cookie.clone();
        let request = self.ask(Method::DELETE, node, &path, &cookie).header("X-Requested-With", "a test");
        let deed = match request.send().await.map(|answer| answer.status().as_u16()) {
            Ok(200 | 204) => Deed::Revoke(scope, true),
            Ok(408 | 503) | Err(_) => Deed::Revoke(scope, false),
            // The session that asked is over: nothing was done.
            Ok(401) => Deed::Check(asks, Answer::Ended),
            Ok(other) => Deed::Check(asks, Answer::Odd(format!("{scope:?} was answered {other}"))),
        };
        let confirmed = matches!(deed, Deed::Revoke(_, true));
        self.note(began, node, deed);
        if confirmed {
            self.chase(victims).await;
        }
    }

    /// Nothing comes back more easily than what was revoked a moment ago.
    async fn chase(&self, victims: Vec<Session>) {
        for session in victims.into_iter().take(2) {
            for node in 0..self.nodes.len() {
                self.check(session, node, "/auth/forward").await;
            }
        }
    }

    async fn sign_out(&self, dice: &mut Dice) {
        let Some((scope, _, victims)) = self.choose(dice, Scope::One) else { return };
        let Some(cookie) = victims.first().map(|&one| self.expected.lock().known[one].cookie.clone()) else { return };
        let (node, began) = (dice.below(self.nodes.len()), self.now());
        let request = self.ask(Method::POST, node, "/logout", &cookie).header("X-Requested-With", "a test");
        let status = request.send().await.map(|answer| answer.status().as_u16());
        let confirmed = matches!(status, Ok(204));
        self.note(began, node, Deed::Revoke(scope, confirmed));
        if confirmed {
            self.chase(victims).await;
        }
    }

    /// Who asks for what: any live session, or for one session another of the same user. What is to be ended is
    /// expected to be gone from now on, so that others check it while it ends.
    fn choose(&self, dice: &mut Dice, kind: impl Fn(Session) -> Scope) -> Option<(Scope, Session, Vec<Session>)> {
        let mut expected = self.expected.lock();
        let first = dice.pick(&expected.live)?;
        let user = expected.known[first].user;
        let theirs: Vec<Session> =
            expected.live.iter().copied().filter(|&other| expected.known[other].user == user).collect();
        let (scope, asks) = (kind(first), dice.pick(&theirs).unwrap_or(first));
        let (asks, ended) = match scope {
            Scope::One(one) => (asks, vec![one]),
            Scope::Others(asks) => (asks, theirs.into_iter().filter(|&other| other != asks).collect()),
            Scope::All(asks) => (asks, theirs),
        };
        expected.live.retain(|session| !ended.contains(session));
        expected.gone.extend(&ended);
        while expected.gone.len() > GONE {
            expected.gone.pop_front();
        }
        Some((scope, asks, ended))
    }

    fn ask(&self, method: Method, node: usize, path: &str, cookie: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.nodes[node]));
        request.header(COOKIE_HEADER, format!("{COOKIE}={cookie}"))
    }

    fn note(&self, began: Duration, node: usize, deed: Deed) {
        let span = Span { began, ended: self.now() };
        self.history.lock().events.push(Event { span, node, deed });
    }
}

async fn read(answer: reqwest::Response, user: &str, session: &str) -> Answer {
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let Ok(body) = answer.text().await else { return Answer::Nothing };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let honest = headers.contains_key(RETRY_AFTER) && !headers.contains_key(SET_COOKIE);
    match status {
        200 => {
            let json: Value = serde_json::from_str(&body).unwrap_or_default();
            let inside = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            let found_user = header("x-session-user").or_else(|| inside("/user/id"));
            let found_session = header("x-session-id").or_else(|| inside("/session/id"));
            let own = found_user.as_deref() == Some(user) && found_session.as_deref() == Some(session);
            if own { Answer::Own } else { Answer::Foreign(format!("{headers:?} {body}")) }
        }
        401 => Answer::Ended,
        // The connection was given up before a request came: the client had kept it, unused, for as long as a head
        // may take, or the node was frozen for so long. Nothing was read, and nothing is told.
        408 if body.is_empty() && !headers.contains_key(SET_COOKIE) => Answer::Nothing,
        503 if honest => Answer::Unknown,
        _ => Answer::Odd(format!("{status} {headers:?} {body}")),
    }
}
