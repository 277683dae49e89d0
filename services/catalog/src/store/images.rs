//! Images: what waits to be fetched, and what a placeholder has to know.

use contracts::catalog::{ImageId, ProductId};
use kernel::{Result, Timestamp};
use platform_db::DbResult;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    entity::{product, product_image},
    shard_number,
};

pub(crate) use super::entity::product_image::Model as ImageRow;

/// To be fetched.
pub(crate) const PENDING: &str = "pending";
/// In the media store.
pub(crate) const STORED: &str = "stored";
/// Could not be fetched; the placeholder is final.
pub(crate) const FAILED: &str = "failed";
/// There never was one: a product without images gets a drawn one.
pub(crate) const DRAWN: &str = "drawn";
/// The `src` of an uploaded image starts with this.
pub(crate) const UPLOAD: &str = "upload:";

/// Images whose turn it is, the longest waiting first.
pub(crate) async fn due(
    connection: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<ImageRow>> {
    product_image::Entity::find()
        .filter(product_image::Column::State.eq(PENDING))
        .filter(product_image::Column::DueAt.lte(now.micros()))
        .order_by_asc(product_image::Column::DueAt)
        .limit(limit)
        .all(connection)
        .await
        .db()
}

/// Notes that an image is in the store; false when it was removed meanwhile. Noted before, by this write's first try or by
/// another run, it is in the store.
pub(crate) async fn stored(
    connection: &impl ConnectionTrait,
    id: ImageId,
    content_type: &str,
) -> Result<bool> {
    let done = product_image::Entity::update_many()
        .col_expr(product_image::Column::State, Expr::value(STORED))
        .col_expr(product_image::Column::ContentType, Expr::value(content_type))
        .filter(product_image::Column::Shard.eq(shard_number(id.shard())))
        .filter(product_image::Column::Id.eq(id.uuid()))
        .filter(product_image::Column::State.eq(PENDING))
        .exec(connection)
        .await
        .db()?;
    if done.rows_affected == 1 {
        return Ok(true);
    }
    let row = product_image::Entity::find_by_id((shard_number(id.shard()), id.uuid())).one(connection);
    Ok(row.await.db()?.is_some_and(|row| row.state == STORED))
}

/// Notes that an attempt failed: the next one at `due`, none when `last`.
pub(crate) async fn postponed(
    connection: &impl ConnectionTrait,
    id: ImageId,
    attempts: i32,
    due: Timestamp,
    last: bool,
) -> Result<()> {
    product_image::Entity::update_many()
        .col_expr(product_image::Column::State, Expr::value(if last { FAILED } else { PENDING }))
        .col_expr(product_image::Column::Attempts, Expr::value(attempts))
        .col_expr(product_image::Column::DueAt, Expr::value(due.micros()))
        .filter(product_image::Column::Shard.eq(shard_number(id.shard())))
        .filter(product_image::Column::Id.eq(id.uuid()))
        .filter(product_image::Column::State.eq(PENDING))
        .exec(connection)
        .await
        .db()
        .map(|_| ())
}

/// What is known of an image when somebody asks for it.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Shown {
    pub(crate) product_id: Uuid,
    pub(crate) position: i32,
    pub(crate) state: String,
    pub(crate) content_type: Option<String>,
    pub(crate) title: String,
    pub(crate) category_id: Option<Uuid>,
}

impl Shown {
    pub(crate) fn product(&self) -> ProductId {
        ProductId::from_uuid(self.product_id)
    }
}

/// An image with the product it shows.
pub(crate) async fn shown(connection: &impl ConnectionTrait, id: ImageId) -> Result<Option<Shown>> {
    let product = product_image::Entity::belongs_to(product::Entity)
        .from((product_image::Column::Shard, product_image::Column::ProductId))
        .to((product::Column::Shard, product::Column::Id))
        .into();
    product_image::Entity::find()
        .select_only()
        .columns([
            product_image::Column::ProductId,
            product_image::Column::Position,
            product_image::Column::State,
            product_image::Column::ContentType,
        ])
        .columns([product::Column::Title, product::Column::CategoryId])
        .join(JoinType::InnerJoin, product)
        .filter(product_image::Column::Shard.eq(shard_number(id.shard())))
        .filter(product_image::Column::Id.eq(id.uuid()))
        .into_model()
        .one(connection)
        .await
        .db()
}
