//! How a browser is told what went wrong where no handler could say it: over a limit, overloaded, too slow, panicked.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    http::header::{ACCEPT, ACCEPT_LANGUAGE, COOKIE, HeaderMap, HeaderName},
};
use kernel::Failure;

use crate::fallback::for_programs;

type Page = dyn Fn(&Asked, &Failure) -> HttpResponse + Send + Sync;

/// The page for such a failure, outside `/api`. The storefront registers its own as application data:
/// `cfg.app_data(ErrorPage::new(|asked, failure| …))`. It is made without asking anybody: where this process is overloaded,
/// telling so must cost little.
#[derive(Clone)]
pub struct ErrorPage(Arc<Page>);

impl ErrorPage {
    /// A page made by `page`, which sets the failure's status and `Retry-After` itself.
    pub fn new(page: impl Fn(&Asked, &Failure) -> HttpResponse + Send + Sync + 'static) -> Self {
        Self(Arc::new(page))
    }
}

impl std::fmt::Debug for ErrorPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErrorPage")
    }
}

/// What such a page may know of the request: its id, and in which language to speak.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request's id, to be quoted to staff.
    pub request_id: String,
    headers: HeaderMap,
}

impl Asked {
    /// `Accept-Language`.
    pub fn languages(&self) -> Option<&str> {
        self.headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok())
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.get_all(COOKIE).filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(known, value)| (known == name).then_some(value))
    }
}

/// A browser that waits for a page.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    page: ErrorPage,
    asked: Asked,
}

impl Browser {
    /// The browser that sent `req`, where it wants HTML from a path for people.
    pub(crate) fn of(req: &ServiceRequest, request_id: &str) -> Option<Self> {
        let wants_html = |value: &str| value.to_ascii_lowercase().contains("text/html");
        if for_programs(req.path())
            || !req.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(wants_html)
        {
            return None;
        }
        let page = req.app_data::<ErrorPage>()?.clone();
        let mut headers = HeaderMap::new();
        let mut keep = |name: HeaderName| {
            for value in req.headers().get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        };
        keep(ACCEPT_LANGUAGE);
        keep(COOKIE);
        Some(Self { page, asked: Asked { request_id: request_id.to_owned(), headers } })
    }

    pub(crate) fn page(&self, failure: &Failure) -> HttpResponse {
        (self.page.0)(&self.asked, failure)
    }
}
