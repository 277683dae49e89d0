//! Invariant 1, as far as one database can be asked: the answer that acknowledged an order is kept under its key, so the order
//! it names must be there. That a client got an answer which the database does not have, only the client knows.
//!
//! The rows are the platform's and the order domain's; they are read here and nowhere written, since the rule is about both.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use kernel::{Result, Timestamp};
use platform_db::{Db, DbResult};
use platform_runtime::{Check, Finding, Scope};
use sea_orm_migration::sea_orm::{ConnectionTrait, QueryResult, Statement, Value, prelude::Uuid};
use serde::Deserialize;

/// Answers that are read at once.
const PAGE: u32 = 200;

/// How far the walk through the answers has come: it goes on there, and begins anew after the last shard.
#[derive(Clone, Debug, Default)]
struct Position {
    shard: u16,
    principal: String,
    key: String,
}

/// What is read of an answer.
#[derive(Deserialize)]
struct Answer {
    id: contracts::order::OrderId,
}

/// An answer that was kept.
struct Kept {
    principal: String,
    key: String,
    answer: Vec<u8>,
    created_at: Timestamp,
}

/// Looks at every answer by command; in the background, at some of them with each look, and so in time at all.
pub(super) fn check(db: &Db) -> Check {
    let (db, position) = (db.clone(), Arc::new(Mutex::new(Position::default())));
    Check::new("audit.requests", move |scope| {
        let (db, position) = (db.clone(), Arc::clone(&position));
        async move { Ok(vec![orders(&db, &scope, &position).await?]) }
    })
}

async fn orders(db: &Db, scope: &Scope, position: &Mutex<Position>) -> Result<Finding> {
    let mut finding = Finding::of("request.effect");
    let mut at = match scope.most {
        Some(_) => position.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        None => Position::default(),
    };
    let (mut left, mut shards) = (scope.most.unwrap_or(u32::MAX), 0);
    while left > 0 && shards < db.shards() {
        let wanted = PAGE.min(left);
        let page = answers(db, &at, wanted).await?;
        let read = u32::try_from(page.len()).unwrap_or(u32::MAX);
        if let Some(last) = page.last() {
            (at.principal, at.key) = (last.principal.clone(), last.key.clone());
        }
        let since = scope.since.filter(|_| scope.most.is_none());
        let page = page.into_iter().filter(|kept| since.is_none_or(|since| kept.created_at >= since));
        hold(db, at.shard, page.collect(), &mut finding).await?;
        left -= read.min(left);
        if read < wanted {
            at = Position { shard: (at.shard + 1) % db.shards(), ..Position::default() };
            shards += 1;
        }
    }
    if scope.most.is_some() {
        *position.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
    Ok(finding)
}

/// Holds a page of one shard's answers to the orders that are there.
async fn hold(db: &Db, shard: u16, page: Vec<Kept>, finding: &mut Finding) -> Result<()> {
    let named: Vec<_> = page
        .into_iter()
        .map(|kept| (serde_json::from_slice::<Answer>(&kept.answer).ok().map(|answer| answer.id), kept))
        .collect();
    let ids: Vec<Uuid> = named.iter().filter_map(|(id, _)| id.map(|id| id.uuid())).collect();
    let mut there = HashSet::new();
    if !ids.is_empty() {
        let marks = vec!["?"; ids.len()].join(",");
        let sql = format!("SELECT id FROM orders WHERE shard = ? AND id IN ({marks})");
        let values = std::iter::once(i32::from(shard).into()).chain(ids.into_iter().map(Value::from));
        for row in rows(db, &sql, values.collect()).await? {
            there.insert(row.try_get_by_index::<Uuid>(0).db()?);
        }
    }
    for (id, kept) in named {
        let holds = id.is_some_and(|id| there.contains(&id.uuid()));
        finding.hold(holds, || {
            let what = id.map_or_else(|| "an order that has no id".to_owned(), |id| format!("order {id}"));
            format!("{what} was acknowledged at {} and is not there", kept.created_at)
        });
    }
    Ok(())
}

/// Answers to who placed orders, after a position, in the order of their keys. Where rows are appended without a key
/// (`append`), there are many, and none is such an answer.
async fn answers(db: &Db, at: &Position, most: u32) -> Result<Vec<Kept>> {
    let sql = "SELECT principal, request_key, answer, created_at FROM idempotency WHERE shard = ? \
               AND (principal > ? OR (principal = ? AND request_key > ?)) AND principal <> 'append' \
               AND route = 'order.place' ORDER BY principal, route, request_key LIMIT ?";
    let values = vec![
        i32::from(at.shard).into(),
        at.principal.clone().into(),
        at.principal.clone().into(),
        at.key.clone().into(),
        most.into(),
    ];
    let kept = rows(db, sql, values).await?.into_iter().map(|row| {
        Ok(Kept {
            principal: row.try_get_by_index(0).db()?,
            key: row.try_get_by_index(1).db()?,
            answer: row.try_get_by_index(2).db()?,
            created_at: Timestamp::from_micros(row.try_get_by_index(3).db()?),
        })
    });
    kept.collect()
}

async fn rows(db: &Db, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>> {
    let read = db.read();
    read.query_all_raw(Statement::from_sql_and_values(read.get_database_backend(), sql, values)).await.db()
}

#[cfg(test)]
mod tests {
    use contracts::{Ctx, order::OrderId};
    use kernel::Shard;

    use super::*;
    use crate::{DEFAULT_CONFIGURATION, Settings, compose::open_database};

    async fn database() -> (Db, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let config = platform_runtime::Config::builder(DEFAULT_CONFIGURATION).build().unwrap();
        let db = open_database(&Settings { data: folder.path().to_path_buf(), config }).await.unwrap();
        (db, folder)
    }

    /// An answer about an order that is not there.
    async fn acknowledge(db: &Db, shard: u16, key: &str, at: i64) {
        let id = OrderId::from_uuid(db.ids().uuid(Shard::new(shard)));
        let answer = format!("{{\"id\":\"{id}\",\"number\":\"N\"}}");
        db.write(Shard::new(shard), (shard, key.to_owned(), answer, at), |tx, (shard, key, answer, at)| {
            Box::pin(async move {
                let sql = "INSERT INTO idempotency (shard, principal, route, request_key, payload_hash, answer, created_at) \
                           VALUES (?, 'somebody', 'order.place', ?, ?, ?, ?)";
                let values = vec![
                    i32::from(*shard).into(),
                    key.clone().into(),
                    vec![0_u8; 32].into(),
                    answer.clone().into_bytes().into(),
                    (*at).into(),
                ];
                let insert = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
                tx.execute_raw(insert).await.db().map(|_| ())
            })
        })
        .await
        .unwrap();
    }

    fn scope(since: Option<i64>, most: Option<u32>) -> Scope {
        let since = since.map(Timestamp::from_micros);
        Scope { since, most, ctx: Ctx::system("test", Timestamp::from_micros(i64::MAX)) }
    }

    #[tokio::test]
    async fn an_order_that_was_acknowledged_and_is_gone_is_found() {
        let (db, _folder) = database().await;
        let start = Mutex::new(Position::default());
        assert_eq!(orders(&db, &scope(None, None), &start).await.unwrap(), Finding::of("request.effect"));
        let last = db.shards() - 1;
        for (shard, key, at) in [(0, "a", 10), (0, "b", 20), (last, "a", 30)] {
            acknowledge(&db, shard, key, at).await;
        }
        let found = orders(&db, &scope(None, None), &start).await.unwrap();
        assert_eq!((found.looked_at, found.wrong), (3, 3));
        assert!(found.examples[0].contains("is not there"), "{:?}", found.examples);
        let young = orders(&db, &scope(Some(20), None), &start).await.unwrap();
        assert_eq!(young.looked_at, 2);
    }

    #[tokio::test]
    async fn the_background_walks_round() {
        let (db, _folder) = database().await;
        for (shard, key) in [(0, "a"), (0, "b"), (1, "a")] {
            acknowledge(&db, shard, key, 10).await;
        }
        let position = Mutex::new(Position::default());
        let mut looked = Vec::new();
        for _ in 0..3 {
            looked.push(orders(&db, &scope(Some(50), Some(2)), &position).await.unwrap().looked_at);
        }
        assert_eq!(looked, [2, 1, 2], "a look ends where it was at every shard");
    }
}
