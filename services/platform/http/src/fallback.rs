//! What no handler answers.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::header::ALLOW};
use futures::future::LocalBoxFuture;
use kernel::{Failure, code};

use crate::{error::problem, shared::Shared};

type Page = dyn Fn(HttpRequest) -> LocalBoxFuture<'static, HttpResponse> + Send + Sync;

/// The page for a path that does not exist, outside `/api`. The storefront registers its own as application data:
/// `cfg.app_data(NotFoundPage::new(|req| Box::pin(async move { … })))`.
#[derive(Clone)]
pub struct NotFoundPage(Arc<Page>);

impl NotFoundPage {
    /// A page made by `page`, which sets the status (404) itself.
    pub fn new(
        page: impl Fn(HttpRequest) -> LocalBoxFuture<'static, HttpResponse> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(page))
    }
}

impl std::fmt::Debug for NotFoundPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NotFoundPage")
    }
}

/// Whether a path belongs to programs rather than people.
pub(crate) fn for_programs(path: &str) -> bool {
    ["/api", "/internal", "/.well-known"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// `405` with `Allow` for a path that has other methods, else `404`.
pub(crate) async fn fallback(req: HttpRequest) -> HttpResponse {
    let allow = Shared::of(&req).ok().and_then(|shared| shared.routes.allow(req.path()));
    if let Some(allow) = allow {
        let mut response = problem(&Failure::new(code::METHOD).detail(format!("allowed: {allow}")));
        if let Ok(allow) = allow.try_into() {
            response.headers_mut().insert(ALLOW, allow);
        }
        return response;
    }
    let page = req.app_data::<NotFoundPage>().filter(|_| !for_programs(req.path())).cloned();
    match page {
        Some(NotFoundPage(page)) => page(req).await,
        None => problem(&Failure::not_found("path")),
    }
}
