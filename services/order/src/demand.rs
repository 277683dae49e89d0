//! What is wanted: two lines of one SKU are one demand.

use contracts::pricing::{LineInput, MAX_LINES, MAX_QUANTITY};
use kernel::{Failure, Result};

/// The lines wanted, one a SKU, in the order they were first named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    lines: Vec<LineInput>,
    /// Where the caller named each line first.
    named: Vec<usize>,
}

impl Demand {
    /// Adds up `items` of a request; what is wrong with them is named by pointers below `/items`.
    pub(crate) fn of(items: &[LineInput]) -> Result<Self> {
        if items.is_empty() || items.len() > MAX_LINES {
            return Err(Failure::invalid("/items", format!("must have 1 to {MAX_LINES} lines")));
        }
        let mut demand =
            Self { lines: Vec::with_capacity(items.len()), named: Vec::with_capacity(items.len()) };
        for (index, item) in items.iter().enumerate() {
            if !(1..=MAX_QUANTITY).contains(&item.quantity) {
                return Err(Failure::invalid(
                    format!("/items/{index}/quantity"),
                    format!("must lie between 1 and {MAX_QUANTITY}"),
                ));
            }
            match demand.lines.iter_mut().find(|line| line.sku_id == item.sku_id) {
                // Both are at most MAX_QUANTITY here: the sum cannot overflow.
                Some(line) if line.quantity + item.quantity <= MAX_QUANTITY => line.quantity += item.quantity,
                Some(_) => {
                    return Err(Failure::invalid(
                        format!("/items/{index}/quantity"),
                        format!("the lines of this SKU come to more than {MAX_QUANTITY} together"),
                    ));
                }
                None => {
                    demand.lines.push(*item);
                    demand.named.push(index);
                }
            }
        }
        Ok(demand)
    }

    /// The lines, one a SKU.
    pub(crate) fn lines(&self) -> &[LineInput] {
        &self.lines
    }

    /// The same failure with its pointers into our lines (`/lines/1`) turned into the caller's (`/items/2`).
    pub(crate) fn name(&self, failure: Failure) -> Failure {
        if failure.fields().is_empty() {
            return failure;
        }
        let mut problem = failure.problem();
        for field in &mut problem.errors {
            if let Some(pointer) = self.pointer(&field.pointer) {
                field.pointer = pointer;
            }
        }
        Failure::from(problem)
    }

    fn pointer(&self, ours: &str) -> Option<String> {
        let rest = ours.strip_prefix("/lines").or_else(|| ours.strip_prefix("/items"))?;
        let Some(rest) = rest.strip_prefix('/') else { return Some(format!("/items{rest}")) };
        let (index, field) = rest.split_once('/').map_or((rest, None), |(index, field)| (index, Some(field)));
        let place = self.named.get(index.parse::<usize>().ok()?)?;
        Some(field.map_or_else(|| format!("/items/{place}"), |field| format!("/items/{place}/{field}")))
    }
}

#[cfg(test)]
mod tests {
    use contracts::{catalog::SkuId, inventory};
    use kernel::Shard;
    use proptest::prelude::*;

    use super::*;

    fn item(sku: u8, quantity: i64) -> LineInput {
        LineInput { sku_id: SkuId::derive(Shard::new(0), &[&[sku]]), quantity }
    }

    #[test]
    fn two_lines_of_a_sku_are_one_demand() {
        let demand = Demand::of(&[item(1, 2), item(2, 1), item(1, 3)]).unwrap();
        assert_eq!(demand.lines(), [item(1, 5), item(2, 1)]);
    }

    #[test]
    fn names_what_is_wrong() {
        let pointer = |items: &[LineInput]| Demand::of(items).unwrap_err().fields()[0].pointer.clone();
        assert_eq!(pointer(&[]), "/items");
        assert_eq!(pointer(&[item(1, 1), item(2, 0)]), "/items/1/quantity");
        assert_eq!(pointer(&[item(1, 999), item(2, 1), item(1, 1)]), "/items/2/quantity");
        assert_eq!(pointer(&vec![item(1, 1); 101]), "/items");
    }

    #[test]
    fn names_the_callers_line_not_ours() {
        let demand = Demand::of(&[item(1, 1), item(1, 1), item(2, 1)]).unwrap();
        let failure = Failure::new(inventory::code::OUT_OF_STOCK)
            .field("/lines/1", "0 left")
            .field("/lines/0/quantity", "1 left");
        let named = demand.name(failure);
        assert!(named.is(inventory::code::OUT_OF_STOCK));
        assert_eq!(named.status(), 409);
        let pointers: Vec<_> = named.fields().iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(pointers, ["/items/2", "/items/0/quantity"]);
    }

    proptest! {
        #[test]
        fn units_are_neither_lost_nor_made(items in prop::collection::vec((0_u8..20, 1_i64..50), 1..40)) {
            let items: Vec<_> = items.into_iter().map(|(sku, quantity)| item(sku, quantity)).collect();
            if let Ok(demand) = Demand::of(&items) {
                prop_assert_eq!(demand.lines().iter().map(|l| l.quantity).sum::<i64>(), items.iter().map(|l| l.quantity).sum::<i64>());
                let mut skus: Vec<_> = demand.lines().iter().map(|l| l.sku_id).collect();
                skus.sort();
                skus.dedup();
                prop_assert_eq!(skus.len(), demand.lines().len());
            }
        }
    }
}
