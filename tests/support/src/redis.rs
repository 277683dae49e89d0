//! The Redis over which a shop's processes share what they know.

use crate::Parts;

/// What a shop's processes are told: the Redis, where there is one, and keys that nobody else uses.
pub(crate) fn environment(parts: &Parts) -> Vec<(String, String)> {
    let Some(address) = &parts.redis else { return Vec::new() };
    let told = |key: &str, value: &str| (format!("MERIDIAN__REDIS__{key}"), value.to_owned());
    vec![
        told("ENGINE", "redis"),
        told("NODES", &format!("[{address:?}]")),
        told("PREFIX", &format!("shop-{:016x}", rand::random::<u64>())),
    ]
}
