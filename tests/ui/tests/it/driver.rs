//! Chromedriver as a child process.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// How long it may take to end what it started.
const STOP: Duration = Duration::from_secs(10);

/// A running chromedriver; stopped when dropped, by its process id and nothing else's.
pub(crate) struct Driver {
    child: Child,
    address: String,
}

impl Driver {
    /// Starts it on a port of its own choice.
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start chromedriver (Debian: apt-get install chromium chromium-driver)")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
        let mut driver = Self { child, address: String::new() };
        // "ChromeDriver was started successfully on port 40123."
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .filter(|line| line.contains("successfully"))
            .find_map(|line| line.rsplit(' ').next()?.trim_end_matches('.').parse::<u16>().ok())
            .context("chromedriver ended before it listened")?;
        driver.address = format!("http://127.0.0.1:{port}");
        // A full pipe would stop it.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(driver)
    }

    /// `http://127.0.0.1:…`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // SIGTERM first: it then ends the browsers it started.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let start = Instant::now();
        while start.elapsed() < STOP {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::park_timeout(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
