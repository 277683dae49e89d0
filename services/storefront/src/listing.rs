//! Results with facets, sort and pages: the part that category and search pages share.

use contracts::search::{FacetValue, INDEX_CURRENCY, SearchQuery, SearchResults, Sort};
use garde::Validate;
use kernel::{Failure, Money, code};

use crate::{card::Card, error::Answer, format, link, locale::Locale, visitor::Visitor};

/// Facet values shown before "more".
const SHOWN: usize = 8;

/// What the address asks for. `min` and `max` are amounts as people write them, in the index's currency.
#[derive(Clone, Debug, Default)]
pub(crate) struct Criteria {
    base: String,
    pub(crate) q: String,
    category: String,
    /// Whether the category is part of the path.
    category_in_path: bool,
    brand: String,
    min: String,
    max: String,
    in_stock: bool,
    sort: String,
    cursor: String,
}

/// Parameters by name, as they stand in an address.
type Params<'a> = [(&'static str, &'a str); 8];

const SORTS: [(Sort, &str); 5] = [
    (Sort::Relevance, "relevance"),
    (Sort::PriceAsc, "price_asc"),
    (Sort::PriceDesc, "price_desc"),
    (Sort::Newest, "newest"),
    (Sort::BestSelling, "best_selling"),
];

impl Criteria {
    /// A search for tests, with filters on.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            base: "/search".to_owned(),
            q: "linen".to_owned(),
            brand: "brand-2".to_owned(),
            min: "25".to_owned(),
            max: "50".to_owned(),
            ..Self::default()
        }
    }

    /// What the visitor asks for on the search page.
    pub(crate) fn search(visitor: &Visitor) -> Self {
        Self { category: visitor.param("category").to_owned(), ..Self::read(visitor, "/search".to_owned()) }
    }

    /// What the visitor asks for in a category.
    pub(crate) fn category(visitor: &Visitor, slug: &str) -> Self {
        let read = Self::read(visitor, format!("/c/{slug}"));
        Self { category: slug.to_owned(), category_in_path: true, ..read }
    }

    fn read(visitor: &Visitor, base: String) -> Self {
        let param = |name| visitor.param(name).to_owned();
        Self {
            base,
            q: kernel::normalise(visitor.param("q")).chars().take(200).collect(),
            category: String::new(),
            category_in_path: false,
            brand: param("brand"),
            min: param("min"),
            max: param("max"),
            in_stock: visitor.param("stock") == "1",
            sort: param("sort"),
            cursor: param("cursor"),
        }
    }

    /// The search that answers it. Amounts that cannot be read are left out; a range upside down is turned around.
    pub(crate) fn query(&self, limit: u32) -> Answer<SearchQuery> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (mut min_price, mut max_price) = (amount(&self.min), amount(&self.max));
        if let (Some(min), Some(max)) = (min_price, max_price)
            && min > max
        {
            (min_price, max_price) = (Some(max), Some(min));
        }
        let query = SearchQuery {
            q: some(&self.q),
            category: some(&self.category),
            brand: some(&self.brand),
            min_price,
            max_price,
            currency: Some(INDEX_CURRENCY),
            in_stock: self.in_stock.then_some(true),
            sort: SORTS.iter().find(|(_, name)| *name == self.sort).map(|(sort, _)| *sort),
            cursor: some(&self.cursor),
            limit: Some(limit),
        };
        query.validate().map_err(|report| Failure::new(code::INVALID).detail(report.to_string()))?;
        Ok(query)
    }

    fn params(&self) -> Params<'_> {
        [
            ("q", &self.q),
            ("category", if self.category_in_path { "" } else { &self.category }),
            ("brand", &self.brand),
            ("min", &self.min),
            ("max", &self.max),
            ("stock", if self.in_stock { "1" } else { "" }),
            ("sort", &self.sort),
            ("cursor", &self.cursor),
        ]
    }

    /// The address with some parameters changed. Another result starts at its first page.
    pub(crate) fn with(&self, changes: &[(&'static str, &str)]) -> String {
        let mut params = self.params();
        for param in &mut params {
            if param.0 == "cursor" {
                param.1 = "";
            }
            if let Some(change) = changes.iter().find(|change| change.0 == param.0) {
                param.1 = change.1;
            }
        }
        link::with_params(&self.base, params)
    }

    /// Parameters a form must carry along, except those it asks for itself.
    fn carried(&self, own: &[&str]) -> Vec<(&'static str, String)> {
        self.params()
            .into_iter()
            .filter(|(name, value)| *name != "cursor" && !value.is_empty() && !own.contains(name))
            .map(|(name, value)| (name, value.to_owned()))
            .collect()
    }
}

fn amount(text: &str) -> Option<i64> {
    Money::parse(text, INDEX_CURRENCY).ok().map(|money| money.amount).filter(|amount| *amount >= 0)
}

/// A facet's value as a link that puts the filter on, or takes it off.
pub(crate) struct Choice {
    pub(crate) label: String,
    pub(crate) count: i64,
    pub(crate) href: String,
    pub(crate) active: bool,
}

/// A filter that is on.
pub(crate) struct Chip {
    pub(crate) label: String,
    pub(crate) href: String,
}

/// An order of results.
pub(crate) struct SortChoice {
    pub(crate) value: &'static str,
    pub(crate) label: String,
    pub(crate) selected: bool,
}

/// A facet: the values shown at once, and the others.
pub(crate) struct Facet {
    pub(crate) title: String,
    pub(crate) shown: Vec<Choice>,
    pub(crate) more: Vec<Choice>,
}

/// Results, ready to be shown.
pub(crate) struct Listing {
    pub(crate) action: String,
    pub(crate) cards: Vec<Card>,
    pub(crate) total: i64,
    pub(crate) facets: Vec<Facet>,
    pub(crate) stock: Choice,
    pub(crate) chips: Vec<Chip>,
    pub(crate) clear: String,
    pub(crate) sorts: Vec<SortChoice>,
    pub(crate) min: String,
    pub(crate) max: String,
    pub(crate) currency: &'static str,
    pub(crate) carried_by_price: Vec<(&'static str, String)>,
    pub(crate) carried_by_sort: Vec<(&'static str, String)>,
    pub(crate) next: Option<String>,
    pub(crate) first: Option<String>,
}

impl Listing {
    /// Results as links of the page they are on. `categories` says whether the category facet is shown.
    pub(crate) fn new(
        locale: Locale,
        criteria: &Criteria,
        results: &SearchResults,
        categories: bool,
    ) -> Self {
        let toggles = |name: &'static str, on: &str, values: &[FacetValue]| -> Vec<Choice> {
            values.iter().map(|value| criteria.choice(name, on, value)).collect()
        };
        let prices = results.facets.price.iter().map(|value| criteria.price_choice(locale, value)).collect();
        let mut facets = Vec::new();
        if categories {
            let values = toggles("category", &criteria.category, &results.facets.category);
            facets.push(Facet::new(locale.text("facet-category"), values));
        }
        facets.push(Facet::new(
            locale.text("facet-brand"),
            toggles("brand", &criteria.brand, &results.facets.brand),
        ));
        facets.push(Facet::new(locale.text("facet-price"), prices));
        facets.retain(|facet| !facet.shown.is_empty());
        let in_stock = results.facets.in_stock.iter().find(|value| value.value == "true");
        Self {
            action: criteria.base.clone(),
            cards: results
                .items
                .iter()
                .map(|hit| Card { highlight: Some(hit.highlight.clone()), ..Card::new(locale, &hit.product) })
                .collect(),
            total: count(results.total),
            stock: Choice {
                label: locale.text("facet-in-stock"),
                count: in_stock.map_or(0, |value| count(value.count)),
                href: criteria.with(&[("stock", if criteria.in_stock { "" } else { "1" })]),
                active: criteria.in_stock,
            },
            chips: criteria.chips(locale, results),
            clear: criteria.with(&[("brand", ""), ("category", ""), ("min", ""), ("max", ""), ("stock", "")]),
            sorts: criteria.sorts(locale),
            min: criteria.min.clone(),
            max: criteria.max.clone(),
            currency: INDEX_CURRENCY.code(),
            carried_by_price: criteria.carried(&["min", "max"]),
            carried_by_sort: criteria.carried(&["sort"]),
            next: results.next_cursor.as_deref().map(|cursor| criteria.with(&[("cursor", cursor)])),
            first: (!criteria.cursor.is_empty()).then(|| criteria.with(&[])),
            facets,
        }
    }
}

impl Facet {
    fn new(title: String, mut shown: Vec<Choice>) -> Self {
        // A filter that is on is never hidden.
        shown.sort_by_key(|choice| !choice.active);
        let more = if shown.len() > SHOWN + 1 { shown.split_off(SHOWN) } else { Vec::new() };
        Self { title, shown, more }
    }
}

impl Criteria {
    fn choice(&self, name: &'static str, on: &str, value: &FacetValue) -> Choice {
        let active = on == value.value;
        let href = self.with(&[(name, if active { "" } else { &value.value })]);
        Choice { label: value.label.clone(), count: count(value.count), href, active }
    }

    /// A range `min-max` in minor units, either of which may be missing.
    fn price_choice(&self, locale: Locale, value: &FacetValue) -> Choice {
        let (low, high) = value.value.split_once('-').unwrap_or((&value.value, ""));
        let money = |text: &str| text.parse().ok().map(|amount| Money::new(amount, INDEX_CURRENCY));
        let (low, high) = (money(low), money(high));
        let decimal = |money: Option<Money>| money.map(Money::decimal).unwrap_or_default();
        let (min, max) = (decimal(low), decimal(high));
        let active = (!self.min.is_empty() || !self.max.is_empty())
            && amount(&self.min) == low.map(|m| m.amount)
            && amount(&self.max) == high.map(|m| m.amount);
        let href = if active {
            self.with(&[("min", ""), ("max", "")])
        } else {
            self.with(&[("min", &min), ("max", &max)])
        };
        Choice { label: price_range(locale, low, high), count: count(value.count), href, active }
    }

    fn chips(&self, locale: Locale, results: &SearchResults) -> Vec<Chip> {
        let label = |values: &[FacetValue], value: &str| {
            values.iter().find(|v| v.value == value).map_or_else(|| value.to_owned(), |v| v.label.clone())
        };
        let mut chips = Vec::new();
        if !self.category.is_empty() && !self.category_in_path {
            let label = label(&results.facets.category, &self.category);
            chips.push(Chip { label, href: self.with(&[("category", "")]) });
        }
        if !self.brand.is_empty() {
            chips.push(Chip {
                label: label(&results.facets.brand, &self.brand),
                href: self.with(&[("brand", "")]),
            });
        }
        let money = |text: &str| amount(text).map(|amount| Money::new(amount, INDEX_CURRENCY));
        let (low, high) = (money(&self.min), money(&self.max));
        if low.is_some() || high.is_some() {
            chips.push(Chip {
                label: price_range(locale, low, high),
                href: self.with(&[("min", ""), ("max", "")]),
            });
        }
        if self.in_stock {
            chips.push(Chip { label: locale.text("facet-in-stock"), href: self.with(&[("stock", "")]) });
        }
        chips
    }

    fn sorts(&self, locale: Locale) -> Vec<SortChoice> {
        let default = |name: &str| self.sort.is_empty() && name == "relevance";
        SORTS
            .iter()
            .map(|(sort, name)| SortChoice {
                value: name,
                label: locale.text(sort_key(*sort)),
                selected: self.sort == *name || default(name),
            })
            .collect()
    }
}

/// The text of an order of results.
pub(crate) const fn sort_key(sort: Sort) -> &'static str {
    match sort {
        Sort::Relevance => "sort-relevance",
        Sort::PriceAsc => "sort-price-asc",
        Sort::PriceDesc => "sort-price-desc",
        Sort::Newest => "sort-newest",
        Sort::BestSelling => "sort-best-selling",
    }
}

fn price_range(locale: Locale, low: Option<Money>, high: Option<Money>) -> String {
    let shown = |money| format::money(locale, money);
    match (low, high) {
        (Some(low), Some(high)) => format!("{} – {}", shown(low), shown(high)),
        (Some(low), None) => locale.text_with("price-from", "price", &shown(low)),
        (None, Some(high)) => locale.text_with("price-up-to", "price", &shown(high)),
        (None, None) => String::new(),
    }
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criteria() -> Criteria {
        Criteria {
            base: "/search".to_owned(),
            q: "mug".to_owned(),
            brand: "acme".to_owned(),
            min: "20".to_owned(),
            max: "5.5".to_owned(),
            cursor: "abc".to_owned(),
            ..Criteria::default()
        }
    }

    #[test]
    fn another_filter_starts_at_the_first_page() {
        assert_eq!(criteria().with(&[("stock", "1")]), "/search?q=mug&brand=acme&min=20&max=5.5&stock=1");
        assert_eq!(
            criteria().with(&[("cursor", "next")]),
            "/search?q=mug&brand=acme&min=20&max=5.5&cursor=next"
        );
    }

    #[test]
    fn amounts_are_major_units_and_ranges_are_put_right() {
        let query = criteria().query(24).unwrap();
        assert_eq!((query.min_price, query.max_price), (Some(550), Some(2_000)));
        let odd = Criteria { min: "ten".to_owned(), max: String::new(), ..criteria() };
        assert_eq!(odd.query(24).unwrap().min_price, None);
    }

    #[test]
    fn a_price_range_links_to_itself_in_major_units() {
        let value = FacetValue { value: "2000-5000".to_owned(), label: String::new(), count: 3 };
        let choice = Criteria { min: String::new(), max: String::new(), ..criteria() }
            .price_choice(Locale::En, &value);
        assert_eq!(choice.label, "$20.00 – $50.00");
        assert_eq!(choice.href, "/search?q=mug&brand=acme&min=20.00&max=50.00");
        assert!(!choice.active);
    }
}
