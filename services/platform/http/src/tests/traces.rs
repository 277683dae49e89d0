//! Whose traces are followed.

use std::net::SocketAddr;

use actix_web::web;

use super::*;
use crate::traces::Told;

const KEY: AssertionKey = AssertionKey::new([5; 32]);
const THEIRS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A request that says it belongs to a sampled trace.
fn traced(path: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(("traceparent", THEIRS)).insert_header(("tracestate", "a=b"))
}

/// Whether `request` is followed; what is not has lost what it said.
fn is_followed(shop: &Shop, request: TestRequest, hop: Option<&Hop>) -> bool {
    let mut request = request.to_srv_request();
    assert!(Told::take(&shop.server.shared_for_test(), &mut request, hop).is_some());
    let kept = |name: &str| request.headers().contains_key(name);
    assert_eq!(kept("traceparent"), kept("tracestate"));
    kept("traceparent")
}

fn from(peer: &str) -> TestRequest {
    traced("/api/v1/ctx").peer_addr(SocketAddr::new(peer.parse().unwrap(), 4_000))
}

#[test]
fn strangers_are_not_followed_and_who_is_near_is() {
    let shop = Shop::new();
    for (peer, followed) in [
        ("10.0.0.1", false),
        ("2001:db8::1", false),
        ("127.0.0.1", true),
        ("::1", true),
        ("::ffff:127.0.0.1", true),
    ] {
        assert_eq!(is_followed(&shop, from(peer), None), followed, "{peer}");
    }
    assert!(!is_followed(&shop, traced("/api/v1/ctx"), None), "nobody knows who sends it");
    let lie = from("10.0.0.1").insert_header(("x-forwarded-for", "127.0.0.1"));
    assert!(!is_followed(&shop, lie, None));
    let shop = Shop::with(|config| config.trusted_proxies = vec![[10, 0, 0, 1].into()]);
    assert!(is_followed(&shop, from("10.0.0.1"), None));
    assert!(!is_followed(&shop, from("10.0.0.2"), None));
    let shop = Shop::with(|config| config.follow_traces = FollowTraces::Anyone);
    assert!(is_followed(&shop, from("10.0.0.1"), None));
}

#[test]
fn our_own_processes_and_regions_are_followed_from_anywhere() {
    let mut shop = Shop::new();
    let path = "/internal/order/place";
    let ctx = Ctx::system("job-1", NOW.plus(Duration::from_secs(5)));
    let signed = |key: AssertionKey, now| key.sign(&ctx, path, b"", now).unwrap();
    let call = |assertion: String| {
        traced(path).peer_addr(([10, 0, 0, 1], 4_000).into()).insert_header((ASSERTION_HEADER, assertion))
    };
    assert!(!is_followed(&shop, call(signed(KEY, NOW)), None), "nothing is dispatched here");
    shop.server = shop.server.dispatch(KEY, Vec::new());
    assert!(is_followed(&shop, call(signed(KEY, NOW)), None));
    for odd in [
        signed(AssertionKey::new([6; 32]), NOW),
        signed(KEY, NOW.minus(Duration::from_secs(31))),
        "nonsense".to_owned(),
    ] {
        assert!(!is_followed(&shop, call(odd.clone()), None), "{odd}");
    }
    let hop = Hop { from: kernel::Region::new("us-east"), client: None, left: Duration::from_secs(1) };
    assert!(is_followed(&shop, from("10.0.0.1"), Some(&hop)));
}

/// The trace that handlers see, and with them whatever they pass the request on to.
fn telling() -> Routes {
    Arc::new(|cfg| {
        cfg.map(|cfg| {
            let seen =
                |req: HttpRequest| std::future::ready(format!("{:?}", req.headers().get("traceparent")));
            cfg.route("/seen", web::get().to(seen));
            cfg
        });
    })
}

#[actix_web::test]
async fn a_strangers_trace_goes_no_further() {
    let mut shop = Shop::new();
    shop.server = shop.server.routes([telling()]);
    assert_eq!(shop.ask(traced("/seen")).await.text(), "None");
    let mut shop = Shop::with(|config| config.follow_traces = FollowTraces::Anyone);
    shop.server = shop.server.routes([telling()]);
    assert_eq!(shop.ask(traced("/seen")).await.text(), format!("Some({THEIRS:?})"));
}

#[test]
fn the_setting_is_a_word() {
    let config: HttpServerConfig =
        serde_json::from_value(serde_json::json!({"follow_traces": "anyone"})).unwrap();
    assert_eq!(config.follow_traces, FollowTraces::Anyone);
    assert_eq!(HttpServerConfig::default().follow_traces, FollowTraces::Trusted);
    assert!(serde_json::from_value::<HttpServerConfig>(serde_json::json!({"follow_traces": "all"})).is_err());
}
