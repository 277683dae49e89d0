//! Requests that try to be read in two ways.

use actix_web::{http::header::HeaderName, web};

use super::*;

#[actix_web::test]
async fn an_escaped_path_is_judged_as_what_it_stands_for() {
    let shop = Shop::new();
    let get = |path: &str| TestRequest::get().uri(path).insert_header(("host", "evil.example"));
    for path in ["/api/v1/admin/things", "/api/v1/%61dmin/things", "/%61%70%69/v1/admin%2Fthings"] {
        let status = shop.ask(get(path)).await.status;
        assert!(matches!(status, 421 | 404), "{path}: {status}");
    }
    assert_eq!(shop.ask(get("/api/v1/%61dmin/things")).await.problem(421), "request.host");
    // An escaped percent sign stays one.
    assert_eq!(shop.ask(get("/api/v1/%2561dmin/things")).await.problem(404), "request.not_found");
    for path in ["/api/v1/%%361dmin/things", "/api/v1/ctx%", "/api/v1/ctx/%zz"] {
        assert_eq!(shop.get(path).await.problem(400), "request.malformed", "{path}");
    }
    for path in
        ["//api/v1/ctx", "/api//v1/ctx", "/api/v1/ctx/", "/api%2Fv1/ctx", "/api/v1/ctx%00", "/api/v1/%FF"]
    {
        assert_eq!(shop.get(path).await.problem(404), "request.not_found", "{path}");
    }
    assert_eq!(shop.get("/api/v1/%63tx?x=%61").await.status, 200);
}

#[actix_web::test]
async fn handlers_see_the_path_in_its_one_form_and_the_query_as_it_came() {
    let mut shop = Shop::new();
    let telling: Routes = Arc::new(|cfg| {
        cfg.map(|cfg| {
            let seen = |req: HttpRequest| {
                let (uri, name) = (req.uri().to_string(), req.match_info().query("name").to_owned());
                std::future::ready(format!("{uri} {name}"))
            };
            cfg.route("/seen/{name}", web::get().to(seen));
            cfg
        });
    });
    shop.server = shop.server.routes([telling]);
    assert_eq!(shop.get("/s%65en/%6Frd_%C3%A9?x=%61&y").await.text(), "/seen/ord_%C3%A9?x=%61&y ord_\u{e9}");
}

#[actix_web::test]
async fn what_comes_once_is_not_taken_twice() {
    let shop = Shop::new();
    let twice = |request: TestRequest, name: &'static str, values: [&str; 2]| {
        let name = HeaderName::from_static(name);
        values.into_iter().fold(request, |request, value| request.append_header((name.clone(), value)))
    };
    let ctx = || TestRequest::get().uri("/api/v1/ctx");
    let token = format!("Bearer {}", shop.token(Shop::user(), []));
    for (request, pointer) in [
        (twice(ctx(), "authorization", [&token, &token]), "Authorization"),
        (twice(ctx(), "idempotency-key", ["k", "l"]), "Idempotency-Key"),
        (twice(ctx(), "x-cart-token", ["t", "t"]), "X-Cart-Token"),
    ] {
        let reply = shop.ask(request).await;
        assert_eq!(reply.problem(422), "request.invalid");
        assert_eq!(reply.fields(), [(pointer.to_owned(), "is given twice".to_owned())]);
    }
    // A proxy in front may have believed the other one (RFC 9112, 3.2).
    let reply = shop.ask(twice(ctx(), "host", ["localhost", "evil.example"])).await;
    assert_eq!(reply.problem(400), "request.malformed");
    let body = TestRequest::post().uri("/api/v1/baskets").set_payload("{}");
    let reply = shop.ask(twice(body, "content-type", ["application/json", "text/plain"])).await;
    assert_eq!(reply.problem(415), "request.unsupported_media_type");
}

#[actix_web::test]
async fn methods_queries_and_wishes_that_nobody_has() {
    let shop = Shop::new();
    let reply = shop.ask(request(Method::OPTIONS, "/api/v1/baskets")).await;
    assert_eq!(
        (reply.problem(405).as_str(), reply.headers["allow"].as_str()),
        ("request.method_not_allowed", "POST")
    );
    let path = format!("/api/v1/products/{}", Shop::user());
    // A byte that is no UTF-8 is not refused and not passed on either.
    assert_eq!(shop.get(&format!("{path}?q=%FF")).await.status, 200);
    let twice = shop.get(&format!("{path}?q=a&q=b")).await;
    assert_eq!(twice.problem(422), "request.invalid");
    assert_eq!(twice.fields(), [("q".to_owned(), "is given twice".to_owned())]);
    // There is one form of an answer, and who wants another may refuse it.
    let other = TestRequest::get().uri("/api/v1/ctx").insert_header(("accept", "application/xml"));
    assert_eq!(shop.ask(other).await.status, 200);
}
