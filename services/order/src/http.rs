//! Routes.

use std::sync::Arc;

use actix_web::{HttpResponse, get, post, web::Data};
use contracts::{
    order::{
        AskQuote, CancelOrder, CancelReason, ListOrders, OrderHistoryView, OrderId, OrderView, Orders,
        PayOrder, PaymentChannel, PlaceOrder,
    },
    payment::{PaymentView, Payments},
    pricing::QuoteView,
};
use kernel::Page;
use platform_http::{Answer, Anyone, Member, Optional, Params, PathOf, Routes, Staff, Valid, created, ok};
use serde::Serialize;
use utoipa::ToSchema;

/// What happened to an order, oldest first.
#[derive(Serialize, ToSchema)]
struct OrderHistory {
    items: Vec<OrderHistoryView>,
}

/// An order's payments, newest first.
#[derive(Serialize, ToSchema)]
struct OrderPayments {
    items: Vec<PaymentView>,
}

/// The routes of orders.
pub(crate) fn routes(orders: Arc<dyn Orders>, payments: Arc<dyn Payments>) -> Routes {
    Arc::new(move |cfg| {
        cfg.app_data(Data::from(Arc::clone(&orders)))
            .app_data(Data::from(Arc::clone(&payments)))
            .service(ask_quote)
            .service(place_order)
            .service(list_orders)
            .service(get_order)
            .service(get_history)
            .service(cancel_order)
            .service(pay_order)
            .service(list_payments)
            .service(list_all_orders)
            .service(get_any_order)
            .service(cancel_any_order);
    })
}

/// Prices items.
///
/// The answer's `quote` binds us until it expires: hand it in with the order, and a higher price is refused instead of
/// charged. An address needs somebody logged in; without one, tax and shipping are those of the shop's default market, and an
/// order whose address makes them higher needs a new quote.
#[utoipa::path(tag = "orders", request_body = AskQuote, responses((status = 201, body = QuoteView)))]
#[post("/api/v1/quotes")]
async fn ask_quote(orders: Data<dyn Orders>, Anyone(ctx): Anyone, Valid(body): Valid<AskQuote>) -> Answer {
    Ok(HttpResponse::Created().json(orders.quote(&ctx, body).await?))
}

/// Places an order.
///
/// Everything is recalculated and the stock is held until the order expires. The same key with the same body gives the same
/// answer, however often it is sent.
#[utoipa::path(
    tag = "orders",
    params(("Idempotency-Key" = String, Header, description = "1 to 200 visible characters, a new one for every order")),
    request_body = PlaceOrder,
    responses((status = 201, body = OrderView, headers(("Location" = String, description = "The order"))))
)]
#[post("/api/v1/orders")]
async fn place_order(
    orders: Data<dyn Orders>,
    Member(ctx): Member,
    Valid(body): Valid<PlaceOrder>,
) -> Answer {
    let order = orders.place(&ctx, body).await?;
    Ok(created(&format!("/api/v1/orders/{}", order.id), &order))
}

/// The caller's orders, newest first.
#[utoipa::path(tag = "orders", params(ListOrders), responses((status = 200, body = Page<OrderView>)))]
#[get("/api/v1/orders")]
async fn list_orders(
    orders: Data<dyn Orders>,
    Member(ctx): Member,
    Params(query): Params<ListOrders>,
) -> Answer {
    Ok(ok(orders.orders(&ctx, query).await?))
}

/// One of the caller's orders.
#[utoipa::path(tag = "orders", params(("id" = OrderId, Path)), responses((status = 200, body = OrderView)))]
#[get("/api/v1/orders/{id}")]
async fn get_order(orders: Data<dyn Orders>, Member(ctx): Member, PathOf(id): PathOf<OrderId>) -> Answer {
    Ok(ok(orders.order(&ctx, id).await?))
}

/// What happened to an order, oldest first.
#[utoipa::path(tag = "orders", params(("id" = OrderId, Path)), responses((status = 200, body = OrderHistory)))]
#[get("/api/v1/orders/{id}/history")]
async fn get_history(orders: Data<dyn Orders>, Member(ctx): Member, PathOf(id): PathOf<OrderId>) -> Answer {
    Ok(ok(OrderHistory { items: orders.history(&ctx, id).await? }))
}

/// Cancels an order.
///
/// One that waits for its payment gives its stock back; one that is paid and has not left is refunded too. A cancelled one
/// is answered as it is. The body may be left out.
#[utoipa::path(
    tag = "orders",
    params(("id" = OrderId, Path)),
    request_body = Option<CancelReason>,
    responses((status = 200, body = OrderView))
)]
#[post("/api/v1/orders/{id}/cancel")]
async fn cancel_order(
    orders: Data<dyn Orders>,
    Member(ctx): Member,
    PathOf(order_id): PathOf<OrderId>,
    Optional(body): Optional<CancelReason>,
) -> Answer {
    Ok(ok(orders.cancel(&ctx, CancelOrder { order_id, reason: body.reason }).await?))
}

/// Opens a payment of an order's total.
#[utoipa::path(
    tag = "orders",
    params(
        ("id" = OrderId, Path),
        ("Idempotency-Key" = String, Header, description = "1 to 200 visible characters, a new one for every try")
    ),
    request_body = PaymentChannel,
    responses((status = 201, body = PaymentView, headers(("Location" = String, description = "The payment"))))
)]
#[post("/api/v1/orders/{id}/payments")]
async fn pay_order(
    orders: Data<dyn Orders>,
    Member(ctx): Member,
    PathOf(order_id): PathOf<OrderId>,
    Valid(body): Valid<PaymentChannel>,
) -> Answer {
    let payment = orders.pay(&ctx, PayOrder { order_id, channel: body.channel }).await?;
    Ok(created(&format!("/api/v1/payments/{}", payment.id), &payment))
}

/// An order's payments, newest first.
#[utoipa::path(tag = "orders", params(("id" = OrderId, Path)), responses((status = 200, body = OrderPayments)))]
#[get("/api/v1/orders/{id}/payments")]
async fn list_payments(
    orders: Data<dyn Orders>,
    payments: Data<dyn Payments>,
    Member(ctx): Member,
    PathOf(id): PathOf<OrderId>,
) -> Answer {
    // Whose the order is, is said here; the payments of somebody else's are not found.
    let order = orders.order(&ctx, id).await?;
    Ok(ok(OrderPayments { items: payments.of_order(&ctx, order.id).await? }))
}

/// Every shopper's orders, newest first (`order.read`).
#[utoipa::path(tag = "admin", params(ListOrders), responses((status = 200, body = Page<OrderView>)))]
#[get("/api/v1/admin/orders")]
async fn list_all_orders(
    orders: Data<dyn Orders>,
    Staff(ctx): Staff,
    Params(query): Params<ListOrders>,
) -> Answer {
    Ok(ok(orders.all_orders(&ctx, query).await?))
}

/// Any order (`order.read`).
#[utoipa::path(tag = "admin", params(("id" = OrderId, Path)), responses((status = 200, body = OrderView)))]
#[get("/api/v1/admin/orders/{id}")]
async fn get_any_order(orders: Data<dyn Orders>, Staff(ctx): Staff, PathOf(id): PathOf<OrderId>) -> Answer {
    ctx.require(contracts::Permission::OrderRead)?;
    Ok(ok(orders.order(&ctx, id).await?))
}

/// Cancels any order (`order.write`).
#[utoipa::path(
    tag = "admin",
    params(("id" = OrderId, Path)),
    request_body = Option<CancelReason>,
    responses((status = 200, body = OrderView))
)]
#[post("/api/v1/admin/orders/{id}/cancel")]
async fn cancel_any_order(
    orders: Data<dyn Orders>,
    Staff(ctx): Staff,
    PathOf(order_id): PathOf<OrderId>,
    Optional(body): Optional<CancelReason>,
) -> Answer {
    ctx.require(contracts::Permission::OrderWrite)?;
    Ok(ok(orders.cancel(&ctx, CancelOrder { order_id, reason: body.reason }).await?))
}
