//! Warehouses, stock, reservations.

use contracts::{
    Ctx, Permission,
    catalog::SkuId,
    inventory::{
        AdjustReason, AdjustStock, Availability, ExtendHold, HoldId, HoldState, InitialStock, ListMovements,
        ReplaceWarehouse, Reserve, SetSafetyStock, WarehouseId, WarehouseInput, code,
    },
    pricing::LineInput,
};
use kernel::{Result, Shard, Timestamp, code as general};

use super::{
    callers::{keyed, later, nobody, now, pages, refused, same, staff, system},
    fixture::Fixture,
};

/// A SKU that nobody stocked yet; inventory knows no catalog.
fn sku(name: &str) -> SkuId {
    SkuId::derive(Shard::new(5), &[name.as_bytes()])
}

fn hold(name: &str) -> HoldId {
    HoldId::derive(Shard::new(6), &[name.as_bytes()])
}

async fn stocked(shop: &Fixture, name: &str, quantity: i64) -> Result<SkuId> {
    let initial = InitialStock { sku_id: sku(name), quantity };
    shop.contracts.inventory.set_initial(&system(), vec![initial]).await?;
    Ok(initial.sku_id)
}

pub(crate) async fn warehouses_are_listed_by_priority(shop: &Fixture) -> Result<()> {
    let inventory = &shop.contracts.inventory;
    let keeper = staff(&[Permission::InventoryRead, Permission::InventoryWrite]);
    let input = |code: &str, priority| WarehouseInput {
        code: code.to_owned(),
        name: "仓库 Nord".to_owned(),
        country: "DE".to_owned(),
        priority,
    };
    let far = inventory.add_warehouse(&keeper, input("far", i32::MAX)).await?;
    let near = inventory.add_warehouse(&keyed(&keeper, "near"), input("near", i32::MIN)).await?;
    same(&inventory.add_warehouse(&keyed(&keeper, "near"), input("near", i32::MIN)).await?, &near);
    assert_eq!((near.name.as_str(), near.priority), ("仓库 Nord", i32::MIN));
    let listed = inventory.warehouses(&keeper, ()).await?;
    same(&listed.first(), &Some(&near));
    same(&listed.last(), &Some(&far));
    let moved = ReplaceWarehouse { id: far.id, warehouse: input("not-so-far", 7) };
    let moved = inventory.replace_warehouse(&keeper, moved).await?;
    assert_eq!((moved.id, moved.code.as_str(), moved.priority), (far.id, "not-so-far", 7));
    refused(inventory.add_warehouse(&keeper, input("near", 1)).await, code::WAREHOUSE_CODE_TAKEN, &["/code"]);
    let unknown = ReplaceWarehouse {
        id: WarehouseId::derive(Shard::new(0), &[b"unknown"]),
        warehouse: input("unknown", 1),
    };
    refused(inventory.replace_warehouse(&keeper, unknown).await, general::NOT_FOUND, &[]);
    refused(inventory.warehouses(&staff(&[]), ()).await, general::FORBIDDEN, &[]);
    refused(inventory.add_warehouse(&nobody(), input("x", 1)).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}

pub(crate) async fn every_movement_of_stock_is_kept(shop: &Fixture) -> Result<()> {
    let inventory = &shop.contracts.inventory;
    let keeper = staff(&[Permission::InventoryRead, Permission::InventoryWrite]);
    let sku_id = sku("moved");
    let adjust = |delta, reason| AdjustStock {
        sku_id,
        warehouse_id: None,
        delta,
        reason,
        note: "盘点 – “count”".to_owned(),
    };
    for key in ["1", "2", "3", "3"] {
        let inbound = adjust(1_000_000_000, AdjustReason::Inbound);
        inventory.adjust(&keyed(&keeper, key), inbound).await?;
    }
    let damaged = inventory.adjust(&keeper, adjust(5, AdjustReason::Damage)).await?;
    assert_eq!(
        (damaged.on_hand, damaged.available, damaged.unavailable, damaged.reserved),
        (3_000_000_000, 2_999_999_995, 5, 0)
    );
    inventory.set_safety_stock(&keeper, SetSafetyStock { sku_id, safety_stock: 1_000_000_000 }).await?;
    let stock = inventory.stock(&keeper, sku_id).await?;
    assert_eq!((stock.len(), stock[0].available, stock[0].safety_stock), (1, 2_999_999_995, 1_000_000_000));
    assert!(stock[0].regions.is_empty());
    assert!(inventory.stock(&keeper, sku("unknown")).await?.is_empty());

    let list = |cursor, limit| ListMovements { sku_id, cursor, limit: Some(limit) };
    let found = pages(async |cursor| inventory.movements(&keeper, list(cursor, 3)).await).await?;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
    let lines = found.concat();
    assert_eq!(lines.iter().map(|line| line.available).sum::<i64>(), 2_999_999_995);
    assert_eq!((lines[0].kind.as_str(), lines[0].note.as_str()), ("damage", "盘点 – “count”"));
    assert_eq!((lines[0].actor.as_str(), lines[1].reference.as_str()), (keeper.principal().as_str(), "3"));
    assert_eq!(lines[0].reference, keeper.request_id, "without a key");
    refused(inventory.movements(&keeper, list(Some("x".to_owned()), 1)).await, general::INVALID, &["cursor"]);

    let other = adjust(2, AdjustReason::Inbound);
    refused(inventory.adjust(&keyed(&keeper, "3"), other).await, general::KEY_REUSED, &[]);
    for delta in [0, i64::MIN, (1 << 53) + 1] {
        refused(
            inventory.adjust(&keeper, adjust(delta, AdjustReason::Count)).await,
            general::INVALID,
            &["/delta"],
        );
    }
    refused(inventory.adjust(&keeper, adjust(6, AdjustReason::Scrap)).await, code::BELOW_ZERO, &["/delta"]);
    let elsewhere = AdjustStock {
        warehouse_id: Some(WarehouseId::derive(Shard::new(0), &[b"unknown"])),
        ..adjust(1, AdjustReason::Inbound)
    };
    refused(inventory.adjust(&keeper, elsewhere).await, general::INVALID, &["/warehouse_id"]);
    let below = SetSafetyStock { sku_id, safety_stock: -1 };
    refused(inventory.set_safety_stock(&keeper, below).await, general::INVALID, &["/safety_stock"]);
    let reader = staff(&[Permission::InventoryRead]);
    refused(inventory.adjust(&reader, adjust(1, AdjustReason::Inbound)).await, general::FORBIDDEN, &[]);
    refused(inventory.stock(&staff(&[]), sku_id).await, general::FORBIDDEN, &[]);
    refused(inventory.movements(&nobody(), list(None, 1)).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}

pub(crate) async fn first_stock_leaves_what_is_there_alone(shop: &Fixture) -> Result<()> {
    let inventory = &shop.contracts.inventory;
    let importer = staff(&[Permission::ImportRun]);
    let initial = |name, quantity| InitialStock { sku_id: sku(name), quantity };
    inventory.set_initial(&importer, vec![initial("seven", 7), initial("owed", i64::MIN)]).await?;
    inventory.set_initial(&importer, vec![initial("seven", 9)]).await?;
    inventory.set_initial(&importer, Vec::new()).await?;
    let asked = vec![sku("owed"), sku("unknown"), sku("seven"), sku("owed")];
    let expected = [0, 0, 7, 0].iter().zip(&asked);
    let expected: Vec<_> = expected.map(|(&available, &sku_id)| Availability { sku_id, available }).collect();
    assert_eq!(inventory.availability(&nobody(), asked).await?, expected);
    assert!(inventory.availability(&nobody(), Vec::new()).await?.is_empty());
    let thousand: Vec<SkuId> = (0..1_000).map(|n| sku(&n.to_string())).collect();
    assert_eq!(inventory.availability(&nobody(), thousand.clone()).await?.len(), 1_000);
    let more = [thousand, vec![sku("seven")]].concat();
    refused(inventory.availability(&nobody(), more).await, general::INVALID, &[""]);
    refused(inventory.set_initial(&staff(&[]), Vec::new()).await, general::FORBIDDEN, &[]);
    Ok(())
}

fn reserve(hold_id: HoldId, lines: Vec<LineInput>) -> Reserve {
    Reserve { hold_id, lines, expires_at: None }
}

pub(crate) async fn a_hold_takes_all_lines_or_none(shop: &Fixture) -> Result<()> {
    let inventory = &shop.contracts.inventory;
    let (ten, two) = (stocked(shop, "ten", 10).await?, stocked(shop, "two", 2).await?);
    let of = |sku_id, quantity| LineInput { sku_id, quantity };
    // To the microsecond.
    let until = Timestamp::from_micros(later(600).micros() / 1_000 * 1_000 + 123);
    let all =
        Reserve { expires_at: Some(until), ..reserve(hold("all"), vec![of(ten, 1), of(two, 2), of(ten, 3)]) };
    let held = inventory.reserve(&system(), all.clone()).await?;
    assert_eq!((held.id, held.state, held.expires_at), (hold("all"), HoldState::Reserved, until));
    assert_eq!(held.lines, [of(ten, 4), of(two, 2)]);
    same(&inventory.reserve(&system(), all.clone()).await?, &held);
    same(&inventory.hold(&system(), held.id).await?, &held);
    assert_eq!((shop.available(ten).await?, shop.available(two).await?), (6, 0));

    let short = reserve(hold("short"), vec![of(ten, 1), of(two, 1)]);
    refused(inventory.reserve(&system(), short).await, code::OUT_OF_STOCK, &["/lines/1"]);
    assert_eq!(shop.available(ten).await?, 6, "all or none");
    let other = Reserve { lines: vec![of(ten, 1)], ..all.clone() };
    refused(inventory.reserve(&system(), other).await, code::HOLD_CONFLICT, &[]);
    let none = reserve(hold("none"), Vec::new());
    refused(inventory.reserve(&system(), none).await, general::INVALID, &["/lines"]);
    for quantity in [0, i64::MAX, i64::MIN] {
        let odd = reserve(hold("odd"), vec![of(ten, 1), of(ten, quantity)]);
        refused(inventory.reserve(&system(), odd).await, general::INVALID, &["/lines/1/quantity"]);
    }
    let late = Ctx { deadline: Timestamp::from_micros(1), ..system() };
    let in_vain = reserve(hold("late"), vec![of(ten, 1)]);
    refused(inventory.reserve(&late, in_vain).await, general::TIMEOUT, &[]);
    for expires_at in [now(), later(8 * 86_400)] {
        let odd = Reserve { expires_at: Some(expires_at), ..reserve(hold("odd"), vec![of(ten, 1)]) };
        refused(inventory.reserve(&system(), odd).await, general::INVALID, &["/expires_at"]);
    }
    let longer = ExtendHold { hold_id: held.id, expires_at: Timestamp::from_micros(until.micros() + 1) };
    assert_eq!(inventory.extend(&system(), longer).await?.expires_at, longer.expires_at);
    let over = ExtendHold { expires_at: now(), ..longer };
    refused(inventory.extend(&system(), over).await, general::INVALID, &["/expires_at"]);
    Ok(())
}

pub(crate) async fn a_hold_ends_once(shop: &Fixture) -> Result<()> {
    let inventory = &shop.contracts.inventory;
    let sku_id = stocked(shop, "held", 10).await?;
    let take = async |name: &str| {
        inventory.reserve(&system(), reserve(hold(name), vec![LineInput { sku_id, quantity: 4 }])).await
    };
    take("sold").await?;
    assert_eq!(inventory.confirm(&system(), hold("sold")).await?.state, HoldState::Confirmed);
    assert_eq!(inventory.confirm(&system(), hold("sold")).await?.state, HoldState::Confirmed);
    refused(inventory.release(&system(), hold("sold")).await, general::CONFLICT, &[]);
    inventory.give_back(&system(), hold("sold")).await?;
    inventory.give_back(&system(), hold("sold")).await?;
    assert_eq!(inventory.hold(&system(), hold("sold")).await?.state, HoldState::Returned);

    take("freed").await?;
    inventory.release(&system(), hold("freed")).await?;
    inventory.release(&system(), hold("freed")).await?;
    assert_eq!(inventory.hold(&system(), hold("freed")).await?.state, HoldState::Released);
    refused(inventory.confirm(&system(), hold("freed")).await, code::HOLD_GONE, &[]);
    refused(take("freed").await, code::HOLD_GONE, &[]);
    let gone = ExtendHold { hold_id: hold("freed"), expires_at: later(60) };
    refused(inventory.extend(&system(), gone).await, code::HOLD_GONE, &[]);
    assert_eq!(shop.available(sku_id).await?, 10);

    let never = hold("never");
    inventory.release(&system(), never).await?;
    inventory.give_back(&system(), never).await?;
    refused(inventory.hold(&system(), never).await, general::NOT_FOUND, &[]);
    refused(inventory.confirm(&system(), never).await, general::NOT_FOUND, &[]);
    let never = ExtendHold { hold_id: never, expires_at: later(60) };
    refused(inventory.extend(&system(), never).await, general::NOT_FOUND, &[]);
    Ok(())
}
