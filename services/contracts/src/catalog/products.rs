//! Products (SPU) and SKUs as they are read.

use garde::Validate;
use kernel::{Money, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{AttributeValue, BrandView, CategoryRef, ProductId, SkuId};

/// An option of a product and its values, such as Size: S, M, L.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
pub struct OptionView {
    /// Name.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Values in order.
    #[garde(length(max = 200), inner(length(chars, min = 1, max = 200)))]
    #[schema(max_items = 200)]
    pub values: Vec<String>,
}

/// The value a SKU has for an option, or the text of a product's attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
pub struct NamedValue {
    /// Name.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Value.
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub value: String,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageView {
    /// Where to load it from, relative to this region's address.
    pub url: String,
    /// Text in its place.
    pub alt: String,
    /// Order, from 1.
    pub position: i32,
}

/// Where a product stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProductState {
    /// Being written; shoppers do not see it.
    Draft,
    /// Published; sold while on the shelf.
    Published,
}

/// What one buys, as shoppers see it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SkuView {
    /// Its id.
    pub id: SkuId,
    /// The merchant's code, unique.
    pub code: String,
    /// Value of each option, in the product's order; empty for a product of one SKU.
    pub options: Vec<NamedValue>,
    /// Price in force; none where the product is not sold in this currency.
    pub price: Option<Money>,
    /// The price before the reduction, where there is one.
    pub compare_at: Option<Money>,
    /// Lowest price of the 30 days before the reduction (EU Directive 98/6/EC, article 6a), where there is one.
    pub lowest_30_days: Option<Money>,
    /// Units one can buy now.
    pub available: i64,
}

/// A product as shoppers see it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProductView {
    /// Its id.
    pub id: ProductId,
    /// Name in URLs.
    pub slug: String,
    /// Title.
    pub title: String,
    /// Description: sanitised HTML.
    pub description: String,
    /// Brand.
    pub brand: Option<BrandView>,
    /// Main category.
    pub category: Option<CategoryRef>,
    /// From the top down to the main category.
    pub breadcrumbs: Vec<CategoryRef>,
    /// Descriptive attributes.
    pub attributes: Vec<AttributeValue>,
    /// Tags.
    pub tags: Vec<String>,
    /// Images in order.
    pub images: Vec<ImageView>,
    /// Options in order.
    pub options: Vec<OptionView>,
    /// SKUs in order.
    pub skus: Vec<SkuView>,
    /// When it was first published.
    pub published_at: Option<Timestamp>,
    /// Grows with every change.
    pub version: i64,
}

/// A product in a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProductCard {
    /// Its id.
    pub id: ProductId,
    /// Name in URLs.
    pub slug: String,
    /// Title.
    pub title: String,
    /// Brand's name.
    pub brand: Option<String>,
    /// First image.
    pub image: Option<ImageView>,
    /// Lowest price of its SKUs.
    pub price: Option<Money>,
    /// What that SKU cost before.
    pub compare_at: Option<Money>,
    /// Whether any SKU can be bought now.
    pub in_stock: bool,
}

/// A product as the catalog alone knows it: no prices, no stock. For search, pricing, cart and staff.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProductRecord {
    /// Its id.
    pub id: ProductId,
    /// Name in URLs.
    pub slug: String,
    /// Title.
    pub title: String,
    /// Description: sanitised HTML.
    pub description: String,
    /// Brand.
    pub brand: Option<BrandView>,
    /// From the top down to the main category; empty without one.
    pub categories: Vec<CategoryRef>,
    /// Descriptive attributes.
    pub attributes: Vec<AttributeValue>,
    /// Tags.
    pub tags: Vec<String>,
    /// Images in order.
    pub images: Vec<ImageView>,
    /// Options in order.
    pub options: Vec<OptionView>,
    /// SKUs in order.
    pub skus: Vec<SkuRecord>,
    /// Draft or published.
    pub state: ProductState,
    /// Whether it is on the shelf: only published products on the shelf are sold.
    pub on_shelf: bool,
    /// When it was first published.
    pub published_at: Option<Timestamp>,
    /// Grows with every change.
    pub version: i64,
}

impl ProductRecord {
    /// Whether shoppers see and buy it.
    pub fn is_sold(&self) -> bool {
        self.state == ProductState::Published && self.on_shelf
    }
}

/// A SKU as the catalog alone knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SkuRecord {
    /// Its id.
    pub id: SkuId,
    /// The merchant's code.
    pub code: String,
    /// Value of each option.
    pub options: Vec<NamedValue>,
    /// Barcode (GTIN), where known.
    pub barcode: Option<String>,
    /// Weight in grams.
    pub weight_grams: i64,
}

/// A SKU with what a cart or an order line shows of its product.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SkuInfo {
    /// The SKU.
    pub sku: SkuRecord,
    /// Its product.
    pub product_id: ProductId,
    /// The product's slug.
    pub slug: String,
    /// The product's title.
    pub title: String,
    /// The product's first image.
    pub image: Option<ImageView>,
    /// Top category's slug, for tax; empty without one.
    pub tax_category: String,
    /// Whether it can be bought: published and on the shelf.
    pub sold: bool,
}

/// What to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ListProducts {
    /// Category by id or slug; products below it count.
    #[garde(length(max = 200))]
    #[param(max_length = 200)]
    pub category: Option<String>,
    /// Brand by id or slug.
    #[garde(length(max = 200))]
    #[param(max_length = 200)]
    pub brand: Option<String>,
    /// From the page before.
    #[garde(length(max = 1000))]
    #[param(max_length = 1000)]
    pub cursor: Option<String>,
    /// 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

/// Reads products in order of their ids, drafts included.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ScanProducts {
    /// Start after this one.
    pub after: Option<ProductId>,
    /// How many.
    pub limit: u32,
}

/// An image's bytes, or what to draw in its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Media {
    /// Content type.
    pub content_type: String,
    /// The file, base64.
    pub bytes_base64: String,
    /// Whether this is the drawn placeholder (then not to be cached for long).
    pub placeholder: bool,
}
