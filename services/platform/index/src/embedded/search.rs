//! Running a search on a snapshot.

use std::{collections::HashSet, sync::Arc};

use kernel::{Currency, Failure, Result};

use super::{
    collect::{Everything, Plan},
    snapshot::Snapshot,
    understand::{Scope, understand},
};
use crate::{Entry, Found, Hit, Order, Query, highlight::Highlighter, text::fold};
use uuid::Uuid;

/// Names of brands and categories among suggestions; titles fill the rest.
const MAX_NAMES: usize = 4;

impl Snapshot {
    /// Searches.
    pub(crate) fn search(&self, query: &Query) -> Result<Found> {
        let understood = understand(self, &query.words, Scope::Everything, query.order == Order::Relevance)?;
        let filters = &query.filters;
        let plan = Arc::new(Plan {
            category: filters.category.as_deref().map(|key| self.labels.find(key)),
            brand: filters.brand.as_deref().map(|key| self.labels.find(key)),
            min_price: filters.min_price,
            max_price: filters.max_price,
            in_stock: filters.in_stock,
            currency: query.currency,
            order: match query.order {
                Order::Relevance if !understood.has_words => Order::Newest,
                order => order,
            },
            keep: query.offset.saturating_add(query.limit),
            facets: query.facets,
            labels: self.labels.len(),
        });
        let collector = Everything { plan: plan.clone(), segments: self.segments.clone() };
        let collected = self.searcher.search(&understood.query, &collector).map_err(Failure::internal)?;
        let mut highlighter = Highlighter::new(&understood.marks);
        let page = collected.best.iter().skip(query.offset).take(query.limit);
        let hits = page
            .map(|&((rank, id), address)| {
                let (title, card) = self.stored(address)?;
                let score = if plan.order == Order::Relevance {
                    f32::from_bits(u32::try_from(rank >> 32).unwrap_or(0))
                } else {
                    0.0
                };
                Ok(Hit { id: Uuid::from_u128(id), score, card, highlight: highlighter.title(&title) })
            })
            .collect::<Result<_>>()?;
        Ok(Found {
            hits,
            total: collected.total,
            facets: if query.facets {
                collected.counts.present(&plan, &self.labels)
            } else {
                Default::default()
            },
            corrected: understood.corrected.filter(|_| collected.matched > 0),
        })
    }

    /// Suggests what to search for.
    pub(crate) fn suggest(&self, typed: &str, limit: usize) -> Result<Vec<String>> {
        let wanted = fold(typed.trim());
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut names: Vec<(bool, u64, &str)> = Vec::new();
        for (number, label) in self.labels.all().iter().enumerate() {
            let count = self.label_count(number);
            let begins = label.folded.starts_with(&wanted);
            if count > 0 && (begins || label.folded.split_whitespace().any(|word| word.starts_with(&wanted)))
            {
                names.push((begins, count, &label.named.name));
            }
        }
        names.sort_unstable_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then_with(|| a.2.cmp(b.2)));
        let mut seen = HashSet::new();
        let mut suggestions: Vec<String> = Vec::with_capacity(limit);
        for (_, _, name) in names {
            if suggestions.len() < MAX_NAMES.min(limit) && seen.insert(fold(name)) {
                suggestions.push(name.to_owned());
            }
        }
        let titles = Query {
            words: typed.to_owned(),
            filters: Default::default(),
            currency: Currency::USD,
            order: Order::Relevance,
            offset: 0,
            limit: 2 * limit,
            facets: false,
        };
        for title in self.titles(&titles)? {
            if suggestions.len() < limit && seen.insert(fold(&title)) {
                suggestions.push(title);
            }
        }
        Ok(suggestions)
    }

    fn titles(&self, query: &Query) -> Result<Vec<String>> {
        let understood = understand(self, &query.words, Scope::Titles, true)?;
        let plan = Arc::new(Plan {
            category: None,
            brand: None,
            min_price: None,
            max_price: None,
            in_stock: None,
            currency: query.currency,
            order: query.order,
            keep: query.limit,
            facets: false,
            labels: 0,
        });
        let collector = Everything { plan, segments: self.segments.clone() };
        let collected = self.searcher.search(&understood.query, &collector).map_err(Failure::internal)?;
        collected.best.iter().map(|&(_, address)| Ok(self.stored(address)?.0)).collect()
    }

    /// Entries after an id.
    pub(crate) fn entries(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Entry>> {
        let mut places = Vec::new();
        for (ordinal, (reader, segment)) in
            self.searcher.segment_readers().iter().zip(&self.segments).enumerate()
        {
            for doc in reader.doc_ids_alive() {
                let id = segment.ids[doc as usize];
                if after.is_none_or(|after| id > after.as_u128()) {
                    places.push((id, ordinal, doc));
                }
            }
        }
        smallest(&mut places, limit);
        let mut versions = Vec::with_capacity(self.segments.len());
        for reader in self.searcher.segment_readers() {
            versions.push(reader.fast_fields().i64(super::schema::fast::VERSION).map_err(Failure::internal)?);
        }
        let entries = places.into_iter().map(|(id, ordinal, doc)| Entry {
            id: Uuid::from_u128(id),
            version: versions[ordinal].first(doc).unwrap_or(0),
            prices: self.segments[ordinal].prices.of(doc as usize),
            in_stock: self.segments[ordinal].in_stock[doc as usize],
        });
        Ok(entries.collect())
    }
}

/// Keeps the smallest, sorted.
fn smallest<T: Ord>(all: &mut Vec<T>, limit: usize) {
    if all.len() > limit && limit > 0 {
        all.select_nth_unstable(limit - 1);
    }
    all.truncate(limit);
    all.sort_unstable();
}
