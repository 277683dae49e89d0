use actix_web::{http::Method, test::TestRequest};

use super::*;

#[actix_web::test]
async fn unknown_paths_are_404_and_wrong_methods_405() {
    let shop = Shop::new();
    for path in ["/api/v1/nothing", "/api", "/nothing", "/internal/order/place/x", "/api/v1/me/"] {
        assert_eq!(shop.get(path).await.problem(404), "request.not_found", "{path}");
    }
    for (method, path, allow) in [
        (Method::DELETE, "/api/v1/baskets", "POST"),
        (Method::GET, "/api/v1/baskets", "POST"),
        (Method::TRACE, "/api/v1/products/x", "GET, HEAD"),
        (Method::POST, "/healthz", "GET, HEAD"),
        (Method::PUT, "/api/openapi.json", "GET, HEAD"),
    ] {
        let reply = shop.ask(request(method, path)).await;
        assert_eq!(reply.problem(405), "request.method_not_allowed", "{path}");
        assert_eq!(reply.headers["allow"], allow);
    }
}

#[actix_web::test]
async fn the_storefront_may_show_its_own_page_outside_the_api() {
    let mut shop = Shop::new();
    let page: Routes = Arc::new(|cfg| {
        cfg.app_data(NotFoundPage::new(|req| {
            Box::pin(async move {
                HttpResponse::NotFound().content_type("text/html").body(format!("no {}", req.path()))
            })
        }));
    });
    shop.server = shop.server.routes([page]);
    let reply = shop.get("/nothing").await;
    assert_eq!((reply.status, reply.text().as_str()), (404, "no /nothing"));
    assert_eq!(shop.get("/api/v1/nothing").await.problem(404), "request.not_found");
}

#[actix_web::test]
async fn causes_stay_inside() {
    let reply = Shop::new().get("/api/v1/fail/internal").await;
    assert_eq!(reply.problem(500), "server.internal");
    assert!(!reply.text().contains("hunter2"));
    assert_eq!(reply.headers["x-request-id"].len(), 32);
}

#[actix_web::test]
async fn a_panic_is_500_and_the_next_request_is_served() {
    let shop = Shop::new();
    let reply = shop.get("/api/v1/fail/panic").await;
    assert_eq!(reply.problem(500), "server.internal");
    assert!(!reply.text().contains("oh no"));
    assert_eq!(reply.headers["x-request-id"].len(), 32);
    assert_eq!(shop.get("/api/v1/ctx").await.status, 200);
}

#[actix_web::test]
async fn a_handler_that_hangs_is_504() {
    let shop = Shop::with(|config| config.deadline = Duration::from_millis(20));
    let reply = shop.get("/api/v1/fail/hang").await;
    assert_eq!(reply.problem(504), "server.timeout");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
}

#[actix_web::test]
async fn errors_of_actix_itself_leave_in_our_form() {
    let reply = Shop::new().get("/api/v1/fail/foreign").await;
    assert_eq!(reply.problem(409), "request.conflict");
    assert_eq!(reply.json()["detail"], "said by actix");
}

#[actix_web::test]
async fn what_is_over_the_bound_is_shed_but_health_is_not() {
    let shop = Shop::with(|config| config.max_in_flight = 0);
    let reply = shop.get("/api/v1/ctx").await;
    assert_eq!(reply.problem(503), "server.unavailable");
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(shop.get("/healthz").await.status, 200);
}

#[actix_web::test]
async fn modules_may_share_a_prefix_and_pages_need_no_document() {
    mod other {
        use actix_web::{HttpRequest, get, put};

        use crate::{Answer, PathOf, ok};

        /// Sets something of a product.
        #[utoipa::path(tag = "stock", responses((status = 200)))]
        #[put("/api/v1/products/{sku}")]
        pub(super) async fn set(req: HttpRequest, PathOf(sku): PathOf<String>) -> Answer {
            Ok(ok((sku, req.match_pattern())))
        }

        #[get("/shop/{slug}")]
        pub(super) async fn page(req: HttpRequest) -> Answer {
            Ok(ok(req.match_pattern()))
        }
    }
    let mut shop = Shop::new();
    let routes: Routes = Arc::new(|cfg| {
        cfg.service(other::set).map(|cfg| cfg.service(other::page));
    });
    shop.server = shop.server.routes([routes]);
    let reply = shop.ask(request(Method::PUT, "/api/v1/products/7")).await;
    assert_eq!(reply.json(), serde_json::json!(["7", "/api/v1/products/{sku}"]));
    assert_eq!(shop.get(&format!("/api/v1/products/{}", Shop::user())).await.status, 200);
    let reply = shop.ask(request(Method::DELETE, "/api/v1/products/7")).await;
    assert_eq!(reply.problem(405), "request.method_not_allowed");
    assert_eq!(reply.headers["allow"], "GET, PUT, HEAD");
    assert_eq!(shop.get("/shop/lamp").await.json(), "/shop/{slug}");
}

/// One application for several requests: the buckets live in it.
#[actix_web::test]
async fn callers_are_limited_by_address_token_and_user() {
    let shop = Shop::with(|config| {
        config.rate_limit.per_address = 2;
        config.rate_limit.per_key = 2;
        config.rate_limit.per_user = 3;
    });
    let app = init_service(shop.server.app().unwrap()).await;
    let ask = async |request: TestRequest| {
        let response =
            try_call_service(&app, request.peer_addr(([10, 0, 0, 1], 1).into()).to_request()).await.unwrap();
        Reply::of(response).await
    };
    let plain = || TestRequest::get().uri("/api/v1/ctx");
    assert_eq!(ask(plain()).await.status, 200);
    assert_eq!(ask(plain()).await.status, 200);
    let refused = ask(plain()).await;
    assert_eq!(refused.problem(429), "request.rate_limited");
    assert!(refused.headers["retry-after"].parse::<u32>().unwrap() >= 1);
    assert_eq!(ask(TestRequest::get().uri("/readyz")).await.status, 200);

    let user = Shop::user();
    let with = |token: &str| plain().insert_header(("authorization", format!("Bearer {token}")));
    let (first, second) = (shop.token(user, []), shop.token(user, []));
    assert_eq!(ask(with(&first)).await.status, 200);
    assert_eq!(ask(with(&first)).await.status, 200);
    assert_eq!(ask(with(&first)).await.problem(429), "request.rate_limited", "by token");
    assert_eq!(ask(with(&second)).await.status, 200);
    assert_eq!(ask(with(&second)).await.problem(429), "request.rate_limited", "by user");
    assert_eq!(
        ask(with("guess")).await.problem(429),
        "request.rate_limited",
        "guessing counts against the address"
    );
}

#[actix_web::test]
async fn what_is_no_token_of_ours_counts_against_the_address_even_where_nobody_looks_at_it() {
    let shop = Shop::with(|config| config.rate_limit.per_address = 2);
    let app = init_service(shop.server.app().unwrap()).await;
    let ask = async |token: &str| {
        let request = TestRequest::get()
            .uri("/api/openapi.json")
            .insert_header(("authorization", format!("Bearer {token}")))
            .peer_addr(([10, 0, 0, 1], 1).into());
        Reply::of(try_call_service(&app, request.to_request()).await.unwrap()).await.status
    };
    let foreign = TokenSigner::new(&[9; 32]).unwrap();
    let session: SessionId = Ids::new(Arc::new(SystemClock)).mint(Shard::new(7));
    let lifetime = Duration::from_secs(900);
    let claims = AccessClaims::new(Shop::user(), session, BTreeSet::new(), vec![], NOW, lifetime);
    let statuses = [ask("guess").await, ask("another").await, ask(&foreign.issue(&claims).unwrap()).await];
    assert_eq!(statuses, [200, 200, 429]);
    let ours = shop.token(Shop::user(), []);
    assert_eq!(ask(&ours).await, 200, "who has a token of ours is no part of the crowd at an address");
}

#[actix_web::test]
async fn a_request_with_a_bad_token_is_counted_once() {
    let shop = Shop::with(|config| config.rate_limit.per_address = 2);
    let app = init_service(shop.server.app().unwrap()).await;
    let ask = async || {
        let request = TestRequest::get()
            .uri("/api/v1/ctx")
            .insert_header(("authorization", "Bearer guess"))
            .peer_addr(([10, 0, 0, 1], 1).into());
        Reply::of(try_call_service(&app, request.to_request()).await.unwrap()).await.status
    };
    assert_eq!([ask().await, ask().await, ask().await], [401, 401, 429]);
}

#[actix_web::test]
async fn every_answer_carries_the_headers_that_keep_browsers_safe() {
    let shop = Shop::new();
    for path in ["/api/v1/ctx", "/api/v1/nothing", "/healthz"] {
        let headers = shop.get(path).await.headers;
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["referrer-policy"], "same-origin");
        assert!(headers["content-security-policy"].contains("frame-ancestors 'none'"));
    }
    assert_eq!(shop.get("/api/v1/ctx").await.headers["cache-control"], "no-store");
}

#[actix_web::test]
async fn answers_are_compressed_for_who_asks() {
    let request = TestRequest::get().uri("/api/openapi.json").insert_header(("accept-encoding", "br"));
    let reply = Shop::new().ask(request).await;
    assert_eq!(reply.headers["content-encoding"], "br");
    let etag = &reply.headers["etag"];
    assert!(etag.starts_with("W/"), "{etag}");
    let again = TestRequest::get().uri("/api/openapi.json").insert_header(("if-none-match", etag.as_str()));
    assert_eq!(Shop::new().ask(again).await.status, 304);
}

#[actix_web::test]
async fn a_trusted_proxy_names_the_caller_and_nobody_else_does() {
    let address = |trusted: &[&str], forwarded: &str| {
        let shop = Shop::with(|config| {
            config.trusted_proxies = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        });
        let request = TestRequest::get()
            .peer_addr(([10, 0, 0, 1], 1).into())
            .insert_header(("x-forwarded-for", forwarded));
        let shared = shop.server.shared_for_test();
        shared.address(request.to_http_request().head()).unwrap().to_string()
    };
    assert_eq!(address(&[], "1.2.3.4"), "10.0.0.1");
    assert_eq!(address(&["10.0.0.1"], "1.2.3.4"), "1.2.3.4");
    assert_eq!(address(&["10.0.0.1", "10.0.0.2"], "6.6.6.6, 1.2.3.4, 10.0.0.2"), "1.2.3.4");
    // Some proxies write the port, too, and IPv6 in brackets.
    let written = [
        ("127.0.0.1, 5.6.7.8:1234", "5.6.7.8"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ];
    for (forwarded, named) in written {
        assert_eq!(address(&["10.0.0.1"], forwarded), named, "{forwarded}");
    }
    // What stands before an entry that cannot be read is the client's own word.
    for forwarded in
        ["nonsense", "127.0.0.1, unknown", "127.0.0.1, 5.6.7.8:x", "127.0.0.1, [::1", "127.0.0.1,"]
    {
        assert_eq!(address(&["10.0.0.1"], forwarded), "10.0.0.1", "{forwarded}");
    }
}

/// A shop with a page for browsers that are turned away.
fn shop_with_pages(change: impl FnOnce(&mut HttpServerConfig)) -> Shop {
    let mut shop = Shop::with(change);
    let pages: Routes = Arc::new(|cfg| {
        cfg.app_data(ErrorPage::new(|asked, failure| {
            let status = actix_web::http::StatusCode::from_u16(failure.status()).unwrap();
            let words = format!("{} {:?} {:?}", failure.code(), asked.languages(), asked.cookie("lang"));
            HttpResponse::build(status).content_type("text/html").body(words)
        }));
        cfg.map(|cfg| {
            cfg.route("/hang", actix_web::web::get().to(std::future::pending::<HttpResponse>));
            cfg
        });
    });
    shop.server = shop.server.routes([pages]);
    shop
}

fn browser(path: &str) -> TestRequest {
    TestRequest::get()
        .uri(path)
        .insert_header(("accept", "text/html,application/xhtml+xml;q=0.9"))
        .insert_header(("accept-language", "zh"))
        .insert_header(("cookie", "a=b; lang=en"))
}

#[actix_web::test]
async fn browsers_that_are_turned_away_get_a_page_and_programs_a_problem() {
    let slow = shop_with_pages(|config| config.deadline = Duration::from_millis(20));
    let page = slow.ask(browser("/hang")).await;
    assert_eq!((page.status, page.text().as_str()), (504, r#"server.timeout Some("zh") Some("en")"#));
    assert_eq!(page.headers["content-type"], "text/html");
    assert_eq!(page.headers["x-request-id"].len(), 32);
    assert_eq!(slow.get("/hang").await.problem(504), "server.timeout");
    assert_eq!(slow.ask(browser("/api/v1/fail/hang")).await.problem(504), "server.timeout");

    let full = shop_with_pages(|config| config.max_in_flight = 0);
    let page = full.ask(browser("/")).await;
    assert!(page.status == 503 && page.text().starts_with("server.unavailable"), "{}", page.text());
    assert_eq!(full.get("/").await.problem(503), "server.unavailable");
}

#[actix_web::test]
async fn staffs_paths_answer_to_names_that_staff_use() {
    let shop = Shop::with(|config| {
        config.rate_limit.enabled = false;
        config.staff_hosts = vec!["shop.example".to_owned()];
    });
    let status = async |path: &str, host: &str| {
        shop.ask(TestRequest::get().uri(path).insert_header(("host", host))).await.status
    };
    for host in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:8080",
        "[::1]:8080",
        "[::1]",
        "shop.example:443",
        "Shop.Example",
    ] {
        assert_eq!(status("/api/v1/admin/things", host).await, 401, "{host}");
    }
    // A name of somebody else's that leads here.
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "shop.example.evil",
        "127.0.0.1.evil",
        "",
    ] {
        assert_eq!(status("/api/v1/admin/things", host).await, 421, "{host}");
        assert_eq!(status("/api/v1/ctx", host).await, 200, "shoppers' paths answer to any: {host}");
    }
}
