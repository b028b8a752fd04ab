//! How a service wants the answer to an introspection: by its `Accept` header.
//!
//! Owns the three media types. JSON is what RFC 7662 says; the two others are signed, and only there when tokens are issued.

use std::cmp::Reverse;

use actix_web::HttpRequest;
use actix_web::http::header::{Accept, Header, Quality};

use super::problem::Problem;

/// An access token for the session itself (the phantom token).
pub const ACCESS_TOKEN: &str = "application/jwt";
/// The answer, signed (RFC 9701).
pub const SIGNED: &str = "application/token-introspection+jwt";

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// An access token.
    AccessToken,
    /// The signed answer.
    Signed,
}

impl Format {
    /// The one that the request likes best. Whoever asks for a token alone where none are issued is told so; whoever asks
    /// for something else gets JSON, as without the header.
    pub fn wanted(request: &HttpRequest, are_issued: bool) -> Result<Self, Problem> {
        let Ok(accept) = Accept::parse(request) else { return Ok(Self::Json) };
        let mut wanted: Vec<_> = accept.0.iter().filter(|item| item.quality > Quality::ZERO).collect();
        // The first of those that are liked best; the sort is stable.
        wanted.sort_by_key(|item| Reverse(item.quality));
        let known = wanted.into_iter().filter_map(|kind| match kind.item.essence_str() {
            ACCESS_TOKEN => Some(Self::AccessToken),
            SIGNED => Some(Self::Signed),
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            _ => None,
        });
        let known: Vec<_> = known.collect();
        let usable = known.iter().find(|format| are_issued || **format == Self::Json);
        match (usable, known.is_empty()) {
            (Some(format), _) => Ok(*format),
            (None, true) => Ok(Self::Json),
            (None, false) => Err(Problem::tokens_are_off()),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn wanted(accept: &str, are_issued: bool) -> Option<Format> {
        let request = TestRequest::default().insert_header(("Accept", accept)).to_http_request();
        Format::wanted(&request, are_issued).ok()
    }

    #[test]
    fn the_form_that_is_liked_best_wins() {
        for (accept, format) in [
            ("*/*", Format::Json),
            ("application/json", Format::Json),
            ("text/html", Format::Json),
            ("application/jwt", Format::AccessToken),
            ("Application/JWT", Format::AccessToken),
            ("application/jwt;q=0", Format::Json),
            (SIGNED, Format::Signed),
            ("application/json;q=0.5, application/jwt", Format::AccessToken),
            ("application/json, application/jwt;q=0.5", Format::Json),
        ] {
            assert_eq!(wanted(accept, true), Some(format), "{accept}");
        }
        assert_eq!(Format::wanted(&TestRequest::default().to_http_request(), true).ok(), Some(Format::Json));
    }

    #[test]
    fn where_no_tokens_are_issued_only_json_is() {
        assert_eq!(wanted("application/jwt, application/json;q=0.1", false), Some(Format::Json));
        assert_eq!(wanted("application/jwt", false), None);
        assert_eq!(wanted(SIGNED, false), None);
    }
}
