//! Routes.

use std::sync::Arc;

use actix_web::{get, post, web::Data};
use contracts::search::{
    CheckIndex, IndexReport, Search, SearchQuery, SearchResults, SuggestQuery, Suggestions,
};
use platform_http::{Answer, Anyone, Params, Routes, Staff, Valid, ok};

/// The routes of search.
pub(crate) fn routes(search: Arc<dyn Search>) -> Routes {
    Arc::new(move |cfg| {
        cfg.app_data(Data::from(Arc::clone(&search)))
            .service(suggest)
            .service(search_products)
            .service(rebuild_index)
            .service(check_index);
    })
}

/// Searches products. Results lag behind the shop by about a second.
#[utoipa::path(tag = "search", params(SearchQuery), responses((status = 200, body = SearchResults)))]
#[get("/api/v1/search")]
async fn search_products(
    search: Data<dyn Search>,
    Anyone(ctx): Anyone,
    Params(query): Params<SearchQuery>,
) -> Answer {
    Ok(ok(search.search(&ctx, query).await?))
}

/// Suggests what to search for: up to ten texts that go on from what was typed, or what is searched most.
#[utoipa::path(tag = "search", params(SuggestQuery), responses((status = 200, body = Suggestions)))]
#[get("/api/v1/search/suggestions")]
async fn suggest(
    search: Data<dyn Search>,
    Anyone(ctx): Anyone,
    Params(query): Params<SuggestQuery>,
) -> Answer {
    Ok(ok(search.suggest(&ctx, query).await?))
}

/// Builds a new search index from the database and swaps it in. Where that takes longer than a request may, the answer is 504 and
/// the work goes on.
#[utoipa::path(tag = "search", responses((status = 200, body = IndexReport)))]
#[post("/api/v1/admin/search/rebuild")]
async fn rebuild_index(search: Data<dyn Search>, Staff(ctx): Staff) -> Answer {
    Ok(ok(search.rebuild(&ctx, ()).await?))
}

/// Compares the search index with the database; repairs it when asked to.
#[utoipa::path(
    tag = "search",
    request_body = CheckIndex,
    responses((status = 200, body = IndexReport))
)]
#[post("/api/v1/admin/search/check")]
async fn check_index(
    search: Data<dyn Search>,
    Staff(ctx): Staff,
    Valid(command): Valid<CheckIndex>,
) -> Answer {
    Ok(ok(search.check(&ctx, command).await?))
}
