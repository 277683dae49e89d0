//! Prices, tax, quotes.

use std::collections::BTreeMap;

use garde::Validate;
use kernel::{Currency, Money, Timestamp, id_kinds};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    account::AddressId,
    catalog::{NamedValue, ProductId, SkuId},
    event::event,
};

id_kinds! {
    /// A price: one amount of a SKU, a type and a time window.
    PriceId, Price = "prc";
}

/// The most lines of a quote, a cart or an order.
pub const MAX_LINES: usize = 100;
/// The most units on a line.
pub const MAX_QUANTITY: i64 = 999;

/// Error codes.
pub mod code {
    kernel::codes! {
        NO_PRICE = 409 "pricing.no_price" "A SKU has no price in this currency";
        NOT_SOLD = 409 "pricing.not_sold" "A SKU is not sold at present";
        MIXED_CURRENCIES = 422 "pricing.mixed_currencies" "The SKUs are sold in different currencies";
        QUOTE_INVALID = 422 "pricing.quote_invalid" "The quote is not one of ours, or for something else";
        QUOTE_EXPIRED = 409 "pricing.quote_expired" "The quote has expired; ask for a new one";
        PRICE_ROSE = 409 "pricing.price_rose" "A price has risen since the quote; ask for a new one";
        WINDOW = 422 "pricing.window" "The price would end before it starts";
    }
}

/// Which list a price is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceKind {
    /// The regular price.
    List,
    /// A reduced price for a time; wins over the list price while it is in force and lower.
    Sale,
}

/// Asks for the prices in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PricesOf {
    /// At most 1,000.
    pub sku_ids: Vec<SkuId>,
    /// In this currency; where absent, in the shop's default one, and for SKUs not sold in that in the one they have.
    pub currency: Option<Currency>,
}

/// A price in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PriceView {
    /// Of which SKU.
    pub sku_id: SkuId,
    /// What one pays for a unit.
    pub price: Money,
    /// What it cost before, when reduced.
    pub compare_at: Option<Money>,
    /// Lowest of the 30 days before the reduction, when reduced (EU Directive 98/6/EC, article 6a).
    pub lowest_30_days: Option<Money>,
    /// Which list it is from.
    pub kind: PriceKind,
}

/// Sets a price from a moment on.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPrice {
    /// Of which SKU.
    #[garde(skip)]
    pub sku_id: SkuId,
    /// List or sale.
    #[garde(skip)]
    pub kind: PriceKind,
    /// Minor units, 0 to 10^12.
    #[garde(custom(is_price))]
    pub price: Money,
    /// What is shown as the price before (list prices only).
    #[garde(inner(custom(is_price)))]
    #[serde(default)]
    pub compare_at: Option<Money>,
    /// From when; now when absent.
    #[garde(skip)]
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// Until when (exclusive); without end when absent.
    #[garde(skip)]
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
}

fn is_price(value: &Money, (): &()) -> garde::Result {
    if (0..=1_000_000_000_000).contains(&value.amount) {
        Ok(())
    } else {
        Err(garde::Error::new("amount must lie between 0 and 1000000000000"))
    }
}

/// A price that is, was or will be.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PriceRecord {
    /// Its id.
    pub id: PriceId,
    /// List or sale.
    pub kind: PriceKind,
    /// Amount.
    pub price: Money,
    /// What is shown as the price before.
    pub compare_at: Option<Money>,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when (exclusive).
    pub ends_at: Option<Timestamp>,
    /// When it was set.
    pub created_at: Timestamp,
    /// Who set it.
    pub created_by: String,
}

/// So many of a SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineInput {
    /// Which SKU.
    #[garde(skip)]
    pub sku_id: SkuId,
    /// 1 to 999.
    #[garde(range(min = 1, max = MAX_QUANTITY))]
    #[schema(minimum = 1, maximum = 999)]
    pub quantity: i64,
}

/// Where goods go, as far as price, tax and shipping need to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Destination {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// State or province.
    pub region: String,
    /// The address it came from.
    pub address_id: Option<AddressId>,
}

/// Asks for a quote. Two lines of one SKU are one demand: they are added up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QuoteRequest {
    /// 1 to 100 lines.
    pub lines: Vec<LineInput>,
    /// Where to; without one, tax and shipping are those of the shop's default market.
    pub destination: Option<Destination>,
}

/// A priced line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuoteLine {
    /// Which SKU.
    pub sku_id: SkuId,
    /// Its product.
    pub product_id: ProductId,
    /// The SKU's code.
    pub sku_code: String,
    /// The product's title.
    pub title: String,
    /// The SKU's options.
    pub options: Vec<NamedValue>,
    /// The product's slug.
    pub slug: String,
    /// Image address, where there is one.
    pub image: Option<String>,
    /// Units.
    pub quantity: i64,
    /// Price of a unit.
    pub unit_price: Money,
    /// Unit price times quantity.
    pub subtotal: Money,
    /// This line's part of the discount.
    pub discount: Money,
    /// Tax on subtotal less discount.
    pub tax: Money,
    /// Tax rate in basis points (2,000 = 20 %).
    pub tax_rate_bp: i64,
    /// Subtotal less discount plus tax that is not included in prices.
    pub total: Money,
}

/// What it comes to. `total = subtotal − discount + shipping + tax`, where prices do not include tax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// Sum of the lines' subtotals.
    pub subtotal: Money,
    /// Sum of discounts.
    pub discount: Money,
    /// Shipping.
    pub shipping: Money,
    /// Sum of the lines' taxes and the tax on shipping.
    pub tax: Money,
    /// What is paid.
    pub total: Money,
}

/// A step of the computation, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Rule: `price.sale`, `tax.line`, `shipping.flat`, `rounding.half_up`, …
    pub rule: String,
    /// What it did, in English.
    pub text: String,
    /// Which sentence `text` is, for those who have it in other languages: `price.sale.reduced`, `tax.line.on`, …
    #[serde(default)]
    pub code: String,
    /// What stands in that sentence, by name.
    #[serde(default)]
    pub params: BTreeMap<String, Parameter>,
    /// By how much, where it is an amount.
    pub amount: Option<Money>,
}

/// Something in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Parameter {
    /// An amount.
    Money(Money),
    /// A whole number.
    Number(i64),
    /// A name, a code, a number with decimals.
    Text(String),
}

impl From<Money> for Parameter {
    fn from(amount: Money) -> Self {
        Self::Money(amount)
    }
}

impl From<i64> for Parameter {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Parameter {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Parameter {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A binding price until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuoteView {
    /// The signed text: hand it in with the order.
    pub quote: String,
    /// Priced lines.
    pub lines: Vec<QuoteLine>,
    /// What it comes to.
    pub totals: Totals,
    /// Every rule and rounding step, in order.
    pub explanation: Vec<Explanation>,
    /// The market whose tax and shipping were used (ISO country or `*`).
    pub market: String,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

/// What a signed quote promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotePromise {
    /// Lines by SKU: quantity and unit price.
    pub lines: Vec<(SkuId, i64, Money)>,
    /// Total promised.
    pub total: Money,
    /// Destination it was for.
    pub destination: Option<Destination>,
    /// Until when.
    pub expires_at: Timestamp,
}

contract! {
    /// Prices and quotes.
    Pricing as "pricing", PricingClient, PricingDispatcher {
        /// Prices in force, for SKUs that have one, in the order asked.
        prices(PricesOf) -> Vec<PriceView>;
        /// Prices in force of these SKUs, at most 1,000, in every currency they are sold in.
        every_price(Vec<SkuId>) -> Vec<PriceView>;
        /// Sets prices (`pricing.write`); at most 1,000 a call; the same price set again changes nothing. `request.invalid`
        /// names each SKU that the catalog does not have (`/prices/0/sku_id`); Meridian itself is not asked for that. A SKU has
        /// at most 1,000 prices that are or will be in force.
        set_prices(Vec<SetPrice>) -> ();
        /// Every price a SKU has, had and will have, newest first (`pricing.read`).
        history(SkuId) -> Vec<PriceRecord>;
        /// Prices lines with tax and shipping, and signs the result.
        quote(QuoteRequest) -> QuoteView;
        /// Checks a signed quote's signature and returns what it promised, expired or not.
        verify(String) -> QuotePromise;
    }
}

/// The price of a SKU changed, or a window opened or closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PriceChanged {
    /// Which SKU.
    pub sku_id: SkuId,
}
event!(PriceChanged, "pricing.price_changed.v1", |e| e.sku_id);
