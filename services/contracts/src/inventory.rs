//! Stock: on hand = available + reserved + unavailable.

use garde::Validate;
use kernel::{Page, Timestamp, id_kinds};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{catalog::SkuId, event::event, pricing::LineInput};

id_kinds! {
    /// A warehouse.
    WarehouseId, Warehouse = "whs";
    /// A reservation of stock.
    HoldId, Hold = "hld";
    /// A line of the ledger.
    MovementId, Movement = "mov";
}

/// Error codes.
pub mod code {
    kernel::codes! {
        OUT_OF_STOCK = 409 "inventory.out_of_stock" "Not enough stock";
        HOLD_GONE = 409 "inventory.hold_gone" "The reservation has expired or was released";
        HOLD_CONFLICT = 409 "inventory.hold_conflict" "The reservation was made for other lines";
        BELOW_ZERO = 409 "inventory.below_zero" "Stock would fall below zero";
        WAREHOUSE_CODE_TAKEN = 409 "inventory.warehouse_code_taken" "Another warehouse has this code";
    }
}

/// Units of a SKU that can be bought now, over all warehouses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Availability {
    /// Which SKU.
    pub sku_id: SkuId,
    /// How many.
    pub available: i64,
}

/// Reserves all lines or none, until it expires. The same id and lines again return the same hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reserve {
    /// Derived by the caller from its idempotency key.
    pub hold_id: HoldId,
    /// What; two lines of a SKU are one demand.
    pub lines: Vec<LineInput>,
    /// Until when; the configured time (15 min) from now when absent.
    pub expires_at: Option<Timestamp>,
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Stock is set aside.
    Reserved,
    /// Stock has left: the order is paid.
    Confirmed,
    /// Stock went back.
    Released,
    /// Stock went back because time ran out.
    Expired,
    /// Confirmed stock came back: the paid order was cancelled.
    Returned,
}

/// A reservation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HoldView {
    /// Its id.
    pub id: HoldId,
    /// Where it stands.
    pub state: HoldState,
    /// What it holds.
    pub lines: Vec<LineInput>,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Extends a hold's time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ExtendHold {
    /// Which.
    pub hold_id: HoldId,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A warehouse.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WarehouseView {
    /// Its id.
    pub id: WarehouseId,
    /// Short code, unique.
    pub code: String,
    /// Name.
    pub name: String,
    /// Country, ISO 3166-1 alpha-2.
    pub country: String,
    /// Allocation takes from lower numbers first.
    pub priority: i32,
}

/// A new warehouse, or what it becomes.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WarehouseInput {
    /// Short code, unique.
    #[garde(length(min = 1, max = 40), pattern("^[a-z0-9]+(-[a-z0-9]+)*$"))]
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    pub code: String,
    /// Name.
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// Country, ISO 3166-1 alpha-2.
    #[garde(length(min = 2, max = 2), pattern("^[A-Z]{2}$"))]
    #[schema(min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    pub country: String,
    /// Allocation takes from lower numbers first.
    #[garde(skip)]
    #[serde(default)]
    pub priority: i32,
}

/// Changes a warehouse.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplaceWarehouse {
    /// Which.
    pub id: WarehouseId,
    /// What it becomes.
    pub warehouse: WarehouseInput,
}

/// Stock of a SKU in a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockView {
    /// Which SKU.
    pub sku_id: SkuId,
    /// Where.
    pub warehouse_id: WarehouseId,
    /// `available + reserved + unavailable`.
    pub on_hand: i64,
    /// Can be bought.
    pub available: i64,
    /// Set aside for orders that are not paid yet.
    pub reserved: i64,
    /// Damaged, in quality check, kept back.
    pub unavailable: i64,
    /// An alert is raised when available falls to this or below; 0 for none.
    pub safety_stock: i64,
    /// The same by region, in a shop of several. A region sells its own part first; none of them limits what can be bought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionStock>,
}

/// A region's part of the stock of a SKU in a warehouse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegionStock {
    /// Which region.
    pub region: String,
    /// Sold there first.
    pub available: i64,
    /// Set aside for orders that are not paid yet, of whichever region.
    pub reserved: i64,
    /// Damaged, in quality check, kept back.
    pub unavailable: i64,
}

/// Why stock is adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdjustReason {
    /// Goods came in.
    Inbound,
    /// A count found another number.
    Count,
    /// Available units turned out damaged: moved to unavailable (delta is positive).
    Damage,
    /// Unavailable units are fit again: moved to available (delta is positive).
    Restore,
    /// Unavailable units are thrown away (delta is positive).
    Scrap,
}

/// Adjusts stock.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustStock {
    /// Which SKU.
    #[garde(skip)]
    pub sku_id: SkuId,
    /// Where; the default warehouse when absent.
    #[garde(skip)]
    #[serde(default)]
    pub warehouse_id: Option<WarehouseId>,
    /// By how many units.
    #[garde(range(min = -1_000_000_000, max = 1_000_000_000))]
    #[schema(maximum = 1_000_000_000)]
    pub delta: i64,
    /// Why.
    #[garde(skip)]
    pub reason: AdjustReason,
    /// More words.
    #[garde(length(chars, max = 500))]
    #[schema(max_length = 500)]
    #[serde(default)]
    pub note: String,
}

/// Sets the safety stock of a SKU.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSafetyStock {
    /// Which SKU.
    #[garde(skip)]
    pub sku_id: SkuId,
    /// Threshold; 0 for no alert.
    #[garde(range(min = 0, max = 1_000_000_000))]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub safety_stock: i64,
}

/// Stock of a SKU that has none yet; SKUs that have stock are left alone.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct InitialStock {
    /// Which SKU.
    pub sku_id: SkuId,
    /// How many; negative counts as zero.
    pub quantity: i64,
}

/// A line of the ledger. Sums over a SKU's movements equal its stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MovementView {
    /// Its id.
    pub id: MovementId,
    /// Which SKU.
    pub sku_id: SkuId,
    /// Where.
    pub warehouse_id: WarehouseId,
    /// `initial`, `inbound`, `count`, `damage`, `restore`, `scrap`, `reserve`, `confirm`, `release`, `expire`, `return`,
    /// `quota` (moved between regions).
    pub kind: String,
    /// Change of available.
    pub available: i64,
    /// Change of reserved.
    pub reserved: i64,
    /// Change of unavailable.
    pub unavailable: i64,
    /// The hold, adjustment or import behind it.
    pub reference: String,
    /// More words.
    pub note: String,
    /// Who.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// Which movements to list.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListMovements {
    /// Of which SKU.
    #[garde(skip)]
    #[param(value_type = String)]
    pub sku_id: SkuId,
    /// From the page before.
    #[garde(skip)]
    pub cursor: Option<String>,
    /// 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

contract! {
    /// Stock and reservations.
    Inventory as "inventory", InventoryClient, InventoryDispatcher {
        /// Units available, for every SKU asked (0 where nothing is known), in the order asked; at most 1,000.
        availability(Vec<SkuId>) -> Vec<Availability>;
        /// Reserves all lines or none. `inventory.out_of_stock` names the lines (`/lines/0`); `inventory.hold_gone` when the
        /// same id was reserved before and ended; `inventory.hold_conflict` when it was for other lines.
        reserve(Reserve) -> HoldView;
        /// Takes the reserved stock away: the order is paid. Again is harmless. `inventory.hold_gone` after expiry or release.
        confirm(HoldId) -> HoldView;
        /// Gives reserved stock back. Again, or for a hold that never was, is harmless; `request.conflict` for a confirmed one.
        release(HoldId) -> ();
        /// Gives stock back, confirmed or only reserved: the order was cancelled before shipment. Again, or for a hold that
        /// never was, is harmless.
        give_back(HoldId) -> ();
        /// A hold.
        hold(HoldId) -> HoldView;
        /// Moves a live hold's expiry.
        extend(ExtendHold) -> HoldView;
        /// Warehouses by priority (`inventory.read`).
        warehouses(()) -> Vec<WarehouseView>;
        /// Adds a warehouse (`inventory.write`).
        add_warehouse(WarehouseInput) -> WarehouseView;
        /// Changes a warehouse (`inventory.write`).
        replace_warehouse(ReplaceWarehouse) -> WarehouseView;
        /// Stock of a SKU by warehouse (`inventory.read`).
        stock(SkuId) -> Vec<StockView>;
        /// Adjusts stock (`inventory.write`); idempotent by the context's key, where it has one.
        adjust(AdjustStock) -> StockView;
        /// Sets the safety stock (`inventory.write`).
        set_safety_stock(SetSafetyStock) -> ();
        /// Sets stock of SKUs that have none yet (`import.run`), in the default warehouse; at most 1,000.
        set_initial(Vec<InitialStock>) -> ();
        /// The ledger of a SKU, newest first (`inventory.read`).
        movements(ListMovements) -> Page<MovementView>;
    }
}

/// A SKU came into stock or went out of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AvailabilityChanged {
    /// Which SKU.
    pub sku_id: SkuId,
    /// Whether any unit can be bought.
    pub in_stock: bool,
}
event!(AvailabilityChanged, "inventory.availability_changed.v1", |e| e.sku_id);

/// Stock fell to its safety stock or below.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StockLow {
    /// Which SKU.
    pub sku_id: SkuId,
    /// Units left.
    pub available: i64,
    /// The threshold.
    pub safety_stock: i64,
}
event!(StockLow, "inventory.stock_low.v1", |e| e.sku_id);

/// A region has sold its part of a SKU's stock, and others have some left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QuotaShort {
    /// Which SKU.
    pub sku_id: SkuId,
    /// Where.
    pub region: String,
}
event!(QuotaShort, "inventory.quota_short.v1", |e| e.sku_id);
