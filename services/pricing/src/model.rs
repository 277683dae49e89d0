//! Prices over time: which one is in force, what it was reduced from, and what setting one changes. Pure.

use std::{collections::BTreeSet, time::Duration};

use contracts::{
    catalog::SkuId,
    pricing::{PriceId, PriceKind, PriceRecord, PriceView},
};
use kernel::{Currency, Money, Timestamp};
use serde::{Deserialize, Serialize};

/// How far back the lowest price before a reduction is looked for (EU Directive 98/6/EC, article 6a).
pub(crate) const LOOK_BACK: Duration = Duration::from_secs(30 * 24 * 3600);

/// So far ahead of ours another process' clock may be; one further ahead is wrong, and its prices are no measure.
const AHEAD: Duration = Duration::from_secs(60);

/// One price of a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Price {
    pub(crate) id: PriceId,
    pub(crate) kind: PriceKind,
    pub(crate) money: Money,
    pub(crate) compare_at: Option<i64>,
    pub(crate) starts_at: Timestamp,
    pub(crate) ends_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
    #[serde(skip)]
    pub(crate) change: Change,
}

/// What has to be written of a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    #[default]
    None,
    /// Its row does not exist yet.
    New,
    /// Its end moved.
    End,
}

impl Price {
    fn covers(&self, moment: Timestamp) -> bool {
        self.starts_at <= moment && self.ends_at.is_none_or(|end| moment < end)
    }

    /// Which of two that cover a moment counts: the one that started last; of two that start together, the one that was set
    /// last. Only what never changes decides: if the end did, moving one would rewrite the past.
    fn rank(&self) -> (Timestamp, Timestamp) {
        (self.starts_at, self.created_at)
    }

    pub(crate) fn record(&self) -> PriceRecord {
        PriceRecord {
            id: self.id,
            kind: self.kind,
            price: self.money,
            compare_at: self.compare_at.map(|amount| Money::new(amount, self.money.currency)),
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            created_at: self.created_at,
            created_by: self.created_by.clone(),
        }
    }
}

/// A price to set, checked.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Where in the call it was named.
    pub(crate) place: usize,
    pub(crate) id: PriceId,
    pub(crate) kind: PriceKind,
    pub(crate) money: Money,
    pub(crate) compare_at: Option<i64>,
    pub(crate) starts_at: Option<Timestamp>,
    pub(crate) ends_at: Option<Timestamp>,
    pub(crate) by: String,
}

impl Wanted {
    /// Whether its window closes before it opens, or closed by now: set then, it would end in the past.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        let starts_at = self.starts_at.map_or(now, |start| start.max(now));
        self.ends_at.is_some_and(|end| end <= starts_at)
    }

    fn names(&self, price: &Price) -> bool {
        price.kind == self.kind && price.money == self.money && price.compare_at == self.compare_at
    }

    /// Without end, it replaces what is in force when it starts; for a time, it only stands before what goes on after it,
    /// and replaces what was to stand there for a time from the same moment.
    fn replaces(&self, price: &Price, starts_at: Timestamp) -> bool {
        let of_list = price.kind == self.kind && price.money.currency == self.money.currency;
        of_list
            && match self.ends_at {
                None => price.starts_at <= starts_at && price.ends_at.is_none_or(|end| end > starts_at),
                Some(_) => price.starts_at == starts_at && price.ends_at.is_some_and(|end| end > starts_at),
            }
    }
}

/// The prices of a SKU, in any currency, in the order in which they were set: of equals the last one counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SkuPrices(pub(crate) Vec<Price>);

impl SkuPrices {
    fn in_force(&self, kind: PriceKind, currency: Currency, moment: Timestamp) -> Option<usize> {
        let of =
            |price: &Price| price.kind == kind && price.money.currency == currency && price.covers(moment);
        (0..self.0.len()).filter(|&index| of(&self.0[index])).max_by_key(|&index| self.0[index].rank())
    }

    /// What one pays at a moment, and the list price: the sale price while it is in force and lower than the list price,
    /// or where there is no list price; else the list price.
    fn paid(&self, currency: Currency, moment: Timestamp) -> Option<(&Price, Option<&Price>)> {
        let of = |kind| self.in_force(kind, currency, moment).map(|index| &self.0[index]);
        match (of(PriceKind::List), of(PriceKind::Sale)) {
            (Some(list), Some(sale)) if sale.money.amount < list.money.amount => Some((sale, Some(list))),
            (Some(list), _) => Some((list, Some(list))),
            (None, Some(sale)) => Some((sale, None)),
            (None, None) => None,
        }
    }

    /// Currencies in which the SKU has a price at a moment, by their codes.
    pub(crate) fn currencies(&self, moment: Timestamp) -> BTreeSet<&'static str> {
        self.0.iter().filter(|price| price.covers(moment)).map(|price| price.money.currency.code()).collect()
    }

    /// How many are or will be in force.
    pub(crate) fn open(&self, now: Timestamp) -> usize {
        self.0.iter().filter(|price| price.ends_at.is_none_or(|end| end > price.starts_at.max(now))).count()
    }

    /// When what is set now is set: after everything that was set before it, also by a process whose clock is a little ahead.
    /// Of two prices the one that was set last counts, whichever region set it.
    pub(crate) fn next_moment(&self, now: Timestamp) -> Timestamp {
        let last = self.0.iter().map(|price| price.created_at).max().unwrap_or(now);
        let ahead = last > now && last.since(now) <= AHEAD;
        if ahead { last.plus(Duration::from_micros(1)) } else { now }
    }

    /// The price in force.
    pub(crate) fn view(&self, sku_id: SkuId, currency: Currency, moment: Timestamp) -> Option<PriceView> {
        let (paid, list) = self.paid(currency, moment)?;
        let before = match paid.kind {
            PriceKind::Sale => list.map(|list| list.money.amount),
            PriceKind::List => paid.compare_at.filter(|&before| before > paid.money.amount),
        };
        let lowest = before.and_then(|_| self.lowest_before(currency, paid.starts_at));
        let money = |amount| Money::new(amount, currency);
        Some(PriceView {
            sku_id,
            price: paid.money,
            compare_at: before.map(money),
            lowest_30_days: lowest.map(money),
            kind: paid.kind,
        })
    }

    /// The lowest price in force at any moment of the thirty days before `start`; none where there was none.
    fn lowest_before(&self, currency: Currency, start: Timestamp) -> Option<i64> {
        let from = start.minus(LOOK_BACK);
        let inside = |moment: &Timestamp| (from..start).contains(moment);
        let changes =
            self.0.iter().flat_map(|price| [Some(price.starts_at), price.ends_at]).flatten().filter(inside);
        changes
            .chain([from])
            .filter_map(|moment| self.paid(currency, moment))
            .map(|(paid, _)| paid.money.amount)
            .min()
    }

    /// Whether something is reduced at a moment, in any currency.
    pub(crate) fn is_reduced(&self, moment: Timestamp) -> bool {
        let mut covering = self.0.iter().filter(|price| price.covers(moment));
        covering.any(|price| price.kind == PriceKind::Sale || price.compare_at.is_some())
    }

    /// From when on the prices of the past matter to what is shown at `moment`.
    pub(crate) fn looks_back_to(&self, moment: Timestamp) -> Timestamp {
        let starts = self.0.iter().filter(|price| price.covers(moment)).map(|price| price.starts_at);
        starts.min().unwrap_or(moment).minus(LOOK_BACK)
    }

    /// What shoppers see at a moment, to tell whether it changed.
    pub(crate) fn seen(&self, moment: Timestamp) -> BTreeSet<(&'static str, i64, Option<i64>)> {
        let see = |code: &'static str| {
            let (paid, list) = self.paid(Currency::from_code(code)?, moment)?;
            let before =
                if paid.kind == PriceKind::Sale { list.map(|l| l.money.amount) } else { paid.compare_at };
            Some((code, paid.money.amount, before))
        };
        self.currencies(moment).into_iter().filter_map(see).collect()
    }

    /// Sets a price; one that is as wanted already changes nothing. The wanted window ends after it starts and after now.
    pub(crate) fn set(&mut self, wanted: &Wanted, now: Timestamp) {
        let starts_at = wanted.starts_at.map_or(now, |start| start.max(now));
        // A price without end goes on below one that stands before it for a time: naming it again is no change either.
        let known = |price: &Price| {
            let started = starts_at == now && price.covers(now);
            wanted.names(price)
                && price.ends_at == wanted.ends_at
                && (started || price.starts_at == starts_at)
        };
        if self.0.iter().any(known) {
            return;
        }
        let current = self.in_force(wanted.kind, wanted.money.currency, now);
        let moved = current.filter(|&index| starts_at == now && wanted.names(&self.0[index]));
        for (index, price) in self.0.iter_mut().enumerate() {
            if Some(index) == moved {
                // The same price, until another moment.
                price.end(wanted.ends_at);
            } else if wanted.replaces(price, starts_at) {
                price.end(Some(starts_at));
            }
        }
        if moved.is_none() {
            self.0.push(Price {
                id: wanted.id,
                kind: wanted.kind,
                money: wanted.money,
                compare_at: wanted.compare_at,
                starts_at,
                ends_at: wanted.ends_at,
                created_at: now,
                created_by: wanted.by.clone(),
                change: Change::New,
            });
        }
    }

    /// Moments after now at which something begins or ends that is to be written.
    pub(crate) fn boundaries(&self, now: Timestamp) -> BTreeSet<Timestamp> {
        let changed = self.0.iter().filter(|price| price.change != Change::None);
        changed
            .flat_map(|price| [Some(price.starts_at), price.ends_at])
            .flatten()
            .filter(|&at| at > now)
            .collect()
    }
}

impl Price {
    fn end(&mut self, at: Option<Timestamp>) {
        self.ends_at = at;
        if self.change == Change::None {
            self.change = Change::End;
        }
    }
}

/// A kind as the database has it.
pub(crate) const fn kind_name(kind: PriceKind) -> &'static str {
    match kind {
        PriceKind::List => "list",
        PriceKind::Sale => "sale",
    }
}

#[cfg(test)]
mod tests;
