//! A server does not outlive the process that started it.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use stack::{Identity, Place, Redis};

/// Set for the process that this test starts from itself and kills.
const CHILD: &str = "STACK_TEST_GUARD_CHILD";

#[test]
#[ignore = "starts real servers: `cargo xtask test --real`"]
fn a_server_dies_with_the_process_that_started_it() {
    if std::env::var_os(CHILD).is_some() {
        let redis = Redis::start().unwrap();
        println!("\nserver {} {}", redis.pid().unwrap(), redis.folder().display());
        // Killed long before; the bound is for a failed test.
        thread::sleep(Duration::from_secs(60));
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "guard::a_server_dies_with_the_process_that_started_it",
            "--nocapture",
            "--ignored",
        ])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("server ").map(str::to_owned))
        .expect("it says which server it started");
    let (pid, folder) = line.split_once(' ').unwrap();
    let server = Identity::of(pid.parse().unwrap()).expect("the server runs");
    child.kill().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    while server.runs() || std::path::Path::new(folder).exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "server {pid} or its folder outlives its process");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "starts real servers: `cargo xtask test --real`"]
fn a_kept_server_goes_on_and_is_stopped_by_its_identity() {
    let folder = tempfile::tempdir().unwrap();
    let place = |ports| Place::Kept { folder: folder.path().join("redis"), ports };
    let redis = Redis::start_at(&place(None)).unwrap();
    let (identity, ports) = (redis.identity().unwrap(), redis.ports().clone());
    drop(redis);
    assert!(identity.runs(), "it goes on");
    assert!(identity.memory_mib().is_some());
    identity.stop(Duration::from_secs(30)).unwrap();
    assert!(!identity.runs());
    let again = Redis::start_at(&place(Some(ports.clone()))).unwrap();
    assert_eq!(again.ports(), &ports, "it has its ports again");
    again.stop().unwrap();
}
