use actix_web::{http::Method, test::TestRequest};

use super::*;

async fn post(body: &str) -> Reply {
    let request =
        TestRequest::post().uri("/api/v1/baskets").insert_header(("content-type", "application/json"));
    Shop::new().ask(request.set_payload(body.to_owned())).await
}

#[actix_web::test]
async fn a_good_body_is_taken() {
    let reply = post(r#"{"items":[{"sku":"a","quantity":1}],"remark":null,"wrapping":"box"}"#).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.headers["location"], "/api/v1/baskets/1");
    assert_eq!(reply.json()["items"][0]["sku"], "a");
    assert_eq!(reply.json()["wrapping"], "box");
}

#[actix_web::test]
async fn wrong_types_missing_and_unknown_fields_are_named_by_pointer() {
    for (body, pointer, detail) in [
        (
            r#"{"items":[{"sku":"a","quantity":"x"}]}"#,
            "/items/0/quantity",
            "invalid type: string \"x\", expected u32",
        ),
        (
            r#"{"items":[{"sku":"a","quantity":-1}]}"#,
            "/items/0/quantity",
            "invalid value: integer `-1`, expected u32",
        ),
        (r#"{"items":[{"sku":"a","quantity":1},{"sku":"b"}]}"#, "/items/1/quantity", "is required"),
        (r#"{"items":[{"sku":"a","quantity":1,"price":2}]}"#, "/items/0/price", "is not known here"),
        (r#"{"items":[],"a/b~c":1}"#, "/a~1b~0c", "is not known here"),
        (r#"{"items":[],"items":[]}"#, "/items", "is given twice"),
        ("{}", "/items", "is required"),
        ("[]", "", "invalid type: sequence, expected an object"),
        (r#"[[{"sku":"a","quantity":1}],null]"#, "", "invalid type: sequence, expected an object"),
        ("7", "", "invalid type: integer `7`, expected an object"),
        (r#"{"items":[["a",1]]}"#, "/items/0", "invalid type: sequence, expected an object"),
        (r#"{"items":[],"wrapping":{"paper":null}}"#, "/wrapping", "invalid type: map, expected a string"),
        (r#"{"items":[],"wrapping":5}"#, "/wrapping", "invalid type: integer `5`, expected a string"),
        (
            r#"{"items":[],"wrapping":"foil"}"#,
            "/wrapping",
            "unknown variant `foil`, expected `paper` or `box`",
        ),
        (r#"{"items":[{"sku":"a","quantity":1e400}]}"#, "/items/0/quantity", "is not a value that fits here"),
    ] {
        let reply = post(body).await;
        assert_eq!(reply.problem(422), "request.invalid", "{body}");
        assert_eq!(reply.fields(), [(pointer.to_owned(), detail.to_owned())], "{body}");
    }
}

#[actix_web::test]
async fn another_content_type_is_refused_before_the_body_is_read() {
    let request = TestRequest::post().uri("/api/v1/baskets").insert_header(("content-type", "text/plain"));
    let reply = Shop::new().ask(request.set_payload("x".repeat(2 << 20))).await;
    assert_eq!(reply.problem(415), "request.unsupported_media_type");
}

#[actix_web::test]
async fn broken_rules_are_named_by_pointer_all_at_once() {
    let reply =
        post(r#"{"items":[{"sku":"a","quantity":1},{"sku":"b","quantity":0}],"remark":"too long"}"#).await;
    assert_eq!(reply.problem(422), "request.invalid");
    let pointers: Vec<String> = reply.fields().into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, ["/items/1/quantity", "/remark"]);
}

#[actix_web::test]
async fn what_is_no_json_is_400() {
    let after = r#"{"items":[{"sku":"a","quantity":1e400}]} x"#;
    for body in ["", "{", "{\"items\":[]} x", "\u{1}", "{'items':[]}", after] {
        assert_eq!(post(body).await.problem(400), "request.malformed", "{body:?}");
    }
}

#[actix_web::test]
async fn another_content_type_is_415() {
    let body = r#"{"items":[{"sku":"a","quantity":1}]}"#;
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        let request = TestRequest::post().uri("/api/v1/baskets").insert_header(("content-type", media_type));
        let reply = Shop::new().ask(request.set_payload(body)).await;
        assert_eq!(reply.problem(415), "request.unsupported_media_type");
    }
    let coded = TestRequest::post()
        .uri("/api/v1/baskets")
        .insert_header(("content-type", "application/json"))
        .insert_header(("content-encoding", "gzip"));
    assert_eq!(Shop::new().ask(coded.set_payload(body)).await.problem(415), "request.unsupported_media_type");
    let typed = TestRequest::post()
        .uri("/api/v1/baskets")
        .insert_header(("content-type", "Application/JSON; charset=utf-8"));
    assert_eq!(Shop::new().ask(typed.set_payload(body)).await.status, 201);
}

#[actix_web::test]
async fn a_body_over_the_limit_is_413_whatever_length_it_claims() {
    let shop = Shop::with(|config| config.body_limit = 10);
    let request =
        || TestRequest::post().uri("/api/v1/baskets").insert_header(("content-type", "application/json"));
    let reply = shop.ask(request().set_payload("01234567890")).await;
    assert_eq!(reply.problem(413), "request.too_large");
    let reply = shop.ask(request().insert_header(("content-length", "11"))).await;
    assert_eq!(reply.problem(413), "request.too_large");
}

#[actix_web::test]
async fn parameters_are_named() {
    let shop = Shop::new();
    let base = format!("/api/v1/products/{}", Shop::user());
    assert_eq!(shop.get(&format!("{base}?limit=5&q=%C3%A9")).await.status, 200);
    for (query, name) in
        [("limit=x", "limit"), ("limit=0", "limit"), ("limit=1&limit=2", "limit"), ("q=long+one", "q")]
    {
        let reply = shop.get(&format!("{base}?{query}")).await;
        assert_eq!(reply.problem(422), "request.invalid");
        assert_eq!(reply.fields()[0].0, name, "{query}");
    }
}

#[actix_web::test]
async fn a_malformed_id_is_404() {
    for id in ["1", "ord_01j00000000000000000000000", "%FF", "usr_%2F"] {
        assert_eq!(
            Shop::new().get(&format!("/api/v1/products/{id}")).await.problem(404),
            "request.not_found"
        );
    }
}

#[actix_web::test]
async fn head_is_get_without_a_body() {
    let path = format!("/api/v1/products/{}", Shop::user());
    let reply = Shop::new().ask(request(Method::HEAD, &path)).await;
    assert_eq!(reply.status, 200);
    assert!(reply.headers.contains_key("etag"));
}

#[actix_web::test]
async fn a_body_that_may_be_left_out_may_be_null() {
    #[derive(Debug, Default, Deserialize, Validate)]
    struct Reason {
        #[garde(length(max = 3))]
        reason: Option<String>,
    }

    #[post("/optional")]
    async fn tell(Optional(body): Optional<Reason>) -> Answer {
        Ok(ok(body.reason))
    }

    let routes: Routes = Arc::new(|cfg| {
        cfg.map(|cfg| cfg.service(tell));
    });
    let mut shop = Shop::new();
    shop.server = shop.server.routes([routes]);
    let ask = async |body: &'static str| {
        let request =
            TestRequest::post().uri("/optional").insert_header(("content-type", "application/json"));
        shop.ask(request.insert_header(("content-length", body.len())).set_payload(body)).await
    };
    assert_eq!(ask(r#"{"reason":"why"}"#).await.json(), "why");
    assert_eq!(ask("").await.json(), Value::Null);
    for none in ["null", " null ", "{}"] {
        let reply = ask(none).await;
        assert_eq!((reply.status, reply.json()), (200, Value::Null), "{none}");
    }
    let wrong = ask(r#"{"reason":"too long"}"#).await;
    assert_eq!((wrong.problem(422), wrong.fields()[0].0.as_str()), ("request.invalid".to_owned(), "/reason"));
    assert_eq!(ask("[null]").await.problem(422), "request.invalid");
}
