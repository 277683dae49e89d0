//! Adds a product, or changes one.

use contracts::{
    Ctx, Permission,
    catalog::{BrandId, ProductChanged, ProductId, ProductInput, ProductRecord, ReplaceProduct, code},
};
use kernel::{Failure, Result, code as request};
use platform_db::Tx;

use crate::{
    attributes::Rules,
    draft::Draft,
    model::{Standing, state_of},
    naming,
    plan::{Target, plan, wanted_codes},
    service::CatalogService,
    store::products::{self, ImageRow, ProductRows},
};

/// A product to write.
pub(crate) struct Write {
    id: ProductId,
    draft: Draft,
    brand: Option<BrandId>,
    rules: Rules,
    /// The version it was read at.
    expected: Option<i64>,
}

/// What a write did.
pub(crate) struct Written {
    /// Slugs whose meaning changed.
    slugs: Vec<String>,
    gone_images: Vec<ImageRow>,
}

impl CatalogService {
    pub(crate) async fn add_product(&self, ctx: &Ctx, input: ProductInput) -> Result<ProductRecord> {
        ctx.require(Permission::CatalogWrite)?;
        let id = self.db.ids().mint(self.db.random_shard());
        let write = self.read_draft(id, input, None).await?;
        self.write_product(write, |tx, write| Box::pin(add(tx, write))).await
    }

    pub(crate) async fn replace_product(&self, ctx: &Ctx, command: ReplaceProduct) -> Result<ProductRecord> {
        ctx.require(Permission::CatalogWrite)?;
        let ReplaceProduct { id, product, expected_version } = command;
        if self.one(id).await?.is_none() {
            return Err(Failure::not_found("product"));
        }
        let write = self.read_draft(id, product, expected_version).await?;
        self.write_product(write, |tx, write| Box::pin(replace(tx, write))).await
    }

    pub(crate) async fn read_draft(
        &self,
        id: ProductId,
        input: ProductInput,
        expected: Option<i64>,
    ) -> Result<Write> {
        let mut draft = Draft::read(input)?;
        if let Some(category) = draft.category_id
            && self.category_tree().await?.get(category).is_none()
        {
            return Err(Failure::invalid("/category_id", "there is no such category"));
        }
        let rules = self.rules(draft.category_id).await?;
        draft.details.attributes = rules.fit(draft.details.attributes)?;
        let brand = match &draft.brand {
            Some(name) => self.ensure_brands([name.as_str()]).await?.remove(&name.to_lowercase()),
            None => None,
        };
        Ok(Write { id, draft, brand, rules, expected })
    }

    async fn write_product<F>(&self, write: Write, work: F) -> Result<ProductRecord>
    where
        F: for<'a> Fn(&'a Tx, &'a Write) -> futures::future::BoxFuture<'a, Result<Written>>
            + Send
            + Sync
            + 'static,
    {
        let id = write.id;
        let written = match self.db.write(id.shard(), write, work).await {
            Ok(written) => written,
            Err(failure) => {
                // Whether it was committed may be unknown.
                self.forget(&[id], []).await;
                return Err(failure);
            }
        };
        self.filter.insert(&id);
        self.forget(&[id], written.slugs).await;
        self.drop_files(&written.gone_images).await;
        self.record(id).await
    }
}

/// Adds a product; again, it is the one that was added.
pub(crate) async fn add(tx: &Tx, write: &Write) -> Result<Written> {
    let wanted = match &write.draft.slug {
        Some(slug) => vec![slug.clone()],
        None => naming::candidates(&naming::slug_of(&write.draft.title), &write.id.to_string()),
    };
    let taken = products::slugs(tx, wanted.clone()).await?;
    if let Some(own) = taken.values().find(|row| row.product_id == write.id.uuid()) {
        // This very write, whose commit was not heard of.
        return Ok(Written { slugs: vec![own.slug.clone()], gone_images: Vec::new() });
    }
    let slug = wanted.into_iter().find(|slug| !taken.contains_key(slug)).ok_or_else(slug_taken)?;
    write_rows(tx, write, None, slug, false, Standing::DRAFT).await
}

async fn replace(tx: &Tx, write: &Write) -> Result<Written> {
    let before = products::load(tx, &[write.id]).await?.remove(&write.id);
    let before = before.ok_or_else(|| Failure::not_found("product"))?;
    let version = before.product.version;
    if write.expected.is_some_and(|expected| expected != version) {
        return Err(
            Failure::new(request::PRECONDITION).detail(format!("the product is at version {version} now"))
        );
    }
    let slug = write.draft.slug.clone().unwrap_or_else(|| before.product.slug.clone());
    let holder = products::slugs(tx, vec![slug.clone()]).await?.remove(&slug);
    if holder.as_ref().is_some_and(|row| row.product_id != write.id.uuid()) {
        return Err(slug_taken());
    }
    let standing = Standing { state: state_of(&before.product.state), on_shelf: before.product.on_shelf };
    write_rows(tx, write, Some(&before), slug, holder.is_some(), standing).await
}

async fn write_rows(
    tx: &Tx,
    write: &Write,
    before: Option<&ProductRows>,
    slug: String,
    slug_returns: bool,
    standing: Standing,
) -> Result<Written> {
    let mut taken = products::codes(tx, wanted_codes(&slug, &write.draft)).await?;
    let slugs = before.map(|rows| rows.product.slug.clone()).into_iter().chain([slug.clone()]).collect();
    let target = Target {
        id: write.id,
        before,
        slug,
        slug_returns,
        brand: write.brand,
        standing,
        rules: &write.rules,
        import: None,
        sku_ids: None,
        now: tx.now(),
    };
    let mut planned = plan(&target, &write.draft, tx.ids(), &mut taken)?;
    let gone_images = planned.changes.gone_images.clone();
    let changes = std::mem::take(&mut planned.changes);
    changes.apply(tx).await?;
    tx.publish(&ProductChanged { product_id: write.id, version: planned.version }).await?;
    Ok(Written { slugs, gone_images })
}

fn slug_taken() -> Failure {
    Failure::new(code::SLUG_TAKEN).field("/slug", "another product has this slug")
}
