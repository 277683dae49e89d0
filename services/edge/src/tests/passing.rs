//! Requests that go home and come back.

use platform_http::{HOME_HEADER, Hop};
use reqwest::header::SET_COOKIE;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

#[actix_web::test]
async fn what_belongs_to_a_shopper_is_served_at_home_and_the_rest_where_it_arrives() {
    two(plain("a"), plain("b"), |a, b| async move {
        for site in [&a, &b] {
            let seen = json(get(site, "/api/v1/cart?x=%2F&y")).await;
            assert_eq!((&seen["region"], &seen["query"]), (&"b".into(), &"x=%2F&y".into()));
        }
        let guest = json(client().get(format!("{}/api/v1/cart", a.url()))).await;
        assert_eq!(guest["region"], "a", "nobody's cart has no home");
        let page = get(&a, "/").send().await.unwrap();
        assert_eq!(page.text().await.unwrap(), "a0f1e");
    })
    .await;
}

#[actix_web::test]
async fn a_write_arrives_whole_and_the_answer_comes_back_whole() {
    two(plain("a"), plain("b"), |a, b| async move {
        let request = post(&a, "/api/v1/orders?y=1")
            .header("idempotency-key", "k-1")
            .header("x-request-id", "r-1")
            .header("x-extra", "kept")
            .header("x-gone", "dropped")
            .header("connection", "x-gone")
            .header("host", "shop.test")
            .body("{\"lines\":[]}");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.headers()["x-request-id"], "r-1");
        assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("x-meridian-")));
        let seen: Value = answer.json().await.unwrap();
        let expected = serde_json::json!({
            "region": "b", "id": "r-1", "key": "k-1", "host": "shop.test", "extra": "kept", "peer": "127.0.0.1",
            "ours": [], "query": "y=1", "body": "{\"lines\":[]}",
        });
        assert_eq!(seen, expected);
        assert_eq!((a.here.runs(), b.here.runs()), (0, 1));
    })
    .await;
}

#[actix_web::test]
async fn a_request_goes_one_hop_though_the_maps_disagree() {
    served([plain("a"), plain("b"), plain("c")], |[a, b, c]| async move {
        // a sends to b, b would send to c, c would send to a.
        a.knows(&[("c", &c.url()), ("b", &b.url()), ("a", &a.url())]);
        b.knows(&[("a", &a.url()), ("c", &c.url()), ("b", &b.url())]);
        c.knows(&[("c", &c.url()), ("a", &a.url()), ("b", &b.url())]);
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "b");
        assert_eq!(json(get(&b, "/api/v1/cart")).await["region"], "c");
        assert_eq!(json(get(&c, "/api/v1/cart")).await["region"], "a");
    })
    .await;
}

#[actix_web::test]
async fn a_clients_own_word_about_regions_counts_for_nothing() {
    two(plain("a"), plain("b"), |a, b| async move {
        let hop = Hop { from: region("b"), client: None, left: Duration::from_secs(5) };
        let now = kernel::Clock::now(&SystemClock);
        let foreign = AssertionKey::new([6; 32]).vouch(&hop, "GET", "/api/v1/cart", now).unwrap();
        let other = KEY.vouch(&hop, "GET", "/api/v1/orders", now).unwrap();
        for assertion in [foreign, other, String::new()] {
            let request = get(&a, "/api/v1/cart")
                .header(HOP_HEADER, "b")
                .header(platform_http::ASSERTION_HEADER, assertion)
                .header("x-meridian-home", "a");
            let seen = json(request).await;
            // It is not believed, and goes no further either: regions whose clocks disagree make no loop.
            assert_eq!((&seen["region"], &seen["ours"]), (&"a".into(), &serde_json::json!([])));
        }
        // One that is ours is believed.
        let ours = KEY.vouch(&hop, "GET", "/api/v1/cart", now).unwrap();
        let request =
            get(&a, "/api/v1/cart").header(HOP_HEADER, "b").header(platform_http::ASSERTION_HEADER, ours);
        let seen = json(request).await;
        assert_eq!((&seen["region"], &seen["peer"]), (&"a".into(), &Value::Null));
        assert_eq!((a.here.runs(), b.here.runs()), (4, 0));
    })
    .await;
}

#[actix_web::test]
async fn what_is_passed_on_names_the_shoppers_home_whatever_the_client_says() {
    let home = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at_home = format!("http://{}", home.local_addr().unwrap());
    served([plain("a")], |[a]| async move {
        a.knows(&[("a", &a.url()), ("b", &at_home)]);
        let reading = async {
            let (mut stream, _) = home.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            String::from_utf8(head).unwrap()
        };
        let asking = get(&a, "/api/v1/cart").header(HOME_HEADER, "made-up").send();
        let (head, answer) = tokio::join!(reading, asking);
        assert_eq!(answer.unwrap().status(), 204);
        let named = |line: &str| line.strip_prefix("x-meridian-home: ").map(str::to_owned);
        assert_eq!(head.lines().filter_map(named).collect::<Vec<_>>(), ["b"]);
    })
    .await;
}

#[actix_web::test]
async fn the_shopper_is_counted_once_and_by_their_own_address() {
    let limited = |per_key: u32| {
        move |_: &mut EdgeConfig, http: &mut HttpServerConfig| {
            http.trusted_proxies = vec![[127, 0, 0, 1].into()];
            http.rate_limit.per_key = per_key;
            http.rate_limit.per_address = 2;
        }
    };
    two(site("a", limited(1_000)), site("b", limited(1)), |a, _| async move {
        // More than b lets through for one token: hops are not counted there.
        let token = token(Shard::new(1));
        for _ in 0..5 {
            let request = client()
                .get(format!("{}/api/v1/cart", a.url()))
                .bearer_auth(&token)
                .header("x-forwarded-for", "10.1.2.3");
            assert_eq!(json(request).await["peer"], "10.1.2.3");
        }
        // A guest of shard 1, by address: two are let through at a.
        let guest = "AAAAAAAAcACAAAAAAAAAAQ".to_owned() + &"A".repeat(32);
        let mut statuses = Vec::new();
        for _ in 0..3 {
            let request = client()
                .get(format!("{}/api/v1/cart", a.url()))
                .header("x-cart-token", &guest)
                .header("x-forwarded-for", "10.1.2.4");
            statuses.push(request.send().await.unwrap().status().as_u16());
        }
        assert_eq!(statuses, [200, 200, 429]);
    })
    .await;
}

#[actix_web::test]
async fn every_cookie_comes_back() {
    two(plain("a"), plain("b"), |a, _| async move {
        let answer = get(&a, "/api/v1/cart").send().await.unwrap();
        let cookies: Vec<_> =
            answer.headers().get_all(SET_COOKIE).iter().map(|c| c.to_str().unwrap()).collect();
        assert_eq!(cookies.len(), 3, "{cookies:?}");
        assert!(cookies.contains(&"a=1; Path=/") && cookies.contains(&"b=2; HttpOnly"));
        let seen: Value = answer.json().await.unwrap();
        assert_eq!(seen["region"], "b");
    })
    .await;
}

#[actix_web::test]
async fn heads_etags_and_compression_survive() {
    two(plain("a"), plain("b"), |a, b| async move {
        let at = |site: &Running| format!("{}/api/v1/accounts/me", site.url());
        let member = token(Shard::new(1));
        let get = client().get(at(&a)).bearer_auth(&member).send().await.unwrap();
        let tag = get.headers()["etag"].clone();
        let length = get.headers()["content-length"].clone();
        let head = client().head(at(&a)).bearer_auth(&member).send().await.unwrap();
        assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &length));
        assert!(head.bytes().await.unwrap().is_empty());
        let known =
            client().get(at(&a)).bearer_auth(&member).header("if-none-match", &tag).send().await.unwrap();
        assert_eq!((known.status().as_u16(), &known.headers()["etag"]), (304, &tag));
        assert!(known.bytes().await.unwrap().is_empty());
        // Long enough to be worth it, compressed once and the same as at home.
        for site in [&a, &b] {
            let zipped = super::get(site, "/api/v1/orders/bytes/20000/chunked")
                .header("accept-encoding", "gzip")
                .send()
                .await
                .unwrap();
            assert_eq!(zipped.headers()["content-encoding"], "gzip");
            let bytes = zipped.bytes().await.unwrap();
            assert!(bytes.starts_with(&[0x1f, 0x8b]) && bytes.len() < 2_000, "{}", bytes.len());
        }
    })
    .await;
}

#[actix_web::test]
async fn long_answers_flow_whatever_is_known_of_their_length() {
    let quick = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.hedge = Duration::from_millis(100);
    two(site("a", quick), plain("b"), |a, _| async move {
        for (length, how) in [
            (0, "known"),
            (100_000, "known"),
            (5_000_000, "known"),
            (0, "chunked"),
            (100_000, "chunked"),
            (5_000_000, "chunked"),
            (2_000, "late"),
        ] {
            let answer = get(&a, &format!("/api/v1/orders/bytes/{length}/{how}")).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.bytes().await.unwrap().len(), length, "{how}");
        }
    })
    .await;
}

#[actix_web::test]
async fn bodies_that_are_too_large_to_keep_are_served_here_whole() {
    let small = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.body_limit = 100_000;
    two(site("a", small), plain("b"), |a, _| async move {
        for (length, region) in [(0_usize, "b"), (100_000, "b"), (100_001, "a"), (3_000_000, "a")] {
            let whole = post(&a, "/api/v1/orders/uploads").body(vec![b'x'; length]);
            let chunks = stream::iter(
                (0..length)
                    .step_by(7_000)
                    .map(move |at| Ok::<_, std::io::Error>(vec![b'x'; 7_000.min(length - at)])),
            );
            let streamed = post(&a, "/api/v1/orders/uploads").body(reqwest::Body::wrap_stream(chunks));
            for request in [whole, streamed] {
                let seen = json(request).await;
                assert_eq!(seen, serde_json::json!({ "region": region, "length": length }));
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn what_was_written_in_one_region_is_read_in_another_by_its_token() {
    let read = |site: &Running, token: Option<&reqwest::header::HeaderValue>| {
        let request = get(site, "/api/v1/stored");
        json(token.map_or(request.try_clone().unwrap(), |token| request.header("x-consistency-token", token)))
    };
    two(plain("a"), plain("b"), |a, b| async move {
        // One database, two caches.
        let write = |value: usize| [&a, &b].map(|site| site.here.stored.store(value, Ordering::SeqCst));
        write(7);
        assert_eq!(read(&a, None).await, 7);
        // Written at its home b, through a.
        let written = post(&a, "/api/v1/cart/stored").send().await.unwrap();
        let token = written.headers()["x-consistency-token"].clone();
        assert_eq!(written.text().await.unwrap(), "8");
        write(8);
        assert_eq!(read(&a, None).await, 7, "without the token the cache decides");
        assert_eq!(
            read(&a, Some(&"ct1.e30.e30".parse().unwrap())).await,
            7,
            "nor does one that is none of ours"
        );
        assert_eq!(read(&a, Some(&token)).await, 8);
        assert_eq!(read(&a, None).await, 8, "and the cache has it from then on");
        assert!(get(&a, "/").send().await.unwrap().headers().get("x-consistency-token").is_none());
    })
    .await;
}
