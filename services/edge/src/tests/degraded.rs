//! Regions that are out, and those that serve less by choice.

use futures::{
    FutureExt,
    future::{Either, select},
};
use placement::{Degraded, State};

use super::*;

/// Regions `a` and `b`, of which `a` is in this state.
async fn with_a<F: Future>(state: State, work: impl FnOnce(Running, Running) -> F) -> F::Output {
    with_a_lingering(state, Duration::ZERO, work).await
}

/// The same, where a drained region answers programs for so long.
async fn with_a_lingering<F: Future>(
    state: State,
    linger: Duration,
    work: impl FnOnce(Running, Running) -> F,
) -> F::Output {
    let a = site("a", |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.linger = linger);
    two(a, plain("b"), |a, b| async move {
        let mut world = described(&[("a", &a.url()), ("b", &b.url())]);
        world.desired.regions.get_mut(&region("a")).unwrap().state = state;
        a.believes(world);
        work(a, b).await
    })
    .await
}

#[actix_web::test]
async fn a_region_that_is_out_sends_people_and_programs_on() {
    for state in [State::Fenced, State::Drained] {
        with_a(state, |a, b| async move {
            let page =
                client().get(format!("{}/?q=1", a.url())).header("accept", "text/html").send().await.unwrap();
            assert_eq!(page.status(), 308);
            assert_eq!(page.headers()["location"].to_str().unwrap(), format!("{}/?q=1", b.url()));
            for request in [get(&a, "/api/v1/cart"), post(&a, "/api/v1/orders"), get(&a, "/api/v1/search")] {
                let answer = request.send().await.unwrap();
                assert_eq!(
                    (answer.status().as_u16(), &answer.headers()["retry-after"]),
                    (503, &"1".parse().unwrap())
                );
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
                let said: Value = answer.json().await.unwrap();
                assert_eq!(said["code"], "edge.region_out");
                assert_eq!(said["regions"], serde_json::json!([{ "region": "b", "endpoint": b.url() }]));
            }
            for path in ["/healthz", "/readyz", "/api/openapi.json"] {
                assert_eq!(get(&a, path).send().await.unwrap().status(), 200, "{path}");
            }
            assert_eq!((a.here.runs(), b.here.runs()), (0, 0));
        })
        .await;
    }
}

#[actix_web::test]
async fn a_region_that_was_just_drained_still_answers_programs() {
    with_a_lingering(State::Drained, PATIENT, |a, b| async move {
        let page = client().get(a.url()).header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), 308, "people are sent on");
        // What is at home elsewhere is passed on, the rest is served.
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "b");
        assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["region"], "b");
        assert_eq!(get(&a, "/").send().await.unwrap().status(), 200);
        assert_eq!((a.here.runs(), b.here.runs()), (0, 2));
    })
    .await;
}

#[actix_web::test]
async fn a_region_that_takes_no_more_shards_serves() {
    with_a(State::Cordoned, |a, _| async move {
        assert_eq!(get(&a, "/").send().await.unwrap().status(), 200);
    })
    .await;
}

#[actix_web::test]
async fn a_home_that_is_out_gives_requests_back() {
    two(plain("a"), plain("b"), |a, b| async move {
        // b knows that it is out; a does not yet.
        let mut world = described(&[("a", &a.url()), ("b", &b.url())]);
        world.desired.regions.get_mut(&region("b")).unwrap().state = State::Fenced;
        b.believes(world);
        assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["region"], "a");
        assert_eq!((a.here.runs(), b.here.runs()), (1, 0));
    })
    .await;
}

#[actix_web::test]
async fn a_region_that_changes_nothing_still_reads_and_hears_of_payments() {
    let read_only = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.read_only = true;
    two(site("a", read_only), site("b", read_only), |a, b| async move {
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "b");
        assert_eq!(problem(post(&a, "/api/v1/orders")).await, (503, "edge.read_only".to_owned(), true));
        assert_eq!(post(&a, "/api/v1/payments/callbacks/sandbox").send().await.unwrap().status(), 200);
        assert_eq!((a.here.runs(), b.here.runs()), (0, 1));
    })
    .await;
}

#[actix_web::test]
async fn a_home_that_changes_nothing_gives_writes_back() {
    let read_only = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.read_only = true;
    two(plain("a"), site("b", read_only), |a, _| async move {
        assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["region"], "a");
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "b");
    })
    .await;
}

#[actix_web::test]
async fn the_waiting_room_lets_in_as_many_as_it_says() {
    let small = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| {
        edge.queue = crate::QueueConfig { in_flight: 1, waiting: 1, wait: PATIENT };
    };
    served([site("b", small)], |[b]| async move {
        b.knows(&[("x", ""), ("b", &b.url())]);
        let first = json(get(&b, "/api/v1/cart/slow"));
        let others = async {
            while b.here.runs() == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            // One of these two waits and the other is turned away; which one is theirs to decide.
            let (one, two) =
                (get(&b, "/api/v1/cart").send().boxed_local(), get(&b, "/api/v1/cart").send().boxed_local());
            let (turned_away, waits) = match select(one, two).await {
                Either::Left((first, other)) | Either::Right((first, other)) => (first, other),
            };
            b.here.go.notify_one();
            [turned_away.unwrap().status().as_u16(), waits.await.unwrap().status().as_u16()]
        };
        let (seen, statuses) = tokio::join!(first, others);
        assert_eq!((&seen["region"], statuses), (&"b".into(), [503, 200]));
    })
    .await;
}

/// Switched on and off while it runs, by what the map says.
#[actix_web::test]
async fn a_person_degrades_a_region_while_it_serves() {
    two(plain("a"), plain("b"), |a, b| async move {
        let told = |degraded: Degraded| {
            for region_of in [&a, &b] {
                let mut world = described(&[("a", &a.url()), ("b", &b.url())]);
                world.desired.regions.get_mut(&region("a")).unwrap().spec.degraded = degraded;
                region_of.believes(world);
            }
        };
        let (open, orders) = (Degraded::default(), || problem(post(&a, "/api/v1/orders")));
        told(Degraded { read_only: true, ..open });
        assert_eq!(orders().await, (503, "edge.read_only".to_owned(), true));
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "b", "reads go on, and b is as it was");
        told(open);
        assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["region"], "b");
    })
    .await;
}

/// What was asked for before is shown as it was; nothing behind the entrance is asked.
#[actix_web::test]
async fn a_static_region_shows_copies_and_passes_the_rest_on_or_refuses_it() {
    two(plain("a"), plain("b"), |a, b| async move {
        let told = |static_only: bool| {
            for region_of in [&a, &b] {
                let mut world = described(&[("a", &a.url()), ("b", &b.url())]);
                world.desired.regions.get_mut(&region("b")).unwrap().spec.degraded.static_only = static_only;
                region_of.believes(world);
            }
        };
        let page = |languages: &str, cookie: &str| {
            get(&b, "/").header("accept-language", languages).header("cookie", cookie).send()
        };
        let known = "meridian_access=of-somebody";
        assert_eq!(page("en", known).await.unwrap().status(), 200);
        let with_token = get(&b, "/").header("accept-language", "en");
        assert_eq!(with_token.send().await.unwrap().status(), 200);
        told(true);
        let answer = page("en", known).await.unwrap();
        assert_eq!(answer.status(), 503, "a page for somebody is not kept");
        told(false);
        let unknown = || client().get(format!("{}/", b.url())).header("accept-language", "en").send();
        let asked = std::time::Instant::now();
        let first = unknown().await.unwrap();
        assert!(!first.headers().contains_key("age") && first.headers().contains_key("set-cookie"));
        assert_eq!(first.text().await.unwrap(), "b0f1e");
        assert_eq!(get(&b, "/api/v1/accounts/me").send().await.unwrap().status(), 200);
        told(true);
        for answer in [unknown().await, page("en", known).await, page("zh", known).await] {
            let answer = answer.unwrap();
            let age: u64 = answer.headers()["age"].to_str().unwrap().parse().unwrap();
            assert!(answer.status() == 200 && age <= asked.elapsed().as_secs(), "{age}: {answer:?}");
            assert!(!answer.headers().contains_key("set-cookie"));
            assert_eq!(answer.text().await.unwrap(), "b", "without what was theirs");
        }
        let public = get(&b, "/api/v1/accounts/me").send().await.unwrap();
        assert_eq!((public.status().as_u16(), public.headers().contains_key("age")), (200, true));
        assert_eq!(problem(get(&b, "/?page=2")).await, (503, "edge.static".to_owned(), true));
        assert_eq!(problem(get(&b, "/api/v1/cart")).await, (503, "edge.static".to_owned(), true));
        assert_eq!(problem(post(&b, "/api/v1/orders")).await, (503, "edge.read_only".to_owned(), true));
        assert_eq!(post(&b, "/api/v1/payments/callbacks/sandbox").send().await.unwrap().status(), 200);
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "a", "b gives back what is at home there");
        assert_eq!(b.here.runs(), 0);
        told(false);
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "b");
    })
    .await;
}

/// What browsers are answered is compressed, each in its own way; whoever cannot read one is shown the copy, too.
#[actix_web::test]
async fn copies_are_made_of_answers_that_were_compressed() {
    served([plain("b")], |[b]| async move {
        let told = |static_only: bool| {
            let mut world = described(&[("x", ""), ("b", &b.url())]);
            world.desired.regions.get_mut(&region("b")).unwrap().spec.degraded.static_only = static_only;
            b.believes(world);
        };
        let page = |codings: &str| client().get(b.url()).header("accept-encoding", codings).send();
        told(false);
        let first = page("gzip, br").await.unwrap();
        assert!(first.headers().contains_key("content-encoding") && !first.headers().contains_key("age"));
        told(true);
        for codings in ["gzip, br", "identity"] {
            let answer = page(codings).await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.headers().contains_key("age")), (200, true));
            assert!(!answer.headers().contains_key("content-encoding"), "{codings}");
            assert_eq!(answer.text().await.unwrap(), "b");
        }
    })
    .await;
}

/// Pages repeat in their links where the shop is, as the request says it: nobody is shown what came of somebody else's claim.
#[actix_web::test]
async fn a_copy_is_shown_to_those_who_asked_at_the_same_address() {
    served([plain("b")], |[b]| async move {
        let told = |static_only: bool| {
            let mut world = described(&[("x", ""), ("b", &b.url())]);
            world.desired.regions.get_mut(&region("b")).unwrap().spec.degraded.static_only = static_only;
            b.believes(world);
        };
        let page = || client().get(b.url());
        let claims = [
            ("host", "evil.example"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "host=evil.example;proto=https"),
        ];
        told(false);
        for (header, claim) in claims {
            assert_eq!(page().header(header, claim).send().await.unwrap().status(), 200, "{header}");
        }
        told(true);
        assert_eq!(problem(page()).await, (503, "edge.static".to_owned(), true));
        for (header, claim) in claims {
            let answer = page().header(header, claim).send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.headers().contains_key("age")), (200, true));
        }
        told(false);
        assert_eq!(page().send().await.unwrap().status(), 200);
        told(true);
        let answer = page().send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().contains_key("age")), (200, true));
    })
    .await;
}

#[actix_web::test]
async fn a_person_opens_and_closes_the_waiting_room_while_it_serves() {
    let brief = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.queue.wait = Duration::from_millis(20);
    served([site("b", brief)], |[b]| async move {
        let told = |queue: u32| {
            let mut world = described(&[("x", ""), ("b", &b.url())]);
            world.desired.regions.get_mut(&region("b")).unwrap().spec.degraded.queue = queue;
            b.believes(world);
        };
        let full =
            async || problem(get(&b, "/api/v1/cart")).await == (503, "edge.queue_full".to_owned(), true);
        told(1);
        let first = json(get(&b, "/api/v1/cart/slow"));
        let others = async {
            while b.here.runs() == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            assert!(full().await);
            for queue in [0, 2] {
                told(queue);
                assert_eq!(json(get(&b, "/api/v1/cart")).await["region"], "b", "{queue}");
            }
            told(1);
            assert!(full().await);
            b.here.go.notify_one();
        };
        let (seen, ()) = tokio::join!(first, others);
        assert_eq!(seen["region"], "b");
        // A place is free when its answer has been sent, and whoever reads the answer may be quicker.
        let answered = std::time::Instant::now();
        while full().await {
            assert!(answered.elapsed() < Duration::from_secs(20), "places come back");
        }
        assert_eq!(json(get(&b, "/api/v1/cart")).await["region"], "b");
    })
    .await;
}

#[actix_web::test]
async fn a_process_that_is_stopping_gives_requests_back() {
    let delayed = |_: &mut EdgeConfig, http: &mut HttpServerConfig| http.drain_delay = Duration::from_secs(3);
    two(plain("a"), site("b", delayed), |a, b| async move {
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "b");
        b.stop();
        // It serves its own until it is gone, and is asked for no more.
        while get(&b, "/readyz").send().await.unwrap().status() == 200 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["region"], "a");
        assert_eq!(b.here.runs(), 1);
    })
    .await;
}
