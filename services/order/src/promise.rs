//! What a signed quote binds us to. Pure.

use std::collections::BTreeMap;

use contracts::{
    catalog::SkuId,
    pricing::{Destination, QuotePromise, code},
};
use kernel::{Failure, Money, Result, Timestamp};

use crate::demand::Demand;

/// Whether the shopper agreed to `total`: the quote they hand in must be for the same lines and destination, still hold,
/// and promise at least today's total. A fall passes through to the shopper, a rise needs a new quote. One that was asked
/// for without an address promises its total wherever the order goes.
pub(crate) fn honour(
    promise: &QuotePromise,
    demand: &Demand,
    destination: &Destination,
    total: Money,
    now: Timestamp,
) -> Result<()> {
    let invalid = |detail: &str| Err(Failure::new(code::QUOTE_INVALID).field("/quote", detail));
    if promise.destination.as_ref().is_some_and(|promised| promised != destination) {
        return invalid("was made for another address");
    }
    let mut promised: BTreeMap<SkuId, i64> = BTreeMap::new();
    for (sku_id, quantity, _) in &promise.lines {
        let units = promised.entry(*sku_id).or_default();
        *units = units.saturating_add(*quantity);
    }
    if promised != demand.lines().iter().map(|line| (line.sku_id, line.quantity)).collect() {
        return invalid("was made for other items");
    }
    if promise.expires_at <= now {
        return Err(Failure::new(code::QUOTE_EXPIRED));
    }
    if promise.total.currency != total.currency {
        return invalid("was made in another currency");
    }
    if total.amount > promise.total.amount {
        return Err(Failure::new(code::PRICE_ROSE).detail(format!("from {} to {total}", promise.total)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kernel::Currency;

    use super::*;
    use crate::testing::{AT, item};

    fn destination() -> Destination {
        Destination { country: "US".to_owned(), region: "CA".to_owned(), address_id: None }
    }

    fn promise() -> QuotePromise {
        let price = Money::new(500, Currency::USD);
        QuotePromise {
            lines: vec![(item(1, 1).sku_id, 2, price), (item(2, 1).sku_id, 1, price)],
            total: Money::new(1_500, Currency::USD),
            destination: Some(destination()),
            expires_at: AT.plus(Duration::from_secs(1)),
        }
    }

    fn told(change: impl Fn(&mut QuotePromise), total: i64) -> Result<()> {
        let mut promise = promise();
        change(&mut promise);
        // Named in another order, one SKU twice: the same demand.
        let demand = Demand::of(&[item(2, 1), item(1, 1), item(1, 1)]).unwrap();
        honour(&promise, &demand, &destination(), Money::new(total, Currency::USD), AT)
    }

    #[test]
    fn a_fall_passes_and_a_rise_does_not() {
        assert!(told(|_| (), 1_500).is_ok());
        assert!(told(|_| (), 1_499).is_ok());
        assert!(told(|_| (), 1_501).unwrap_err().is(code::PRICE_ROSE));
    }

    #[test]
    fn a_quote_without_an_address_promises_its_total() {
        assert!(told(|promise| promise.destination = None, 1_500).is_ok());
        assert!(told(|promise| promise.destination = None, 1_501).unwrap_err().is(code::PRICE_ROSE));
    }

    #[test]
    fn a_quote_for_something_else_is_refused() {
        let invalid: [fn(&mut QuotePromise); 4] = [
            |promise| promise.lines[0].1 = 3,
            |promise| promise.lines.truncate(1),
            |promise| promise.destination.as_mut().unwrap().country = "DE".to_owned(),
            |promise| promise.total.currency = Currency::EUR,
        ];
        for change in invalid {
            let refused = told(change, 1_500).unwrap_err();
            assert!(refused.is(code::QUOTE_INVALID));
            assert_eq!(refused.fields()[0].pointer, "/quote");
        }
        assert!(told(|promise| promise.expires_at = AT, 1_500).unwrap_err().is(code::QUOTE_EXPIRED));
    }
}
