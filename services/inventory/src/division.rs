//! How stock is divided over the regions that sell it. Pure.
//!
//! A region's part follows its weight in the map of regions and, half and half, what its buyers took lately, from whichever
//! region's stock. It is a preference: what a region lacks it borrows.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use platform_regions::Regions;

/// Units by region.
pub(crate) type Parts = BTreeMap<Arc<str>, i64>;

/// A region that sells.
#[derive(Clone, Debug)]
struct Share {
    region: Arc<str>,
    weight: u16,
    /// Whether it gets any; who gets none keeps what it has.
    takes: bool,
}

/// Who gets how much.
#[derive(Clone, Debug)]
pub(crate) struct Division {
    shares: Vec<Share>,
    /// Whether that is what the map says: without, what lies elsewhere stays there.
    known: bool,
    /// Over how many buckets a region's part is spread.
    pub(crate) buckets: i32,
}

impl Division {
    /// What the map of regions asks for. Everything is `own`'s in a shop without regions, and where no region is known to
    /// take any.
    pub(crate) fn of(regions: &Regions, own: &Arc<str>, buckets: i32) -> Self {
        let mapped = regions.shares().unwrap_or_default();
        let shares: Vec<Share> = mapped
            .into_iter()
            .map(|share| Share {
                region: Arc::from(share.region.as_str()),
                weight: share.weight,
                takes: share.takes,
            })
            .collect();
        let known = shares.iter().any(|share| share.takes);
        let mut division = Self { shares, known, buckets };
        if !known {
            division.shares = vec![Share { region: Arc::clone(own), weight: 1, takes: true }];
        }
        division
    }

    fn takers(&self) -> impl Iterator<Item = &Share> {
        self.shares.iter().filter(|share| share.takes)
    }

    /// Whether a region gets nothing and keeps what it has.
    fn keeps(&self, region: &str) -> bool {
        self.shares.iter().any(|share| !share.takes && *share.region == *region)
    }

    /// The regions' parts of `units`, none forgotten, where their buyers `took` so many.
    pub(crate) fn parts(&self, units: i64, took: &Parts) -> Parts {
        let weights: u128 = self.takers().map(|share| u128::from(share.weight)).sum();
        let weight = |share: &Share| if weights == 0 { 1 } else { u128::from(share.weight) };
        let took = |share: &Share| u128::try_from(took.get(&share.region).copied().unwrap_or(0)).unwrap_or(0);
        let (all, demand) = (self.takers().map(weight).sum::<u128>(), self.takers().map(took).sum::<u128>());
        let scores: Vec<u128> = self
            .takers()
            .map(|share| if demand == 0 { weight(share) } else { weight(share) * demand + took(share) * all })
            .collect();
        let regions = self.takers().map(|share| Arc::clone(&share.region));
        regions.zip(apportion(units, &scores)).collect()
    }

    /// What each region should have instead of what it `has`; None when that is near enough: nobody who takes has less than
    /// half of its part, and nothing lies where nobody sells.
    pub(crate) fn better(&self, has: &Parts, took: &Parts) -> Option<Parts> {
        if !self.known {
            return None;
        }
        let has: Parts =
            has.iter().filter(|(region, _)| !self.keeps(region)).map(|(r, n)| (Arc::clone(r), *n)).collect();
        let units: i64 = has.values().sum();
        let mut parts = self.parts(units, took);
        let of = |region: &Arc<str>| has.get(region).copied().unwrap_or(0);
        let stranded = has.iter().any(|(region, units)| *units > 0 && !parts.contains_key(region));
        // Fewer units than regions are borrowed: there is nothing to even out.
        let enough = units >= i64::try_from(parts.len()).unwrap_or(i64::MAX);
        let short = enough && parts.iter().any(|(region, part)| of(region) * 2 < *part);
        if !stranded && !short {
            return None;
        }
        for region in has.into_keys() {
            parts.entry(region).or_default();
        }
        Some(parts)
    }
}

/// Divides `units` in proportion to `scores`, what is left over by largest remainder, the first of equals first.
fn apportion(units: i64, scores: &[u128]) -> Vec<i64> {
    let total = scores.iter().sum::<u128>().max(1);
    let units = u128::try_from(units).unwrap_or(0);
    let mut parts: Vec<u128> = scores.iter().map(|score| units * score / total).collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by_key(|&index| Reverse(units * scores[index] % total));
    let left = usize::try_from(units - parts.iter().sum::<u128>()).unwrap_or(0);
    for index in order.into_iter().take(left) {
        parts[index] += 1;
    }
    parts.into_iter().map(|part| i64::try_from(part).unwrap_or(i64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn division(shares: &[(&str, u16, bool)]) -> Division {
        let share =
            |&(region, weight, takes): &(&str, u16, bool)| Share { region: region.into(), weight, takes };
        let shares: Vec<Share> = shares.iter().map(share).collect();
        Division { known: shares.iter().any(|share| share.takes), shares, buckets: 1 }
    }

    fn parts(of: &[(&str, i64)]) -> Parts {
        of.iter().map(|&(region, units)| (Arc::from(region), units)).collect()
    }

    const THREE: [(&str, u16, bool); 3] = [("ap", 1, true), ("eu", 1, true), ("us", 2, true)];

    #[test]
    fn parts_follow_weights_and_what_was_taken() {
        let three = division(&THREE);
        assert_eq!(three.parts(100, &parts(&[])), parts(&[("ap", 25), ("eu", 25), ("us", 50)]));
        assert_eq!(three.parts(1, &parts(&[])), parts(&[("ap", 0), ("eu", 0), ("us", 1)]));
        // All that was sold lately was sold in `ap`: half of everything goes by that.
        assert_eq!(three.parts(80, &parts(&[("ap", 7)])), parts(&[("ap", 50), ("eu", 10), ("us", 20)]));
        let weightless = division(&[("ap", 0, true), ("eu", 0, true)]);
        assert_eq!(weightless.parts(9, &parts(&[])), parts(&[("ap", 5), ("eu", 4)]));
    }

    #[test]
    fn what_is_near_enough_stays() {
        let three = division(&THREE);
        assert_eq!(three.better(&parts(&[("ap", 13), ("eu", 30), ("us", 57)]), &parts(&[])), None);
        let uneven = parts(&[("ap", 12), ("eu", 30), ("us", 58)]);
        assert_eq!(three.better(&uneven, &parts(&[])), Some(parts(&[("ap", 25), ("eu", 25), ("us", 50)])));
        assert_eq!(three.better(&parts(&[("ap", 2)]), &parts(&[])), None, "too few to even out");
        assert_eq!(three.better(&parts(&[]), &parts(&[])), None);
    }

    #[test]
    fn what_lies_where_nobody_sells_moves_and_who_is_cordoned_keeps() {
        let two = division(&[("ap", 1, true), ("eu", 1, false), ("us", 1, true)]);
        let has = parts(&[("ap", 5), ("eu", 40), ("local", 3), ("us", 5)]);
        assert_eq!(two.better(&has, &parts(&[])), Some(parts(&[("ap", 7), ("local", 0), ("us", 6)])));
        assert_eq!(two.better(&parts(&[("ap", 5), ("eu", 40), ("local", 0), ("us", 5)]), &parts(&[])), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_a_second_look_is_content(
            has in prop::collection::vec(0_i64..1_000_000, 5),
            took in prop::collection::vec(0_i64..1_000_000, 5),
            weights in prop::collection::vec((0_u16..100, any::<bool>()), 1..5),
        ) {
            let names = ["a", "b", "c", "d", "e"];
            let shares: Vec<_> = names.iter().zip(&weights).map(|(n, &(weight, takes))| (*n, weight, takes)).collect();
            let of = |units: &[i64]| names.iter().zip(units).map(|(n, units)| (Arc::from(*n), *units)).collect::<Parts>();
            let (division, mut has, took) = (division(&shares), of(&has), of(&took));
            if let Some(better) = division.better(&has, &took) {
                let moved = |region: &Arc<str>| better.contains_key(region);
                let before: i64 = has.iter().filter(|(region, _)| moved(region)).map(|(_, units)| units).sum();
                prop_assert_eq!(better.values().sum::<i64>(), before);
                prop_assert!(better.values().all(|units| *units >= 0));
                has.extend(better);
                prop_assert_eq!(division.better(&has, &took), None);
            }
        }
    }
}
