//! Requests to servers on this machine while they start: HTTP/1.0, one a connection, every wait bounded.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};

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

/// Status and body of the answer.
pub(crate) fn request(
    method: &str,
    port: u16,
    path: &str,
    json: Option<&str>,
    limit: Duration,
) -> Result<(u16, String)> {
    let body = json.unwrap_or_default();
    let mut stream = connect(port, limit)?;
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(LONGEST).read_to_end(&mut bytes)?;
    let answer = String::from_utf8_lossy(&bytes);
    let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP answer has a head")?;
    let status = head.split(' ').nth(1).context("an HTTP answer has a status")?.parse()?;
    Ok((status, body.to_owned()))
}

/// Whether a GET answers 200.
pub(crate) fn ok(port: u16, path: &str) -> bool {
    request("GET", port, path, None, Duration::from_secs(2)).is_ok_and(|(status, _)| status == 200)
}
