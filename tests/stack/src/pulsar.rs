//! Pulsar standalone: broker, bookie and metadata in one process.

use std::{
    ffi::OsString,
    fs,
    ops::Deref,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{Certificates, Part, Place, Server, http, ports::Ports, server::Plan};

/// What the broker and the bookie need of the JVM: a small heap, and the packages their buffers reach into.
const JVM: &[&str] = &[
    "-Xms128m",
    "-Xmx512m",
    "-XX:MaxDirectMemorySize=384m",
    "-XX:+UseSerialGC",
    "-Djava.net.preferIPv4Stack=true",
    "-Dlog4j2.is.webapp=false",
    "-Djute.maxbuffer=10485760",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dorg.apache.pulsar.shade.io.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.recycler.maxCapacityPerThread=1024",
    "-Dpulsar.allocator.exit_on_oom=true",
    "-Dpulsar.allocator.pooled=true",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.util.zip=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.platform=ALL-UNNAMED",
    "--add-opens=java.base/sun.net=ALL-UNNAMED",
    "--add-opens=java.management/sun.management=ALL-UNNAMED",
    "--add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED",
];

const LOGGING: &str = r#"<Configuration status="WARN">
  <Appenders><Console name="out" target="SYSTEM_OUT"><PatternLayout pattern="%d{ISO8601} %-5p %c{1} - %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"#;

/// A cluster of one Pulsar. It writes every acknowledged message to the disk: [`Server::kill`] loses none.
pub struct Pulsar {
    server: Server,
    cluster: String,
    /// Where it takes encrypted connections, too.
    certificates: Option<Certificates>,
}

impl Pulsar {
    /// The cluster's name where none is given.
    pub const CLUSTER: &'static str = "standalone";

    /// Starts one for this process.
    pub fn start() -> Result<Self> {
        Self::start_named(Self::CLUSTER)
    }

    /// Starts one for this process, as the cluster of this name: several replicate among each other, see
    /// [`Pulsar::introduce`].
    pub fn start_named(cluster: &str) -> Result<Self> {
        Self::start_at(&Place::Temporary, cluster)
    }

    /// Starts one for this process that takes encrypted connections, too.
    pub fn start_encrypted(certificates: Certificates) -> Result<Self> {
        Self::start_with(&Place::Temporary, Self::CLUSTER, Some(certificates))
    }

    /// Starts one there.
    pub fn start_at(place: &Place, cluster: &str) -> Result<Self> {
        Self::start_with(place, cluster, None)
    }

    fn start_with(place: &Place, cluster: &str, certificates: Option<Certificates>) -> Result<Self> {
        let names: &[&str] = match certificates {
            Some(_) => &["broker", "admin", "bookie", "broker_tls", "admin_tls"],
            None => &["broker", "admin", "bookie"],
        };
        let server = Server::start(Part::Pulsar, place, names, &|home, folder, ports| {
            plan(home, folder, ports, cluster, certificates.as_ref())
        })?;
        Ok(Self { server, cluster: cluster.to_owned(), certificates })
    }

    /// Its cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// `pulsar://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("pulsar://{}", self.address_of("broker"))
    }

    /// `http://127.0.0.1:port` of its admin interface.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.address_of("admin"))
    }

    /// What it proves who it is with, where it was [started](Pulsar::start_encrypted) so.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// `pulsar+ssl://127.0.0.1:port`, where it was [started](Pulsar::start_encrypted) so.
    pub fn encrypted_url(&self) -> String {
        format!("pulsar+ssl://{}", self.address_of("broker_tls"))
    }

    /// `https://127.0.0.1:port` of its admin interface, where it was [started](Pulsar::start_encrypted) so.
    pub fn encrypted_admin_url(&self) -> String {
        format!("https://{}", self.address_of("admin_tls"))
    }

    /// Tells this cluster where another one is. Both must know each other, and a tenant must allow both, before a
    /// namespace replicates.
    pub fn introduce(&self, other: &Self) -> Result<()> {
        let path = format!("/admin/v2/clusters/{}", other.cluster);
        let there = serde_json::json!({ "serviceUrl": other.admin_url(), "brokerServiceUrl": other.url() });
        // PUT makes it and says 409 where it is; then POST brings it up to date.
        if self.admin("PUT", &path, &there)? == 409 {
            self.admin("POST", &path, &there)?;
        }
        Ok(())
    }

    /// A request to the admin interface with a JSON body; the status, which is 2xx or 409.
    pub fn admin(&self, method: &str, path: &str, body: &serde_json::Value) -> Result<u16> {
        let text = body.to_string();
        let (status, answer) = http::send(method, self.port("admin"), path, &text, Duration::from_secs(30))?;
        if (200..300).contains(&status) || status == 409 {
            return Ok(status);
        }
        bail!("{method} {path}: {status} {answer}")
    }

    /// The variables that point `meridian` at it.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("MERIDIAN__BUS__ENGINE", "pulsar".to_owned()),
            ("MERIDIAN__BUS__PULSAR__URL", self.url()),
            ("MERIDIAN__BUS__PULSAR__ADMIN_URL", self.admin_url()),
            ("MERIDIAN__BUS__PULSAR__CLUSTER", self.cluster.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl Deref for Pulsar {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Ends the session of a Pulsar that was killed here. A cluster's metadata service does that by itself after some seconds;
/// the standalone's store keeps the ephemeral nodes of the dead, and now and then its bookie registers over its own old node
/// again and again, for ever: "Not enough non-faulty bookies available".
fn expire(home: &Path, folder: &Path) -> Result<()> {
    let metadata = folder.join("metadata");
    if !metadata.exists() {
        return Ok(());
    }
    let program = folder.join("Expire.java");
    fs::write(&program, include_str!("Expire.java"))?;
    let output = Command::new("java")
        .args(["-Xmx256m", "-XX:+UseSerialGC"])
        .arg(format!("-Dlog4j.configurationFile={}", folder.join("log4j2.xml").display()))
        .arg("-cp")
        .arg(home.join("lib").join("*"))
        .arg(&program)
        .arg(&metadata)
        .stdin(Stdio::null())
        .output()
        .context("cannot start java")?;
    ensure!(
        output.status.success(),
        "the sessions of a killed Pulsar do not end:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn plan(
    home: &Path,
    folder: &Path,
    ports: &Ports,
    cluster: &str,
    certificates: Option<&Certificates>,
) -> Result<Plan> {
    let (broker, admin, bookie) = (ports["broker"], ports["admin"], ports["bookie"]);
    let settings = folder.join("standalone.conf");
    let mut own = format!("clusterName={cluster}\nbrokerServicePort={broker}\nwebServicePort={admin}\n");
    if let Some(certificates) = certificates {
        own.push_str(&format!(
            "brokerServicePortTls={}\nwebServicePortTls={}\ntlsCertificateFilePath={}\ntlsKeyFilePath={}\n",
            ports["broker_tls"],
            ports["admin_tls"],
            certificates.certificate().display(),
            certificates.key().display(),
        ));
    }
    fs::write(&settings, format!("{}{own}", include_str!("pulsar.conf")))?;
    let logging = folder.join("log4j2.xml");
    fs::write(&logging, LOGGING)?;
    let mut arguments: Vec<OsString> = JVM.iter().map(OsString::from).collect();
    arguments.push(format!("-Dlog4j.configurationFile={}", logging.display()).into());
    arguments.push("-cp".into());
    // The JVM itself reads the star.
    arguments.push(home.join("lib").join("*").into());
    arguments.push("org.apache.pulsar.PulsarStandaloneStarter".into());
    for (name, value) in [
        ("-c", settings.into_os_string()),
        ("-a", "127.0.0.1".into()),
        ("--bookkeeper-dir", folder.join("bookkeeper").into()),
        ("--metadata-dir", folder.join("metadata").into()),
        ("--bookkeeper-port", bookie.to_string().into()),
    ] {
        arguments.push(name.into());
        arguments.push(value);
    }
    arguments.extend(["--no-functions-worker", "--no-stream-storage"].map(OsString::from));
    let (home, folder) = (home.to_owned(), folder.to_owned());
    Ok(Plan {
        program: "java".into(),
        arguments,
        before: Box::new(move || expire(&home, &folder)),
        ready: Box::new(move || {
            // The second is made last of all.
            http::ok(admin, "/admin/v2/brokers/health")
                && http::ok(admin, "/admin/v2/namespaces/public/default")
        }),
        limit: Duration::from_secs(120),
    })
}
