//! Bodies, read up to a limit.

use actix_web::{
    HttpRequest,
    dev::Payload,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH},
    web::{Bytes, BytesMut},
};
use futures::StreamExt;
use kernel::{Failure, Result, code};

use crate::shared::Shared;

/// Room made for a body before any of it is there: its length is only what the client says.
const ROOM: usize = 64 * 1_024;

/// Reads the whole body; `request.too_large` over `limit` bytes, before reading where the client says its length.
/// `request.timeout` when it takes so long that too little of the request's time is left to answer it: a client that is
/// slow is no failure of ours.
pub async fn read(req: &HttpRequest, payload: &mut Payload, limit: usize) -> Result<Bytes> {
    let headers = req.headers();
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Failure::new(code::MEDIA_TYPE).detail("compressed bodies are not understood here"));
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let patience = Shared::of(req)?.deadline(req.head()).mul_f32(0.8);
    tokio::time::timeout(patience, collect(payload, length.unwrap_or(0).min(ROOM), limit))
        .await
        .map_err(|_| Failure::new(code::SLOW))?
}

async fn collect(payload: &mut Payload, room: usize, limit: usize) -> Result<Bytes> {
    let mut body = BytesMut::with_capacity(room);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Failure::new(code::MALFORMED).detail("the body broke off").because(error.to_string())
        })?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(limit: usize) -> Failure {
    Failure::new(code::TOO_LARGE).detail(format!("at most {limit} bytes"))
}
