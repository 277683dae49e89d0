//! The port: what a shop asks of a product index.

use std::fmt;

use async_trait::async_trait;
use kernel::{Currency, Money, Result};
use uuid::Uuid;

/// A category or brand as a document carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its id as text.
    pub id: String,
    /// Name in URLs.
    pub slug: String,
    /// Name.
    pub name: String,
}

/// A sold product as the index keeps it.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its id.
    pub id: Uuid,
    /// Grows with every change of the catalog's data.
    pub version: i64,
    /// Name in URLs; searched as a whole.
    pub slug: String,
    /// Title.
    pub title: String,
    /// Brand.
    pub brand: Option<Named>,
    /// From the top down to the main category.
    pub categories: Vec<Named>,
    /// Tags.
    pub tags: Vec<String>,
    /// Values of attributes and options.
    pub attributes: Vec<String>,
    /// Plain text that is searched but weighs least.
    pub description: String,
    /// Codes of its SKUs; searched as a whole.
    pub sku_codes: Vec<String>,
    /// Lowest price in each currency it is sold in, none negative; of two in one currency the first counts.
    pub prices: Vec<Money>,
    /// Whether any SKU can be bought now.
    pub in_stock: bool,
    /// When it was first published, in microseconds; 0 when unknown.
    pub published_at: i64,
    /// Units sold.
    pub sold: i64,
    /// What a hit returns, as JSON; opaque here.
    pub card: String,
}

/// A change to the index.
#[derive(Clone, Debug)]
pub enum Change {
    /// Puts a document in, in place of the one with its id.
    Upsert(Box<Document>),
    /// Takes a document out; harmless when it is not there.
    Delete(Uuid),
}

/// Order of hits. Equal ones: more sold first (relevance only), then the newer id first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Best match first; without words, newest first.
    Relevance,
    /// Cheapest first, in the search's currency; those without a price in it last.
    PriceAsc,
    /// Dearest first, in the search's currency; those without a price in it last.
    PriceDesc,
    /// Newest first.
    Newest,
    /// Most sold first.
    BestSelling,
}

/// What hits must be, beside matching the words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// In this category or below it, by id or slug in any case; an unknown one has no hits.
    pub category: Option<String>,
    /// Of this brand, by id or slug in any case; an unknown one has no hits.
    pub brand: Option<String>,
    /// Lowest price, inclusive, in minor units of the search's currency.
    pub min_price: Option<i64>,
    /// Highest price, inclusive, in minor units of the search's currency.
    pub max_price: Option<i64>,
    /// `true`: only what can be bought. `false`: only what cannot. Absent: both.
    pub in_stock: Option<bool>,
}

/// A search.
#[derive(Clone, Debug)]
pub struct Query {
    /// Words; every document when there is none in it.
    pub words: String,
    /// What hits must be.
    pub filters: Filters,
    /// What prices are compared in. A document that is not sold in it is found, but not by a price.
    pub currency: Currency,
    /// Order of hits.
    pub order: Order,
    /// Hits to leave out.
    pub offset: usize,
    /// Hits to return.
    pub limit: usize,
    /// Whether to count facets.
    pub facets: bool,
}

/// A hit.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The document's id.
    pub id: Uuid,
    /// How well it matches; comparable within one search only; 0 unless ordered by relevance.
    pub score: f32,
    /// The document's card.
    pub card: String,
    /// Its title: escaped HTML with the matching words in `<mark>`.
    pub highlight: String,
}

/// How many hits have a category or brand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetCount {
    /// The category or brand.
    pub of: Named,
    /// How many.
    pub count: u64,
}

/// How many hits cost so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceRange {
    /// From, inclusive, in minor units of the search's currency.
    pub min: i64,
    /// To, inclusive.
    pub max: i64,
    /// How many.
    pub count: u64,
}

/// Facets. Each is counted over the search without its own filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// Categories, most hits first; at most 100.
    pub categories: Vec<FacetCount>,
    /// Brands, most hits first; at most 100.
    pub brands: Vec<FacetCount>,
    /// Price ranges, lowest first; at most six, with round limits.
    pub prices: Vec<PriceRange>,
    /// How many can be bought.
    pub in_stock: u64,
    /// How many cannot.
    pub out_of_stock: u64,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// This page.
    pub hits: Vec<Hit>,
    /// Hits in all.
    pub total: u64,
    /// Facets, where asked for.
    pub facets: Facets,
    /// The words that were searched instead, where a typed one occurs nowhere.
    pub corrected: Option<String>,
}

/// What a check compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The document's id.
    pub id: Uuid,
    /// Its version.
    pub version: i64,
    /// Its prices, by currency code.
    pub prices: Vec<Money>,
    /// Whether it can be bought.
    pub in_stock: bool,
}

/// An index of products.
///
/// A word matches as it is, as the beginning of a word when it is the last one and still being typed, and with typos: none in
/// words of up to four letters, one from five on, two from nine on; a wrong first letter counts as two.
///
/// Errors: `server.unavailable` while there is nothing to search yet, when another process holds the writer's place, when
/// too many searches wait, or while the server that searches cannot be reached; `server.internal` when the storage fails.
#[async_trait]
pub trait ProductIndex: Send + Sync + fmt::Debug {
    /// Searches.
    async fn search(&self, query: Query) -> Result<Found>;
    /// Names of brands and categories and titles of products that go on from what was typed, best first.
    async fn suggest(&self, typed: String, limit: usize) -> Result<Vec<String>>;
    /// Applies changes and commits them together. `server.unavailable` in a process that may not write.
    async fn apply(&self, changes: Vec<Change>) -> Result<()>;
    /// Begins a new generation. `request.conflict` while another is being filled; `server.unavailable` in a process that may
    /// not write.
    async fn rebuild(&self) -> Result<Box<dyn IndexRebuild>>;
    /// Entries in order of their ids, after this one.
    async fn entries(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Entry>>;
    /// How many documents there are.
    async fn count(&self) -> Result<u64>;
    /// Whether this process may write; tries to take the place when it is free.
    async fn may_write(&self) -> Result<bool>;
    /// Changes whenever searches may answer differently than before: what was found under another revision is old.
    fn revision(&self) -> u64;
    /// Loads what the first search would otherwise wait for (the Chinese dictionary).
    async fn warm(&self);
}

/// A generation being filled. Dropped without [`IndexRebuild::finish`], it leaves nothing behind.
#[async_trait]
pub trait IndexRebuild: Send + Sync {
    /// Applies changes to the new generation; nobody sees them yet.
    async fn apply(&self, changes: Vec<Change>) -> Result<()>;
    /// Makes the new generation the one that answers.
    async fn finish(self: Box<Self>) -> Result<()>;
}
