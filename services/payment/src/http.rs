//! Routes.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header::CONTENT_TYPE,
    post,
    web::{Data, Payload},
};
use contracts::payment::{
    ListPayments, PaymentId, PaymentView, Payments, ProviderCallback, RefundInput, RefundPayment, RefundView,
    SandboxInput, Simulate,
};
use kernel::{Failure, Page, code};
use platform_http::{
    Answer, Member, Params, PathOf, Routes, Staff, Valid, accepted, anonymous, created, ok, read_body,
};

use crate::{PaymentService, callback::LARGEST};

/// The most headers of a callback that are looked at.
const MOST_HEADERS: usize = 100;

/// Everything under `/api/v1/payments` and `/api/v1/admin/payments`, and the sandbox's pay button.
pub(crate) fn routes(service: Arc<PaymentService>) -> Routes {
    Arc::new(move |cfg| {
        cfg.app_data(Data::from(Arc::clone(&service) as Arc<dyn Payments>))
            .service(callback)
            .service(read_payment)
            .service(refund)
            .service(list_refunds)
            .service(simulate)
            .service(list_payments);
    })
}

/// A payment (the shopper's own, or `payment.read`).
#[utoipa::path(tag = "payments", params(("id" = PaymentId, Path)), responses((status = 200, body = PaymentView)))]
#[get("/api/v1/payments/{id}")]
async fn read_payment(
    payments: Data<dyn Payments>,
    Member(ctx): Member,
    PathOf(id): PathOf<PaymentId>,
) -> Answer {
    Ok(ok(payments.payment(&ctx, id).await?))
}

/// Refunds a payment, whole or in part (`payment.refund`). The provider is asked after it is written down; where it got is
/// read with the payment's refunds.
#[utoipa::path(
    tag = "payments",
    params(("id" = PaymentId, Path), ("Idempotency-Key" = String, Header)),
    request_body = RefundInput,
    responses((status = 201, body = RefundView))
)]
#[post("/api/v1/payments/{id}/refunds")]
async fn refund(
    payments: Data<dyn Payments>,
    Staff(ctx): Staff,
    PathOf(payment_id): PathOf<PaymentId>,
    Valid(body): Valid<RefundInput>,
) -> Answer {
    let command = RefundPayment { payment_id, amount: Some(body.amount), reason: body.reason };
    let refund = payments.refund(&ctx, command).await?;
    Ok(created(&format!("/api/v1/payments/{payment_id}/refunds"), &refund))
}

/// A payment's refunds, newest first (the shopper's own, or `payment.read`).
#[utoipa::path(tag = "payments", params(("id" = PaymentId, Path)), responses((status = 200, body = Page<RefundView>)))]
#[get("/api/v1/payments/{id}/refunds")]
async fn list_refunds(
    payments: Data<dyn Payments>,
    Member(ctx): Member,
    PathOf(id): PathOf<PaymentId>,
) -> Answer {
    Ok(ok(Page { items: payments.refunds(&ctx, id).await?, next_cursor: None }))
}

/// A provider calls back. Signed by the provider; the answer is the one it wants.
#[utoipa::path(
    tag = "payments",
    params(("channel" = String, Path)),
    request_body(content = String, content_type = "application/json"),
    responses((status = 200, content_type = "application/json", body = serde_json::Value))
)]
#[post("/api/v1/payments/callbacks/{channel}")]
async fn callback(
    payments: Data<dyn Payments>,
    req: HttpRequest,
    PathOf(channel): PathOf<String>,
    payload: Payload,
) -> Answer {
    let body = read_body(&req, &mut payload.into_inner(), LARGEST).await?;
    let body = String::from_utf8(body.into())
        .map_err(|error| Failure::new(code::MALFORMED).detail("the body is not UTF-8").because(error))?;
    let headers = req
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .take(MOST_HEADERS)
        .collect();
    let answer = payments.callback(&anonymous(&req)?, ProviderCallback { channel, headers, body }).await?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, answer.content_type)).body(answer.body))
}

/// Makes the sandbox's payer do something; the provider then calls back by itself. Only for the shopper who pays.
#[utoipa::path(
    tag = "payments",
    params(("id" = PaymentId, Path)),
    request_body = SandboxInput,
    responses((status = 202, body = PaymentView))
)]
#[post("/api/v1/sandbox/payments/{id}")]
async fn simulate(
    payments: Data<dyn Payments>,
    Member(ctx): Member,
    PathOf(payment_id): PathOf<PaymentId>,
    Valid(body): Valid<SandboxInput>,
) -> Answer {
    payments.simulate(&ctx, Simulate { payment_id, outcome: body.outcome }).await?;
    let payment = payments.payment(&ctx, payment_id).await?;
    Ok(accepted(&format!("/api/v1/payments/{payment_id}"), &payment))
}

/// Every payment, newest first (`payment.read`).
#[utoipa::path(tag = "payments", params(ListPayments), responses((status = 200, body = Page<PaymentView>)))]
#[get("/api/v1/admin/payments")]
async fn list_payments(
    payments: Data<dyn Payments>,
    Staff(ctx): Staff,
    Params(query): Params<ListPayments>,
) -> Answer {
    Ok(ok(payments.payments(&ctx, query).await?))
}
