//! What the hop costs.

use std::time::Instant;

use super::*;

/// Requests of each kind.
const ROUNDS: usize = 2_000;

/// The median and the 99th percentile.
async fn timed(request: impl Fn() -> reqwest::RequestBuilder) -> (Duration, Duration) {
    let mut took = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let answer = request().send().await.unwrap();
        assert!(answer.status().is_success());
        answer.bytes().await.unwrap();
        took.push(started.elapsed());
    }
    took.sort_unstable();
    (took[ROUNDS / 2], took[ROUNDS * 99 / 100])
}

/// Prints what a hop adds to a request whose client is as near to the one region as to the other.
#[actix_web::test]
#[ignore = "prints figures: run it alone and in release"]
async fn what_the_hop_costs() {
    two(plain("a"), plain("b"), |a, b| async move {
        let (client, token) = (client(), token(Shard::new(1)));
        let read = |site: &Running| {
            let request = client.get(format!("{}/api/v1/cart", site.url())).bearer_auth(&token);
            move || request.try_clone().unwrap()
        };
        let write = |site: &Running| {
            let request = client.post(format!("{}/api/v1/orders", site.url())).bearer_auth(&token);
            let request = request.header("idempotency-key", "k").body("x".repeat(1_000));
            move || request.try_clone().unwrap()
        };
        timed(read(&a)).await;
        for (what, home, hop) in [
            ("GET", timed(read(&b)).await, timed(read(&a)).await),
            ("POST", timed(write(&b)).await, timed(write(&a)).await),
        ] {
            println!(
                "{what}: home {home:?}, through another region {hop:?}, the hop {:?}",
                hop.0.saturating_sub(home.0)
            );
        }
    })
    .await;
}
