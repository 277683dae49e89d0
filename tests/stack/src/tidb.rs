//! TiDB on its embedded store.

use std::{fs, io::Read, ops::Deref, path::Path, time::Duration};

use anyhow::Result;

use crate::{Part, Place, Server, http, ports::Ports, server::Plan};

/// A TiDB server on `unistore`, the store inside its own process. User `root` without a password, database `meridian`.
///
/// Unistore is not TiKV: it is not crash-safe across tables, so [`Server::kill`] on it may leave half a transaction. Crash
/// tests kill *our* processes and end this one with [`Server::stop`]. `FOR UPDATE SKIP LOCKED` returns locked rows and
/// `FOR SHARE` locks nothing. Nothing measured on it is a figure of a TiKV cluster.
pub struct Tidb(Server);

impl Tidb {
    /// The database that is there from the start.
    pub const DATABASE: &'static str = "meridian";

    /// Starts one for this process.
    pub fn start() -> Result<Self> {
        Self::start_at(&Place::Temporary)
    }

    /// Starts one there.
    pub fn start_at(place: &Place) -> Result<Self> {
        Server::start(Part::Tidb, place, &["sql", "status"], &plan).map(Self)
    }

    /// `127.0.0.1:port` for SQL.
    pub fn address(&self) -> String {
        self.address_of("sql")
    }

    /// Port for SQL, on 127.0.0.1.
    pub fn sql_port(&self) -> u16 {
        self.port("sql")
    }

    /// `127.0.0.1:port` of its HTTP status interface.
    pub fn status_address(&self) -> String {
        self.address_of("status")
    }

    /// The variables that point `meridian` at it.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("MERIDIAN__DATABASE__ENGINE", "tidb".to_owned()),
            ("MERIDIAN__DATABASE__TIDB__HOST", "127.0.0.1".to_owned()),
            ("MERIDIAN__DATABASE__TIDB__PORT", self.sql_port().to_string()),
            ("MERIDIAN__DATABASE__TIDB__USER", "root".to_owned()),
            ("MERIDIAN__DATABASE__TIDB__DATABASE", Self::DATABASE.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl Deref for Tidb {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

fn plan(home: &Path, folder: &Path, ports: &Ports) -> Result<Plan> {
    let (sql, status) = (ports["sql"], ports["status"]);
    fs::create_dir_all(folder.join("tmp"))?;
    // Run once, before the server first listens. Tables are made in a third of the time, and nobody analyses those of tests.
    let first = folder.join("first.sql");
    fs::write(
        &first,
        format!(
            "CREATE DATABASE IF NOT EXISTS {};\nSET GLOBAL tidb_enable_fast_create_table = ON;\n\
             SET GLOBAL tidb_enable_auto_analyze = OFF;\n",
            Tidb::DATABASE
        ),
    )?;
    let settings = folder.join("tidb.toml");
    fs::write(
        &settings,
        format!(
            "[log]\nlevel = \"warn\"\nslow-query-file = \"{}\"\n",
            folder.join("slow-queries.log").display()
        ),
    )?;
    let arguments = [
        ("--config", settings),
        ("--initialize-sql-file", first),
        ("--store", "unistore".into()),
        ("--path", folder.join("data")),
        ("--host", "127.0.0.1".into()),
        ("--advertise-address", "127.0.0.1".into()),
        ("-P", sql.to_string().into()),
        ("--status-host", "127.0.0.1".into()),
        ("--status", status.to_string().into()),
        ("--socket", folder.join("tidb.sock")),
        ("--temp-dir", folder.join("tmp")),
    ];
    Ok(Plan {
        program: home.join("tidb-server"),
        arguments: arguments.into_iter().flat_map(|(name, value)| [name.into(), value.into()]).collect(),
        before: Box::new(|| Ok(())),
        ready: Box::new(move || http::ok(status, "/status") && greets(sql)),
        limit: Duration::from_secs(60),
    })
}

/// Whether a MySQL server greets: its first packet is the handshake, protocol version 10 behind the four bytes of length and
/// number (MySQL protocol, HandshakeV10).
fn greets(port: u16) -> bool {
    let mut head = [0; 5];
    http::connect(port, Duration::from_secs(2)).is_ok_and(|mut stream| stream.read_exact(&mut head).is_ok())
        && head[4] == 10
}
