//! What the OpenAPI document must say about every operation and every kind of problem.
//!
//! Not in `openapi`, because the whole document needs the routes, which serve it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::problem::KINDS;
use super::routes;

fn document() -> Value {
    routes::document().describe("/auth", "__Host-session")
}

/// Every operation with its path.
fn operations(document: &Value) -> Vec<(&str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().values().map(move |it| (path.as_str(), it)))
        .collect()
}

#[test]
fn problems_and_the_cookie_are_described() {
    let document = document();
    assert_eq!(document["components"]["securitySchemes"]["session"]["in"], "cookie");
    assert_eq!(document["components"]["securitySchemes"]["session"]["name"], "__Host-session");
    let unauthenticated = &document["paths"]["/me"]["get"]["responses"]["401"]["content"]["application/problem+json"];
    assert_eq!(unauthenticated["schema"]["$ref"], "#/components/schemas/Problem");
    assert!(unauthenticated["examples"]["unauthenticated"].is_object());
    assert_eq!(document["servers"][0]["url"], "/auth");
}

/// A verb and its object, so that the name of a generated function is clear.
#[test]
fn every_operation_has_an_id_of_its_own_that_says_what_it_does() {
    let document = document();
    let ids: Vec<_> = operations(&document).iter().map(|(_, it)| it["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    let whole = ["register", "login", "logout", "reauthenticate"];
    let vague: Vec<_> = ids.iter().filter(|id| !id.contains('_') && !whole.contains(id)).collect();
    assert!(vague.is_empty(), "{vague:?}");
}

/// Every kind of `problem.rs` has a `type`; some operation names each kind, except those of no single operation; and
/// every refusal names its kinds.
#[test]
fn every_kind_of_problem_is_named_and_every_refusal_names_its_kinds() {
    let document = document();
    let types = document["components"]["schemas"]["ProblemType"]["enum"].as_array().unwrap();
    let names: BTreeSet<_> = types.iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), types.len());
    assert_eq!(names, KINDS.iter().map(|kind| kind.urn()).collect());
    let mut named = BTreeSet::new();
    for (path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let problem = &response["content"]["application/problem+json"];
            let has_another_body = problem.is_null() && !response["content"].is_null();
            if status.as_str() >= "400" && !has_another_body {
                let kinds = problem["examples"].as_object();
                let kinds = kinds.unwrap_or_else(|| panic!("{path}: the {status} names no kind: {response}"));
                named.extend(kinds.keys().cloned());
            }
        }
    }
    let of_none = ["internal", "method-not-allowed"];
    let all: BTreeSet<_> =
        KINDS.iter().map(|kind| kind.slug.to_owned()).filter(|it| !of_none.contains(&&**it)).collect();
    assert_eq!(named, all);
}

#[test]
fn a_change_without_a_body_wants_a_header_that_no_form_sends() {
    for (path, operation) in operations(&document()) {
        let takes = |name: &str| operation["parameters"].as_array().into_iter().flatten().any(|it| it["name"] == name);
        let changes = takes("X-CSRF-Token");
        let bare = changes && operation["requestBody"].is_null();
        assert_eq!(takes("X-Requested-With"), bare, "{path}");
    }
}

/// The document invents no text without a format: such a field has an example where it is declared.
#[test]
fn every_body_has_an_example_without_a_gap() {
    let document = document();
    for (path, operation) in operations(&document) {
        let bodies = operation["responses"].as_object().unwrap().values().chain([&operation["requestBody"]]);
        for media in bodies.filter_map(|it| it["content"].as_object()).flat_map(serde_json::Map::values) {
            let examples = media["examples"].as_object().is_some_and(|them| !them.is_empty());
            assert!(examples || !media["example"].is_null(), "{path}: {media}");
        }
    }
}
