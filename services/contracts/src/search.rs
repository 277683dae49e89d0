//! Search.

use garde::Validate;
use kernel::{Currency, Page};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::catalog::ProductCard;

/// Error codes.
pub mod code {
    kernel::codes! {
        REBUILDING = 409 "search.rebuilding" "The index is being rebuilt already";
    }
}

/// Order of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Best match first.
    #[default]
    Relevance,
    /// Cheapest first.
    PriceAsc,
    /// Dearest first.
    PriceDesc,
    /// Newest first.
    Newest,
    /// Most sold first.
    BestSelling,
}

/// A search.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct SearchQuery {
    /// Words; everything when empty.
    #[garde(length(chars, max = 200))]
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Category by id or slug; products below it count.
    #[garde(length(max = 200))]
    #[param(max_length = 200)]
    pub category: Option<String>,
    /// Brand by id or slug.
    #[garde(length(max = 200))]
    #[param(max_length = 200)]
    pub brand: Option<String>,
    /// Lowest price, in minor units of `currency`.
    #[garde(range(min = 0))]
    #[param(minimum = 0)]
    pub min_price: Option<i64>,
    /// Highest price, in minor units of `currency`.
    #[garde(range(min = 0))]
    #[param(minimum = 0)]
    pub max_price: Option<i64>,
    /// What prices are compared, filtered and shown in, as an ISO 4217 code; USD when absent. A product that is not sold in it is
    /// found too, shown with a price of its own, last when sorted by price, and by no price filter.
    #[garde(skip)]
    #[param(value_type = Option<String>, pattern = "^[A-Z]{3}$")]
    pub currency: Option<Currency>,
    /// `true`: only what can be bought now; `false`: only what is sold out; both when absent.
    #[garde(skip)]
    pub in_stock: Option<bool>,
    /// Order of results; `relevance` when absent.
    #[garde(skip)]
    #[param(inline)]
    pub sort: Option<Sort>,
    /// From the page before.
    #[garde(length(max = 1000))]
    #[param(max_length = 1000)]
    pub cursor: Option<String>,
    /// 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

/// A result.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    /// The product.
    #[serde(flatten)]
    pub product: ProductCard,
    /// Title with the matching words in `<mark>`; escaped HTML otherwise.
    pub highlight: String,
}

/// One value of a facet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FacetValue {
    /// What to filter by: a slug, or a price range `min-max` in minor units.
    pub value: String,
    /// What to show.
    pub label: String,
    /// How many results have it.
    pub count: u64,
}

/// Facets: each counts results of the search without its own filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facets {
    /// Categories.
    pub category: Vec<FacetValue>,
    /// Brands.
    pub brand: Vec<FacetValue>,
    /// Price ranges.
    pub price: Vec<FacetValue>,
    /// `true` and `false`.
    pub in_stock: Vec<FacetValue>,
}

/// Results. Lags behind the database by about a second; consistency tokens do not reach it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SearchResults {
    /// This page.
    pub items: Vec<SearchHit>,
    /// Facets of the whole search.
    pub facets: Facets,
    /// Results in all.
    pub total: u64,
    /// Ask for the next page with this.
    pub next_cursor: Option<String>,
    /// The word that was searched instead, where the typed one has no result.
    pub corrected: Option<String>,
}

/// Asks for suggestions.
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct SuggestQuery {
    /// What was typed so far; hot words when empty.
    #[garde(length(chars, max = 100))]
    #[param(max_length = 100)]
    pub q: Option<String>,
}

/// What to search for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Suggestions {
    /// Up to ten texts, best first.
    pub items: Vec<String>,
}

/// What a check of the index against the database found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexReport {
    /// Products sold, in the database.
    pub expected: u64,
    /// Documents in the index.
    pub indexed: u64,
    /// Sold, but not in the index.
    pub missing: u64,
    /// In the index, but not sold.
    pub extra: u64,
    /// In both, but with another version, prices or stock.
    pub stale: u64,
    /// How many of these were repaired.
    pub repaired: u64,
}

/// Checks the index.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckIndex {
    /// Whether to repair what is wrong.
    #[garde(skip)]
    #[serde(default)]
    pub repair: bool,
}

/// A page of the sold products of a shop, as cards; for listings that do not come from words.
pub type Cards = Page<ProductCard>;

/// The currency of searches that name none.
pub const INDEX_CURRENCY: Currency = Currency::USD;

contract! {
    /// Search over sold products.
    Search as "search", SearchClient, SearchDispatcher {
        /// Searches.
        search(SearchQuery) -> SearchResults;
        /// Suggests what to search for.
        suggest(SuggestQuery) -> Suggestions;
        /// Words searched most in the last day, only those with results.
        hot_words(()) -> Suggestions;
        /// Builds a new index and swaps it in (`operations.write`).
        rebuild(()) -> IndexReport;
        /// Compares the index with the database (`operations.read`; with repair `operations.write`).
        check(CheckIndex) -> IndexReport;
    }
}
