//! Facets: counting and presenting them.

use std::collections::HashMap;

use super::{collect::Plan, labels::Labels};
use crate::{
    FacetCount, Facets,
    ranges::{self, BUCKETS},
};

/// Values of a facet that are returned.
pub(crate) const MAX_VALUES: usize = 100;
/// Counts by label, by price bucket and by stock.
#[derive(Debug)]
pub(crate) struct Counts {
    categories: Vec<u32>,
    brands: Vec<u32>,
    prices: [u64; BUCKETS],
    in_stock: u64,
    out_of_stock: u64,
}

impl Counts {
    pub(crate) fn new(labels: usize) -> Self {
        Self {
            categories: vec![0; labels],
            brands: vec![0; labels],
            prices: [0; BUCKETS],
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
            self.prices[ranges::bucket(price)] += 1;
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
            prices: ranges::present(&self.prices),
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
