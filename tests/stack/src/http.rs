//! Requests to servers on this machine while they start: every wait is bounded.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::Result;
use ureq::{Agent, http::Request};

/// Longest answer that is read.
const LONGEST: u64 = 1 << 20;

/// A connection to a port of this machine.
pub(crate) fn connect(port: u16, limit: Duration) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    Ok(stream)
}

/// Sends JSON; status and body of the answer.
pub(crate) fn send(
    method: &str,
    port: u16,
    path: &str,
    json: &str,
    limit: Duration,
) -> Result<(u16, String)> {
    let request = Request::builder()
        .method(method)
        .uri(url(port, path))
        .header("Content-Type", "application/json")
        .body(json)?;
    let mut answer = agent(limit).run(request)?;
    let body = answer.body_mut().with_config().limit(LONGEST).read_to_string()?;
    Ok((answer.status().as_u16(), body))
}

/// Whether a GET answers 200.
pub(crate) fn ok(port: u16, path: &str) -> bool {
    let answer = agent(Duration::from_secs(2)).get(url(port, path)).call();
    answer.is_ok_and(|answer| answer.status() == 200)
}

fn url(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

fn agent(limit: Duration) -> Agent {
    // A proxy of the environment knows nothing of this machine's ports.
    Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .new_agent()
}
