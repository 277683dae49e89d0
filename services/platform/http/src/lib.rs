//! actix glue: what stands between a socket and a service.
//!
//! A domain writes thin handlers (`http.rs`) from the extractors and answers here and hands them over as [`Routes`];
//! [`Server`] puts them behind one gate (request id, limits, deadline, metrics, security headers), adds health, metrics
//! and the OpenAPI document, and drains on shutdown. Errors leave as `application/problem+json` and in no other form.
//!
//! ```ignore
//! #[utoipa::path(tag = "orders", request_body = PlaceOrder, responses((status = 201, body = OrderView)))]
//! #[post("/api/v1/orders")]
//! async fn place_order(orders: Data<dyn Orders>, Member(ctx): Member, Valid(body): Valid<PlaceOrder>) -> Answer {
//!     let order = orders.place(&ctx, body).await?;
//!     Ok(created(&format!("/api/v1/orders/{}", order.id), &order))
//! }
//! ```

use std::sync::Arc;

mod answer;
mod assertion;
mod auth;
mod body;
mod caller;
mod config;
mod consistency;
mod docs;
mod entrance;
mod error;
mod error_page;
mod fallback;
mod gate;
mod headers;
mod health;
mod hop;
mod input;
mod internal;
mod limits;
mod meters;
mod openapi;
mod optional;
mod owners;
mod path;
mod routes;
mod server;
mod shared;
mod strict;
#[cfg(test)]
mod tests;
mod traces;
mod whole;

pub use answer::{accepted, cached, created, no_content, ok};
pub use assertion::{ASSERTION_HEADER, ASSERTION_REFUSED, AssertionKey};
pub use auth::{AccessClaims, Auth, ISSUER, TokenSigner};
pub use body::read as read_body;
pub use caller::{ACCESS_COOKIE, Anyone, CART_COOKIE, Member, Staff, anonymous, identified};
pub use config::{FollowTraces, HttpServerConfig, RateLimitConfig};
pub use entrance::{Arrival, Door, Entered, Entrance, Inward, Personal};
pub use error::HttpError;
pub use error_page::{Asked, ErrorPage};
pub use fallback::NotFoundPage;
pub use health::Probe;
pub use hop::{HOME_HEADER, HOP_HEADER, Hop, UNSERVED_HEADER, travels};
pub use input::{Params, PathOf, Upload, Valid};
pub use openapi::openapi;
pub use optional::Optional;
pub use server::{Bound, Server};
pub use whole::{Whole, WholeWanted};

/// Registers a domain's handlers and the data they take; run once a worker.
pub type Routes = Arc<dyn Fn(&mut utoipa_actix_web::service_config::ServiceConfig<'_>) + Send + Sync>;

/// What a handler gives back.
pub type Answer<T = actix_web::HttpResponse> = Result<T, HttpError>;
