use contracts::Dispatch;
use kernel::code;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

use super::*;

const KEY: AssertionKey = AssertionKey::new([5; 32]);

struct Echo;

#[async_trait]
impl Dispatch for Echo {
    fn domain(&self) -> &'static str {
        "echo"
    }

    async fn dispatch(&self, ctx: &Ctx, method: &str, body: &[u8]) -> Result<Vec<u8>> {
        match method {
            "say" => Ok([ctx.request_id.as_bytes(), b" ", body].concat()),
            "hang" => std::future::pending().await,
            _ => Err(Failure::not_found("method")),
        }
    }
}

fn shop() -> Shop {
    let mut shop = Shop::new();
    shop.server = shop.server.dispatch(KEY, [Arc::new(Echo) as Arc<dyn Dispatch>]);
    shop
}

fn call(path: &str, body: &'static str, assertion: &str) -> TestRequest {
    TestRequest::post().uri(path).insert_header((ASSERTION_HEADER, assertion.to_owned())).set_payload(body)
}

#[actix_web::test]
async fn calls_between_processes_need_an_assertion_of_ours() {
    let shop = shop();
    let ctx = Ctx::system("job-1", NOW.plus(Duration::from_secs(5)));
    let path = "/internal/echo/say";
    let assertion = KEY.sign(&ctx, path, b"{}", NOW).unwrap();
    let reply = shop.ask(call(path, "{}", &assertion)).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "job-1 {}"));
    for request in [
        TestRequest::post().uri(path).set_payload("{}"),
        call(path, "{\"x\":1}", &assertion),
        call("/internal/echo/hang", "{}", &assertion),
        call(path, "{}", &AssertionKey::new([6; 32]).sign(&ctx, path, b"{}", NOW).unwrap()),
        call(path, "{}", "nonsense"),
    ] {
        assert_eq!(shop.ask(request).await.problem(401), "internal.assertion_refused");
    }
    shop.clock.advance(Duration::from_secs(30));
    assert_eq!(shop.ask(call(path, "{}", &assertion)).await.problem(401), "internal.assertion_refused");
}

#[actix_web::test]
async fn the_callers_deadline_holds_and_unknown_domains_are_404() {
    let shop = shop();
    for (path, millis, status, code) in [
        ("/internal/echo/hang", 20, 504, code::TIMEOUT),
        ("/internal/echo/nothing", 20_000, 404, code::NOT_FOUND),
        ("/internal/nobody/say", 20_000, 404, code::NOT_FOUND),
    ] {
        let ctx = Ctx::system("job-1", NOW.plus(Duration::from_millis(millis)));
        let assertion = KEY.sign(&ctx, path, b"{}", NOW).unwrap();
        assert_eq!(shop.ask(call(path, "{}", &assertion)).await.problem(status), code.name);
    }
}

#[actix_web::test]
async fn a_server_that_dispatches_nothing_has_no_internal_paths() {
    let reply = Shop::new().ask(TestRequest::post().uri("/internal/echo/say")).await;
    assert!(matches!(reply.status, 404 | 405));
}

#[actix_web::test]
async fn readiness_names_what_is_missing() {
    let mut shop = Shop::new();
    shop.server = shop.server.ready("database", || async { Ok(()) }).ready("search", || async {
        Err(Failure::new(code::UNAVAILABLE).detail("the index is being built"))
    });
    let reply = shop.get("/readyz").await;
    assert_eq!(reply.status, 503);
    let health = reply.json();
    assert_eq!(health["status"], "not_ready");
    assert_eq!(health["probes"][0], serde_json::json!({"name": "database", "ok": true}));
    assert_eq!(health["probes"][1]["reason"], "the index is being built");
    assert_eq!(shop.get("/healthz").await.status, 200);
}

#[actix_web::test]
async fn what_can_be_done_without_degrades() {
    let mut shop = Shop::new();
    shop.server = shop.server.degraded("bus", || async {
        Err(Failure::new(code::UNAVAILABLE).detail("the broker does not answer"))
    });
    let reply = shop.get("/readyz").await;
    assert_eq!(reply.status, 200);
    let health = reply.json();
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["probes"][0]["reason"], "the broker does not answer");
    shop.server = shop.server.ready("database", || async { Err(Failure::new(code::UNAVAILABLE)) });
    assert_eq!(shop.get("/readyz").await.status, 503);
}

#[actix_web::test]
async fn metrics_are_shown_where_there_are_any() {
    assert_eq!(Shop::new().get("/metrics").await.status, 404);
    let mut shop = Shop::new();
    shop.server = shop.server.metrics(|| "up 1\n".to_owned());
    assert_eq!(shop.get("/metrics").await.text(), "up 1\n");
}

async fn over_the_wire(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn listens_on_a_free_port_and_says_draining_before_it_stops() {
    // Long enough for a slow machine to ask twice in it.
    let shop = Shop::with(|config| config.drain_delay = Duration::from_secs(5));
    let bound = shop.server.bind().unwrap();
    let address = bound.address();
    assert_ne!(address.port(), 0);
    let (stop, stopped) = oneshot::channel::<()>();
    let asking = async {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let ready = over_the_wire(address, &get("/readyz")).await;
        assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
        let head =
            over_the_wire(address, "HEAD /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
        stop.send(()).unwrap();
        let draining = loop {
            let answer = over_the_wire(address, &get("/readyz")).await;
            if answer.starts_with("HTTP/1.1 503") {
                break answer;
            }
        };
        assert!(draining.contains("\"draining\""), "{draining}");
        let still = over_the_wire(address, &get("/api/v1/ctx")).await;
        assert!(still.starts_with("HTTP/1.1 200"), "{still}");
    };
    let running = bound.run(async {
        let _ = stopped.await;
    });
    let (ended, ()) = tokio::join!(running, asking);
    ended.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let shop = Shop::with(|config| config.listen = address);
    let failure = shop.server.bind().unwrap_err();
    assert!(format!("{failure:?}").contains(&address.to_string()), "{failure:?}");
}
