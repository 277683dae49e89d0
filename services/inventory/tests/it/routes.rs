//! The routes of stock, for staff who name a SKU that the catalog has, and one that it has not.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{
    http::Method,
    test::{TestRequest, call_service, init_service, read_body},
};
use async_trait::async_trait;
use contracts::{
    Ctx, Permission, Transport,
    account::AccountsClient,
    catalog::{CatalogClient, SkuId, SkuInfo, SkuRecord},
    inventory::{Inventory, SetSafetyStock},
};
use kernel::{Id, Result, Shard};
use platform_http::{AccessClaims, Auth, HttpServerConfig, Server, TokenSigner};
use serde_json::{Value, json};

use crate::fixture::*;

/// A catalog with these SKUs, and accounts whose sessions are open.
#[derive(Default)]
struct Others {
    skus: Vec<SkuId>,
    /// How many SKUs the catalog was asked for, a question.
    asked: Mutex<Vec<usize>>,
}

#[async_trait]
impl Transport for Others {
    async fn call(&self, _: &Ctx, of: &'static str, method: &'static str, body: Vec<u8>) -> Result<Vec<u8>> {
        if of == "account" {
            return Ok(b"true".to_vec());
        }
        assert_eq!((of, method), ("catalog", "skus"), "nothing else is asked");
        let ids: Vec<SkuId> = serde_json::from_slice(&body).unwrap();
        self.asked.lock().unwrap().push(ids.len());
        let found: Vec<SkuInfo> = ids.into_iter().filter(|id| self.skus.contains(id)).map(info).collect();
        Ok(serde_json::to_vec(&found).unwrap())
    }
}

/// A SKU that is not sold any more.
fn info(id: SkuId) -> SkuInfo {
    SkuInfo {
        sku: SkuRecord { id, code: "LAMP".to_owned(), options: Vec::new(), barcode: None, weight_grams: 100 },
        product_id: Id::derive(Shard::new(1), &[b"lamp"]),
        slug: "lamp".to_owned(),
        title: "Lamp".to_owned(),
        image: None,
        tax_category: String::new(),
        sold: false,
    }
}

/// The routes, asked by staff.
struct Desk {
    f: Fixture,
    others: Arc<Others>,
    server: Server,
    signer: TokenSigner,
}

impl Desk {
    async fn new(skus: &[SkuId]) -> Self {
        let f = fixture().await;
        let others = Arc::new(Others { skus: skus.to_vec(), asked: Mutex::default() });
        let signer = TokenSigner::new(&[3; 32]).unwrap();
        let accounts = Arc::new(AccountsClient(others.clone()));
        let auth = Auth::new(&[signer.verifying_key()], accounts, f.clock.clone());
        let module = inventory::module(f.service.clone(), Arc::new(CatalogClient(others.clone())));
        let mut config = HttpServerConfig::default();
        config.rate_limit.enabled = false;
        let server = Server::new(config, f.clock.clone()).routes(module.into_routes()).auth(auth);
        Self { f, others, server, signer }
    }

    /// The status, and the pointers of what is wrong.
    async fn ask(
        &self,
        permissions: &[Permission],
        method: Method,
        path: &str,
        body: &Value,
    ) -> (u16, Vec<String>) {
        let permissions: BTreeSet<Permission> = permissions.iter().copied().collect();
        let (user, session) = (Id::derive(Shard::new(3), &[b"ada"]), Id::derive(Shard::new(3), &[b"ada"]));
        let now = self.f.db.now();
        let claims = AccessClaims::new(user, session, permissions, Vec::new(), now, Duration::from_secs(900));
        let token = self.signer.issue(&claims).unwrap();
        let request = TestRequest::default()
            .method(method)
            .uri(path)
            .peer_addr(([10, 0, 0, 1], 4_000).into())
            .insert_header(("Authorization", format!("Bearer {token}")))
            .insert_header(("Idempotency-Key", "k1"))
            .set_json(body)
            .to_request();
        let app = init_service(self.server.app().unwrap()).await;
        let response = call_service(&app, request).await;
        let status = response.status().as_u16();
        let problem: Value = serde_json::from_slice(&read_body(response).await).unwrap_or_default();
        let pointers = problem["errors"].as_array().into_iter().flatten();
        (status, pointers.filter_map(|error| Some(error["pointer"].as_str()?.to_owned())).collect())
    }

    fn asked(&self) -> Vec<usize> {
        self.others.asked.lock().unwrap().clone()
    }
}

const WRITE: &[Permission] = &[Permission::InventoryWrite];

#[actix_web::test]
async fn stock_is_adjusted_only_of_what_the_catalog_has() {
    let lamp = sku("lamp");
    let desk = Desk::new(&[lamp]).await;
    let adjust = |sku: SkuId| json!({"sku_id": sku, "delta": 3, "reason": "inbound"});
    let path = "/api/v1/admin/stock/adjustments";
    let unknown = sku("unknown");
    let refused = desk.ask(WRITE, Method::POST, path, &adjust(unknown)).await;
    assert_eq!(refused, (422, vec!["/sku_id".to_owned()]));
    assert_eq!(desk.f.available(unknown).await, 0);
    assert_eq!(desk.ask(&[Permission::InventoryRead], Method::POST, path, &adjust(unknown)).await.0, 403);
    assert_eq!(desk.asked(), [1, 1], "once more before it is refused; who may not learns nothing");

    for _ in 0..2 {
        assert_eq!(desk.ask(WRITE, Method::POST, path, &adjust(lamp)).await.0, 201, "retired, but known");
    }
    assert_eq!(desk.f.available(lamp).await, 3, "once a key");
    assert_eq!(desk.asked(), [1; 4]);
}

#[actix_web::test]
async fn safety_stock_is_set_only_of_what_the_catalog_has() {
    let lamp = sku("lamp");
    let desk = Desk::new(&[lamp]).await;
    let path = |sku: SkuId| format!("/api/v1/admin/stock/{sku}/safety-stock");
    let level = json!({"safety_stock": 2});
    assert_eq!(desk.ask(WRITE, Method::PUT, &path(sku("unknown")), &level).await.0, 404);
    assert_eq!(desk.ask(&[Permission::InventoryRead], Method::PUT, &path(lamp), &level).await.0, 403);
    assert_eq!(desk.ask(WRITE, Method::PUT, &path(lamp), &level).await.0, 204);
    desk.f.stock(lamp, 1).await;
    let staff = desk.f.staff(&[Permission::InventoryRead]);
    assert_eq!(desk.f.service.stock(&staff, lamp).await.unwrap()[0].safety_stock, 2);
}

/// Meridian itself names what the catalog has just made.
#[actix_web::test]
async fn an_import_is_not_asked_about_its_skus() {
    let desk = Desk::new(&[]).await;
    let (lamp, ctx) = (sku("lamp"), desk.f.ctx());
    desk.f.stock(lamp, 4).await;
    let level = SetSafetyStock { sku_id: lamp, safety_stock: 1 };
    desk.f.service.set_safety_stock(&ctx, level).await.unwrap();
    assert_eq!(desk.f.available(lamp).await, 4);
    assert!(desk.asked().is_empty());
}
