//! Buckets, holds and the changes they allow. Pure: no clock, no SQL.

use std::{collections::HashMap, sync::Arc};

use contracts::{
    catalog::SkuId,
    inventory::{HoldId, HoldState, HoldView, WarehouseId, code},
    pricing::{LineInput, MAX_LINES},
};
use kernel::{Failure, Result, Timestamp};

/// More units than this of a SKU are no shopper's demand and no warehouse's stock.
const MOST_UNITS: i64 = 1_000_000_000_000;

/// Where units of a SKU lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) sku: SkuId,
    pub(crate) region: Arc<str>,
    pub(crate) warehouse: WarehouseId,
    /// Tells the buckets of one SKU, region and warehouse apart.
    pub(crate) n: i32,
}

/// A change of a bucket's three numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    pub(crate) available: i64,
    pub(crate) reserved: i64,
    pub(crate) unavailable: i64,
}

impl Delta {
    /// `units` are set aside.
    pub(crate) const fn reserve(units: i64) -> Self {
        Self { available: -units, reserved: units, unavailable: 0 }
    }

    /// `units` that were set aside go back.
    pub(crate) const fn release(units: i64) -> Self {
        Self { available: units, reserved: -units, unavailable: 0 }
    }

    /// `units` that were set aside leave.
    pub(crate) const fn confirm(units: i64) -> Self {
        Self { available: 0, reserved: -units, unavailable: 0 }
    }

    /// `units` come in.
    pub(crate) const fn add(units: i64) -> Self {
        Self { available: units, reserved: 0, unavailable: 0 }
    }

    fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            available: self.available.checked_add(other.available)?,
            reserved: self.reserved.checked_add(other.reserved)?,
            unavailable: self.unavailable.checked_add(other.unavailable)?,
        })
    }
}

/// A bucket: a part of a SKU's stock in a warehouse. On hand = available + reserved + unavailable, none below zero.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) place: Place,
    pub(crate) units: Delta,
    /// Units that buyers of its region took since stock was last divided over regions, borrowed ones with them.
    pub(crate) taken: i64,
    /// Version of the row; 0 when there is none yet.
    pub(crate) version: i64,
    pub(crate) dirty: bool,
}

impl Bucket {
    /// A bucket that has no row yet.
    pub(crate) fn empty(place: Place) -> Self {
        Self { place, units: Delta::default(), taken: 0, version: 0, dirty: false }
    }

    /// The three numbers after a change; none where one would be below zero. There is no upper bound here: what was set aside
    /// or sold comes back whatever came in meanwhile ([`Bucket::has_room`]).
    pub(crate) fn after(&self, change: Delta) -> Option<Delta> {
        self.units
            .plus(change)
            .filter(|units| units.available >= 0 && units.reserved >= 0 && units.unavailable >= 0)
    }

    /// Whether so many units may come in: no bucket is filled beyond what a warehouse holds.
    pub(crate) fn has_room(&self, units: i64) -> bool {
        let Delta { available, reserved, unavailable } = self.units;
        let on_hand = available.saturating_add(reserved).saturating_add(unavailable);
        on_hand.saturating_add(units) <= MOST_UNITS
    }
}

/// A reservation.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) id: HoldId,
    pub(crate) state: HoldState,
    /// What was asked for, a line a SKU.
    pub(crate) lines: Vec<LineInput>,
    pub(crate) expires_at: Timestamp,
    pub(crate) created_at: Timestamp,
    /// Version of the row; 0 when there is none yet.
    pub(crate) version: i64,
    pub(crate) dirty: bool,
    /// Which bucket each unit came from.
    pub(crate) parts: Vec<(Place, i64)>,
}

impl Hold {
    pub(crate) fn view(&self) -> HoldView {
        HoldView { id: self.id, state: self.state, lines: self.lines.clone(), expires_at: self.expires_at }
    }

    /// Whether it was made for these lines, in any order.
    pub(crate) fn is_for(&self, demand: &[LineInput]) -> bool {
        let sorted = |lines: &[LineInput]| {
            let mut pairs: Vec<_> = lines.iter().map(|line| (line.sku_id, line.quantity)).collect();
            pairs.sort_unstable();
            pairs
        };
        self.lines.len() == demand.len() && sorted(&self.lines) == sorted(demand)
    }

    pub(crate) fn gone(&self) -> Failure {
        Failure::new(code::HOLD_GONE).detail(format!("the reservation is {}", state_name(self.state)))
    }
}

/// What a hold can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Confirm,
    Release,
    GiveBack,
    Expire,
}

/// What a step does to a hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transition {
    /// To this state, with a movement of this kind a part.
    To(HoldState, &'static str, fn(i64) -> Delta),
    /// Done before, or nothing to do.
    Stay,
    /// The stock went back before.
    Gone,
    /// Confirmed stock is given back, not released.
    Refused,
}

/// The one place that knows how holds move on.
pub(crate) fn transition(state: HoldState, step: Step) -> Transition {
    use HoldState::{Confirmed, Expired, Released, Reserved, Returned};
    match (step, state) {
        (Step::Confirm, Reserved) => Transition::To(Confirmed, "confirm", Delta::confirm),
        (Step::Confirm, Confirmed) => Transition::Stay,
        (Step::Confirm, Released | Expired | Returned) => Transition::Gone,
        // An order that is cancelled between its payment and its confirmation: the confirmation then finds it gone.
        (Step::Release | Step::GiveBack, Reserved) => Transition::To(Released, "release", Delta::release),
        (Step::Release, Confirmed) => Transition::Refused,
        (Step::GiveBack, Confirmed) => Transition::To(Returned, "return", Delta::add),
        (Step::Release | Step::GiveBack, Released | Expired | Returned) => Transition::Stay,
        (Step::Expire, Reserved) => Transition::To(Expired, "expire", Delta::release),
        (Step::Expire, Confirmed | Released | Expired | Returned) => Transition::Stay,
    }
}

/// A state as the database has it.
pub(crate) const fn state_name(state: HoldState) -> &'static str {
    match state {
        HoldState::Reserved => "reserved",
        HoldState::Confirmed => "confirmed",
        HoldState::Released => "released",
        HoldState::Expired => "expired",
        HoldState::Returned => "returned",
    }
}

/// The state a name stands for.
pub(crate) fn state_of(name: &str) -> Option<HoldState> {
    [HoldState::Reserved, HoldState::Confirmed, HoldState::Released, HoldState::Expired, HoldState::Returned]
        .into_iter()
        .find(|&state| state_name(state) == name)
}

/// Checks lines and adds up those of one SKU, in order of first mention.
pub(crate) fn demand(lines: &[LineInput]) -> Result<Vec<LineInput>> {
    if lines.is_empty() || lines.len() > MAX_LINES {
        return Err(Failure::invalid("/lines", format!("expected 1 to {MAX_LINES} lines")));
    }
    let mut merged: Vec<LineInput> = Vec::with_capacity(lines.len());
    let mut seen: HashMap<SkuId, usize> = HashMap::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        if !(1..=MOST_UNITS).contains(&line.quantity) {
            return Err(Failure::invalid(format!("/lines/{index}/quantity"), "must be at least 1"));
        }
        if let Some(&known) = seen.get(&line.sku_id) {
            merged[known].quantity += line.quantity;
        } else {
            seen.insert(line.sku_id, merged.len());
            merged.push(*line);
        }
    }
    Ok(merged)
}

/// Spreads `units` evenly over `parts`; the first ones get the units left over.
pub(crate) fn spread(units: i64, parts: i64) -> impl Iterator<Item = i64> {
    let parts = parts.max(1);
    (0..parts).map(move |part| units / parts + i64::from(part < units % parts))
}

#[cfg(test)]
mod tests {
    use kernel::{Id, Shard};
    use proptest::prelude::*;

    use super::*;

    fn line(name: &[u8], quantity: i64) -> LineInput {
        LineInput { sku_id: Id::derive(Shard::new(1), &[name]), quantity }
    }

    #[test]
    fn two_lines_of_a_sku_are_one_demand() {
        let merged = demand(&[line(b"a", 2), line(b"b", 1), line(b"a", 3)]).unwrap();
        assert_eq!(merged, [line(b"a", 5), line(b"b", 1)]);
        assert_eq!(demand(&[]).unwrap_err().fields()[0].pointer, "/lines");
        assert_eq!(
            demand(&[line(b"a", 1), line(b"b", 0)]).unwrap_err().fields()[0].pointer,
            "/lines/1/quantity"
        );
    }

    #[test]
    fn no_step_leaves_an_ended_hold() {
        for state in [HoldState::Released, HoldState::Expired, HoldState::Returned] {
            for step in [Step::Confirm, Step::Release, Step::GiveBack, Step::Expire] {
                assert!(!matches!(transition(state, step), Transition::To(..)), "{state:?} {step:?}");
            }
            assert_eq!(state_of(state_name(state)), Some(state));
        }
        assert!(matches!(transition(HoldState::Confirmed, Step::Release), Transition::Refused));
    }

    proptest! {
        #[test]
        fn spreading_loses_nothing(units in 0_i64..1_000_000, parts in 1_i64..300) {
            let shares: Vec<i64> = spread(units, parts).collect();
            prop_assert_eq!(shares.iter().sum::<i64>(), units);
            prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
