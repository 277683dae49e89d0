//! Copies of answers that anybody may have, for a region that is to ask nothing behind it ([`Degraded::static_only`]).
//!
//! [`Degraded::static_only`]: placement::Degraded::static_only

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpMessage, HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{
            ACCEPT_LANGUAGE, AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, COOKIE, HeaderMap,
            SET_COOKIE,
        },
    },
    web::Bytes,
};
use moka::future::Cache;
use platform_http::{Personal, Whole, WholeWanted};

use crate::{KeptConfig, resolve::target};

/// No larger body is kept.
const LARGEST: usize = 256 << 10;
/// No longer list of languages tells copies apart: they are the client's words, kept as long as the copy.
const LANGUAGES: usize = 128;
/// What an entry takes beside its body.
const OVERHEAD: usize = 1 << 10;
/// A copy is not made again before it is so old.
const RENEWED: Duration = Duration::from_secs(10);

/// What a copy is found by.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    /// Where the shop is, as the request says it.
    origin: String,
    /// The path with its query.
    target: String,
    /// The languages that were asked for; none: those of any.
    languages: Option<String>,
}

impl Key {
    fn of(request: &ServiceRequest) -> Self {
        Self {
            origin: origin(request),
            target: target(request).to_owned(),
            languages: languages(request.headers()),
        }
    }

    /// The same in any languages.
    fn in_any(self) -> Self {
        Self { languages: None, ..self }
    }

    fn len(&self) -> usize {
        self.origin.len() + self.target.len() + self.languages.as_ref().map_or(0, String::len)
    }
}

/// The copies of this process.
pub(crate) struct Kept(Option<Cache<Key, Arc<Copied>>>);

struct Copied {
    at: Instant,
    headers: HeaderMap,
    body: Bytes,
}

/// A request whose answer may be kept.
pub(crate) struct Wanted {
    key: Key,
    /// Whether the answer can know nobody from before: neither cookie nor token came with the request.
    nobodys: bool,
}

impl Kept {
    pub(crate) fn new(config: &KeptConfig) -> Self {
        let weight = |key: &Key, copied: &Arc<Copied>| {
            u32::try_from(key.len() + copied.body.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self((config.bytes > 0).then(|| {
            Cache::builder()
                .name("edge_kept")
                .max_capacity(config.bytes)
                .weigher(weight)
                .time_to_live(config.age)
                .build()
        }))
    }

    /// What to do with the answer to this request; none where nothing is kept of it.
    pub(crate) async fn wanted(&self, request: &ServiceRequest) -> Option<Wanted> {
        let copies = self.0.as_ref().filter(|_| request.method() == Method::GET)?;
        let key = Key::of(request);
        if copies.get(&key).await.is_some_and(|copied| copied.at.elapsed() < RENEWED) {
            return None;
        }
        let known = request.headers().contains_key(COOKIE) || request.headers().contains_key(AUTHORIZATION);
        // Browsers take it compressed, each in its own way: the copy is made before that.
        request.extensions_mut().insert(WholeWanted);
        Some(Wanted { key, nobodys: !known })
    }

    /// Keeps an answer that is anybody's: it says so, or it is a page for somebody who is not known, without what is in it of
    /// theirs.
    pub(crate) async fn keep(&self, wanted: Wanted, response: &ServiceResponse<BoxBody>) {
        let (Some(copies), true) = (&self.0, is_anybodys(response, wanted.nobodys)) else { return };
        let whole = response.response().extensions().get::<Whole>().cloned();
        let Some(Whole(body)) = whole.filter(|Whole(body)| body.len() <= LARGEST) else { return };
        let personal = response.response().extensions().get::<Personal>().cloned();
        let mut headers = response.headers().clone();
        headers.remove(SET_COOKIE);
        headers.remove(CONTENT_ENCODING);
        let body = personal.map_or_else(|| body.clone(), |own| without(&body, &own.0));
        let copied = Arc::new(Copied { at: Instant::now(), headers, body });
        if wanted.key.languages.is_some() {
            copies.insert(wanted.key.clone(), copied.clone()).await;
        }
        copies.insert(wanted.key.in_any(), copied).await;
    }

    /// The copy for this request, with its age (RFC 9111, 5.1): in the languages asked for, or else in others.
    pub(crate) async fn find(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        let copies = self.0.as_ref().filter(|_| request.method() == Method::GET)?;
        let key = Key::of(request);
        let in_these = copies.get(&key).await;
        let copied = match in_these {
            Some(copied) => copied,
            None => copies.get(&key.in_any()).await?,
        };
        let mut response = HttpResponse::Ok();
        for (name, value) in &copied.headers {
            response.append_header((name.clone(), value.clone()));
        }
        response.insert_header((AGE, copied.at.elapsed().as_secs()));
        Some(response.body(copied.body.clone()))
    }
}

/// A page without these words.
fn without(page: &Bytes, words: &str) -> Bytes {
    String::from_utf8_lossy(page).replace(words, "").into()
}

/// Scheme and host as pages repeat them in their links. A client may say what it likes of them (`Host`, `X-Forwarded-Host`,
/// `Forwarded`): what came of that is shown to those who say the same.
fn origin(request: &ServiceRequest) -> String {
    let connection = request.connection_info();
    format!("{}://{}", connection.scheme(), connection.host())
}

fn languages(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    sent.filter(|languages| languages.len() <= LANGUAGES).map(str::to_ascii_lowercase)
}

fn is_anybodys(response: &ServiceResponse<BoxBody>, nobodys: bool) -> bool {
    let headers = response.headers();
    let said = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let says = |word: &str| said.split(',').any(|part| part.trim().eq_ignore_ascii_case(word));
    let told = response.response().extensions().contains::<Personal>();
    response.status() == StatusCode::OK
        && !says("no-store")
        && (!headers.contains_key(SET_COOKIE) || nobodys && told)
        && (says("public") || nobodys && says("private"))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_list_of_languages_tells_copies_apart_unless_it_is_longer_than_any_browsers() {
        let asked = |sent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_str(sent).unwrap());
            languages(&headers)
        };
        assert_eq!(asked("zh-CN,EN;q=0.8").unwrap(), "zh-cn,en;q=0.8");
        assert_eq!(asked(&"x".repeat(LANGUAGES)).unwrap().len(), LANGUAGES);
        assert_eq!(asked(&"x".repeat(LANGUAGES + 1)), None);
    }
}
