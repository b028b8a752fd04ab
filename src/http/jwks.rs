//! The public keys of tokens for services.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::web::Data;

use super::problem::Problem;
use super::site::Site;

/// Far less than a rotation's overlap, so that who verifies has the next key before it signs.
const FOR_A_MINUTE: HeaderValue = HeaderValue::from_static("public, max-age=60");
const JWK_SET: HeaderValue = HeaderValue::from_static("application/jwk-set+json");

/// Shows the public keys that verify tokens for services, as a JWK Set (RFC 7517).
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "list_public_keys", tag = "services", security(()),
    responses(
        (status = 200, description = "The keys. A key is here before it signs, and until the last token that it signed has \
            expired.", body = Value, content_type = "application/jwk-set+json",
         example = json!({ "keys": [{ "use": "sig", "alg": "ES256", "kid": "9tYVxr2AdGT6rxQZhQOQ3oc0eDP6QaHBXAVUJyHcqCQ",
            "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }] })),
        (status = 404, description = "Tokens are not issued here (`not-found`)."),
        (status = 503, description = "The keys are not known yet (`unavailable`)."),
    )
)]
pub async fn keys(site: Data<Site>) -> Result<HttpResponse, Problem> {
    let keys = site.app.access_tokens.public_keys()?.ok_or_else(Problem::not_found)?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, JWK_SET)).insert_header((CACHE_CONTROL, FOR_A_MINUTE));
    Ok(answer.body(keys))
}
