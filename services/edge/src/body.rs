//! A request's body, read so that it can be sent to another region and still be served here.

use std::time::Duration;

use actix_web::{
    HttpMessage,
    dev::{Payload, ServiceRequest},
    http::header::CONTENT_LENGTH,
    web::{Bytes, BytesMut},
};
use futures::{StreamExt, stream};
use kernel::{Failure, Result, code};

/// Room made for a body before any of it is there: its length is only what the client says.
const ROOM: usize = 64 * 1_024;

/// The whole body, which `request` keeps as well; none when it is over `limit`, and then `request` still has all of it.
/// Fails when the client does not send it within `patience`, or not at all.
pub(crate) async fn copy(
    request: &mut ServiceRequest,
    limit: usize,
    patience: Duration,
) -> Result<Option<Bytes>> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > limit) {
        return Ok(None);
    }
    let mut payload = request.take_payload();
    if matches!(payload, Payload::None) {
        return Ok(Some(Bytes::new()));
    }
    let read = collect(&mut payload, length.unwrap_or(0).min(ROOM), limit);
    let body = tokio::time::timeout(patience, read).await.map_err(|_| Failure::new(code::SLOW))??;
    if body.len() > limit {
        // What was read, then the rest.
        let whole = stream::once(std::future::ready(Ok(body))).chain(payload);
        request.set_payload(Payload::Stream { payload: whole.boxed_local() });
        return Ok(None);
    }
    request.set_payload(Payload::from(body.clone()));
    Ok(Some(body))
}

/// All of it, or a little more than `limit`.
async fn collect(payload: &mut Payload, room: usize, limit: usize) -> Result<Bytes> {
    let mut body = BytesMut::with_capacity(room);
    while body.len() <= limit {
        let Some(chunk) = payload.next().await else { break };
        let chunk = chunk.map_err(|error| {
            Failure::new(code::MALFORMED).detail("the body broke off").because(error.to_string())
        })?;
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
