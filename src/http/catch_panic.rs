//! Turns a panic in a handler into a 500 problem.
//!
//! Without it the connection would break off in the middle, and a proxy would retry. Owns only the catching; unfinished
//! work is dropped with the request. Must never send or log the panic's message: it may quote the request.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use actix_web::Error;
use futures_util::FutureExt;

use super::problem::Problem;

/// Runs the work and turns a panic into a 500 problem. Reads nothing of the request afterwards, so half-done changes
/// stay invisible.
pub async fn answered<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|_| Err(Problem::internal("a handler panicked").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_panic_is_a_problem_without_its_words() {
        let broken: Result<(), Error> = answered(async { panic!("the password was hunter2") }).await;
        let response = broken.unwrap_err().error_response();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap_or_default();
        assert!(!body.is_empty() && !String::from_utf8_lossy(&body).contains("hunter2"));
    }

    #[actix_web::test]
    async fn what_does_not_panic_stays_as_it_is() {
        assert_eq!(answered(async { Ok(7) }).await.unwrap(), 7);
    }
}
