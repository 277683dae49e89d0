//! A page that cannot be shown.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use kernel::Failure;

/// Why a page cannot be shown. The layer around every page turns it into one that says so.
#[derive(Debug)]
pub(crate) enum PageError {
    /// A contract said no.
    Failure(Failure),
    /// Log in first, then go on to this path.
    LogIn(String),
    /// The form was not sent by a page of ours, or by one too old.
    Forged,
}

/// What a page's handler gives back.
pub(crate) type Answer<T = HttpResponse> = Result<T, PageError>;

impl PageError {
    /// The page for things that do not exist.
    pub(crate) fn not_found() -> Self {
        Self::Failure(Failure::new(kernel::code::NOT_FOUND))
    }
}

impl From<Failure> for PageError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => failure.fmt(f),
            Self::LogIn(_) => f.write_str("log in first"),
            Self::Forged => f.write_str("the form was not sent by a page of ours"),
        }
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Failure(failure) => {
                StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::LogIn(_) => StatusCode::SEE_OTHER,
            Self::Forged => StatusCode::FORBIDDEN,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
