//! Two processes in one: a real server on a port of its own, called by a real client.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use contracts::{Caller, Ctx, Dispatch, SessionId, Transport, UserId};
use kernel::{Clock, Failure, Id, Region, Result, Shard, SystemClock, code};
use placement::{Jurisdiction, MapVersion, Placing, ShardRow, World};
use platform_http::{AssertionKey, HttpServerConfig, Server};
use platform_regions::Regions;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::oneshot,
};

use super::*;

const KEY: AssertionKey = AssertionKey::new([5; 32]);

#[derive(Default)]
struct Service {
    calls: AtomicU32,
}

#[async_trait]
impl Dispatch for Service {
    fn domain(&self) -> &'static str {
        "order"
    }

    async fn dispatch(&self, ctx: &Ctx, method: &str, body: &[u8]) -> Result<Vec<u8>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match method {
            "echo" => Ok([ctx.request_id.as_bytes(), b" ", body].concat()),
            "refuse" => Err(Failure::invalid("/items/0/quantity", "too many").detail("no").retry_after(7)),
            "overloaded" => Err(code::UNAVAILABLE.into()),
            _ => std::future::pending().await,
        }
    }
}

fn ctx(deadline: Duration) -> Ctx {
    Ctx::system("r-1", SystemClock.now().plus(deadline))
}

fn transport(
    address: std::net::SocketAddr,
    key: AssertionKey,
    change: impl FnOnce(&mut ClientConfig),
) -> Arc<HttpTransport> {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = ClientConfig::default();
    config.targets.insert("order".to_owned(), format!("http://{address}/"));
    change(&mut config);
    HttpTransport::new(&config, key, Arc::new(SystemClock)).unwrap()
}

/// Runs `work` against a server that dispatches to `service`.
async fn served<F: Future>(service: Arc<Service>, work: impl FnOnce(std::net::SocketAddr) -> F) -> F::Output {
    let config =
        HttpServerConfig { listen: ([127, 0, 0, 1], 0).into(), workers: 1, ..HttpServerConfig::default() };
    let bound = Server::new(config, Arc::new(SystemClock))
        .dispatch(KEY, [service as Arc<dyn Dispatch>])
        .bind()
        .unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let work = work(bound.address());
    let running = bound.run(async {
        let _ = stopped.await;
    });
    let working = async {
        let output = work.await;
        stop.send(()).unwrap();
        output
    };
    let (ended, output) = tokio::join!(running, working);
    ended.unwrap();
    output
}

#[tokio::test]
async fn a_call_arrives_with_its_context_and_a_problem_comes_back_whole() {
    served(Arc::default(), |address| async move {
        let transport = transport(address, KEY, |_| {});
        let ctx = ctx(Duration::from_secs(5));
        assert_eq!(transport.call(&ctx, "order", "echo", b"{}".to_vec()).await.unwrap(), b"r-1 {}");
        let failure = transport.call(&ctx, "order", "refuse", b"{}".to_vec()).await.unwrap_err();
        assert!(failure.is(code::INVALID));
        assert_eq!(failure.fields()[0].pointer, "/items/0/quantity");
        assert_eq!((failure.message(), failure.problem().retry_after), ("no", Some(7)));
        let failure = transport.call(&ctx, "search", "echo", b"{}".to_vec()).await.unwrap_err();
        assert!(failure.is(code::INTERNAL));
    })
    .await;
}

/// The head of a call's request, as it goes over the wire.
async fn head_of_a_call(regions: Regions, ctx: &Ctx) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = ClientConfig::default();
    config.targets.insert("order".to_owned(), format!("http://{}", listener.local_addr().unwrap()));
    let transport = HttpTransport::among(&config, KEY, Arc::new(SystemClock), regions).unwrap();
    let reading = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        String::from_utf8(head).unwrap()
    };
    let calling = transport.call(ctx, "order", "echo", Vec::new());
    let (head, answer) = tokio::join!(reading, calling);
    assert_eq!(answer.unwrap(), b"{}");
    head
}

#[tokio::test]
async fn a_call_names_the_users_home_where_there_are_regions() {
    let own_work = ctx(Duration::from_secs(5));
    let id: UserId = Id::derive(Shard::new(3), &[b"user"]);
    let session: SessionId = Id::derive(Shard::new(3), &[b"session"]);
    let caller = Caller::User { id, session, permissions: BTreeSet::new() };
    let users = Ctx { caller, ..own_work.clone() };
    let mut world = World::default();
    let row = ShardRow {
        home: Region::new("us-east"),
        jurisdiction: Jurisdiction::new(Jurisdiction::ANY),
        placing: Placing::Settled,
        version: MapVersion(1),
    };
    for number in 0..4 {
        world.observed.shards.insert(Shard::new(number), row.clone());
    }
    let among = |world: &World| Regions::of(Region::new("eu-west"), world.clone());
    let head = head_of_a_call(among(&world), &users).await;
    assert!(head.contains("\r\nx-meridian-home: us-east\r\n"), "{head}");
    for (regions, ctx) in
        [(Regions::single(), &users), (among(&World::default()), &users), (among(&world), &own_work)]
    {
        let head = head_of_a_call(regions, ctx).await;
        assert!(!head.contains("x-meridian-home"), "{head}");
    }
}

#[tokio::test]
async fn another_key_is_our_fault_and_not_the_users() {
    served(Arc::default(), |address| async move {
        let transport = transport(address, AssertionKey::new([6; 32]), |_| {});
        let failure =
            transport.call(&ctx(Duration::from_secs(5)), "order", "echo", b"{}".to_vec()).await.unwrap_err();
        assert!(failure.is(code::INTERNAL));
    })
    .await;
}

#[tokio::test]
async fn the_deadline_ends_a_call() {
    served(Arc::default(), |address| async move {
        let transport = transport(address, KEY, |_| {});
        let failure = transport
            .call(&ctx(Duration::from_millis(100)), "order", "hang", b"{}".to_vec())
            .await
            .unwrap_err();
        assert!(failure.is(code::TIMEOUT));
    })
    .await;
}

#[tokio::test]
async fn calls_in_flight_are_bounded() {
    served(Arc::default(), |address| async move {
        let transport = transport(address, KEY, |config| config.max_in_flight = 1);
        // Far apart: the place must not be free again before the short one is over, however slow the machine is.
        let (long, short) = (ctx(Duration::from_secs(5)), ctx(Duration::from_millis(200)));
        let hanging = transport.call(&long, "order", "hang", b"{}".to_vec());
        let waiting = transport.call(&short, "order", "echo", b"{}".to_vec());
        let (hung, waited) = tokio::join!(hanging, waiting);
        assert!(hung.unwrap_err().is(code::TIMEOUT));
        assert!(waited.unwrap_err().is(code::UNAVAILABLE));
        assert!(transport.call(&ctx(Duration::from_secs(20)), "order", "echo", b"{}".to_vec()).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_domain_that_keeps_failing_is_left_alone() {
    let service = Arc::new(Service::default());
    served(service.clone(), |address| async move {
        let transport = transport(address, KEY, |config| {
            config.breaker_failures = 2;
            config.breaker_pause = Duration::from_mins(1);
        });
        for _ in 0..5 {
            let failure = transport
                .call(&ctx(Duration::from_secs(5)), "order", "overloaded", b"{}".to_vec())
                .await
                .unwrap_err();
            assert!(failure.is(code::UNAVAILABLE));
        }
    })
    .await;
    assert_eq!(service.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_until_the_process_is_back() {
    // A port that is taken, so that no other test gets it, and on which nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let down = transport(socket.local_addr().unwrap(), KEY, |_| {});
    let failure = down.call(&ctx(Duration::from_secs(5)), "order", "echo", b"{}".to_vec()).await.unwrap_err();
    assert!(failure.is(code::UNAVAILABLE));
}

/// A server that takes the request and breaks the connection: the call may have had its effect, so it is not repeated.
#[tokio::test]
async fn a_call_that_was_sent_is_never_sent_again() {
    use tokio::io::AsyncReadExt;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = transport(listener.local_addr().unwrap(), KEY, |_| {});
    let taken = AtomicU32::new(0);
    let breaking = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1_024];
            let read = stream.read(&mut head).await.unwrap();
            assert!(read > 0);
            taken.fetch_add(1, Ordering::SeqCst);
        }
    };
    let ctx = ctx(Duration::from_secs(5));
    let calling = transport.call(&ctx, "order", "echo", b"{}".to_vec());
    let failure = tokio::select! {
        () = breaking => unreachable!("accepts for ever"),
        answer = calling => answer.unwrap_err(),
    };
    assert!(failure.is(code::UNAVAILABLE));
    assert_eq!(taken.load(Ordering::SeqCst), 1);
}
