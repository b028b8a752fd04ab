//! The OpenAPI document, made from the handlers.
//!
//! A handler's own description stands beside it; this lists the handlers, and what they have in common.

use actix_web::HttpResponse;
use actix_web::web::Data;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{self, Content, Ref, RefOr, Server};
use utoipa::{Modify, OpenApi};

use super::openapi_common::Common;
use super::problem::{self, FieldError, ProblemBody, StepUp};
use super::site::Site;
use super::{account, admin, events, gateway, operator, reauthenticate, sessions, sign_in};

#[derive(OpenApi)]
#[openapi(
    info(title = "sessiond", description = "A stateful session server: opaque tokens, instant revocation."),
    paths(
        sign_in::register, sign_in::login, sign_in::logout, sign_in::reset,
        account::me, account::session, account::rename, account::change_password,
        reauthenticate::reauthenticate,
        sessions::list, sessions::revoke, sessions::revoke_all,
        events::open,
        admin::people::list, admin::people::show, admin::people::put_roles, admin::people::delete,
        admin::disable, admin::enable,
        admin::alerts::list, admin::alerts::acknowledge,
        admin::sessions::of_user, admin::sessions::revoke_of_user, admin::sessions::find,
        admin::sessions::revoke_matching, admin::sessions::revoke,
        admin::trail::list,
        gateway::forward,
        operator::live, operator::ready, serve,
    ),
    components(schemas(ProblemBody<'_>, FieldError, StepUp)),
    security(("session" = [])),
    modifiers(&SessionCookie, &Common, &Problems),
)]
struct Document;

struct SessionCookie;

impl Modify for SessionCookie {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let cookie = ApiKeyValue::with_description("__Host-session", "Set by POST /login.");
        let scheme = SecurityScheme::ApiKey(ApiKey::Cookie(cookie));
        document.components.get_or_insert_default().add_security_scheme("session", scheme);
    }
}

/// Every error that a handler describes without a body is a problem.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let operations = document.paths.paths.values_mut().flat_map(|item| {
            [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
        });
        for (status, response) in operations.flat_map(|operation| &mut operation.responses.responses) {
            if let RefOr::T(response) = response
                && status.as_str() >= "400"
                && response.content.is_empty()
            {
                let problem = Content::new(Some(Ref::from_schema_name("Problem")));
                response.content.insert(problem::CONTENT_TYPE.to_owned(), RefOr::T(problem));
            }
        }
    }
}

/// The document of a server whose routes begin at `base_path`.
pub fn document(base_path: &str) -> openapi::OpenApi {
    let mut document = Document::openapi();
    if !base_path.is_empty() {
        document.servers = Some(vec![Server::new(base_path)]);
    }
    document
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operators", security(()),
    responses((status = 200, description = "OpenAPI 3.1."))
)]
pub async fn serve(site: Data<Site>) -> HttpResponse {
    HttpResponse::Ok().json(document(&site.base_path))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn problems_and_the_cookie_are_described() {
        let document: Value = serde_json::to_value(document("/auth")).unwrap();
        assert_eq!(document["components"]["securitySchemes"]["session"]["in"], "cookie");
        assert!(document["components"]["schemas"]["Problem"]["properties"]["type"].is_object());
        let unauthenticated =
            &document["paths"]["/me"]["get"]["responses"]["401"]["content"]["application/problem+json"];
        assert_eq!(unauthenticated["schema"]["$ref"], "#/components/schemas/Problem");
        assert_eq!(document["servers"][0]["url"], "/auth");
    }
}
