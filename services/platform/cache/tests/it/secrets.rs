//! Users, passwords and encrypted connections.

use std::{path::Path, process::Command, time::Duration};

use platform_cache::RedisConfig;
use stack::Redis;

use crate::{Source, config, open, over, process, until};

/// A password that nothing may tell.
const SECRET: &str = "correct-horse-battery";

/// Waits until Redis cannot be used, and says why; nothing tells the password.
async fn refused(config: &RedisConfig) -> String {
    let redis = platform_cache::Redis::open(config).unwrap().unwrap();
    let why = || redis.health().unwrap_err().message().to_owned();
    until("it is tried", async || !why().contains("not connected yet")).await;
    assert!(!redis.connected(Duration::from_millis(300)).await);
    let told = format!("{} {redis:?} {config:?}", why());
    assert!(!told.contains(SECRET) && !told.contains("wrong-horse"), "{told}");
    let source = Source::default();
    source.set("k", "v");
    assert_eq!(over(Some(redis.clone()), &source).get("k").await.unwrap(), "v", "it works without");
    why()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn a_user_with_a_password_and_only_our_keys() {
    let server = Redis::start().unwrap();
    let open_to_all = config(&[server.address()], false);
    let prefix = &open_to_all.prefix;
    server
        .command(&format!(
            "ACL SETUSER shop on >{SECRET} ~{prefix}:* &{prefix}:* +@all -@admin -@dangerous +info"
        ))
        .unwrap();
    server.command("ACL SETUSER default off").unwrap();
    let as_shop = |password: &str| RedisConfig {
        username: "shop".to_owned(),
        password: password.into(),
        ..open_to_all.clone()
    };
    assert!(refused(&open_to_all).await.contains("NOAUTH"));
    assert!(refused(&as_shop("wrong-horse")).await.contains("WRONGPASS"));
    let source = Source::default();
    source.set("k", "one");
    let (a, b) = (process(&as_shop(SECRET), &source).await, process(&as_shop(SECRET), &source).await);
    a.sees("k", "one").await;
    b.sees("k", "one").await;
    assert_eq!(source.loads(), 1, "b found it in Redis");
    a.change("k", "two").await;
    b.sees("k", "two").await;
}

/// An authority and a certificate for 127.0.0.1, by openssl.
fn certificates(folder: &Path) {
    let run = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .expect("needs `openssl` on the PATH (Debian: apt-get install openssl)");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ours"));
    run(&format!("req -x509 {key} -keyout other.key -out other.pem -days 2 -subj /CN=theirs"));
    run(&format!("req -new {key} -keyout server.key -out server.csr -subj /CN=redis"));
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    run(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn encrypted_and_only_with_a_server_that_is_known() {
    let server = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let port = free_port();
    let (certificate, key, roots) = (path("server.pem"), path("server.key"), path("ca.pem"));
    let set = format!(
        "CONFIG SET tls-cert-file {certificate} tls-key-file {key} tls-ca-cert-file {roots} \
         tls-auth-clients no tls-port {port}"
    );
    assert_eq!(server.command(&set).unwrap(), "OK");
    let plain = config(&[format!("127.0.0.1:{port}")], false);
    let with = |roots: &str| RedisConfig { tls: true, tls_roots: path(roots), ..plain.clone() };
    let source = Source::default();
    source.set("k", "one");
    let (a, b) = (over(Some(open(&with("ca.pem")).await), &source), process(&with("ca.pem"), &source).await);
    a.sees("k", "one").await;
    a.change("k", "two").await;
    b.sees("k", "two").await;
    let why = refused(&with("other.pem")).await;
    assert!(why.to_ascii_lowercase().contains("certificate"), "{why}");
    // Neither by accident in the clear.
    refused(&plain).await;
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
