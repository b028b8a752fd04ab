//! What the OpenAPI document says of many routes alike: how a request may be refused before its handler runs, and the
//! CSRF token.
//!
//! Owns what follows from the form of an operation (it has a body, an id in its path, a query, it changes something),
//! so that no handler has to repeat it. Must never replace what a handler says itself.

use utoipa::Modify;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr, Required, Response};

use super::csrf_token;
use super::named_fields::CSRF_TOKEN;

/// Adds all of it.
pub struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut OpenApi) {
        let mut bodies = Vec::new();
        for (path, item) in &mut document.paths.paths {
            let has_id = path.contains('{');
            for (operation, mutates) in operations(item) {
                if let Some(RefOr::T(body)) = &operation.request_body {
                    bodies.extend(body.content.values().filter_map(schema));
                }
                describe(operation, has_id, mutates);
            }
        }
        let schemas = &mut document.components.get_or_insert_default().schemas;
        for name in bodies {
            if let Some(RefOr::T(Schema::Object(body))) = schemas.get_mut(&name) {
                let token = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).description(Some(
                    "The session's CSRF token, from GET /me. It need not be there; one that is there must be right.",
                ));
                body.properties.insert(CSRF_TOKEN.to_owned(), RefOr::T(token.into()));
            }
        }
    }
}

/// The operations of a path, and whether each changes something.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let reading = item.get.as_mut().map(|operation| (operation, false));
    let changing = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    reading.into_iter().chain(changing.into_iter().flatten().map(|operation| (operation, true)))
}

/// The name of the schema that a body refers to.
fn schema(content: &RefOr<utoipa::openapi::Content>) -> Option<String> {
    let RefOr::T(content) = content else { return None };
    let Some(RefOr::Ref(reference)) = &content.schema else { return None };
    reference.ref_location.rsplit('/').next().map(str::to_owned)
}

fn describe(operation: &mut Operation, has_id: bool, mutates: bool) {
    let has_query = operation
        .parameters
        .iter()
        .flatten()
        .any(|it| matches!(it, RefOr::T(Parameter { parameter_in: ParameterIn::Query, .. })));
    let mut may = |status: &str, why: &str| {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(Response::new(why)));
    };
    if operation.request_body.is_some() {
        may("400", "The body is not a JSON object.");
        may("408", "The body did not arrive in time.");
        may("413", "The body is too large.");
        may("415", "The body is not said to be JSON.");
        may("422", "A field is not valid.");
    }
    if has_query {
        may("400", "A parameter has a value that is not known.");
    }
    if has_id {
        may("404", "There is nothing of this id.");
    }
    if mutates {
        may("403", "A page of somebody else may have made the request, or its CSRF token is not of its session.");
        let token = ParameterBuilder::new()
            .name(csrf_token::HEADER.as_str())
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("The session's CSRF token, from GET /me. One that is there must be right."))
            .schema(Some(ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))));
        operation.parameters.get_or_insert_default().push(RefOr::T(token.build()));
        may("422", "The address has a parameter that is not known here.");
    }
}
