//! Full-text index over products: a port, [`ProductIndex`], and its adapters: [`Tantivy`] for one machine, [`Meilisearch`] for a
//! server.
//!
//! Invariants:
//! - An index is a read model: whatever is lost here is built again from the database.
//! - What [`ProductIndex::apply`] returned from is on disk and found by the next search of this process.
//! - A rebuild fills a new generation beside the one that answers; the swap is one step. A crash before it leaves the
//!   old one, and what was begun is removed at the next start.
//! - One process writes at a time. Tantivy's folder has a lock for it, freed by the system when the process ends; a server has
//!   none, so there the caller sees to it. The others read and see changes within [`Settings::refresh`], or at once.
//! - Results have one order: equal keys are told apart by the product's id, so pages of one state neither repeat nor skip.
//!
//! Both adapters pass one suite (`tests/conformance`). What cannot be hidden is in [`Meilisearch`]'s documentation.

mod embedded;
mod highlight;
mod meilisearch;
mod port;
mod ranges;
mod text;
mod typos;

pub use embedded::{Settings, Tantivy};
pub use meilisearch::{Meilisearch, MeilisearchSettings};
pub use port::{
    Change, Document, Entry, FacetCount, Facets, Filters, Found, Hit, IndexRebuild, Named, Order, PriceRange,
    ProductIndex, Query,
};
