//! `GET /search`: results. `GET /search/suggest`: what to search for, as one types.

use actix_web::http::StatusCode;
use askama::Template;
use contracts::search::SuggestQuery;

use crate::{
    error::Answer,
    frame::Frame,
    listing::{Criteria, Listing},
    pages::home::search_for,
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "search.html")]
pub(crate) struct SearchPage {
    pub(crate) page: Frame,
    pub(crate) words: String,
    /// What was searched instead, and where.
    pub(crate) corrected: Option<(String, String)>,
    pub(crate) listing: Listing,
    pub(crate) hot: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "suggestions.html")]
pub(crate) struct SuggestionList {
    pub(crate) items: Vec<(String, String)>,
    pub(crate) label: String,
}

/// Results of a search; without words, everything.
pub(crate) async fn search(visitor: Visitor) -> Answer {
    let shop = visitor.shop();
    let ctx = visitor.ctx();
    let criteria = Criteria::search(&visitor);
    let results = shop.search.search(&ctx, criteria.query(shop.config.page_size)?).await?;
    // Ideas for those who found nothing; they may fail.
    let hot = if results.items.is_empty() {
        shop.search.hot_words(&ctx, ()).await.map(|hot| hot.items).unwrap_or_default()
    } else {
        Vec::new()
    };
    let title = if criteria.q.is_empty() {
        visitor.text("search-all-title")
    } else {
        visitor.locale().text_with("search-title", "words", &criteria.q)
    };
    let page = SearchPage {
        page: visitor.frame(title).searching(&criteria.q),
        corrected: results
            .corrected
            .clone()
            .filter(|word| !word.eq_ignore_ascii_case(&criteria.q))
            .map(|word| (search_for(&word), word)),
        listing: Listing::new(visitor.locale(), &criteria, &results, true),
        words: criteria.q,
        hot: hot.into_iter().take(10).map(|word| (search_for(&word), word)).collect(),
    };
    visitor.show(StatusCode::OK, &page)
}

/// Suggestions as a piece of HTML below the search box.
pub(crate) async fn suggest(visitor: Visitor) -> Answer {
    let q: String = kernel::normalise(visitor.param("q")).chars().take(100).collect();
    let command = SuggestQuery { q: Some(q).filter(|q| !q.is_empty()) };
    let found = visitor.shop().search.suggest(&visitor.ctx(), command).await?;
    let items = found.items.into_iter().take(10).map(|word| (search_for(&word), word)).collect();
    visitor.show(StatusCode::OK, &SuggestionList { items, label: visitor.text("suggestions") })
}
