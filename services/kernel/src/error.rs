//! What goes wrong, as the caller and as the operator see it.

use std::{borrow::Cow, error::Error, fmt};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A result whose error is a [`Failure`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// An error code, declared once with its HTTP status and title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable name, `domain.what`.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Short text for people, the same for every occurrence.
    pub title: &'static str,
}

/// Declares codes and a table `ALL` of them: `codes! { OUT_OF_STOCK = 409 "inventory.out_of_stock" "Not enough stock"; }`.
#[macro_export]
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal $title:literal;)*) => {
        $($(#[$doc])* #[doc = concat!($title, " (", stringify!($status), ").")]
        pub const $name: $crate::Code = $crate::Code { name: $code, status: $status, title: $title };)*
        /// Every code declared here, for the reference.
        pub const ALL: &[$crate::Code] = &[$($name),*];
    };
}

/// Codes that belong to no domain.
pub mod code {
    crate::codes! {
        INVALID = 422 "request.invalid" "The request is not valid";
        MALFORMED = 400 "request.malformed" "The request cannot be read";
        NOT_FOUND = 404 "request.not_found" "There is no such thing";
        METHOD = 405 "request.method_not_allowed" "This method is not allowed here";
        UNAUTHENTICATED = 401 "auth.unauthenticated" "Log in first";
        FORBIDDEN = 403 "auth.forbidden" "You may not do this";
        SLOW = 408 "request.timeout" "The request did not arrive in time";
        CONFLICT = 409 "request.conflict" "The thing is in another state than the request needs";
        PRECONDITION = 412 "request.precondition_failed" "The thing has changed since you read it";
        TOO_LARGE = 413 "request.too_large" "The request is too large";
        MEDIA_TYPE = 415 "request.unsupported_media_type" "This content type is not understood here";
        HOST = 421 "request.host" "Staff do not reach the shop by this name";
        RATE_LIMITED = 429 "request.rate_limited" "Too many requests";
        KEY_MISSING = 400 "idempotency_key_missing" "Send an Idempotency-Key";
        KEY_REUSED = 422 "idempotency_key_reused" "This Idempotency-Key was used for another request";
        INTERNAL = 500 "server.internal" "Something went wrong on our side";
        UNAVAILABLE = 503 "server.unavailable" "The service is not available right now";
        TIMEOUT = 504 "server.timeout" "The service did not answer in time";
    }
}

/// One field of a request and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body (`/items/0/quantity`), or the name of a parameter.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

/// An error on the wire: `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells errors apart.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short text, the same for every occurrence of the code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code, `domain.what`.
    pub code: String,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Seconds after which to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// A request that did not succeed: a public part (code, detail, fields) and a cause that only logs see.
pub struct Failure(Box<Inner>);

struct Inner {
    name: Cow<'static, str>,
    status: u16,
    title: Cow<'static, str>,
    detail: Option<String>,
    fields: Vec<FieldError>,
    retry_after: Option<u32>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure with this code.
    pub fn new(code: Code) -> Self {
        Self(Box::new(Inner {
            name: Cow::Borrowed(code.name),
            status: code.status,
            title: Cow::Borrowed(code.title),
            detail: None,
            fields: Vec::new(),
            retry_after: None,
            cause: None,
        }))
    }

    /// `server.internal`, with a cause for the logs.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(code::INTERNAL).because(cause)
    }

    /// `request.invalid` with one field.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(code::INVALID).field(pointer, detail)
    }

    /// `request.not_found`, naming what was looked for.
    pub fn not_found(what: &str) -> Self {
        Self::new(code::NOT_FOUND).detail(format!("no such {what}"))
    }

    /// Adds what happened this time, in words the caller may read.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds a field that is wrong.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.fields.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Adds when to try again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Adds the cause, which stays on our side.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Its code's name.
    pub fn code(&self) -> &str {
        &self.0.name
    }

    /// Whether it has this code.
    pub fn is(&self, code: Code) -> bool {
        self.0.name == code.name
    }

    /// Its HTTP status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The fields that are wrong.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// The detail, or the title where there is none: what a page shows a person.
    pub fn message(&self) -> &str {
        self.0.detail.as_deref().unwrap_or(&self.0.title)
    }

    /// The cause, for logs and for the database's decision to run again.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }

    /// What the caller may see.
    pub fn problem(&self) -> Problem {
        Problem {
            kind: "about:blank".to_owned(),
            title: self.0.title.clone().into_owned(),
            status: self.0.status,
            code: self.0.name.clone().into_owned(),
            detail: self.0.detail.clone(),
            errors: self.0.fields.clone(),
            retry_after: self.0.retry_after,
        }
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(Inner {
            name: Cow::Owned(problem.code),
            status: problem.status,
            title: Cow::Owned(problem.title),
            detail: problem.detail,
            fields: problem.errors,
            retry_after: problem.retry_after,
            cause: None,
        }))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.name, self.message())?;
        for field in &self.0.fields {
            write!(f, "; {} {}", field.pointer, field.detail)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        if let Some(cause) = &self.0.cause {
            write!(f, " (because {cause})")?;
        }
        Ok(())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
