//! Keys and values as Redis has them.

use std::sync::Arc;

use kernel::{Id, Kind};
use serde::{Serialize, de::DeserializeOwned};

/// A key that other processes understand.
pub trait Key: Sized {
    /// As text.
    fn text(&self) -> String;
    /// From that text.
    fn parse(text: &str) -> Option<Self>;
}

impl<K: Kind> Key for Id<K> {
    fn text(&self) -> String {
        self.to_string()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Key for String {
    fn text(&self) -> String {
        self.clone()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// The key of a cache that keeps one value.
impl Key for () {
    fn text(&self) -> String {
        "-".to_owned()
    }

    fn parse(_: &str) -> Option<Self> {
        Some(())
    }
}

/// How values become bytes.
pub struct Codec<V> {
    pub(crate) encode: fn(&V) -> Option<Vec<u8>>,
    pub(crate) decode: fn(&[u8]) -> Option<V>,
}

impl<V> Clone for Codec<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Codec<V> {}

impl<V> std::fmt::Debug for Codec<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codec")
    }
}

impl<V: Serialize + DeserializeOwned> Codec<V> {
    /// JSON.
    pub fn json() -> Self {
        Self {
            encode: |value| serde_json::to_vec(value).ok(),
            decode: |bytes| serde_json::from_slice(bytes).ok(),
        }
    }
}

impl<V: Serialize + DeserializeOwned> Codec<Arc<V>> {
    /// JSON of what is shared.
    pub fn json_shared() -> Self {
        Self {
            encode: |value| serde_json::to_vec(&**value).ok(),
            decode: |bytes| serde_json::from_slice(bytes).ok().map(Arc::new),
        }
    }
}
