//! What tests order, and the world they order in: every other domain behind one [`Transport`], so that any call can be
//! cut off before or after its effect, and anything can happen between two calls.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use contracts::{
    Caller, Ctx, SessionId, Transport, UserId,
    account::{AccountsClient, AddressId, AddressInput, AddressView},
    cart::CartsClient,
    catalog::{NamedValue, ProductId, SkuId},
    inventory::{self, ExtendHold, HoldId, HoldState, HoldView, InventoryClient, Reserve},
    order::OrderId,
    payment::{
        CancelPayments, IntentState, OpenPayment, PaymentCaptured, PaymentId, PaymentRefunded, PaymentView,
        PaymentsClient, RefundId, RefundPayment, RefundState, RefundView,
    },
    pricing::{
        Destination, LineInput, PricingClient, QuoteLine, QuotePromise, QuoteRequest, QuoteView, Totals,
    },
};
use futures::future::BoxFuture;
use kernel::{Clock, Currency, Failure, FakeClock, Id, Money, Result, Shard, Timestamp, code};
use migrations::Migrator;
use platform_db::{Db, testing};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;
use serde::{Serialize, de::DeserializeOwned};

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

/// Where a call is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing happened.
    Before,
    /// It happened, but the caller does not hear of it.
    After,
}

type Between = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

struct Hold {
    state: HoldState,
    lines: Vec<LineInput>,
    expires_at: Timestamp,
}

struct Paid {
    open: OpenPayment,
    captured: i64,
    refunded: i64,
    cancelled: bool,
}

#[derive(Default)]
struct State {
    calls: usize,
    cut: Option<(usize, Cut)>,
    between: Option<(usize, Between)>,
    available: BTreeMap<SkuId, i64>,
    holds: HashMap<HoldId, Hold>,
    payments: HashMap<PaymentId, Paid>,
    refund_keys: HashSet<String>,
    cart: Vec<LineInput>,
    unit: i64,
    promises: Vec<QuotePromise>,
}

/// Everything around orders.
pub(crate) struct World {
    clock: Arc<FakeClock>,
    state: Mutex<State>,
}

impl World {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Cuts off the `n`th call from now on.
    pub(crate) fn cut(&self, n: usize, cut: Cut) {
        let mut state = self.state();
        state.cut = Some((state.calls + n, cut));
    }

    /// Lets something happen after the `n`th call from now on had its effect, before its caller goes on.
    pub(crate) fn between(&self, n: usize, between: Between) {
        let mut state = self.state();
        state.between = Some((state.calls + n, between));
    }

    /// Forgets what was planned; whether it had happened.
    pub(crate) fn happened(&self) -> bool {
        let mut state = self.state();
        state.cut.take().is_none() & state.between.take().is_none()
    }

    pub(crate) fn stock(&self, n: u8) -> i64 {
        self.state().available.get(&sku(n)).copied().unwrap_or(0)
    }

    pub(crate) fn set_stock(&self, n: u8, units: i64) {
        self.state().available.insert(sku(n), units);
    }

    pub(crate) fn set_cart(&self, lines: &[LineInput]) {
        self.state().cart = lines.to_vec();
    }

    pub(crate) fn set_unit_price(&self, unit: i64) {
        self.state().unit = unit;
    }

    /// Promises a total; the signed text is its place.
    pub(crate) fn promise(&self, lines: &[LineInput], total: i64, expires_at: Timestamp) -> String {
        let destination =
            Destination { country: "US".to_owned(), region: "CA".to_owned(), address_id: Some(address_id()) };
        let lines = lines.iter().map(|line| (line.sku_id, line.quantity, usd(1_000))).collect();
        let mut state = self.state();
        state.promises.push(QuotePromise {
            lines,
            total: usd(total),
            destination: Some(destination),
            expires_at,
        });
        (state.promises.len() - 1).to_string()
    }

    /// How many holds stand where.
    pub(crate) fn holds(&self, wanted: HoldState) -> usize {
        self.expire_holds();
        self.state().holds.values().filter(|hold| hold.state == wanted).count()
    }

    pub(crate) fn hold_of(&self, id: HoldId) -> Option<HoldState> {
        self.state().holds.get(&id).map(|hold| hold.state)
    }

    /// Ends a hold behind everybody's back.
    pub(crate) fn lose_hold(&self, id: HoldId) {
        let mut state = self.state();
        if let Some(hold) = state.holds.get_mut(&id)
            && hold.state == HoldState::Reserved
        {
            hold.state = HoldState::Expired;
            let lines = hold.lines.clone();
            give(&mut state, &lines);
        }
    }

    /// Captures what was opened for an order; the event of it.
    pub(crate) fn capture(&self, id: PaymentId) -> PaymentCaptured {
        let mut state = self.state();
        let paid = state.payments.get_mut(&id).unwrap();
        paid.captured = paid.open.amount.amount;
        PaymentCaptured {
            payment_id: id,
            number: format!("N{id}"),
            order_id: paid.open.order_id,
            amount: paid.open.amount,
            paid_at: self.clock.now(),
        }
    }

    /// Captured and refunded minor units of an order, over all its payments.
    pub(crate) fn money(&self, order_id: OrderId) -> (i64, i64) {
        let state = self.state();
        let of_order = state.payments.values().filter(|paid| paid.open.order_id == order_id);
        of_order
            .fold((0, 0), |(captured, refunded), paid| (captured + paid.captured, refunded + paid.refunded))
    }

    fn expire_holds(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        let mut back = Vec::new();
        for hold in state.holds.values_mut() {
            if hold.state == HoldState::Reserved && hold.expires_at <= now {
                hold.state = HoldState::Expired;
                back.extend(hold.lines.clone());
            }
        }
        give(&mut state, &back);
    }

    fn run(&self, ctx: &Ctx, domain: &str, method: &str, body: &[u8]) -> Result<Vec<u8>> {
        self.expire_holds();
        match (domain, method) {
            ("account", "address") => {
                let id: AddressId = read(body)?;
                if id == address_id() {
                    write(&AddressView { id, address: address() })
                } else {
                    Err(Failure::not_found("address"))
                }
            }
            ("cart", "checkout_lines") => {
                let cart = self.state().cart.clone();
                if cart.is_empty() { Err(contracts::cart::code::EMPTY.into()) } else { write(&cart) }
            }
            ("pricing", "quote") => {
                let request: QuoteRequest = read(body)?;
                write(&priced(&request.lines, self.state().unit))
            }
            ("pricing", "verify") => {
                let text: String = read(body)?;
                let place: usize =
                    text.parse().map_err(|_| Failure::from(contracts::pricing::code::QUOTE_INVALID))?;
                write(&self.state().promises[place])
            }
            ("inventory", method) => self.inventory(method, body),
            ("payment", method) => self.payment(ctx, method, body),
            _ => Err(Failure::internal(format!("nobody plays {domain}.{method}"))),
        }
    }

    fn inventory(&self, method: &str, body: &[u8]) -> Result<Vec<u8>> {
        let mut state = self.state();
        if method == "reserve" {
            return reserve(&mut state, read(body)?);
        }
        if method == "extend" {
            let extend: ExtendHold = read(body)?;
            let hold = state.holds.get_mut(&extend.hold_id).ok_or_else(|| Failure::not_found("hold"))?;
            if hold.state != HoldState::Reserved {
                return Err(inventory::code::HOLD_GONE.into());
            }
            hold.expires_at = extend.expires_at;
            return write(&view(extend.hold_id, hold));
        }
        let id: HoldId = read(body)?;
        let Some(hold) = state.holds.get_mut(&id) else {
            return if method == "confirm" || method == "hold" {
                Err(Failure::not_found("hold"))
            } else {
                write(&())
            };
        };
        let back = match (method, hold.state) {
            ("confirm", HoldState::Reserved | HoldState::Confirmed) => {
                hold.state = HoldState::Confirmed;
                return write(&view(id, hold));
            }
            ("confirm", _) => return Err(inventory::code::HOLD_GONE.into()),
            ("release", HoldState::Confirmed) => return Err(code::CONFLICT.into()),
            ("release" | "give_back", HoldState::Reserved) => HoldState::Released,
            ("give_back", HoldState::Confirmed) => HoldState::Returned,
            ("release" | "give_back", _) => return write(&()),
            _ => return Err(Failure::internal(format!("nobody plays inventory.{method}"))),
        };
        hold.state = back;
        let lines = hold.lines.clone();
        give(&mut state, &lines);
        write(&())
    }

    fn payment(&self, ctx: &Ctx, method: &str, body: &[u8]) -> Result<Vec<u8>> {
        let mut state = self.state();
        match method {
            "open" => {
                let open: OpenPayment = read(body)?;
                let id = PaymentId::derive(open.order_id.shard(), &[ctx.key()?.as_bytes()]);
                let paid = state.payments.entry(id).or_insert(Paid {
                    open,
                    captured: 0,
                    refunded: 0,
                    cancelled: false,
                });
                write(&payment_view(id, paid))
            }
            "payment" => {
                let id: PaymentId = read(body)?;
                write(&payment_view(id, &state.payments[&id]))
            }
            "cancel_order" => {
                let cancel: CancelPayments = read(body)?;
                for paid in state.payments.values_mut().filter(|paid| paid.open.order_id == cancel.order_id) {
                    paid.cancelled = true;
                    paid.refunded = paid.captured;
                }
                write(&())
            }
            "refund" => {
                let refund: RefundPayment = read(body)?;
                let fresh = state.refund_keys.insert(ctx.key()?.to_owned());
                let paid = state.payments.get_mut(&refund.payment_id).unwrap();
                let left = paid.captured - paid.refunded;
                if fresh && left == 0 {
                    return Err(contracts::payment::code::REFUND_TOO_LARGE.into());
                }
                if fresh {
                    paid.refunded = paid.captured;
                }
                write(&RefundView {
                    id: RefundId::derive(SHARD, &[ctx.key()?.as_bytes()]),
                    payment_id: refund.payment_id,
                    amount: usd(left),
                    state: RefundState::Succeeded,
                    reason: refund.reason,
                    created_at: AT,
                })
            }
            _ => Err(Failure::internal(format!("nobody plays payment.{method}"))),
        }
    }
}

fn give(state: &mut State, lines: &[LineInput]) {
    for line in lines {
        *state.available.entry(line.sku_id).or_default() += line.quantity;
    }
}

fn reserve(state: &mut State, reserve: Reserve) -> Result<Vec<u8>> {
    if let Some(hold) = state.holds.get(&reserve.hold_id) {
        return match hold.state {
            HoldState::Reserved | HoldState::Confirmed if hold.lines == reserve.lines => {
                write(&view(reserve.hold_id, hold))
            }
            HoldState::Reserved | HoldState::Confirmed => Err(inventory::code::HOLD_CONFLICT.into()),
            _ => Err(inventory::code::HOLD_GONE.into()),
        };
    }
    let short = reserve
        .lines
        .iter()
        .position(|line| state.available.get(&line.sku_id).copied().unwrap_or(0) < line.quantity);
    if let Some(index) = short {
        return Err(Failure::new(inventory::code::OUT_OF_STOCK).field(format!("/lines/{index}"), "sold out"));
    }
    for line in &reserve.lines {
        *state.available.entry(line.sku_id).or_default() -= line.quantity;
    }
    let hold =
        Hold { state: HoldState::Reserved, lines: reserve.lines, expires_at: reserve.expires_at.unwrap() };
    let answer = write(&view(reserve.hold_id, &hold));
    state.holds.insert(reserve.hold_id, hold);
    answer
}

fn view(id: HoldId, hold: &Hold) -> HoldView {
    HoldView { id, state: hold.state, lines: hold.lines.clone(), expires_at: hold.expires_at }
}

fn payment_view(id: PaymentId, paid: &Paid) -> PaymentView {
    PaymentView {
        id,
        number: format!("N{id}"),
        order_id: paid.open.order_id,
        state: match (paid.cancelled, paid.captured) {
            (true, _) => IntentState::Cancelled,
            (false, 0) => IntentState::Pending,
            (false, _) => IntentState::Succeeded,
        },
        amount: paid.open.amount,
        refunded: usd(paid.refunded),
        channel: paid.open.channel.clone(),
        redirect_url: None,
        provider_number: None,
        created_at: AT,
        paid_at: None,
        expires_at: paid.open.expires_at,
        reason: None,
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(Failure::internal)
}

fn write(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Failure::internal)
}

#[async_trait]
impl Transport for World {
    async fn call(
        &self,
        ctx: &Ctx,
        domain: &'static str,
        method: &'static str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let (cut, between) = {
            let mut state = self.state();
            let n = state.calls;
            state.calls += 1;
            let cut = state.cut.take_if(|(at, _)| *at == n).map(|(_, cut)| cut);
            (cut, state.between.take_if(|(at, _)| *at == n).map(|(_, between)| between))
        };
        if cut == Some(Cut::Before) {
            return Err(code::UNAVAILABLE.into());
        }
        let answer = self.run(ctx, domain, method, &body);
        if let Some(between) = between {
            between().await;
        }
        if cut == Some(Cut::After) { Err(code::UNAVAILABLE.into()) } else { answer }
    }
}

/// A shop with a database of its own.
pub(crate) struct Shop {
    pub(crate) service: Arc<OrderService>,
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) db: Db,
    _folder: tempfile::TempDir,
}

/// A shop that has ten of each SKU.
pub(crate) async fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(AT));
    let config = testing::config(folder.path());
    let db = Db::open(&config, clock.clone()).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db.check_shards().await.unwrap();
    let state = State { unit: 1_000, ..State::default() };
    let world = Arc::new(World { clock: clock.clone(), state: Mutex::new(state) });
    for n in 0..10 {
        world.set_stock(n, 10);
    }
    let transport: Arc<dyn Transport> = world.clone();
    let service = OrderService::new(
        db.clone(),
        Arc::new(PricingClient(transport.clone())),
        Arc::new(InventoryClient(transport.clone())),
        Arc::new(PaymentsClient(transport.clone())),
        Arc::new(AccountsClient(transport.clone())),
        Arc::new(CartsClient(transport)),
        OrderConfig::default(),
    )
    .unwrap();
    Shop { service, world, clock, db, _folder: folder }
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
