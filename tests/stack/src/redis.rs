//! Redis, alone and as a cluster.

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    ops::Deref,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{Part, Place, Server, http, ports::Ports, process::until, server::Plan};

/// Longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Hash slots of a cluster (Redis cluster specification).
const SLOTS: u32 = 16_384;

/// One Redis server that writes nothing down by itself: after [`Server::kill`] and [`Server::restart`] it is empty,
/// unless it was told to [save](Redis::save).
pub struct Redis(Server);

impl Redis {
    /// Starts one for this process.
    pub fn start() -> Result<Self> {
        Self::start_at(&Place::Temporary)
    }

    /// Starts one there.
    pub fn start_at(place: &Place) -> Result<Self> {
        Server::start(Part::Redis, place, &["redis"], &|home, folder, ports| plan(home, folder, ports, false))
            .map(Self)
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.address_of("redis")
    }

    /// Sends one command, its words separated by spaces, and gives the answer as text; a bulk answer without its
    /// length, nil as an empty one.
    pub fn command(&self, command: &str) -> Result<String> {
        ask(self.port("redis"), command)
    }

    /// The keys that match a glob-style pattern without spaces, in no order.
    pub fn keys(&self, pattern: &str) -> Result<Vec<String>> {
        let script = "return table.concat(redis.call('keys', ARGV[1]), string.char(10))";
        let answer = self.command(&format!("EVAL \"{script}\" 0 {pattern}"))?;
        Ok(answer.lines().map(str::to_owned).collect())
    }

    /// Writes everything down, for a restart to find.
    pub fn save(&self) -> Result<()> {
        self.done("SAVE")
    }

    /// Kills it and starts it again with nothing, whatever was saved.
    pub fn restart_wiped(&self) -> Result<()> {
        self.kill()?;
        match fs::remove_file(self.folder().join("dump.rdb")) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => self.restart(),
        }
    }

    /// The variables that point `meridian` at it.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(&[self.address()], false)
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

/// Three masters that share the hash slots, without replicas.
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts one for this process and waits until every node says that the cluster is whole.
    pub fn start() -> Result<Self> {
        let node = |_| {
            Server::start(Part::Redis, &Place::Temporary, &["redis", "bus"], &|home, folder, ports| {
                plan(home, folder, ports, true)
            })
            .map(Redis)
        };
        let nodes = (0..3).map(node).collect::<Result<Vec<_>>>()?;
        let count = u32::try_from(nodes.len())?;
        for (index, node) in (0..count).zip(&nodes) {
            let (first, end) = (SLOTS * index / count, SLOTS * (index + 1) / count);
            // Distinct epochs from the start, or the nodes spend seconds on settling who is newer.
            node.done(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1))?;
            node.done(&format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1))?;
        }
        for node in &nodes[1..] {
            let (port, bus) = (node.port("redis"), node.port("bus"));
            nodes[0].done(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}"))?;
        }
        let cluster = Self { nodes };
        if until(Duration::from_secs(30), || cluster.whole()) {
            return Ok(cluster);
        }
        bail!("the Redis cluster is not whole: {:?}", cluster.nodes[0].command("CLUSTER NODES"))
    }

    /// Its nodes.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// `127.0.0.1:port` of every node.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::address).collect()
    }

    /// Whether every node sees all slots served and all nodes.
    pub fn whole(&self) -> bool {
        self.nodes.iter().all(|node| {
            node.command("CLUSTER INFO").is_ok_and(|info| {
                let has = |line: &str| info.lines().any(|found| found.trim() == line);
                has("cluster_state:ok") && has(&format!("cluster_known_nodes:{}", self.nodes.len()))
            })
        })
    }

    /// The variables that point `meridian` at it.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(&self.addresses(), true)
    }
}

impl Redis {
    /// A command whose answer is OK.
    fn done(&self, command: &str) -> Result<()> {
        let answer = self.command(command)?;
        if answer == "OK" { Ok(()) } else { bail!("{command}: {answer}") }
    }
}

fn environment(nodes: &[String], cluster: bool) -> Vec<(String, String)> {
    [
        ("MERIDIAN__REDIS__ENGINE", "redis".to_owned()),
        // A list, as in TOML.
        ("MERIDIAN__REDIS__NODES", format!("{nodes:?}")),
        ("MERIDIAN__REDIS__CLUSTER", cluster.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn plan(home: &Path, folder: &Path, ports: &Ports, cluster: bool) -> Result<Plan> {
    let port = ports["redis"];
    let mut settings = format!(
        "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nappendonly no\ndaemonize no\n",
        folder.display()
    );
    if cluster {
        // The nodes' own patience (15 s): with less, one that a busy machine did not let run counts as dead.
        settings.push_str(&format!(
            "cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-port {}\n",
            ports["bus"]
        ));
    }
    let file = folder.join("redis.conf");
    fs::write(&file, settings)?;
    Ok(Plan {
        program: home.to_path_buf(),
        arguments: vec![file.into()],
        before: Box::new(|| Ok(())),
        ready: Box::new(move || ask(port, "PING").is_ok_and(|answer| answer == "PONG")),
        limit: Duration::from_secs(30),
    })
}

/// One inline command and its answer (RESP2: status, error, number or bulk).
fn ask(port: u16, command: &str) -> Result<String> {
    let mut stream = http::connect(port, LIMIT)?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", text)) => Ok(text.to_owned()),
        Some(("-", error)) => bail!("{command}: {error}"),
        Some(("$", "-1")) => Ok(String::new()),
        Some(("$", length)) => {
            let mut bytes = vec![0; length.parse().context("a bulk answer has a length")?];
            reader.read_exact(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => bail!("{command}: an answer of a kind this does not read: {line}"),
    }
}
