//! Stock that is divided over three regions is held to a model that knows of none: units by SKU, and holds.

use std::{collections::BTreeMap, time::Duration};

use contracts::{
    catalog::SkuId,
    inventory::{AdjustReason, HoldState, Inventory},
};
use inventory::InventoryConfig;
use placement::State::{self, Active, Cordoned, Drained, Fenced};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{fixture::*, three::*};

/// What happens, and in which region.
#[derive(Clone, Debug)]
enum Step {
    Reserve(u8, Vec<(u8, i64)>),
    Confirm(u8),
    Release(u8),
    GiveBack(u8),
    Inbound(u8, i64),
    Count(u8, i64),
    Damage(u8, i64),
    Expire,
    Rebalance,
    Map([State; 3]),
}

fn step() -> impl Strategy<Value = Step> {
    let hold = 0_u8..8;
    let lines = prop::collection::vec((0_u8..3, 1_i64..9), 1..4);
    let state = || prop_oneof![3 => Just(Active), 1 => Just(Cordoned), 1 => Just(Drained), 1 => Just(Fenced)];
    prop_oneof![
        8 => (hold.clone(), lines).prop_map(|(hold, lines)| Step::Reserve(hold, lines)),
        2 => hold.clone().prop_map(Step::Confirm),
        2 => hold.clone().prop_map(Step::Release),
        2 => hold.prop_map(Step::GiveBack),
        2 => (0_u8..3, 1_i64..12).prop_map(|(sku, units)| Step::Inbound(sku, units)),
        1 => (0_u8..3, 1_i64..6).prop_map(|(sku, units)| Step::Count(sku, units)),
        1 => (0_u8..3, 1_i64..6).prop_map(|(sku, units)| Step::Damage(sku, units)),
        1 => Just(Step::Expire),
        2 => Just(Step::Rebalance),
        1 => [state(), state(), state()].prop_map(Step::Map),
    ]
}

#[derive(Default)]
struct Model {
    available: BTreeMap<u8, i64>,
    reserved: BTreeMap<u8, i64>,
    unavailable: BTreeMap<u8, i64>,
    holds: BTreeMap<u8, (BTreeMap<u8, i64>, HoldState)>,
}

impl Model {
    /// Whether a reservation succeeds; it is made then.
    fn reserve(&mut self, hold: u8, lines: &[(u8, i64)]) -> bool {
        let mut demand = BTreeMap::new();
        for (sku, units) in lines {
            *demand.entry(*sku).or_default() += units;
        }
        if let Some((held, state)) = self.holds.get(&hold) {
            return *held == demand && matches!(state, HoldState::Reserved | HoldState::Confirmed);
        }
        if demand.iter().any(|(sku, units)| self.available.get(sku).copied().unwrap_or(0) < *units) {
            return false;
        }
        for (sku, units) in &demand {
            *self.available.entry(*sku).or_default() -= units;
            *self.reserved.entry(*sku).or_default() += units;
        }
        self.holds.insert(hold, (demand, HoldState::Reserved));
        true
    }

    /// Moves a hold on where it is in state `from`; whether it was.
    fn moves(&mut self, hold: u8, from: HoldState, to: HoldState) -> bool {
        let Some((demand, state)) = self.holds.get_mut(&hold).filter(|(_, state)| *state == from) else {
            return false;
        };
        *state = to;
        for (sku, units) in demand {
            if from == HoldState::Reserved {
                *self.reserved.entry(*sku).or_default() -= *units;
            }
            if to != HoldState::Confirmed {
                *self.available.entry(*sku).or_default() += *units;
            }
        }
        true
    }

    fn is(&self, hold: u8, state: HoldState) -> bool {
        self.holds.get(&hold).is_some_and(|(_, is)| *is == state)
    }
}

struct Case<'a> {
    t: &'a Three,
    number: u32,
    model: Model,
}

impl Case<'_> {
    fn sku(&self, n: u8) -> SkuId {
        sku(format!("{n} of {}", self.number))
    }

    async fn adjust(&self, region: usize, n: u8, reason: AdjustReason, delta: i64) -> bool {
        self.t.at[region].adjust(&self.t.f.ctx(), adjustment(self.sku(n), reason, delta)).await.is_ok()
    }

    async fn run(&mut self, region: usize, step: &Step) {
        use HoldState::{Confirmed, Expired, Released, Reserved, Returned};
        let (service, ctx) = (&self.t.at[region], self.t.f.ctx());
        let id = |n: u8| hold(format!("{n} of {}", self.number));
        match step {
            Step::Reserve(n, lines) => {
                let demand: Vec<_> = lines.iter().map(|&(sku, units)| (self.sku(sku), units)).collect();
                let made = service.reserve(&ctx, reserve(id(*n), &demand)).await;
                assert_eq!(made.is_ok(), self.model.reserve(*n, lines), "{made:?}");
            }
            Step::Confirm(n) => {
                let done = service.confirm(&ctx, id(*n)).await.is_ok();
                assert_eq!(done, self.model.moves(*n, Reserved, Confirmed) || self.model.is(*n, Confirmed));
            }
            Step::Release(n) => {
                let refused = service.release(&ctx, id(*n)).await.is_err();
                assert_eq!(refused, self.model.is(*n, Confirmed));
                self.model.moves(*n, Reserved, Released);
            }
            Step::GiveBack(n) => {
                service.give_back(&ctx, id(*n)).await.unwrap();
                if !self.model.moves(*n, Confirmed, Returned) {
                    self.model.moves(*n, Reserved, Released);
                }
            }
            Step::Inbound(n, units) => {
                assert!(self.adjust(region, *n, AdjustReason::Inbound, *units).await);
                *self.model.available.entry(*n).or_default() += units;
            }
            Step::Count(n, units) => {
                let left = self.model.available.entry(*n).or_default();
                let enough = *left >= *units;
                *left -= if enough { *units } else { 0 };
                assert_eq!(self.adjust(region, *n, AdjustReason::Count, -units).await, enough);
            }
            Step::Damage(n, units) => {
                let left = self.model.available.entry(*n).or_default();
                let enough = *left >= *units;
                *left -= if enough { *units } else { 0 };
                *self.model.unavailable.entry(*n).or_default() += if enough { *units } else { 0 };
                assert_eq!(self.adjust(region, *n, AdjustReason::Damage, *units).await, enough);
            }
            Step::Expire => {
                self.t.f.clock.advance(Duration::from_secs(16 * 60));
                service.expire_due(|| false).await.unwrap();
                let holds: Vec<u8> = self.model.holds.keys().copied().collect();
                for hold in holds {
                    self.model.moves(hold, Reserved, Expired);
                }
            }
            Step::Rebalance => drop(self.t.rebalance().await),
            Step::Map(states) => self.t.hear(*states),
        }
    }

    async fn check(&self) {
        for n in 0..3 {
            let of = |units: &BTreeMap<u8, i64>| units.get(&n).copied().unwrap_or(0);
            let wanted = (of(&self.model.available), of(&self.model.reserved), of(&self.model.unavailable));
            assert_eq!(self.t.f.numbers(self.sku(n)).await, wanted);
        }
    }

    /// Whatever is left is sold, unit by unit, whichever region is asked.
    async fn sell_out(&mut self) {
        for n in 0..3 {
            let left = self.t.f.available(self.sku(n)).await;
            for unit in 0..left {
                let region = usize::try_from(unit + i64::from(n)).unwrap() % 3;
                let name = format!("unit {unit} of {n} of {}", self.number);
                assert!(self.t.buy(region, &name, &[(self.sku(n), 1)]).await, "{left} were left");
            }
            let name = format!("too late for {n} of {}", self.number);
            assert!(!self.t.buy(usize::from(n), &name, &[(self.sku(n), 1)]).await);
        }
    }
}

#[test]
fn regions_together_sell_what_a_shop_without_regions_would() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = InventoryConfig { buckets_per_hot_sku: 2, ..InventoryConfig::default() };
    let t = runtime.block_on(three(config));
    let number = std::cell::Cell::new(0);
    // No file of regressions: a failing case prints itself.
    let cases = Config { cases: 30, failure_persistence: None, ..Config::default() };
    TestRunner::new(cases)
        .run(&prop::collection::vec((0_usize..3, step()), 1..40), |steps| {
            number.set(number.get() + 1);
            runtime.block_on(async {
                let mut case = Case { t: &t, number: number.get(), model: Model::default() };
                t.hear([Active; 3]);
                for (region, step) in &steps {
                    case.run(*region, step).await;
                    case.check().await;
                }
                case.sell_out().await;
            });
            Ok(())
        })
        .unwrap();
    assert!(runtime.block_on(t.f.service.reconcile_all()).unwrap().is_empty());
}
