//! What all lists share: a query that is read strictly, and pages.
//!
//! Owns the form of cursors: opaque to clients, and valid only for the list that issued them. Refuses a parameter that
//! is unknown, repeated or invalid, and names it. Must never put the request's content into an answer, except the name
//! of a parameter.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;

use super::problem::Problem;
use crate::domain::Timestamp;

/// Rows of a page by default.
const PAGE: usize = 50;
/// Most rows of a page.
const MOST: usize = 200;
/// Longest name of a parameter that an answer quotes.
const MAX_NAME: usize = 64;

/// The parameters of the address; each can be taken once.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl FromRequest for Parameters {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        ready(pairs.map(|pairs| Self(pairs.into_inner())).map_err(|_| Problem::invalid_query()))
    }
}

impl Parameters {
    /// The parameters of a query, for tests.
    #[cfg(test)]
    pub fn of(query: &str) -> Self {
        Self(web::Query::<Vec<(String, String)>>::from_query(query).unwrap().into_inner())
    }

    /// Takes every parameter whose name has this prefix, in order.
    pub fn take_all(&mut self, beginning: &str) -> Vec<(String, String)> {
        self.0.extract_if(.., |(name, _)| name.starts_with(beginning)).collect()
    }

    /// Takes the value of a parameter, if present.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let Some(at) = self.0.iter().position(|(given, _)| given == name) else { return Ok(None) };
        let (_, value) = self.0.remove(at);
        if self.0.iter().any(|(given, _)| given == name) {
            return Err(Problem::invalid_field(name, "Given more than once."));
        }
        // PostgreSQL cannot process a NUL even in a query.
        if value.contains('\0') {
            return Err(Problem::invalid_field(name, "Contains an invalid character."));
        }
        Ok(Some(value))
    }

    /// Takes the value of a parameter and parses it with `read`.
    pub fn parse<T>(&mut self, name: &str, what: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        read(&text).map(Some).ok_or_else(|| Problem::invalid_field(name, what))
    }

    /// Takes a point in time.
    pub fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let read = |text: &str| {
            let moment = DateTime::parse_from_rfc3339(text).ok()?;
            Some(Timestamp::from_ms(moment.timestamp_millis()))
        };
        self.parse(name, "Write an RFC 3339 time, such as 2026-11-22T07:04:42Z.", read)
    }

    /// The number of rows to return.
    pub fn limit(&mut self) -> Result<usize, Problem> {
        // Numbers have one spelling; Rust would also parse `+7`.
        let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
        let read = |text: &str| text.parse().ok().filter(|_| digits(text)).filter(|limit| (1..=MOST).contains(limit));
        Ok(self.parse("limit", "Must be a number from 1 to 200.", read)?.unwrap_or(PAGE))
    }

    /// Where the page begins; `read` parses the bytes that [`cursor`] was given.
    pub fn cursor<T>(&mut self, read: impl Fn(&[u8]) -> Option<T>) -> Result<Option<T>, Problem> {
        self.parse("cursor", NO_CURSOR, |text| read_cursor(text, &read))
    }

    /// Refuses the parameters that were not taken.
    pub fn finish(self) -> Result<(), Problem> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(unknown(&name)),
        }
    }
}

/// The answer to an unknown parameter.
pub fn unknown(name: &str) -> Problem {
    let shown: String = name.chars().take(MAX_NAME).collect();
    Problem::invalid_field(shown, "Unknown parameter.")
}

const NO_CURSOR: &str = "Not a cursor of this list: use next_cursor of the previous page.";

/// The answer to a cursor of another list.
pub fn no_cursor() -> Problem {
    Problem::invalid_field("cursor", NO_CURSOR)
}

/// Decodes a [`cursor`] and parses its bytes with `read`.
pub fn read_cursor<T>(text: &str, read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    read(&URL_SAFE_NO_PAD.decode(text).ok()?)
}

/// A position in a list, as clients receive it.
pub fn cursor(place: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(place)
}
