//! Adds, changes and removes attribute sets, and says which categories have them. Every change writes the row that changes
//! of the category tree write: a set is not removed while a category takes it, nor a category while it gets one.

use contracts::{
    Ctx, Permission,
    catalog::{
        AssignAttributeSets, AttributeSetId, AttributeSetInput, AttributeSetView, CategoryAttribute,
        CategoryChanged, CategoryId, ReplaceAttributeSet, code,
    },
};
use kernel::{Failure, Result};
use platform_db::{Rows, Tx};

use crate::{
    arrange_categories::locked,
    attributes::{Attributes, Rules, read},
    brands::REFERENCE,
    service::CatalogService,
    store::attributes::{self, AttributeSetRow},
};

/// Sets a category may have of its own.
const MOST_SETS: usize = 20;

impl CatalogService {
    pub(crate) async fn add_attribute_set(
        &self,
        ctx: &Ctx,
        input: AttributeSetInput,
    ) -> Result<AttributeSetView> {
        ctx.require(Permission::CatalogWrite)?;
        let input = read(input)?;
        let id = self.db.write(REFERENCE, input, |tx, input| Box::pin(add(tx, input))).await?;
        self.attribute_set(id).await
    }

    pub(crate) async fn replace_attribute_set(
        &self,
        ctx: &Ctx,
        command: ReplaceAttributeSet,
    ) -> Result<AttributeSetView> {
        ctx.require(Permission::CatalogWrite)?;
        let (id, input) = (command.id, read(command.set)?);
        self.db.write(REFERENCE, (id, input), |tx, (id, input)| Box::pin(replace(tx, *id, input))).await?;
        self.attribute_set(id).await
    }

    pub(crate) async fn remove_attribute_set(&self, ctx: &Ctx, id: AttributeSetId) -> Result<()> {
        ctx.require(Permission::CatalogWrite)?;
        self.db
            .write(REFERENCE, id, |tx, &id| {
                Box::pin(async move {
                    locked(tx).await?;
                    attributes::find(tx, id).await?.ok_or_else(no_set)?;
                    if attributes::in_use(tx, id).await? {
                        return Err(Failure::new(code::ATTRIBUTE_SET_IN_USE));
                    }
                    attributes::remove(tx, id).await
                })
            })
            .await?;
        self.forget_attributes().await;
        Ok(())
    }

    pub(crate) async fn assign_attribute_sets(
        &self,
        ctx: &Ctx,
        command: AssignAttributeSets,
    ) -> Result<Vec<CategoryAttribute>> {
        ctx.require(Permission::CatalogWrite)?;
        if command.set_ids.len() > MOST_SETS {
            return Err(Failure::invalid("/set_ids", format!("at most {MOST_SETS}")));
        }
        let category_id = command.category_id;
        self.db.write(REFERENCE, command, |tx, command| Box::pin(assign(tx, command))).await?;
        self.forget_attributes().await;
        self.attributes_of(category_id).await
    }

    /// What products in a category have.
    pub(crate) async fn attributes_of(&self, id: CategoryId) -> Result<Vec<CategoryAttribute>> {
        let tree = self.category_tree().await?;
        tree.get(id).ok_or_else(|| Failure::not_found("category"))?;
        Ok(self.all_attributes().await?.rules(&tree, Some(id)).list())
    }

    /// What is asked of products in a category.
    pub(crate) async fn rules(&self, category: Option<CategoryId>) -> Result<Rules> {
        Ok(self.all_attributes().await?.rules(&*self.category_tree().await?, category))
    }

    /// A set as it was just written.
    async fn attribute_set(&self, id: AttributeSetId) -> Result<AttributeSetView> {
        self.forget_attributes().await;
        self.all_attributes().await?.views().into_iter().find(|set| set.id == id).ok_or_else(no_set)
    }
}

async fn add(tx: &Tx, input: &AttributeSetInput) -> Result<AttributeSetId> {
    locked(tx).await?;
    let key = input.name.to_lowercase();
    if attributes::by_key(tx, &key).await?.is_some() {
        return Err(taken());
    }
    let id = tx.ids().mint::<contracts::catalog::AttributeSet>(REFERENCE);
    let row = AttributeSetRow {
        id: id.uuid(),
        name: input.name.clone(),
        name_key: key,
        attributes: serde_json::to_vec(&input.attributes).map_err(Failure::internal)?,
        created_at: tx.now().micros(),
        updated_at: tx.now().micros(),
    };
    Rows::new().row(row).insert(tx).await?;
    Ok(id)
}

async fn replace(tx: &Tx, id: AttributeSetId, input: &AttributeSetInput) -> Result<()> {
    locked(tx).await?;
    let before = attributes::find(tx, id).await?.ok_or_else(no_set)?;
    let key = input.name.to_lowercase();
    if attributes::by_key(tx, &key).await?.is_some_and(|other| other.id != before.id) {
        return Err(taken());
    }
    let row = AttributeSetRow {
        name: input.name.clone(),
        name_key: key,
        attributes: serde_json::to_vec(&input.attributes).map_err(Failure::internal)?,
        updated_at: tx.now().micros(),
        ..before
    };
    attributes::replace(tx, &row).await?;
    // What other processes and read models know of the products below is stale.
    let all = Attributes::new(vec![row], attributes::assignments(tx).await?)?;
    for category_id in all.views().into_iter().flat_map(|set| set.category_ids) {
        tx.publish(&CategoryChanged { category_id }).await?;
    }
    Ok(())
}

async fn assign(tx: &Tx, command: &AssignAttributeSets) -> Result<()> {
    let tree = locked(tx).await?;
    tree.get(command.category_id).ok_or_else(|| Failure::not_found("category"))?;
    for (index, &id) in command.set_ids.iter().enumerate() {
        let pointer = || format!("/set_ids/{index}");
        if command.set_ids[..index].contains(&id) {
            return Err(Failure::invalid(pointer(), "is named twice"));
        }
        if attributes::find(tx, id).await?.is_none() {
            return Err(Failure::invalid(pointer(), "there is no such attribute set"));
        }
    }
    attributes::assign(tx, command.category_id, &command.set_ids).await?;
    tx.publish(&CategoryChanged { category_id: command.category_id }).await
}

fn no_set() -> Failure {
    Failure::not_found("attribute set")
}

fn taken() -> Failure {
    Failure::new(code::ATTRIBUTE_SET_TAKEN).field("/name", "another attribute set has this name")
}
