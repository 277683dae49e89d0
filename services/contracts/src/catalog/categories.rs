//! Categories and brands: what products are sorted by.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BrandId, CategoryId};

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
