//! Orders.

use garde::Validate;
use kernel::{Money, Page, Timestamp, id_kinds};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    UserId,
    account::{AddressId, AddressInput},
    catalog::{NamedValue, ProductId, SkuId},
    event::event,
    payment::PaymentView,
    pricing::{LineInput, MAX_LINES, QuoteView, Totals},
};

id_kinds! {
    /// An order.
    OrderId, Order = "ord";
}

/// Error codes.
pub mod code {
    kernel::codes! {
        STATE = 409 "order.state" "The order is in another state than this needs";
        EXPIRED = 409 "order.expired" "The order was not paid in time";
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Placed; stock is held until it expires.
    PendingPayment,
    /// Paid; stock is deducted.
    Paid,
    /// Warehouses are chosen.
    Allocated,
    /// Some of it left.
    PartlyShipped,
    /// All of it left.
    Shipped,
    /// It arrived.
    Delivered,
    /// The shopper has it and the time to return it is over.
    Completed,
    /// Cancelled by the shopper, by staff, or because it was not paid in time.
    Cancelled,
    /// Paid once, refunded whole, ended.
    Closed,
}

/// Where its payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Nothing was paid.
    Unpaid,
    /// All was paid.
    Paid,
    /// Part of it went back.
    PartiallyRefunded,
    /// All of it went back.
    Refunded,
    /// Something else than the total was paid: a person looks at it.
    Conflicted,
}

/// Where its goods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FulfilmentState {
    /// Nothing left.
    Unfulfilled,
    /// Some of it left.
    Partial,
    /// All of it left.
    Shipped,
    /// It arrived.
    Delivered,
    /// It came back.
    Returned,
}

/// Places an order.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrder {
    /// One of the shopper's addresses.
    #[garde(skip)]
    pub address_id: AddressId,
    /// What; the cart when absent. Two lines of one SKU are one demand.
    #[garde(length(min = 1, max = MAX_LINES), dive)]
    #[schema(min_items = 1, max_items = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<LineInput>>,
    /// The signed text of a quote: `pricing.price_rose` when the total is higher now. Without one, today's prices count.
    #[garde(length(min = 1, max = 65_536))]
    #[schema(min_length = 1, max_length = 65_536)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// To the merchant, at most 500 characters.
    #[garde(length(chars, max = 500))]
    #[schema(max_length = 500)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// Asks for a quote.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskQuote {
    /// 1 to 100 lines; two lines of one SKU are one demand.
    #[garde(length(min = 1, max = MAX_LINES), dive)]
    #[schema(min_items = 1, max_items = 100)]
    pub items: Vec<LineInput>,
    /// One of the shopper's addresses, for tax and shipping.
    #[garde(skip)]
    #[serde(default)]
    pub address_id: Option<AddressId>,
}

/// A line of an order, as it was when placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderLineView {
    /// Which SKU.
    pub sku_id: SkuId,
    /// Its product.
    pub product_id: ProductId,
    /// The SKU's code, as it was.
    pub sku_code: String,
    /// The product's title, as it was.
    pub title: String,
    /// The SKU's options, as they were.
    pub options: Vec<NamedValue>,
    /// The product's slug, as it was.
    pub slug: String,
    /// Image address, where there was one.
    pub image: Option<String>,
    /// Units.
    pub quantity: i64,
    /// Price of a unit.
    pub unit_price: Money,
    /// Unit price times quantity.
    pub subtotal: Money,
    /// This line's part of the discount.
    pub discount: Money,
    /// Tax.
    pub tax: Money,
    /// Subtotal less discount plus tax that is not included.
    pub total: Money,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderView {
    /// Its id.
    pub id: OrderId,
    /// The number people use: date, shard gene, random digits, check digit.
    pub number: String,
    /// Where it stands.
    pub state: OrderState,
    /// Where its payment stands.
    pub payment_state: PaymentState,
    /// Where its goods are.
    pub fulfilment_state: FulfilmentState,
    /// Lines.
    pub lines: Vec<OrderLineView>,
    /// What it comes to.
    pub totals: Totals,
    /// Where it goes, as it was.
    pub address: AddressInput,
    /// To the merchant.
    pub remark: Option<String>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// Until when it must be paid.
    pub expires_at: Timestamp,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// Why it was cancelled: `shopper`, `staff`, `expired`, …
    pub cancel_reason: Option<String>,
    /// The payment's number, once paid.
    pub payment_number: Option<String>,
}

/// A step of an order's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderHistoryView {
    /// When.
    pub at: Timestamp,
    /// `shopper`, `staff` or `system`.
    pub actor: String,
    /// Where it stood; none for the first step.
    pub from: Option<OrderState>,
    /// Where it stood afterwards.
    pub to: OrderState,
    /// Why.
    pub reason: String,
}

/// Which of one's orders to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ListOrders {
    /// In this state.
    #[garde(skip)]
    #[param(inline)]
    pub state: Option<OrderState>,
    /// From the page before.
    #[garde(length(max = 1000))]
    #[param(max_length = 1000)]
    pub cursor: Option<String>,
    /// 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

/// Cancels an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CancelOrder {
    /// Which.
    pub order_id: OrderId,
    /// Why, in the shopper's words.
    pub reason: Option<String>,
}

/// The body of a cancellation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelReason {
    /// Why, in the shopper's words.
    #[garde(length(chars, max = 500))]
    #[schema(max_length = 500)]
    #[serde(default)]
    pub reason: Option<String>,
}

/// Pays an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PayOrder {
    /// Which.
    pub order_id: OrderId,
    /// Over which channel.
    pub channel: String,
}

/// The body of a payment.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentChannel {
    /// `sandbox`.
    #[garde(length(min = 1, max = 40))]
    #[schema(min_length = 1, max_length = 40)]
    pub channel: String,
}

contract! {
    /// Orders. Shoppers see their own; others' are 404.
    Orders as "order", OrdersClient, OrdersDispatcher {
        /// Prices items for the caller.
        quote(AskQuote) -> QuoteView;
        /// Places an order: everything recalculated, stock held. Needs an idempotency key.
        place(PlaceOrder) -> OrderView;
        /// An order (owner, or `order.read`).
        order(OrderId) -> OrderView;
        /// The caller's orders, newest first.
        orders(ListOrders) -> Page<OrderView>;
        /// Every shopper's orders, newest first (`order.read`).
        all_orders(ListOrders) -> Page<OrderView>;
        /// What happened to it, oldest first (owner, or `order.read`).
        history(OrderId) -> Vec<OrderHistoryView>;
        /// Cancels: unpaid ones give their stock back, paid ones that have not left are refunded too. Again is harmless.
        cancel(CancelOrder) -> OrderView;
        /// Opens a payment of the order's total. Needs an idempotency key.
        pay(PayOrder) -> PaymentView;
    }
}

/// A line of an event.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct OrderedLine {
    /// Which SKU.
    pub sku_id: SkuId,
    /// Its product.
    pub product_id: ProductId,
    /// Units.
    pub quantity: i64,
}

/// An order was placed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// Which.
    pub order_id: OrderId,
    /// Whose.
    pub user_id: UserId,
    /// What.
    pub lines: Vec<OrderedLine>,
    /// Whether it was the cart (which is then emptied of these lines).
    pub from_cart: bool,
    /// For how much.
    pub total: Money,
}
event!(OrderPlaced, "order.placed.v1", |e| e.order_id);

/// An order was paid and its stock deducted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderPaid {
    /// Which.
    pub order_id: OrderId,
    /// Whose.
    pub user_id: UserId,
    /// What.
    pub lines: Vec<OrderedLine>,
    /// For how much.
    pub total: Money,
}
event!(OrderPaid, "order.paid.v1", |e| e.order_id);

/// An order was cancelled or expired.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// Which.
    pub order_id: OrderId,
    /// Whose.
    pub user_id: UserId,
    /// Why.
    pub reason: String,
    /// Whether it was paid: money and stock go back.
    pub was_paid: bool,
}
event!(OrderCancelled, "order.cancelled.v1", |e| e.order_id);
