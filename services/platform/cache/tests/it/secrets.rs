//! Users, passwords and encrypted connections.

use std::{path::Path, time::Duration};

use platform_cache::RedisConfig;
use stack::{Certificates, Redis};

use crate::{Source, config, open, over, process, until};

/// A password that nothing may tell.
const SECRET: &str = "correct-horse-battery";

/// Waits until Redis cannot be used because of this; nothing tells the password.
async fn refused(config: &RedisConfig, because: &str) {
    let redis = platform_cache::Redis::open(config).unwrap().unwrap();
    let why = || redis.health().unwrap_err().message().to_owned();
    until("it is tried", async || !why().contains("not connected yet")).await;
    // On a busy machine a try may have come to nothing before it was refused.
    let told = || why().to_ascii_lowercase().contains(because);
    until(&format!("it is refused because of {because}"), async || told()).await;
    assert!(!redis.connected(Duration::from_millis(300)).await);
    let told = format!("{} {redis:?} {config:?}", why());
    assert!(!told.contains(SECRET) && !told.contains("wrong-horse"), "{told}");
    let source = Source::default();
    source.set("k", "v");
    assert_eq!(over(Some(redis.clone()), &source).get("k").await.unwrap(), "v", "it works without");
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
    refused(&open_to_all, "noauth").await;
    refused(&as_shop("wrong-horse"), "wrongpass").await;
    let source = Source::default();
    source.set("k", "one");
    let (a, b) = (process(&as_shop(SECRET), &source).await, process(&as_shop(SECRET), &source).await);
    a.sees("k", "one").await;
    b.sees("k", "one").await;
    assert_eq!(source.loads(), 1, "b found it in Redis");
    a.change("k", "two").await;
    b.sees("k", "two").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn encrypted_and_only_with_a_server_that_is_known() {
    let server = Redis::start().unwrap();
    let certificates = Certificates::new().unwrap();
    let port = stack::free_ports(1).unwrap()[0];
    let set = format!(
        "CONFIG SET tls-cert-file {} tls-key-file {} tls-ca-cert-file {} tls-auth-clients no tls-port {port}",
        certificates.certificate().display(),
        certificates.key().display(),
        certificates.authority().display(),
    );
    assert_eq!(server.command(&set).unwrap(), "OK");
    let plain = config(&[format!("127.0.0.1:{port}")], false);
    let with = |roots: &Path| RedisConfig {
        tls: true,
        tls_roots: roots.to_str().unwrap().to_owned(),
        ..plain.clone()
    };
    let known = with(&certificates.authority());
    let source = Source::default();
    source.set("k", "one");
    let (a, b) = (over(Some(open(&known).await), &source), process(&known, &source).await);
    a.sees("k", "one").await;
    a.change("k", "two").await;
    b.sees("k", "two").await;
    refused(&with(&certificates.other_authority()), "certificate").await;
    // Neither by accident in the clear.
    refused(&plain, "").await;
}
