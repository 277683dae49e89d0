//! Facets: counting and presenting them.

use std::collections::HashMap;

use super::{collect::Plan, labels::Labels};
use crate::{FacetCount, Facets, PriceRange};

/// Values of a facet that are returned.
const MAX_VALUES: usize = 100;
/// Price ranges that are returned.
const MAX_RANGES: usize = 6;

/// Where price buckets begin, in minor units: 0, then 1, 2 and 5 times every power of ten from 100 on.
fn bounds() -> &'static [i64] {
    const BOUNDS: [i64; 34] = {
        let mut bounds = [0; 34];
        let (mut at, mut power) = (1, 100);
        while at < 34 {
            let step = (at - 1) % 3;
            bounds[at] = power * [1, 2, 5][step];
            if step == 2 {
                power *= 10;
            }
            at += 1;
        }
        bounds
    };
    &BOUNDS
}

/// Counts by label, by price bucket and by stock.
#[derive(Debug)]
pub(crate) struct Counts {
    categories: Vec<u32>,
    brands: Vec<u32>,
    prices: [u64; 34],
    in_stock: u64,
    out_of_stock: u64,
}

impl Counts {
    pub(crate) fn new(labels: usize) -> Self {
        Self {
            categories: vec![0; labels],
            brands: vec![0; labels],
            prices: [0; 34],
            in_stock: 0,
            out_of_stock: 0,
        }
    }

    pub(crate) fn categories(&mut self, labels: &[u32]) {
        for &label in labels {
            if let Some(count) = self.categories.get_mut(label as usize) {
                *count += 1;
            }
        }
    }

    pub(crate) fn brand(&mut self, label: u32) {
        if let Some(count) = self.brands.get_mut(label as usize) {
            *count += 1;
        }
    }

    pub(crate) fn price(&mut self, price: Option<i64>) {
        if let Some(price) = price {
            let bucket = bounds().partition_point(|&bound| bound <= price).saturating_sub(1);
            self.prices[bucket] += 1;
        }
    }

    pub(crate) fn stock(&mut self, in_stock: bool) {
        if in_stock { self.in_stock += 1 } else { self.out_of_stock += 1 }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (ours, theirs) in [(&mut self.categories, &other.categories), (&mut self.brands, &other.brands)] {
            ours.iter_mut().zip(theirs).for_each(|(count, more)| *count += more);
        }
        self.prices.iter_mut().zip(other.prices).for_each(|(count, more)| *count += more);
        self.in_stock += other.in_stock;
        self.out_of_stock += other.out_of_stock;
    }

    /// The facets as the caller gets them.
    pub(crate) fn present(&self, plan: &Plan, labels: &Labels) -> Facets {
        Facets {
            categories: values(&self.categories, labels, plan.category.as_deref()),
            brands: values(&self.brands, labels, plan.brand.as_deref()),
            prices: ranges(&self.prices),
            in_stock: self.in_stock,
            out_of_stock: self.out_of_stock,
        }
    }
}

/// The values with most hits; the chosen one is among them even when others have more.
fn values(counts: &[u32], labels: &Labels, chosen: Option<&[u32]>) -> Vec<FacetCount> {
    // Labels of one id, of which only the name differs, are one value: the one seen last gives the name.
    let mut by_id: HashMap<&str, (FacetCount, bool)> = HashMap::new();
    for (number, &count) in (0_u32..).zip(counts).filter(|(_, count)| **count > 0) {
        let Some(label) = labels.get(number) else { continue };
        let (value, is_chosen) = by_id
            .entry(&label.named.id)
            .or_insert_with(|| (FacetCount { of: label.named.clone(), count: 0 }, false));
        value.of = label.named.clone();
        value.count += u64::from(count);
        *is_chosen |= chosen.is_some_and(|chosen| chosen.contains(&number));
    }
    let mut values: Vec<_> = by_id.into_values().collect();
    values.sort_by(|(a, _), (b, _)| b.count.cmp(&a.count).then_with(|| a.of.slug.cmp(&b.of.slug)));
    let hidden_choice = values.iter().skip(MAX_VALUES).position(|(_, is_chosen)| *is_chosen);
    if let Some(at) = hidden_choice {
        values.swap(MAX_VALUES - 1, MAX_VALUES + at);
    }
    values.truncate(MAX_VALUES);
    values.into_iter().map(|(value, _)| value).collect()
}

/// At most six ranges: neighbours with the fewest hits are joined until few enough are left and none is empty.
fn ranges(counts: &[u64]) -> Vec<PriceRange> {
    let end = |at: usize| bounds().get(at + 1).map_or(i64::MAX, |next| next - 1);
    let Some(first) = counts.iter().position(|&count| count > 0) else { return Vec::new() };
    let last = counts.iter().rposition(|&count| count > 0).unwrap_or(first);
    let mut ranges: Vec<_> =
        (first..=last).map(|at| PriceRange { min: bounds()[at], max: end(at), count: counts[at] }).collect();
    while ranges.len() > 1 && (ranges.len() > MAX_RANGES || ranges.iter().any(|range| range.count == 0)) {
        let empty = ranges.iter().any(|range| range.count == 0);
        // Joining an empty range costs nothing; of others, the pair with the fewest hits goes.
        let cost = |pair: &[PriceRange]| {
            if empty { pair[0].count.min(pair[1].count) } else { pair[0].count + pair[1].count }
        };
        let at = (0..ranges.len() - 1).min_by_key(|&at| cost(&ranges[at..at + 2])).unwrap_or(0);
        let joined = ranges.remove(at + 1);
        ranges[at].max = joined.max;
        ranges[at].count += joined.count;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_buckets_are_round() {
        assert_eq!(bounds()[..8], [0, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]);
        assert_eq!(bounds()[33], 5 * 10_i64.pow(12));
    }

    #[test]
    fn ranges_cover_every_price_once() {
        let mut counts = Counts::new(0);
        for price in [0, 99, 100, 1_999, 2_000, 4_999, 150_000, 10_i64.pow(12)] {
            counts.price(Some(price));
        }
        counts.price(None);
        let ranges = ranges(&counts.prices);
        assert!(ranges.len() <= MAX_RANGES);
        assert_eq!(ranges.iter().map(|range| range.count).sum::<u64>(), 8);
        assert!(ranges.windows(2).all(|pair| pair[0].max + 1 == pair[1].min));
        assert!(ranges.iter().all(|range| range.count > 0));
    }
}
