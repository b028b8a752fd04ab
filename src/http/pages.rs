//! The pages for browsers, embedded in the binary: sign in, account, new password, administration.
//!
//! Owns their content policy: only our own files, no inline script, no framing. Must never put anything about a user
//! into a page; scripts fetch that.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, EntityTag, Header, HeaderName, HeaderValue, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::problem::Problem;

const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const OPENER_POLICY: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));

/// Cached but revalidated each time: a new version of the server shows its new pages at once.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// Sign in or register.
pub async fn index(request: HttpRequest) -> Result<HttpResponse, Problem> {
    page(&request, "index.html")
}

/// The page that repeats a request from another site on this site.
pub fn bounce(request: &HttpRequest) -> Result<HttpResponse, Problem> {
    page(request, "bounce.html")
}

/// The account and its sessions.
pub async fn account(request: HttpRequest) -> Result<HttpResponse, Problem> {
    page(&request, "account.html")
}

/// Administration. Every client gets the page; its requests for data need the role.
pub async fn console(request: HttpRequest) -> Result<HttpResponse, Problem> {
    page(&request, "console.html")
}

/// A new password, by a one-time link.
pub async fn reset(request: HttpRequest) -> Result<HttpResponse, Problem> {
    page(&request, "reset.html")
}

/// A file that pages load. The pages themselves have their own routes.
pub async fn file(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let name = request.match_info().get("file").unwrap_or_default();
    if name.ends_with(".html") {
        return Err(Problem::not_found());
    }
    page(&request, name)
}

fn page(request: &HttpRequest, name: &str) -> Result<HttpResponse, Problem> {
    let file = Files::get(name).ok_or_else(Problem::not_found)?;
    let tag = EntityTag::new_strong(hex(&file.metadata.sha256_hash()));
    let mut response = if is_known(request, &tag) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .insert_header(OPENER_POLICY)
        .insert_header((CACHE_CONTROL, REVALIDATE))
        .insert_header((ETAG, tag.to_string()));
    if is_known(request, &tag) {
        return Ok(response.finish());
    }
    Ok(response.content_type(media_type(&file)).body(file.data.into_owned()))
}

/// Whether the client already has this version.
fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}

fn media_type(file: &EmbeddedFile) -> String {
    let essence = file.metadata.mimetype();
    if essence.starts_with("text/") { format!("{essence}; charset=utf-8") } else { essence.to_owned() }
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_page_that_is_known_is_not_sent_again() {
        let first = page(&TestRequest::default().to_http_request(), "index.html").unwrap();
        assert_eq!(first.status(), 200);
        assert_eq!(first.headers().get("content-type").unwrap(), "text/html; charset=utf-8");
        assert_eq!(first.headers().get(CONTENT_SECURITY_POLICY), Some(&PAGE_POLICY));
        let tag = first.headers().get(ETAG).unwrap().clone();
        let again = page(&TestRequest::default().insert_header(("if-none-match", tag)).to_http_request(), "index.html")
            .unwrap();
        assert_eq!(again.status(), 304);
    }

    #[test]
    fn only_embedded_files_are_there() {
        let request = TestRequest::default().to_http_request();
        for name in ["", "../Cargo.toml", "/etc/passwd", "nothing.js", "."] {
            assert!(page(&request, name).is_err(), "{name}");
        }
    }
}
