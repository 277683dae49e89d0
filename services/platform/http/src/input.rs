//! Input: JSON bodies, query strings and path segments, checked before a handler sees them.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::CONTENT_TYPE, web};
use futures::future::LocalBoxFuture;
use garde::Validate;
use kernel::{Failure, Result, code};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_path_to_error::{Path, Segment};

use crate::{HttpError, body, caller::caller, headers::is_repeated, shared::Shared, strict::Strict};

/// A JSON object as the body that fits `T` and its rules.
///
/// `415` for another content type, `413` over the limit, `400` for what is no JSON, `422` with a JSON pointer a field
/// for JSON that is no `T` or breaks a rule.
#[derive(Debug)]
pub struct Valid<T>(pub T);

/// A query string that fits `T` and its rules; `422` names the parameter.
#[derive(Debug)]
pub struct Params<T>(pub T);

/// The path's variable segment, or a tuple of several. One that is no `T` names nothing that exists: `404`.
#[derive(Debug)]
pub struct PathOf<T>(pub T);

/// A body of any kind, such as a file: up to `http.upload_limit` bytes, `413` beyond. It is held in memory.
#[derive(Debug)]
pub struct Upload(pub web::Bytes);

impl FromRequest for Upload {
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let req = req.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let limit = Shared::of(&req)?.config.upload_limit;
            Ok(Self(body::read(&req, &mut payload, limit).await?))
        })
    }
}

impl<T> FromRequest for Valid<T>
where
    T: DeserializeOwned + Validate + 'static,
    T::Context: Default,
{
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let req = req.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let refused = match read_json(&req, &mut payload).await {
                Ok(value) => return Ok(Self(value)),
                Err(refused) => refused,
            };
            // The extractors of a handler run side by side, and the first refusal is the answer. What is wrong with the
            // body is no business of who may not call: by the time the caller is known here, the extractor of the
            // caller, which stands before this one, has had its say.
            let _ = caller(&req).await;
            Err(refused.into())
        })
    }
}

impl<T> FromRequest for Params<T>
where
    T: DeserializeOwned + Validate + 'static,
    T::Context: Default,
{
    type Error = HttpError;
    type Future = Ready<Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let value = from_query(req.query_string()).and_then(|value| checked(value, |path| path.to_string()));
        ready(value.map(Self).map_err(HttpError::from))
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for PathOf<T> {
    type Error = HttpError;
    type Future = Ready<Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let segments = web::Path::<T>::from_request(req, payload).into_inner();
        ready(segments.map(|value| Self(value.into_inner())).map_err(|_| code::NOT_FOUND.into()))
    }
}

async fn read_json<T>(req: &HttpRequest, payload: &mut Payload) -> Result<T>
where
    T: DeserializeOwned + Validate,
    T::Context: Default,
{
    if !is_json(req) {
        return Err(Failure::new(code::MEDIA_TYPE).detail("expected Content-Type: application/json"));
    }
    let bytes = body::read(req, payload, Shared::of(req)?.config.body_limit).await?;
    checked(from_json(&bytes)?, pointer)
}

fn is_json(req: &HttpRequest) -> bool {
    if is_repeated(req.headers(), CONTENT_TYPE.as_str()) {
        return false;
    }
    let media_type = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if bytes.is_empty() {
        return Err(Failure::new(code::MALFORMED).detail("the body is empty; expected JSON"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Strict(&mut reader)).map_err(|error| {
        let path = error.path().clone();
        let error = error.into_inner();
        if error.is_data() {
            misfit(&path, &without_position(&error), Place::Pointer)
        } else if is_json_text(bytes) {
            // serde_json calls a number beyond all bounds no JSON.
            misfit(&path, "is not a value that fits here", Place::Pointer)
        } else {
            Failure::new(code::MALFORMED).detail(format!("the body is no JSON: {error}"))
        }
    })?;
    reader
        .end()
        .map_err(|error| Failure::new(code::MALFORMED).detail(format!("the body is no JSON: {error}")))?;
    Ok(value)
}

fn is_json_text(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

fn from_query<T: DeserializeOwned>(query: &str) -> Result<T> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().clone();
        misfit(&path, &error.into_inner().to_string(), Place::Name)
    })
}

/// How a place in the input is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// As a JSON pointer (RFC 6901).
    Pointer,
    /// As the name of a parameter.
    Name,
}

/// serde's words about a value that does not fit, with the place: a field that is missing or unknown is named itself,
/// not the object around it.
fn misfit(path: &Path, message: &str, place: Place) -> Failure {
    let mut segments: Vec<String> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect();
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split_once('`').map(|(field, _)| field));
    let detail = match named {
        Some(field) => {
            if segments.last().map(String::as_str) != Some(field) {
                segments.push(field.to_owned());
            }
            if message.starts_with("missing") {
                "is required"
            } else if message.starts_with("unknown") {
                "is not known here"
            } else {
                "is given twice"
            }
        }
        None => message,
    };
    let place = match place {
        Place::Pointer => {
            segments.iter().fold(String::new(), |pointer, segment| format!("{pointer}/{}", escape(segment)))
        }
        Place::Name => segments.join("."),
    };
    Failure::invalid(place, in_their_words(detail))
}

/// The longest list of variants that helps anybody.
const LONGEST_LIST: usize = 400;

/// Names of our types mean nothing to a client, and neither do all currencies there are.
fn in_their_words(detail: &str) -> String {
    if let Some((before, _)) = detail.split_once("expected struct ") {
        return format!("{before}expected an object");
    }
    match detail.split_once(", expected one of ") {
        Some((before, known)) if known.len() > LONGEST_LIST => {
            before.replacen("unknown variant", "unknown value", 1)
        }
        _ => detail.to_owned(),
    }
}

/// serde_json ends its messages with a position, which the pointer says better.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&position).map(str::to_owned).unwrap_or(message)
}

fn checked<T>(value: T, name: impl Fn(&garde::Path) -> String) -> Result<T>
where
    T: Validate,
    T::Context: Default,
{
    match value.validate() {
        Ok(()) => Ok(value),
        Err(report) => Err(report.iter().fold(Failure::new(code::INVALID), |failure, (path, error)| {
            failure.field(name(path), error.message())
        })),
    }
}

/// garde's `items[0].quantity` as the JSON pointer `/items/0/quantity`.
fn pointer(path: &garde::Path) -> String {
    let mut out = String::new();
    // The last component comes first, and one without a name (the inside of an Option) is no step.
    for (_, segment) in path.__iter().rev().filter(|(_, segment)| !segment.is_empty()) {
        out.push('/');
        out.push_str(&escape(segment));
    }
    out
}

/// RFC 6901: `~` and `/` inside a segment.
fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}
