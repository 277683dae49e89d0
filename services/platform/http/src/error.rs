//! Failures as `application/problem+json` (RFC 9457).

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use kernel::{Code, Failure, code};

/// The media type of every error.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// A [`Failure`] on its way out: the caller sees code, detail and fields; the cause stays for the log.
pub struct HttpError(pub(crate) Failure);

impl HttpError {
    /// The failure.
    pub fn failure(&self) -> &Failure {
        &self.0
    }
}

impl From<Failure> for HttpError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<Code> for HttpError {
    fn from(code: Code) -> Self {
        Self(code.into())
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for HttpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        status(&self.0)
    }

    fn error_response(&self) -> HttpResponse {
        problem(&self.0)
    }
}

/// The failure's status; a number that is no status is our fault.
pub(crate) fn status(failure: &Failure) -> StatusCode {
    StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The answer a failure becomes.
pub(crate) fn problem(failure: &Failure) -> HttpResponse {
    let problem = failure.problem();
    let mut response = HttpResponse::build(status(failure));
    response.content_type(PROBLEM_JSON);
    if let Some(seconds) = problem.retry_after {
        response.insert_header((RETRY_AFTER, seconds));
    }
    if failure.status() == 401 {
        response.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    }
    response.json(problem)
}

/// What an error of actix itself (a path, form or payload extractor) is in our terms.
pub(crate) fn from_status(status: StatusCode) -> Failure {
    Failure::new(match status.as_u16() {
        401 => code::UNAUTHENTICATED,
        403 => code::FORBIDDEN,
        404 => code::NOT_FOUND,
        405 => code::METHOD,
        408 => code::SLOW,
        409 => code::CONFLICT,
        412 => code::PRECONDITION,
        413 => code::TOO_LARGE,
        415 => code::MEDIA_TYPE,
        422 => code::INVALID,
        429 => code::RATE_LIMITED,
        503 => code::UNAVAILABLE,
        504 => code::TIMEOUT,
        400..500 => code::MALFORMED,
        _ => code::INTERNAL,
    })
}
