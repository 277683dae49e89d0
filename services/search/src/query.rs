//! Searches.

use std::sync::Arc;

use contracts::search::{FacetValue, Facets, INDEX_CURRENCY, SearchHit, SearchQuery, SearchResults, Sort};
use garde::Validate;
use kernel::{Currency, Cursors, Failure, Result, code, normalise, page_limit};
use metrics::histogram;
use platform_index::{FacetCount, Filters, Found, Order, Query};
use serde::{Deserialize, Serialize};

use crate::{
    model::{Stored, range_label},
    service::SearchService,
};

/// Results end here.
const DEEPEST: usize = 10_000;

/// Where a page begins.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Position {
    offset: usize,
}

/// The cursors of a search, which is [`plain`]: the same words, filters and order.
fn cursors(query: &SearchQuery) -> Cursors {
    Cursors::of("search", &SearchQuery { cursor: None, limit: None, ..query.clone() })
}

/// A search as the cache knows it: the same words and filters on the same state of the index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    revision: u64,
    query: SearchQuery,
}

/// `request.invalid` naming the fields that break a rule.
pub(crate) fn check<T: Validate>(query: &T) -> Result<()>
where
    T::Context: Default,
{
    match query.validate() {
        Ok(()) => Ok(()),
        Err(report) => Err(report.iter().fold(Failure::new(code::INVALID), |failure, (path, error)| {
            failure.field(path.to_string(), error.message())
        })),
    }
}

/// The same search however it is written: no blank or empty parameters, no defaults left out.
fn plain(query: SearchQuery) -> Result<SearchQuery> {
    check(&query)?;
    if let (Some(min), Some(max)) = (query.min_price, query.max_price)
        && min > max
    {
        return Err(Failure::invalid("min_price", "must not be above max_price"));
    }
    let text = |text: Option<String>| text.map(|text| normalise(&text)).filter(|text| !text.is_empty());
    let q = text(query.q);
    // Without words nothing is more relevant than anything else.
    let sort = match query.sort.unwrap_or_default() {
        Sort::Relevance if q.is_none() => Sort::Newest,
        sort => sort,
    };
    Ok(SearchQuery {
        category: text(query.category),
        brand: text(query.brand),
        currency: Some(query.currency.unwrap_or(INDEX_CURRENCY)),
        sort: Some(sort),
        cursor: query.cursor.filter(|cursor| !cursor.is_empty()),
        limit: Some(page_limit(query.limit)?),
        q,
        ..query
    })
}

impl SearchService {
    /// Searches: from the cache while the index is in the state it was searched in.
    pub(crate) async fn find(&self, query: SearchQuery) -> Result<SearchResults> {
        let started = std::time::Instant::now();
        let asked = Asked { revision: self.index.revision(), query: plain(query)? };
        let load = || async { self.ask_index(&asked.query).await.map(|results| Some(Arc::new(results))) };
        let results = self.results.get_or_load(&asked, load).await?;
        let results = results.ok_or_else(|| Failure::internal("a search always has an answer"))?;
        if let Some(q) = &asked.query.q
            && asked.query.cursor.is_none()
            && results.total > 0
        {
            self.counted.count(results.corrected.as_deref().unwrap_or(q));
        }
        histogram!("search_duration_seconds").record(started.elapsed().as_secs_f64());
        Ok(SearchResults::clone(&results))
    }

    async fn ask_index(&self, query: &SearchQuery) -> Result<SearchResults> {
        let offset = begins_at(query)?;
        let limit = usize::try_from(page_limit(query.limit)?).unwrap_or(1).min(DEEPEST - offset);
        let currency = query.currency.unwrap_or(INDEX_CURRENCY);
        let asked = Query {
            words: query.q.clone().unwrap_or_default(),
            filters: Filters {
                category: query.category.clone(),
                brand: query.brand.clone(),
                min_price: query.min_price,
                max_price: query.max_price,
                in_stock: query.in_stock,
            },
            currency,
            order: match query.sort.unwrap_or_default() {
                Sort::Relevance => Order::Relevance,
                Sort::PriceAsc => Order::PriceAsc,
                Sort::PriceDesc => Order::PriceDesc,
                Sort::Newest => Order::Newest,
                Sort::BestSelling => Order::BestSelling,
            },
            offset,
            limit,
            facets: true,
        };
        present(self.index.search(asked).await?, offset, currency, cursors(query))
    }
}

/// Where the page that is asked for begins.
fn begins_at(query: &SearchQuery) -> Result<usize> {
    let Some(Position { offset }) = cursors(query).read(query.cursor.as_deref())? else { return Ok(0) };
    if offset < DEEPEST {
        return Ok(offset);
    }
    let detail = format!("only the first {DEEPEST} results can be read; narrow the search");
    Err(Failure::invalid("cursor", detail))
}

/// What was found, as the caller gets it.
fn present(found: Found, offset: usize, currency: Currency, cursors: Cursors) -> Result<SearchResults> {
    let next = offset + found.hits.len();
    let more = !found.hits.is_empty() && (next as u64) < found.total && next < DEEPEST;
    let items = found.hits.into_iter().map(|hit| {
        let stored: Stored = serde_json::from_str(&hit.card).map_err(Failure::internal)?;
        Ok(SearchHit { product: stored.card(currency), highlight: hit.highlight })
    });
    let values = |counts: Vec<FacetCount>| {
        let value = |it: FacetCount| FacetValue { value: it.of.slug, label: it.of.name, count: it.count };
        counts.into_iter().map(value).collect()
    };
    let stock =
        [("true", "In stock", found.facets.in_stock), ("false", "Sold out", found.facets.out_of_stock)];
    Ok(SearchResults {
        items: items.collect::<Result<_>>()?,
        facets: Facets {
            category: values(found.facets.categories),
            brand: values(found.facets.brands),
            price: found
                .facets
                .prices
                .iter()
                .map(|range| FacetValue {
                    value: format!("{}-{}", range.min, range.max),
                    label: range_label(range.min, range.max, currency),
                    count: range.count,
                })
                .collect(),
            in_stock: stock
                .into_iter()
                .filter(|(_, _, count)| *count > 0)
                .map(|(value, label, count)| FacetValue {
                    value: value.to_owned(),
                    label: label.to_owned(),
                    count,
                })
                .collect(),
        },
        total: found.total,
        next_cursor: more.then(|| cursors.write(&Position { offset: next })),
        corrected: found.corrected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(query: SearchQuery) -> String {
        plain(query).unwrap_err().fields()[0].pointer.clone()
    }

    #[test]
    fn wrong_input_names_the_parameter() {
        let prices =
            |min, max| SearchQuery { min_price: Some(min), max_price: Some(max), ..SearchQuery::default() };
        assert_eq!(field(prices(2, 1)), "min_price");
        assert!(plain(prices(1, 1)).is_ok());
        assert_eq!(field(prices(-1, 1)), "min_price");
        assert_eq!(field(SearchQuery { limit: Some(0), ..SearchQuery::default() }), "limit");
        assert_eq!(field(SearchQuery { q: Some("x".repeat(201)), ..SearchQuery::default() }), "q");
    }

    #[test]
    fn searches_that_mean_the_same_are_the_same() {
        let empty = SearchQuery {
            q: Some("  ".to_owned()),
            category: Some(String::new()),
            sort: Some(Sort::Relevance),
            cursor: Some(String::new()),
            limit: Some(20),
            ..SearchQuery::default()
        };
        let empty = plain(empty).unwrap();
        assert_eq!(empty, plain(SearchQuery::default()).unwrap());
        assert_eq!(empty.sort, Some(Sort::Newest));
    }

    #[test]
    fn a_cursor_is_good_for_searches_that_mean_the_same() {
        let of = |query: SearchQuery| cursors(&plain(query).unwrap());
        let mug = || SearchQuery { q: Some("mug".to_owned()), ..SearchQuery::default() };
        let cursor = of(mug()).write(&Position { offset: 20 });
        let good = |query: SearchQuery| of(query).read::<Position>(Some(&cursor)).is_ok();
        assert!(good(SearchQuery { q: Some(" mug ".to_owned()), limit: Some(3), ..mug() }));
        assert!(good(SearchQuery { cursor: Some("x".to_owned()), sort: Some(Sort::Relevance), ..mug() }));
        for other in [
            SearchQuery { q: Some("cup".to_owned()), ..mug() },
            SearchQuery { sort: Some(Sort::PriceAsc), ..mug() },
            SearchQuery { brand: Some("acme".to_owned()), ..mug() },
            SearchQuery { in_stock: Some(true), ..mug() },
            SearchQuery { max_price: Some(1), ..mug() },
        ] {
            assert!(!good(other.clone()), "{other:?}");
        }
    }

    #[test]
    fn the_deepest_page_has_an_end() {
        let cursor = cursors(&plain(SearchQuery::default()).unwrap()).write(&Position { offset: DEEPEST });
        let deep = SearchQuery { cursor: Some(cursor), ..SearchQuery::default() };
        assert_eq!(begins_at(&plain(deep).unwrap()).unwrap_err().fields()[0].pointer, "cursor");
    }
}
