//! Work leases: they save work, nothing is safe because of them.

use std::time::Duration;

use kernel::{Epoch, Result, Shard, Timestamp};
use sea_orm::{ConnectionTrait, Statement, Value};

use crate::{Db, DbResult, Tx};

impl Db {
    /// Takes or renews the lease `name` of `shard` for `holder`, for `ttl` from now. None when another holder's has not
    /// run out. The epoch grows whenever the holder changes. The clock is the database's where it has one (TiDB), this
    /// process's on SQLite.
    pub async fn lease(
        &self,
        name: &str,
        shard: Shard,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Epoch>> {
        let wanted = Wanted { name: name.to_owned(), shard, holder: holder.to_owned(), ttl };
        self.write(shard, wanted, |tx, wanted| Box::pin(wanted.take(tx))).await
    }

    /// Gives the lease back early, so that another holder need not wait for it to run out. Harmless when it is not held.
    pub async fn release_lease(&self, name: &str, shard: Shard, holder: &str) -> Result<()> {
        let wanted = Wanted { name: name.to_owned(), shard, holder: holder.to_owned(), ttl: Duration::ZERO };
        self.write(shard, wanted, |tx, wanted| {
            Box::pin(async move {
                let sql = "UPDATE lease SET expires_at = 0 WHERE name = ? AND shard = ? AND holder = ?";
                tx.execute_raw(wanted.statement(tx, sql, [])).await.db().map(|_| ())
            })
        })
        .await
    }
}

struct Wanted {
    name: String,
    shard: Shard,
    holder: String,
    ttl: Duration,
}

impl Wanted {
    fn statement<const N: usize>(&self, tx: &Tx, sql: &str, before: [Value; N]) -> Statement {
        let key =
            [self.name.clone().into(), i32::from(self.shard.number()).into(), self.holder.clone().into()];
        Statement::from_sql_and_values(tx.get_database_backend(), sql, before.into_iter().chain(key))
    }

    async fn take(&self, tx: &Tx) -> Result<Option<Epoch>> {
        let select = Statement::from_sql_and_values(
            tx.get_database_backend(),
            "SELECT holder, epoch, expires_at FROM lease WHERE name = ? AND shard = ?",
            [self.name.clone().into(), i32::from(self.shard.number()).into()],
        );
        let current = tx.query_one_raw(select).await.db()?;
        let now = tx.database_now().await?;
        let expires = now.plus(self.ttl).micros();
        let Some(row) = current else {
            let insert = "INSERT INTO lease (expires_at, epoch, name, shard, holder) VALUES (?, 1, ?, ?, ?)";
            tx.execute_raw(self.statement(tx, insert, [expires.into()])).await.db()?;
            return Ok(Some(Epoch(1)));
        };
        let holder: String = row.try_get_by_index(0).db()?;
        let epoch: i64 = row.try_get_by_index(1).db()?;
        let until = Timestamp::from_micros(row.try_get_by_index(2).db()?);
        if holder != self.holder && until > now {
            return Ok(None);
        }
        let next = if holder == self.holder { epoch } else { epoch + 1 };
        let update = Statement::from_sql_and_values(
            tx.get_database_backend(),
            "UPDATE lease SET holder = ?, epoch = ?, expires_at = ? WHERE name = ? AND shard = ? AND epoch = ?",
            [
                self.holder.clone().into(),
                next.into(),
                expires.into(),
                self.name.clone().into(),
                i32::from(self.shard.number()).into(),
                epoch.into(),
            ],
        );
        let changed = tx.execute_raw(update).await.db()?.rows_affected();
        Ok((changed == 1).then(|| Epoch(u64::try_from(next).unwrap_or_default())))
    }
}
