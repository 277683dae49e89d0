//! A transport that plays all services.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use contracts::{
    Ctx, Permission, Transport,
    account::TokenPair,
    cart::CartView,
    catalog::CategoryNode,
    inventory::Availability,
    order::OrderState,
    payment::IntentState,
    pricing::{LineInput, PriceKind, PriceView},
    search::Suggestions,
};
use kernel::{Clock, Failure, FakeClock, Page, Result};
use platform_http::{AccessClaims, TokenSigner};
use serde::Serialize;
use serde_json::Value;

use crate::samples;

pub(super) const LIFE: std::time::Duration = std::time::Duration::from_secs(900);

/// All services at once: answers samples, and remembers who asked for what.
pub(super) struct Services {
    pub(super) clock: Arc<FakeClock>,
    pub(super) signer: TokenSigner,
    pub(super) calls: Mutex<Vec<(String, Ctx, Value)>>,
    /// What `order.place` answers instead of an order.
    pub(super) refuse_order: Mutex<Option<kernel::Code>>,
    /// What those who log in may do as staff.
    pub(super) permissions: Mutex<BTreeSet<Permission>>,
    /// What `region.begin` answers instead of an operation.
    pub(super) refuse_operation: Mutex<Option<kernel::Code>>,
}

impl Services {
    pub(super) fn access_token(&self) -> String {
        let claims = AccessClaims::new(
            samples::id(1),
            samples::id(2),
            self.permissions(),
            vec![],
            self.clock.now(),
            LIFE,
        );
        self.signer.issue(&claims).unwrap()
    }

    fn pair(&self, refresh_token: &str) -> TokenPair {
        TokenPair {
            access_token: self.access_token(),
            token_type: "Bearer".to_owned(),
            expires_in: 900,
            refresh_token: refresh_token.to_owned(),
        }
    }

    pub(super) fn calls(&self, what: &str) -> Vec<(Ctx, Value)> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|(name, ..)| name == what)
            .map(|(_, ctx, body)| (ctx.clone(), body.clone()))
            .collect()
    }

    fn account(&self, method: &str, body: &Value) -> Result<Vec<u8>> {
        match method {
            "session_open" => json(true),
            "log_in" if body["password"] == "correct horse" => json(self.pair("refresh-1")),
            "log_in" => Err(contracts::account::code::BAD_CREDENTIALS.into()),
            "register" | "me" | "update_me" => json(samples::account()),
            "refresh" if body["refresh_token"] == "refresh-1" => json(self.pair("refresh-2")),
            "refresh" => Err(contracts::account::code::TOKEN_INVALID.into()),
            "addresses" => json([samples::address(1, true), samples::address(2, false)]),
            "address" | "add_address" | "replace_address" => json(samples::address(1, true)),
            _ => json(()),
        }
    }

    fn permissions(&self) -> BTreeSet<Permission> {
        self.permissions.lock().unwrap().clone()
    }

    fn regions(&self, method: &str, ctx: &Ctx) -> Result<Vec<u8>> {
        match method {
            "regions" => ctx.require(Permission::OperationsRead).and_then(|()| json(samples::regions())),
            "last" => json(Some(samples::operation())),
            _ => {
                ctx.require(Permission::OperationsWrite)?;
                self.refuse_operation
                    .lock()
                    .unwrap()
                    .map_or_else(|| json(samples::operation()), |code| Err(code.into()))
            }
        }
    }

    fn goods(&self, call: &str) -> Result<Vec<u8>> {
        let product = samples::product();
        let skus = product.skus.iter().map(|sku| sku.id);
        match call {
            "catalog.categories" => json(Vec::<CategoryNode>::new()),
            "catalog.product" => json(product),
            "pricing.prices" => json(
                skus.map(|sku_id| PriceView {
                    sku_id,
                    price: samples::usd(8_900),
                    compare_at: None,
                    lowest_30_days: None,
                    kind: PriceKind::List,
                })
                .collect::<Vec<_>>(),
            ),
            "inventory.availability" => {
                json(skus.map(|sku_id| Availability { sku_id, available: 5 }).collect::<Vec<_>>())
            }
            "search.search" => json(samples::results()),
            _ => json(Suggestions { items: vec!["linen <shirt>".to_owned()] }),
        }
    }

    fn buying(&self, call: &str, ctx: &Ctx) -> Result<Vec<u8>> {
        match call {
            "cart.checkout_lines" => json([LineInput { sku_id: samples::id(21), quantity: 2 }]),
            "cart.cart" | "cart.put" | "cart.remove" | "cart.merge" => {
                let token = ctx.user().is_err().then(|| "guest-token".to_owned());
                json(CartView { token, ..samples::cart() })
            }
            "order.quote" => json(samples::quote()),
            "order.place" => match *self.refuse_order.lock().unwrap() {
                Some(code) => Err(code.into()),
                None => json(samples::order(OrderState::PendingPayment)),
            },
            "order.order" | "order.cancel" => json(samples::order(OrderState::PendingPayment)),
            "order.orders" => json(Page { items: vec![samples::order(OrderState::Paid)], next_cursor: None }),
            "order.history" => json(samples::history(OrderState::PendingPayment)),
            "order.pay" | "payment.payment" => json(samples::payment(IntentState::Pending)),
            _ => json(()),
        }
    }
}

fn json(value: impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(&value).map_err(Failure::internal)
}

#[async_trait]
impl Transport for Services {
    async fn call(
        &self,
        ctx: &Ctx,
        domain: &'static str,
        method: &'static str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let call = format!("{domain}.{method}");
        let body: Value = serde_json::from_slice(&body).unwrap();
        self.calls.lock().unwrap().push((call.clone(), ctx.clone(), body.clone()));
        match domain {
            "account" => self.account(method, &body),
            "catalog" | "pricing" | "inventory" | "search" => self.goods(&call),
            "region" => self.regions(method, ctx),
            _ => self.buying(&call, ctx),
        }
    }
}
