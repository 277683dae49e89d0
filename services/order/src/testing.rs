//! What tests order, and the shop they order in; the world around it is in [`world`].

mod world;

use std::{sync::Arc, time::Duration};

use contracts::{
    Caller, Ctx, SessionId, Transport, UserId,
    account::{AccountsClient, AddressId, AddressInput},
    cart::CartsClient,
    catalog::{NamedValue, ProductId, SkuId},
    inventory::{HoldId, InventoryClient},
    order::OrderId,
    payment::{PaymentCaptured, PaymentId, PaymentRefunded, PaymentsClient, RefundId},
    pricing::{LineInput, PricingClient, QuoteLine, QuoteView, Totals},
};
use kernel::{Currency, FakeClock, Id, Money, Shard, Timestamp};
use migrations::Migrator;
use platform_db::{Db, DbResult, testing};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;

pub(crate) use self::world::{Cut, World};
use crate::{
    OrderConfig, OrderService,
    demand::Demand,
    model::{Draft, Order},
};

/// When tests begin: 2026-11-21T08:00:00Z.
pub(crate) const AT: Timestamp = Timestamp::from_micros(1_795_248_000_000_000);

const SHARD: Shard = Shard::new(3);

pub(crate) fn sku(n: u8) -> SkuId {
    Id::derive(Shard::new(1), &[b"sku", &[n]])
}

pub(crate) fn user(n: u8) -> UserId {
    Id::derive(SHARD, &[b"user", &[n]])
}

pub(crate) fn address_id() -> AddressId {
    Id::derive(SHARD, &[b"address"])
}

pub(crate) fn item(n: u8, quantity: i64) -> LineInput {
    LineInput { sku_id: sku(n), quantity }
}

fn usd(amount: i64) -> Money {
    Money::new(amount, Currency::USD)
}

fn address() -> AddressInput {
    AddressInput {
        recipient: "Ada".to_owned(),
        phone: "+14155550100".to_owned(),
        country: "US".to_owned(),
        region: "CA".to_owned(),
        city: "Oakland".to_owned(),
        district: String::new(),
        line1: "1 First Street".to_owned(),
        line2: String::new(),
        postal_code: "94601".to_owned(),
        is_default: true,
    }
}

/// A quote at 10.00 a unit, a tenth tax, 7.00 shipping.
pub(crate) fn quote_of(lines: &[LineInput]) -> QuoteView {
    priced(lines, 1_000)
}

fn priced(lines: &[LineInput], unit: i64) -> QuoteView {
    let line = |line: &LineInput| {
        let subtotal = unit * line.quantity;
        QuoteLine {
            sku_id: line.sku_id,
            product_id: ProductId::derive(Shard::new(1), &[line.sku_id.uuid().as_bytes()]),
            sku_code: "CODE".to_owned(),
            title: "A thing".to_owned(),
            options: vec![NamedValue { name: "Size".to_owned(), value: "M".to_owned() }],
            slug: "a-thing".to_owned(),
            image: None,
            quantity: line.quantity,
            unit_price: usd(unit),
            subtotal: usd(subtotal),
            discount: usd(0),
            tax: usd(subtotal / 10),
            tax_rate_bp: 1_000,
            total: usd(subtotal + subtotal / 10),
        }
    };
    let lines: Vec<QuoteLine> = lines.iter().map(line).collect();
    let subtotal: i64 = lines.iter().map(|line| line.subtotal.amount).sum();
    let totals = Totals {
        subtotal: usd(subtotal),
        discount: usd(0),
        shipping: usd(700),
        tax: usd(subtotal / 10),
        total: usd(subtotal + 700 + subtotal / 10),
    };
    QuoteView {
        quote: String::new(),
        lines,
        totals,
        explanation: Vec::new(),
        market: "US".to_owned(),
        expires_at: AT.plus(Duration::from_secs(900)),
    }
}

pub(crate) fn draft_of<'a>(quote: QuoteView, demand: &'a Demand, remark: Option<&'a str>) -> Draft<'a> {
    Draft {
        id: OrderId::derive(SHARD, &[b"order"]),
        user_id: user(1),
        number: "26112100030000000017".to_owned(),
        hold_id: HoldId::derive(SHARD, &[b"hold"]),
        demand,
        quote,
        address: address(),
        remark,
        from_cart: false,
        placed_at: AT,
        expires_at: AT.plus(Duration::from_secs(1_800)),
        trace: None,
    }
}

pub(crate) fn order() -> Order {
    let demand = Demand::of(&[item(1, 2), item(2, 1)]).unwrap();
    Order::draft(draft_of(quote_of(demand.lines()), &demand, None)).unwrap()
}

/// The `n`th payment of an order, captured whole.
pub(crate) fn captured(order: &Order, n: u8) -> PaymentCaptured {
    PaymentCaptured {
        payment_id: PaymentId::derive(SHARD, &[order.id.uuid().as_bytes(), &[n]]),
        number: format!("P{n}"),
        order_id: order.id,
        amount: order.totals.total,
        paid_at: AT,
    }
}

pub(crate) fn refunded(captured: &PaymentCaptured, in_all: i64) -> PaymentRefunded {
    PaymentRefunded {
        payment_id: captured.payment_id,
        order_id: captured.order_id,
        refund_id: RefundId::derive(SHARD, &[&in_all.to_be_bytes()]),
        amount: usd(in_all),
        refunded_in_all: usd(in_all),
        captured: captured.amount,
    }
}

/// A shop with a database of its own.
pub(crate) struct Shop {
    pub(crate) service: Arc<OrderService>,
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) db: Db,
    folder: tempfile::TempDir,
}

/// A shop that has ten of each SKU.
pub(crate) async fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(AT));
    let db = open(&folder, &clock).await;
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db.check_shards().await.unwrap();
    let world = Arc::new(World::new(clock.clone()));
    for n in 0..10 {
        world.set_stock(n, 10);
    }
    let service = process(db.clone(), &world);
    Shop { service, world, clock, db, folder }
}

async fn open(folder: &tempfile::TempDir, clock: &Arc<FakeClock>) -> Db {
    Db::open(&testing::config(folder.path()), clock.clone()).await.unwrap()
}

fn process(db: Db, world: &Arc<World>) -> Arc<OrderService> {
    let transport: Arc<dyn Transport> = world.clone();
    OrderService::new(
        db,
        Arc::new(PricingClient(transport.clone())),
        Arc::new(InventoryClient(transport.clone())),
        Arc::new(PaymentsClient(transport.clone())),
        Arc::new(AccountsClient(transport.clone())),
        Arc::new(CartsClient(transport)),
        OrderConfig::default(),
    )
    .unwrap()
}

/// A request of a shopper, by key.
pub(crate) fn request(who: UserId, key: &str) -> Ctx {
    Ctx {
        caller: Caller::User {
            id: who,
            session: SessionId::derive(SHARD, &[b"session"]),
            permissions: std::collections::BTreeSet::new(),
        },
        deadline: AT.plus(Duration::from_secs(3_600)),
        idempotency_key: Some(key.to_owned()),
        cart_token: None,
        request_id: "test".to_owned(),
    }
}

/// A call by Meridian itself.
pub(crate) fn system() -> Ctx {
    Ctx::system("test", AT.plus(Duration::from_secs(3_600)))
}

impl Shop {
    /// Keeps an answer about an order that is not there.
    pub(crate) async fn acknowledge(&self, shard: u16, key: &str, at: i64) {
        let id = OrderId::from_uuid(self.db.ids().uuid(Shard::new(shard)));
        let answer = format!("{{\"id\":\"{id}\",\"number\":\"N\"}}");
        let row = (shard, key.to_owned(), answer, at);
        let write = self.db.write(Shard::new(shard), row, |tx, (shard, key, answer, at)| {
            Box::pin(async move {
                let sql = "INSERT INTO idempotency (shard, principal, route, request_key, payload_hash, answer, created_at) \
                           VALUES (?, 'somebody', 'order.place', ?, ?, ?, ?)";
                let values = [
                    i32::from(*shard).into(),
                    key.clone().into(),
                    vec![0_u8; 32].into(),
                    answer.clone().into_bytes().into(),
                    (*at).into(),
                ];
                let insert = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
                tx.execute_raw(insert).await.db().map(|_| ())
            })
        });
        write.await.unwrap();
    }

    /// The same shop in another process: what is under way in one is not seen in the other.
    pub(crate) async fn another_process(&self) -> Arc<OrderService> {
        process(open(&self.folder, &self.clock).await, &self.world)
    }

    /// A number from the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.db.read().get_database_backend(), sql);
        self.db.read().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    /// How many events of a topic were published.
    pub(crate) async fn events(&self, topic: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM outbox WHERE topic = '{topic}'")).await
    }
}
