//! SQL of products that come from another shop.

use contracts::catalog::ProductId;
use kernel::Result;
use platform_db::{DbResult, Marks, Tx};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{
    entity::{product, product_image, product_slug, sku, sku_code},
    of_products,
    products::ProductRows,
};

/// What was taken in.
pub(crate) const TAKEN: Marks = Marks::of("product_taken");

/// Removes a product with everything that belongs to it.
pub(crate) async fn remove(tx: &Tx, rows: &ProductRows) -> Result<()> {
    let id = ProductId::from_uuid(rows.product.id);
    let codes = rows.skus.iter().map(|sku| sku.code.clone());
    sku_code::Entity::delete_many()
        .filter(sku_code::Column::Code.is_in(codes))
        .filter(sku_code::Column::SkuId.is_in(rows.skus.iter().map(|sku| sku.id)))
        .exec(tx)
        .await
        .db()?;
    product_slug::Entity::delete_many()
        .filter(product_slug::Column::ProductId.eq(id.uuid()))
        .exec(tx)
        .await
        .db()?;
    product_image::Entity::delete_many()
        .filter(of_products(product_image::Column::Shard, product_image::Column::ProductId, &[id]))
        .exec(tx)
        .await
        .db()?;
    sku::Entity::delete_many()
        .filter(of_products(sku::Column::Shard, sku::Column::ProductId, &[id]))
        .exec(tx)
        .await
        .db()?;
    product::Entity::delete_by_id((rows.product.shard, rows.product.id)).exec(tx).await.db()?;
    Ok(())
}
