//! Real Redis servers: started on free loopback ports in folders of their own, gone when dropped.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a server that cannot be started fails its test")]

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a server may take to start.
const LIMIT: Duration = Duration::from_secs(20);

/// A `redis-server`.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

impl Server {
    /// A server that keeps nothing but what it is told to.
    pub fn start() -> Self {
        Self::with(free_port(), &[])
    }

    fn with(port: u16, arguments: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { child: None, port, arguments: arguments.to_vec(), folder };
        server.run();
        server
    }

    fn run(&mut self) {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(self.port.to_string())
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server cannot be started: apt-get install redis-server");
        self.child = Some(child);
        let start = Instant::now();
        while self.cli(&["ping"]).trim() != "PONG" {
            assert!(start.elapsed() < LIMIT, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its address, `host:port`.
    pub fn node(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` says.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(arguments)
            .output()
            .expect("redis-cli cannot be started: apt-get install redis-tools");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The keys that match a pattern.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        self.cli(&["--raw", "keys", pattern]).lines().map(str::to_owned).collect()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Writes everything down, for a restart to find.
    pub fn save(&self) {
        assert_eq!(self.cli(&["save"]).trim(), "OK");
    }

    /// Starts again, with what was [saved](Self::save) if anything was.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Starts again with nothing.
    pub fn restart_wiped(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(self.folder.path().join("dump.rdb"));
        self.run();
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Three primaries.
#[derive(Debug)]
pub struct Cluster(
    /// Its nodes.
    pub Vec<Server>,
);

impl Cluster {
    /// Started and joined.
    pub fn start() -> Self {
        let nodes: Vec<Server> = (0..3)
            .map(|_| {
                let arguments = [
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &free_port().to_string(),
                    "--cluster-node-timeout",
                    "2000",
                ];
                Server::with(free_port(), &arguments.map(str::to_owned))
            })
            .collect();
        let addresses: Vec<String> = nodes.iter().map(Server::node).collect();
        let mut arguments = vec!["--cluster", "create"];
        arguments.extend(addresses.iter().map(String::as_str));
        arguments.push("--cluster-yes");
        nodes[0].cli(&arguments);
        let cluster = Self(nodes);
        cluster.wait();
        cluster
    }

    /// Waits until all slots are served.
    pub fn wait(&self) {
        let start = Instant::now();
        while !self.0.iter().all(|node| node.cli(&["cluster", "info"]).contains("cluster_state:ok")) {
            assert!(start.elapsed() < LIMIT, "the cluster does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its nodes' addresses.
    pub fn nodes(&self) -> Vec<String> {
        self.0.iter().map(Server::node).collect()
    }

    /// The node that keeps a key that ends so.
    pub fn keeper(&self, ending: &str) -> Option<usize> {
        self.0.iter().position(|node| node.keys("*").iter().any(|key| key.ends_with(ending)))
    }
}

/// A running server that somebody named, or one of our own.
pub fn any() -> (Option<Server>, String) {
    match std::env::var("MERIDIAN_TEST_REDIS") {
        Ok(node) if !node.is_empty() => (None, node),
        _ => {
            let server = Server::start();
            let node = server.node();
            (Some(server), node)
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
