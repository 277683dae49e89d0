//! Whatever happens in whatever order: on hand = available + reserved + unavailable, none below zero, the ledger adds up to
//! the stock, live holds add up to what is reserved, and units are neither made nor lost.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use contracts::{
    catalog::SkuId,
    inventory::{AdjustReason, ExtendHold, HoldId, HoldState, Inventory},
};
use futures::future::join_all;
use inventory::InventoryConfig;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::fixture::*;

#[derive(Clone, Debug)]
enum Step {
    Reserve(u8, Vec<(u8, i64)>),
    Confirm(u8),
    Release(u8),
    GiveBack(u8),
    Extend(u8, u64),
    Adjust(u8, u8, i64),
    Wait(u64),
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    let hold = 0_u8..6;
    let lines = prop::collection::vec((0_u8..3, 1_i64..6), 1..4);
    prop_oneof![
        5 => (hold.clone(), lines).prop_map(|(hold, lines)| Step::Reserve(hold, lines)),
        2 => hold.clone().prop_map(Step::Confirm),
        2 => hold.clone().prop_map(Step::Release),
        2 => hold.clone().prop_map(Step::GiveBack),
        1 => (hold, 1_u64..3_000).prop_map(|(hold, seconds)| Step::Extend(hold, seconds)),
        3 => (0_u8..3, 0_u8..5, -8_i64..12).prop_map(|(sku, reason, delta)| Step::Adjust(sku, reason, delta)),
        1 => (1_u64..1_000).prop_map(Step::Wait),
        1 => Just(Step::Expire),
    ]
}

/// What came in and went out, as the answers say.
#[derive(Default)]
struct Book {
    on_hand: HashMap<SkuId, i64>,
    held: HashMap<HoldId, Vec<(SkuId, i64)>>,
    confirmed: HashSet<HoldId>,
}

impl Book {
    fn moved(&mut self, hold: HoldId, sign: i64) {
        for (sku, units) in self.held.get(&hold).cloned().unwrap_or_default() {
            *self.on_hand.entry(sku).or_default() += sign * units;
        }
    }
}

struct Case<'a> {
    f: &'a Fixture,
    number: u32,
    book: Book,
}

impl Case<'_> {
    fn sku(&self, n: u8) -> SkuId {
        sku(format!("{n} of {}", self.number))
    }

    fn hold(&self, n: u8) -> HoldId {
        hold(format!("{n} of {}", self.number))
    }

    async fn run(&mut self, step: &Step) {
        let (service, ctx) = (&self.f.service, self.f.ctx());
        match step {
            Step::Reserve(n, lines) => {
                let id = self.hold(*n);
                let lines: Vec<_> = lines.iter().map(|&(sku, units)| (self.sku(sku), units)).collect();
                if service.reserve(&ctx, reserve(id, &lines)).await.is_ok() {
                    self.book.held.entry(id).or_insert(lines);
                }
            }
            Step::Confirm(n) => {
                let id = self.hold(*n);
                if service.confirm(&ctx, id).await.is_ok() && self.book.confirmed.insert(id) {
                    self.book.moved(id, -1);
                }
            }
            Step::Release(n) => drop(service.release(&ctx, self.hold(*n)).await),
            Step::GiveBack(n) => {
                let id = self.hold(*n);
                let before = service.hold(&ctx, id).await.map(|hold| hold.state);
                service.give_back(&ctx, id).await.unwrap();
                if matches!(before, Ok(HoldState::Confirmed)) {
                    self.book.moved(id, 1);
                }
            }
            Step::Extend(n, seconds) => {
                let expires_at = self.f.db.now().plus(Duration::from_secs(*seconds));
                drop(service.extend(&ctx, ExtendHold { hold_id: self.hold(*n), expires_at }).await);
            }
            Step::Adjust(n, reason, delta) => {
                use AdjustReason::{Count, Damage, Inbound, Restore, Scrap};
                let (sku, reason) =
                    (self.sku(*n), [Inbound, Count, Damage, Restore, Scrap][usize::from(*reason)]);
                if service.adjust(&ctx, adjustment(sku, reason, *delta)).await.is_ok() {
                    *self.book.on_hand.entry(sku).or_default() += match reason {
                        Inbound | Count => *delta,
                        Damage | Restore => 0,
                        Scrap => -delta,
                    };
                }
            }
            Step::Wait(seconds) => self.f.clock.advance(Duration::from_secs(*seconds)),
            Step::Expire => {
                service.expire_due(|| false).await.unwrap();
            }
        }
    }

    async fn check(&self) {
        for sku in (0..3).map(|n| self.sku(n)) {
            let (available, reserved, unavailable) = self.f.numbers(sku).await;
            assert_eq!(available + reserved + unavailable, self.book.on_hand.get(&sku).copied().unwrap_or(0));
            assert_eq!(self.f.available(sku).await, available);
        }
    }
}

fn cases(count: u32) -> TestRunner {
    // No file of regressions: a failing case prints itself.
    TestRunner::new(Config { cases: count, failure_persistence: None, ..Config::default() })
}

#[test]
fn any_sequence_of_steps_keeps_the_books() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let f = runtime.block_on(with(InventoryConfig { buckets_per_hot_sku: 3, ..InventoryConfig::default() }));
    let number = std::cell::Cell::new(0);
    cases(60)
        .run(&prop::collection::vec(step(), 1..40), |steps| {
            number.set(number.get() + 1);
            runtime.block_on(async {
                let mut case = Case { f: &f, number: number.get(), book: Book::default() };
                for n in 0..3 {
                    f.stock(case.sku(n), 12).await;
                    case.book.on_hand.insert(case.sku(n), 12);
                }
                for step in &steps {
                    case.run(step).await;
                    case.check().await;
                }
            });
            Ok(())
        })
        .unwrap();
    assert!(runtime.block_on(f.service.reconcile_all()).unwrap().is_empty());
}

/// The same steps all at once: no answer is predicted, but the books must agree.
#[test]
fn any_set_of_steps_at_once_keeps_the_books() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let f = runtime.block_on(with(InventoryConfig { buckets_per_hot_sku: 2, ..InventoryConfig::default() }));
    let number = std::cell::Cell::new(1_000_000);
    cases(40)
        .run(&prop::collection::vec(step(), 1..80), |steps| {
            number.set(number.get() + 1);
            let number = number.get();
            runtime.block_on(async {
                for n in 0..3 {
                    f.stock(sku(format!("{n} of {number}")), 12).await;
                }
                let f = &f;
                join_all(steps.iter().map(|step| async move {
                    Case { f, number, book: Book::default() }.run(step).await;
                }))
                .await;
                for n in 0..3 {
                    f.numbers(sku(format!("{n} of {number}"))).await;
                }
            });
            Ok(())
        })
        .unwrap();
}
