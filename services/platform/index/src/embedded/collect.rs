//! One pass over the documents that match: the best hits, the total, and every facet.
//!
//! Filters are not part of tantivy's query: a document that fails exactly one filter still counts for that filter's own facet.

use std::sync::Arc;

use kernel::Currency;
use tantivy::{
    DocAddress, DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
};

use super::{facets::Counts, segment::Segment};
use crate::Order;

/// What a search filters and wants, resolved against a snapshot.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Labels of the wanted category; empty: an unknown one, nothing passes.
    pub(crate) category: Option<Vec<u32>>,
    /// Labels of the wanted brand.
    pub(crate) brand: Option<Vec<u32>>,
    pub(crate) min_price: Option<i64>,
    pub(crate) max_price: Option<i64>,
    pub(crate) in_stock: Option<bool>,
    /// What prices are compared in.
    pub(crate) currency: Currency,
    pub(crate) order: Order,
    /// Hits to keep.
    pub(crate) keep: usize,
    pub(crate) facets: bool,
    /// How many labels there are.
    pub(crate) labels: usize,
}

impl Plan {
    fn price_fits(&self, price: Option<i64>) -> bool {
        if self.min_price.is_none() && self.max_price.is_none() {
            return true;
        }
        price.is_some_and(|price| {
            self.min_price.is_none_or(|min| price >= min) && self.max_price.is_none_or(|max| price <= max)
        })
    }

    /// Larger is better.
    fn rank(&self, segment: &Segment, doc: usize, price: Option<i64>, score: Score) -> u64 {
        match self.order {
            Order::Relevance => {
                // Positive floats sort like their bits.
                let sold = u32::try_from(segment.sold[doc].max(0)).unwrap_or(u32::MAX);
                (u64::from(score.max(0.0).to_bits()) << 32) | u64::from(sold)
            }
            Order::PriceAsc => price.map_or(0, |price| !ascending(price)),
            Order::PriceDesc => price.map_or(0, ascending),
            Order::Newest => ascending(segment.published_at[doc]),
            Order::BestSelling => ascending(segment.sold[doc]),
        }
    }
}

/// A number that sorts as the signed one does. 0 only for `i64::MIN`, which no price is.
fn ascending(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

/// A hit while they are compared: rank, then id.
pub(crate) type Ranked = ((u64, u128), DocAddress);

/// The best of many, in bounded memory.
#[derive(Debug)]
struct Best {
    keep: usize,
    kept: Vec<Ranked>,
    /// Only better ones can still count.
    threshold: Option<(u64, u128)>,
}

impl Best {
    fn new(keep: usize) -> Self {
        Self { keep, kept: Vec::new(), threshold: None }
    }

    fn add(&mut self, key: (u64, u128), address: DocAddress) {
        if self.keep == 0 || self.threshold.is_some_and(|threshold| key < threshold) {
            return;
        }
        self.kept.push((key, address));
        if self.kept.len() >= 2 * self.keep.max(32) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.kept.len() > self.keep {
            self.kept.select_nth_unstable_by(self.keep - 1, |a, b| b.0.cmp(&a.0));
            self.kept.truncate(self.keep);
            self.threshold = self.kept.last().map(|last| last.0);
        }
    }

    fn sorted(mut self) -> Vec<Ranked> {
        if self.keep > 0 {
            self.shrink();
        }
        self.kept.sort_unstable_by_key(|kept| std::cmp::Reverse(kept.0));
        self.kept
    }
}

/// What was collected.
#[derive(Debug)]
pub(crate) struct Collected {
    /// The best hits, best first.
    pub(crate) best: Vec<Ranked>,
    /// Documents that match the words, whatever the filters.
    pub(crate) matched: u64,
    /// Documents that pass every filter.
    pub(crate) total: u64,
    pub(crate) counts: Counts,
}

/// The collector of a search.
pub(crate) struct Everything {
    pub(crate) plan: Arc<Plan>,
    pub(crate) segments: Vec<Arc<Segment>>,
}

impl Collector for Everything {
    type Fruit = Collected;
    type Child = InSegment;

    fn for_segment(&self, ordinal: SegmentOrdinal, _: &SegmentReader) -> tantivy::Result<InSegment> {
        let segment = self.segments.get(ordinal as usize).cloned();
        let segment = segment
            .ok_or_else(|| tantivy::TantivyError::InternalError("segment is not decoded".to_owned()))?;
        Ok(InSegment {
            ordinal,
            prices: segment.prices.find(self.plan.currency),
            segment,
            best: Best::new(self.plan.keep),
            matched: 0,
            total: 0,
            counts: Counts::new(if self.plan.facets { self.plan.labels } else { 0 }),
            plan: self.plan.clone(),
        })
    }

    fn requires_scoring(&self) -> bool {
        self.plan.order == Order::Relevance
    }

    fn merge_fruits(&self, fruits: Vec<Collected>) -> tantivy::Result<Collected> {
        let mut best = Best::new(self.plan.keep);
        let mut all =
            Collected { best: Vec::new(), matched: 0, total: 0, counts: Counts::new(self.plan.labels) };
        for fruit in fruits {
            all.matched += fruit.matched;
            all.total += fruit.total;
            all.counts.add(&fruit.counts);
            for (key, address) in fruit.best {
                best.add(key, address);
            }
        }
        all.best = best.sorted();
        Ok(all)
    }
}

/// The collector in one segment.
pub(crate) struct InSegment {
    plan: Arc<Plan>,
    segment: Arc<Segment>,
    ordinal: SegmentOrdinal,
    /// Where this segment keeps prices in the search's currency.
    prices: Option<usize>,
    best: Best,
    matched: u64,
    total: u64,
    counts: Counts,
}

impl SegmentCollector for InSegment {
    type Fruit = Collected;

    fn collect(&mut self, id: DocId, score: Score) {
        let (plan, segment, doc) = (&*self.plan, &*self.segment, id as usize);
        self.matched += 1;
        let (brand, price) = (segment.brands[doc], segment.prices.at(self.prices, doc));
        let category_fits = plan
            .category
            .as_ref()
            .is_none_or(|wanted| segment.categories(doc).iter().any(|label| wanted.contains(label)));
        let brand_fits = plan.brand.as_ref().is_none_or(|wanted| wanted.contains(&brand));
        let price_fits = plan.price_fits(price);
        let stock_fits = plan.in_stock.is_none_or(|wanted| segment.in_stock[doc] == wanted);
        let failed =
            [category_fits, brand_fits, price_fits, stock_fits].iter().filter(|fits| !**fits).count();
        if failed > 1 {
            return;
        }
        if failed == 0 {
            self.total += 1;
            self.best.add(
                (plan.rank(segment, doc, price, score), segment.ids[doc]),
                DocAddress::new(self.ordinal, id),
            );
        }
        if plan.facets {
            // With one filter failed, only that filter's facet counts the document.
            if failed == 0 || !category_fits {
                self.counts.categories(segment.categories(doc));
            }
            if failed == 0 || !brand_fits {
                self.counts.brand(brand);
            }
            if failed == 0 || !price_fits {
                self.counts.price(price);
            }
            if failed == 0 || !stock_fits {
                self.counts.stock(segment.in_stock[doc]);
            }
        }
    }

    fn harvest(self) -> Collected {
        Collected { best: self.best.sorted(), matched: self.matched, total: self.total, counts: self.counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_best() {
        let mut best = Best::new(3);
        for n in 0..1_000_u64 {
            best.add(((n * 7_919) % 1_000, u128::from(n)), DocAddress::new(0, 0));
        }
        let ranks: Vec<_> = best.sorted().into_iter().map(|((rank, _), _)| rank).collect();
        assert_eq!(ranks, [999, 998, 997]);
    }

    #[test]
    fn signed_numbers_keep_their_order() {
        let mut values = [5, -5, 0, i64::MAX, -1, 1];
        values.sort_by_key(|&value| ascending(value));
        assert_eq!(values, [-5, -1, 0, 1, 5, i64::MAX]);
    }
}
