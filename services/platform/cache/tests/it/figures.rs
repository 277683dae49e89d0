//! Figures: hits under a skewed load as the metric tells them, and what a hit costs.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use platform_cache::{Cache, Codec, Settings};

use crate::{Source, any, config, open, over, process};

fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

/// `cache_requests_total` of one cache.
fn count(text: &str, cache: &str, level: &str, results: &[&str]) -> f64 {
    let of = |line: &&str| {
        line.starts_with("cache_requests_total{")
            && line.contains(&format!("cache=\"{cache}\""))
            && line.contains(&format!("level=\"{level}\""))
            && results.iter().any(|result| line.contains(&format!("result=\"{result}\"")))
    };
    text.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Ranks drawn by Zipf's law with exponent 1: the rank-th key is asked for in proportion to 1 / rank.
struct Zipf {
    sums: Vec<f64>,
    state: u64,
}

impl Zipf {
    fn new(keys: u32) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys)
            .map(|rank| {
                sum += 1.0 / f64::from(rank);
                sum
            })
            .collect();
        Self { sums, state: 42 }
    }

    fn next(&mut self) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / f64::from(u32::MAX);
        let wanted = part * self.sums.last().unwrap();
        self.sums.partition_point(|sum| *sum < wanted).min(self.sums.len() - 1)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn most_of_a_skewed_load_is_answered_from_the_caches() {
    let metrics = metrics();
    let (_server, node) = any();
    let config = config(&[node], false);
    let source = Source::default();
    let mut processes = Vec::new();
    for _ in 0..2 {
        // A tenth of the keys fits into a process.
        let process = process(&config, &source).await;
        let settings = Settings::new("skewed", 500, Duration::from_secs(10));
        let cache: Cache<String, String> = process.caches.shared(settings, Codec::json());
        processes.push((process, cache));
    }
    let mut zipf = Zipf::new(5_000);
    for turn in 0..30_000 {
        let (process, cache) = &processes[turn % 2];
        let key = format!("k{}", zipf.next());
        let value = cache.get_or_load(&key, || async {
            process.source.read(&key).await?;
            Ok(Some(format!("value of {key}")))
        });
        assert_eq!(value.await.unwrap(), Some(format!("value of {key}")));
        if turn % 100 == 0 {
            cache.invalidate(&key).await;
        }
    }
    let text = metrics.render();
    let near = count(&text, "skewed", "l1", &["hit", "negative"]);
    let far = count(&text, "skewed", "l2", &["hit", "negative"]);
    let asked = count(&text, "skewed", "l1", &["hit", "negative", "miss", "bypass"]);
    let ratio = (near + far) / asked;
    println!(
        "{asked} questions, Zipf over 5,000 keys, room for 500 in each of two processes: \
         {:.1} % from the process, {:.1} % from Redis, {} loads",
        near / asked * 100.0,
        far / asked * 100.0,
        source.loads()
    );
    assert!(ratio > 0.8, "{:.1} % answered from the caches", ratio * 100.0);
    assert!(far > 0.0 && near > far);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn what_a_hit_costs() {
    let (_server, node) = any();
    let config = config(&[node], false);
    let source = Source::default();
    let value = "x".repeat(500);
    // All of them fit into a process.
    let keys: Vec<String> = (0..800).map(|n| format!("k{n}")).collect();
    keys.iter().for_each(|key| source.set(key, &value));
    let writer = over(Some(open(&config).await), &source);
    for key in &keys {
        writer.get(key).await;
    }
    let reader = process(&config, &source).await;
    let loads = source.loads();
    let far = timed(&keys, async |key| reader.get(key).await).await;
    assert_eq!(source.loads(), loads, "all of them came from Redis");
    let near = timed(&keys, async |key| reader.get(key).await).await;
    let alone = over(None, &source);
    for key in &keys {
        alone.get(key).await;
    }
    let without = timed(&keys, async |key| alone.get(key).await).await;
    for (name, (median, worst)) in [("L1, engine none", without), ("L1, engine redis", near), ("L2", far)] {
        println!("{name}: p50 {median:?}, p99 {worst:?} (values of 500 bytes, one caller, this build)");
    }
}

/// Median and 99th percentile.
async fn timed(keys: &[String], ask: impl AsyncFn(&str) -> Option<String>) -> (Duration, Duration) {
    let mut times = Vec::with_capacity(keys.len());
    for key in keys {
        let start = Instant::now();
        assert!(ask(key).await.is_some());
        times.push(start.elapsed());
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
