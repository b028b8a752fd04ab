//! Refusals in the OpenAPI document: the kinds of problems, the kinds of each answer, and its headers.
//!
//! Owns that `problem.rs` and the descriptions (in backticks) name the same kinds. Must never describe a kind by hand.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{Components, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

use super::openapi_common::operations;
use super::problem::{self, KINDS, Kind, REAUTHENTICATE};

/// The schema of an error's body, and of its `type`.
const PROBLEM: &str = "Problem";
const PROBLEM_TYPE: &str = "ProblemType";

/// Headers of answers with these statuses (of all answers if there is none): name, meaning, example.
const HEADERS: &[(&str, &[&str], &str, &str)] = &[
    ("X-Request-Id", &[], "The request's id, as in `instance` of a problem.", "0198c0de-0000-7000-8000-0123456789ab"),
    ("WWW-Authenticate", &["401"], "Always this value, so that browsers open no dialog.", "Cookie realm=\"sessiond\""),
    ("Retry-After", &["429", "503"], "Seconds to wait before the next request.", "1"),
    ("RateLimit", &["429"], "The remaining attempts, and the seconds until there are more.", "\"account\";r=0;t=60"),
    ("RateLimit-Policy", &["429"], "The allowed attempts, and their window in seconds.", "\"account\";q=5;w=3600"),
];

/// Describes the kinds of problems, and each refusal by the kinds that its description names.
pub fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    describe_types(components);
    for (name, _, tells, value) in HEADERS {
        components.headers.insert((*name).to_owned(), RefOr::T(header(tells, value)));
    }
    let examples = &mut components.examples;
    for item in document.paths.paths.values_mut() {
        for (status, response) in operations(item).flat_map(|(operation, _)| &mut operation.responses.responses) {
            if let RefOr::T(response) = response {
                describe(status, response, examples);
            }
        }
    }
}

/// Every `type`, with a name for generators that make constants of them.
fn describe_types(components: &mut Components) {
    let mut kinds = KINDS.to_vec();
    // One kind has two statuses.
    kinds.sort_by_key(|kind| kind.slug);
    kinds.dedup_by_key(|kind| kind.slug);
    let names: Vec<_> = kinds.iter().map(|kind| kind.slug.replace('-', "_").to_uppercase()).collect();
    let titles: Vec<_> = kinds.iter().map(|kind| kind.title).collect();
    let types = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .enum_values(Some(kinds.iter().map(|kind| kind.urn())))
        .description(Some(
            "The kind of problem, for programs to compare. Later versions may add kinds. No operation lists `internal` \
             (500) and `method-not-allowed` (405), because every one can answer them.",
        ))
        .extensions(Some(
            [("x-enum-varnames", json!(names)), ("x-enum-descriptions", json!(titles))].into_iter().collect(),
        ));
    components.schemas.insert(PROBLEM_TYPE.to_owned(), RefOr::T(types.into()));
    if let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut(PROBLEM) {
        problem.properties.insert("type".to_owned(), Ref::from_schema_name(PROBLEM_TYPE).into());
    }
}

fn example(kind: &Kind) -> Example {
    let (title, status) = (kind.title, kind.status.as_u16());
    let mut body = json!({ "type": kind.urn(), "title": title, "status": status, "detail": format!("{title}.") });
    let more = match kind.slug {
        "step-up-required" => Some(("step_up", json!({ "path": REAUTHENTICATE, "max_age": 900 }))),
        "invalid-body" if status == 422 => {
            Some(("errors", json!([{ "field": "email", "detail": "This is not an e-mail address." }])))
        }
        _ => None,
    };
    if let (Some(body), Some((name, value))) = (body.as_object_mut(), more) {
        body.insert(name.to_owned(), value);
    }
    ExampleBuilder::new().summary(title).value(Some(body)).build()
}

fn header(tells: &str, value: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    HeaderBuilder::new().schema(Some(text)).description(Some(tells)).example(Some(json!(value))).build()
}

/// Describes a refusal without a body of its own as a problem of the kinds that it names.
fn describe(status: &str, response: &mut Response, examples: &mut BTreeMap<String, RefOr<Example>>) {
    for (name, statuses, ..) in HEADERS {
        if statuses.is_empty() || statuses.contains(&status) {
            let known = RefOr::Ref(Ref::new(format!("#/components/headers/{name}")));
            response.headers.entry((*name).to_owned()).or_insert(known);
        }
    }
    if status < "400" || !response.content.is_empty() {
        return;
    }
    let mut problem = Content::new(Some(Ref::from_schema_name(PROBLEM)));
    let named =
        |kind: &&&Kind| kind.status.as_str() == status && response.description.contains(&format!("`{}`", kind.slug));
    for kind in KINDS.iter().filter(named) {
        let name = format!("{}-{status}", kind.slug);
        problem.examples.insert(kind.slug.to_owned(), RefOr::Ref(Ref::new(format!("#/components/examples/{name}"))));
        examples.entry(name).or_insert_with(|| RefOr::T(example(kind)));
    }
    response.content.insert(problem::CONTENT_TYPE.to_owned(), RefOr::T(problem));
}
