//! Products with their SKUs; prices and stock of SKUs.

use contracts::{
    catalog::{CategoryId, ImageInput, ProductId, SkuId},
    intake::{ProductFacts, SkuFacts, TakeProduct},
};
use kernel::Money;

use super::Mapper;
use crate::values::{Reason, Record, attributes, line};

/// Most characters of a slug's first part; its end is the product's key.
const SLUG: usize = 150;

/// What belongs to a product.
#[derive(Clone, Debug)]
pub(crate) struct ProductRows<'a> {
    pub(crate) product: &'a Record,
    pub(crate) skus: &'a [Record],
    /// Name of its brand.
    pub(crate) brand: Option<&'a str>,
    /// Its category here.
    pub(crate) category: Option<CategoryId>,
}

impl Mapper {
    /// A product with its SKUs.
    pub(crate) fn product(&self, rows: &ProductRows<'_>) -> Result<TakeProduct, Reason> {
        let row = rows.product;
        let key = row.need("id")?.to_owned();
        let title = line(row.need("name")?, 300);
        let published = self.meaning("products", row, "on_shelf")? == "on_shelf";
        if rows.skus.is_empty() {
            return Err("has no SKU".to_owned());
        }
        let id = self.ids.product(&key);
        let skus = rows.skus.iter().map(|sku| self.sku(id, sku)).collect::<Result<Vec<_>, _>>()?;
        // Only addresses can be fetched; a path on the old shop's disk is nothing here.
        let image = row.get("main_image").filter(|src| src.starts_with("http"));
        Ok(TakeProduct {
            facts: ProductFacts { id, slug: self.slug(&title, &key), title, published, skus },
            key,
            description: row.get("description").unwrap_or_default().to_owned(),
            brand: rows.brand.map(str::to_owned),
            category_id: rows.category,
            images: image
                .map(|src| ImageInput { src: src.to_owned(), alt: String::new() })
                .into_iter()
                .collect(),
        })
    }

    fn sku(&self, product: ProductId, row: &Record) -> Result<SkuFacts, Reason> {
        let key = row.need("id")?;
        let of = |reason: Reason| format!("SKU {key}: {reason}");
        let weight =
            if row.get("weight_grams").is_some() { row.number("weight_grams").map_err(of)? } else { 0 };
        Ok(SkuFacts {
            id: self.ids.sku(product, key),
            code: line(row.need("sku_code").map_err(of)?, 100),
            options: attributes(row.get("attributes")).map_err(of)?,
            barcode: row.get("barcode").map(|text| line(text, 50)),
            weight_grams: weight,
        })
    }

    /// A product's name in URLs: no two of a source have one.
    pub(crate) fn slug(&self, title: &str, key: &str) -> String {
        let name = slug::slugify(title);
        let name = name.get(..SLUG).unwrap_or(&name).trim_matches('-');
        let name = if name.is_empty() { "product" } else { name };
        format!("{name}-{}-{key}", self.mapping.source)
    }

    /// Price and stock of a SKU.
    pub(crate) fn offer(&self, row: &Record) -> Result<(SkuId, ProductId, Money, i64), Reason> {
        let key = row.need("id")?;
        let product = self.ids.product(row.need("product_id")?);
        let price = row.money("price", self.mapping.currency())?;
        let quantity = row.number("stock")?;
        if !(0..=1_000_000_000).contains(&quantity) {
            return Err(format!("stock {quantity} must lie between 0 and 1000000000"));
        }
        Ok((self.ids.sku(product, key), product, price, quantity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::testing::{mapper, row, with};

    fn lamp() -> Record {
        row(&[("id", "12"), ("name", " Désk  Lamp "), ("status", "1"), ("main_image", "/img/1.png")])
    }

    fn sku() -> Record {
        let columns = [("id", "1"), ("product_id", "12"), ("sku_code", "L-1"), ("price", "19.90")];
        with(&row(&columns), &[("stock", "5"), ("attributes", r#"{"Color":"Red"}"#)])
    }

    fn product(product: &Record, skus: &[Record]) -> Result<TakeProduct, Reason> {
        mapper().product(&ProductRows { product, skus, brand: Some("Lux"), category: None })
    }

    #[test]
    fn a_product_gets_a_name_of_its_own() {
        let lamp = product(&lamp(), &[sku()]).unwrap();
        assert_eq!(lamp.facts.title, "Désk Lamp");
        assert_eq!(lamp.facts.slug, "desk-lamp-legacy-12");
        assert!(lamp.facts.published && lamp.images.is_empty());
        assert_eq!(lamp.facts.skus[0].options[0].value, "Red");
        assert_eq!(lamp.facts.skus[0].id, mapper().offer(&sku()).unwrap().0);
        assert_eq!(mapper().slug("???", "3"), "product-legacy-3");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (row, skus, part) in [
            (with(&lamp(), &[("status", "7")]), vec![sku()], "unknown status"),
            (with(&lamp(), &[("name", " ")]), vec![sku()], "name is empty"),
            (lamp(), vec![], "has no SKU"),
            (lamp(), vec![with(&sku(), &[("attributes", "red")])], "SKU 1: attributes"),
            (lamp(), vec![with(&sku(), &[("sku_code", "")])], "SKU 1: sku_code is empty"),
        ] {
            let reason = product(&row, &skus).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
        for (columns, part) in [
            (&[("price", "-1.00")][..], "negative"),
            (&[("price", "1.999")], "decimal digits"),
            (&[("stock", "-2")], "must lie between"),
            (&[("stock", "1.5")], "no whole number"),
        ] {
            let reason = mapper().offer(&with(&sku(), columns)).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
