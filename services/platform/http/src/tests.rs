//! A small shop of its own, asked over the whole stack.

mod document;
mod entrance;
mod hostile;
mod identity;
mod input;
mod passage;
mod serving;
mod traces;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::MessageBody,
    dev::ServiceResponse,
    get,
    http::Method,
    post,
    test::{TestRequest, init_service, try_call_service},
};
use async_trait::async_trait;
use contracts::{Ctx, Permission, SessionId, Transport, UserId, account::AccountsClient};
use garde::Validate;
use kernel::{Failure, FakeClock, Ids, Result, Shard, SystemClock, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::*;

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const SEED: [u8; 32] = [3; 32];

#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Basket {
    #[garde(length(min = 1, max = 3), dive)]
    pub(crate) items: Vec<Item>,
    #[garde(inner(length(chars, max = 5)))]
    pub(crate) remark: Option<String>,
    #[garde(skip)]
    pub(crate) wrapping: Option<Wrapping>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wrapping {
    Paper,
    Box,
}

#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    #[garde(skip)]
    pub(crate) sku: String,
    #[garde(range(min = 1, max = 999))]
    pub(crate) quantity: u32,
}

#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct Filter {
    #[garde(range(min = 1, max = 100))]
    pub(crate) limit: Option<u32>,
    #[garde(length(chars, max = 3))]
    pub(crate) q: Option<String>,
}

/// Takes a basket.
#[utoipa::path(tag = "orders", request_body = Basket, params(("Idempotency-Key" = String, Header)), responses((status = 201, body = Basket)))]
#[post("/api/v1/baskets")]
async fn put_basket(Anyone(_ctx): Anyone, Valid(body): Valid<Basket>) -> Answer {
    Ok(created("/api/v1/baskets/1", body))
}

/// Says who calls.
#[utoipa::path(tag = "accounts", responses((status = 200, body = String)))]
#[get("/api/v1/me")]
async fn me(Member(ctx): Member) -> Answer {
    Ok(ok(ctx.user()?.to_string()))
}

/// For staff.
#[utoipa::path(tag = "admin", responses((status = 204)))]
#[get("/api/v1/admin/things")]
async fn things(Staff(ctx): Staff) -> Answer {
    ctx.require(Permission::CatalogRead)?;
    Ok(no_content())
}

/// A product.
#[utoipa::path(tag = "catalog", responses((status = 200, body = String)))]
#[get("/api/v1/products/{id}")]
async fn product(req: HttpRequest, PathOf(id): PathOf<UserId>, Params(filter): Params<Filter>) -> Answer {
    Ok(cached(&req, &format!("{id} {:?} {:?}", filter.limit, filter.q), 60))
}

/// The context of a call, as the handler sees it.
#[utoipa::path(tag = "catalog", responses((status = 200, body = String)))]
#[get("/api/v1/ctx")]
async fn context(req: HttpRequest, Anyone(ctx): Anyone) -> Answer {
    let forged = req.headers().contains_key(ASSERTION_HEADER);
    Ok(ok(format!("{} {:?} {:?} {forged}", ctx.request_id, ctx.idempotency_key, ctx.cart_token)))
}

/// Fails in the way named.
#[utoipa::path(tag = "admin", responses((status = 200)))]
#[get("/api/v1/fail/{how}")]
async fn fail(PathOf(how): PathOf<String>) -> Answer {
    match how.as_str() {
        "internal" => Err(Failure::internal("password=hunter2").into()),
        "panic" => panic!("oh no"),
        "hang" => std::future::pending().await,
        "foreign" => Ok(HttpResponse::from_error(actix_web::error::ErrorConflict("said by actix"))),
        _ => Err(Failure::not_found("way to fail").into()),
    }
}

pub(crate) fn routes() -> Routes {
    Arc::new(|cfg| {
        cfg.service(put_basket).service(me).service(things).service(product).service(context).service(fail);
    })
}

/// The account service as far as this crate knows it.
pub(crate) struct Sessions(pub(crate) AtomicBool);

#[async_trait]
impl Transport for Sessions {
    async fn call(&self, _: &Ctx, domain: &'static str, method: &'static str, _: Vec<u8>) -> Result<Vec<u8>> {
        assert_eq!((domain, method), ("account", "session_open"));
        Ok(self.0.load(Ordering::SeqCst).to_string().into_bytes())
    }
}

/// A server to ask, with what moves under it.
pub(crate) struct Shop {
    pub(crate) server: Server,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) signer: TokenSigner,
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self::with(|config| config.rate_limit.enabled = false)
    }

    pub(crate) fn with(change: impl FnOnce(&mut HttpServerConfig)) -> Self {
        let mut config = HttpServerConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            workers: 1,
            ..HttpServerConfig::default()
        };
        change(&mut config);
        let clock = Arc::new(FakeClock::new(NOW));
        let sessions = Arc::new(Sessions(AtomicBool::new(true)));
        let signer = TokenSigner::new(&SEED).unwrap();
        let accounts = Arc::new(AccountsClient(sessions.clone()));
        let auth = Auth::new(&[signer.verifying_key()], accounts, clock.clone());
        let server = Server::new(config, clock.clone()).routes([routes()]).auth(auth);
        Self { server, clock, sessions, signer }
    }

    pub(crate) fn user() -> UserId {
        Ids::new(Arc::new(FakeClock::new(NOW))).mint(Shard::new(7))
    }

    pub(crate) fn token(&self, user: UserId, permissions: impl IntoIterator<Item = Permission>) -> String {
        let session: SessionId = Ids::new(Arc::new(SystemClock)).mint(Shard::new(7));
        let permissions = BTreeSet::from_iter(permissions);
        let claims = AccessClaims::new(user, session, permissions, vec![], NOW, Duration::from_secs(900));
        self.signer.issue(&claims).unwrap()
    }

    /// One answer: status, headers by lower-case name, body.
    pub(crate) async fn ask(&self, request: TestRequest) -> Reply {
        let app = init_service(self.server.app().unwrap()).await;
        let peer = request.peer_addr(([10, 0, 0, 1], 4_000).into());
        match try_call_service(&app, peer.to_request()).await {
            Ok(response) => Reply::of(response).await,
            // What actix itself does with an error that no handler caught.
            Err(error) => {
                let (head, body) = error.error_response().into_parts();
                Reply::new(head.status().as_u16(), head.headers(), body.try_into_bytes().unwrap())
            }
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(TestRequest::get().uri(path)).await
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: std::collections::HashMap<String, String>,
    pub(crate) body: actix_web::web::Bytes,
}

impl Reply {
    async fn of(response: ServiceResponse<actix_web::body::BoxBody>) -> Self {
        let (_, response) = response.into_parts();
        let (head, body) = response.into_parts();
        let bytes = actix_web::body::to_bytes(body).await.unwrap();
        Self::new(head.status().as_u16(), head.headers(), bytes)
    }

    fn new(status: u16, headers: &actix_web::http::header::HeaderMap, body: actix_web::web::Bytes) -> Self {
        let headers =
            headers.iter().map(|(n, v)| (n.as_str().to_owned(), v.to_str().unwrap().to_owned())).collect();
        Self { status, headers, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    /// Asserts that this is a problem with this status, and gives its code.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        problem["code"].as_str().unwrap().to_owned()
    }

    /// The pointers of the fields that are wrong, and what is said of them.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.json()["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| (text(&e["pointer"]), text(&e["detail"])))
            .collect()
    }
}

pub(crate) fn request(method: Method, path: &str) -> TestRequest {
    TestRequest::default().method(method).uri(path)
}
