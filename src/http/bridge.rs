//! The session store under actix-session: sessions of the service behind that crate's interface.
//!
//! The only file that handles the quirks of actix-session 0.11: it knows no users, so only an identity has a session
//! here; it writes after the handler and hides the cause of an error, so a refusal goes through the [`Context`]; it
//! renews by deleting and saving. Must never create a session without a user, revive one that is gone, or keep anything
//! of its own in a session's data.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use actix_session::Session;
use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;

use super::access_level::AccessLevel;
use super::context::{self, Context};
use super::cookie::Presented;
use super::problem::Problem;
use crate::domain::{Token, UserId};
use crate::service::{Activity, App, Checked, SessionView};

/// Where actix-identity keeps the user's id in the state.
const IDENTITY: &str = "actix_identity.user_id";

/// Keys with these prefixes are never data. Our own key only makes actix-session call the store.
const RESERVED: [&str; 2] = ["#", "actix_identity."];
const MARK: &str = "#token";

type SessionState = HashMap<String, String>;

/// Leaves a token that [`SessionStore::save`] or [`SessionStore::update`] returns, so that actix-session puts the token
/// into the cookie; the service has issued or renewed the session behind it.
pub fn hand_over(session: &Session, context: &Context, token: Token, view: &SessionView) -> Result<(), Problem> {
    context.hand_over(token, view);
    session.insert(MARK, true).map_err(Problem::internal)
}

/// The store. One for each worker and access level.
pub struct Bridge {
    app: App,
    level: AccessLevel,
}

/// Tells actix-session that the store refuses. The [`Context`] holds the answer for the client.
#[derive(Debug, thiserror::Error)]
#[error("refused; the session layer answers")]
struct Refused;

impl Bridge {
    /// A store over the service, for routes of this access level.
    pub fn new(app: App, level: AccessLevel) -> Self {
        Self { app, level }
    }

    /// Loads the session of a key as a state; `None` if there is no such session.
    async fn open(&self, context: &Context, key: &SessionKey) -> Result<Option<SessionState>, Problem> {
        let Some(checked) = self.live(context, key).await? else {
            return Ok(None);
        };
        // Our own routes never read a session's data.
        if !checked.has_data || self.level != AccessLevel::Embedded {
            return Ok(Some(state_of(checked.user, BTreeMap::new())));
        }
        let data = self.app.sign_in.session_data(&checked).await?;
        if data.is_none() {
            context.set_checked(None);
        }
        Ok(data.map(|data| state_of(checked.user, data)))
    }

    /// Returns the guard's check, or runs a check where the guard lets everyone in.
    async fn live(&self, context: &Context, key: &SessionKey) -> Result<Option<Checked>, Problem> {
        let Some(token) = Token::parse(key.as_ref()) else {
            return Ok(None);
        };
        if let Some(checked) = context.checked() {
            return Ok((checked.token_hash == token.hash()).then_some(checked));
        }
        let client = context.client();
        let checked = match self.app.check.authenticate(&token, client.ip, context.activity()).await? {
            // An application on the layer sees the user alone: whoever acts for the user is nobody to it.
            Some(checked) if checked.acting.is_some() && self.level == AccessLevel::Embedded => None,
            Some(checked) => self.app.check.recognise(checked, client.user_agent.as_deref(), || client.clone()).await?,
            None => None,
        };
        context.set_checked(checked.clone());
        Ok(checked)
    }

    /// Saves the state that the handler left. Returns the token for the cookie.
    async fn keep(&self, context: &Context, state: SessionState, renew: bool) -> Result<Token, Problem> {
        if let Some(token) = context.take_handed_over() {
            return Ok(token);
        }
        let user = identity(&state)?;
        match (context.checked(), user) {
            (Some(live), Some(user)) if live.user == user => {
                self.keep_same(context, &live, data_of(state), renew).await
            }
            (live, Some(user)) => self.begin(context, live, user, data_of(state)).await,
            (Some(live), None) => sign_out_later(context, &live),
            // Data without a user: a client that wants to store data must sign in.
            (None, None) => Err(Problem::unauthenticated()),
        }
    }

    /// Continues the session of the same user, under a new token if it was renewed. Writes the data first: a session
    /// that is gone refuses the write, and nothing revives it.
    async fn keep_same(
        &self,
        context: &Context,
        live: &Checked,
        data: BTreeMap<String, String>,
        renew: bool,
    ) -> Result<Token, Problem> {
        if !data.is_empty() || live.has_data {
            self.app.sign_in.store_data(live, &data).await?;
        }
        if !renew {
            context.leave_cookie();
            return presented(context);
        }
        let renewed = self.app.sign_in.renew(live, context.client()).await?;
        context.new_cookie(&renewed.session);
        if !renewed.invalidated {
            context.leave_unconfirmed();
        }
        Ok(renewed.token)
    }

    /// Issues a new session for another user, or for the first one. The previous session ends and its data stays
    /// behind: the new session gets only the data that this request wrote.
    async fn begin(
        &self,
        context: &Context,
        live: Option<Checked>,
        user: UserId,
        mut data: BTreeMap<String, String>,
    ) -> Result<Token, Problem> {
        if let Some(live) = live.filter(|live| live.has_data) {
            let before = self.app.sign_in.session_data(&live).await?.unwrap_or_default();
            data.retain(|key, value| before.get(key) != Some(value));
        }
        let issued =
            self.app.sign_in.issue(user, context.remembers(), &context.presented_hashes(), context.client()).await?;
        if !data.is_empty() {
            let checked = self.app.check.authenticate(&issued.token, context.client().ip, Activity::Active).await?;
            self.app.sign_in.store_data(&checked.ok_or_else(Problem::unauthenticated)?, &data).await?;
        }
        context.new_cookie(&issued.session);
        Ok(issued.token)
    }
}

/// Ends the session: the identity was taken out of the state (`session.clear()`), and no session exists without a user.
fn sign_out_later(context: &Context, live: &Checked) -> Result<Token, Problem> {
    context.sign_out_later(live.token_hash);
    presented(context)
}

impl SessionStore for Bridge {
    /// Never [`LoadError::Deserialization`]: actix-session would continue with an empty session under the same key, and
    /// the next write would wipe the data.
    async fn load(&self, key: &SessionKey) -> Result<Option<SessionState>, LoadError> {
        let context = here().map_err(LoadError::Other)?;
        self.open(&context, key).await.map_err(|problem| LoadError::Other(refuse(&context, problem)))
    }

    /// actix-session calls this for a new session, and after `delete` for a renewed one.
    async fn save(&self, state: SessionState, _ttl: &Duration) -> Result<SessionKey, SaveError> {
        let context = here().map_err(SaveError::Other)?;
        let renewed = context.take_ending().is_some();
        let kept = self.keep(&context, state, renewed).await.and_then(|token| key_of(&token));
        kept.map_err(|problem| SaveError::Other(refuse(&context, problem)))
    }

    /// Never falls back to `save`: a session that ended during its request stays ended.
    async fn update(&self, _key: SessionKey, state: SessionState, _ttl: &Duration) -> Result<SessionKey, UpdateError> {
        let context = here().map_err(UpdateError::Other)?;
        let kept = self.keep(&context, state, false).await.and_then(|token| key_of(&token));
        kept.map_err(|problem| UpdateError::Other(refuse(&context, problem)))
    }

    /// Does nothing: the server decides when a session ends, and the check has already recorded the use.
    async fn update_ttl(&self, _key: &SessionKey, _ttl: &Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    /// Only records the request: a renewal is `delete` and then `save`, and must not lose the session in between. The
    /// guard ends the session unless it was saved again.
    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let context = here()?;
        if let Some(token) = Token::parse(key.as_ref()) {
            context.sign_out_later(token.hash());
        }
        Ok(())
    }
}

fn here() -> Result<Rc<Context>, anyhow::Error> {
    context::current().ok_or_else(|| anyhow::anyhow!("the session store was called outside of the session layer"))
}

fn refuse(context: &Context, problem: Problem) -> anyhow::Error {
    context.refuse(problem);
    anyhow::Error::new(Refused)
}

fn presented(context: &Context) -> Result<Token, Problem> {
    match context.presented() {
        Presented::One(token) => Ok(token.clone()),
        _ => Err(Problem::unauthenticated()),
    }
}

fn key_of(token: &Token) -> Result<SessionKey, Problem> {
    SessionKey::try_from(token.expose()).map_err(Problem::internal)
}

fn state_of(user: UserId, data: BTreeMap<String, String>) -> SessionState {
    data.into_iter().chain([(IDENTITY.to_owned(), format!("\"{user}\""))]).collect()
}

/// The user who is signed in according to the state. Values of a state are JSON texts.
fn identity(state: &SessionState) -> Result<Option<UserId>, Problem> {
    let Some(text) = state.get(IDENTITY) else {
        return Ok(None);
    };
    let user = serde_json::from_str::<String>(text).ok().and_then(|id| UserId::parse(&id));
    user.map(Some).ok_or_else(|| Problem::internal("an identity must be the id of a user of this server"))
}

fn data_of(state: SessionState) -> BTreeMap<String, String> {
    state.into_iter().filter(|(key, _)| !RESERVED.iter().any(|prefix| key.starts_with(prefix))).collect()
}
