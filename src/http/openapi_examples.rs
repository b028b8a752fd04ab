//! An example of each body in the OpenAPI document, built from the examples of its fields.
//!
//! Owns the example of a field without one, by its type and format. Must never invent a text: each text field has its
//! example beside its declaration.

use serde_json::{Map, Value, json};

const ID: &str = "0198c0de-0000-7000-8000-000000000001";
const MOMENT: &str = "2026-11-29T12:00:00.000Z";
const PASSWORD: &str = "correct horse battery";

/// Gives every body and every id an example, and marks nullable fields of answers as required.
pub fn complete(document: &mut Value) {
    require_nullable(document);
    let schemas = document.pointer("/components/schemas").cloned().unwrap_or_default();
    for operation in operations(document) {
        operation.pointer_mut("/requestBody/content").into_iter().for_each(|content| add(content, &schemas));
        let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
        for response in responses.into_iter().flat_map(Map::values_mut) {
            response.get_mut("content").into_iter().for_each(|content| add(content, &schemas));
        }
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        let in_path = |it: &&mut Map<String, Value>| it.get("in").is_some_and(|place| place == "path");
        for id in parameters.into_iter().flatten().filter_map(Value::as_object_mut).filter(in_path) {
            let schema = id.get("schema").cloned().unwrap_or_default();
            id.entry("example").or_insert_with(|| example(&schema, &schemas));
        }
    }
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut);
    items.flat_map(Map::values_mut)
}

fn add(content: &mut Value, schemas: &Value) {
    for media in content.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        let has_one = media.contains_key("example") || media.contains_key("examples");
        if let Some(schema) = media.get("schema").filter(|_| !has_one) {
            let example = example(schema, schemas);
            media.insert("example".to_owned(), example);
        }
    }
}

/// An example that fits a schema.
fn example(schema: &Value, schemas: &Value) -> Value {
    let of = |key: &str| schema.get(key);
    let first = |key: &str| of(key).and_then(Value::as_array).and_then(|them| them.first());
    if let Some(told) = of("example").or_else(|| first("examples")).or_else(|| of("default")).or_else(|| first("enum"))
    {
        return told.clone();
    }
    if let Some(name) = of("$ref").and_then(Value::as_str).and_then(|to| to.rsplit('/').next()) {
        return schemas.get(name).map(|schema| example(schema, schemas)).unwrap_or_default();
    }
    if let Some(choices) = of("oneOf").and_then(Value::as_array) {
        let choice = choices.iter().find(|choice| !accepts(choice, "null"));
        return choice.map(|choice| example(choice, schemas)).unwrap_or_default();
    }
    if let Some(parts) = of("allOf").and_then(Value::as_array) {
        let parts = parts.iter().map(|part| example(part, schemas));
        return parts.filter_map(|part| part.as_object().cloned()).flatten().collect::<Map<_, _>>().into();
    }
    if accepts(schema, "null") {
        return Value::Null;
    }
    if accepts(schema, "array") {
        return of("items").map(|item| json!([example(item, schemas)])).unwrap_or_default();
    }
    if accepts(schema, "object") {
        return fields(schema, schemas).into();
    }
    if accepts(schema, "boolean") {
        return json!(false);
    }
    if accepts(schema, "integer") {
        return of("minimum").cloned().unwrap_or_else(|| json!(1));
    }
    match of("format").and_then(Value::as_str) {
        Some("uuid") => json!(ID),
        Some("date-time") => json!(MOMENT),
        Some("password") => json!(PASSWORD),
        _ => Value::Null,
    }
}

/// The required fields, and the fields with an example of their own.
fn fields(schema: &Value, schemas: &Value) -> Map<String, Value> {
    let required = |name: &str| has_required(schema, name);
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let shown = properties.filter(|(name, property)| property.get("example").is_some() || required(name));
    shown.map(|(name, property)| (name.clone(), example(property, schemas))).collect()
}

fn has_required(schema: &Value, name: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|it| it == name))
}

fn accepts(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|it| it == kind),
        Some(one) => one == kind,
        None => {
            schema.get("oneOf").and_then(Value::as_array).is_some_and(|them| them.iter().any(|it| accepts(it, kind)))
        }
    }
}

/// Answers have every field; an unknown value is null. Only a field that cannot be null may be missing.
fn require_nullable(document: &mut Value) {
    let mut asked = Vec::new();
    operations(document).filter_map(|it| it.get("requestBody")).for_each(|body| references(body, &mut asked));
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else { return };
    let mut at = 0;
    while let Some(name) = asked.get(at) {
        let schema = schemas.get(name).cloned().unwrap_or_default();
        references(&schema, &mut asked);
        at += 1;
    }
    schemas.iter_mut().filter(|(name, _)| !asked.contains(name)).for_each(|(_, schema)| require(schema));
}

/// The names of the schemas that this value refers to.
fn references(within: &Value, found: &mut Vec<String>) {
    let name = within.get("$ref").and_then(Value::as_str).and_then(|to| to.rsplit('/').next());
    if let Some(name) = name.filter(|name| !found.iter().any(|it| it == name)) {
        found.push(name.to_owned());
    }
    match within {
        Value::Object(parts) => parts.values().for_each(|part| references(part, found)),
        Value::Array(parts) => parts.iter().for_each(|part| references(part, found)),
        _ => {}
    }
}

fn require(schema: &mut Value) {
    schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten().for_each(require);
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let nullable = properties.filter(|(name, property)| accepts(property, "null") && !has_required(schema, name));
    let nullable: Vec<Value> = nullable.map(|(name, _)| json!(name)).collect();
    if let Some(schema) = schema.as_object_mut().filter(|_| !nullable.is_empty())
        && let Some(required) = schema.entry("required").or_insert_with(|| json!([])).as_array_mut()
    {
        required.extend(nullable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_what_must_be_there_and_what_has_an_example() {
        let schemas = json!({ "Name": { "type": "string", "example": "Ana" } });
        let schema = json!({
            "type": "object", "required": ["id", "names", "kind", "at", "left"],
            "properties": {
                "id": { "type": "string", "format": "uuid" },
                "names": { "type": "array", "items": { "$ref": "#/components/schemas/Name" } },
                "kind": { "oneOf": [{ "type": "null" }, { "type": "string", "enum": ["one", "two"] }] },
                "at": { "type": ["string", "null"], "format": "date-time" },
                "left": { "type": "integer", "minimum": 0 },
                "shown": { "type": "string", "example": "yes" },
                "not_shown": { "type": "string" },
            },
        });
        let whole = json!({ "allOf": [schema, { "type": "object", "properties": {} }] });
        let expected = json!({ "id": ID, "names": ["Ana"], "kind": "one", "at": null, "left": 0, "shown": "yes" });
        assert_eq!(example(&whole, &schemas), expected);
    }

    #[test]
    fn a_field_of_an_answer_that_can_be_null_is_there() {
        let nullable = json!({ "properties": { "a": { "type": ["string", "null"] }, "b": { "type": "string" } } });
        let body = |name: &str| json!({ "content": { "json": { "schema": { "$ref": format!("#/{name}") } } } });
        let mut document = json!({
            "paths": { "/": { "post": { "requestBody": body("Outer"), "responses": { "200": body("Answer") } } } },
            "components": { "schemas": {
                "Outer": { "properties": { "inner": { "$ref": "#/Inner" } } }, "Inner": nullable, "Answer": { "allOf": [nullable] },
            } },
        });
        require_nullable(&mut document);
        assert_eq!(document.pointer("/components/schemas/Answer/allOf/0/required"), Some(&json!(["a"])));
        assert_eq!(document.pointer("/components/schemas/Inner/required"), None);
    }
}
