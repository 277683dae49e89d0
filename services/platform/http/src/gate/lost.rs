//! Answers in our form where a handler gave none.

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::BoxBody,
    dev::ServiceResponse,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderValue},
    },
};
use kernel::Failure;

use super::passage::X_REQUEST_ID;
use crate::{
    error::{PROBLEM_JSON, from_status, problem, status},
    error_page::Browser,
    headers::secure,
};

/// A failure whose request no longer exists: actix makes its answer from the error alone.
pub(super) struct Lost {
    pub(super) failure: Failure,
    pub(super) id: String,
    pub(super) browser: Option<Browser>,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.failure.fmt(f)
    }
}

impl std::fmt::Debug for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.failure, f)
    }
}

impl ResponseError for Lost {
    fn status_code(&self) -> StatusCode {
        status(&self.failure)
    }

    fn error_response(&self) -> HttpResponse {
        let page = self.browser.as_ref().map(|browser| browser.page(&self.failure));
        let programs = page.is_none();
        let mut response = page.unwrap_or_else(|| problem(&self.failure));
        secure(response.headers_mut(), programs);
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        response
    }
}

/// An error that is not in our form: made by actix, or without a body.
pub(super) fn is_foreign_error(response: &ServiceResponse<BoxBody>) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error())
        && response.headers().get(CONTENT_TYPE).is_none_or(|media| media != PROBLEM_JSON)
        && (response.response().error().is_some() || !response.headers().contains_key(CONTENT_TYPE))
}

/// Such an error in our form, with what actix says of it where the client is to blame.
pub(super) fn translated(response: &ServiceResponse<BoxBody>) -> Failure {
    let failure = from_status(response.status());
    match response.response().error().map(ToString::to_string) {
        Some(said) if failure.status() < 500 => failure.detail(said),
        Some(said) => failure.because(said),
        None => failure,
    }
}

pub(super) fn as_failure(error: &Error) -> Failure {
    let failure = from_status(error.as_response_error().status_code());
    if failure.status() < 500 { failure } else { failure.because(error.to_string()) }
}

/// What a panic said.
pub(super) fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let said =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", said.unwrap_or("without words"))
}
