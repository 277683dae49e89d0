//! Which column is what. Shopify names its columns one way in exports of old and another in exports of today; files that
//! people made have them in any order and leave some out.

use std::collections::HashMap;

use kernel::{Failure, Result, code};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Handle,
    Title,
    Body,
    Vendor,
    ProductCategory,
    GoogleCategory,
    Type,
    Tags,
    Published,
    Status,
    OptionName(u8),
    OptionValue(u8),
    Sku,
    Barcode,
    Grams,
    Quantity,
    Price,
    CompareAt,
    ImageSrc,
    ImagePosition,
    ImageAlt,
    VariantImage,
}

/// Names of columns, in lower case.
const NAMES: &[(&str, Field)] = &[
    ("handle", Field::Handle),
    ("url handle", Field::Handle),
    ("title", Field::Title),
    ("body (html)", Field::Body),
    ("body html", Field::Body),
    ("description", Field::Body),
    ("vendor", Field::Vendor),
    ("product category", Field::ProductCategory),
    ("standardized product type", Field::ProductCategory),
    ("standard product type", Field::ProductCategory),
    ("google shopping / google product category", Field::GoogleCategory),
    ("type", Field::Type),
    ("product type", Field::Type),
    ("custom product type", Field::Type),
    ("tags", Field::Tags),
    ("published", Field::Published),
    ("published on online store", Field::Published),
    ("status", Field::Status),
    ("variant sku", Field::Sku),
    ("sku", Field::Sku),
    ("variant barcode", Field::Barcode),
    ("barcode", Field::Barcode),
    ("variant grams", Field::Grams),
    ("weight value (grams)", Field::Grams),
    ("variant inventory qty", Field::Quantity),
    ("variant inventory quantity", Field::Quantity),
    ("inventory quantity", Field::Quantity),
    ("variant price", Field::Price),
    ("price", Field::Price),
    ("variant compare at price", Field::CompareAt),
    ("variant compare-at price", Field::CompareAt),
    ("compare-at price", Field::CompareAt),
    ("compare at price", Field::CompareAt),
    ("image src", Field::ImageSrc),
    ("product image url", Field::ImageSrc),
    ("image position", Field::ImagePosition),
    ("image alt text", Field::ImageAlt),
    ("variant image", Field::VariantImage),
    ("variant image url", Field::VariantImage),
];

/// Columns that describe a product, with the name the attribute gets.
const ATTRIBUTES: &[(&str, &str)] =
    &[("google shopping / gender", "Gender"), ("google shopping / age group", "Age group")];

/// The header of a file.
#[derive(Debug)]
pub(crate) struct Columns {
    at: HashMap<Field, usize>,
    names: Vec<String>,
    /// Column and attribute.
    attributes: Vec<(usize, String)>,
    /// Options that Shopify does not know: a fourth and more.
    surplus: Vec<usize>,
}

impl Columns {
    /// Reads the header; a file without a handle and without a title has no products.
    pub(crate) fn read(cells: &[Vec<u8>]) -> Result<Self> {
        let names: Vec<String> =
            cells.iter().map(|cell| kernel::normalise(&String::from_utf8_lossy(cell))).collect();
        let mut columns =
            Self { at: HashMap::new(), names: Vec::new(), attributes: Vec::new(), surplus: Vec::new() };
        for (index, name) in names.iter().enumerate() {
            let key = name.to_lowercase();
            if let Some(field) = field(&key) {
                // Of two columns of one name the first counts.
                columns.at.entry(field).or_insert(index);
            } else if key.starts_with("option") && (key.ends_with(" name") || key.ends_with(" value")) {
                columns.surplus.push(index);
            } else if let Some(attribute) = attribute(name, &key) {
                columns.attributes.push((index, attribute));
            }
        }
        columns.names = names;
        if columns.has(Field::Title) {
            Ok(columns)
        } else {
            Err(Failure::new(code::INVALID)
                .detail("the file has no column Title: it is no Shopify product CSV"))
        }
    }

    pub(crate) fn has(&self, field: Field) -> bool {
        self.at.contains_key(&field)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The column's name in this file.
    pub(crate) fn name(&self, field: Field) -> Option<String> {
        self.at.get(&field).and_then(|&at| self.names.get(at)).cloned()
    }

    /// The name of the column at `at`.
    pub(crate) fn name_at(&self, at: usize) -> Option<String> {
        self.names.get(at).cloned()
    }

    pub(crate) fn position(&self, field: Field) -> Option<usize> {
        self.at.get(&field).copied()
    }

    pub(crate) fn attributes(&self) -> &[(usize, String)] {
        &self.attributes
    }

    pub(crate) fn surplus(&self) -> &[usize] {
        &self.surplus
    }

    /// Columns that are read, with their names.
    pub(crate) fn read_ones(&self) -> impl Iterator<Item = (usize, &str)> {
        let attributes = self.attributes.iter().map(|(at, _)| *at);
        self.at.values().copied().chain(attributes).map(|at| (at, self.names[at].as_str()))
    }
}

fn field(key: &str) -> Option<Field> {
    if let Some((_, field)) = NAMES.iter().find(|(name, _)| *name == key) {
        return Some(*field);
    }
    let rest = key.strip_prefix("option")?;
    let number = rest.bytes().next().filter(|b| (b'1'..=b'3').contains(b))? - b'1';
    match &rest[1..] {
        " name" => Some(Field::OptionName(number)),
        " value" => Some(Field::OptionValue(number)),
        _ => None,
    }
}

/// `Fabric (product.metafields.shopify.fabric)` describes the product.
fn attribute(name: &str, key: &str) -> Option<String> {
    if let Some((_, attribute)) = ATTRIBUTES.iter().find(|(column, _)| *column == key) {
        return Some((*attribute).to_owned());
    }
    let end = key.find(" (product.metafields.")?;
    name.get(..end).map(|name| name.chars().take(100).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &str) -> Result<Columns> {
        Columns::read(&header.split(',').map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn knows_old_and_new_names() {
        let old =
            columns("Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant Price,Image Src,Published")
                .unwrap();
        let new = columns("URL handle,Title,Description,Option1 name,Option1 value,Price,Product image URL,Published on online store").unwrap();
        for (at, field) in [
            Field::Handle,
            Field::Title,
            Field::Body,
            Field::OptionName(0),
            Field::OptionValue(0),
            Field::Price,
            Field::ImageSrc,
            Field::Published,
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(old.position(field), Some(at));
            assert_eq!(new.position(field), Some(at));
        }
        assert_eq!(new.name(Field::Handle).as_deref(), Some("URL handle"));
        assert!(columns("id,name,path").is_err());
    }

    #[test]
    fn finds_attributes_and_surplus_options() {
        let columns = columns("Title,Fabric (product.metafields.shopify.fabric),Option4 Name,Google Shopping / Gender,SEO Title").unwrap();
        assert_eq!(columns.attributes(), [(1, "Fabric".to_owned()), (3, "Gender".to_owned())]);
        assert_eq!(columns.surplus(), [2]);
    }
}
