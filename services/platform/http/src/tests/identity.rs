use actix_web::test::TestRequest;

use super::*;

fn with_token(path: &str, token: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(("authorization", format!("Bearer {token}")))
}

#[actix_web::test]
async fn members_are_known_and_strangers_told_to_log_in() {
    let shop = Shop::new();
    let user = Shop::user();
    let reply = shop.ask(with_token("/api/v1/me", &shop.token(user, []))).await;
    assert_eq!(reply.json(), user.to_string());
    let reply = shop.get("/api/v1/me").await;
    assert_eq!(reply.problem(401), "auth.unauthenticated");
    assert_eq!(reply.headers["www-authenticate"], "Bearer");
}

#[actix_web::test]
async fn a_token_that_is_not_valid_is_refused_even_where_none_is_needed() {
    let shop = Shop::new();
    let good = shop.token(Shop::user(), []);
    let other = TokenSigner::new(&[9; 32]).unwrap();
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, mac) = rest.split_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{claims}.");
    let foreign = {
        let claims = AccessClaims::new(
            Shop::user(),
            Ids::new(Arc::new(SystemClock)).mint(Shard::new(7)),
            BTreeSet::new(),
            vec![],
            NOW,
            Duration::from_secs(900),
        );
        other.issue(&claims).unwrap()
    };
    for token in
        ["x", "", "a.b.c", &format!("{head}.{claims}x.{mac}"), &unsigned, &foreign, &"x".repeat(9_000)]
    {
        let reply = shop.ask(with_token("/api/v1/ctx", token)).await;
        assert_eq!(reply.problem(401), "auth.unauthenticated", "{token}");
    }
    let basic = TestRequest::get().uri("/api/v1/ctx").insert_header(("authorization", "Basic eDp5"));
    assert_eq!(shop.ask(basic).await.problem(401), "auth.unauthenticated");
    assert_eq!(shop.ask(with_token("/api/v1/ctx", &good)).await.status, 200);
}

#[actix_web::test]
async fn an_expired_token_is_refused_though_it_was_good_before() {
    let shop = Shop::new();
    let token = shop.token(Shop::user(), []);
    assert_eq!(shop.ask(with_token("/api/v1/me", &token)).await.status, 200);
    shop.clock.advance(Duration::from_secs(900));
    assert_eq!(shop.ask(with_token("/api/v1/me", &token)).await.problem(401), "auth.unauthenticated");
}

#[actix_web::test]
async fn the_token_of_an_ended_session_is_refused_at_once() {
    let shop = Shop::new();
    let token = shop.token(Shop::user(), []);
    assert_eq!(shop.ask(with_token("/api/v1/me", &token)).await.status, 200);
    shop.sessions.0.store(false, Ordering::SeqCst);
    assert_eq!(shop.ask(with_token("/api/v1/me", &token)).await.problem(401), "auth.unauthenticated");
}

#[actix_web::test]
async fn staff_need_a_permission_and_the_right_one() {
    let shop = Shop::new();
    let path = "/api/v1/admin/things";
    assert_eq!(shop.get(path).await.problem(401), "auth.unauthenticated");
    for (permissions, status) in
        [(vec![], 403), (vec![Permission::OrderRead], 403), (vec![Permission::CatalogRead], 204)]
    {
        let token = shop.token(Shop::user(), permissions);
        assert_eq!(shop.ask(with_token(path, &token)).await.status, status);
    }
}

#[actix_web::test]
async fn headers_reach_the_context_and_forged_ones_do_not() {
    let shop = Shop::new();
    let request = |name: &'static str, value: &'static str| {
        TestRequest::get().uri("/api/v1/ctx").insert_header((name, value))
    };
    let sent = request("x-request-id", "r-7")
        .insert_header(("idempotency-key", "k"))
        .insert_header(("x-cart-token", "c"))
        .insert_header((ASSERTION_HEADER, "v1.x.y"));
    let reply = shop.ask(sent).await;
    assert_eq!(reply.json(), r#"r-7 Some("k") Some("c") false"#);
    assert_eq!(reply.headers["x-request-id"], "r-7");
    for (header, name) in [("idempotency-key", "Idempotency-Key"), ("x-cart-token", "X-Cart-Token")] {
        let reply = shop.ask(request(header, "two words")).await;
        assert_eq!(reply.problem(422), "request.invalid");
        assert_eq!(reply.fields()[0].0, name);
    }
}

#[actix_web::test]
async fn the_public_key_is_published() {
    let shop = Shop::new();
    let reply = shop.get("/.well-known/jwks.json").await;
    let key = &reply.json()["keys"][0];
    assert_eq!(
        (key["kty"].as_str(), key["crv"].as_str(), key["alg"].as_str()),
        (Some("OKP"), Some("Ed25519"), Some("EdDSA"))
    );
    assert_eq!(key["x"].as_str().unwrap().len(), 43);
}
