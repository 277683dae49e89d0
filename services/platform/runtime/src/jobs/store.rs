//! Rows of `job_run`.

use kernel::{Result, Shard, Timestamp};
use platform_db::{Db, DbResult, Tx};
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect, entity::prelude::*};
use uuid::Uuid;

use super::JobRunView;

pub(crate) mod job_run {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "job_run")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub job: String,
        pub started_at: i64,
        pub finished_at: Option<i64>,
        pub ok: Option<bool>,
        pub message: String,
        pub holder: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use job_run::{ActiveModel, Column, Entity, Model};

/// The column's length.
const MESSAGE: usize = 2_000;

impl From<Model> for JobRunView {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            started_at: Timestamp::from_micros(row.started_at),
            finished_at: row.finished_at.map(Timestamp::from_micros),
            ok: row.ok,
            message: row.message,
        }
    }
}

/// The last `count` runs of a job, the latest first.
pub(crate) async fn last_runs(db: &Db, job: &str, count: u64) -> Result<Vec<Model>> {
    Entity::find()
        .filter(Column::Job.eq(job))
        .order_by_desc(Column::StartedAt)
        .limit(count)
        .all(db.read())
        .await
        .db()
}

/// Notes that a run begins. Whoever calls holds the job's lease, so runs without an end are of processes that died.
pub(crate) async fn begin(db: &Db, id: Uuid, job: &'static str, holder: &str) -> Result<()> {
    let row = Model {
        id,
        job: job.to_owned(),
        started_at: db.now().micros(),
        finished_at: None,
        ok: None,
        message: String::new(),
        holder: holder.to_owned(),
    };
    db.write(Shard::new(0), row, |tx, row| {
        Box::pin(async move {
            let died = ActiveModel {
                finished_at: Set(Some(tx.now().micros())),
                ok: Set(Some(false)),
                message: Set("its process ended before it did".to_owned()),
                ..Default::default()
            };
            Entity::update_many()
                .set(died)
                .filter(Column::Job.eq(&row.job))
                .filter(Column::FinishedAt.is_null())
                .exec(tx)
                .await
                .db()?;
            Entity::insert(ActiveModel::from(row.clone()).reset_all())
                .exec_without_returning(tx)
                .await
                .db()?;
            Ok(())
        })
    })
    .await
}

/// A run's end.
pub(crate) struct End {
    pub(crate) id: Uuid,
    pub(crate) job: &'static str,
    pub(crate) ok: bool,
    pub(crate) message: String,
    pub(crate) history: u32,
}

/// Notes how a run ended and forgets runs beyond the history.
pub(crate) async fn end(db: &Db, mut end: End) -> Result<()> {
    if let Some((cut, _)) = end.message.char_indices().nth(MESSAGE) {
        end.message.truncate(cut);
    }
    db.write(Shard::new(0), end, |tx, end| Box::pin(note_end(tx, end))).await
}

async fn note_end(tx: &Tx, end: &End) -> Result<()> {
    let ended = ActiveModel {
        finished_at: Set(Some(tx.now().micros())),
        ok: Set(Some(end.ok)),
        message: Set(end.message.clone()),
        ..Default::default()
    };
    Entity::update_many().set(ended).filter(Column::Id.eq(end.id)).exec(tx).await.db()?;
    let oldest = Entity::find()
        .filter(Column::Job.eq(end.job))
        .order_by_desc(Column::StartedAt)
        .offset(u64::from(end.history))
        .limit(1)
        .one(tx)
        .await
        .db()?;
    if let Some(oldest) = oldest {
        Entity::delete_many()
            .filter(Column::Job.eq(end.job))
            .filter(Column::StartedAt.lte(oldest.started_at))
            .exec(tx)
            .await
            .db()?;
    }
    Ok(())
}
