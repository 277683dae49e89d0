//! A stand-in for a Meilisearch server, which no registry serves: it speaks the documented HTTP API (version 1.16 on) over
//! indexes in memory, and is no proof of anything about the real one.
//!
//! Written from Meilisearch's API reference. Faithful: routes, statuses, error codes, asynchronous tasks (a change is visible only
//! when its task is done), unknown parameters refused, filters, sorts and facets refused on attributes that the settings do
//! not allow, the filter syntax, the typo rule (none below five letters, one from five, two from nine, a wrong first letter
//! counts as two), prefixes in the last word, pairs of words written as one, ranking rules, swaps, the bearer key.
//! Simpler: Chinese is cut into single characters that must follow each other; no synonyms, no vectors, no geography, no dumps; a
//! word is not split in two; ranking scores are rough; nothing is stored.

mod filter;
mod index;
mod query;
mod routes;
mod settings;
mod tasks;
mod words;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, web::Data};
use anyhow::{Context, Result};

use self::tasks::Store;

/// How long a task waits before it is done.
const TASK: Duration = Duration::from_millis(10);

/// A stand-in for a Meilisearch server, on a free port of the loopback address. Stops when dropped.
#[derive(Debug)]
pub struct MeilisearchStandIn {
    address: SocketAddr,
    key: String,
    store: Arc<Mutex<Store>>,
    serving: Option<(ServerHandle, thread::JoinHandle<()>)>,
}

impl MeilisearchStandIn {
    /// Starts one, empty.
    pub fn start() -> Result<Self> {
        // Below the ports of clients: it is still free when the stand-in comes back.
        let listener = TcpListener::bind(("127.0.0.1", stack::free_ports(1)?[0]))?;
        let mut stand_in = Self {
            address: listener.local_addr()?,
            key: format!("key-{:032x}", rand::random::<u128>()),
            store: Arc::new(Mutex::new(Store::new(TASK))),
            serving: None,
        };
        stand_in.serve(listener)?;
        Ok(stand_in)
    }

    /// Its address, `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The key it wants.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Names of the indexes it has.
    pub fn indexes(&self) -> Vec<String> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.work();
        store.indexes.keys().cloned().collect()
    }

    /// Loses everything it has.
    pub fn wipe(&self) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = Store::new(TASK);
    }

    /// Stops answering; what it has stays.
    pub fn stop(&mut self) {
        if let Some((handle, thread)) = self.serving.take() {
            // `stop` sends the order when it is called; its future only waits.
            drop(handle.stop(false));
            let _ = thread.join();
            // Its workers end a little later, and answer on kept-alive connections until then.
            for _ in 0..1_000 {
                if Arc::strong_count(&self.store) == 1 {
                    break;
                }
                thread::sleep(TASK);
            }
        }
    }

    /// Answers again, at the same address.
    pub fn resume(&mut self) -> Result<()> {
        if self.serving.is_none() {
            let listener = TcpListener::bind(self.address).context("the stand-in's port was taken")?;
            self.serve(listener)?;
        }
        Ok(())
    }

    fn serve(&mut self, listener: TcpListener) -> Result<()> {
        let store = Data::from(self.store.clone());
        let key = Data::new(routes::Key(self.key.clone()));
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let served = actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    App::new().app_data(store.clone()).app_data(key.clone()).configure(routes::routes)
                };
                let server = HttpServer::new(app).workers(2).disable_signals().listen(listener)?.run();
                let _ = tell.send(server.handle());
                server.await
            });
            if let Err(error) = served {
                eprintln!("the Meilisearch stand-in ended: {error}");
            }
        });
        let handle = told.recv_timeout(Duration::from_secs(60)).context("the stand-in did not start")?;
        self.serving = Some((handle, thread));
        Ok(())
    }
}

impl Drop for MeilisearchStandIn {
    fn drop(&mut self) {
        self.stop();
    }
}
