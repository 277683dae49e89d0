//! Carts over a real database, with the other domains played.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use contracts::{
    Caller, Ctx, Event, EventBody, SessionId, Transport, UserId,
    cart::{CartChange, CartView, Carts, MergeCart, code},
    catalog::{CatalogClient, ProductId, SkuId, SkuInfo, SkuRecord},
    inventory::{Availability, InventoryClient},
    order::{OrderId, OrderPlaced, OrderedLine},
    pricing::{self, LineInput, PriceKind, PriceView, PricesOf, PricingClient},
};
use futures::future::join_all;
use kernel::{Currency, Failure, FakeClock, Money, Result, Shard, Timestamp};
use migrations::Migrator;
use platform_bus::Consumer;
use platform_db::{Db, testing};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;

use crate::{CartConfig, CartService, consumers::Ordered};

const AT: Timestamp = Timestamp::from_micros(1_795_248_000_000_000);

/// Catalog, prices and stock: a thousand SKUs at 5.00, ten of each.
#[derive(Default)]
struct World {
    prices: Mutex<HashMap<SkuId, i64>>,
    unsold: Mutex<BTreeSet<SkuId>>,
    calls: Mutex<usize>,
}

fn sku(n: u16) -> SkuId {
    SkuId::derive(Shard::new(1), &[&n.to_be_bytes()])
}

fn known(id: SkuId) -> bool {
    (0..1_000).any(|n| sku(n) == id)
}

#[async_trait]
impl Transport for World {
    async fn call(
        &self,
        _: &Ctx,
        domain: &'static str,
        method: &'static str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>> {
        *self.calls.lock().unwrap() += 1;
        let answer = match (domain, method) {
            ("catalog", "skus") => {
                let ids: Vec<SkuId> = serde_json::from_slice(&body).unwrap();
                let unsold = self.unsold.lock().unwrap();
                let info = |id: SkuId| SkuInfo {
                    sku: SkuRecord {
                        id,
                        code: "CODE".to_owned(),
                        options: Vec::new(),
                        barcode: None,
                        weight_grams: 1,
                    },
                    product_id: ProductId::derive(Shard::new(1), &[id.uuid().as_bytes()]),
                    slug: "a-thing".to_owned(),
                    title: "A thing".to_owned(),
                    image: None,
                    tax_category: String::new(),
                    sold: !unsold.contains(&id),
                };
                let infos: Vec<_> = ids.into_iter().filter(|id| known(*id)).map(info).collect();
                serde_json::to_vec(&infos)
            }
            ("pricing", "prices") => {
                let asked: PricesOf = serde_json::from_slice(&body).unwrap();
                let prices = self.prices.lock().unwrap();
                let price = |sku_id: SkuId| PriceView {
                    sku_id,
                    price: usd(prices.get(&sku_id).copied().unwrap_or(500)),
                    compare_at: None,
                    lowest_30_days: None,
                    kind: PriceKind::List,
                };
                serde_json::to_vec(&asked.sku_ids.into_iter().map(price).collect::<Vec<_>>())
            }
            ("inventory", "availability") => {
                let ids: Vec<SkuId> = serde_json::from_slice(&body).unwrap();
                let stock = ids.into_iter().map(|sku_id| Availability { sku_id, available: 10 });
                serde_json::to_vec(&stock.collect::<Vec<_>>())
            }
            _ => return Err(Failure::internal("nobody plays this")),
        };
        answer.map_err(Failure::internal)
    }
}

fn usd(amount: i64) -> Money {
    Money::new(amount, Currency::USD)
}

struct Shop {
    service: Arc<CartService>,
    world: Arc<World>,
    clock: Arc<FakeClock>,
    db: Db,
    _folder: tempfile::TempDir,
}

async fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(AT));
    let config = testing::config(folder.path());
    let db = Db::open(&config, clock.clone()).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db.check_shards().await.unwrap();
    let world = Arc::new(World::default());
    let transport: Arc<dyn Transport> = world.clone();
    let service = CartService::new(
        db.clone(),
        Arc::new(CatalogClient(transport.clone())),
        Arc::new(PricingClient(transport.clone())),
        Arc::new(InventoryClient(transport)),
        CartConfig::default(),
    )
    .unwrap();
    Shop { service, world, clock, db, _folder: folder }
}

fn member(n: u8) -> Ctx {
    let id = UserId::derive(Shard::new(u16::from(n) % 16), &[&[n]]);
    let session = SessionId::derive(Shard::new(0), &[b"s"]);
    let caller = Caller::User { id, session, permissions: BTreeSet::new() };
    Ctx { caller, ..guest(None) }
}

fn guest(token: Option<&CartView>) -> Ctx {
    Ctx {
        caller: Caller::Anonymous,
        deadline: AT.plus(Duration::from_secs(60)),
        idempotency_key: None,
        cart_token: token.and_then(|cart| cart.token.clone()),
        request_id: "test".to_owned(),
    }
}

fn line(n: u16, quantity: i64) -> LineInput {
    LineInput { sku_id: sku(n), quantity }
}

fn quantities(cart: &CartView) -> Vec<(SkuId, i64)> {
    cart.items.iter().map(|line| (line.sku_id, line.quantity)).collect()
}

impl Shop {
    async fn put(&self, ctx: &Ctx, n: u16, quantity: i64) -> CartView {
        self.service.put(ctx, line(n, quantity)).await.unwrap()
    }

    async fn cart(&self, ctx: &Ctx) -> CartView {
        self.service.cart(ctx, ()).await.unwrap()
    }

    async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.db.read().get_database_backend(), sql);
        self.db.read().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }
}

#[tokio::test]
async fn a_guest_keeps_a_cart_by_its_token() {
    let shop = shop().await;
    let empty = shop.cart(&guest(None)).await;
    assert!(empty.id.is_none() && empty.token.is_some() && empty.subtotal.is_none());
    assert_eq!(shop.number("SELECT COUNT(*) FROM cart").await, 0, "looking writes nothing");
    let first = shop.put(&guest(Some(&empty)), 1, 2).await;
    assert_eq!(first.token, empty.token);
    let cart = shop.put(&guest(Some(&first)), 2, 1).await;
    assert_eq!(quantities(&cart), [(sku(1), 2), (sku(2), 1)]);
    assert_eq!((cart.quantity, cart.subtotal), (3, Some(usd(1_500))));
    let set = shop.put(&guest(Some(&cart)), 1, 5).await;
    assert_eq!(quantities(&set), [(sku(1), 5), (sku(2), 1)], "set, not added; in its place");
    for _ in 0..2 {
        let less = shop.service.remove(&guest(Some(&cart)), sku(1)).await.unwrap();
        assert_eq!(quantities(&less), [(sku(2), 1)]);
    }
    let tokenless = shop.put(&guest(None), 3, 1).await;
    assert_ne!(tokenless.token, cart.token);
    assert_eq!(tokenless.items.len(), 1);
}

#[tokio::test]
async fn a_token_opens_its_own_cart_only() {
    let shop = shop().await;
    let cart = shop.put(&guest(None), 1, 1).await;
    let mut forged = cart.token.clone().unwrap();
    forged.replace_range(50..54, if forged.ends_with("AAAA") { "BBBB" } else { "AAAA" });
    let with = |token: &str| Ctx { cart_token: Some(token.to_owned()), ..guest(None) };
    let other = shop.cart(&with(&forged)).await;
    assert!(other.items.is_empty() && other.token.as_deref() != Some(&forged));
    let put = shop.put(&with(&forged), 2, 1).await;
    assert_eq!(quantities(&put), [(sku(2), 1)]);
    assert!(put.token != cart.token && put.token.as_deref() != Some(&forged));
    assert_eq!(shop.service.remove(&with(&forged), sku(1)).await.unwrap().items.len(), 0);
    assert_eq!(quantities(&shop.cart(&guest(Some(&cart))).await), [(sku(1), 1)]);
    let malformed = shop.service.cart(&with("odd"), ()).await.unwrap_err();
    assert!(malformed.is(code::TOKEN_INVALID));
    assert_eq!(malformed.fields()[0].pointer, "X-Cart-Token");
    let stored = shop.number("SELECT COUNT(*) FROM cart WHERE length(secret_hash) = 32").await;
    assert_eq!(stored, 2);
}

#[tokio::test]
async fn what_cannot_be_bought_cannot_be_put_in() {
    let shop = shop().await;
    assert_eq!(shop.service.put(&member(1), line(1_001, 1)).await.unwrap_err().status(), 404);
    shop.world.unsold.lock().unwrap().insert(sku(2));
    assert!(shop.service.put(&member(1), line(2, 1)).await.unwrap_err().is(pricing::code::NOT_SOLD));
    assert_eq!(
        shop.service.put(&member(1), line(1, 1_000)).await.unwrap_err().fields()[0].pointer,
        "/quantity"
    );
    for n in 0..100 {
        shop.put(&member(1), n + 10, 1).await;
    }
    assert!(shop.service.put(&member(1), line(1, 1)).await.unwrap_err().is(code::FULL));
    assert_eq!(shop.put(&member(1), 10, 7).await.items.len(), 100, "a line that is in can still change");
}

#[tokio::test]
async fn changes_are_told_once_and_reading_writes_nothing_else() {
    let shop = shop().await;
    shop.put(&member(1), 1, 2).await;
    shop.put(&member(1), 2, 11).await;
    shop.put(&member(1), 3, 1).await;
    shop.world.prices.lock().unwrap().insert(sku(1), 400);
    shop.world.unsold.lock().unwrap().insert(sku(3));
    let cart = shop.cart(&member(1)).await;
    assert_eq!(cart.items[0].changes, [CartChange::PriceChanged { from: usd(500), to: usd(400) }]);
    assert_eq!(cart.items[1].changes, [CartChange::StockShort { available: 10 }]);
    assert_eq!(cart.items[2].changes, [CartChange::NotSold]);
    assert_eq!((cart.quantity, cart.subtotal), (13, Some(usd(800 + 5_500))));
    let again = shop.cart(&member(1)).await;
    assert!(again.items[0].changes.is_empty(), "seen");
    assert_eq!(again.updated_at, cart.updated_at);
    let lines = shop.service.checkout_lines(&member(1), ()).await.unwrap();
    assert_eq!(lines, [line(1, 2), line(2, 11)]);
    assert!(shop.service.checkout_lines(&member(2), ()).await.unwrap_err().is(code::EMPTY));
}

#[tokio::test]
async fn a_large_cart_asks_no_more_than_a_small_one() {
    let shop = shop().await;
    shop.put(&member(1), 0, 1).await;
    let calls = || std::mem::take(&mut *shop.world.calls.lock().unwrap());
    calls();
    shop.put(&member(1), 1, 1).await;
    let small = calls();
    for n in 2..99 {
        shop.put(&member(1), n, 1).await;
    }
    calls();
    shop.put(&member(1), 99, 1).await;
    assert_eq!(calls(), small);
}

#[tokio::test]
async fn merging_on_login_moves_the_guests_lines_once() {
    let shop = shop().await;
    shop.put(&member(1), 1, 998).await;
    let guests = shop.put(&guest(None), 1, 5).await;
    shop.put(&guest(Some(&guests)), 2, 3).await;
    let ctx = member(1);
    let merge = |token: Option<String>| shop.service.merge(&ctx, MergeCart { token });
    assert_eq!(merge(None).await.unwrap().items.len(), 1, "no token, nothing to do");
    for _ in 0..2 {
        let merged = merge(guests.token.clone()).await.unwrap();
        assert_eq!(quantities(&merged), [(sku(1), 999), (sku(2), 3)]);
        assert!(merged.token.is_none());
    }
    assert!(shop.cart(&guest(Some(&guests))).await.items.is_empty());
    let by_header = Ctx { cart_token: guests.token.clone(), ..member(2) };
    assert!(shop.service.merge(&by_header, MergeCart::default()).await.unwrap().items.is_empty());
    let odd = merge(Some("odd".to_owned())).await.unwrap_err();
    assert_eq!((odd.status(), odd.fields()[0].pointer.as_str()), (422, "/token"));
    assert_eq!(shop.service.merge(&guest(None), MergeCart::default()).await.unwrap_err().status(), 401);
}

/// Futures of several kinds in one list.
trait BoxedIn: Future + Sized + Send {
    fn boxed_in<'a>(self) -> futures::future::BoxFuture<'a, Self::Output>
    where
        Self: 'a,
    {
        Box::pin(self)
    }
}
impl<F: Future + Send> BoxedIn for F {}

#[tokio::test]
async fn lines_without_room_stay_with_the_guest() {
    let shop = shop().await;
    for n in 0..99 {
        shop.put(&member(1), n, 1).await;
    }
    let guests = shop.put(&guest(None), 200, 1).await;
    shop.put(&guest(Some(&guests)), 201, 2).await;
    let command = MergeCart { token: guests.token.clone() };
    let merged = shop.service.merge(&member(1), command.clone()).await.unwrap();
    assert_eq!((merged.items.len(), merged.items[99].sku_id), (100, sku(200)));
    assert_eq!(quantities(&shop.cart(&guest(Some(&guests))).await), [(sku(201), 2)]);
    shop.service.remove(&member(1), sku(0)).await.unwrap();
    let rest = shop.service.merge(&member(1), command).await.unwrap();
    assert_eq!(rest.items[99].sku_id, sku(201));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_lose_and_double_nothing() {
    let shop = shop().await;
    let guests = shop.put(&guest(None), 1, 7).await;
    let puts = (10..30).map(|n| {
        let service = shop.service.clone();
        async move { service.put(&member(1), line(n, 1)).await.map(|_| ()) }
    });
    let merges = (0..10).map(|_| {
        let (service, token) = (shop.service.clone(), guests.token.clone());
        async move { service.merge(&member(1), MergeCart { token }).await.map(|_| ()) }
    });
    let all: Vec<futures::future::BoxFuture<'_, Result<()>>> =
        puts.map(BoxedIn::boxed_in).chain(merges.map(BoxedIn::boxed_in)).collect();
    for outcome in join_all(all).await {
        outcome.unwrap();
    }
    let cart = shop.cart(&member(1)).await;
    assert_eq!(cart.items.len(), 21);
    assert_eq!(cart.items.iter().find(|item| item.sku_id == sku(1)).unwrap().quantity, 7);
    assert_eq!(shop.number("SELECT COUNT(DISTINCT position) FROM cart_line").await, 21);
}

fn placed(ctx: &Ctx, lines: &[LineInput], from_cart: bool, pos: i64) -> Event {
    let user_id = ctx.user().unwrap();
    let ordered = |line: &LineInput| OrderedLine {
        sku_id: line.sku_id,
        product_id: ProductId::derive(Shard::new(1), &[b"p"]),
        quantity: line.quantity,
    };
    let body = OrderPlaced {
        order_id: OrderId::derive(user_id.shard(), &[b"o"]),
        user_id,
        lines: lines.iter().map(ordered).collect(),
        from_cart,
        total: usd(1),
    };
    Event {
        shard: user_id.shard(),
        pos,
        topic: OrderPlaced::TOPIC.to_owned(),
        aggregate: body.aggregate(),
        at: AT,
        body: serde_json::to_vec(&body).unwrap(),
        trace: None,
    }
}

#[tokio::test]
async fn what_was_ordered_leaves_the_cart_once() {
    let shop = shop().await;
    let ctx = member(1);
    for (n, quantity) in [(1, 5), (2, 2), (3, 1)] {
        shop.put(&ctx, n, quantity).await;
    }
    let consumer = Ordered(shop.service.clone());
    let event = placed(&ctx, &[line(1, 3), line(2, 2), line(9, 1)], true, 1);
    for _ in 0..3 {
        consumer.consume(&event).await.unwrap();
    }
    assert_eq!(quantities(&shop.cart(&ctx).await), [(sku(1), 2), (sku(3), 1)]);
    consumer.consume(&placed(&ctx, &[line(3, 1)], false, 2)).await.unwrap();
    assert_eq!(shop.cart(&ctx).await.items.len(), 2, "an order of items leaves the cart alone");
    consumer.consume(&placed(&member(2), &[line(3, 1)], true, 3)).await.unwrap();
}

#[tokio::test]
async fn guests_carts_are_forgotten_and_members_kept() {
    let shop = shop().await;
    let old = shop.put(&guest(None), 1, 1).await;
    shop.put(&member(1), 1, 1).await;
    shop.clock.advance(Duration::from_secs(89 * 86_400));
    let fresh = shop.put(&guest(None), 2, 1).await;
    assert_eq!(shop.service.prune_while(|| true).await.unwrap(), 0);
    shop.clock.advance(Duration::from_secs(2 * 86_400));
    assert_eq!(shop.service.prune_while(|| true).await.unwrap(), 1);
    assert_eq!(shop.number("SELECT COUNT(*) FROM cart_line").await, 2);
    assert_eq!(shop.cart(&guest(Some(&fresh))).await.items.len(), 1);
    assert_eq!(shop.cart(&member(1)).await.items.len(), 1);
    let back = shop.put(&guest(Some(&old)), 3, 1).await;
    assert_eq!((back.token, back.items.len()), (old.token, 1), "an old token names an empty cart");
}
