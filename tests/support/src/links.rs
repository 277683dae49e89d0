//! The lines between regions, and between a region and its database: relays of ours on loopback, which can be cut in one
//! direction or both.
//!
//! A cut line drops nothing that a sender was told had arrived, and closes nothing: bytes wait, as packets that TCP sends
//! again, and come late when the line is mended. What a line carries is known by who opened it: the database's lines are a
//! region's own, and of a connection to a region's endpoint the kernel knows the process (`/proc`, Linux), the process its
//! region.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    task::AbortHandle,
};

/// Who is at an end of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A region, by name.
    Region(String),
    /// The regions' database.
    Database,
}

/// What one node sends to another does not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The sender.
    pub from: Node,
    /// Who waits for it.
    pub to: Node,
}

/// The cuts of now.
type Cuts = Arc<Vec<Cut>>;

/// Relays; when dropped they take no new connections, and a line that could be cut ends at its next byte.
#[derive(Debug)]
pub struct Links {
    cuts: watch::Sender<Cuts>,
    relays: Vec<AbortHandle>,
}

impl Links {
    /// No lines yet.
    pub(crate) fn none() -> Self {
        Self { cuts: watch::Sender::default(), relays: Vec::new() }
    }

    /// A relay to a region that listens at `target`; where others reach it.
    pub(crate) async fn line_to_region(&mut self, name: &str, target: SocketAddr) -> Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (to, cuts) = (Node::Region(name.to_owned()), self.cuts.subscribe());
        let relay = tokio::spawn(async move {
            while let Ok((accepted, peer)) = listener.accept().await {
                // Who cannot be told is nobody whose line could be cut: our own clients.
                let from = caller(peer, address).ok().flatten();
                tokio::spawn(carry(accepted, target, from, to.clone(), cuts.clone()));
            }
        });
        self.relays.push(relay.abort_handle());
        Ok(address)
    }

    /// A relay to the database for one region; where that region reaches it.
    pub(crate) async fn line_to_database(&mut self, region: &str, target: SocketAddr) -> Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (from, cuts) = (Node::Region(region.to_owned()), self.cuts.subscribe());
        let relay = tokio::spawn(async move {
            while let Ok((accepted, _)) = listener.accept().await {
                tokio::spawn(carry(accepted, target, Some(from.clone()), Node::Database, cuts.clone()));
            }
        });
        self.relays.push(relay.abort_handle());
        Ok(address)
    }

    /// These lines are cut and no others; none: all are whole again.
    pub fn cut(&self, cuts: Vec<Cut>) {
        self.cuts.send_replace(Arc::new(cuts));
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.relays.iter().for_each(AbortHandle::abort);
    }
}

async fn carry(
    accepted: TcpStream,
    target: SocketAddr,
    from: Option<Node>,
    to: Node,
    cuts: watch::Receiver<Cuts>,
) {
    let Ok(opened) = TcpStream::connect(target).await else { return };
    // Nagle's waiting is not what is measured.
    let _ = (accepted.set_nodelay(true), opened.set_nodelay(true));
    let (from_caller, to_caller) = accepted.into_split();
    let (from_target, to_target) = opened.into_split();
    let line = |from: Node, to: Node| Cut { from, to };
    let (there, back) = (from.clone().map(|from| line(from, to.clone())), from.map(|from| line(to, from)));
    let there = pump(from_caller, to_target, there, cuts.clone());
    let back = pump(from_target, to_caller, back, cuts);
    // An end that fails ends the whole: the other side must see a broken connection, not a silent one.
    let _ = tokio::try_join!(there, back);
}

/// Carries bytes and then the end, each once the line is whole.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    line: Option<Cut>,
    mut cuts: watch::Receiver<Cuts>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut bytes).await;
        if let Some(line) = &line {
            // An error: the links are gone, and the connection with them.
            let whole = cuts.wait_for(|cuts| !cuts.contains(line)).await;
            whole.map_err(|_| io::Error::from(io::ErrorKind::NotConnected))?;
        }
        match read? {
            0 => return to.shutdown().await,
            n => to.write_all(&bytes[..n]).await?,
        }
    }
}

/// The region whose process opened the connection from `peer` to `here`.
fn caller(peer: SocketAddr, here: SocketAddr) -> Result<Option<Node>> {
    let hex = |address: SocketAddr| match address {
        SocketAddr::V4(address) => {
            format!("{:08X}:{:04X}", u32::from_le_bytes(address.ip().octets()), address.port())
        }
        SocketAddr::V6(_) => String::new(),
    };
    let (peer, here) = (hex(peer), hex(here));
    let table = fs::read_to_string("/proc/net/tcp").context("there is no table of connections")?;
    let inode = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        (fields.next() == Some(&peer) && fields.next() == Some(&here)).then(|| fields.nth(6))?
    });
    let Some(inode) = inode else { return Ok(None) };
    let socket = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc")?.flatten() {
        // A process may end while it is looked at.
        if let Some(region) = region_of(&process.path())
            && holds(&process.path(), &socket).unwrap_or(false)
        {
            return Ok(Some(Node::Region(region)));
        }
    }
    Ok(None)
}

/// The region that a process was told to be.
fn region_of(process: &Path) -> Option<String> {
    let environment = fs::read(process.join("environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let name = variables.find_map(|variable| variable.strip_prefix(b"MERIDIAN__REGION__NAME="))?;
    String::from_utf8(name.to_vec()).ok()
}

fn holds(process: &Path, socket: &str) -> io::Result<bool> {
    let mut files = fs::read_dir(process.join("fd"))?.flatten();
    Ok(files.any(|file| fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == socket)))
}
