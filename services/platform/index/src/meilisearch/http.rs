//! The SDK's requests over the workspace's HTTP client, and what its failures mean here.

use async_trait::async_trait;
use futures::{AsyncRead, AsyncReadExt};
use kernel::{Failure, code};
use meilisearch_sdk::{
    errors::{Error, ErrorCode, ErrorType},
    request::{HttpClient, Method, parse_response},
};
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The workspace's client with the server's key.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    key: SecretString,
}

impl Http {
    pub(crate) fn new(client: reqwest::Client, key: SecretString) -> Self {
        Self { client, key }
    }
}

/// No answer came.
#[derive(Debug)]
struct Unreachable {
    reason: &'static str,
    source: reqwest::Error,
}

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason, self.source)
    }
}

impl std::error::Error for Unreachable {}

fn unreachable(error: reqwest::Error) -> Error {
    let reason = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    Error::Other(Box::new(Unreachable { reason, source: error.without_url() }))
}

#[async_trait]
impl HttpClient for Http {
    async fn stream_request<
        Query: Serialize + Send + Sync,
        Body: AsyncRead + Send + Sync + 'static,
        Output: DeserializeOwned + 'static,
    >(
        &self,
        url: &str,
        method: Method<Query, Body>,
        content_type: &str,
        expected_status_code: u16,
    ) -> Result<Output, Error> {
        let verb = match &method {
            Method::Get { .. } => reqwest::Method::GET,
            Method::Post { .. } => reqwest::Method::POST,
            Method::Patch { .. } => reqwest::Method::PATCH,
            Method::Put { .. } => reqwest::Method::PUT,
            Method::Delete { .. } => reqwest::Method::DELETE,
        };
        let query = parameters(serde_json::to_value(method.query())?);
        let mut request = self.client.request(verb, url);
        if !query.is_empty() {
            request = request.query(&query);
        }
        if !self.key.expose_secret().is_empty() {
            request = request.bearer_auth(self.key.expose_secret());
        }
        if let Some(body) = method.into_body() {
            let mut bytes = Vec::new();
            let mut body = std::pin::pin!(body);
            body.read_to_end(&mut bytes).await.map_err(|error| Error::Other(Box::new(error)))?;
            request = request.header(CONTENT_TYPE, content_type).body(bytes);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let body = response.text().await.map_err(unreachable)?;
        let body = if body.is_empty() { "null" } else { &body };
        parse_response(status, expected_status_code, body, String::new())
    }

    fn is_tokio(&self) -> bool {
        true
    }
}

/// A query as pairs: lists are written with commas, what is absent is left out.
fn parameters(query: Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let Value::Object(query) = query else { return Vec::new() };
    query
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match &value {
            Value::Array(values) => (name, values.iter().map(text).collect::<Vec<_>>().join(",")),
            value => (name, text(value)),
        })
        .collect()
}

/// Whether the index is not there.
pub(crate) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Meilisearch(error) if error.error_code == ErrorCode::IndexNotFound)
}

/// What the server's failure is to a caller: for now, or ours.
pub(crate) fn failure(error: Error) -> Failure {
    let unavailable = |detail: String| Failure::new(code::UNAVAILABLE).detail(detail).retry_after(1);
    match &error {
        Error::Other(cause) => match cause.downcast_ref::<Unreachable>() {
            Some(cause) => {
                unavailable(format!("the search server cannot be reached: {}", cause.reason)).because(error)
            }
            None => Failure::internal(error),
        },
        Error::Meilisearch(answer) => match answer.error_code {
            ErrorCode::IndexNotFound => unavailable("there is no search index yet".to_owned()).because(error),
            // A task that was taken in and is not known any more.
            ErrorCode::TaskNotFound => {
                unavailable("the search server lost what it was given".to_owned()).because(error)
            }
            ErrorCode::InvalidApiKey | ErrorCode::MissingAuthorizationHeader => {
                unavailable("the search server refuses our key".to_owned()).because(error)
            }
            // `system`, which the SDK does not know: too many searches or open files, no room on the disk.
            _ if matches!(answer.error_type, ErrorType::Internal | ErrorType::Unknown) => {
                unavailable("the search server failed".to_owned()).because(error)
            }
            _ => Failure::internal(error),
        },
        Error::MeilisearchCommunication(answer) if answer.status_code >= 500 || answer.status_code == 429 => {
            unavailable(format!("the search server answered {}", answer.status_code)).because(error)
        }
        _ => Failure::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_cannot_do_now_is_no_fault_of_ours() {
        let told = |kind: &str, name: &str| {
            let answer = serde_json::json!({"message": "m", "code": name, "type": kind, "link": "l"});
            failure(Error::Meilisearch(serde_json::from_value(answer).unwrap()))
        };
        for name in ["too_many_search_requests", "no_space_left_on_device", "too_many_open_files"] {
            assert!(told("system", name).is(code::UNAVAILABLE), "{name}");
        }
        assert!(told("internal", "internal").is(code::UNAVAILABLE));
        assert!(told("invalid_request", "invalid_search_limit").is(code::INTERNAL));
    }

    #[test]
    fn lists_are_written_with_commas() {
        let query = serde_json::json!({"limit": 5, "fields": ["id", "at"], "from": null});
        let expected = [("fields", "id,at"), ("limit", "5")];
        assert_eq!(parameters(query), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(parameters(Value::Null).is_empty());
    }
}
