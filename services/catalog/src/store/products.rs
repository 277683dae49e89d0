//! Products with their SKUs, images, slugs and codes.

use std::collections::{HashMap, HashSet};

use contracts::catalog::{
    AttributeValue, ImageId, ImageView, NamedValue, OptionView, ProductId, ProductRecord, SettleImported,
    SkuId, SkuRecord,
};
use kernel::{Failure, Result, Timestamp};
use platform_db::DbResult;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, sea_query::CaseStatement,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    entity::{product, product_image, product_slug, sku, sku_code},
    of_products,
};
use crate::{
    draft::image_url,
    model::{Details, state_of},
};

pub(crate) use super::entity::{
    product::Model as ProductRow, product_image::Model as ImageRow, product_slug::Model as SlugRow,
    sku::Model as SkuRow, sku_code::Model as SkuCodeRow,
};

/// A product as its rows say.
#[derive(Clone, Debug)]
pub(crate) struct ProductRows {
    pub(crate) product: ProductRow,
    /// In order; retired ones last.
    pub(crate) skus: Vec<SkuRow>,
    /// In order.
    pub(crate) images: Vec<ImageRow>,
}

/// Products by id, with everything that belongs to them: three queries.
pub(crate) async fn load(
    connection: &impl ConnectionTrait,
    ids: &[ProductId],
) -> Result<HashMap<ProductId, ProductRows>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let products = product::Entity::find()
        .filter(product::Column::Id.is_in(ids.iter().map(|id| id.uuid())))
        .all(connection)
        .await
        .db()?;
    let mut all: HashMap<ProductId, ProductRows> = products
        .into_iter()
        .map(|product| {
            (ProductId::from_uuid(product.id), ProductRows { product, skus: Vec::new(), images: Vec::new() })
        })
        .collect();
    for sku in skus_of(connection, ids).await? {
        if let Some(rows) = all.get_mut(&ProductId::from_uuid(sku.product_id)) {
            rows.skus.push(sku);
        }
    }
    let images = product_image::Entity::find()
        .filter(of_products(product_image::Column::Shard, product_image::Column::ProductId, ids))
        .order_by_asc(product_image::Column::Position)
        .order_by_asc(product_image::Column::Id)
        .all(connection)
        .await
        .db()?;
    for image in images {
        if let Some(rows) = all.get_mut(&ProductId::from_uuid(image.product_id)) {
            rows.images.push(image);
        }
    }
    Ok(all)
}

/// SKUs of these products, live ones in order before retired ones.
pub(crate) async fn skus_of(connection: &impl ConnectionTrait, ids: &[ProductId]) -> Result<Vec<SkuRow>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    sku::Entity::find()
        .filter(of_products(sku::Column::Shard, sku::Column::ProductId, ids))
        .order_by_asc(sku::Column::Retired)
        .order_by_asc(sku::Column::Position)
        .order_by_asc(sku::Column::Id)
        .all(connection)
        .await
        .db()
}

#[derive(FromQueryResult)]
struct Home {
    id: Uuid,
    product_id: Uuid,
}

/// Which products these SKUs belong to.
pub(crate) async fn products_of(
    connection: &impl ConnectionTrait,
    ids: &[SkuId],
) -> Result<HashMap<SkuId, ProductId>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    // A SKU shares its product's shard and the primary key is `(shard, id)`.
    let mut by_shard: HashMap<i32, Vec<Uuid>> = HashMap::new();
    for id in ids {
        by_shard.entry(super::shard_number(id.shard())).or_default().push(id.uuid());
    }
    let wanted = by_shard.into_iter().fold(Condition::any(), |any, (shard, ids)| {
        any.add(Condition::all().add(sku::Column::Shard.eq(shard)).add(sku::Column::Id.is_in(ids)))
    });
    let rows: Vec<Home> = sku::Entity::find()
        .select_only()
        .column(sku::Column::Id)
        .column(sku::Column::ProductId)
        .filter(wanted)
        .into_model()
        .all(connection)
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| (SkuId::from_uuid(row.id), ProductId::from_uuid(row.product_id))).collect())
}

/// Products that have, or once had, these slugs.
pub(crate) async fn slugs(
    connection: &impl ConnectionTrait,
    slugs: Vec<String>,
) -> Result<HashMap<String, SlugRow>> {
    let rows = product_slug::Entity::find()
        .filter(product_slug::Column::Slug.is_in(slugs))
        .all(connection)
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| (row.slug.clone(), row)).collect())
}

/// SKUs that have these codes.
pub(crate) async fn codes(
    connection: &impl ConnectionTrait,
    codes: HashSet<String>,
) -> Result<HashMap<String, SkuId>> {
    let mut taken = HashMap::new();
    let codes: Vec<String> = codes.into_iter().collect();
    for some in codes.chunks(2_000) {
        let rows = sku_code::Entity::find()
            .filter(sku_code::Column::Code.is_in(some.iter().map(String::as_str)))
            .all(connection)
            .await
            .db()?;
        taken.extend(rows.into_iter().map(|row| (row.code, SkuId::from_uuid(row.sku_id))));
    }
    Ok(taken)
}

/// What the last import said of a product.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Imported {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) import_hash: Option<Vec<u8>>,
    pub(crate) version: i64,
}

/// What the last import said of these products.
pub(crate) async fn imported(
    connection: &impl ConnectionTrait,
    ids: Vec<Uuid>,
) -> Result<HashMap<ProductId, Imported>> {
    let rows: Vec<Imported> = product::Entity::find()
        .select_only()
        .column(product::Column::Id)
        .column(product::Column::Title)
        .column(product::Column::ImportHash)
        .column(product::Column::Version)
        .filter(product::Column::Id.is_in(ids))
        .into_model()
        .all(connection)
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| (ProductId::from_uuid(row.id), row)).collect())
}

/// Products whose notes one statement writes.
const SETTLED: usize = 128;

/// Notes what files said of products that still have the version they were written with.
pub(crate) async fn settle(connection: &impl ConnectionTrait, all: &[SettleImported]) -> Result<()> {
    for some in all.chunks(SETTLED) {
        let (mut said, mut these) = (CaseStatement::new(), Condition::any());
        for it in some {
            let id = it.product_id;
            said = said.case(product::Column::Id.eq(id.uuid()), it.said.to_vec());
            these = these.add(
                Condition::all()
                    .add(product::Column::Shard.eq(super::shard_number(id.shard())))
                    .add(product::Column::Id.eq(id.uuid()))
                    .add(product::Column::Version.eq(it.version)),
            );
        }
        product::Entity::update_many()
            .col_expr(product::Column::ImportHash, said.into())
            .filter(these)
            .exec(connection)
            .await
            .db()?;
    }
    Ok(())
}

/// The option values of a SKU.
pub(crate) fn options_of(sku: &SkuRow) -> Result<Vec<NamedValue>> {
    serde_json::from_slice(&sku.options).map_err(Failure::internal)
}

pub(crate) fn details_of(product: &ProductRow) -> Result<Details> {
    serde_json::from_slice(&product.details).map_err(Failure::internal)
}

/// A product as caches keep it: without what other tables say of its brand and categories, which change on their own.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) record: ProductRecord,
    pub(crate) brand: Option<Uuid>,
    pub(crate) category: Option<Uuid>,
    /// SKUs that are not sold any more; old carts and orders still name them.
    pub(crate) retired: Vec<SkuRecord>,
}

impl TryFrom<ProductRows> for Known {
    type Error = Failure;

    fn try_from(rows: ProductRows) -> Result<Self> {
        let ProductRows { product, skus, images } = rows;
        let details = details_of(&product)?;
        let (mut live, mut retired) = (Vec::new(), Vec::new());
        for sku in skus {
            let into = if sku.retired { &mut retired } else { &mut live };
            let options = options_of(&sku)?;
            into.push(SkuRecord {
                id: SkuId::from_uuid(sku.id),
                code: sku.code,
                options,
                barcode: sku.barcode,
                weight_grams: sku.weight_grams,
            });
        }
        let title = &product.title;
        let images = images.into_iter().map(|image| view(image, title)).collect();
        Ok(Self {
            record: ProductRecord {
                id: ProductId::from_uuid(product.id),
                options: option_views(&details.options, &live),
                slug: product.slug,
                description: product.description,
                brand: None,
                categories: Vec::new(),
                attributes: details.attributes.into_iter().map(as_text).collect(),
                tags: details.tags,
                images,
                skus: live,
                state: state_of(&product.state),
                on_shelf: product.on_shelf,
                published_at: product.published_at.map(Timestamp::from_micros),
                version: product.version,
                title: product.title,
            },
            brand: product.brand_id,
            category: product.category_id,
            retired,
        })
    }
}

/// An attribute before its category is asked what it is.
fn as_text(attribute: NamedValue) -> AttributeValue {
    AttributeValue { name: attribute.name, value: attribute.value, ..AttributeValue::default() }
}

/// An image as shoppers see it; one without a text is described by the product's title.
pub(crate) fn view(image: ImageRow, title: &str) -> ImageView {
    ImageView {
        url: image_url(ImageId::from_uuid(image.id)),
        alt: if image.alt.is_empty() { title.to_owned() } else { image.alt },
        position: image.position,
    }
}

/// Options with the values that SKUs have for them, in the SKUs' order.
fn option_views(names: &[String], skus: &[SkuRecord]) -> Vec<OptionView> {
    let values = |index: usize| {
        let mut seen = HashSet::new();
        skus.iter()
            .filter_map(|sku| sku.options.get(index).map(|option| option.value.clone()))
            .filter(|value| seen.insert(value.to_lowercase()))
            .collect()
    };
    names
        .iter()
        .enumerate()
        .map(|(index, name)| OptionView { name: name.clone(), values: values(index) })
        .collect()
}
