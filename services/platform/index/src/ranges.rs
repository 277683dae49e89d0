//! Price ranges of a facet: counted in round buckets, presented in a few.

use crate::PriceRange;

/// Price buckets.
pub(crate) const BUCKETS: usize = 34;
/// Price ranges that are returned.
const MAX_RANGES: usize = 6;

/// Where price buckets begin, in minor units: 0, then 1, 2 and 5 times every power of ten from 100 on.
fn bounds() -> &'static [i64] {
    const BOUNDS: [i64; BUCKETS] = {
        let mut bounds = [0; BUCKETS];
        let (mut at, mut power) = (1, 100);
        while at < BUCKETS {
            let step = (at - 1) % 3;
            bounds[at] = power * [1, 2, 5][step];
            if step == 2 {
                power *= 10;
            }
            at += 1;
        }
        bounds
    };
    &BOUNDS
}

/// The bucket of a price.
pub(crate) fn bucket(price: i64) -> usize {
    bounds().partition_point(|&bound| bound <= price).saturating_sub(1)
}

/// At most six ranges: neighbours with the fewest hits are joined until few enough are left and none is empty.
pub(crate) fn present(counts: &[u64]) -> Vec<PriceRange> {
    let end = |at: usize| bounds().get(at + 1).map_or(i64::MAX, |next| next - 1);
    let Some(first) = counts.iter().position(|&count| count > 0) else { return Vec::new() };
    let last = counts.iter().rposition(|&count| count > 0).unwrap_or(first);
    let mut ranges: Vec<_> =
        (first..=last).map(|at| PriceRange { min: bounds()[at], max: end(at), count: counts[at] }).collect();
    while ranges.len() > 1 && (ranges.len() > MAX_RANGES || ranges.iter().any(|range| range.count == 0)) {
        let empty = ranges.iter().any(|range| range.count == 0);
        // Joining an empty range costs nothing; of others, the pair with the fewest hits goes.
        let cost = |pair: &[PriceRange]| {
            if empty { pair[0].count.min(pair[1].count) } else { pair[0].count + pair[1].count }
        };
        let at = (0..ranges.len() - 1).min_by_key(|&at| cost(&ranges[at..at + 2])).unwrap_or(0);
        let joined = ranges.remove(at + 1);
        ranges[at].max = joined.max;
        ranges[at].count += joined.count;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_buckets_are_round() {
        assert_eq!(bounds()[..8], [0, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]);
        assert_eq!(bounds()[33], 5 * 10_i64.pow(12));
    }

    #[test]
    fn ranges_cover_every_price_once() {
        let mut counts = [0; BUCKETS];
        for price in [0, 99, 100, 1_999, 2_000, 4_999, 150_000, 10_i64.pow(12)] {
            counts[bucket(price)] += 1;
        }
        let ranges = present(&counts);
        assert!(ranges.len() <= MAX_RANGES);
        assert_eq!(ranges.iter().map(|range| range.count).sum::<u64>(), 8);
        assert!(ranges.windows(2).all(|pair| pair[0].max + 1 == pair[1].min));
        assert!(ranges.iter().all(|range| range.count > 0));
    }
}
