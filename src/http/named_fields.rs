//! Reads a JSON object so that a refusal can name the field.
//!
//! serde_json reports the line and column of a value of the wrong type but not its field; this file remembers the field
//! being read. Must never put a value into an error.

use std::cell::RefCell;
use std::fmt;

use serde::Deserializer;
use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};

use super::problem::Problem;

/// The field being read.
type Field = RefCell<Option<String>>;

/// Reads exactly one JSON object.
pub fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let field = Field::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = T::deserialize(Named { inner: &mut json, field: &field });
    read.and_then(|value| json.end().map(|()| value)).map_err(|error| {
        // serde_json calls it bad syntax when a number stands where a name of a closed list is expected.
        let is_json = error.is_data() || serde_json::from_slice::<serde_json::Value>(body).is_ok();
        refusal(&error.to_string(), is_json, field.into_inner())
    })
}

/// Refuses the whole body if it is not a JSON object, else one field.
fn refusal(message: &str, is_json: bool, reading: Option<String>) -> Problem {
    let named = reading.or_else(|| in_backticks(message));
    match named {
        Some(field) if is_json => Problem::invalid_field(shown(&field), sentence(message)),
        _ => Problem::not_json(),
    }
}

/// An unknown field may have any name; the beginning of a long one is enough to find it.
fn shown(field: &str) -> String {
    field.chars().take(64).collect()
}

fn sentence(message: &str) -> &'static str {
    match message.split(" field").next() {
        Some("missing") => "This field is required.",
        Some("unknown") => "Unknown field.",
        Some("duplicate") => "Given more than once.",
        _ => "Wrong type or format.",
    }
}

/// serde reports a missing field after it has read the last one; its text is `` missing field `name` ``.
fn in_backticks(message: &str) -> Option<String> {
    message.strip_prefix("missing field `")?.split('`').next().map(ToOwned::to_owned)
}

struct Named<'f, D> {
    inner: D,
    field: &'f Field,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Named<'_, D> {
    type Error = D::Error;

    /// Always as an object: serde would also fill a struct from an array.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Named { inner: visitor, field: self.field })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Named<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Named { inner: map, field: self.field })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Named<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let key = self.inner.next_key::<String>()?;
        self.field.replace(key.clone());
        let Some(key) = key else { return Ok(None) };
        let key: StringDeserializer<A::Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Login {
        #[serde(rename = "email")]
        _email: String,
        #[serde(rename = "remember", default)]
        _remember: bool,
    }

    fn refused(body: &str) -> String {
        format!("{:?}", from_slice::<Login>(body.as_bytes()).unwrap_err())
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        for (body, expected) in [
            (r#"{}"#, "422 invalid-body: email: This field is required."),
            (r#"{"email":"a","email":"b"}"#, "422 invalid-body: email: Given more than once."),
            (r#"{"email":"a","role":"admin"}"#, "422 invalid-body: role: Unknown field."),
            (r#"{"email":["a"]}"#, "422 invalid-body: email: Wrong type or format."),
            (r#"{"email":"a","remember":"yes"}"#, "422 invalid-body: remember: Wrong type or format."),
        ] {
            assert_eq!(refused(body), expected, "{body}");
        }
    }

    #[test]
    fn a_wrong_value_in_a_list_is_a_field_that_is_wrong() {
        #[derive(Debug, Deserialize)]
        struct Lists {
            #[serde(rename = "roles")]
            _roles: Vec<crate::domain::Role>,
        }
        for value in
            ["[\"root\"]", "[\"admin\", 7]", "[null]", "[true]", "[[]]", "[{}]", "7", "\"admin\"", "null", "{}"]
        {
            let problem = from_slice::<Lists>(format!("{{\"roles\":{value}}}").as_bytes()).unwrap_err();
            let expected = "422 invalid-body: roles: Wrong type or format.";
            assert_eq!(format!("{problem:?}"), expected, "{value}");
        }
        for broken in ["[7", "[7}", "[7]", "[\"\\ud800\"]}"] {
            let problem = from_slice::<Lists>(format!("{{\"roles\":{broken}").as_bytes()).unwrap_err();
            assert!(format!("{problem:?}").starts_with("400 "), "{broken}: {problem:?}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_as_a_whole() {
        for body in
            ["", "{", "null", "[\"a\", true]", "\"a\"", "{\"email\":\"a\"}x", "{\"email\":\"\\ud800\"}", "{\"email\":"]
        {
            assert_eq!(refused(body), "400 invalid-body: The body is not a JSON object.", "{body}");
        }
    }
}
