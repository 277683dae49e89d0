//! A service over a fresh database, with a clock that stands still.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use contracts::{
    Caller, Ctx, EventBody, Permission,
    catalog::SkuId,
    inventory::{AdjustReason, AdjustStock, HoldId, InitialStock, Inventory, Reserve},
    pricing::LineInput,
};
use inventory::{InventoryConfig, InventoryService};
use kernel::{Clock, FakeClock, Id, Shard, Timestamp};
use migrations::Migrator;
use platform_db::{Db, testing};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;

pub(crate) struct Fixture {
    pub(crate) service: Arc<InventoryService>,
    pub(crate) db: Db,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) async fn fixture() -> Fixture {
    with(InventoryConfig::default()).await
}

pub(crate) async fn with(config: InventoryConfig) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    let db = open(folder.path(), clock.clone()).await;
    let service = InventoryService::new(db.clone(), None, config).unwrap();
    Fixture { service, db, clock, folder }
}

pub(crate) async fn open(folder: &Path, clock: Arc<dyn Clock>) -> Db {
    let config = testing::config(folder);
    let db = Db::open(&config, clock).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db
}

pub(crate) fn sku(name: impl AsRef<[u8]>) -> SkuId {
    Id::derive(Shard::new(u16::from(name.as_ref()[0]) % 16), &[name.as_ref()])
}

pub(crate) fn hold(name: impl AsRef<[u8]>) -> HoldId {
    Id::derive(Shard::new(u16::try_from(name.as_ref().len() % 16).unwrap()), &[name.as_ref()])
}

pub(crate) fn lines(lines: &[(SkuId, i64)]) -> Vec<LineInput> {
    lines.iter().map(|&(sku_id, quantity)| LineInput { sku_id, quantity }).collect()
}

pub(crate) fn reserve(hold_id: HoldId, demand: &[(SkuId, i64)]) -> Reserve {
    Reserve { hold_id, lines: lines(demand), expires_at: None }
}

pub(crate) fn adjustment(sku_id: SkuId, reason: AdjustReason, delta: i64) -> AdjustStock {
    AdjustStock { sku_id, warehouse_id: None, delta, reason, note: String::new() }
}

impl Fixture {
    pub(crate) fn ctx(&self) -> Ctx {
        // Far off: other steps of a test set the clock.
        Ctx::system("test", self.db.now().plus(Duration::from_secs(365 * 24 * 3600)))
    }

    pub(crate) fn staff(&self, permissions: &[Permission]) -> Ctx {
        let permissions: BTreeSet<Permission> = permissions.iter().copied().collect();
        let caller = Caller::User {
            id: Id::derive(Shard::new(3), &[b"ada"]),
            session: Id::derive(Shard::new(3), &[b"ada"]),
            permissions,
        };
        Ctx { caller, ..self.ctx() }
    }

    pub(crate) async fn stock(&self, sku_id: SkuId, quantity: i64) {
        self.service.set_initial(&self.ctx(), vec![InitialStock { sku_id, quantity }]).await.unwrap();
    }

    pub(crate) async fn available(&self, sku: SkuId) -> i64 {
        self.service.availability(&self.ctx(), vec![sku]).await.unwrap()[0].available
    }

    /// The SKU's numbers, after checking that ledger and holds agree with them: available, reserved, unavailable.
    pub(crate) async fn numbers(&self, sku: SkuId) -> (i64, i64, i64) {
        let found = self.service.reconcile(sku).await.unwrap();
        assert!(found.is_balanced(), "{:#?}", found.differences);
        (found.available, found.reserved, found.unavailable)
    }

    /// Bodies of the events of one kind, in no order: the clock stands still.
    pub(crate) async fn events<E: EventBody>(&self) -> Vec<E> {
        let backend = self.db.read().get_database_backend();
        let statement = Statement::from_sql_and_values(
            backend,
            "SELECT body FROM outbox WHERE topic = ?",
            [E::TOPIC.into()],
        );
        let rows = self.db.read().query_all_raw(statement).await.unwrap();
        rows.iter()
            .map(|row| serde_json::from_slice(&row.try_get_by_index::<Vec<u8>>(0).unwrap()).unwrap())
            .collect()
    }
}
