//! Filters over the wire: as `filter[country]=PT` in an address, and as `{"country": "PT"}` in a body.
//!
//! Owns the two spellings; what the fields are and mean, the domain says. Must never ignore a field that it does not
//! know: what is found is ended.

use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::problem::Problem;
use crate::domain::filter::Moments;
use crate::domain::{Filter, SessionId};

/// Most fields that are read at all: there are twelve.
const MOST_FIELDS: usize = 32;

/// How many rows a page has.
pub const PAGE: RangeInclusive<usize> = 1..=200;
/// How many rows a page has where nobody says.
const DEFAULT_PAGE: usize = 50;

/// The query of an address that asks for a page: its parameters in their order.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Parameters(Vec<(String, String)>);

/// Which page of what.
#[derive(Debug)]
pub struct Asked {
    /// Which.
    pub filter: Filter,
    /// Where to go on.
    pub after: Option<SessionId>,
    /// Most rows.
    pub limit: usize,
}

impl Parameters {
    /// Reads the filter, the cursor and the limit; other parameters are ignored.
    pub fn read(&self) -> Result<Asked, Problem> {
        let fields = self.0.iter().filter_map(|(name, value)| Some((filter_name(name)?, value.as_str())));
        let filter = Filter::parse(fields.take(MOST_FIELDS), Moments::Absolute)
            .map_err(|error| Problem::invalid_field(shown(&format!("filter[{}]", error.field)), error.detail))?;
        let after = self.one("cursor")?.map(read_cursor).transpose()?;
        let limit = self.one("limit")?.map(|text| text.parse().ok().filter(|limit| PAGE.contains(limit)));
        let limit = match limit {
            None => DEFAULT_PAGE,
            Some(limit) => limit.ok_or_else(|| Problem::invalid_field("limit", "A page has from 1 to 200 rows."))?,
        };
        Ok(Asked { filter, after, limit })
    }

    fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() {
            return Err(Problem::invalid_field(name, "This is given twice."));
        }
        Ok(first)
    }
}

/// `filter[country]` and whatever else begins like a filter.
fn filter_name(parameter: &str) -> Option<&str> {
    let rest = parameter.strip_prefix("filter")?;
    Some(rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(parameter))
}

/// Of a long name the beginning is enough to find it.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

/// Where a page ended, as clients hand it back.
pub fn cursor(id: SessionId) -> String {
    URL_SAFE_NO_PAD.encode(id.uuid().as_bytes())
}

/// Reads what [`cursor`] wrote.
pub fn read_cursor(text: &str) -> Result<SessionId, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(SessionId::from_bytes).ok_or_else(|| Problem::invalid_field("cursor", "This is no cursor of a page."))
}

/// A filter in a body. Only what is given counts; null is not given.
#[derive(Debug, Default)]
pub struct FilterFields {
    fields: Vec<(String, String)>,
}

impl FilterFields {
    /// Reads it.
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
            // No field is called so, in no version: not a filter at all, whoever sends it.
            if !name.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_') {
                return Err(de::Error::custom("no field's name"));
            }
            if fields.len() >= MOST_FIELDS {
                return Err(de::Error::custom("too many fields"));
            }
            if let Some(text) = value.text() {
                fields.push((name, text));
            }
        }
        Ok(FilterFields { fields })
    }
}

/// A value as one would type it.
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
        let parameters = actix_web::web::Query::<Parameters>::from_query(query).unwrap();
        parameters.into_inner().read().map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn an_address_says_which_page_of_what() {
        let id = SessionId::parse("01937c5e-7b1a-7c3d-8e4f-001122334455").unwrap();
        let asked = read(&format!("filter[country]=pt&filter%5Basn%5D=64496&cursor={}&limit=7&other=1", cursor(id)));
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
            ("filter[contry]=PT", "422 invalid-body: filter[contry]: There is no such filter."),
            ("filter=PT", "422 invalid-body: filter[filter]: There is no such filter."),
            ("filters[country]=PT", "422 invalid-body: filter[filters[country]]: There is no such filter."),
            ("filter[country]=PT&filter[country]=ES", "422 invalid-body: filter[country]: This is given twice."),
            ("cursor=7", "422 invalid-body: cursor: This is no cursor of a page."),
            ("cursor=", "422 invalid-body: cursor: This is no cursor of a page."),
            ("limit=0", "422 invalid-body: limit: A page has from 1 to 200 rows."),
            ("limit=1&limit=2", "422 invalid-body: limit: This is given twice."),
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
            (r#"{"contry":"PT"}"#, "filter.contry: There is no such filter."),
            (r#"{"risk":-1}"#, "filter.risk: A risk is a whole number from 0 to 1000000."),
            (r#"{"asn":1,"asn":2}"#, "filter.asn: This is given twice."),
        ] {
            assert_eq!(read(json), Ok(Err(format!("422 invalid-body: {detail}"))), "{json}");
        }
        for json in [r#"{"asn":1.5}"#, r#"{"country":["PT"]}"#, r#"{"country":true}"#, "[]", "7"] {
            assert_eq!(read(json), Err(()), "{json}");
        }
    }
}
