//! Forms: what was posted, what is wrong with it, and how a field is shown again with it.

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::CONTENT_TYPE};
use askama::Template;
use futures::future::LocalBoxFuture;
use garde::Validate;
use kernel::{Failure, code};

use crate::{error::PageError, layer::error_key, locale::Locale, visitor::Visitor};

/// The largest form that is read, in bytes.
const LARGEST: usize = 64 * 1_024;

/// A form that a page of ours made for this visitor.
#[derive(Debug, Default)]
pub(crate) struct Posted(Vec<(String, String)>);

impl Posted {
    /// A form of these fields; for forms that are shown before anything was posted.
    pub(crate) fn of<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A field exactly as typed; empty when it is not there.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// A one-line field, trimmed and free of control characters.
    pub(crate) fn line(&self, name: &str) -> String {
        kernel::normalise(self.raw(name))
    }

    /// A field that may be left empty.
    pub(crate) fn optional(&self, name: &str) -> Option<String> {
        Some(self.line(name)).filter(|value| !value.is_empty())
    }

    /// Whether a box is ticked.
    pub(crate) fn ticked(&self, name: &str) -> bool {
        !self.raw(name).is_empty()
    }

    /// A hidden field that is an id; a text that is none is a page that does not exist.
    pub(crate) fn id<T: std::str::FromStr>(&self, name: &str) -> Result<T, PageError> {
        self.raw(name).parse().map_err(|_| PageError::not_found())
    }

    /// The form's idempotency key.
    pub(crate) fn key(&self) -> Result<&str, PageError> {
        let key = self.raw("key");
        if crate::token::is_random(key) { Ok(key) } else { Err(Failure::new(code::KEY_MISSING).into()) }
    }
}

impl FromRequest for Posted {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let visitor = Visitor::of(request);
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_form = content_type
            .is_some_and(|value| value.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if !is_form {
                return Err(Failure::new(code::MEDIA_TYPE).into());
            }
            let body = platform_http::read_body(&request, &mut payload, LARGEST).await?;
            let posted = Self(url::form_urlencoded::parse(&body).into_owned().collect());
            match visitor {
                Some(visitor) if visitor.made_form(posted.raw("csrf")) => Ok(posted),
                _ => Err(PageError::Forged),
            }
        })
    }
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issue {
    /// Name of the field.
    pub(crate) field: String,
    /// What is wrong.
    pub(crate) text: String,
}

/// What is wrong with a form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Issues {
    /// About the form as a whole.
    pub(crate) general: Option<String>,
    /// About fields, in order.
    pub(crate) fields: Vec<Issue>,
}

impl Issues {
    /// What `command` breaks of its own rules. Contracts check again: this is for the words.
    pub(crate) fn of<T: Validate<Context = ()>>(locale: Locale, command: &T) -> Self {
        let mut issues = Self::default();
        if let Err(report) = command.validate() {
            for (path, error) in report.iter() {
                issues.add(locale, &path.to_string(), error.message());
            }
        }
        issues
    }

    /// What a contract did not like; failures that no shopper can do anything about stay errors.
    pub(crate) fn from_failure(locale: Locale, failure: Failure) -> Result<Self, PageError> {
        if failure.status() >= 500 && failure.status() != 503 || matches!(failure.status(), 403 | 404) {
            return Err(failure.into());
        }
        let mut issues = Self::default();
        for field in failure.fields() {
            issues.add(locale, field.pointer.trim_start_matches('/'), &field.detail);
        }
        let own = locale.find(&error_key(failure.code()));
        if own.is_some() || issues.fields.is_empty() {
            issues.general = Some(own.unwrap_or_else(|| locale.text("error-other")));
        }
        Ok(issues)
    }

    /// Adds a field; our own words for it go before the contract's.
    pub(crate) fn add(&mut self, locale: Locale, field: &str, detail: &str) {
        if self.about(field).is_none() {
            let key = format!("invalid-{}", field.replace('_', "-"));
            let text = locale.find(&key).unwrap_or_else(|| detail.to_owned());
            self.fields.push(Issue { field: field.to_owned(), text });
        }
    }

    /// What is wrong with this field.
    pub(crate) fn about(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|issue| issue.field == field).map(|issue| issue.text.as_str())
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.general.is_none() && self.fields.is_empty()
    }
}

/// A field of a form: label, control, hint and error, tied together for assistive technology.
#[derive(Template)]
#[template(path = "parts/field.html")]
pub(crate) struct Field {
    name: &'static str,
    label: String,
    kind: &'static str,
    value: String,
    hint: Option<String>,
    error: Option<String>,
    required: bool,
    optional: String,
    autocomplete: &'static str,
    longest: u32,
    choices: Vec<(String, String)>,
}

impl askama::filters::HtmlSafe for Field {}

impl Field {
    /// A text field called `name`, with the text `field-<name>` before it and `hint-<name>` below it, where there is one.
    pub(crate) fn new(locale: Locale, name: &'static str) -> Self {
        let key = name.replace('_', "-");
        Self {
            name,
            label: locale.text(&format!("field-{key}")),
            kind: "text",
            value: String::new(),
            hint: locale.find(&format!("hint-{key}")),
            error: None,
            required: true,
            optional: locale.text("optional"),
            autocomplete: "off",
            longest: 200,
            choices: Vec::new(),
        }
    }

    /// Its `type`, or `textarea`, or `checkbox`.
    pub(crate) fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// What browsers fill in.
    pub(crate) fn autocomplete(mut self, autocomplete: &'static str) -> Self {
        self.autocomplete = autocomplete;
        self
    }

    /// May be left empty.
    pub(crate) fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// At most so many characters.
    pub(crate) fn longest(mut self, longest: u32) -> Self {
        self.longest = longest;
        self
    }

    /// Without the text below it.
    pub(crate) fn without_hint(mut self) -> Self {
        self.hint = None;
        self
    }

    /// One of these values, by label.
    pub(crate) fn choices(mut self, choices: Vec<(String, String)>) -> Self {
        self.kind = "select";
        self.choices = choices;
        self
    }

    /// What was posted, and what is wrong with it. Passwords are never sent back.
    pub(crate) fn filled(mut self, posted: &Posted, issues: &Issues) -> Self {
        if self.kind != "password" {
            posted.raw(self.name).clone_into(&mut self.value);
        }
        self.error = issues.about(self.name).map(str::to_owned);
        self
    }

    fn described_by(&self) -> String {
        let error = self.error.as_ref().map(|_| format!("e-{}", self.name));
        let hint = self.hint.as_ref().map(|_| format!("h-{}", self.name));
        [error, hint].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use contracts::account::Register;

    use super::*;

    #[test]
    fn a_wrong_field_is_named_and_keeps_what_was_typed() {
        let command = Register {
            email: "ada".to_owned(),
            password: "short".to_owned(),
            name: "Ada".to_owned(),
            country: None,
        };
        let issues = Issues::of(Locale::En, &command);
        assert!(issues.about("email").is_some() && issues.about("password").is_some());
        assert!(issues.about("name").is_none());
        let posted = Posted::of([("email", "\"ada\"".to_owned()), ("password", "short".to_owned())]);
        let field = Field::new(Locale::En, "email").kind("email").filled(&posted, &issues).render().unwrap();
        assert!(
            field.contains("aria-invalid=\"true\"") && field.contains("aria-describedby=\"e-email\""),
            "{field}"
        );
        assert!(field.contains("&#34;ada&#34;"), "{field}");
        let password =
            Field::new(Locale::En, "password").kind("password").filled(&posted, &issues).render().unwrap();
        assert!(!password.contains("short"), "{password}");
    }

    #[test]
    fn contracts_failures_become_words() {
        let taken = Failure::new(contracts::account::code::EMAIL_TAKEN);
        let issues = Issues::from_failure(Locale::En, taken).unwrap();
        assert_eq!(issues.general, Locale::En.find("error-account-email-taken"));
        assert!(Issues::from_failure(Locale::En, Failure::internal("x")).is_err());
    }
}
