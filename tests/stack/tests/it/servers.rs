use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use stack::{Collector, Pulsar, Redis, RedisCluster, Server, Signal, Tidb};

/// What a request line gets from a port within the time; `None` when nothing comes.
fn answer(address: &str, request: &str, limit: Duration) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address.parse().ok()?, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut bytes = [0; 512];
    let read = stream.read(&mut bytes).ok().filter(|read| *read > 0)?;
    Some(String::from_utf8_lossy(&bytes[..read]).into_owned())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")
}

/// Paused it answers nobody, resumed everybody; killed and restarted it is another process on the same ports.
fn is_hurt_and_recovers(server: &Server, address: &str, request: &str) {
    let answers = |limit| answer(address, request, limit);
    let (short, long) = (Duration::from_millis(500), Duration::from_secs(30));
    assert!(answers(long).is_some(), "it answers after the start");
    let ports = server.ports().clone();

    server.pause().unwrap();
    assert_eq!(answers(short), None, "paused, it answers nobody");
    server.resume().unwrap();
    assert!(answers(long).is_some(), "resumed, it answers");

    let first = server.identity().unwrap();
    server.kill().unwrap();
    assert!(!first.runs());
    assert_eq!(server.pid(), None);
    assert_eq!(answers(short), None, "killed, it answers nobody");
    server.restart().unwrap();
    assert!(answers(long).is_some(), "started again, it answers");

    let second = server.identity().unwrap();
    assert_ne!(first, second);
    server.stop().unwrap();
    assert!(!second.runs());
    server.restart().unwrap();
    assert_eq!(server.ports(), &ports, "the ports stay");
    server.pause().unwrap();
    let third = server.identity().unwrap();
    server.stop().unwrap();
    assert!(!third.runs(), "a paused server stops too");
}

#[test]
#[ignore = "starts real servers: `cargo xtask test --real`"]
fn redis_is_hurt_and_recovers() {
    let redis = Redis::start().unwrap();
    assert_eq!(redis.command("SET a 1").unwrap(), "OK");
    assert_eq!(redis.command("GET a").unwrap(), "1");
    assert!(redis.memory_mib() > 0);
    redis.kill().unwrap();
    redis.restart().unwrap();
    assert_eq!(redis.command("GET a").unwrap(), "", "it comes back empty");
    redis.command("SET b:1 1").unwrap();
    redis.command("SET b:2 1").unwrap();
    redis.save().unwrap();
    redis.kill().unwrap();
    redis.restart().unwrap();
    let mut keys = redis.keys("b:*").unwrap();
    keys.sort();
    assert_eq!(keys, ["b:1", "b:2"], "what was saved is there again");
    redis.restart_wiped().unwrap();
    assert!(redis.keys("*").unwrap().is_empty());
    is_hurt_and_recovers(&redis, &redis.address(), "PING\r\n");
    let folder = redis.folder().to_path_buf();
    drop(redis);
    assert!(!folder.exists(), "its folder goes with it");
}

#[test]
#[ignore = "starts real servers: `cargo xtask test --real`"]
fn three_redis_masters_share_the_slots() {
    let cluster = RedisCluster::start().unwrap();
    assert_eq!(cluster.nodes().len(), 3);
    let ask = |node: &Redis| node.command("SET somewhere 1").unwrap_or_else(|error| error.to_string());
    let moved: Vec<String> = cluster.nodes().iter().map(ask).collect();
    assert_eq!(moved.iter().filter(|answer| *answer == "OK").count(), 1, "one node owns the key: {moved:?}");
    assert_eq!(moved.iter().filter(|answer| answer.contains("MOVED")).count(), 2, "{moved:?}");
    cluster.nodes()[0].kill().unwrap();
    assert!(!cluster.whole());
}

#[test]
#[ignore = "starts real servers: `cargo xtask test --real`"]
fn tidb_is_hurt_and_recovers() {
    let tidb = Tidb::start().unwrap();
    let schema = answer(&tidb.status_address(), &get("/schema/meridian"), Duration::from_secs(10)).unwrap();
    assert!(schema.starts_with("HTTP/1.0 200"), "the database is there: {schema}");
    is_hurt_and_recovers(&tidb, &tidb.status_address(), &get("/status"));
}

#[test]
#[ignore = "starts real servers: `cargo xtask test --real`"]
fn pulsar_is_hurt_and_recovers() {
    let pulsar = Pulsar::start().unwrap();
    let tenant = serde_json::json!({"adminRoles": [], "allowedClusters": [pulsar.cluster()]});
    assert_eq!(pulsar.admin("PUT", "/admin/v2/tenants/shop", &tenant).unwrap(), 204);
    let admin = pulsar.admin_url();
    is_hurt_and_recovers(&pulsar, admin.trim_start_matches("http://"), &get("/admin/v2/brokers/health"));
    pulsar.restart().unwrap();
    assert_eq!(
        pulsar.admin("PUT", "/admin/v2/tenants/shop", &tenant).unwrap(),
        409,
        "its data is still there"
    );
}

#[test]
#[ignore = "starts real servers: `cargo xtask test --real`"]
fn two_pulsars_know_each_other() {
    let (us, eu) = (Pulsar::start_named("us").unwrap(), Pulsar::start_named("eu").unwrap());
    for (here, there) in [(&us, &eu), (&eu, &us)] {
        here.introduce(there).unwrap();
        here.introduce(there).unwrap();
        let both = serde_json::json!({"adminRoles": [], "allowedClusters": ["us", "eu"]});
        here.admin("PUT", "/admin/v2/tenants/shop", &both).unwrap();
        let replicated = serde_json::json!({"replication_clusters": ["us", "eu"]});
        assert_eq!(here.admin("PUT", "/admin/v2/namespaces/shop/events", &replicated).unwrap(), 204);
    }
}

#[test]
#[ignore = "starts real servers: `cargo xtask test --real`"]
fn the_collector_keeps_what_it_receives() {
    let collector = Collector::start().unwrap();
    assert!(collector.received(Signal::Traces).unwrap().is_empty());
    let span = serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "order.place", "kind": 2,
        "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000"}]}]}]})
    .to_string();
    let post = format!(
        "POST /v1/traces HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{span}",
        span.len()
    );
    let address = collector.endpoint().trim_start_matches("http://").to_owned();
    let status = answer(&address, &post, Duration::from_secs(10)).unwrap();
    assert!(status.contains(" 200 "), "{status}");
    // Written before it answered: nothing to wait for.
    let received = collector.received(Signal::Traces).unwrap();
    let found = &received[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(found["name"], "order.place");
    assert_eq!(found["traceId"], "5b8efff798038103d269b633813fc60c");
    assert!(collector.received(Signal::Logs).unwrap().is_empty());
}
