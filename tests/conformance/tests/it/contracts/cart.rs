//! Carts of guests and members.

use contracts::{
    Ctx,
    cart::{CartChange, CartView, MergeCart, code},
    catalog::{MoveProduct, ProductAction, ProductInput, SkuId},
    inventory::InitialStock,
    pricing::{self, LineInput},
};
use kernel::{Result, Shard, code as general};

use super::{
    callers::{nobody, refused, same, system, usd},
    fixture::Fixture,
    goods::{price, product, sku},
};

/// The guest whose cart this is.
fn guest(cart: &CartView) -> Ctx {
    Ctx { cart_token: cart.token.clone(), ..nobody() }
}

fn units(cart: &CartView) -> Vec<(SkuId, i64)> {
    cart.items.iter().map(|line| (line.sku_id, line.quantity)).collect()
}

pub(crate) async fn a_guests_cart_tells_what_changed(shop: &Fixture) -> Result<()> {
    let carts = &shop.contracts.carts;
    let lamp = shop.goods("Lampe 灯", usd(2_500), 5).await?;
    let empty = carts.cart(&nobody(), ()).await?;
    assert_eq!((empty.id, empty.quantity, empty.subtotal, empty.updated_at), (None, 0, None, None));
    assert!(empty.items.is_empty());
    let ctx = guest(&empty);
    refused(carts.checkout_lines(&ctx, ()).await, code::EMPTY, &[]);
    assert!(carts.remove(&ctx, lamp.sku).await?.items.is_empty());

    let filled = carts.put(&ctx, lamp.line(7)).await?;
    assert_eq!((&filled.token, filled.quantity, filled.subtotal), (&empty.token, 7, Some(usd(17_500))));
    assert!(filled.id.is_some() && filled.updated_at.is_some());
    let line = &filled.items[0];
    assert_eq!((line.product_id, line.title.as_str(), line.available), (lamp.product, "Lampe 灯", 5));
    assert_eq!(
        (line.unit_price, &line.changes),
        (Some(usd(2_500)), &vec![CartChange::StockShort { available: 5 }])
    );
    assert_eq!(carts.checkout_lines(&ctx, ()).await?, [lamp.line(7)]);

    carts.put(&ctx, lamp.line(2)).await?;
    shop.contracts.pricing.set_prices(&system(), vec![price(lamp.sku, usd(3_000))]).await?;
    let told = carts.cart(&ctx, ()).await?;
    assert_eq!(told.items[0].changes, [CartChange::PriceChanged { from: usd(2_500), to: usd(3_000) }]);
    assert!(carts.cart(&ctx, ()).await?.items[0].changes.is_empty(), "it was told");
    let unshelve = MoveProduct { id: lamp.product, action: ProductAction::Unshelve };
    shop.contracts.catalog.move_product(&system(), unshelve).await?;
    let unsold = carts.cart(&ctx, ()).await?;
    assert_eq!((unsold.items[0].unit_price, unsold.items[0].subtotal, unsold.subtotal), (None, None, None));
    assert_eq!(unsold.items[0].changes, [CartChange::NotSold]);
    refused(carts.checkout_lines(&ctx, ()).await, code::EMPTY, &[]);
    refused(carts.put(&ctx, lamp.line(1)).await, pricing::code::NOT_SOLD, &[]);
    let left = carts.remove(&ctx, lamp.sku).await?;
    assert_eq!((left.id, left.items.len()), (filled.id, 0));

    let unknown = LineInput { sku_id: SkuId::derive(Shard::new(4), &[b"unknown"]), quantity: 1 };
    refused(carts.put(&ctx, unknown).await, general::NOT_FOUND, &[]);
    for quantity in [0, 1_000, i64::MAX, i64::MIN] {
        refused(carts.put(&ctx, lamp.line(quantity)).await, general::INVALID, &["/quantity"]);
    }
    let odd = Ctx { cart_token: Some("none of ours".to_owned()), ..nobody() };
    refused(carts.cart(&odd, ()).await, code::TOKEN_INVALID, &["X-Cart-Token"]);
    refused(carts.cart(&system(), ()).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}

pub(crate) async fn a_guests_lines_become_the_members(shop: &Fixture) -> Result<()> {
    let carts = &shop.contracts.carts;
    let (pen, ink) = (shop.goods("Pen", usd(300), 99).await?, shop.goods("Ink", usd(500), 99).await?);
    let ctx = guest(&carts.cart(&nobody(), ()).await?);
    carts.put(&ctx, pen.line(1)).await?;
    let guests = carts.put(&ctx, ink.line(998)).await?;
    let (_, member) = shop.member("merger").await?;
    let (_, other) = shop.member("bystander").await?;
    let own = carts.put(&member, ink.line(2)).await?;
    assert_eq!((&own.token, units(&own)), (&None, vec![(ink.sku, 2)]));

    let by_header = Ctx { cart_token: ctx.cart_token.clone(), ..member.clone() };
    let merged = carts.merge(&by_header, MergeCart::default()).await?;
    assert_eq!((merged.id, units(&merged)), (own.id, vec![(ink.sku, 999), (pen.sku, 1)]));
    let by_body = MergeCart { token: guests.token };
    same(&carts.merge(&member, by_body.clone()).await?, &merged);
    same(&carts.merge(&member, MergeCart::default()).await?, &merged);
    assert!(carts.cart(&ctx, ()).await?.items.is_empty());
    assert!(carts.cart(&other, ()).await?.items.is_empty());
    let odd = MergeCart { token: Some("none of ours".to_owned()) };
    refused(carts.merge(&member, odd).await, code::TOKEN_INVALID, &["/token"]);
    refused(carts.merge(&ctx, by_body).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}

pub(crate) async fn a_cart_has_a_hundred_lines(shop: &Fixture) -> Result<()> {
    let sizes: Vec<String> = (0..101).map(|n| format!("Größe {n}")).collect();
    let skus = sizes.iter().map(|size| sku(None, &[("Size", size)])).collect();
    let many = ProductInput { options: vec!["Size".to_owned()], skus, ..product("Many") };
    let ids: Vec<SkuId> = shop.published(many).await?.skus.iter().map(|sku| sku.id).collect();
    let prices = ids.iter().map(|&id| price(id, usd(100))).collect();
    shop.contracts.pricing.set_prices(&system(), prices).await?;
    let stock = ids.iter().map(|&sku_id| InitialStock { sku_id, quantity: 9 }).collect();
    shop.contracts.inventory.set_initial(&system(), stock).await?;

    let carts = &shop.contracts.carts;
    let ctx = guest(&carts.cart(&nobody(), ()).await?);
    let (last, first) = ids.split_last().expect("SKUs");
    for &sku_id in first {
        carts.put(&ctx, LineInput { sku_id, quantity: 1 }).await?;
    }
    let one_more = LineInput { sku_id: *last, quantity: 1 };
    refused(carts.put(&ctx, one_more).await, code::FULL, &[]);
    let full = carts.cart(&ctx, ()).await?;
    assert_eq!(units(&full), first.iter().map(|&id| (id, 1)).collect::<Vec<_>>());
    assert_eq!(full.subtotal, Some(usd(10_000)));
    assert_eq!(carts.checkout_lines(&ctx, ()).await?.len(), 100);
    Ok(())
}
