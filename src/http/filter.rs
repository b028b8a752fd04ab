//! Filters over the wire: as `filter[country]=PT` in an address, and as `{"country": "PT"}` in a body.
//!
//! Owns the two spellings; the domain defines the fields and their meaning. Must never ignore an unknown field: the
//! sessions that match are ended.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::listing::{self, Parameters};
use super::problem::Problem;
use crate::domain::filter::Moments;
use crate::domain::{Filter, SessionId};

/// Most fields that are read; there are thirteen.
const MOST_FIELDS: usize = 32;

/// Which page of which sessions.
#[derive(Debug)]
pub struct Asked {
    /// The filter.
    pub filter: Filter,
    /// The last session of the previous page.
    pub after: Option<SessionId>,
    /// Most rows.
    pub limit: usize,
}

impl Asked {
    /// Reads the filter, the cursor and the limit. The list itself judges all other parameters.
    pub fn read(mut parameters: Parameters) -> Result<Self, Problem> {
        let given = parameters.take_all("filter");
        let fields = given.iter().map(|(name, value)| (filter_name(name), value.as_str()));
        let filter = Filter::parse(fields.take(MOST_FIELDS), Moments::Absolute)
            .map_err(|error| Problem::invalid_field(shown(&format!("filter[{}]", error.field)), error.detail))?;
        let (after, limit) = (parameters.cursor(session)?, parameters.limit()?);
        parameters.finish()?;
        Ok(Self { filter, after, limit })
    }
}

/// The field of `filter[country]`; the whole text of any other parameter.
fn filter_name(parameter: &str) -> &str {
    parameter.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']')).unwrap_or(parameter)
}

/// The beginning of a long name is enough to find it.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

/// The cursor at the end of a page, with a prefix so that no other list accepts it.
pub fn cursor(id: SessionId) -> String {
    listing::cursor(&[b"s", id.uuid().as_bytes().as_slice()].concat())
}

/// Reads what [`cursor`] wrote.
pub fn read_cursor(text: &str) -> Result<SessionId, Problem> {
    listing::read_cursor(text, session).ok_or_else(listing::no_cursor)
}

fn session(place: &[u8]) -> Option<SessionId> {
    place.strip_prefix(b"s")?.try_into().ok().map(SessionId::from_bytes)
}

/// A filter in a body. A null field counts as absent.
#[derive(Debug, Default)]
pub struct FilterFields {
    fields: Vec<(String, String)>,
}

impl FilterFields {
    /// Parses it into a filter.
    pub fn read(&self) -> Result<Filter, Problem> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Filter::parse(fields, Moments::Absolute)
            .map_err(|error| Problem::invalid_field(shown(&format!("filter.{}", error.field)), error.detail))
    }
}

impl<'de> Deserialize<'de> for FilterFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Collecting)
    }
}

struct Collecting;

impl<'de> Visitor<'de> for Collecting {
    type Value = FilterFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FilterFields, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Word>()? {
            // No version has a field with such a name: the body is not a filter at all.
            if !name.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_') {
                return Err(de::Error::custom("no field's name"));
            }
            if fields.len() >= MOST_FIELDS {
                return Err(de::Error::custom("too many fields"));
            }
            match value.text() {
                Some(text) => fields.push((name, text)),
                // Absent; but an unknown field is named even then.
                None if !Filter::has_field(&name) => fields.push((name, String::new())),
                None => {}
            }
        }
        Ok(FilterFields { fields })
    }
}

/// A value as a person would type it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Number(i64),
    Nothing(()),
}

impl Word {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(number) => Some(number.to_string()),
            Self::Nothing(()) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Asked, String> {
        Asked::read(Parameters::of(query)).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn an_address_says_which_page_of_what() {
        let id = SessionId::parse("01937c5e-7b1a-7c3d-8e4f-001122334455").unwrap();
        let asked = read(&format!("filter[country]=pt&filter%5Basn%5D=64496&cursor={}&limit=7", cursor(id)));
        let asked = asked.unwrap();
        assert_eq!(
            (asked.filter.to_string().as_str(), asked.after, asked.limit),
            ("country=PT asn=64496", Some(id), 7)
        );
        assert_eq!(read("").unwrap().limit, 50);
    }

    #[test]
    fn what_is_not_known_or_bad_is_named() {
        for (query, expected) in [
            ("filter[contry]=PT", "422 invalid-body: filter[contry]: Unknown filter."),
            ("filter=PT", "422 invalid-body: filter[filter]: Unknown filter."),
            ("filters[country]=PT", "422 invalid-body: filter[filters[country]]: Unknown filter."),
            ("filter[country]=PT&filter[country]=ES", "422 invalid-body: filter[country]: Given more than once."),
            ("cursor=7", "422 invalid-body: cursor: Not a cursor of this list: use next_cursor of the previous page."),
            ("cursor=", "422 invalid-body: cursor: Not a cursor of this list: use next_cursor of the previous page."),
            ("limit=0", "422 invalid-body: limit: Must be a number from 1 to 200."),
            ("country=PT", "422 invalid-body: country: Unknown parameter."),
            ("limit=1&limit=2", "422 invalid-body: limit: Given more than once."),
        ] {
            assert_eq!(read(query).unwrap_err(), expected, "{query}");
        }
    }

    #[test]
    fn a_body_is_read_like_an_address() {
        let read = |json: &str| {
            serde_json::from_str::<FilterFields>(json)
                .map_err(|_| ())
                .map(|fields| fields.read().map(|filter| filter.to_string()).map_err(|problem| format!("{problem:?}")))
        };
        assert_eq!(read(r#"{"country":"pt","asn":64496,"os":null}"#), Ok(Ok("country=PT asn=64496".to_owned())));
        assert_eq!(read("{}"), Ok(Ok("all".to_owned())));
        for (json, detail) in [
            (r#"{"contry":"PT"}"#, "filter.contry: Unknown filter."),
            (r#"{"contry":null,"asn":1}"#, "filter.contry: Unknown filter."),
            (r#"{"risk":-1}"#, "filter.risk: A risk is a whole number from 0 to 1000000."),
            (r#"{"asn":1,"asn":2}"#, "filter.asn: Given more than once."),
        ] {
            assert_eq!(read(json), Ok(Err(format!("422 invalid-body: {detail}"))), "{json}");
        }
        for json in [r#"{"asn":1.5}"#, r#"{"country":["PT"]}"#, r#"{"country":true}"#, "[]", "7"] {
            assert_eq!(read(json), Err(()), "{json}");
        }
    }
}
