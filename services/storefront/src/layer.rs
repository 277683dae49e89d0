//! Around every page: finds out who visits, refuses forms of strangers, sets cookies and headers, and shows errors as
//! pages.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE, VARY,
        },
    },
    middleware::Next,
    web::Data,
};
use askama::Template;
use kernel::{Failure, code};

use platform_http::{Asked, Personal};

use crate::{
    csp,
    error::PageError,
    frame::Frame,
    link,
    locale::Locale,
    shop::Shop,
    visitor::{LANGUAGE, Visitor},
};

/// The page for what went wrong.
#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    pub(crate) page: Frame,
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) request_id: String,
}

/// Runs a page's handler between arrival and departure.
pub(crate) async fn layer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let shop = registered(request.request())?;
    let (visitor, refused) = admit(&shop, request.request()).await;
    request.extensions_mut().insert(visitor.clone());
    let mut response = match refused {
        Some(error) => request.error_response(error),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    if let Some(page) = error_page(&visitor, response.request(), response.response()) {
        let (request, _) = response.into_parts();
        response = ServiceResponse::new(request, page);
    }
    depart(&visitor, response.headers_mut());
    response.response_mut().extensions_mut().insert(Personal(visitor.form_token()));
    Ok(response)
}

/// The page for a path that does not exist.
pub(crate) async fn not_found(request: HttpRequest) -> HttpResponse {
    let Ok(shop) = registered(&request) else { return HttpResponse::NotFound().finish() };
    let (visitor, refused) = admit(&shop, &request).await;
    let error = refused.unwrap_or_else(PageError::not_found);
    let response = HttpResponse::from_error(error);
    let mut response = error_page(&visitor, &request, &response).unwrap_or(response);
    depart(&visitor, response.headers_mut());
    response
}

/// The page for a request that reached no handler: over a limit, overloaded, too slow. It knows nobody and asks nobody.
pub(crate) fn refused(asked: &Asked, failure: &Failure) -> HttpResponse {
    let locale = asked
        .cookie(LANGUAGE)
        .and_then(Locale::parse)
        .or_else(|| asked.languages().and_then(Locale::accepted))
        .unwrap_or_default();
    let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let page = ErrorPage {
        page: Frame::plain(locale, locale.text(title_key(status))),
        status: status.as_u16(),
        text: locale.find(&error_key(failure.code())).unwrap_or_else(|| locale.text("error-other")),
        request_id: asked.request_id.clone(),
    };
    let mut response = match page.render() {
        Ok(html) => HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html),
        Err(_) => HttpResponse::new(status),
    };
    let headers = response.headers_mut();
    csp::protect(headers);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = failure.problem().retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    response
}

fn registered(request: &HttpRequest) -> Result<Data<Shop>, PageError> {
    let shop = request.app_data::<Data<Shop>>().cloned();
    shop.ok_or_else(|| PageError::Failure(Failure::internal("the storefront is not registered")))
}

/// Finds out who visits, and whether the request goes on to its handler.
async fn admit(shop: &Data<Shop>, request: &HttpRequest) -> (Visitor, Option<PageError>) {
    let (visitor, identified) = Visitor::arrive(shop, request).await;
    let ours = csp::from_our_pages(request, Visitor::public_url(shop).as_ref());
    let refused = if ours { identified.err().map(PageError::Failure) } else { Some(PageError::Forged) };
    (visitor, refused)
}

fn depart(visitor: &Visitor, headers: &mut HeaderMap) {
    csp::protect(headers);
    if !headers.contains_key(CACHE_CONTROL) {
        let kept = if visitor.is_member() { "no-store" } else { "private, no-cache" };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    }
    headers.insert(VARY, HeaderValue::from_static("Cookie, Accept-Language"));
    for cookie in visitor.take_cookies() {
        if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
            headers.append(SET_COOKIE, value);
        }
    }
}

/// The page in place of an answer that is an error and has no page of its own.
fn error_page(visitor: &Visitor, request: &HttpRequest, response: &HttpResponse) -> Option<HttpResponse> {
    let error = response.error();
    if let Some(PageError::LogIn(next)) = error.and_then(|error| error.as_error::<PageError>()) {
        return Some(to_login(visitor, request, next));
    }
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || (error.is_none() && response.headers().contains_key(CONTENT_TYPE)) {
        return None;
    }
    let failure = match error.and_then(|error| error.as_error::<PageError>()) {
        Some(PageError::Failure(failure)) => Some(failure),
        _ => None,
    };
    let key = match (failure, error.and_then(|error| error.as_error::<PageError>())) {
        (_, Some(PageError::Forged)) => "error-forged".to_owned(),
        (Some(failure), _) => error_key(failure.code()),
        _ => match status.as_u16() {
            404 => error_key(code::NOT_FOUND.name),
            405 => error_key(code::METHOD.name),
            413 => error_key(code::TOO_LARGE.name),
            429 => error_key(code::RATE_LIMITED.name),
            400..=499 => error_key(code::MALFORMED.name),
            _ => error_key(code::INTERNAL.name),
        },
    };
    if status.is_server_error() {
        tracing::error!(
            http.route = request.match_pattern().unwrap_or_default(),
            http.status = status.as_u16(),
            error = ?failure.map_or_else(|| error.map(ToString::to_string).unwrap_or_default(), |f| format!("{f:?}")),
            "a page failed"
        );
    }
    Some(plain_error(visitor, status, &key, failure.and_then(|failure| failure.problem().retry_after)))
}

/// On to the log-in page; a script that asked for a part of a page is told to load the whole one.
fn to_login(visitor: &Visitor, request: &HttpRequest, next: &str) -> HttpResponse {
    let login = link::with_params("/login", [("next", next)]);
    if request.headers().contains_key("hx-request") {
        return HttpResponse::NoContent().insert_header(("HX-Redirect", login)).finish();
    }
    visitor.go(&login)
}

/// The key of the text for an error code.
pub(crate) fn error_key(code: &str) -> String {
    format!("error-{}", code.replace(['.', '_'], "-"))
}

fn title_key(status: StatusCode) -> &'static str {
    match status.as_u16() {
        404 => "error-title-404",
        403 => "error-title-403",
        429 => "error-title-429",
        400..=499 => "error-title-4xx",
        503 | 504 => "error-title-503",
        _ => "error-title-500",
    }
}

/// The page for an error by its text's key; texts that are missing fall back to the status' own.
pub(crate) fn plain_error(
    visitor: &Visitor,
    status: StatusCode,
    key: &str,
    retry_after: Option<u32>,
) -> HttpResponse {
    let text = visitor.locale().find(key).unwrap_or_else(|| visitor.text("error-other"));
    // The address of a form's target may not be one that can be read.
    let mut page = visitor.frame(visitor.text(title_key(status)));
    if status != StatusCode::NOT_FOUND {
        page = page.at("/");
    }
    let page = ErrorPage { page, status: status.as_u16(), text, request_id: visitor.ctx().request_id };
    let mut response = visitor.show(status, &page).unwrap_or_else(|_| HttpResponse::new(status));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    response
}
