//! Publishes, unpublishes, shelves and unshelves.

use contracts::{
    Ctx, Permission,
    catalog::{CategoryId, MoveProduct, ProductChanged, ProductRecord},
};
use kernel::{Failure, Result};
use platform_db::Tx;

use crate::{
    attributes::Rules,
    model::{Standing, state_name, state_of},
    service::CatalogService,
    store::{
        changes::Changes,
        products::{self, ProductRow, details_of},
    },
};

impl CatalogService {
    pub(crate) async fn move_product(&self, ctx: &Ctx, command: MoveProduct) -> Result<ProductRecord> {
        ctx.require(Permission::CatalogWrite)?;
        let (tree, attributes) = (self.category_tree().await?, self.all_attributes().await?);
        let asked = move |category| attributes.rules(&tree, category);
        self.db
            .write(command.id.shard(), (command, asked), |tx, (command, asked)| {
                Box::pin(go(tx, *command, asked))
            })
            .await?;
        self.forget(&[command.id], []).await;
        self.record(command.id).await
    }
}

/// Moves a product; `asked` says what a category asks of published ones.
async fn go(
    tx: &Tx,
    command: MoveProduct,
    asked: &(impl Fn(Option<CategoryId>) -> Rules + Sync),
) -> Result<()> {
    let rows = products::load(tx, &[command.id]).await?.remove(&command.id);
    let before = rows.ok_or_else(|| Failure::not_found("product"))?.product;
    let standing =
        Standing { state: state_of(&before.state), on_shelf: before.on_shelf }.after(command.action)?;
    let published = standing.state == Standing::ON_SHELF.state;
    // Whatever it is without: off the shelf is always possible.
    if standing.is_sold() {
        let given = details_of(&before)?.attributes;
        let rules = asked(before.category_id.map(CategoryId::from_uuid));
        // Also where the sets have changed since it was saved.
        rules.require(&rules.fit(given)?)?;
    }
    let after = ProductRow {
        state: state_name(standing.state).to_owned(),
        on_shelf: standing.on_shelf,
        sold: standing.is_sold(),
        published_at: before.published_at.or_else(|| published.then(|| tx.now().micros())),
        version: before.version + 1,
        updated_at: tx.now().micros(),
        ..before
    };
    let version = after.version;
    // Guarded by the version, which every change of the state moves.
    Changes { products: vec![after], ..Changes::default() }.apply(tx).await?;
    tx.publish(&ProductChanged { product_id: command.id, version }).await
}
