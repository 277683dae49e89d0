//! A product as the server keeps it, and the settings that fit it.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Currency, Money};
use meilisearch_sdk::settings::{
    FacetSortValue, FacetingSettings, LocalizedAttributes, MinWordSizeForTypos, PaginationSetting, Settings,
    TypoToleranceSettings,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Document, Named, ranges,
    text::{FILLERS, Stems, indexed_words},
    typos,
};

/// Changes whenever documents do: an index of another format is left alone, and one of this is built.
pub(crate) const FORMAT: u32 = 1;
/// Stands between the parts of a label; ids and slugs do not contain it.
const SEPARATOR: char = '|';
/// Longest name in a label: the server drops facet values that are longer than 468 bytes.
const NAME: usize = 80;
/// Facet values the server returns.
const FACET_VALUES: usize = 200;
/// The characters that mark matches; they are taken out of texts, so that nobody else writes them.
pub(crate) const MARK: (char, char) = ('\u{e000}', '\u{e001}');

/// A document as it is sent.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    id: String,
    /// The first 48 bits of the id (its time): what pages of entries go by, since a number can be compared.
    at: u64,
    version: i64,
    slug: String,
    title: String,
    brand_name: Option<String>,
    category_names: Vec<String>,
    tags: Vec<String>,
    attributes: Vec<String>,
    description: String,
    sku_codes: Vec<String>,
    /// Words of titles, names, tags and attributes, folded, with their stems and Chinese ones cut in every way.
    forms: String,
    /// Names of brand and categories, for suggestions.
    names: Vec<String>,
    brand: Option<String>,
    brand_keys: Vec<String>,
    categories: Vec<String>,
    category_keys: Vec<String>,
    prices: BTreeMap<&'static str, i64>,
    /// The price's bucket by currency, for the facet.
    buckets: BTreeMap<&'static str, usize>,
    in_stock: bool,
    published_at: i64,
    sold: i64,
    card: String,
}

/// What a check reads of a document.
#[derive(Debug, Deserialize)]
pub(crate) struct Checked {
    pub(crate) id: String,
    pub(crate) version: i64,
    #[serde(default)]
    prices: BTreeMap<String, i64>,
    pub(crate) in_stock: bool,
}

impl Checked {
    /// Its prices, by currency code.
    pub(crate) fn prices(&self) -> Vec<Money> {
        let price = |(code, amount): (&String, &i64)| Some(Money::new(*amount, Currency::from_code(code)?));
        self.prices.iter().filter_map(price).collect()
    }
}

/// What a hit brings.
#[derive(Debug, Deserialize)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) card: String,
}

/// An id as the server keeps it; sorts like the id.
pub(crate) fn key(id: Uuid) -> String {
    id.simple().to_string()
}

/// The part of an id that is compared as a number; exact in the server's floating point.
pub(crate) fn at(id: Uuid) -> u64 {
    id.as_u64_pair().0 >> 16
}

fn label(named: &Named) -> String {
    let name: String = named.name.chars().take(NAME).collect();
    format!("{}{SEPARATOR}{}{SEPARATOR}{name}", named.id, named.slug)
}

/// The category or brand of a label.
pub(crate) fn named(label: &str) -> Named {
    let mut parts = label.splitn(3, SEPARATOR).map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    Named { id: part(), slug: part(), name: part() }
}

fn keys<'a>(named: impl IntoIterator<Item = &'a Named>) -> Vec<String> {
    named.into_iter().flat_map(|it| [it.id.to_lowercase(), it.slug.to_lowercase()]).collect()
}

fn clean(text: &str) -> String {
    text.replace([MARK.0, MARK.1], "")
}

impl Row {
    pub(crate) fn of(document: &Document) -> Self {
        let category_names: Vec<String> = document.categories.iter().map(|it| it.name.clone()).collect();
        let brand_name = document.brand.as_ref().map(|it| it.name.clone());
        let mut prices = BTreeMap::new();
        for price in &document.prices {
            prices.entry(price.currency.code()).or_insert(price.amount);
        }
        Self {
            id: key(document.id),
            at: at(document.id),
            version: document.version,
            slug: document.slug.clone(),
            title: clean(&document.title),
            forms: forms(document),
            names: brand_name.iter().chain(&category_names).cloned().collect(),
            brand: document.brand.as_ref().map(label),
            brand_keys: keys(&document.brand),
            categories: document.categories.iter().map(label).collect(),
            category_keys: keys(&document.categories),
            buckets: prices.iter().map(|(code, price)| (*code, ranges::bucket(*price))).collect(),
            prices,
            brand_name,
            category_names,
            tags: document.tags.clone(),
            attributes: document.attributes.clone(),
            description: document.description.clone(),
            sku_codes: document.sku_codes.clone(),
            in_stock: document.in_stock,
            published_at: document.published_at,
            sold: document.sold,
            card: document.card.clone(),
        }
    }
}

/// Every word once, with its stem.
fn forms(document: &Document) -> String {
    let mut stems = Stems::new();
    let mut forms = BTreeSet::new();
    let names = document.brand.iter().chain(&document.categories).map(|named| &named.name);
    for text in names.chain([&document.title]).chain(&document.tags).chain(&document.attributes) {
        for word in indexed_words(&clean(text)) {
            if !word.cjk {
                forms.insert(stems.of(&word.text));
            }
            forms.insert(word.text);
        }
    }
    forms.into_iter().collect::<Vec<_>>().join(" ")
}

/// What is searched, most weight first.
pub(crate) const SEARCHED: [&str; 9] = [
    "title",
    "sku_codes",
    "brand_name",
    "slug",
    "category_names",
    "tags",
    "attributes",
    "forms",
    "description",
];

/// The settings of an index of this format.
pub(crate) fn settings() -> Settings {
    Settings::new()
        .with_searchable_attributes(SEARCHED)
        .with_filterable_attributes([
            "at",
            "brand",
            "brand_keys",
            "buckets",
            "categories",
            "category_keys",
            "in_stock",
            "names",
            "prices",
        ])
        .with_sortable_attributes(["at", "id", "prices", "published_at", "sold"])
        // An order that was asked for is an order; what is equal to the engine is told apart by sales, then by id.
        .with_ranking_rules([
            "sort",
            "words",
            "typo",
            "proximity",
            "attribute",
            "exactness",
            "sold:desc",
            "id:desc",
        ])
        .with_stop_words(FILLERS)
        .with_typo_tolerance(TypoToleranceSettings {
            enabled: Some(true),
            disable_on_attributes: Some(vec!["sku_codes".to_owned(), "slug".to_owned()]),
            disable_on_words: Some(Vec::new()),
            min_word_size_for_typos: Some(MinWordSizeForTypos {
                one_typo: Some(typos::ONE_FROM),
                two_typos: Some(typos::TWO_FROM),
            }),
            disable_on_numbers: Some(true),
        })
        .with_faceting(FacetingSettings {
            max_values_per_facet: FACET_VALUES,
            sort_facet_values_by: Some(BTreeMap::from([("*".to_owned(), FacetSortValue::Count)])),
        })
        // Totals are cut off here; how deep pages may go is the caller's business.
        .with_pagination(PaginationSetting { max_total_hits: 1_000_000_000 })
        .with_localized_attributes([LocalizedAttributes {
            locales: vec!["eng".to_owned(), "zho".to_owned()],
            attribute_patterns: vec!["*".to_owned()],
        }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_and_stay_short() {
        let brand = Named { id: "brd_1".to_owned(), slug: "acme".to_owned(), name: "A|B".to_owned() };
        assert_eq!(named(&label(&brand)), brand);
        let long = Named { name: "长".repeat(500), ..brand };
        assert!(label(&long).len() < 468);
    }

    #[test]
    fn the_compared_part_of_an_id_is_exact_in_floating_point() {
        assert!(at(Uuid::max()) < 1 << 53);
        assert!(key(Uuid::from_u128(9)) < key(Uuid::from_u128(10)));
    }
}
