//! Routes for services: applications with users of their own, which have the sessions of these users here.
//!
//! [`super::service_guard`] has recognised the service. The token leaves here, in an answer to a service that issues it,
//! and comes back in a question of a service that has it from a browser.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::extract::{JsonAsSent, Text, told};
use super::form::Form;
use super::introspection_format::{ACCESS_TOKEN, Format, SIGNED};
use super::issued_cookie::IssuedCookie;
use super::problem::Problem;
use super::service_guard::{self, FromService};
use super::site::Site;
use crate::domain::{
    ActingParty, ActorKind, Claims, Client, Email, Profile, Role, Roles, Scope, Subject, Timestamp, Token, device, name,
};
use crate::service::{Activity, Checked, IssueError, IssueRequest, SessionView, UserView};

/// A user whom the application has verified, and where they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// The application's own name for the user: 1 to 255 bytes, compared byte by byte.
    #[schema(value_type = String, example = "user-4711", min_length = 1, max_length = 255)]
    subject: Text,
    /// Missing: stays as it is. Null: is cleared.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>, required = false, example = "ana@example.org")]
    email: Option<Option<Text>>,
    /// Missing: stays as it is. Null: is cleared.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>, required = false, example = "Ana Silva")]
    name: Option<Option<Text>>,
    /// A JSON object of at most 2048 bytes, shown by `/me` and introspection. Missing: stays. Null: is cleared.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<Object>, required = false, example = json!({ "plan": "gold" }))]
    claims: Option<Option<Map<String, Value>>>,
    /// All roles of the user here; wants the scope `admin.write`, too. `user` is always included and need not be named. A
    /// change ends the user's other sessions. Missing: stay as they are.
    #[serde(default, deserialize_with = "super::extract::present")]
    #[schema(value_type = Vec<Role>, required = false, example = json!(["admin"]))]
    roles: Option<Vec<Role>>,
    /// The user's address, as the application sees it.
    #[schema(value_type = String, example = "192.0.2.7")]
    ip: IpAddr,
    /// The user's User-Agent header; null if there was none.
    #[serde(deserialize_with = "super::extract::nullable")]
    #[schema(value_type = Option<String>, required = true, example = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")]
    user_agent: Option<Text>,
    /// Whether to stay signed in after the browser is closed.
    #[serde(default)]
    #[schema(required = false)]
    remember: bool,
    /// Seconds that the session may stay unused; at most this server's setting, which is the default.
    #[schema(value_type = Option<u32>, minimum = 1)]
    idle_timeout: Option<NonZeroU32>,
    /// Seconds that the session lasts; at most this server's setting, which is the default.
    #[schema(value_type = Option<u32>, minimum = 1)]
    absolute_timeout: Option<NonZeroU32>,
    /// The value of the session cookie that the browser already has, if any: that session ends.
    #[schema(value_type = Option<String>)]
    replaces: Option<Text>,
    /// Who acts in this session for the user; missing for a session of the user's own. Such a session is short
    /// (`SESSIOND_ACTING_TIMEOUT`), is never remembered, and changes nothing of the account.
    #[schema(required = false)]
    actor: Option<ActorBody>,
}

/// Who acts for the user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActorBody {
    /// An agent (a program), or an administrator of the application.
    kind: ActorKind,
    /// The application's own name for it: visible ASCII characters.
    #[schema(value_type = String, example = "assistant-7", min_length = 1, max_length = 64)]
    id: Text,
}

/// A session that was issued.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssueAnswer {
    /// The user.
    pub user: UserView,
    /// The session.
    pub session: SessionView,
    /// The cookie for the user's browser.
    pub cookie: IssuedCookie,
}

/// The question about a token. Other parameters are ignored, as RFC 7662 has clients that send some.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Introspect {
    /// The value of the session cookie.
    #[schema(example = "3kF%2F…")]
    token: String,
    /// Whether to tell about the user, too: it costs a query of the database.
    #[serde(default)]
    #[schema(required = false)]
    claims: bool,
    /// The user's address, if the application knows it: it shows in the list of sessions.
    #[schema(value_type = Option<String>)]
    ip: Option<IpAddr>,
}

/// What a token is. Inactive: only the first field.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct IntrospectAnswer {
    /// Whether it is a live session's.
    pub active: bool,
    /// The user's id here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Uuid, required = false)]
    pub sub: Option<Uuid>,
    /// The session's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Uuid, required = false)]
    pub sid: Option<Uuid>,
    /// When the session ends if it is not used again, in seconds since 1970. It may end earlier at any moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    pub exp: Option<i64>,
    /// When the session was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    pub iat: Option<i64>,
    /// When the user last proved their identity; missing if that proof no longer counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    pub auth_time: Option<i64>,
    /// Who acts in the session for the user (RFC 8693); missing in the user's own sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ActingParty, required = false)]
    pub act: Option<ActingParty>,
    /// With `claims=true`: the application's own name for the user; missing for an account of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub subject: Option<String>,
    /// With `claims=true`: the e-mail address, or the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub username: Option<String>,
    /// With `claims=true`: the name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub name: Option<String>,
    /// With `claims=true`: the user's roles here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Role>, required = false)]
    pub roles: Option<Vec<Role>>,
    /// With `claims=true`: what the application said about the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    pub claims: Option<Value>,
}

/// Issues a session to a user whom the application has verified. Makes the user, or updates what is said about them.
#[utoipa::path(
    post, path = "/issue", operation_id = "issue_session", tag = "services", security(("service" = [])),
    request_body = Issue,
    params(("Idempotency-Key" = Option<String>, Header, description = "16 to 255 visible characters, such as a UUID: the \
        same request with the same key gets the same session again.", example = "0198c0de-0000-7000-8000-00000000000a")),
    responses(
        (status = 201, description = "Issued. The cookie is only for the user's browser.", body = IssueAnswer),
        (status = 403, description = "The user is disabled (`user-disabled`); or `roles` without the scope for it \
            (`insufficient-scope`)."),
        (status = 409, description = "The user has too many sessions (`too-many-sessions`)."),
        (status = 429, description = "Too many sessions of this subject, or of this service (`too-many-attempts`)."),
        (status = 422, description = "The key came with another request, or its session is over \
            (`idempotency-key-reused`)."),
    )
)]
pub async fn issue(
    site: Data<Site>,
    FromService(by): FromService,
    request: HttpRequest,
    JsonAsSent(body, digest): JsonAsSent<Issue>,
) -> Result<HttpResponse, Problem> {
    if body.roles.is_some() {
        service_guard::require(&site, &by, Scope::AdminWrite, &request)?;
    }
    let repeatable = site.idempotency_keys.read(by.service, request.headers(), digest)?;
    let user_agent = body.user_agent.as_ref().map(|text| device::cut(&text.0).to_owned());
    let client = Client { ip: body.ip.to_canonical(), user_agent, request_id: site.request_id() };
    let replaces = body.replaces.as_ref().and_then(|value| site.cookie.token_in(&value.0));
    let seconds = |of: NonZeroU32| Duration::from_secs(of.get().into());
    let asked = IssueRequest {
        by,
        subject: subject(&body.subject.0)?,
        idle: body.idle_timeout.map(seconds),
        absolute: body.absolute_timeout.map(seconds),
        remember: body.remember,
        replaces: replaces.iter().map(Token::hash).collect(),
        repeatable,
        actor: body.actor.map(|actor| acting(&actor, body.remember)).transpose()?,
        profile: profile(body.email, body.name, body.claims)?,
        roles: body.roles.map(|roles| roles.into_iter().fold(Roles::new_account(), Roles::with)),
    };
    let issued = site.app.sign_in.issue_to_subject(asked, &client).await.map_err(refusal)?;
    let cookie = site.cookie.issued(&issued.token, issued.lasts)?;
    Ok(HttpResponse::Created().json(IssueAnswer { user: issued.user, session: issued.session, cookie }))
}

fn subject(text: &str) -> Result<Subject, Problem> {
    Subject::parse(text).map_err(|invalid| Problem::invalid_field("subject", invalid.0))
}

fn acting(actor: &ActorBody, remember: bool) -> Result<ActingParty, Problem> {
    if remember {
        return Err(Problem::invalid_field(
            "remember",
            "A session in which somebody acts for the user is not remembered.",
        ));
    }
    ActingParty::new(actor.kind, &actor.id.0).map_err(|invalid| Problem::invalid_field("actor.id", invalid.0))
}

fn profile(
    email: Option<Option<Text>>,
    name: Option<Option<Text>>,
    claims: Option<Option<Map<String, Value>>>,
) -> Result<Profile, Problem> {
    let email = email.map(|it| it.map(|text| Email::parse(&text.0)).transpose());
    let email = email.transpose().map_err(|invalid| Problem::invalid_field("email", invalid.0))?;
    let name = name.map(|it| it.map_or(Ok(None), |text| name::tidy(&text.0)));
    let name = name.transpose().map_err(|invalid| Problem::invalid_field("name", invalid))?;
    let claims = claims.map(|it| it.as_ref().map(Claims::of).transpose());
    let claims = claims.transpose().map_err(|invalid| Problem::invalid_field("claims", invalid.0))?;
    Ok(Profile { email, name, claims })
}

fn refusal(error: IssueError) -> Problem {
    match error {
        IssueError::UnknownUser => Problem::user_disabled(),
        other => other.into(),
    }
}

/// Tells whose session a token opens (RFC 7662). Counts as a use of the session.
///
/// With `SESSIOND_JWT_ISSUER`, `Accept: application/jwt` asks for an access token that other services verify by themselves,
/// and `Accept: application/token-introspection+jwt` for the answer in a signed form (RFC 9701).
#[utoipa::path(
    post, path = "/introspect", operation_id = "introspect_token", tag = "services", security(("service" = [])),
    request_body(content = Introspect, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What the token is. For everything but a live session's token exactly \
            `{\"active\": false}`.", body = IntrospectAnswer,
         example = json!({ "active": true, "sub": "0198c0de-0000-7000-8000-000000000001",
            "sid": "0198c0de-0000-7000-8000-000000000002", "exp": 1_796_083_200, "iat": 1_796_040_000,
            "auth_time": 1_796_040_000 })),
        (status = 204, description = "With `Accept: application/jwt`: inactive."),
        (status = 400, description = "The form cannot be read (`invalid-body`)."),
        (status = 406, description = "A token was asked for, and none are issued (`not-acceptable`)."),
        (status = 503, description = "A store does not answer (`unavailable`), or the server is overloaded (`busy`). Never \
            take it for inactive."),
    )
)]
pub async fn introspect(
    site: Data<Site>,
    FromService(by): FromService,
    request: HttpRequest,
    Form(body): Form<Introspect>,
) -> Result<HttpResponse, Problem> {
    let tokens = &site.app.access_tokens;
    let format = Format::wanted(&request, tokens.are_on())?;
    // The body may have come slowly.
    if !site.app.credentials.still_knows(&by).await? {
        return Err(Problem::unknown_service());
    }
    let found = found(&site, &body).await?;
    let signed = |kind, token: &str| HttpResponse::Ok().content_type(kind).body(token.to_owned());
    match (format, found) {
        (Format::AccessToken, Some((checked, user))) => {
            let token = tokens.access_token(&checked, Some(by.service), user.as_ref())?;
            Ok(signed(ACCESS_TOKEN, &token.ok_or_else(Problem::tokens_are_off)?))
        }
        (Format::AccessToken, None) => Ok(HttpResponse::NoContent().finish()),
        (Format::Signed, found) => {
            let token = tokens.introspection_token(by.service, &about(found))?;
            Ok(signed(SIGNED, &token.ok_or_else(Problem::tokens_are_off)?))
        }
        (Format::Json, found) => Ok(HttpResponse::Ok().json(about(found))),
    }
}

/// The live session that the token opens, and its user if that was asked for.
async fn found(site: &Site, body: &Introspect) -> Result<Option<(Checked, Option<UserView>)>, Problem> {
    let Some(token) = site.cookie.token_in(&body.token) else { return Ok(None) };
    let from = body.ip.map(|ip| ip.to_canonical());
    let Some(checked) = site.app.check.authenticate(&token, from, Activity::Active).await? else { return Ok(None) };
    if !body.claims {
        return Ok(Some((checked, None)));
    }
    let me = site.app.users.me(&checked).await?;
    Ok(me.map(|me| (checked, Some(me.user))))
}

fn about(found: Option<(Checked, Option<UserView>)>) -> IntrospectAnswer {
    let Some((checked, user)) = found else { return IntrospectAnswer::default() };
    let mut answer = of_session(&checked);
    if let Some(UserView { email, subject, name, roles, claims, .. }) = user {
        (answer.username, answer.subject, answer.name) = (email.or_else(|| subject.clone()), subject, name);
        (answer.roles, answer.claims) = (Some(roles), claims);
    }
    answer
}

fn of_session(checked: &Checked) -> IntrospectAnswer {
    let seconds = |at: Timestamp| at.ms().div_euclid(1_000);
    IntrospectAnswer {
        active: true,
        sub: Some(checked.user.uuid()),
        sid: Some(checked.session.uuid()),
        exp: Some(seconds(checked.deadlines.idle_expires())),
        iat: Some(seconds(checked.session.made_at())),
        auth_time: checked.proven_at.map(seconds),
        act: checked.acting.as_deref().cloned(),
        ..IntrospectAnswer::default()
    }
}
