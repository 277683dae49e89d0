//! Attributes that describe products: defined in sets, which categories have and the categories below them inherit.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AttributeSetId, CategoryId};

/// What an attribute's values are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttributeKind {
    /// Any text.
    #[default]
    Text,
    /// A decimal number, in the attribute's unit where it has one.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of the attribute's choices.
    Choice,
}

/// An attribute that products of some categories have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Name, unique in its set whatever its case.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// What its values are.
    #[garde(skip)]
    pub kind: AttributeKind,
    /// Unit of a number, such as `cm`; other kinds have none.
    #[garde(length(chars, min = 1, max = 20))]
    #[schema(min_length = 1, max_length = 20)]
    #[serde(default)]
    pub unit: Option<String>,
    /// What can be chosen; a choice has at least one, other kinds have none.
    #[garde(length(max = 200), inner(length(chars, min = 1, max = 200)))]
    #[schema(max_items = 200)]
    #[serde(default)]
    pub choices: Vec<String>,
    /// Whether a product must have it to be published.
    #[garde(skip)]
    #[serde(default)]
    pub required: bool,
    /// Whether shoppers are to filter by it.
    #[garde(skip)]
    #[serde(default)]
    pub filterable: bool,
}

/// A new attribute set, or what it becomes.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeSetInput {
    /// Name, unique.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Attributes in the order they are shown in.
    #[garde(length(max = 100), dive)]
    #[schema(max_items = 100)]
    pub attributes: Vec<Attribute>,
}

/// An attribute set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttributeSetView {
    /// Its id.
    pub id: AttributeSetId,
    /// Name.
    pub name: String,
    /// Attributes in order.
    pub attributes: Vec<Attribute>,
    /// Categories that have it of their own.
    pub category_ids: Vec<CategoryId>,
}

/// Changes an attribute set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplaceAttributeSet {
    /// Which.
    pub id: AttributeSetId,
    /// What it becomes.
    pub set: AttributeSetInput,
}

/// Says which attribute sets a category has of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssignAttributeSets {
    /// Which category.
    pub category_id: CategoryId,
    /// All of its sets, in order.
    pub set_ids: Vec<AttributeSetId>,
}

/// An attribute that products in a category have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CategoryAttribute {
    /// The attribute.
    pub attribute: Attribute,
    /// The set that defines it.
    pub set_id: AttributeSetId,
    /// The category that has the set: this one, or one above it. The nearest one counts where several sets name the
    /// attribute.
    pub category_id: CategoryId,
}

/// An attribute of a product, with what the attribute sets of its category say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttributeValue {
    /// Name.
    pub name: String,
    /// Value as text: a number without its unit, `true` or `false`.
    pub value: String,
    /// What the value is; text where no set says.
    #[serde(default)]
    pub kind: AttributeKind,
    /// Unit of a number, where it has one.
    #[serde(default)]
    pub unit: Option<String>,
    /// Whether shoppers are to filter by it.
    #[serde(default)]
    pub filterable: bool,
}
