//! What many operations of the OpenAPI document share: the headers they take, and the refusals before their handler
//! runs.
//!
//! Owns what follows from an operation's form (it has a body, an id in its path, a query, it changes something) and
//! from its access level, so that no handler repeats it. Must never replace a handler's own description, only add to
//! it.

use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{OpenApi, RefOr, Required, Response};

use super::access_level::AccessLevel;

/// Paths, their access levels, and whether sessions may read there in which somebody acts for the user.
pub type AccessLevels = [(&'static str, Option<AccessLevel>, bool)];

/// What an operation looks like from outside.
struct Form {
    has_body: bool,
    has_id: bool,
    has_query: bool,
    mutates: bool,
    level: Option<AccessLevel>,
    acting: bool,
}

impl Form {
    /// The operation needs a live session.
    fn needs_session(&self) -> bool {
        use AccessLevel::{Account, Administrator, Background, Renewal};
        matches!(self.level, Some(Account | Administrator | Background | Renewal))
    }

    /// The operation reads a session, if there is one.
    fn looks_at_session(&self) -> bool {
        self.needs_session() || self.level == Some(AccessLevel::Anyone)
    }

    /// The operation is refused to sessions in which somebody acts for the user.
    fn is_for_owners(&self) -> bool {
        self.needs_session() && (self.mutates || !self.acting)
    }

    fn is_for_services(&self) -> bool {
        matches!(self.level, Some(AccessLevel::Service(_)))
    }

    /// A browser may send it.
    fn changes_by_browser(&self) -> bool {
        self.mutates && !self.is_for_services()
    }

    fn is_administration(&self) -> bool {
        self.level == Some(AccessLevel::Administrator)
    }

    /// A service may send it, with its secret.
    fn may_be_a_service(&self) -> bool {
        self.is_for_services() || self.is_administration()
    }
}

/// A refusal: its status, the operations it applies to, and a sentence that names the kind of problem.
type Refusal = (&'static str, fn(&Form) -> bool, &'static str);

const REFUSALS: &[Refusal] = &[
    ("400", |form| form.has_body, "The body is not a JSON object (`invalid-body`)."),
    ("400", |form| form.has_query, "A query parameter has an invalid value (`invalid-body`)."),
    ("401", Form::needs_session, "Not signed in, or the session has ended (`unauthenticated`)."),
    ("403", Form::is_for_owners, "An agent or an administrator acts in this session for the user (`acting-session`)."),
    ("403", Form::is_administration, "Not an administrator (`forbidden`)."),
    ("403", |form| form.is_administration() && form.mutates, "The proof of identity is too old (`step-up-required`)."),
    ("401", Form::may_be_a_service, "No secret of a service, or one that opens nothing (`unknown-service`)."),
    ("403", Form::may_be_a_service, "The service lacks the scope (`insufficient-scope`)."),
    ("403", Form::may_be_a_service, "A service's secret came from a browser (`from-browser`)."),
    ("403", Form::changes_by_browser, "The request may come from another site's page (`forbidden-origin`)."),
    ("403", Form::changes_by_browser, "The CSRF token belongs to another session (`wrong-csrf-token`)."),
    ("404", |form| form.has_id, "Nothing has this id (`not-found`)."),
    ("408", |form| form.has_body, "The body did not arrive in time (`request-timeout`)."),
    ("413", |form| form.has_body, "The body is too large (`body-too-large`)."),
    ("415", |form| form.has_body, "The body is not declared in its media type (`unsupported-media-type`)."),
    ("422", |form| form.has_body, "A field is invalid (`invalid-body`)."),
    ("422", |form| form.has_query || form.mutates, "A query parameter is invalid (`invalid-body`)."),
    ("429", Form::is_administration, "Too many requests of this service (`too-many-attempts`)."),
    ("503", |form| form.level.is_some(), "A store does not answer (`unavailable`)."),
    ("503", |form| form.level.is_some(), "The server is overloaded (`busy`)."),
];

/// Adds headers and refusals to every operation.
pub fn complete(document: &mut OpenApi, levels: &AccessLevels) {
    for (path, item) in &mut document.paths.paths {
        let found = levels.iter().find(|(known, ..)| known == path);
        let (level, acting) = found.map_or((None, false), |(_, level, acting)| (*level, *acting));
        for (operation, mutates) in operations(item) {
            let has_query = has_query(operation);
            let (has_body, has_id) = (operation.request_body.is_some(), path.contains("{id}"));
            let form = Form { has_body, has_id, has_query, mutates, level, acting };
            add_refusals(operation, &form);
            add_removal(operation, &form);
            open_to_all(operation);
            open_to_services(operation, &form);
            add_headers(operation, &form);
        }
    }
}

/// The operations of a path, and whether each changes something.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let reading = item.get.as_mut().map(|operation| (operation, false));
    let changing = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    reading.into_iter().chain(changing.into_iter().flatten().map(|operation| (operation, true)))
}

/// What utoipa writes for no security is "any or none", which some generators take for a need.
fn open_to_all(operation: &mut Operation) {
    if let Some(security) = operation.security.as_mut().filter(|it| **it == [SecurityRequirement::default()]) {
        security.clear();
    }
}

/// A person administers with a session, a service with its secret.
fn open_to_services(operation: &mut Operation, form: &Form) {
    if form.is_administration() {
        let one_of = ["session", "service"].map(|scheme| SecurityRequirement::new(scheme, [""; 0]));
        operation.security = Some(one_of.to_vec());
    }
}

fn has_query(operation: &Operation) -> bool {
    let is_query = |it: &RefOr<Parameter>| matches!(it, RefOr::T(it) if it.parameter_in == ParameterIn::Query);
    operation.parameters.iter().flatten().any(is_query)
}

/// Adds each refusal that applies, unless the handler itself names that kind of problem.
fn add_refusals(operation: &mut Operation, form: &Form) {
    for (status, _, sentence) in REFUSALS.iter().filter(|(_, applies, _)| applies(form)) {
        let responses = &mut operation.responses.responses;
        let response = responses.entry((*status).to_owned()).or_insert_with(|| RefOr::T(Response::new("")));
        let RefOr::T(response) = response else { continue };
        let kind = sentence.split('`').nth(1).unwrap_or_default();
        if response.description.is_empty() {
            (*sentence).clone_into(&mut response.description);
        } else if !response.description.contains(&format!("`{kind}`")) {
            response.description = format!("{} {sentence}", response.description);
        }
    }
}

/// Describes the header that removes the cookies of a request with several.
fn add_removal(operation: &mut Operation, form: &Form) {
    let Some(RefOr::T(refusal)) = operation.responses.responses.get_mut("401").filter(|_| form.needs_session()) else {
        return;
    };
    let tells = "If hosts share the cookie and the request has several: removes them all.";
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    let header = HeaderBuilder::new().schema(Some(text)).description(Some(tells)).build();
    refusal.headers.entry("Set-Cookie".to_owned()).or_insert(header.into());
}

fn add_headers(operation: &mut Operation, form: &Form) {
    let mut takes = |name: &str, required, description: &str, values: ObjectBuilder| {
        let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(required);
        let header = header.description(Some(description)).schema(Some(values)).build();
        operation.parameters.get_or_insert_default().push(RefOr::T(header));
    };
    let text = || ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    if form.changes_by_browser() {
        let description = "The session's CSRF token, from GET /me. Optional, but a wrong one is refused.";
        takes("X-CSRF-Token", Required::False, description, text());
        if !form.has_body {
            let description = "Any value. Proves that no form of another site sent this request without a body. (Pages \
                of a configured origin can omit it: their browser sends the origin.)";
            takes("X-Requested-With", Required::True, description, text().default(Some("sessiond".into())));
        }
    } else if form.looks_at_session() && form.level != Some(AccessLevel::Background) {
        let description = "`1`: a program sent this request by itself, so it does not count as a use of the session.";
        takes("X-No-Touch", Required::False, description, text().examples([json!("1")]));
    }
}
