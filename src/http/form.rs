//! Bodies in the form that HTML forms have, as RFC 7662 asks for.
//!
//! Owns their reading: as strict as that of JSON, and as bounded.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;

use super::extract::arrived;
use super::media_type::is_media_type;
use super::problem::Problem;

/// The fields of a form.
#[derive(Debug)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Form<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let declared = request.headers().get(CONTENT_TYPE);
        let is_form = declared.is_some_and(|it| is_media_type(it.as_bytes(), "application/x-www-form-urlencoded"));
        let payload = payload.take();
        Box::pin(async move {
            if !is_form {
                return Err(Problem::not_a_form());
            }
            let body = arrived(payload).await?;
            let text = std::str::from_utf8(&body).map_err(|_| Problem::unreadable_form())?;
            let read = web::Query::<T>::from_query(text).map_err(|_| Problem::unreadable_form())?;
            Ok(Self(read.into_inner()))
        })
    }
}
