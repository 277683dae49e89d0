//! `GET /p/{slug}`: a product, its options as links, its price and stock.

use std::collections::HashMap;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web::Path,
};
use askama::Template;
use contracts::{
    Ctx,
    catalog::{AttributeKind, AttributeValue, CategoryRef, ProductRecord, SkuId, SkuRecord},
    pricing::{MAX_QUANTITY, PriceView, PricesOf},
};
use kernel::Result;

use crate::{
    card,
    error::{Answer, PageError},
    frame::Frame,
    link,
    listed::{self, Offer},
    locale::Locale,
    shop::Shop,
    stock::Stock,
    visitor::Visitor,
};

/// SKUs asked for in one call.
const BATCH: usize = 1_000;

/// A value of an option.
pub(crate) struct ValueLink {
    pub(crate) value: String,
    pub(crate) href: String,
    pub(crate) current: bool,
    pub(crate) sold_out: bool,
}

/// An option and its values.
pub(crate) struct OptionPicker {
    pub(crate) name: String,
    pub(crate) chosen: String,
    pub(crate) values: Vec<ValueLink>,
}

/// The SKU that is looked at.
pub(crate) struct Chosen {
    pub(crate) id: SkuId,
    pub(crate) code: String,
    pub(crate) price: Option<String>,
    pub(crate) compare_at: Option<String>,
    pub(crate) lowest_30_days: Option<String>,
    pub(crate) stock: Stock,
    /// The most one can put into the cart at once.
    pub(crate) most: i64,
}

/// A picture of the product.
pub(crate) struct Picture {
    pub(crate) url: String,
    pub(crate) alt: String,
}

#[derive(Template)]
#[template(path = "product.html")]
pub(crate) struct ProductPage {
    pub(crate) page: Frame,
    pub(crate) title: String,
    pub(crate) brand: Option<(String, String)>,
    pub(crate) breadcrumbs: Vec<CategoryRef>,
    pub(crate) pictures: Vec<Picture>,
    pub(crate) pickers: Vec<OptionPicker>,
    pub(crate) chosen: Chosen,
    /// Sanitised by the catalog.
    pub(crate) description: String,
    /// Name and value, as people read them.
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) structured_data: String,
    pub(crate) canonical: String,
}

/// Price and stock by SKU.
#[derive(Default)]
pub(crate) struct Live {
    prices: HashMap<SkuId, PriceView>,
    units: HashMap<SkuId, i64>,
}

impl Live {
    async fn of(shop: &Shop, ctx: &Ctx, product: &ProductRecord) -> Result<Self> {
        let mut live = Self::default();
        for skus in product.skus.chunks(BATCH) {
            let sku_ids: Vec<SkuId> = skus.iter().map(|sku| sku.id).collect();
            let (prices, units) = futures::try_join!(
                shop.pricing.prices(ctx, PricesOf { sku_ids: sku_ids.clone(), currency: None }),
                shop.inventory.availability(ctx, sku_ids.clone()),
            )?;
            live.prices.extend(prices.into_iter().map(|price| (price.sku_id, price)));
            live.units.extend(units.into_iter().map(|stock| (stock.sku_id, stock.available)));
        }
        Ok(live)
    }

    fn available(&self, sku: SkuId) -> i64 {
        self.units.get(&sku).copied().unwrap_or(0)
    }

    /// Whether it can be bought now.
    fn buyable(&self, sku: SkuId) -> bool {
        self.available(sku) > 0 && self.prices.contains_key(&sku)
    }
}

/// A product. `?sku=` chooses one of its SKUs; else it is the first that can be bought.
pub(crate) async fn product(visitor: Visitor, name: Path<String>) -> Answer {
    let shop = visitor.shop();
    let ctx = visitor.ctx();
    let product = shop.catalog.product(&ctx, name.clone()).await?;
    if !product.is_sold() {
        return Err(PageError::not_found());
    }
    if product.slug != *name {
        let location = link::with_params(&format!("/p/{}", product.slug), [("sku", visitor.param("sku"))]);
        return Ok(HttpResponse::MovedPermanently().insert_header((header::LOCATION, location)).finish());
    }
    let live = Live::of(shop, &ctx, &product).await?;
    let wanted: Option<SkuId> = visitor.param("sku").parse().ok();
    let sku = wanted
        .and_then(|id| product.skus.iter().find(|sku| sku.id == id))
        .or_else(|| product.skus.iter().find(|sku| live.buyable(sku.id)))
        .or_else(|| product.skus.first())
        .ok_or_else(PageError::not_found)?;
    visitor.show(
        StatusCode::OK,
        &view(&visitor.frame(product.title.clone()), visitor.locale(), &product, sku, &live),
    )
}

/// The page of `product` with `sku` chosen.
pub(crate) fn view(
    frame: &Frame,
    locale: Locale,
    product: &ProductRecord,
    sku: &SkuRecord,
    live: &Live,
) -> ProductPage {
    let base = format!("/p/{}", product.slug);
    let summary: String = listed::plain_text(&product.description).chars().take(160).collect();
    let summary = if summary.is_empty() { product.title.clone() } else { summary };
    let offers: Vec<Offer> = product
        .skus
        .iter()
        .filter_map(|sku| {
            let price = live.prices.get(&sku.id)?.price;
            Some(Offer { sku: sku.id, code: sku.code.clone(), price, in_stock: live.buyable(sku.id) })
        })
        .collect();
    let page = frame.clone().listed(summary);
    ProductPage {
        title: product.title.clone(),
        brand: product.brand.as_ref().map(|brand| {
            (brand.name.clone(), link::with_params("/search", [("brand", brand.slug.as_str())]))
        }),
        breadcrumbs: product.categories.clone(),
        pictures: pictures(product),
        pickers: pickers(&base, product, sku, live),
        chosen: chosen(locale, sku, live),
        description: product.description.clone(),
        attributes: product.attributes.iter().map(|it| (it.name.clone(), in_words(&page, it))).collect(),
        structured_data: listed::json_ld(&page, product, &offers),
        canonical: page.absolute(&base),
        page,
    }
}

/// An attribute's value as people read it.
fn in_words(page: &Frame, attribute: &AttributeValue) -> String {
    match (attribute.kind, &attribute.unit) {
        (AttributeKind::Boolean, _) if attribute.value == "true" => page.t("answer-yes"),
        (AttributeKind::Boolean, _) => page.t("answer-no"),
        (AttributeKind::Number, Some(unit)) => format!("{}\u{a0}{unit}", attribute.value),
        _ => attribute.value.clone(),
    }
}

fn pictures(product: &ProductRecord) -> Vec<Picture> {
    let mut pictures: Vec<Picture> = product
        .images
        .iter()
        .map(|image| Picture {
            url: image.url.clone(),
            alt: if image.alt.is_empty() { product.title.clone() } else { image.alt.clone() },
        })
        .collect();
    if pictures.is_empty() {
        pictures.push(Picture { url: card::image(None), alt: String::new() });
    }
    pictures
}

fn chosen(locale: Locale, sku: &SkuRecord, live: &Live) -> Chosen {
    let price = live.prices.get(&sku.id);
    let shown = |money| crate::format::money(locale, money);
    let before = price.and_then(|p| card::reduced_from(Some(p.price), p.compare_at));
    Chosen {
        id: sku.id,
        code: sku.code.clone(),
        price: price.map(|p| shown(p.price)),
        compare_at: before.map(shown),
        lowest_30_days: price.filter(|_| before.is_some()).and_then(|p| p.lowest_30_days).map(shown),
        stock: Stock::of(if price.is_some() { live.available(sku.id) } else { 0 }),
        most: live.available(sku.id).clamp(1, MAX_QUANTITY),
    }
}

/// Every option with its values, each a link to the SKU that differs from the chosen one in this option only; where there
/// is none, to the first SKU that has the value, one that can be bought if possible.
fn pickers(base: &str, product: &ProductRecord, sku: &SkuRecord, live: &Live) -> Vec<OptionPicker> {
    let value_of = |sku: &SkuRecord, option: &str| {
        sku.options.iter().find(|pair| pair.name == option).map(|pair| pair.value.clone()).unwrap_or_default()
    };
    product
        .options
        .iter()
        .map(|option| {
            let current = value_of(sku, &option.name);
            let values = option
                .values
                .iter()
                .filter_map(|value| {
                    let target = neighbour(product, sku, &option.name, value, live)?;
                    Some(ValueLink {
                        value: value.clone(),
                        href: link::with_params(base, [("sku", target.id.to_string().as_str())]),
                        current: current == *value,
                        sold_out: !live.buyable(target.id),
                    })
                })
                .collect();
            OptionPicker { name: option.name.clone(), chosen: current, values }
        })
        .collect()
}

fn neighbour<'a>(
    product: &'a ProductRecord,
    from: &SkuRecord,
    option: &str,
    value: &str,
    live: &Live,
) -> Option<&'a SkuRecord> {
    let has_value =
        |sku: &&SkuRecord| sku.options.iter().any(|pair| pair.name == option && pair.value == value);
    let others_as_before = |sku: &SkuRecord| {
        sku.options.iter().filter(|pair| pair.name != option).all(|pair| from.options.contains(pair))
    };
    let candidates = || product.skus.iter().filter(has_value);
    candidates()
        .find(|sku| others_as_before(sku))
        .or_else(|| candidates().find(|sku| live.buyable(sku.id)))
        .or_else(|| candidates().next())
}

#[cfg(test)]
pub(crate) mod samples {
    use contracts::{catalog::SkuRecord, pricing::PriceKind};
    use kernel::{Currency, Money};

    use super::*;

    /// Price and stock for tests: cents and units.
    pub(crate) fn live(skus: &[(&SkuRecord, i64, Option<i64>, i64)]) -> Live {
        let mut live = Live::default();
        for (sku, price, before, units) in skus {
            let money = |amount| Money::new(amount, Currency::USD);
            live.prices.insert(
                sku.id,
                PriceView {
                    sku_id: sku.id,
                    price: money(*price),
                    compare_at: before.map(money),
                    lowest_30_days: before.map(|b| money(b - 100)),
                    kind: PriceKind::List,
                },
            );
            live.units.insert(sku.id, *units);
        }
        live
    }
}

#[cfg(test)]
mod tests {
    use super::{samples::live, *};
    use crate::samples;

    #[test]
    fn an_option_leads_to_the_sku_that_differs_in_it_alone() {
        let product = samples::product();
        let skus: Vec<_> = product.skus.iter().map(|sku| (sku, 1_900, None, 3)).collect();
        // Sizes S, M by colours Sand, Ink; M/Ink does not exist.
        let found = pickers("/p/x", &product, &product.skus[0], &live(&skus));
        assert_eq!(found.len(), 2);
        assert!(found[0].values[0].current);
        assert_eq!(found[0].values[1].href, format!("/p/x?sku={}", product.skus[2].id));
        let from_ink = pickers("/p/x", &product, &product.skus[1], &live(&skus));
        assert_eq!(from_ink[0].values[1].href, format!("/p/x?sku={}", product.skus[2].id));
    }

    #[test]
    fn what_cannot_be_bought_says_so() {
        let product = samples::product();
        let found = chosen(Locale::En, &product.skus[0], &live(&[(&product.skus[0], 1_900, Some(2_500), 0)]));
        assert!(matches!(found.stock, Stock::Out));
        assert_eq!(found.compare_at.as_deref(), Some("$25.00"));
        let unpriced = chosen(Locale::En, &product.skus[0], &Live::default());
        assert!(unpriced.price.is_none() && matches!(unpriced.stock, Stock::Out));
    }
}
