//! `GET /`: the way in.

use actix_web::http::StatusCode;
use askama::Template;
use contracts::search::{SearchQuery, Sort};
use kernel::Result;

use crate::{card::Card, categories::Link, error::Answer, frame::Frame, link, visitor::Visitor};

/// Products in a row of the home page.
const ROW: u32 = 8;
/// Categories on the home page.
const CATEGORIES: usize = 12;

#[derive(Template)]
#[template(path = "home.html")]
pub(crate) struct HomePage {
    pub(crate) page: Frame,
    pub(crate) categories: Vec<Link>,
    pub(crate) newest: Vec<Card>,
    pub(crate) best_selling: Vec<Card>,
    pub(crate) hot: Vec<(String, String)>,
}

/// The home page. A part that cannot be had is left out: the others still sell.
pub(crate) async fn home(visitor: Visitor) -> Answer {
    let shop = visitor.shop();
    let ctx = visitor.ctx();
    let row = |sort| SearchQuery { sort: Some(sort), limit: Some(ROW), ..SearchQuery::default() };
    let (tree, newest, best, hot) = futures::join!(
        shop.categories.tree(&*shop.catalog, &*shop.clock, &ctx),
        shop.search.search(&ctx, row(Sort::Newest)),
        shop.search.search(&ctx, row(Sort::BestSelling)),
        shop.search.hot_words(&ctx, ()),
    );
    let cards = |results: Option<contracts::search::SearchResults>| -> Vec<Card> {
        results
            .map(|results| {
                results.items.iter().map(|hit| Card::new(visitor.locale(), &hit.product)).collect()
            })
            .unwrap_or_default()
    };
    let newest = cards(or_none("newest", newest));
    let mut best_selling = cards(or_none("best_selling", best));
    // As long as nothing was sold the best sellers are the newest: once is enough.
    if best_selling.iter().map(|card| &card.href).eq(newest.iter().map(|card| &card.href)) {
        best_selling.clear();
    }
    let title = visitor.text("home-title");
    let page = HomePage {
        page: visitor.frame(title).listed(visitor.text("home-description")),
        categories: or_none("categories", tree)
            .map(|tree| tree.top.iter().take(CATEGORIES).cloned().collect())
            .unwrap_or_default(),
        newest,
        best_selling,
        hot: or_none("hot_words", hot)
            .map(|hot| hot.items.into_iter().take(10).map(|word| (search_for(&word), word)).collect())
            .unwrap_or_default(),
    };
    visitor.show(StatusCode::OK, &page)
}

/// Where a search for `word` is.
pub(crate) fn search_for(word: &str) -> String {
    link::with_params("/search", [("q", word)])
}

fn or_none<T>(part: &'static str, outcome: Result<T>) -> Option<T> {
    outcome
        .inspect_err(
            |failure| tracing::warn!(page.part = part, error = ?failure, "left out of the home page"),
        )
        .ok()
}
