//! Opens each adapter, empty.

use std::{any::Any, sync::Once, time::Duration};

use platform_index::{Meilisearch, MeilisearchSettings, ProductIndex, Settings, Tantivy};
use support::MeilisearchStandIn;

/// An index and what it lives on.
pub(crate) struct Opened {
    pub(crate) index: Box<dyn ProductIndex>,
    _keeps: Box<dyn Any + Send + Sync>,
    /// On a server that others use too: where, and what to remove.
    remove: Option<(String, String, String)>,
}

impl Opened {
    /// Removes what a server would keep.
    pub(crate) async fn close(self) {
        let Some((url, key, index)) = self.remove else { return };
        for uid in [format!("{index}-1"), format!("{index}-1-build")] {
            let gone = reqwest::Client::new().delete(format!("{url}/indexes/{uid}")).bearer_auth(&key).send();
            gone.await.expect("the server takes the removal");
        }
    }
}

pub(crate) async fn tantivy() -> Option<Opened> {
    let folder = tempfile::tempdir().expect("a folder");
    let index = Tantivy::at(folder.path(), Settings::default());
    assert!(index.may_write().await.expect("the place is free"));
    Some(Opened { index: Box::new(index), _keeps: Box::new(folder), remove: None })
}

/// The adapter's settings for a server.
pub(crate) fn settings(url: &str, key: &str, index: &str) -> MeilisearchSettings {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    MeilisearchSettings {
        url: url.to_owned(),
        key: key.to_owned().into(),
        index: index.to_owned(),
        timeout: Duration::from_secs(10),
        task_timeout: Duration::from_secs(60),
        batch: 7,
    }
}

pub(crate) async fn stand_in() -> Option<Opened> {
    let server = MeilisearchStandIn::start().expect("the stand-in starts");
    let index = Meilisearch::new(settings(&server.url(), server.key(), "products")).expect("settings");
    assert!(index.may_write().await.expect("the server answers"));
    Some(Opened { index: Box::new(index), _keeps: Box::new(server), remove: None })
}

/// The real server, where one is named; else it is said that none was.
#[allow(clippy::disallowed_methods, clippy::print_stderr, reason = "a test's own configuration")]
pub(crate) async fn server() -> Option<Opened> {
    let Ok(url) = std::env::var("MERIDIAN_MEILISEARCH_URL") else {
        static SAID: Once = Once::new();
        // Written past the capture of tests: a run without the real part says so.
        SAID.call_once(|| {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "Meilisearch: stand-in, unproven");
        });
        return None;
    };
    let key = std::env::var("MERIDIAN_MEILISEARCH_KEY").unwrap_or_default();
    let name = format!("conformance-{:016x}", rand::random::<u64>());
    let index = Meilisearch::new(settings(&url, &key, &name)).expect("settings");
    assert!(index.may_write().await.expect("the server answers"));
    let url = url.trim_end_matches('/').to_owned();
    Some(Opened { index: Box::new(index), _keeps: Box::new(()), remove: Some((url, key, name)) })
}
