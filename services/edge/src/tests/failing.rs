//! Homes that fail.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// Nobody listens there.
pub(super) const NOBODY: &str = "http://127.0.0.1:1";

/// A home that reads requests and treats each connection in this way.
async fn odd_home<F: Future<Output = ()>>(
    listener: &TcpListener,
    asked: &AtomicUsize,
    treat: impl Fn(TcpStream) -> F,
) {
    let one = |mut stream: TcpStream| async {
        let mut head = Vec::new();
        let mut byte = [0; 1];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
            head.extend_from_slice(&byte);
        }
        if head.ends_with(b"\r\n\r\n") {
            asked.fetch_add(1, Ordering::SeqCst);
            treat(stream).await;
        }
    };
    let connections = stream::unfold((), |()| async {
        let (stream, _) = listener.accept().await.unwrap();
        Some((stream, ()))
    });
    connections.for_each_concurrent(None, one).await;
}

/// Runs `work` at region `a` while `b`, the home of shard 1, treats requests so. The number says how many it got.
pub(super) async fn with_odd_home<F: Future<Output = ()>, W: Future<Output = ()>>(
    change: impl FnOnce(&mut EdgeConfig, &mut HttpServerConfig),
    treat: impl Fn(TcpStream) -> F,
    work: impl FnOnce(Running, Arc<AtomicUsize>) -> W,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let working = served([site("a", change)], |[a]| async move {
        a.knows(&[("a", &a.url()), ("b", &home)]);
        work(a, count).await;
    });
    tokio::select! {
        () = working => {}
        () = odd_home(&listener, &asked, treat) => {}
    }
}

/// The map of these regions, where `a` may not keep anybody's data.
pub(super) fn by_law(map: &[(&str, &str)]) -> World {
    let mut world = described(map);
    world.desired.regions.get_mut(&region("a")).unwrap().spec.jurisdictions.clear();
    world
}

/// Where a region is reached, as another one believes.
pub(super) fn endpoint(site: &Running, name: &str) -> String {
    site.regions.world().unwrap().desired.regions[&region(name)].spec.endpoint.clone()
}

/// Runs `work` while `c` serves, too, which may keep what `a` may not.
pub(super) async fn with_stand_in<F: Future<Output = ()>>(
    a: Running,
    work: impl FnOnce(Running, Running) -> F,
) {
    let home = endpoint(&a, "b");
    served([plain("c")], |[c]| {
        let world = by_law(&[("a", &a.url()), ("b", &home), ("c", &c.url())]);
        a.believes(world.clone());
        c.believes(world);
        work(a, c)
    })
    .await;
}

pub(super) fn keyed(site: &Running, path: &str) -> reqwest::RequestBuilder {
    post(site, path).header("idempotency-key", "k-1").body("{}")
}

/// What a browser sends with the form of a page that it got here.
pub(super) fn form(site: &Running, body: &'static str) -> reqwest::RequestBuilder {
    client()
        .post(format!("{}/checkout", site.url()))
        .header("cookie", format!("meridian_access={}", token(Shard::new(1))))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "text/html")
        .body(body)
}

#[actix_web::test]
async fn a_home_that_nobody_answers_at_is_stood_in_for_at_once() {
    served([plain("a")], |[a]| async move {
        a.knows(&[("a", &a.url()), ("b", NOBODY)]);
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "a");
        assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["body"], "{}");
        assert_eq!(json(keyed(&a, "/api/v1/orders")).await["key"], "k-1");
        assert_eq!(a.here.runs(), 3);
    })
    .await;
}

#[actix_web::test]
async fn a_home_that_breaks_off_is_stood_in_for_where_running_twice_is_harmless() {
    let patient = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.failures = 100;
    with_odd_home(
        patient,
        |stream| async { drop(stream) },
        |a, asked| async move {
            assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "a");
            assert_eq!(json(keyed(&a, "/api/v1/orders")).await["body"], "{}");
            // The key is heeded only where the operation says so.
            let unsettled = (503, "edge.unsettled".to_owned(), true);
            assert_eq!(problem(keyed(&a, "/api/v1/cart/merge")).await, unsettled);
            assert_eq!(problem(post(&a, "/api/v1/orders").body("{}")).await, unsettled);
            assert_eq!(a.here.runs(), 2);
            // Pages: the form's key counts, and a person gets a page.
            assert_eq!(form(&a, "address=1&key=00ff").send().await.unwrap().status(), 303);
            let page = form(&a, "address=1").send().await.unwrap();
            assert_eq!(
                (page.status().as_u16(), page.headers()["content-type"].to_str().unwrap()),
                (503, "text/html")
            );
            assert_eq!(page.text().await.unwrap(), "<p>edge.unsettled</p>");
            assert_eq!((a.here.runs(), asked.load(Ordering::SeqCst)), (3, 6));
        },
    )
    .await;
}

#[actix_web::test]
async fn an_answer_that_breaks_off_in_its_middle_is_made_again() {
    let half = |mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1234").await.unwrap();
    };
    with_odd_home(
        |_, _| {},
        half,
        |a, _| async move {
            assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "a");
        },
    )
    .await;
}

#[actix_web::test]
async fn a_home_that_says_it_did_nothing_is_stood_in_for_whatever_was_asked() {
    let unserved = |mut stream: TcpStream| async move {
        let answer =
            b"HTTP/1.1 503 Service Unavailable\r\nx-meridian-unserved: draining\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    };
    with_odd_home(
        |edge, _| edge.pause = PATIENT,
        unserved,
        |a, asked| async move {
            assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["region"], "a");
            assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["region"], "a");
            assert_eq!(asked.load(Ordering::SeqCst), 1, "it is left alone for a while");
        },
    )
    .await;
}

#[actix_web::test]
async fn a_home_that_fails_is_stood_in_for_where_running_twice_is_harmless() {
    let failing = |mut stream: TcpStream| async move {
        let answer =
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nno";
        stream.write_all(answer).await.unwrap();
    };
    with_odd_home(
        |edge, _| edge.failures = 100,
        failing,
        |a, _| async move {
            assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "a");
            assert_eq!(json(keyed(&a, "/api/v1/orders")).await["region"], "a");
            let answer = post(&a, "/api/v1/cart/merge").send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (503, "no"));
        },
    )
    .await;
}

#[actix_web::test]
async fn a_home_that_is_back_is_asked_again() {
    two(plain("a"), plain("b"), |a, b| async move {
        a.knows(&[("a", &a.url()), ("b", NOBODY)]);
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "a");
        a.knows(&[("a", &a.url()), ("b", &b.url())]);
        let started = std::time::Instant::now();
        while json(get(&a, "/api/v1/cart")).await["region"] != "b" {
            assert!(started.elapsed() < Duration::from_secs(20), "it is never asked again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["region"], "b");
    })
    .await;
}

#[actix_web::test]
async fn data_stay_where_their_law_is() {
    served([plain("a"), plain("c")], |[a, c]| async move {
        let (at_a, at_c) = (a.url(), c.url());
        let map = |at_c: &str| by_law(&[("a", &at_a), ("b", NOBODY), ("c", at_c)]);
        a.believes(map(NOBODY));
        c.believes(map(&at_c));
        let answer = get(&a, "/api/v1/cart").send().await.unwrap();
        assert_eq!(answer.status(), 503);
        let said: Value = answer.json().await.unwrap();
        assert_eq!(said["regions"][1], serde_json::json!({ "region": "c", "endpoint": NOBODY }));
        // Another region of the jurisdiction is asked while the home is not there, whatever it is that was not done.
        a.believes(map(&at_c));
        let started = std::time::Instant::now();
        while get(&a, "/api/v1/cart").send().await.unwrap().status() == 503 {
            assert!(started.elapsed() < Duration::from_secs(20), "c is never asked again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for _ in 0..3 {
            assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "c");
            assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["body"], "{}");
        }
        // And once the home is known to be out.
        let mut world = map(&at_c);
        world.desired.regions.get_mut(&region("b")).unwrap().state = placement::State::Fenced;
        a.believes(world);
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "c");
        assert_eq!(a.here.runs(), 0);
    })
    .await;
}

#[actix_web::test]
async fn a_home_that_nobody_may_stand_in_for_is_asked_again() {
    served([plain("a"), plain("b")], |[a, b]| async move {
        // Of requests that may run twice, and of those that may not.
        let kinds: [fn(&Running) -> reqwest::RequestBuilder; 2] =
            [|a| get(a, "/api/v1/cart"), |a| post(a, "/api/v1/cart/merge")];
        for request in kinds {
            a.believes(by_law(&[("a", &a.url()), ("b", NOBODY)]));
            let (status, code, _) = problem(request(&a)).await;
            assert_eq!((status, code.as_str()), (503, "server.unavailable"));
            a.believes(by_law(&[("a", &a.url()), ("b", &b.url())]));
            let started = std::time::Instant::now();
            while request(&a).send().await.unwrap().status() != 200 {
                assert!(started.elapsed() < Duration::from_secs(20), "it is never asked again");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(json(request(&a)).await["region"], "b");
        }
        assert_eq!(a.here.runs(), 0);
    })
    .await;
}

#[actix_web::test]
async fn a_region_that_stands_in_elsewhere_runs_again_only_what_is_harmless() {
    let patient = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.failures = 100;
    with_odd_home(
        patient,
        |stream| async { drop(stream) },
        |a, asked| async move {
            with_stand_in(a, |a, c| async move {
                assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "c");
                assert_eq!(json(keyed(&a, "/api/v1/orders")).await["body"], "{}");
                let unsettled = problem(post(&a, "/api/v1/cart/merge").body("{}")).await;
                assert_eq!(unsettled, (503, "edge.unsettled".to_owned(), true));
                assert_eq!((a.here.runs(), c.here.runs(), asked.load(Ordering::SeqCst)), (0, 2, 3));
            })
            .await;
        },
    )
    .await;
}

#[actix_web::test]
async fn a_region_that_may_not_keep_it_by_its_own_map_gives_requests_back() {
    two(plain("a"), plain("b"), |a, b| async move {
        // b knows that its law has changed and that the shard has moved; a does not yet.
        let mut world = described(&[("a", &a.url()), ("b", &b.url())]);
        world.desired.regions.get_mut(&region("b")).unwrap().spec.jurisdictions.clear();
        world.observed.shards.get_mut(&Shard::new(1)).unwrap().home = region("a");
        b.believes(world);
        for _ in 0..5 {
            assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["region"], "a");
        }
        assert_eq!((a.here.runs(), b.here.runs()), (5, 0));
    })
    .await;
}
