//! Free loopback ports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{BuildHasher, RandomState},
    net::TcpListener,
    sync::Mutex,
};

use anyhow::{Context, Result, bail};

/// Ports of a server by what they are for.
pub type Ports = BTreeMap<String, u16>;

/// Ports this process gave out: a server takes seconds until it binds its own.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

const LOWEST: u16 = 10_240;

/// A free port for each name.
pub(crate) fn free(names: &[&str]) -> Result<Ports> {
    Ok(names.iter().map(|name| (*name).to_owned()).zip(free_ports(names.len())?).collect())
}

/// Free ports of the loopback address, different from each other and from every other this process was given.
///
/// They lie below the range from which the system takes the ports of outgoing connections. A server that is down for a
/// moment would otherwise lose its port to a client; a client that keeps dialling it can even reach itself that way.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    let highest = first_ephemeral().unwrap_or(32_768).max(LOWEST + 1000);
    let mut given = GIVEN.lock().ok().context("a thread failed while it took ports")?;
    let mut ports = Vec::new();
    let seed = RandomState::new();
    for attempt in 0..10_000_u32 {
        if ports.len() == count {
            return Ok(ports);
        }
        let span = u64::from(highest - LOWEST);
        let port = LOWEST + u16::try_from(seed.hash_one(attempt) % span)?;
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            ports.push(port);
        }
    }
    bail!("no free loopback port between {LOWEST} and {highest}")
}

/// ip(7): where `ip_local_port_range` begins.
fn first_ephemeral() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    #[test]
    fn ports_are_distinct_free_and_never_a_clients() {
        let ports = free(&["a", "b", "c"]).expect("three ports");
        assert_eq!(ports.len(), 3);
        let distinct: BTreeSet<_> = ports.values().collect();
        assert_eq!(distinct.len(), 3);
        for port in ports.values() {
            assert!(*port < first_ephemeral().expect("Linux tells"));
            assert!(can_be_bound(*port), "port {port} is not free");
        }
    }

    /// Asks for a second: a process that another test is just forking has our closed socket until it executes its program.
    fn can_be_bound(port: u16) -> bool {
        (0..100).any(|_| {
            TcpListener::bind(("127.0.0.1", port)).is_ok() || {
                thread::sleep(Duration::from_millis(10));
                false
            }
        })
    }
}
