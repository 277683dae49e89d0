//! The Redis that a run's shops share.

/// What a shop's processes are told where `MERIDIAN_TEST_REDIS` names one, `host:port`: it, and a prefix of their own.
pub(crate) fn environment() -> Vec<(String, String)> {
    let Some(address) = crate::real_part("MERIDIAN_TEST_REDIS") else { return Vec::new() };
    let told = |key: &str, value: &str| (format!("MERIDIAN__REDIS__{key}"), value.to_owned());
    vec![
        told("ENGINE", "redis"),
        told("NODES", &format!("[{address:?}]")),
        told("PREFIX", &format!("shop-{:016x}", rand::random::<u64>())),
    ]
}
