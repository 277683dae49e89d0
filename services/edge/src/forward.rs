//! A request on its way to another region, and the answer on its way back.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use actix_web::{
    HttpResponse,
    body::{BodyStream, SizedStream},
    dev::ServiceRequest,
    http::{
        StatusCode,
        header::{CONNECTION, HeaderMap, HeaderName, HeaderValue},
    },
    web::{Bytes, BytesMut},
};
use futures::{Stream, StreamExt, stream};
use kernel::{Failure, Result};
use platform_http::{ASSERTION_HEADER, HOME_HEADER, HOP_HEADER, UNSERVED_HEADER, travels};
use reqwest::{Method, Request, Url, header};

use crate::route::Place;

/// So much of an answer is read before any of it is passed on: while nothing is, the request can still be served here.
const KEPT: usize = 1 << 20;

/// Why a region gives back what it may not keep by its map.
pub(crate) const UNLAWFUL: &str = "unlawful";

/// What is said about a request that is passed on.
pub(crate) struct Vouched<'a> {
    /// The region that passes it on.
    pub(crate) from: &'a str,
    /// The home of whose request it is, where the map has it: a hint for the mesh in between.
    pub(crate) home: Option<&'a str>,
    /// Signed for this request.
    pub(crate) assertion: String,
    /// Its id, the same in both regions.
    pub(crate) id: &'a str,
}

/// `target` (path and query) at the other region; none when its form there would be another than here.
pub(crate) fn url(to: &Place, target: &str) -> Option<Url> {
    let url = Url::parse(&format!("{}{target}", to.endpoint)).ok()?;
    let base = Url::parse(&to.endpoint).ok()?;
    let path = url.path().strip_prefix(base.path().trim_end_matches('/'))?;
    let (wanted_path, wanted_query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    (path == wanted_path && url.query() == wanted_query).then_some(url)
}

/// The request as it is sent. Everything that the client said goes with it, its `Host` included, since pages compare their
/// address with it; what belongs to this connection alone does not.
pub(crate) fn outgoing(
    request: &ServiceRequest,
    url: Url,
    body: Bytes,
    vouched: &Vouched<'_>,
) -> Result<Request> {
    let method = Method::from_bytes(request.method().as_str().as_bytes()).map_err(Failure::internal)?;
    let mut sent = Request::new(method, url);
    let headers = sent.headers_mut();
    let of_connection = named_by_connection(request.headers());
    let trace = platform_trace::traceparent();
    for (name, value) in request.headers() {
        // Ours takes the place of what came, which it continues where it is trusted.
        let traced = trace.is_some() && matches!(name.as_str(), platform_trace::HEADER | "tracestate");
        if traced || !travels(name) || of_connection.iter().any(|named| name.as_str() == named) {
            continue;
        }
        headers.append(
            their_name(name)?,
            header::HeaderValue::from_bytes(value.as_bytes()).map_err(Failure::internal)?,
        );
    }
    let ours = [
        ("x-request-id", Some(vouched.id)),
        (HOP_HEADER, Some(vouched.from)),
        (HOME_HEADER, vouched.home),
        (ASSERTION_HEADER, Some(vouched.assertion.as_str())),
        (platform_trace::HEADER, trace.as_deref()),
    ];
    for (name, value) in ours {
        if let Some(value) = value {
            headers.insert(name, header::HeaderValue::from_str(value).map_err(Failure::internal)?);
        }
    }
    if !body.is_empty() {
        *sent.body_mut() = Some(body.into());
    }
    Ok(sent)
}

/// What a client cannot say belongs to its connection: here it was judged by, and the other region has to do the same.
const OF_THE_REQUEST: [&str; 9] = [
    "accept",
    "authorization",
    "content-encoding",
    "content-type",
    "cookie",
    "host",
    "idempotency-key",
    "x-cart-token",
    "x-request-id",
];

/// Headers that belong to this connection by the client's own word.
fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(CONNECTION)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && !OF_THE_REQUEST.contains(&name.as_str()))
        .collect()
}

fn their_name(name: &HeaderName) -> Result<header::HeaderName> {
    header::HeaderName::from_bytes(name.as_str().as_bytes()).map_err(Failure::internal)
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// No connection: nothing was sent.
    Unreached(reqwest::Error),
    /// The region says that it did nothing.
    Unserved(String),
    /// The connection broke: what was done there is not known.
    Broken(reqwest::Error),
    /// The answer is none that can be passed on.
    Odd(Failure),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreached(error) => write!(f, "no connection: {error:?}"),
            Self::Unserved(why) => write!(f, "it does not serve: {why}"),
            Self::Broken(error) => write!(f, "the answer broke off: {error:?}"),
            Self::Odd(failure) => write!(f, "the answer cannot be passed on: {failure:?}"),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    read: Bytes,
    /// What is still to come.
    rest: Option<Rest>,
}

/// What is still to come of an answer.
#[derive(Debug)]
struct Rest {
    answer: reqwest::Response,
    /// Of all of it, where that is known.
    length: Option<u64>,
    /// How long nothing of it may come before it counts as broken off.
    silence: Duration,
}

/// Sends it and reads the answer: all of it where it is short, else its beginning. One whose length nobody tells is passed
/// on as it comes after `patience`; what comes later comes without longer `silence`.
pub(crate) async fn exchange(
    client: &reqwest::Client,
    sent: Request,
    patience: Duration,
    silence: Duration,
) -> Result<Reply, Trouble> {
    let started = Instant::now();
    let answer = client.execute(sent).await.map_err(|error| {
        let error = error.without_url();
        if error.is_connect() { Trouble::Unreached(error) } else { Trouble::Broken(error) }
    })?;
    if let Some(why) = answer.headers().get(UNSERVED_HEADER) {
        return Err(Trouble::Unserved(why.to_str().unwrap_or_default().to_owned()));
    }
    let (status, headers) = head(&answer).map_err(Trouble::Odd)?;
    let length = answer.content_length();
    let mut reply = Reply { status, headers, read: Bytes::new(), rest: None };
    let until = length.is_none().then(|| started + patience);
    let (read, rest) = begin(answer, until).await?;
    reply.read = read;
    reply.rest = rest.map(|answer| Rest { answer, length, silence });
    Ok(reply)
}

fn head(answer: &reqwest::Response) -> Result<(StatusCode, Vec<(HeaderName, HeaderValue)>)> {
    let status = StatusCode::from_u16(answer.status().as_u16()).map_err(Failure::internal)?;
    let mut headers = Vec::with_capacity(answer.headers().len());
    for (name, value) in answer.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(Failure::internal)?;
        if travels(&name) {
            headers.push((name, HeaderValue::from_bytes(value.as_bytes()).map_err(Failure::internal)?));
        }
    }
    Ok((status, headers))
}

/// Reads up to [`KEPT`] bytes, and no longer than `until`.
async fn begin(
    mut answer: reqwest::Response,
    until: Option<Instant>,
) -> Result<(Bytes, Option<reqwest::Response>), Trouble> {
    let mut read = BytesMut::new();
    loop {
        let chunk = match until {
            Some(until) => match tokio::time::timeout_at(until.into(), answer.chunk()).await {
                Ok(chunk) => chunk,
                Err(_) => return Ok((read.freeze(), Some(answer))),
            },
            None => answer.chunk().await,
        };
        match chunk.map_err(|error| Trouble::Broken(error.without_url()))? {
            // Not copied where it is all there is.
            Some(chunk) if read.is_empty() => read = BytesMut::from(chunk),
            Some(chunk) => read.extend_from_slice(&chunk),
            None => return Ok((read.freeze(), None)),
        }
        if read.len() > KEPT {
            return Ok((read.freeze(), Some(answer)));
        }
    }
}

impl Reply {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer as it is passed on.
    pub(crate) fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for header in self.headers {
            response.append_header(header);
        }
        let Some(rest) = self.rest else { return response.body(self.read) };
        let length = rest.length;
        let body = stream::once(std::future::ready(Ok(self.read))).chain(chunks(rest));
        match length {
            Some(length) => response.body(SizedStream::new(length, body.boxed_local())),
            None => response.body(BodyStream::new(body.boxed_local())),
        }
    }
}

/// What is still to come. Where it breaks off or stops the client's connection is closed: there is no other way to tell it, and
/// nobody waits for a region that stands still in the middle of an answer.
fn chunks(rest: Rest) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(rest), |rest| async {
        let mut rest = rest?;
        let broken = match tokio::time::timeout(rest.silence, rest.answer.chunk()).await {
            Ok(Ok(chunk)) => return chunk.map(|chunk| (Ok(chunk), Some(rest))),
            Ok(Err(error)) => io::Error::other(error.without_url()),
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        metrics::counter!("edge_broken_answers_total").increment(1);
        Some((Err(broken), None))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::region;

    #[test]
    fn what_is_sent_says_whose_home_it_goes_to_and_nothing_that_a_client_says_of_it() {
        let request = actix_web::test::TestRequest::get()
            .uri("/api/v1/cart")
            .insert_header((HeaderName::from_static(HOME_HEADER), "made-up"))
            .insert_header(("x-extra", "kept"))
            .to_srv_request();
        let sent = |home| {
            let vouched = Vouched { from: "a", home, assertion: "signed".to_owned(), id: "r-1" };
            let url = Url::parse("http://b.test/api/v1/cart").unwrap();
            outgoing(&request, url, Bytes::new(), &vouched).unwrap()
        };
        let to_b = sent(Some("b"));
        let homes: Vec<_> = to_b.headers().get_all(HOME_HEADER).iter().collect();
        assert_eq!(homes, ["b"]);
        assert_eq!(to_b.headers()["x-extra"], "kept");
        assert!(!sent(None).headers().contains_key(HOME_HEADER));
    }

    #[test]
    fn a_client_cannot_have_the_key_left_out_under_which_a_request_may_run_twice() {
        let request = actix_web::test::TestRequest::post()
            .uri("/api/v1/orders")
            .insert_header(("connection", "Idempotency-Key, authorization , x-mine"))
            .insert_header(("idempotency-key", "k-1"))
            .insert_header(("authorization", "Bearer t"))
            .insert_header(("x-mine", "dropped"))
            .to_srv_request();
        let vouched = Vouched { from: "a", home: None, assertion: "signed".to_owned(), id: "r-1" };
        let url = Url::parse("http://b.test/api/v1/orders").unwrap();
        let sent = outgoing(&request, url, Bytes::new(), &vouched).unwrap();
        let sent =
            ["idempotency-key", "authorization", "x-mine"].map(|name| sent.headers().contains_key(name));
        assert_eq!(sent, [true, true, false]);
    }

    #[test]
    fn a_target_that_would_change_on_its_way_is_not_sent() {
        for (endpoint, target, good) in [
            ("http://b.test", "/api/v1/orders?limit=3&x=%2F", true),
            ("http://b.test:8081", "/orders/%C3%A9", true),
            ("https://b.test/eu", "/orders", true),
            ("http://b.test", "/orders?", true),
            ("http://b.test", "/api/v1/cart/../orders", false),
            ("http://b.test", "/api/v1/cart/%2e%2e/orders", false),
            ("nonsense", "/orders", false),
        ] {
            let to = Place { region: region("b"), endpoint: endpoint.to_owned() };
            let found = url(&to, target);
            assert_eq!(found.is_some(), good, "{endpoint} {target}");
            if let Some(found) = found {
                assert_eq!(found.as_str(), format!("{endpoint}{target}"));
            }
        }
    }
}
