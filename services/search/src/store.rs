//! All SQL of the domain.

pub(crate) mod entity;

use std::collections::{HashMap, HashSet};

use contracts::{Event, catalog::ProductId};
use kernel::{Id, Kind as IdKind, Result, Shard, Timestamp};
use platform_db::{Db, DbResult, Tx};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, FromQueryResult,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select, Statement, Value,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::model::{Kind, Priority};
use entity::{search_mark, search_rebuild, search_sales, search_term};

/// Rows named in one statement: SQLite's expressions may be 1,000 deep.
const CHUNK: usize = 200;
/// Rows of one insert.
const ROWS: usize = 128;
/// Rows changed in one transaction: others wait for the writer meanwhile.
const TRANSACTION: usize = 1_000;
/// Where rows that belong to no owner publish their events; they have none.
const NOWHERE: Shard = Shard::new(0);

/// A mark that is there.
pub(crate) type Dirty = search_mark::Model;

/// A mark to make.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) shard: Shard,
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) priority: Priority,
    /// The version a product has to have at least; 0 for any.
    pub(crate) version: i64,
}

impl Mark {
    pub(crate) fn new<K: IdKind>(id: Id<K>, kind: Kind, priority: Priority) -> Self {
        Self { shard: id.shard(), id: id.uuid(), kind, priority, version: 0 }
    }

    /// The mark of a row once more.
    fn again(row: &Dirty) -> Self {
        Self {
            shard: Shard::new(u16::try_from(row.shard).unwrap_or_default()),
            id: row.id,
            kind: Kind::of(row.kind),
            priority: Priority::Bulk,
            version: 0,
        }
    }

    /// Becomes as urgent as another of the same thing, and waits for its version too.
    pub(crate) fn join(&mut self, other: &Self) {
        self.priority = Ord::min(self.priority, other.priority);
        self.version = Ord::max(self.version, other.version);
    }

    fn values(&self, region: &str, now: Timestamp) -> [Value; 8] {
        [
            region.into(),
            i32::from(self.shard.number()).into(),
            self.id.into(),
            self.kind.number().into(),
            self.priority.number().into(),
            self.version.into(),
            now.micros().into(),
            now.micros().into(),
        ]
    }
}

/// Makes marks for a region's index. Safe to repeat: a mark made twice is settled once.
pub(crate) async fn mark(db: &Db, region: &str, shard: Shard, marks: Vec<Mark>) -> Result<()> {
    for some in marks.chunks(TRANSACTION) {
        let input = (region.to_owned(), some.to_vec());
        db.write(shard, input, |tx, (region, marks)| Box::pin(mark_in(tx, region, marks))).await?;
    }
    Ok(())
}

/// A mark that is there moves on, becomes at least as urgent and waits for at least this version; it keeps its age.
async fn mark_in(tx: &Tx, region: &str, marks: &[Mark]) -> Result<()> {
    const COLUMNS: &str = "region, shard, id, kind, priority, version, mark, marked_at";
    let backend = tx.get_database_backend();
    let moved = if backend == DbBackend::MySql {
        "ON DUPLICATE KEY UPDATE mark = mark + 1, priority = LEAST(priority, VALUES(priority)), \
         version = GREATEST(version, VALUES(version))"
    } else {
        "ON CONFLICT (region, shard, id) DO UPDATE SET mark = search_mark.mark + 1, \
         priority = min(search_mark.priority, excluded.priority), \
         version = max(search_mark.version, excluded.version)"
    };
    // Powers of two of rows, so that few different texts are prepared.
    let mut rest = marks;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 << rest.len().min(ROWS).ilog2());
        let rows = vec!["(?,?,?,?,?,?,?,?)"; now.len()].join(",");
        let sql = format!("INSERT INTO search_mark ({COLUMNS}) VALUES {rows} {moved}");
        let values = now.iter().flat_map(|mark| mark.values(region, tx.now()));
        tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.db()?;
        rest = later;
    }
    Ok(())
}

/// A region's marks.
fn of(region: &str) -> Select<search_mark::Entity> {
    search_mark::Entity::find().filter(search_mark::Column::Region.eq(region))
}

/// The marks of these products, where they have one that is due.
pub(crate) async fn due_of(db: &Db, region: &str, products: &[ProductId]) -> Result<Vec<Dirty>> {
    let mut found = Vec::new();
    for some in products.chunks(CHUNK) {
        // The whole key in each, region too: beside them it would have SQLite walk all marks that are due.
        let these = some.iter().fold(Condition::any(), |any, product| {
            any.add(
                search_mark::Column::Region
                    .eq(region)
                    .and(search_mark::Column::Shard.eq(i32::from(product.shard().number())))
                    .and(search_mark::Column::Id.eq(product.uuid())),
            )
        });
        let due = search_mark::Column::Priority.lt(Priority::Parked.number());
        found.extend(search_mark::Entity::find().filter(these).filter(due).all(db.read()).await.db()?);
    }
    Ok(found)
}

/// Marks to work on: the most urgent first, then the oldest.
pub(crate) async fn due(db: &Db, region: &str, limit: u64) -> Result<Vec<Dirty>> {
    of(region)
        .filter(search_mark::Column::Priority.lt(Priority::Parked.number()))
        .order_by_asc(search_mark::Column::Priority)
        .order_by_asc(search_mark::Column::MarkedAt)
        .limit(limit)
        .all(db.read())
        .await
        .db()
}

/// Marks that the index being built still needs.
pub(crate) async fn parked(db: &Db, region: &str, limit: u64) -> Result<Vec<Dirty>> {
    of(region)
        .filter(search_mark::Column::Priority.eq(Priority::Parked.number()))
        .order_by_asc(search_mark::Column::MarkedAt)
        .limit(limit)
        .all(db.read())
        .await
        .db()
}

/// How many marks there are.
pub(crate) async fn count_due(db: &Db, region: &str) -> Result<u64> {
    of(region).count(db.read()).await.db()
}

/// These rows at the marks they were read with.
fn as_read(rows: &[Dirty]) -> Condition {
    rows.iter().fold(Condition::any(), |any, row| {
        any.add(
            search_mark::Column::Region
                .eq(&row.region)
                .and(search_mark::Column::Shard.eq(row.shard))
                .and(search_mark::Column::Id.eq(row.id))
                .and(search_mark::Column::Mark.eq(row.mark)),
        )
    })
}

/// Removes marks that were not moved on since they were read. Where somebody else removed some meanwhile (a process that
/// wrote the index in our place while this one stood still), what was written may be older than what they wrote: those are
/// marked again.
pub(crate) async fn settle(db: &Db, rows: &[Dirty]) -> Result<()> {
    for some in rows.chunks(TRANSACTION) {
        db.write(NOWHERE, some.to_vec(), |tx, rows| {
            Box::pin(async move {
                let mut removed = 0;
                for some in rows.chunks(CHUNK) {
                    let done =
                        search_mark::Entity::delete_many().filter(as_read(some)).exec(tx).await.db()?;
                    removed += done.rows_affected;
                }
                if removed < rows.len() as u64 { mark_those_gone(tx, rows, removed).await } else { Ok(()) }
            })
        })
        .await?;
    }
    Ok(())
}

/// Of rows that were not all removed, those that moved on are still there; the others somebody else removed.
async fn mark_those_gone(tx: &Tx, rows: &[Dirty], removed: u64) -> Result<()> {
    let Some(region) = rows.first().map(|row| row.region.as_str()) else { return Ok(()) };
    let mut there = HashSet::new();
    for some in rows.chunks(CHUNK) {
        let these = some.iter().fold(Condition::any(), |any, row| {
            any.add(search_mark::Column::Shard.eq(row.shard).and(search_mark::Column::Id.eq(row.id)))
        });
        there.extend(of(region).filter(these).all(tx).await.db()?.iter().map(|row| row.id));
    }
    if removed + there.len() as u64 >= rows.len() as u64 {
        return Ok(());
    }
    // Which of the absent ones we removed ourselves is not known any more: marking those too costs a look.
    let gone: Vec<Mark> = rows.iter().filter(|row| !there.contains(&row.id)).map(Mark::again).collect();
    mark_in(tx, region, &gone).await
}

/// Sets the priority of marks that were not moved on since they were read.
pub(crate) async fn park(db: &Db, rows: &[Dirty]) -> Result<()> {
    for some in rows.chunks(TRANSACTION) {
        db.write(NOWHERE, some.to_vec(), |tx, rows| {
            Box::pin(async move {
                for some in rows.chunks(CHUNK) {
                    search_mark::Entity::update_many()
                        .col_expr(search_mark::Column::Priority, Expr::value(Priority::Parked.number()))
                        .filter(as_read(some))
                        .exec(tx)
                        .await
                        .db()?;
                }
                Ok(())
            })
        })
        .await?;
    }
    Ok(())
}

/// Makes parked marks due again: the index they waited for will not come.
pub(crate) async fn unpark(db: &Db, region: &str) -> Result<()> {
    if parked(db, region, 1).await?.is_empty() {
        return Ok(());
    }
    db.write(NOWHERE, region.to_owned(), |tx, region| {
        Box::pin(async move {
            search_mark::Entity::update_many()
                .col_expr(search_mark::Column::Priority, Expr::value(Priority::Bulk.number()))
                .filter(search_mark::Column::Region.eq(region))
                .filter(search_mark::Column::Priority.eq(Priority::Parked.number()))
                .exec(tx)
                .await
                .db()?;
            Ok(())
        })
    })
    .await
}

/// Adds units sold, once an event, and marks the products for these regions' indexes.
pub(crate) async fn add_sales(
    db: &Db,
    subscription: &'static str,
    event: &Event,
    units: Vec<(ProductId, i64)>,
    regions: Vec<String>,
) -> Result<()> {
    let input = (subscription, event.clone(), units, regions);
    db.write(event.shard, input, |tx, (subscription, event, units, regions)| {
        Box::pin(async move {
            use search_sales::{ActiveModel, Column, Entity};
            if !tx.first_time(subscription, event).await? {
                return Ok(());
            }
            for (product, units) in units {
                let row = ActiveModel {
                    shard: Set(i32::from(product.shard().number())),
                    product_id: Set(product.uuid()),
                    units: Set(*units),
                };
                let added = OnConflict::columns([Column::Shard, Column::ProductId])
                    .value(Column::Units, Expr::col((Entity, Column::Units)).add(*units))
                    .to_owned();
                Entity::insert(row).on_conflict(added).exec_without_returning(tx).await.db()?;
            }
            let marks: Vec<_> =
                units.iter().map(|(product, _)| Mark::new(*product, Kind::Product, Priority::Bulk)).collect();
            for region in regions {
                mark_in(tx, region, &marks).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Units sold of these products; those never sold are left out.
pub(crate) async fn sales(db: &Db, products: &[ProductId]) -> Result<HashMap<ProductId, i64>> {
    let mut sold = HashMap::new();
    for some in products.chunks(CHUNK) {
        let these = some.iter().fold(Condition::any(), |any, product| {
            any.add(
                search_sales::Column::Shard
                    .eq(i32::from(product.shard().number()))
                    .and(search_sales::Column::ProductId.eq(product.uuid())),
            )
        });
        let rows = search_sales::Entity::find().filter(these).all(db.read()).await.db()?;
        sold.extend(rows.into_iter().map(|row| (ProductId::from_uuid(row.product_id), row.units)));
    }
    Ok(sold)
}

/// Adds searches to the words of an hour.
pub(crate) async fn add_terms(db: &Db, hour: i64, terms: Vec<(String, i64)>) -> Result<()> {
    for some in terms.chunks(CHUNK) {
        db.write(NOWHERE, (hour, some.to_vec()), |tx, (hour, terms)| {
            Box::pin(async move {
                use search_term::{ActiveModel, Column, Entity};
                for (term, searches) in terms {
                    let row =
                        ActiveModel { hour: Set(*hour), term: Set(term.clone()), searches: Set(*searches) };
                    let added = OnConflict::columns([Column::Hour, Column::Term])
                        .value(Column::Searches, Expr::col((Entity, Column::Searches)).add(*searches))
                        .to_owned();
                    Entity::insert(row).on_conflict(added).exec_without_returning(tx).await.db()?;
                }
                Ok(())
            })
        })
        .await?;
    }
    Ok(())
}

/// The words searched most from an hour on, at least so often.
pub(crate) async fn top_terms(db: &Db, from_hour: i64, at_least: i64, limit: u64) -> Result<Vec<String>> {
    #[derive(FromQueryResult)]
    struct Row {
        term: String,
    }
    let searches = || Expr::col(search_term::Column::Searches).sum();
    let rows = search_term::Entity::find()
        .select_only()
        .column(search_term::Column::Term)
        .filter(search_term::Column::Hour.gte(from_hour))
        .group_by(search_term::Column::Term)
        .having(searches().gte(at_least))
        .order_by_desc(searches())
        .order_by_asc(search_term::Column::Term)
        .limit(limit)
        .into_model::<Row>()
        .all(db.read())
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| row.term).collect())
}

/// Forgets words before an hour and rebuilds asked for before that; how many rows.
pub(crate) async fn forget(db: &Db, before_hour: i64) -> Result<u64> {
    db.write(NOWHERE, before_hour, |tx, before_hour| {
        Box::pin(async move {
            let terms = search_term::Entity::delete_many().filter(search_term::Column::Hour.lt(*before_hour));
            let terms = terms.exec(tx).await.db()?;
            let before = before_hour.saturating_mul(3_600_000_000);
            let rebuilds =
                search_rebuild::Entity::delete_many().filter(search_rebuild::Column::RequestedAt.lt(before));
            Ok(terms.rows_affected + rebuilds.exec(tx).await.db()?.rows_affected)
        })
    })
    .await
}

/// Asks the process that writes the index for a rebuild.
pub(crate) async fn request_rebuild(db: &Db, region: &str) -> Result<Uuid> {
    let id = db.ids().uuid(NOWHERE);
    let of = (!region.is_empty()).then(|| region.to_owned());
    db.write(NOWHERE, (id, of), |tx, (id, region)| {
        Box::pin(async move {
            let row = search_rebuild::ActiveModel {
                id: Set(*id),
                requested_at: Set(tx.now().micros()),
                done_at: Set(None),
                report: Set(None),
                region: Set(region.clone()),
            };
            search_rebuild::Entity::insert(row).exec_without_returning(tx).await.db()?;
            Ok(())
        })
    })
    .await?;
    Ok(id)
}

/// Rebuilds of a region's index that were asked for and not done.
pub(crate) async fn open_rebuilds(db: &Db, region: &str) -> Result<Vec<Uuid>> {
    let of = search_rebuild::Column::Region;
    let of = if region.is_empty() { of.is_null() } else { of.eq(region) };
    let open = search_rebuild::Entity::find().filter(search_rebuild::Column::DoneAt.is_null()).filter(of);
    Ok(open.limit(100).all(db.read()).await.db()?.into_iter().map(|row| row.id).collect())
}

/// The report of a rebuild, once it is done.
pub(crate) async fn rebuild_report(db: &Db, id: Uuid) -> Result<Option<String>> {
    let row = search_rebuild::Entity::find_by_id(id).one(db.read()).await.db()?;
    Ok(row.filter(|row| row.done_at.is_some()).and_then(|row| row.report))
}

/// Answers rebuilds that were asked for.
pub(crate) async fn close_rebuilds(db: &Db, ids: Vec<Uuid>, report: String) -> Result<()> {
    db.write(NOWHERE, (ids, report), |tx, (ids, report)| {
        Box::pin(async move {
            search_rebuild::Entity::update_many()
                .col_expr(search_rebuild::Column::DoneAt, Expr::value(tx.now().micros()))
                .col_expr(search_rebuild::Column::Report, Expr::value(report.clone()))
                .filter(search_rebuild::Column::Id.is_in(ids.iter().copied()))
                .exec(tx)
                .await
                .db()?;
            Ok(())
        })
    })
    .await
}
