//! Section `catalog` of the configuration.

use std::time::Duration;

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Section `catalog`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogConfig {
    /// How long this process keeps a product, the category tree and the brands while it does not hear of changes: without
    /// a Redis other processes' changes show after this time at the latest, its own at once.
    #[serde(with = "humantime_serde")]
    pub cache_ttl: Duration,
    /// Products kept.
    pub cached_products: u64,
    /// How long the public JSON of a product is kept: price and `available` are at most this old.
    #[serde(with = "humantime_serde")]
    pub page_ttl: Duration,
    /// Public product documents kept.
    pub cached_pages: u64,
    /// How long counts of products in categories are kept.
    #[serde(with = "humantime_serde")]
    pub counts_ttl: Duration,
    /// Images.
    pub images: ImagesConfig,
}

/// Section `catalog.images`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImagesConfig {
    /// Whether images named by an address are fetched; where not, all get a drawn placeholder.
    pub fetch: bool,
    /// How often to look for images to fetch.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Fetches at the same time.
    pub concurrency: usize,
    /// Images taken in one look.
    pub batch: u64,
    /// How long one fetch may take, redirects included.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The largest image, in bytes; also of uploads.
    pub max_bytes: usize,
    /// Attempts before the placeholder becomes final.
    pub attempts: i32,
    /// Wait after the first failed attempt; doubles with each further one.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
    /// Whether images may come from private and loopback addresses. Leave off: it would let whoever writes a catalog reach
    /// into the network this runs in.
    pub allow_private_addresses: bool,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        Self {
            cache_ttl: Duration::from_secs(10),
            cached_products: 20_000,
            page_ttl: Duration::from_secs(1),
            cached_pages: 20_000,
            counts_ttl: Duration::from_secs(10),
            images: ImagesConfig::default(),
        }
    }
}

impl Default for ImagesConfig {
    fn default() -> Self {
        Self {
            fetch: true,
            every: Duration::from_secs(5),
            concurrency: 8,
            batch: 64,
            timeout: Duration::from_secs(5),
            max_bytes: 10 * 1024 * 1024,
            attempts: 3,
            backoff: Duration::from_secs(60),
            allow_private_addresses: false,
        }
    }
}

impl CatalogConfig {
    /// Checks ranges; the failure names the key.
    pub fn validate(&self) -> Result<()> {
        let images = &self.images;
        for (key, value, most) in [
            ("cached_products", self.cached_products, 10_000_000),
            ("cached_pages", self.cached_pages, 10_000_000),
            ("images.concurrency", images.concurrency as u64, 64),
            ("images.batch", images.batch, 1_000),
            ("images.max_bytes", images.max_bytes as u64, 64 * 1024 * 1024),
        ] {
            if !(1..=most).contains(&value) {
                return Err(Failure::invalid(
                    format!("catalog.{key}"),
                    format!("must lie between 1 and {most}"),
                ));
            }
        }
        if !(1..=20).contains(&images.attempts) {
            return Err(Failure::invalid("catalog.images.attempts", "must lie between 1 and 20"));
        }
        Ok(())
    }
}
