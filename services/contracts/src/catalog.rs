//! The catalog: categories, brands, SPU (products) and SKU (what one buys).

use garde::Validate;
use kernel::{Currency, Money, Page, Timestamp, id_kinds};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::event::event;

id_kinds! {
    /// A category.
    CategoryId, Category = "cat";
    /// A brand.
    BrandId, Brand = "brd";
    /// A product (SPU).
    ProductId, Product = "prd";
    /// A variant that one buys (SKU).
    SkuId, Sku = "sku";
    /// An image of a product.
    ImageId, Image = "img";
}

/// Error codes.
pub mod code {
    kernel::codes! {
        SLUG_TAKEN = 409 "catalog.slug_taken" "Another one has this slug";
        SKU_CODE_TAKEN = 409 "catalog.sku_code_taken" "Another SKU has this code";
        CATEGORY_CYCLE = 409 "catalog.category_cycle" "A category cannot be moved below itself";
        CATEGORY_NOT_EMPTY = 409 "catalog.category_not_empty" "The category still has categories or products";
        BRAND_IN_USE = 409 "catalog.brand_in_use" "Products still have this brand";
        STATE = 409 "catalog.state" "The product is in another state than this needs";
        IMAGE_REJECTED = 422 "catalog.image_rejected" "The file is no image we accept";
    }
}

/// A category with what is below it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CategoryNode {
    /// Its id.
    pub id: CategoryId,
    /// Name in URLs.
    pub slug: String,
    /// Name.
    pub name: String,
    /// Order among its siblings.
    pub position: i32,
    /// Published products in it and below.
    pub product_count: u64,
    /// Categories directly below.
    #[schema(no_recursion)]
    pub children: Vec<CategoryNode>,
}

/// A reference to a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CategoryRef {
    /// Its id.
    pub id: CategoryId,
    /// Name in URLs.
    pub slug: String,
    /// Name.
    pub name: String,
}

/// A new category, or what it becomes.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryInput {
    /// Name.
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// Name in URLs; made from the name when absent.
    #[garde(length(min = 1, max = 200), pattern("^[a-z0-9]+(-[a-z0-9]+)*$"))]
    #[schema(min_length = 1, max_length = 200, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    #[serde(default)]
    pub slug: Option<String>,
    /// The category it is in; none for the top.
    #[garde(skip)]
    #[serde(default)]
    pub parent_id: Option<CategoryId>,
    /// Order among its siblings.
    #[garde(skip)]
    #[serde(default)]
    pub position: i32,
}

/// Changes a category.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplaceCategory {
    /// Which.
    pub id: CategoryId,
    /// What it becomes.
    pub category: CategoryInput,
}

/// A category from a file: known by its source's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportedCategory {
    /// Its id in the source.
    pub external_id: String,
    /// Name.
    pub name: String,
    /// The parent's id in the source; comes before its children in the batch, or was imported before.
    pub parent_external_id: Option<String>,
}

/// What an import of a batch did.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ImportCounts {
    /// New.
    pub created: u64,
    /// Changed.
    pub updated: u64,
    /// As before.
    pub unchanged: u64,
}

/// A brand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrandView {
    /// Its id.
    pub id: BrandId,
    /// Name in URLs.
    pub slug: String,
    /// Name.
    pub name: String,
}

/// A new brand, or what it becomes.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrandInput {
    /// Name, unique.
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
}

/// Changes a brand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplaceBrand {
    /// Which.
    pub id: BrandId,
    /// What it becomes.
    pub brand: BrandInput,
}

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

/// The value a SKU has for an option, or an attribute of a product.
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
    pub attributes: Vec<NamedValue>,
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
    pub attributes: Vec<NamedValue>,
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

/// A new SKU, or what it becomes.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkuInput {
    /// Unique code; generated when absent.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    #[serde(default)]
    pub code: Option<String>,
    /// A value for each of the product's options.
    #[garde(length(max = 3), dive)]
    #[schema(max_items = 3)]
    #[serde(default)]
    pub options: Vec<NamedValue>,
    /// Barcode (GTIN).
    #[garde(length(chars, max = 50))]
    #[schema(max_length = 50)]
    #[serde(default)]
    pub barcode: Option<String>,
    /// Weight in grams.
    #[garde(range(min = 0, max = 10_000_000))]
    #[schema(minimum = 0, maximum = 10_000_000)]
    #[serde(default)]
    pub weight_grams: i64,
}

/// An image by its address.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageInput {
    /// `https://…`, fetched in the background; until then, and where that fails, a drawn placeholder stands in.
    #[garde(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000)]
    pub src: String,
    /// Text in its place.
    #[garde(length(chars, max = 500))]
    #[schema(max_length = 500)]
    #[serde(default)]
    pub alt: String,
}

/// A new product, or what it becomes.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductInput {
    /// Title.
    #[garde(length(chars, min = 1, max = 300))]
    #[schema(min_length = 1, max_length = 300)]
    pub title: String,
    /// Name in URLs; made from the title when absent.
    #[garde(length(min = 1, max = 200), pattern("^[a-z0-9]+(-[a-z0-9]+)*$"))]
    #[schema(min_length = 1, max_length = 200, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    #[serde(default)]
    pub slug: Option<String>,
    /// HTML; sanitised.
    #[garde(length(max = 200_000))]
    #[schema(max_length = 200_000)]
    #[serde(default)]
    pub description: String,
    /// Brand by name; made when it does not exist.
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    #[serde(default)]
    pub brand: Option<String>,
    /// Main category.
    #[garde(skip)]
    #[serde(default)]
    pub category_id: Option<CategoryId>,
    /// Descriptive attributes.
    #[garde(length(max = 100), dive)]
    #[schema(max_items = 100)]
    #[serde(default)]
    pub attributes: Vec<NamedValue>,
    /// Tags.
    #[garde(length(max = 250), inner(length(chars, min = 1, max = 255)))]
    #[schema(max_items = 250)]
    #[serde(default)]
    pub tags: Vec<String>,
    /// Names of up to three options; their values come from the SKUs.
    #[garde(length(max = 3), inner(length(chars, min = 1, max = 100)))]
    #[schema(max_items = 3)]
    #[serde(default)]
    pub options: Vec<String>,
    /// At least one SKU.
    #[garde(length(min = 1, max = 2000), dive)]
    #[schema(min_items = 1, max_items = 2000)]
    pub skus: Vec<SkuInput>,
    /// Images in order.
    #[garde(length(max = 250), dive)]
    #[schema(max_items = 250)]
    #[serde(default)]
    pub images: Vec<ImageInput>,
}

/// Changes a product. SKUs are matched by their options; SKUs that are not named any more are retired.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplaceProduct {
    /// Which.
    pub id: ProductId,
    /// What it becomes.
    pub product: ProductInput,
    /// The version it was read at (`If-Match`); `request.precondition_failed` when it moved on.
    pub expected_version: Option<i64>,
}

/// A product from a file: matched by slug (the handle), SKUs by options.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportedProduct {
    /// The product; `slug` is set.
    pub product: ProductInput,
    /// Whether it goes on the shelf.
    pub published: bool,
    /// Category by name, made at the top level when it does not exist.
    pub category: Option<String>,
}

/// What became of an imported product.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportedProductResult {
    /// Its id, when it is in.
    pub product_id: Option<ProductId>,
    /// Ids of its SKUs, in the input's order.
    pub sku_ids: Vec<SkuId>,
    /// Created, updated or as before.
    pub counts: ImportCounts,
    /// Why it is not in.
    pub error: Option<String>,
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

/// Publishing and shelving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProductAction {
    /// Draft to published, and onto the shelf.
    Publish,
    /// Published to draft, and off the shelf.
    Unpublish,
    /// Onto the shelf.
    Shelve,
    /// Off the shelf, still published.
    Unshelve,
}

/// Publishes or shelves a product.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct MoveProduct {
    /// Which.
    pub id: ProductId,
    /// What to do.
    pub action: ProductAction,
}

/// An uploaded image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UploadImage {
    /// Of which product.
    pub product_id: ProductId,
    /// The file, base64.
    pub bytes_base64: String,
    /// Text in its place.
    pub alt: String,
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

contract! {
    /// Categories, brands, products.
    Catalog as "catalog", CatalogClient, CatalogDispatcher {
        /// The category tree.
        categories(()) -> Vec<CategoryNode>;
        /// Adds a category (`catalog.write`).
        add_category(CategoryInput) -> CategoryRef;
        /// Changes or moves a category (`catalog.write`).
        replace_category(ReplaceCategory) -> CategoryRef;
        /// Removes an empty category (`catalog.write`).
        remove_category(CategoryId) -> ();
        /// Adds or changes categories from a file (`import.run`); at most 1,000 a call.
        import_categories(Vec<ImportedCategory>) -> ImportCounts;
        /// All brands by name.
        brands(()) -> Vec<BrandView>;
        /// Adds a brand (`catalog.write`).
        add_brand(BrandInput) -> BrandView;
        /// Renames a brand (`catalog.write`).
        replace_brand(ReplaceBrand) -> BrandView;
        /// Removes a brand without products (`catalog.write`).
        remove_brand(BrandId) -> ();
        /// A product by id or slug; drafts only for `catalog.read`.
        product(String) -> ProductRecord;
        /// Products by id, in the order asked, those that do not exist left out; at most 500.
        products(Vec<ProductId>) -> Vec<ProductRecord>;
        /// Sold products of a category or brand, newest first.
        list_products(ListProducts) -> Page<ProductRecord>;
        /// Every product by id; for rebuilding read models.
        scan_products(ScanProducts) -> Vec<ProductRecord>;
        /// SKUs by id, in the order asked, those that do not exist left out; at most 1,000.
        skus(Vec<SkuId>) -> Vec<SkuInfo>;
        /// Adds a product as a draft (`catalog.write`).
        add_product(ProductInput) -> ProductRecord;
        /// Changes a product (`catalog.write`).
        replace_product(ReplaceProduct) -> ProductRecord;
        /// Publishes, unpublishes, shelves or unshelves (`catalog.write`).
        move_product(MoveProduct) -> ProductRecord;
        /// Adds or changes products from a file (`import.run`); at most 500 a call. One that fails does not stop the others.
        import_products(Vec<ImportedProduct>) -> Vec<ImportedProductResult>;
        /// Adds an uploaded image (`catalog.write`).
        upload_image(UploadImage) -> ImageView;
        /// The bytes of an image.
        media(ImageId) -> Media;
    }
}

/// A product's catalog data changed, it came or it went; consumers read the state by id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProductChanged {
    /// Which.
    pub product_id: ProductId,
    /// Version after the change; older ones are ignored.
    pub version: i64,
}
event!(ProductChanged, "catalog.product_changed.v1", |e| e.product_id);

/// A category was renamed, moved or removed; read models of products below it are stale.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CategoryChanged {
    /// Which.
    pub category_id: CategoryId,
}
event!(CategoryChanged, "catalog.category_changed.v1", |e| e.category_id);

/// The currency products are shown in when the shopper does not say.
pub const DEFAULT_CURRENCY: Currency = Currency::USD;
