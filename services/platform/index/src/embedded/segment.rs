//! What searches read of a segment, decoded once when the segment appears (segments never change).

use std::sync::Arc;

use kernel::{Failure, Result};
use tantivy::{SegmentReader, columnar::StrColumn};

use super::{
    labels::Labels,
    prices::Prices,
    schema::{Fields, fast},
    vocabulary::Vocabulary,
};

/// No brand.
pub(crate) const NO_LABEL: u32 = u32::MAX;

/// Columns by document number, and the segment's vocabulary. About 70 bytes a document.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) ids: Vec<u128>,
    pub(crate) prices: Prices,
    pub(crate) published_at: Vec<i64>,
    pub(crate) sold: Vec<i64>,
    pub(crate) in_stock: Vec<bool>,
    pub(crate) brands: Vec<u32>,
    category_starts: Vec<u32>,
    categories: Vec<u32>,
    pub(crate) vocabulary: Vocabulary,
}

impl Segment {
    /// Decodes a segment; labels it has and others had not are numbered.
    pub(crate) fn decode(reader: &SegmentReader, fields: &Fields, labels: &mut Arc<Labels>) -> Result<Self> {
        let docs = reader.max_doc();
        let columns = reader.fast_fields();
        let u64s = |name: &str| columns.u64(name).map_err(Failure::internal);
        let i64s = |name: &str| columns.i64(name).map_err(Failure::internal);
        let (high, low) = (u64s(fast::ID_HIGH)?, u64s(fast::ID_LOW)?);
        let (published_at, sold) = (i64s(fast::PUBLISHED_AT)?, i64s(fast::SOLD)?);
        let in_stock = columns.bool(fast::IN_STOCK).map_err(Failure::internal)?;
        let half = |column: &tantivy::columnar::Column<u64>, doc| u128::from(column.first(doc).unwrap_or(0));
        let (brand_starts, brands) =
            label_column(columns.str(fast::BRAND).map_err(Failure::internal)?, docs, labels)?;
        let (category_starts, categories) =
            label_column(columns.str(fast::CATEGORY).map_err(Failure::internal)?, docs, labels)?;
        let brand =
            |starts: &[u32]| if starts[0] < starts[1] { brands[starts[0] as usize] } else { NO_LABEL };
        Ok(Self {
            ids: (0..docs).map(|doc| (half(&high, doc) << 64) | half(&low, doc)).collect(),
            prices: Prices::decode(&u64s(fast::PRICES)?, docs),
            published_at: (0..docs).map(|doc| published_at.first(doc).unwrap_or(0)).collect(),
            sold: (0..docs).map(|doc| sold.first(doc).unwrap_or(0)).collect(),
            in_stock: (0..docs).map(|doc| in_stock.first(doc).unwrap_or(false)).collect(),
            brands: brand_starts.windows(2).map(brand).collect(),
            category_starts,
            categories,
            vocabulary: Vocabulary::read(reader, fields.word)?,
        })
    }

    /// The categories of a document.
    pub(crate) fn categories(&self, doc: usize) -> &[u32] {
        let at = |index: usize| self.category_starts.get(index).copied().unwrap_or(0) as usize;
        self.categories.get(at(doc)..at(doc + 1)).unwrap_or_default()
    }
}

/// Labels of all documents one after another, and where each document's begin (with one more at the end).
fn label_column(
    column: Option<StrColumn>,
    docs: u32,
    labels: &mut Arc<Labels>,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let mut starts = Vec::with_capacity(docs as usize + 1);
    let mut all = Vec::new();
    starts.push(0);
    let Some(column) = column else {
        starts.resize(docs as usize + 1, 0);
        return Ok((starts, all));
    };
    let mut numbers = Vec::with_capacity(column.num_terms());
    let mut text = String::new();
    for ordinal in 0..column.num_terms() as u64 {
        text.clear();
        column.ord_to_str(ordinal, &mut text).map_err(Failure::internal)?;
        // Copied only when there is a new one: searches hold the labels as they were.
        numbers.push(match labels.known(&text) {
            Some(number) => number,
            None => Arc::make_mut(labels).number(&text),
        });
    }
    for doc in 0..docs {
        for ordinal in column.ords().values_for_doc(doc) {
            let number = usize::try_from(ordinal).ok().and_then(|ordinal| numbers.get(ordinal));
            all.extend(number);
        }
        starts.push(u32::try_from(all.len()).map_err(Failure::internal)?);
    }
    Ok((starts, all))
}
