//! A cart's lines: how they look today, and how two carts become one. Pure.

use std::collections::HashMap;

use contracts::{
    UserId,
    cart::{CartChange, CartId, CartLine},
    catalog::{SkuId, SkuInfo},
    pricing::{LineInput, MAX_LINES, MAX_QUANTITY},
};
use kernel::{Money, Shard, Timestamp};

/// A line as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sku_id: SkuId,
    /// Lines are shown in this order.
    pub(crate) position: i64,
    pub(crate) quantity: i64,
    /// The price the shopper saw last.
    pub(crate) seen: Option<Money>,
    pub(crate) added_at: Timestamp,
}

/// A cart as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cart {
    pub(crate) id: CartId,
    pub(crate) lines: Vec<Line>,
    pub(crate) updated_at: Timestamp,
}

/// Who a cart belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A user.
    Member(UserId),
    /// Whoever knows the secret with this hash.
    Guest(Vec<u8>),
}

/// A cart's name and whose it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: CartId,
    pub(crate) owner: Owner,
}

impl Key {
    /// A member's one cart: its id follows from the user's.
    pub(crate) fn of_member(user_id: UserId) -> Self {
        let id = CartId::derive(user_id.shard(), &[b"cart", user_id.uuid().as_bytes()]);
        Self { id, owner: Owner::Member(user_id) }
    }

    /// The shard the cart is on.
    pub(crate) fn shard(&self) -> Shard {
        self.id.shard()
    }
}

/// What is known of a SKU now.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) info: SkuInfo,
    pub(crate) price: Option<Money>,
    pub(crate) available: i64,
}

impl Fact {
    /// What a unit costs, where it can be bought: on the shelf, and with a price.
    pub(crate) fn sold_for(&self) -> Option<Money> {
        self.price.filter(|_| self.info.sold)
    }
}

/// A price that the shopper sees for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewlySeen {
    pub(crate) sku_id: SkuId,
    pub(crate) before: Option<Money>,
    pub(crate) now: Money,
}

/// The lines with today's prices and stock, and the prices on them that are news to the shopper. A SKU that the catalog
/// does not know any more cannot be shown, and is left out.
pub(crate) fn show(lines: &[Line], facts: &HashMap<SkuId, Fact>) -> (Vec<CartLine>, Vec<NewlySeen>) {
    let mut shown = Vec::with_capacity(lines.len());
    let mut news = Vec::new();
    for line in lines {
        let Some(fact) = facts.get(&line.sku_id) else { continue };
        let price = fact.sold_for();
        if let Some(now) = price
            && line.seen != Some(now)
        {
            news.push(NewlySeen { sku_id: line.sku_id, before: line.seen, now });
        }
        shown.push(CartLine {
            sku_id: line.sku_id,
            product_id: fact.info.product_id,
            sku_code: fact.info.sku.code.clone(),
            slug: fact.info.slug.clone(),
            title: fact.info.title.clone(),
            options: fact.info.sku.options.clone(),
            image: fact.info.image.as_ref().map(|image| image.url.clone()),
            quantity: line.quantity,
            available: fact.available,
            unit_price: price,
            subtotal: price.and_then(|price| price.times(line.quantity).ok()),
            changes: changes(line, price, fact.available),
        });
    }
    (shown, news)
}

fn changes(line: &Line, price: Option<Money>, available: i64) -> Vec<CartChange> {
    let Some(now) = price else { return vec![CartChange::NotSold] };
    let mut changes = Vec::new();
    if let Some(from) = line.seen
        && from != now
    {
        changes.push(CartChange::PriceChanged { from, to: now });
    }
    if available < line.quantity {
        changes.push(CartChange::StockShort { available });
    }
    changes
}

/// Units and sum of the lines that can be bought. No sum for none of them, or for several currencies.
pub(crate) fn totals(lines: &[CartLine]) -> (i64, Option<Money>) {
    let counted = || lines.iter().filter_map(|line| line.subtotal.map(|subtotal| (line.quantity, subtotal)));
    let units = counted().map(|(quantity, _)| quantity).sum();
    let sum =
        counted().map(|(_, subtotal)| Ok(subtotal)).reduce(|sum, next| sum?.plus(next?)).and_then(Result::ok);
    (units, sum)
}

/// What a merge does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merge {
    /// The member's lines that are new or changed.
    pub(crate) put: Vec<Line>,
    /// The guest's lines that moved over.
    pub(crate) moved: Vec<SkuId>,
}

/// Adds a guest's lines to a member's: quantities are added up to the most a line may have; lines that the member's cart
/// has no room for stay with the guest.
pub(crate) fn merge(member: &[Line], guest: &[Line]) -> Merge {
    let mut merge = Merge::default();
    let mut lines = member.len();
    let mut position = next_position(member);
    for line in guest {
        let merged = match member.iter().find(|own| own.sku_id == line.sku_id) {
            Some(own) => {
                let quantity = own.quantity.saturating_add(line.quantity).min(MAX_QUANTITY);
                Line { quantity, ..own.clone() }
            }
            None if lines < MAX_LINES => {
                lines += 1;
                position += 1;
                Line { position: position - 1, ..line.clone() }
            }
            None => continue,
        };
        merge.put.push(merged);
        merge.moved.push(line.sku_id);
    }
    merge
}

/// Where the next line goes.
pub(crate) fn next_position(lines: &[Line]) -> i64 {
    lines.iter().map(|line| line.position).max().map_or(0, |last| last + 1)
}

/// What remains of a line after some of it was ordered; none when nothing does.
pub(crate) fn rest(line: &Line, ordered: i64) -> Option<Line> {
    let quantity = line.quantity - ordered;
    (quantity > 0).then(|| Line { quantity, ..line.clone() })
}

/// The lines that a checkout orders: what is sold now.
pub(crate) fn sold(lines: &[Line], facts: &HashMap<SkuId, Fact>) -> Vec<LineInput> {
    lines
        .iter()
        .filter(|line| facts.get(&line.sku_id).is_some_and(|fact| fact.sold_for().is_some()))
        .map(|line| LineInput { sku_id: line.sku_id, quantity: line.quantity })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use contracts::catalog::{ProductId, SkuRecord};
    use kernel::Currency;
    use proptest::prelude::*;

    use super::*;

    fn sku(n: u16) -> SkuId {
        SkuId::derive(Shard::new(1), &[&n.to_be_bytes()])
    }

    fn line(n: u16, position: i64, quantity: i64) -> Line {
        Line { sku_id: sku(n), position, quantity, seen: Some(usd(500)), added_at: Timestamp::from_micros(1) }
    }

    fn usd(amount: i64) -> Money {
        Money::new(amount, Currency::USD)
    }

    fn fact(n: u16, price: Option<Money>, sold: bool, available: i64) -> (SkuId, Fact) {
        let sku_record = SkuRecord {
            id: sku(n),
            code: String::new(),
            options: Vec::new(),
            barcode: None,
            weight_grams: 0,
        };
        let info = SkuInfo {
            sku: sku_record,
            product_id: ProductId::derive(Shard::new(1), &[b"p"]),
            slug: String::new(),
            title: String::new(),
            image: None,
            tax_category: String::new(),
            sold,
        };
        (sku(n), Fact { info, price, available })
    }

    #[test]
    fn shows_what_changed_and_counts_what_is_sold() {
        let lines = [line(1, 0, 2), line(2, 1, 3), line(3, 2, 1), line(4, 3, 1), line(5, 4, 1)];
        let facts = HashMap::from([
            fact(1, Some(usd(500)), true, 9),
            fact(2, Some(usd(450)), true, 2),
            fact(3, Some(usd(500)), false, 9),
            fact(4, None, true, 9),
        ]);
        let (shown, news) = show(&lines, &facts);
        let changes: Vec<_> = shown.iter().map(|line| line.changes.clone()).collect();
        let rose = CartChange::PriceChanged { from: usd(500), to: usd(450) };
        let short = CartChange::StockShort { available: 2 };
        assert_eq!(
            changes,
            [vec![], vec![rose, short], vec![CartChange::NotSold], vec![CartChange::NotSold]]
        );
        assert_eq!(news, [NewlySeen { sku_id: sku(2), before: Some(usd(500)), now: usd(450) }]);
        assert_eq!(totals(&shown), (5, Some(usd(2 * 500 + 3 * 450))));
        assert_eq!(sold(&lines, &facts).len(), 2);
        assert_eq!(totals(&[]), (0, None));
    }

    #[test]
    fn two_currencies_have_no_sum() {
        let facts = HashMap::from([
            fact(1, Some(usd(1)), true, 9),
            fact(2, Some(Money::new(1, Currency::EUR)), true, 9),
        ]);
        let (shown, _) = show(&[line(1, 0, 1), line(2, 1, 1)], &facts);
        assert_eq!(totals(&shown), (2, None));
    }

    fn cart() -> impl Strategy<Value = Vec<Line>> {
        prop::collection::btree_map(0_u16..160, 1_i64..=MAX_QUANTITY, 0..=MAX_LINES).prop_map(|lines| {
            lines.into_iter().enumerate().map(|(at, (n, quantity))| line(n, at as i64, quantity)).collect()
        })
    }

    fn apply(member: &[Line], guest: &[Line], merge: &Merge) -> (Vec<Line>, Vec<Line>) {
        let mut by_sku: BTreeMap<SkuId, Line> =
            member.iter().map(|line| (line.sku_id, line.clone())).collect();
        by_sku.extend(merge.put.iter().map(|line| (line.sku_id, line.clone())));
        let mut merged: Vec<Line> = by_sku.into_values().collect();
        merged.sort_by_key(|line| line.position);
        (merged, guest.iter().filter(|line| !merge.moved.contains(&line.sku_id)).cloned().collect())
    }

    proptest! {
        #[test]
        fn merging_loses_nothing_and_again_changes_nothing(member in cart(), guest in cart()) {
            let (after, left) = apply(&member, &guest, &merge(&member, &guest));
            prop_assert!(after.len() <= MAX_LINES);
            let units = |lines: &[Line], sku: SkuId| lines.iter().find(|l| l.sku_id == sku).map_or(0, |l| l.quantity);
            for line in member.iter().chain(&guest) {
                let whole = units(&member, line.sku_id) + units(&guest, line.sku_id);
                prop_assert_eq!(units(&after, line.sku_id) + units(&left, line.sku_id), whole.min(MAX_QUANTITY));
            }
            let mut positions: Vec<_> = after.iter().map(|line| line.position).collect();
            positions.dedup();
            prop_assert_eq!(positions.len(), after.len(), "every line has a place of its own");
            prop_assert_eq!(&after[..member.len()].iter().map(|l| l.sku_id).collect::<Vec<_>>(), &member.iter().map(|l| l.sku_id).collect::<Vec<_>>());
            if left.is_empty() {
                prop_assert_eq!(merge(&after, &left), Merge::default());
            } else {
                prop_assert_eq!(after.len(), MAX_LINES);
                prop_assert_eq!(merge(&after, &left), Merge::default(), "what has no room stays");
            }
        }

        #[test]
        fn ordering_takes_out_what_was_ordered(quantity in 1_i64..=MAX_QUANTITY, ordered in 1_i64..=MAX_QUANTITY) {
            let left = rest(&line(1, 0, quantity), ordered).map_or(0, |line| line.quantity);
            prop_assert_eq!(left, (quantity - ordered).max(0));
        }
    }
}
