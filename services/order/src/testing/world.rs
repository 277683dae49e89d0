//! Every other domain behind one [`Transport`], so that any call can be cut off before or after its effect, and anything
//! can happen between two calls.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use contracts::{
    Ctx, Transport,
    account::{AddressId, AddressView},
    catalog::SkuId,
    inventory::{self, ExtendHold, HoldId, HoldState, HoldView, Reserve},
    order::OrderId,
    payment::{
        CancelPayments, IntentState, OpenPayment, PaymentCaptured, PaymentId, PaymentView, RefundId,
        RefundPayment, RefundState, RefundView,
    },
    pricing::{Destination, LineInput, QuotePromise, QuoteRequest},
};
use futures::future::BoxFuture;
use kernel::{Clock, Failure, FakeClock, Result, Timestamp, code};
use serde::{Serialize, de::DeserializeOwned};

use super::{AT, SHARD, address, address_id, priced, sku, usd};

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
    /// A world in which nothing happened yet.
    pub(super) fn new(clock: Arc<FakeClock>) -> Self {
        Self { clock, state: Mutex::new(State { unit: 1_000, ..State::default() }) }
    }

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

    /// Calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.state().calls
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

    /// What the provider has had of a payment, and what of it went back.
    pub(crate) fn set_money(&self, id: PaymentId, captured: i64, refunded: i64) {
        let mut state = self.state();
        let paid = state.payments.get_mut(&id).unwrap();
        (paid.captured, paid.refunded) = (captured, refunded);
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
            (false, had) if had != paid.open.amount.amount => IntentState::Conflicted,
            (false, _) => IntentState::Succeeded,
        },
        amount: paid.open.amount,
        captured: usd(paid.captured),
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
