//! Products as they are written.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CategoryId, ImportCounts, NamedValue, ProductId, SkuId};
use crate::intake::Digest;

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
    /// Descriptive attributes. Those that the category's attribute sets define must be of their type: a decimal number
    /// (with or without the unit), `true` or `false`, one of the choices; names and choices whatever their case. Other
    /// names are free text.
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

/// A product as the rows of a file tell it, or a program; some of the rows may be wrong. It is matched by slug (the handle),
/// its SKUs by options.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileProduct {
    /// The product; `slug` is set.
    pub product: ProductInput,
    /// Whether it goes on the shelf; none where that could not be read: it stays where it stands, a new one is a draft.
    pub published: Option<bool>,
    /// Category by name, made at the top level when it does not exist.
    pub category: Option<String>,
    /// Whether every row could be read. Else the SKUs and images that it has stay, named or not.
    pub complete: bool,
    /// The slug that an older version made of its handle, where that may lead to a product of another handle too. The product
    /// that has it and the same title is this one.
    pub former_slug: Option<String>,
    /// Digest of what the file says of it that others keep (its prices). Where there is one, the product counts as taken in
    /// once they have it: [`ImportedProductResult::unsettled`].
    pub beside: Option<Digest>,
}

impl FileProduct {
    /// A product that is known whole: nothing of it is missing, and others keep nothing of it.
    pub fn whole(product: ProductInput, published: bool, category: Option<String>) -> Self {
        Self {
            product,
            published: Some(published),
            category,
            complete: true,
            former_slug: None,
            beside: None,
        }
    }
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
    /// To be handed to `settle_imported` once others have what the file says beside the catalog; none for a product that is as
    /// before, or of which the file says nothing else.
    #[serde(default)]
    pub unsettled: Option<SettleImported>,
}

/// Says that all of what a file says of a product is taken in. Without it the next import applies the file again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleImported {
    /// Which product.
    pub product_id: ProductId,
    /// Its version after the import; nothing happens when it moved on.
    pub version: i64,
    /// Digest of what the file says.
    pub said: Digest,
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
