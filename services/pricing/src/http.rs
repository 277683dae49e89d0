//! Routes. Quotes are asked for through `order`.

use std::sync::Arc;

use actix_web::{get, put, web::Data};
use contracts::{
    catalog::SkuId,
    pricing::{PriceRecord, Pricing, SetPrice},
};
use garde::Validate;
use kernel::Page;
use platform_http::{Answer, PathOf, Routes, Staff, Valid, no_content, ok};
use serde::Deserialize;
use utoipa::ToSchema;

/// The routes of prices; all of them are for staff.
pub(crate) fn routes(pricing: Arc<dyn Pricing>) -> Routes {
    Arc::new(move |cfg| {
        cfg.app_data(Data::from(Arc::clone(&pricing))).service(set_prices).service(get_history);
    })
}

/// Prices to set.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Prices {
    /// 1 to 1,000.
    #[garde(length(min = 1, max = 1000), dive)]
    #[schema(min_items = 1, max_items = 1000)]
    prices: Vec<SetPrice>,
}

/// Sets prices.
///
/// All of them or none. The same price set again changes nothing, so the request may be repeated.
#[utoipa::path(tag = "prices", request_body = Prices, responses((status = 204)))]
#[put("/api/v1/admin/prices")]
async fn set_prices(pricing: Data<dyn Pricing>, Staff(ctx): Staff, Valid(body): Valid<Prices>) -> Answer {
    pricing.set_prices(&ctx, body.prices).await?;
    Ok(no_content())
}

/// Every price a SKU has, had and will have, newest first.
#[utoipa::path(tag = "prices", params(("sku_id" = SkuId, Path)), responses((status = 200, body = Page<PriceRecord>)))]
#[get("/api/v1/admin/prices/{sku_id}")]
async fn get_history(pricing: Data<dyn Pricing>, Staff(ctx): Staff, PathOf(sku_id): PathOf<SkuId>) -> Answer {
    Ok(ok(Page { items: pricing.history(&ctx, sku_id).await?, next_cursor: None }))
}
