//! The service: its dependencies, and the contract by delegation.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{
    Ctx,
    catalog::SkuId,
    inventory::{
        AdjustStock, Availability, ExtendHold, HoldId, HoldView, InitialStock, Inventory, ListMovements,
        MovementView, ReplaceWarehouse, Reserve, SetSafetyStock, StockView, WarehouseInput, WarehouseView,
    },
    pricing::LineInput,
};
use kernel::{Failure, Page, Region, Result, Timestamp};
use platform_cache::Redis;
use platform_db::{Db, Once};
use platform_regions::Regions;
use serde::Serialize;

use crate::{
    admission::Admission,
    config::InventoryConfig,
    desk::{What, out_of_stock},
    division::Division,
    gatherer::Gatherer,
    group::{GroupDesk, Scarce},
    model::{self, Step},
    store,
    warehouses::Priorities,
};

/// Stock and reservations over a database.
pub struct InventoryService {
    pub(crate) db: Db,
    pub(crate) config: InventoryConfig,
    pub(crate) desk: GroupDesk,
    gatherer: Gatherer,
}

impl InventoryService {
    /// The service over `db`, which tells its twins in other processes over `redis` what is sold out; starts its gatherer on the
    /// current runtime. `request.invalid` names a setting out of range.
    pub fn new(db: Db, redis: Option<&Redis>, config: InventoryConfig) -> Result<Arc<Self>> {
        Self::among(db, redis, config, Regions::single())
    }

    /// The same in a region: it sells its own part of the stock, and the others' after that.
    pub fn among(
        db: Db,
        redis: Option<&Redis>,
        config: InventoryConfig,
        regions: Regions,
    ) -> Result<Arc<Self>> {
        config.validate()?;
        let desk = GroupDesk {
            db: db.clone(),
            region: Arc::from(regions.me().map_or(config.region.as_str(), Region::as_str)),
            regions,
            priorities: Arc::new(Priorities::default()),
            admission: Admission::new(redis, config.admission),
            scarce: Scarce::default(),
        };
        let gatherer = Gatherer::start(desk.clone(), &config);
        Ok(Arc::new(Self { db, config, desk, gatherer }))
    }

    /// How stock is divided over regions now.
    pub(crate) fn division(&self) -> Division {
        Division::of(&self.desk.regions, &self.desk.region, self.config.buckets_per_hot_sku)
    }

    /// What makes a change by hand one change. Without a caller's key it has one of its own, so that a commit that was not heard
    /// of is not made twice.
    pub(crate) fn once<P: Serialize>(&self, ctx: &Ctx, route: &'static str, command: &P) -> Result<Once> {
        let own = || self.db.ids().uuid(ctx.shard()).to_string();
        let key = ctx.idempotency_key.clone().unwrap_or_else(own);
        Once::on(ctx.shard(), ctx.principal(), route, &key, command)
    }

    fn expiry(&self, wanted: Option<Timestamp>) -> Result<Timestamp> {
        let now = self.db.now();
        let expires_at = wanted.unwrap_or_else(|| now.plus(self.config.hold));
        if expires_at <= now {
            return Err(Failure::invalid("/expires_at", "must lie in the future"));
        }
        if expires_at > now.plus(self.config.longest_hold) {
            return Err(Failure::invalid("/expires_at", "lies too far in the future"));
        }
        Ok(expires_at)
    }

    /// Fails for a demand that surely cannot be met. A hold that exists is no new demand: asked for again, it is found.
    async fn admit(&self, command: &Reserve, demand: &[LineInput]) -> Result<()> {
        let Some(short) = self.desk.admission.short(demand) else { return Ok(()) };
        if store::hold(self.db.read(), command.hold_id).await?.is_some() {
            return Ok(());
        }
        metrics::counter!("inventory_turned_away_total").increment(1);
        Err(out_of_stock(&command.lines, &short))
    }

    async fn step(&self, ctx: &Ctx, hold: HoldId, step: Step) -> Result<Option<HoldView>> {
        self.gatherer.ask(ctx, hold, What::Step(step)).await
    }
}

fn there(view: Option<HoldView>) -> Result<HoldView> {
    view.ok_or_else(|| Failure::not_found("hold"))
}

#[async_trait]
impl Inventory for InventoryService {
    async fn availability(&self, _: &Ctx, skus: Vec<SkuId>) -> Result<Vec<Availability>> {
        self.read_availability(skus).await
    }

    async fn reserve(&self, ctx: &Ctx, command: Reserve) -> Result<HoldView> {
        let demand = model::demand(&command.lines)?;
        let expires_at = self.expiry(command.expires_at)?;
        self.admit(&command, &demand).await?;
        let what = What::Reserve { lines: command.lines, demand, expires_at };
        self.gatherer.ask(ctx, command.hold_id, what).await.and_then(there)
    }

    async fn confirm(&self, ctx: &Ctx, hold: HoldId) -> Result<HoldView> {
        self.step(ctx, hold, Step::Confirm).await.and_then(there)
    }

    async fn release(&self, ctx: &Ctx, hold: HoldId) -> Result<()> {
        self.step(ctx, hold, Step::Release).await.map(|_| ())
    }

    async fn give_back(&self, ctx: &Ctx, hold: HoldId) -> Result<()> {
        self.step(ctx, hold, Step::GiveBack).await.map(|_| ())
    }

    async fn hold(&self, _: &Ctx, hold: HoldId) -> Result<HoldView> {
        there(store::hold(self.db.read(), hold).await?.map(|hold| hold.view()))
    }

    async fn extend(&self, ctx: &Ctx, command: ExtendHold) -> Result<HoldView> {
        let until = self.expiry(Some(command.expires_at))?;
        self.gatherer.ask(ctx, command.hold_id, What::Extend(until)).await.and_then(there)
    }

    async fn warehouses(&self, ctx: &Ctx, (): ()) -> Result<Vec<WarehouseView>> {
        self.list_warehouses(ctx).await
    }

    async fn add_warehouse(&self, ctx: &Ctx, input: WarehouseInput) -> Result<WarehouseView> {
        self.create_warehouse(ctx, input).await
    }

    async fn replace_warehouse(&self, ctx: &Ctx, command: ReplaceWarehouse) -> Result<WarehouseView> {
        self.change_warehouse(ctx, command).await
    }

    async fn stock(&self, ctx: &Ctx, sku: SkuId) -> Result<Vec<StockView>> {
        self.read_stock(ctx, sku).await
    }

    async fn adjust(&self, ctx: &Ctx, command: AdjustStock) -> Result<StockView> {
        self.adjust_stock(ctx, command).await
    }

    async fn set_safety_stock(&self, ctx: &Ctx, command: SetSafetyStock) -> Result<()> {
        self.set_level(ctx, command).await
    }

    async fn set_initial(&self, ctx: &Ctx, stock: Vec<InitialStock>) -> Result<()> {
        self.first_stock(ctx, stock).await
    }

    async fn movements(&self, ctx: &Ctx, list: ListMovements) -> Result<Page<MovementView>> {
        self.list_movements(ctx, list).await
    }
}
