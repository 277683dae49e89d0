//! Routes.

use std::sync::Arc;

use actix_web::{HttpResponse, delete, get, post, put, web::Data};
use contracts::{
    cart::{CartView, Carts, MergeCart, Quantity},
    catalog::SkuId,
    pricing::LineInput,
};
use platform_http::{Answer, Anyone, Member, Optional, PathOf, Routes, Valid};

use crate::service::HEADER;

/// The routes of carts.
pub(crate) fn routes(carts: Arc<dyn Carts>) -> Routes {
    Arc::new(move |cfg| {
        cfg.app_data(Data::from(Arc::clone(&carts)))
            .service(get_cart)
            .service(put_item)
            .service(remove_item)
            .service(merge_cart);
    })
}

/// A cart; a guest's token also goes into the header that it comes back in.
fn shown(cart: &CartView) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    if let Some(token) = &cart.token {
        answer.insert_header((HEADER, token.as_str()));
    }
    answer.json(cart)
}

/// The caller's cart.
///
/// A member's, or the guest's that `X-Cart-Token` names; a guest without one gets a new token. Prices and stock are live;
/// `changes` tells what is new since the cart was last seen.
#[utoipa::path(
    tag = "cart",
    params(("X-Cart-Token" = Option<String>, Header, description = "A guest's token, from an earlier answer")),
    responses((status = 200, body = CartView, headers(("X-Cart-Token" = Option<String>, description = "A guest's token"))))
)]
#[get("/api/v1/cart")]
async fn get_cart(carts: Data<dyn Carts>, Anyone(ctx): Anyone) -> Answer {
    Ok(shown(&carts.cart(&ctx, ()).await?))
}

/// Sets the units of a SKU.
#[utoipa::path(
    tag = "cart",
    params(
        ("sku_id" = SkuId, Path),
        ("X-Cart-Token" = Option<String>, Header, description = "A guest's token, from an earlier answer")
    ),
    request_body = Quantity,
    responses((status = 200, body = CartView, headers(("X-Cart-Token" = Option<String>, description = "A guest's token"))))
)]
#[put("/api/v1/cart/items/{sku_id}")]
async fn put_item(
    carts: Data<dyn Carts>,
    Anyone(ctx): Anyone,
    PathOf(sku_id): PathOf<SkuId>,
    Valid(body): Valid<Quantity>,
) -> Answer {
    Ok(shown(&carts.put(&ctx, LineInput { sku_id, quantity: body.quantity }).await?))
}

/// Takes a SKU out; harmless when it is not in.
#[utoipa::path(
    tag = "cart",
    params(
        ("sku_id" = SkuId, Path),
        ("X-Cart-Token" = Option<String>, Header, description = "A guest's token, from an earlier answer")
    ),
    responses((status = 200, body = CartView, headers(("X-Cart-Token" = Option<String>, description = "A guest's token"))))
)]
#[delete("/api/v1/cart/items/{sku_id}")]
async fn remove_item(carts: Data<dyn Carts>, Anyone(ctx): Anyone, PathOf(sku_id): PathOf<SkuId>) -> Answer {
    Ok(shown(&carts.remove(&ctx, sku_id).await?))
}

/// Adds a guest's cart to the member's.
///
/// Quantities are added up to the most a line may have. Lines that find no room stay with the guest. Again is harmless. The
/// token is the body's, or that of `X-Cart-Token` when there is no body.
#[utoipa::path(
    tag = "cart",
    params(("X-Cart-Token" = Option<String>, Header, description = "The guest's token")),
    request_body = Option<MergeCart>,
    responses((status = 200, body = CartView))
)]
#[post("/api/v1/cart/merge")]
async fn merge_cart(
    carts: Data<dyn Carts>,
    Member(ctx): Member,
    Optional(body): Optional<MergeCart>,
) -> Answer {
    Ok(shown(&carts.merge(&ctx, body).await?))
}
