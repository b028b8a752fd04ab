//! The OpenAPI document, made from the handlers.
//!
//! A handler's own description stands beside it; this file lists the handlers and describes all of them together. Its
//! neighbours: `openapi_common` (the form of an operation), `openapi_problems` (refusals), `openapi_examples`
//! (examples).

use std::cell::OnceCell;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Required, Server};

use super::forwarded_request::FORWARD;
use super::openapi_common::AccessLevels;
use super::problem_body::{FieldError, ProblemBody, StepUp};
use super::site::Site;
use super::{account, admin, events, exchange, gateway, openapi_common, openapi_examples, openapi_problems};
use super::{operator, reauthenticate, services, sessions, sign_in, subjects};

#[derive(OpenApi)]
#[openapi(
    info(title = "sessiond", description = "A stateful session server: opaque tokens, instant revocation."),
    tags(
        (name = "anyone", description = "Register, sign in, and read the current session."),
        (name = "signed in", description = "The user's own account and sessions."),
        (name = "administrators", description = "All accounts and sessions, alerts and the audit log."),
        (name = "gateways", description = "What reverse proxies call."),
        (name = "services", description = "What applications with users of their own call, from their servers."),
        (name = "operators", description = "Health checks, and this document."),
    ),
    paths(
        sign_in::register, sign_in::login, sign_in::logout, sign_in::reset,
        exchange::exchange,
        account::me, account::session, account::rename, account::change_password,
        reauthenticate::reauthenticate,
        sessions::list, sessions::revoke, sessions::revoke_all,
        events::open,
        admin::users::list, admin::users::show, admin::users::put_roles, admin::users::delete,
        admin::disable, admin::enable, admin::impersonate::impersonate,
        admin::alerts::list, admin::alerts::acknowledge,
        admin::sessions::of_user, admin::sessions::revoke_of_user, admin::sessions::find,
        admin::sessions::revoke_matching, admin::sessions::revoke,
        admin::audit_log::list,
        gateway::forward,
        services::issue, services::introspect,
        subjects::list, subjects::revoke_all, subjects::revoke, subjects::disable, subjects::enable,
        operator::live, operator::ready, serve,
    ),
    components(schemas(ProblemBody<'_>, FieldError, StepUp)),
    security(("session" = [])),
)]
struct Declared;

/// The document of one server; built at the first request for it.
pub struct Document {
    levels: Box<AccessLevels>,
    written: OnceCell<Bytes>,
}

impl Document {
    /// A document with the access level of each path, and whether acting sessions may read there.
    pub fn new(
        levels: impl IntoIterator<Item = (&'static str, Option<super::access_level::AccessLevel>, bool)>,
    ) -> Self {
        Self { levels: levels.into_iter().collect(), written: OnceCell::new() }
    }

    /// The document of a server whose routes begin at `base_path` and whose session cookie has this name.
    pub fn describe(&self, base_path: &str, cookie: &str) -> Value {
        let mut document = Declared::openapi();
        ask_below(&mut document);
        // Relative, because one server has several origins.
        document.servers = Some(vec![Server::new(if base_path.is_empty() { "/" } else { base_path })]);
        let cookie = ApiKeyValue::with_description(cookie, "Set by POST /login. Secure and HttpOnly.");
        let scheme = SecurityScheme::ApiKey(ApiKey::Cookie(cookie));
        document.components.get_or_insert_default().add_security_scheme("session", scheme);
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A service's secret, from `sessiond service add`. Never from a browser."));
        let bearer = SecurityScheme::Http(bearer.build());
        document.components.get_or_insert_default().add_security_scheme("service", bearer);
        let jwt = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("A token that an application issued before its sessions moved here."));
        let jwt = SecurityScheme::Http(jwt.build());
        document.components.get_or_insert_default().add_security_scheme("old_token", jwt);
        openapi_common::complete(&mut document, &self.levels);
        openapi_problems::complete(&mut document);
        let mut document = serde_json::to_value(document).unwrap_or_default();
        openapi_examples::complete(&mut document);
        document
    }
}

/// Adds the route that Envoy calls: the gateways' route followed by the page's own path.
fn ask_below(document: &mut utoipa::openapi::OpenApi) {
    let Some(mut item) = document.paths.paths.get(FORWARD).cloned() else { return };
    let page = ParameterBuilder::new().name("page").parameter_in(ParameterIn::Path).required(Required::True);
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).examples([json!("orders")]);
    let page = page.description(Some("The page's own path; it may contain slashes.")).schema(Some(text)).build();
    if let Some(operation) = &mut item.get {
        operation.operation_id = Some("forward_auth_page".to_owned());
        operation.summary = Some("The same for Envoy, which appends the page's path and keeps its method.".to_owned());
        operation.description =
            Some("The query belongs to the page. Redirects a navigation without a session.".to_owned());
        operation.parameters = Some(vec![page.into()]);
    }
    document.paths.paths.insert(format!("{FORWARD}/{{page}}"), item);
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "get_openapi", tag = "operators", security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/json",
               example = json!({ "openapi": "3.1.0" })))
)]
pub async fn serve(site: Data<Site>, document: Data<Document>) -> HttpResponse {
    let write = || document.describe(&site.base_path, site.cookie.name()).to_string().into();
    HttpResponse::Ok().content_type("application/json").body(document.written.get_or_init(write).clone())
}
