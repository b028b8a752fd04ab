//! Who administers: a person with a session, or a service with a secret.
//!
//! Owns [`Administrator`], which every handler of an administrators' route takes. The session layer has judged both; what
//! a change needs besides is judged under its locks. Must never be made of anything but that judgement.

use std::future::{Ready, ready};
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, ResponseError};

use super::context::{self, Context};
use super::problem::Problem;
use super::site::Site;
use crate::domain::{SessionId, UserId};
use crate::service::{AuditContext, Caller, Checked};

/// Who administers.
#[derive(Debug)]
pub struct Administrator {
    who: Who,
    context: Rc<Context>,
}

#[derive(Debug)]
enum Who {
    Person(Checked),
    Service(Caller),
}

impl FromRequest for Administrator {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        let found = context::current().and_then(|context| {
            let service = context.service().cloned().map(Who::Service);
            let who = service.or_else(|| context.checked().map(Who::Person))?;
            Some(Self { who, context })
        });
        ready(found.ok_or_else(Problem::unauthenticated))
    }
}

impl Administrator {
    /// The author of a change, and what is judged under its locks: a person's session, proof and role, or that the secret
    /// still counts.
    pub fn context(&self) -> AuditContext {
        match &self.who {
            Who::Person(checked) => AuditContext::administrator(checked, self.context.client()),
            Who::Service(caller) => caller.administering(self.context.client()),
        }
    }

    /// The session of the request; none for a service.
    pub fn session(&self) -> Option<SessionId> {
        match &self.who {
            Who::Person(checked) => Some(checked.session),
            Who::Service(_) => None,
        }
    }

    /// The person; none for a service.
    pub fn user(&self) -> Option<UserId> {
        match &self.who {
            Who::Person(checked) => Some(checked.user),
            Who::Service(_) => None,
        }
    }

    /// The person's session, for what only a person does from the console.
    pub fn person(&self) -> Result<&Checked, Problem> {
        match &self.who {
            Who::Person(checked) => Ok(checked),
            Who::Service(_) => Err(Problem::only_for_people()),
        }
    }

    /// The answer to a failure. A service whose secret was removed meanwhile is told so, as at its next request.
    pub fn refusal(&self, site: &Site, error: impl Into<Problem>) -> Problem {
        let problem = site.refusal(error);
        match self.who {
            Who::Service(_) if problem.status_code() == StatusCode::UNAUTHORIZED => Problem::unknown_service(),
            _ => problem,
        }
    }

    /// Refuses a service whose secret was removed while its body came: for a question that takes no locks.
    pub async fn require_still(&self, site: &Site) -> Result<(), Problem> {
        let Who::Service(caller) = &self.who else { return Ok(()) };
        let counts = site.app.credentials.still_knows(caller).await?;
        if counts { Ok(()) } else { Err(Problem::unknown_service()) }
    }
}
