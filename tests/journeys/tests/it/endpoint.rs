//! Where callbacks go that fail: an HTTP endpoint of the test's own, dead at first or for good.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// An endpoint on a free port; ends when dropped.
pub(crate) struct Endpoint {
    port: u16,
    seen: Arc<Seen>,
    serving: JoinHandle<()>,
}

struct Seen {
    /// When each request came.
    hits: Mutex<Vec<Instant>>,
    /// Requests that still get 503; what follows is passed on.
    failures: AtomicUsize,
    /// Where to.
    target: Mutex<String>,
}

impl Endpoint {
    /// Answers 503 to this many requests and passes later ones on to [`Endpoint::pass_on_to`].
    pub(crate) async fn failing(failures: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Seen {
            hits: Mutex::default(),
            failures: AtomicUsize::new(failures),
            target: Mutex::default(),
        });
        let of_task = Arc::clone(&seen);
        #[expect(clippy::disallowed_methods, reason = "ends with the endpoint, which aborts it")]
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One at a time: the provider's callbacks of a test are few. A client that breaks off is its own affair.
                let _ = answer(stream, &of_task).await;
            }
        });
        Ok(Self { port, seen, serving })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/callbacks", self.port)
    }

    pub(crate) fn pass_on_to(&self, url: String) -> Result<()> {
        *self.seen.target.lock().ok().context("poisoned")? = url;
        Ok(())
    }

    /// Pauses between the requests so far; one fewer than there were requests.
    pub(crate) fn pauses(&self) -> Result<Vec<Duration>> {
        let hits = self.seen.hits.lock().ok().context("poisoned")?;
        Ok(hits.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect())
    }

    pub(crate) fn hits(&self) -> Result<usize> {
        Ok(self.seen.hits.lock().ok().context("poisoned")?.len())
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(stream: TcpStream, seen: &Seen) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut headers, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse()?,
            "host" => {}
            name => headers.push((name.to_owned(), value.to_owned())),
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    seen.hits.lock().ok().context("poisoned")?.push(Instant::now());
    let dead =
        seen.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    let (status, text) = if dead {
        (503, "no".to_owned())
    } else {
        let target = seen.target.lock().ok().context("poisoned")?.clone();
        let mut request = reqwest::Client::builder().no_proxy().build()?.post(target).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await?;
        (answer.status().as_u16(), answer.text().await?)
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(text.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}
