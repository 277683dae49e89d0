//! The catalog: categories, brands, attributes, SPU (products) and SKU (what one buys).

mod attributes;
mod categories;
mod products;
mod writing;

use kernel::{Currency, Page, id_kinds};
use serde::{Deserialize, Serialize};

pub use self::{attributes::*, categories::*, products::*, writing::*};
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
    /// A set of attributes.
    AttributeSetId, AttributeSet = "ats";
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
        ATTRIBUTE_SET_TAKEN = 409 "catalog.attribute_set_taken" "Another attribute set has this name";
        ATTRIBUTE_SET_IN_USE = 409 "catalog.attribute_set_in_use" "Categories still have this attribute set";
        STATE = 409 "catalog.state" "The product is in another state than this needs";
        IMAGE_REJECTED = 422 "catalog.image_rejected" "The file is no image we accept";
    }
}

contract! {
    /// Categories, brands, attributes, products.
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
        /// All attribute sets by name.
        attribute_sets(()) -> Vec<AttributeSetView>;
        /// Adds an attribute set (`catalog.write`).
        add_attribute_set(AttributeSetInput) -> AttributeSetView;
        /// Changes an attribute set (`catalog.write`). Products keep their values; they are checked when they are next
        /// saved or published.
        replace_attribute_set(ReplaceAttributeSet) -> AttributeSetView;
        /// Removes an attribute set that no category has (`catalog.write`).
        remove_attribute_set(AttributeSetId) -> ();
        /// Says which attribute sets a category has of its own (`catalog.write`); what products in it have then.
        assign_attribute_sets(AssignAttributeSets) -> Vec<CategoryAttribute>;
        /// Attributes of products in a category: its own and those of the categories above it.
        category_attributes(CategoryId) -> Vec<CategoryAttribute>;
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
        /// Prices and the like are the caller's to set.
        import_file_products(Vec<FileProduct>) -> Vec<ImportedProductResult>;
        /// Notes products of a file that are taken in with all that the file says of them (`import.run`); at most 500 a call.
        settle_imported(Vec<SettleImported>) -> ();
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

/// A brand was renamed; read models of its products are stale.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BrandChanged {
    /// Which.
    pub brand_id: BrandId,
}
event!(BrandChanged, "catalog.brand_changed.v1", |e| e.brand_id);

/// The currency products are shown in when the shopper does not say.
pub const DEFAULT_CURRENCY: Currency = Currency::USD;
