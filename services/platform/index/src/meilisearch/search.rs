//! A search: one request with the hits, and the facets of every filter that is on without it.

use std::collections::HashMap;

use kernel::{Failure, Result};
use meilisearch_sdk::{
    indexes::Index,
    search::{MatchingStrategies, SearchQuery, SearchResult, SearchResults, Selectors},
};
use uuid::Uuid;

use super::{
    Shared,
    document::{self, MARK, Stored},
    filter::{self, Part},
    http::Http,
    matched::{Typed, words_of},
};
use crate::{
    FacetCount, Facets, Found, Hit, Order, Query,
    embedded::MAX_VALUES,
    highlight::{Highlighter, Marks},
    ranges::{self, BUCKETS},
};

/// What the facets of a search are called on the server.
struct FacetNames {
    price: String,
}

impl FacetNames {
    fn of(&self, part: Part) -> &str {
        match part {
            Part::Category => "categories",
            Part::Brand => "brand",
            Part::Price => &self.price,
            Part::Stock => "in_stock",
        }
    }
}

const PARTS: [Part; 4] = [Part::Category, Part::Brand, Part::Price, Part::Stock];

/// A facet's values with their counts.
type Distribution = HashMap<String, usize>;

impl Shared {
    pub(crate) async fn search(&self, query: &Query) -> Result<Found> {
        let Some(typed) = Typed::of(&query.words) else { return Ok(Found::default()) };
        let Some(parts) = filter::parts(&query.filters, query.currency) else { return Ok(Found::default()) };
        let found = self.ask(query, &typed, &query.words, &parts).await?;
        if found.total > 0 {
            return Ok(found);
        }
        // The server knows no stems. They are indexed beside the words, so that words nobody wrote so are found by them.
        match typed.stemmed() {
            Some(stems) => self.ask(query, &typed, &stems, &parts).await,
            None => Ok(found),
        }
    }

    async fn ask(
        &self,
        query: &Query,
        typed: &Typed,
        words: &str,
        parts: &[(Part, String)],
    ) -> Result<Found> {
        let index = self.client.index(self.uid.as_str());
        let names = FacetNames { price: format!("buckets.{}", query.currency.code()) };
        let order = match query.order {
            Order::Relevance if typed.is_empty() => Order::Newest,
            order => order,
        };
        let sort = sort_of(order, &format!("prices.{}", query.currency.code()));
        let sort: Vec<&str> = sort.iter().map(String::as_str).collect();
        let all = filter::all_but(parts, None);
        let main_facets: Vec<&str> = PARTS.iter().map(|part| names.of(*part)).collect();

        let mut main = asked(&index, words, all.as_deref());
        main.with_offset(query.offset).with_limit(query.limit);
        main.with_attributes_to_retrieve(Selectors::Some(&["id", "title", "card"]));
        highlighted(&mut main);
        if query.facets {
            main.with_facets(Selectors::Some(&main_facets));
        }
        if order == Order::Relevance {
            main.with_show_ranking_score(true);
        } else {
            main.with_sort(&sort);
        }
        let mut request = self.client.multi_search();
        request.with_search_query(main.build());

        // Each facet is counted without its own filter.
        let own: Vec<(Part, Option<String>, [&str; 1])> = parts
            .iter()
            .filter(|_| query.facets)
            .map(|(part, _)| (*part, filter::all_but(parts, Some(*part)), [names.of(*part)]))
            .collect();
        for (_, others, facet) in &own {
            let mut counted = asked(&index, words, others.as_deref());
            counted.with_limit(0).with_facets(Selectors::Some(facet));
            request.with_search_query(counted.build());
        }
        // The best match of all says whether a typed word occurs.
        let probed =
            typed.may_be_wrong() && (order != Order::Relevance || query.offset > 0 || !parts.is_empty());
        if probed {
            let mut best = asked(&index, words, None);
            best.with_limit(1).with_attributes_to_retrieve(Selectors::Some(&["id", "title", "card"]));
            highlighted(&mut best);
            request.with_search_query(best.build());
        }
        let answer = request.execute::<Stored>().await.map_err(|error| self.failed(error))?;
        let mut results = answer.results.into_iter();
        let mut next =
            || results.next().ok_or_else(|| Failure::internal("an answer of the search server is missing"));
        let main = next()?;
        let mut facets: HashMap<&str, Distribution> = HashMap::new();
        let mut filtered = main.facet_distribution.clone().unwrap_or_default();
        if query.facets {
            for (_, _, [name]) in &own {
                let counted =
                    next()?.facet_distribution.unwrap_or_default().remove(*name).unwrap_or_default();
                facets.insert(name, with_chosen(counted, filtered.remove(*name).unwrap_or_default()));
            }
            for name in main_facets {
                facets.entry(name).or_insert_with(|| filtered.remove(name).unwrap_or_default());
            }
        }
        let probe = if probed { Some(next()?) } else { None };
        let best = probe.as_ref().unwrap_or(&main).hits.first();
        let corrected = best.and_then(|best| typed.corrected(&words_of(best)));
        Ok(Found {
            total: total(&main),
            hits: hits(main, typed)?,
            facets: if query.facets { present(&facets, &names) } else { Facets::default() },
            corrected,
        })
    }

    pub(crate) async fn suggest(&self, typed: &str, limit: usize) -> Result<Vec<String>> {
        /// Names of brands and categories among suggestions; titles fill the rest.
        const MAX_NAMES: usize = 4;
        let wanted = crate::text::fold(typed.trim());
        if !wanted.contains(char::is_alphanumeric) {
            return Ok(Vec::new());
        }
        let index = self.client.index(self.uid.as_str());
        let mut named = asked(&index, typed, None);
        named.with_limit(0).with_facets(Selectors::Some(&["names"]));
        named.with_attributes_to_search_on(&["brand_name", "category_names"]);
        let mut titled = asked(&index, typed, None);
        titled.with_limit(2 * limit).with_attributes_to_search_on(&["title"]);
        titled.with_attributes_to_retrieve(Selectors::Some(&["id", "title", "card"]));
        let mut request = self.client.multi_search();
        request.with_search_query(named.build()).with_search_query(titled.build());
        let answer = request.execute::<Stored>().await.map_err(|error| self.failed(error))?;
        let [named, titled] = <[SearchResults<Stored>; 2]>::try_from(answer.results)
            .map_err(|_| Failure::internal("an answer of the search server is missing"))?;

        let counted = named.facet_distribution.unwrap_or_default().remove("names").unwrap_or_default();
        let mut names: Vec<(bool, usize, String)> = Vec::new();
        for (name, count) in counted {
            let folded = crate::text::fold(&name);
            let begins = folded.starts_with(&wanted);
            if begins || folded.split_whitespace().any(|word| word.starts_with(&wanted)) {
                names.push((begins, count, name));
            }
        }
        names.sort_unstable_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then_with(|| a.2.cmp(&b.2)));
        let mut seen = std::collections::HashSet::new();
        let mut suggestions = Vec::with_capacity(limit);
        let names = names.into_iter().map(|(_, _, name)| name).take(MAX_NAMES);
        for text in names.chain(titled.hits.into_iter().map(|hit| hit.result.title)) {
            if suggestions.len() < limit && seen.insert(crate::text::fold(&text)) {
                suggestions.push(text);
            }
        }
        Ok(suggestions)
    }
}

/// A search for words within a filter; every word must match.
fn asked<'a>(index: &'a Index<Http>, words: &'a str, filter: Option<&'a str>) -> SearchQuery<'a, Http> {
    let mut query = SearchQuery::new(index);
    query.with_query(words).with_matching_strategy(MatchingStrategies::ALL);
    if let Some(filter) = filter {
        query.with_filter(filter);
    }
    query
}

fn highlighted(query: &mut SearchQuery<'_, Http>) {
    // `MARK` as texts.
    const TAGS: (&str, &str) = ("\u{e000}", "\u{e001}");
    query.with_attributes_to_highlight(Selectors::Some(&["forms"]));
    query.with_highlight_pre_tag(TAGS.0).with_highlight_post_tag(TAGS.1);
}

/// An order with the id to tell apart what is equal; none for relevance, whose rules are the index's.
fn sort_of(order: Order, price: &str) -> Vec<String> {
    let by = match order {
        Order::Relevance => return Vec::new(),
        Order::PriceAsc => format!("{price}:asc"),
        Order::PriceDesc => format!("{price}:desc"),
        Order::Newest => "published_at:desc".to_owned(),
        Order::BestSelling => "sold:desc".to_owned(),
    };
    vec![by, "id:desc".to_owned()]
}

fn total(results: &SearchResults<Stored>) -> u64 {
    results.estimated_total_hits.or(results.total_hits).unwrap_or_default() as u64
}

fn hits(results: SearchResults<Stored>, typed: &Typed) -> Result<Vec<Hit>> {
    results
        .hits
        .into_iter()
        .map(|hit: SearchResult<Stored>| {
            let words = words_of(&hit);
            let marks = Marks { stems: typed.stems(), words };
            let highlight = Highlighter::new(&marks).title(&hit.result.title);
            Ok(Hit {
                id: Uuid::parse_str(&hit.result.id).map_err(Failure::internal)?,
                #[allow(clippy::cast_possible_truncation, reason = "a score between 0 and 1")]
                score: hit.ranking_score.unwrap_or_default() as f32,
                card: hit.result.card,
                highlight,
            })
        })
        .collect()
}

/// What a facet has without its own filter; the chosen values are among them even when the server cut them off.
fn with_chosen(mut counted: Distribution, chosen: Distribution) -> Distribution {
    for (value, count) in chosen {
        counted.entry(value).or_insert(count);
    }
    counted
}

fn present(facets: &HashMap<&str, Distribution>, names: &FacetNames) -> Facets {
    let none = Distribution::new();
    let of = |part| facets.get(names.of(part)).unwrap_or(&none);
    let mut buckets = [0; BUCKETS];
    for (bucket, count) in of(Part::Price) {
        // Numbers are floating point there: `7` may come as `7.0`.
        let bucket = bucket.split('.').next().and_then(|whole| whole.parse::<usize>().ok());
        if let Some(bucket) = bucket.and_then(|bucket| buckets.get_mut(bucket)) {
            *bucket += *count as u64;
        }
    }
    let stock = |value: &str| of(Part::Stock).get(value).copied().unwrap_or_default() as u64;
    Facets {
        categories: values(of(Part::Category)),
        brands: values(of(Part::Brand)),
        prices: ranges::present(&buckets),
        in_stock: stock("true"),
        out_of_stock: stock("false"),
    }
}

/// The values with most hits.
fn values(counted: &Distribution) -> Vec<FacetCount> {
    // A renamed category has a second label until its products are indexed again.
    let mut by_id: HashMap<String, FacetCount> = HashMap::new();
    for (label, count) in counted {
        let of = document::named(label);
        let value = by_id.entry(of.id.clone()).or_insert(FacetCount { of, count: 0 });
        value.count += *count as u64;
    }
    let mut values: Vec<FacetCount> = by_id.into_values().collect();
    values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.of.slug.cmp(&b.of.slug)));
    values.truncate(MAX_VALUES);
    values
}

const _: () = assert!(MARK.0 as u32 == 0xe000 && MARK.1 as u32 == 0xe001);
