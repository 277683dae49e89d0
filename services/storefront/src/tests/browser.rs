//! A browser, and the pages behind the real server.

use std::{
    rc::Rc,
    sync::{Arc, Mutex},
};

use actix_web::{
    cookie::Cookie,
    dev::ServiceResponse,
    http::header::{CONTENT_SECURITY_POLICY, LOCATION},
    test,
};
use contracts::{Contracts, Transport};
use futures::future::LocalBoxFuture;
use kernel::FakeClock;
use platform_http::{Auth, HttpServerConfig, Server, TokenSigner};
use platform_runtime::SecretKey;

use super::services::Services;
use crate::{StorefrontConfig, StorefrontDeps, routes, samples};

pub(super) type App = Rc<dyn Fn(test::TestRequest) -> LocalBoxFuture<'static, ServiceResponse>>;

/// A browser: keeps cookies.
pub(super) struct Browser {
    pub(super) app: App,
    pub(super) services: Arc<Services>,
    pub(super) cookies: Vec<Cookie<'static>>,
}

/// An answer that was read.
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) location: String,
    pub(super) body: String,
    pub(super) cookies: Vec<Cookie<'static>>,
    pub(super) policy: String,
}

pub(super) async fn browser() -> Browser {
    let clock = Arc::new(FakeClock::new(samples::at(0)));
    let services = Arc::new(Services {
        clock: clock.clone(),
        signer: TokenSigner::new(&[7; 32]).unwrap(),
        calls: Mutex::default(),
        refuse_order: Mutex::default(),
        permissions: Mutex::default(),
        refuse_operation: Mutex::default(),
    });
    let contracts = Contracts::over(&(services.clone() as Arc<dyn Transport>));
    let auth = Auth::new(&[services.signer.verifying_key()], contracts.accounts.clone(), clock.clone());
    let routes = routes(StorefrontDeps {
        contracts,
        clock: clock.clone(),
        form_key: SecretKey::from_bytes([9; 32]),
        config: StorefrontConfig::default(),
    })
    .unwrap();
    let server = Server::new(HttpServerConfig { compress: false, ..HttpServerConfig::default() }, clock)
        .routes([routes])
        .auth(auth);
    let app = Rc::new(test::init_service(server.app().unwrap()).await);
    let app: App = Rc::new(move |request| {
        let app = app.clone();
        Box::pin(async move { test::call_service(&*app, request.to_request()).await })
    });
    Browser { app, services, cookies: Vec::new() }
}

impl Browser {
    pub(super) async fn send(&mut self, request: test::TestRequest) -> Seen {
        let request = self.cookies.iter().fold(request, |request, cookie| request.cookie(cookie.clone()));
        let response = (self.app)(request).await;
        let header = |name| response.headers().get(name).map_or("", |v| v.to_str().unwrap()).to_owned();
        let (location, policy) = (header(LOCATION.as_str()), header(CONTENT_SECURITY_POLICY.as_str()));
        let cookies: Vec<_> = response.response().cookies().map(|cookie| cookie.into_owned()).collect();
        for cookie in &cookies {
            self.cookies.retain(|kept| kept.name() != cookie.name());
            if !cookie.value().is_empty() {
                self.cookies.push(cookie.clone());
            }
        }
        let status = response.status().as_u16();
        let body = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
        Seen { status, location, body, cookies, policy }
    }

    pub(super) async fn get(&mut self, path: &str) -> Seen {
        self.send(test::TestRequest::get().uri(path)).await
    }

    /// Sends a form as our own page would.
    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let request = test::TestRequest::post().uri(path).insert_header(("sec-fetch-site", "same-origin"));
        self.send(request.set_form(fields)).await
    }

    pub(super) async fn log_in(&mut self) {
        let form = self.get("/login").await;
        let csrf = form.field("csrf");
        let fields = [("csrf", csrf.as_str()), ("email", "ada@example.com"), ("password", "correct horse")];
        assert_eq!(self.post("/login", &fields).await.status, 303);
    }

    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|cookie| cookie.name() == name).map(Cookie::value)
    }
}

impl Seen {
    /// The value of the first hidden field of this name.
    pub(super) fn field(&self, name: &str) -> String {
        let before = format!("name=\"{name}\" value=\"");
        let rest =
            self.body.split(&before).nth(1).unwrap_or_else(|| panic!("no field {name} in {}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }
}
