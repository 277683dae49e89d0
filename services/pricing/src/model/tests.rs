use kernel::{Id, Shard};
use proptest::prelude::*;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(days: u32) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000).plus(DAY * days)
}

fn sku() -> SkuId {
    Id::derive(Shard::new(1), &[b"sku"])
}

fn wanted(kind: PriceKind, amount: i64, from: Option<u32>, to: Option<u32>) -> Wanted {
    Wanted {
        place: 0,
        id: Id::derive(Shard::new(1), &[format!("{kind:?} {amount} {from:?} {to:?}").as_bytes()]),
        kind,
        money: Money::new(amount, Currency::USD),
        compare_at: None,
        starts_at: from.map(at),
        ends_at: to.map(at),
        by: "test".to_owned(),
    }
}

/// Prices set one after another, each on its day.
fn history(sets: &[(u32, Wanted)]) -> SkuPrices {
    let mut prices = SkuPrices::default();
    for (day, wanted) in sets {
        prices.set(wanted, at(*day));
    }
    prices
}

fn paid(prices: &SkuPrices, day: u32) -> Option<i64> {
    prices.view(sku(), Currency::USD, at(day)).map(|view| view.price.amount)
}

use PriceKind::{List, Sale};

#[test]
fn a_sale_counts_in_its_window_and_only_while_it_is_lower() {
    let prices = history(&[(0, wanted(List, 1_000, None, None)), (1, wanted(Sale, 800, Some(5), Some(8)))]);
    assert_eq!([4, 5, 7, 8].map(|day| paid(&prices, day)), [Some(1_000), Some(800), Some(800), Some(1_000)]);
    let view = prices.view(sku(), Currency::USD, at(6)).unwrap();
    assert_eq!(
        (view.kind, view.compare_at.unwrap().amount, view.lowest_30_days.unwrap().amount),
        (Sale, 1_000, 1_000)
    );
    let dear = history(&[(0, wanted(List, 1_000, None, None)), (1, wanted(Sale, 1_000, None, None))]);
    let view = dear.view(sku(), Currency::USD, at(2)).unwrap();
    assert_eq!((view.kind, view.compare_at), (List, None));
    assert_eq!(paid(&history(&[(0, wanted(Sale, 700, None, None))]), 1), Some(700));
}

#[test]
fn a_window_is_over_when_it_closes_before_it_opens_or_before_now() {
    for (from, to, over) in [
        (None, None, false),
        (None, Some(5), true),
        (None, Some(6), false),
        (Some(2), Some(5), true),
        (Some(6), Some(6), true),
        (Some(7), Some(6), true),
        (Some(6), Some(7), false),
    ] {
        assert_eq!(wanted(Sale, 1, from, to).is_over(at(5)), over, "{from:?} {to:?}");
    }
}

#[test]
fn a_price_without_end_replaces_the_one_before_and_the_past_stays() {
    let prices = history(&[(0, wanted(List, 1_000, None, None)), (3, wanted(List, 1_200, None, None))]);
    assert_eq!(
        [0, 2, 3, 9].map(|day| paid(&prices, day)),
        [Some(1_000), Some(1_000), Some(1_200), Some(1_200)]
    );
    assert_eq!(prices.0[0].ends_at, Some(at(3)));
}

#[test]
fn a_list_price_for_a_time_stands_before_the_one_that_goes_on() {
    let prices = history(&[(0, wanted(List, 1_000, None, None)), (1, wanted(List, 900, Some(3), Some(5)))]);
    assert_eq!([2, 3, 4, 5].map(|day| paid(&prices, day)), [Some(1_000), Some(900), Some(900), Some(1_000)]);
}

#[test]
fn the_same_price_again_changes_nothing() {
    let mut prices =
        history(&[(0, wanted(List, 1_000, None, None)), (1, wanted(Sale, 800, Some(5), Some(8)))]);
    for price in &mut prices.0 {
        price.change = Change::None;
    }
    let before = prices.0.clone();
    prices.set(&wanted(List, 1_000, None, None), at(2));
    prices.set(&wanted(List, 1_000, Some(1), None), at(2));
    prices.set(&wanted(Sale, 800, Some(5), Some(8)), at(2));
    assert_eq!(prices.0, before);
    assert!(prices.boundaries(at(2)).is_empty());
}

#[test]
fn the_end_of_a_price_can_be_moved() {
    let mut prices = history(&[(0, wanted(List, 1_000, None, None)), (1, wanted(Sale, 800, None, None))]);
    prices.set(&wanted(Sale, 800, None, Some(4)), at(2));
    assert_eq!(prices.0.len(), 2);
    assert_eq!([3, 4].map(|day| paid(&prices, day)), [Some(800), Some(1_000)]);
}

#[test]
fn naming_the_lasting_price_again_leaves_what_stands_before_it() {
    let mut prices =
        history(&[(0, wanted(List, 1_000, None, None)), (1, wanted(List, 900, Some(3), Some(9)))]);
    prices.set(&wanted(List, 1_000, None, None), at(4));
    assert_eq!([4, 9].map(|day| paid(&prices, day)), [Some(900), Some(1_000)]);
    // For good: what lasted before ends.
    prices.set(&wanted(List, 900, None, None), at(5));
    assert_eq!([5, 20].map(|day| paid(&prices, day)), [Some(900), Some(900)]);
    prices.set(&wanted(List, 1_000, None, None), at(6));
    assert_eq!([5, 6, 20].map(|day| paid(&prices, day)), [Some(900), Some(1_000), Some(1_000)]);
}

/// Fails when the end of a price decides which of two that start together counts.
#[test]
fn moving_an_end_does_not_rewrite_the_past() {
    let mut prices = history(&[(0, wanted(List, 1_000, None, None)), (0, wanted(List, 900, None, Some(5)))]);
    assert_eq!([0, 2, 5].map(|day| paid(&prices, day)), [Some(900), Some(900), Some(1_000)]);
    prices.set(&wanted(List, 900, None, None), at(3));
    assert_eq!([0, 2, 3, 9].map(|day| paid(&prices, day)), [Some(900); 4]);
}

#[test]
fn the_lowest_of_thirty_days_is_that_before_the_reduction() {
    let prices = history(&[
        (0, wanted(List, 500, None, None)),
        (10, wanted(List, 1_000, None, None)),
        (35, wanted(Sale, 900, None, Some(36))),
        (60, wanted(Sale, 950, None, None)),
    ]);
    let lowest = |day| prices.view(sku(), Currency::USD, at(day)).unwrap().lowest_30_days.map(|m| m.amount);
    assert_eq!(lowest(35), Some(500), "500 was in force on day 5 to 10");
    assert_eq!(lowest(60), Some(900), "the sale of day 35 lies within the thirty days");
    assert_eq!(lowest(80), Some(900), "and stays the answer while the reduction lasts");
    assert_eq!(lowest(20), None, "not reduced");
    assert_eq!(prices.looks_back_to(at(80)), at(10).minus(LOOK_BACK));
}

#[test]
fn a_new_sku_with_a_price_before_has_no_lowest_price() {
    let mut first = wanted(List, 1_000, None, None);
    first.compare_at = Some(1_500);
    let prices = history(&[(0, first)]);
    let view = prices.view(sku(), Currency::USD, at(1)).unwrap();
    assert_eq!((view.compare_at.unwrap().amount, view.lowest_30_days), (1_500, None));
}

#[test]
fn currencies_do_not_meet() {
    let mut euro = wanted(List, 800, None, None);
    euro.money = Money::new(800, Currency::EUR);
    let prices = history(&[(0, wanted(List, 1_000, None, None)), (1, euro)]);
    assert_eq!(prices.currencies(at(2)), BTreeSet::from(["EUR", "USD"]));
    assert_eq!(paid(&prices, 2), Some(1_000));
}

#[derive(Clone, Debug)]
struct Set(u32, PriceKind, i64, Option<u32>, Option<u32>);

fn sets() -> impl Strategy<Value = Vec<Set>> {
    let one = (0_u32..5, any::<bool>(), 1_i64..6, prop::option::of(0_u32..20), prop::option::of(1_u32..20));
    prop::collection::vec(one, 1..12).prop_map(|sets| {
        let mut day = 0;
        sets.into_iter()
            .map(|(wait, sale, amount, from, length)| {
                day += wait;
                let start = from.map(|from| day + from);
                let end = length.map(|length| start.unwrap_or(day) + length);
                Set(day, if sale { Sale } else { List }, amount * 100, start, end)
            })
            .collect()
    })
}

proptest! {
    /// What was seen in the past never changes by what is set later, and a price just set is the one in force.
    #[test]
    fn the_past_is_never_rewritten(sets in sets()) {
        let mut prices = SkuPrices::default();
        for Set(day, kind, amount, from, to) in sets {
            let seen = |prices: &SkuPrices, d| {
                prices.view(sku(), Currency::USD, at(d)).map(|v| (v.kind, v.price, v.compare_at, v.lowest_30_days))
            };
            let past: Vec<_> = (0..day).map(|d| seen(&prices, d)).collect();
            let set = wanted(kind, amount, from, to);
            let rows = prices.0.clone();
            prices.set(&set, at(day));
            prop_assert_eq!(past, (0..day).map(|d| seen(&prices, d)).collect::<Vec<_>>());
            if prices.0 != rows {
                let start = from.unwrap_or(day);
                let chosen = prices.in_force(kind, Currency::USD, at(start)).map(|index| prices.0[index].money.amount);
                prop_assert_eq!(chosen, Some(amount));
            }
            let again = prices.0.clone();
            prices.set(&set, at(day));
            prop_assert_eq!(&prices.0, &again, "the same price again changes nothing");
            // Every change after now is announced.
            for d in day + 1..day + 45 {
                if prices.seen(at(d)) != prices.seen(at(d - 1)) {
                    let announced = prices.0.iter().any(|p| p.starts_at == at(d) || p.ends_at == Some(at(d)));
                    prop_assert!(announced);
                }
            }
        }
    }
}

#[test]
fn what_is_set_comes_after_what_a_clock_a_little_ahead_set() {
    let second = |n| at(1).plus(Duration::from_secs(n));
    let mut prices = SkuPrices::default();
    assert_eq!(prices.next_moment(second(0)), second(0));
    prices.set(&wanted(List, 1_000, None, None), second(10));
    assert_eq!(prices.next_moment(second(9)), second(10).plus(Duration::from_micros(1)));
    for right in [second(10), second(11), at(0)] {
        assert_eq!(prices.next_moment(right), right, "as late, later, and a day before: that clock is wrong");
    }
}
