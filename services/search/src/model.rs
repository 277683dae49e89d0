//! What is pure: documents from what the owners say, labels, and which words may become hot.

use std::collections::{BTreeMap, HashMap};

use contracts::{
    catalog::{ProductCard, ProductId, ProductRecord, SkuId},
    pricing::PriceView,
    search::INDEX_CURRENCY,
};
use kernel::{Currency, Failure, Money, Result};
use platform_index::{Document, Named};
use serde::{Deserialize, Serialize};

/// Characters of a description that are searched.
const DESCRIPTION: usize = 1_000;
/// Characters of a value that are searched.
const VALUE: usize = 200;

/// What a mark is about. Numbers as the database keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Product,
    Sku,
    Category,
    Brand,
}

impl Kind {
    pub(crate) const fn number(self) -> i32 {
        match self {
            Self::Product => 0,
            Self::Sku => 1,
            Self::Category => 2,
            Self::Brand => 3,
        }
    }

    pub(crate) const fn of(number: i32) -> Self {
        match number {
            1 => Self::Sku,
            2 => Self::Category,
            3 => Self::Brand,
            _ => Self::Product,
        }
    }
}

/// Which marks go first. Numbers as the database keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// Stock came or went: a shopper must not be sent after what is gone.
    Stock,
    Price,
    Product,
    /// Products below a category or of a brand, and sold counts.
    Bulk,
    /// Applied to the index that answers, not yet to the one being built.
    Parked,
}

impl Priority {
    pub(crate) const fn number(self) -> i32 {
        match self {
            Self::Stock => 0,
            Self::Price => 1,
            Self::Product => 2,
            Self::Bulk => 3,
            Self::Parked => 100,
        }
    }
}

/// A card as the index keeps it, with the prices in other currencies.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    #[serde(flatten)]
    card: ProductCard,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<OtherPrice>,
}

/// What a product costs in another currency than the card's.
#[derive(Debug, Serialize, Deserialize)]
struct OtherPrice {
    price: Money,
    compare_at: Option<Money>,
}

impl Stored {
    /// The card with its price in this currency; in its own where it is not sold in that.
    pub(crate) fn card(self, currency: Currency) -> ProductCard {
        match self.others.into_iter().find(|other| other.price.currency == currency) {
            Some(other) => {
                ProductCard { price: Some(other.price), compare_at: other.compare_at, ..self.card }
            }
            None => self.card,
        }
    }
}

/// A sold product as the index keeps it.
pub(crate) fn document(
    product: &ProductRecord,
    prices: &HashMap<SkuId, Vec<PriceView>>,
    available: &HashMap<SkuId, i64>,
    sold: i64,
) -> Result<Document> {
    let lowest = lowest(product, prices);
    let shown = lowest.get(INDEX_CURRENCY.code()).or_else(|| lowest.values().next()).copied();
    let in_stock = product.skus.iter().any(|sku| available.get(&sku.id).is_some_and(|&units| units > 0));
    let card = ProductCard {
        id: product.id,
        slug: product.slug.clone(),
        title: product.title.clone(),
        brand: product.brand.as_ref().map(|brand| brand.name.clone()),
        image: product.images.iter().min_by_key(|image| image.position).cloned(),
        price: shown.map(|price| price.price),
        compare_at: shown.and_then(|price| price.compare_at),
        in_stock,
    };
    let others = lowest
        .values()
        .filter(|price| Some(price.price) != card.price)
        .map(|price| OtherPrice { price: price.price, compare_at: price.compare_at })
        .collect();
    let values = product.attributes.iter().map(|attribute| &attribute.value);
    Ok(Document {
        id: product.id.uuid(),
        version: product.version,
        slug: product.slug.clone(),
        title: product.title.clone(),
        brand: product.brand.as_ref().map(|brand| Named {
            id: brand.id.to_string(),
            slug: brand.slug.clone(),
            name: brand.name.clone(),
        }),
        categories: product
            .categories
            .iter()
            .map(|it| Named { id: it.id.to_string(), slug: it.slug.clone(), name: it.name.clone() })
            .collect(),
        tags: product.tags.iter().map(|tag| cut(tag, VALUE)).collect(),
        attributes: values
            .chain(product.options.iter().flat_map(|option| &option.values))
            .map(|value| cut(value, VALUE))
            .collect(),
        description: plain(&product.description),
        sku_codes: product.skus.iter().map(|sku| sku.code.clone()).collect(),
        prices: lowest.values().map(|price| price.price).collect(),
        in_stock,
        published_at: product.published_at.map_or(0, |at| at.micros()),
        sold,
        card: serde_json::to_string(&Stored { card, others }).map_err(Failure::internal)?,
    })
}

/// The lowest price of a product in each currency it is sold in, by the currency's code.
fn lowest<'a>(
    product: &ProductRecord,
    prices: &'a HashMap<SkuId, Vec<PriceView>>,
) -> BTreeMap<&'static str, &'a PriceView> {
    let mut lowest: BTreeMap<&'static str, &PriceView> = BTreeMap::new();
    for price in product.skus.iter().filter_map(|sku| prices.get(&sku.id)).flatten() {
        let known = lowest.entry(price.price.currency.code()).or_insert(price);
        if price.price.amount < known.price.amount {
            *known = price;
        }
    }
    lowest
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// HTML as text: tags become blanks, the few entities that sanitised HTML has become characters.
pub(crate) fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => {
                in_tag = true;
                text.push(' ');
            }
            '>' => in_tag = false,
            c if !in_tag => text.push(c),
            _ => {}
        }
        if text.len() >= 8 * DESCRIPTION {
            break;
        }
    }
    let text =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
            .iter()
            .fold(
                text,
                |text, (entity, character)| {
                    if text.contains('&') { text.replace(entity, character) } else { text }
                },
            );
    cut(&kernel::normalise(&text), DESCRIPTION)
}

/// A price range as people read it.
pub(crate) fn range_label(min: i64, max: i64, currency: Currency) -> String {
    format!("{} – {}", Money::new(min, currency).decimal(), Money::new(max, currency))
}

/// What was searched for as hot words show it; `None` for what others must not see or nobody would want: too short or
/// long, addresses, numbers of phones and cards, links.
pub(crate) fn hot_candidate(typed: &str) -> Option<String> {
    let term = kernel::normalise(typed).to_lowercase();
    let chars = term.chars().count();
    let digits = term.chars().filter(char::is_ascii_digit).count();
    let letters = term.chars().filter(|c| c.is_alphabetic()).count();
    let private = term.contains('@') || digits >= 6 || term.contains("://") || term.contains("www.");
    ((2..=50).contains(&chars) && letters >= 1 && !private).then_some(term)
}

/// The id of a product by its bytes.
pub(crate) fn product_id(id: uuid::Uuid) -> ProductId {
    ProductId::from_uuid(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text() {
        assert_eq!(plain("<p>Soft &amp; <b>warm</b></p><p>100&nbsp;% wool</p>"), "Soft & warm 100 % wool");
        assert_eq!(plain(&"x".repeat(20_000)).len(), DESCRIPTION);
        assert_eq!(plain(""), "");
    }

    #[test]
    fn hot_words_are_harmless() {
        assert_eq!(hot_candidate("  Solar  LAMP "), Some("solar lamp".to_owned()));
        assert_eq!(hot_candidate("手机壳"), Some("手机壳".to_owned()));
        assert_eq!(hot_candidate("iphone 15"), Some("iphone 15".to_owned()));
        for private in [
            "ada@example.org",
            "+44 7700 900123",
            "4111 1111 1111 1111",
            "https://x.y",
            "a",
            "123",
            &"x".repeat(51),
        ] {
            assert_eq!(hot_candidate(private), None, "{private}");
        }
    }

    #[test]
    fn price_ranges_read_well() {
        assert_eq!(range_label(1_000, 1_999, Currency::USD), "10.00 – 19.99 USD");
    }
}
