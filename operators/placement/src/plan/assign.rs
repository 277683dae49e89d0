//! Shards to regions at the least cost: successive shortest paths (Ahuja, Magnanti, Orlin: *Network Flows*, 9.7) on a
//! graph with a node a region. Each shard is placed along the cheapest chain "it goes there, that one gives way to here,
//! …", which keeps the assignment of all shards so far optimal.

use std::ops::{Add, Sub};

/// Prices are whole numbers of 2^-40. Two different fractions with denominators below 2^16 are more than 2^-32 apart, so
/// cutting them off here keeps their order.
const SCALE: i128 = 1 << 40;
/// Above every weighted price: a region of weight 0 is the last choice.
const LAST: i128 = 1 << 100;

/// What a choice costs; the first difference decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    outside: i32,
    down: i32,
    imbalance: i128,
    moves: i32,
}

impl Cost {
    /// A shard in a region: outside its jurisdiction, in one that is seen down, in another than now.
    pub(super) fn shard(outside: bool, down: bool, moves: bool) -> Self {
        Self { outside: i32::from(outside), down: i32::from(down), imbalance: 0, moves: i32::from(moves) }
    }

    const fn slot(imbalance: i128) -> Self {
        Self { outside: 0, down: 0, imbalance, moves: 0 }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            outside: self.outside + other.outside,
            down: self.down + other.down,
            imbalance: self.imbalance + other.imbalance,
            moves: self.moves + other.moves,
        }
    }
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            outside: self.outside - other.outside,
            down: self.down - other.down,
            imbalance: self.imbalance - other.imbalance,
            moves: self.moves - other.moves,
        }
    }
}

/// What the n-th shard of a region costs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Price {
    Free,
    /// (2n - 1) / weight.
    Weight(u16),
}

/// The room of a region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    pub(super) kept: usize,
    pub(super) capacity: usize,
    pub(super) price: Price,
}

impl Slots {
    /// What one more costs when `placed` are placed, if there is room. Never less than the one before.
    fn next(&self, placed: usize) -> Option<Cost> {
        let taken = self.kept + placed;
        if taken >= self.capacity {
            return None;
        }
        let n = i128::try_from(taken).ok()?;
        Some(Cost::slot(match self.price {
            Price::Free => 0,
            Price::Weight(0) => LAST + n,
            Price::Weight(weight) => (2 * n + 1) * SCALE / i128::from(weight),
        }))
    }
}

/// Which shards may go where at what cost.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) slots: Vec<Slots>,
    /// For each shard the regions it may live in.
    pub(super) options: Vec<Vec<(usize, Cost)>>,
}

/// How a region is reached on the cheapest chain.
#[derive(Clone, Copy)]
struct Reached {
    cost: Cost,
    /// The shard that comes here, and the region it gives way in; the shard to place comes from nowhere.
    by: usize,
    from: Option<usize>,
}

/// The region of each shard, or the shard that fits nowhere. Ties go to the region first in order.
pub(super) fn assign(problem: &Problem) -> Result<Vec<usize>, usize> {
    let mut homes: Vec<usize> = Vec::with_capacity(problem.options.len());
    let mut placed = vec![0_usize; problem.slots.len()];
    for shard in 0..problem.options.len() {
        let reached = cheapest(problem, &homes, shard);
        let end = reached.iter().enumerate().filter_map(|(region, reached)| {
            let total = reached.as_ref()?.cost + problem.slots[region].next(placed[region])?;
            Some((total, region))
        });
        let (_, end) = end.min().ok_or(shard)?;
        placed[end] += 1;
        homes.push(end);
        // Back along the chain: each shard on it takes the place that the next one left.
        let mut region = Some(end);
        for _ in 0..problem.slots.len() {
            let Some((at, step)) = region.and_then(|at| Some((at, reached[at]?))) else { break };
            homes[step.by] = at;
            region = step.from;
        }
    }
    Ok(homes)
}

/// The cheapest chain to each region for one more shard (Bellman-Ford: there are rebates, and no cycle of them, since the
/// assignment so far is optimal).
fn cheapest(problem: &Problem, homes: &[usize], shard: usize) -> Vec<Option<Reached>> {
    let mut reached = vec![None; problem.slots.len()];
    for (region, cost) in &problem.options[shard] {
        reached[*region] = Some(Reached { cost: *cost, by: shard, from: None });
    }
    let gives_way = ways(problem, homes);
    for _ in 1..problem.slots.len() {
        let mut changed = false;
        for &(from, to, cost, by) in &gives_way {
            let Some(start) = reached[from] else { continue };
            let total = start.cost + cost;
            if reached[to].is_none_or(|best: Reached| total < best.cost) {
                reached[to] = Some(Reached { cost: total, by, from: Some(from) });
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    reached
}

/// For each two regions the shard that gives way from the first to the second at the least cost.
fn ways(problem: &Problem, homes: &[usize]) -> Vec<(usize, usize, Cost, usize)> {
    let count = problem.slots.len();
    let mut best: Vec<Option<(Cost, usize)>> = vec![None; count * count];
    for (shard, &home) in homes.iter().enumerate() {
        let options = &problem.options[shard];
        let Some(here) = options.iter().find(|(region, _)| *region == home).map(|(_, cost)| *cost) else {
            continue;
        };
        for &(to, cost) in options.iter().filter(|(to, _)| *to != home) {
            let way = &mut best[home * count + to];
            if way.is_none_or(|(least, _)| cost - here < least) {
                *way = Some((cost - here, shard));
            }
        }
    }
    let found = best.into_iter().enumerate().filter_map(|(at, way)| {
        let (cost, shard) = way?;
        Some((at / count, at % count, cost, shard))
    });
    found.collect()
}
