//! What a write of products comes to, gathered so that many products cost few statements.

use kernel::{Failure, Result, code};
use platform_db::{DbResult, Rows, Tx, is_duplicate};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{
    entity::{product, product_image, product_slug, sku, sku_code},
    products::{ImageRow, ProductRow, SkuCodeRow, SkuRow, SlugRow},
};

/// Rows to insert, to change and to remove.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) new_products: Vec<ProductRow>,
    pub(crate) new_skus: Vec<SkuRow>,
    pub(crate) new_codes: Vec<SkuCodeRow>,
    pub(crate) new_slugs: Vec<SlugRow>,
    pub(crate) new_images: Vec<ImageRow>,
    /// What a product becomes; its row must still have the version before.
    pub(crate) products: Vec<ProductRow>,
    pub(crate) skus: Vec<SkuRow>,
    pub(crate) images: Vec<ImageRow>,
    /// Slugs that became redirects (false) or current again (true).
    pub(crate) slugs: Vec<(String, bool)>,
    /// Codes that no SKU has any more.
    pub(crate) free_codes: Vec<String>,
    /// Images that are gone; their files go after the commit.
    pub(crate) gone_images: Vec<ImageRow>,
}

impl Changes {
    /// Adds those of another product.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.new_products.extend(other.new_products);
        self.new_skus.extend(other.new_skus);
        self.new_codes.extend(other.new_codes);
        self.new_slugs.extend(other.new_slugs);
        self.new_images.extend(other.new_images);
        self.products.extend(other.products);
        self.skus.extend(other.skus);
        self.images.extend(other.images);
        self.slugs.extend(other.slugs);
        self.free_codes.extend(other.free_codes);
        self.gone_images.extend(other.gone_images);
    }

    /// Writes everything. A slug or code that somebody else took at the same time is `catalog.slug_taken` or
    /// `catalog.sku_code_taken`; a product that somebody else changed is `request.precondition_failed`.
    pub(crate) async fn apply(self, tx: &Tx) -> Result<()> {
        if !self.free_codes.is_empty() {
            let gone = sku_code::Entity::delete_many().filter(sku_code::Column::Code.is_in(self.free_codes));
            gone.exec(tx).await.db()?;
        }
        for image in &self.gone_images {
            product_image::Entity::delete_by_id((image.shard, image.id)).exec(tx).await.db()?;
        }
        for product in self.products {
            change_product(tx, product).await?;
        }
        for sku in self.skus {
            change_sku(tx, sku).await?;
        }
        for image in self.images {
            change_image(tx, image).await?;
        }
        for (slug, current) in self.slugs {
            product_slug::Entity::update_many()
                .col_expr(product_slug::Column::Current, Expr::value(current))
                .filter(product_slug::Column::Slug.eq(slug))
                .exec(tx)
                .await
                .db()?;
        }
        let rows = Rows::new()
            .rows(self.new_products)
            .rows(self.new_skus)
            .rows(self.new_codes)
            .rows(self.new_slugs)
            .rows(self.new_images);
        rows.insert(tx).await.map_err(taken)
    }
}

fn taken(failure: Failure) -> Failure {
    if is_duplicate(&failure, "product_slug") {
        Failure::new(contracts::catalog::code::SLUG_TAKEN)
    } else if is_duplicate(&failure, "sku_code") {
        Failure::new(contracts::catalog::code::SKU_CODE_TAKEN)
    } else {
        failure
    }
}

async fn change_product(tx: &Tx, to: ProductRow) -> Result<()> {
    let done = product::Entity::update_many()
        .col_expr(product::Column::Slug, Expr::value(to.slug))
        .col_expr(product::Column::Title, Expr::value(to.title))
        .col_expr(product::Column::Description, Expr::value(to.description))
        .col_expr(product::Column::BrandId, Expr::value(to.brand_id))
        .col_expr(product::Column::CategoryId, Expr::value(to.category_id))
        .col_expr(product::Column::Details, Expr::value(to.details))
        .col_expr(product::Column::State, Expr::value(to.state))
        .col_expr(product::Column::OnShelf, Expr::value(to.on_shelf))
        .col_expr(product::Column::Sold, Expr::value(to.sold))
        .col_expr(product::Column::PublishedAt, Expr::value(to.published_at))
        .col_expr(product::Column::Version, Expr::value(to.version))
        .col_expr(product::Column::ImportHash, Expr::value(to.import_hash))
        .col_expr(product::Column::ImportPublished, Expr::value(to.import_published))
        .col_expr(product::Column::UpdatedAt, Expr::value(to.updated_at))
        .filter(product::Column::Shard.eq(to.shard))
        .filter(product::Column::Id.eq(to.id))
        .filter(product::Column::Version.eq(to.version - 1))
        .exec(tx)
        .await
        .db()?;
    if done.rows_affected == 1 { Ok(()) } else { Err(Failure::new(code::PRECONDITION)) }
}

async fn change_sku(tx: &Tx, to: SkuRow) -> Result<()> {
    sku::Entity::update_many()
        .col_expr(sku::Column::Position, Expr::value(to.position))
        .col_expr(sku::Column::Code, Expr::value(to.code))
        .col_expr(sku::Column::Options, Expr::value(to.options))
        .col_expr(sku::Column::Barcode, Expr::value(to.barcode))
        .col_expr(sku::Column::WeightGrams, Expr::value(to.weight_grams))
        .col_expr(sku::Column::Retired, Expr::value(to.retired))
        .filter(sku::Column::Shard.eq(to.shard))
        .filter(sku::Column::Id.eq(to.id))
        .exec(tx)
        .await
        .db()
        .map(|_| ())
}

async fn change_image(tx: &Tx, to: ImageRow) -> Result<()> {
    product_image::Entity::update_many()
        .col_expr(product_image::Column::Position, Expr::value(to.position))
        .col_expr(product_image::Column::Alt, Expr::value(to.alt))
        .filter(product_image::Column::Shard.eq(to.shard))
        .filter(product_image::Column::Id.eq(to.id))
        .exec(tx)
        .await
        .db()
        .map(|_| ())
}
