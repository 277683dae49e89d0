//! Full-text index over products: a port, [`ProductIndex`], and its adapter for one machine, [`Tantivy`].
//!
//! Invariants:
//! - An index is a read model: whatever is lost here is built again from the database.
//! - What [`ProductIndex::apply`] returned from is on disk and found by the next search of this process.
//! - A rebuild fills a new generation beside the one that answers; the swap is one rename. A crash before it leaves the
//!   old one, and what was begun is removed at the next start.
//! - One process writes at a time (a lock on the folder, freed by the system when the process ends); the others read and see
//!   changes within [`Settings::refresh`].
//! - Results have one order: equal keys are told apart by the product's id, so pages of one state neither repeat nor skip.

mod embedded;
mod port;

pub use embedded::{Settings, Tantivy};
pub use port::{
    Change, Document, Entry, FacetCount, Facets, Filters, Found, Hit, IndexRebuild, Named, Order, PriceRange,
    ProductIndex, Query,
};
