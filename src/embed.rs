//! Embed: what an actix application that embeds sessiond holds in its hands.
//!
//! Owns [`open`] and [`Service`], which the crate root re-exports. Must never hold a use case, and never show a type that
//! the crate root does not re-export: applications depend on what is here.

use crate::config::Config;
use crate::domain::{SessionId, UserId};
use crate::http::{self, ServiceError, SessionLayer};
use crate::server::{self, Parts};
use crate::service::{App, AuditContext, Background, SessionView, StartError, Those};

/// Opens the stores that the settings name and starts the background tasks on the current Tokio runtime. Creates or
/// migrates the tables in the database.
///
/// # Errors
/// When a store, or a file that the settings name, cannot be used; when another node of the same database runs with other
/// values of settings that must be the same; when the database is an older copy than the one that Redis has seen.
pub async fn open(config: &Config) -> Result<(Service, Background), StartError> {
    let (app, background) = server::open(config, Parts::default()).await?;
    match http::session_layer(&app, config) {
        Ok(layer) => Ok((Service { app, layer }, background)),
        Err(error) => {
            background.stop().await;
            Err(StartError(error.to_string()))
        }
    }
}

/// The running service. Cheap to clone; a handler takes it from `web::Data<Service>`.
///
/// The audit log names the actor of all that is done here as `server`. An application that acts for a user checks first
/// that the user may do it.
#[derive(Clone)]
pub struct Service {
    app: App,
    layer: SessionLayer,
}

impl Service {
    /// The middleware that gives routes their sessions. Call it inside the closure of `HttpServer::new`: each worker then
    /// has its own connections.
    #[must_use]
    pub fn session_layer(&self) -> SessionLayer {
        self.layer.for_worker()
    }

    /// The user that the sessions of one of your users belong to: found by your own name for that user, or made now. Call
    /// it at every sign-in; two calls at once make one user.
    ///
    /// `key` is an id that never changes and is never given to another person: 1 to 255 bytes, compared byte by byte. The
    /// address and the name are what you say about the user. Given ones replace the stored ones, `None` leaves them as they
    /// are. They open nothing and may be those of another account. No password opens the user.
    ///
    /// # Errors
    /// [`ServiceError::InvalidKey`], [`ServiceError::InvalidEmail`] or [`ServiceError::InvalidName`] if one of them is not
    /// acceptable, [`ServiceError::Unavailable`] if the database does not answer: call it again.
    pub async fn ensure_user(
        &self,
        key: &str,
        email: Option<&str>,
        name: Option<&str>,
    ) -> Result<UserId, ServiceError> {
        Ok(self.app.users.ensure_user(key, email, name, AuditContext::server(None)).await?)
    }

    /// Creates an account with an address of its own, for users who are also to sign in at sessiond's own pages. For all
    /// others, [`Service::ensure_user`] is simpler. Call it once for each user of your application, and keep the id beside
    /// that user. Never look an account up by its address: sessiond does not verify addresses, and where
    /// registration is open, anyone can register any address.
    ///
    /// No password opens the account, because the application signs its users in. `sessiond user reset` can give it one,
    /// for the sign-in of sessiond's own pages.
    ///
    /// If your program dies before it has kept the id, the next call answers that the address is taken: docs/embedding.md
    /// says what to do then.
    ///
    /// # Errors
    /// [`ServiceError::InvalidEmail`] or [`ServiceError::InvalidName`] if the address or the name is not acceptable,
    /// [`ServiceError::EmailTaken`] if there is an account with this address, [`ServiceError::Unavailable`] if the
    /// database does not answer.
    pub async fn create_user(&self, email: &str, name: Option<&str>) -> Result<UserId, ServiceError> {
        let made = self.app.users.create_user_without_password(email, name, AuditContext::server(None)).await;
        Ok(made?.id)
    }

    /// The live sessions of a user, the last used first. Inside a request behind the session layer,
    /// [`SessionView::current`] marks the session of that request.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] if the database does not answer.
    pub async fn sessions(&self, user: UserId) -> Result<Vec<SessionView>, ServiceError> {
        Ok(self.app.sessions.sessions_of(user, http::current_session()).await?)
    }

    /// Ends one session of a user. After `Ok`, it authenticates no request on any node. Returns whether the user has, or
    /// had, such a session; repeating the call is no error.
    ///
    /// # Errors
    /// [`ServiceError::Unconfirmed`] if the session has ended, but not every node is known to know;
    /// [`ServiceError::Unavailable`] if the database does not answer, and nothing is known.
    pub async fn end_session(&self, user: UserId, session: SessionId) -> Result<bool, ServiceError> {
        Ok(self.app.sessions.revoke_of(user, session, &AuditContext::server(None)).await?.0)
    }

    /// Ends all sessions of a user, and refuses sign-ins that are in progress. Returns how many sessions were live.
    ///
    /// # Errors
    /// As [`Service::end_session`].
    pub async fn end_sessions(&self, user: UserId) -> Result<usize, ServiceError> {
        Ok(self.app.sessions.revoke_all_of(user, Those::All(None), &AuditContext::server(None)).await?.unwrap_or(0))
    }
}
