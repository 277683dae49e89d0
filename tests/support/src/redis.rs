//! The Redis over which a shop's processes share what they know.

/// The variable that names one, `host:port`.
const REDIS: &str = "MERIDIAN_TEST_REDIS";

/// What a shop's processes are told: the Redis there is to test with, and keys that nobody else uses.
pub(crate) fn environment() -> Vec<(String, String)> {
    let Ok(address) = std::env::var(REDIS) else { return Vec::new() };
    let told = |key: &str, value: &str| (format!("MERIDIAN__REDIS__{key}"), value.to_owned());
    vec![
        told("ENGINE", "redis"),
        told("NODES", &format!("[{address:?}]")),
        told("PREFIX", &format!("shop-{:016x}", rand::random::<u64>())),
    ]
}
