//! Holds stored orders to their equations: sums, history, payments, and one hold an order.

use std::{collections::HashSet, sync::Arc};

use contracts::order::{OrderHistoryView, OrderState, PaymentState};
use kernel::{Money, MoneyError, Result, Shard};
use platform_runtime::{Finding, Scope};

use crate::{
    OrderService,
    model::Order,
    states::{Step, next},
    store,
    take_in::ELSEWHERE,
};

/// Orders read at once.
const PAGE: u32 = 200;

/// Everything that may move an order.
const STEPS: [Step; 6] = [Step::Pay, Step::Revive, Step::Cancel, Step::Expire, Step::SellOut, Step::Close];

struct Found {
    /// Lines sum to totals.
    sums: Finding,
    /// The history is a path of the state machine that ends where the order stands.
    history: Finding,
    /// What was paid is what the payment has.
    payment: Finding,
    /// No two orders have one hold: a key had one effect.
    hold: Finding,
}

impl OrderService {
    /// Looks at the newest orders of each shard, as far as `scope` goes.
    pub(crate) async fn audit(self: Arc<Self>, scope: Scope) -> Result<Vec<Finding>> {
        let mut found = Found {
            sums: Finding::of("order.sums"),
            history: Finding::of("order.history"),
            payment: Finding::of("order.payment"),
            hold: Finding::of("order.hold"),
        };
        let of_shard = scope.most.map(|most| (most / u32::from(self.db.shards())).max(1));
        let mut holds = HashSet::new();
        for shard in self.db.every_shard() {
            self.audit_shard(shard, &scope, of_shard, &mut found, &mut holds).await?;
        }
        Ok(vec![found.sums, found.history, found.payment, found.hold])
    }

    async fn audit_shard(
        &self,
        shard: Shard,
        scope: &Scope,
        most: Option<u32>,
        found: &mut Found,
        holds: &mut HashSet<uuid::Uuid>,
    ) -> Result<()> {
        let mut left = most.unwrap_or(u32::MAX);
        let mut after = None;
        loop {
            let wanted = PAGE.min(left);
            let page = store::page_with_history(&self.db, shard, after, u64::from(wanted)).await?;
            let read = u32::try_from(page.len()).unwrap_or(u32::MAX);
            for (order, history) in &page {
                if scope.since.is_some_and(|since| order.placed_at < since) {
                    return Ok(());
                }
                found.sums.hold(adds_up(order), || format!("{}: its sums do not add up", order.number));
                let wrong = off_the_path(order, history);
                found
                    .history
                    .hold(wrong.is_none(), || format!("{}: {}", order.number, wrong.unwrap_or_default()));
                let alone = holds.insert(order.hold_id.uuid());
                found.hold.hold(alone, || format!("{}: another order has its hold", order.number));
                self.audit_payment(order, scope, &mut found.payment).await?;
            }
            left -= read.min(left);
            match page.last() {
                Some((last, _)) if read == wanted && left > 0 => {
                    after = Some((last.placed_at.micros(), last.id.uuid()));
                }
                _ => return Ok(()),
            }
        }
    }

    /// An order that is paid has a payment that has its money; what came back of it was given back there.
    async fn audit_payment(&self, order: &Order, scope: &Scope, finding: &mut Finding) -> Result<()> {
        let settled = matches!(
            order.payment_state,
            PaymentState::Paid | PaymentState::PartiallyRefunded | PaymentState::Refunded
        );
        let Some(id) = order.payment_id.filter(|_| settled) else {
            let needs_one = settled && order.state != OrderState::Cancelled;
            finding.hold(!needs_one, || format!("{}: it is paid by no payment", order.number));
            return Ok(());
        };
        let payment = match self.payments.payment(&scope.ctx, id).await {
            Ok(payment) => payment,
            Err(failure) if failure.status() == 404 => {
                finding.hold(false, || format!("{}: there is no payment {id}", order.number));
                return Ok(());
            }
            Err(failure) => return Err(failure),
        };
        let right = payment.order_id == order.id
            && payment.amount == order.totals.total
            && payment.paid_at.is_some()
            && order.refunded <= payment.refunded.amount
            && order.refunded <= order.totals.total.amount;
        finding.hold(right, || {
            format!(
                "{}: {:?}, {} against payment {} of {}, {} and {} given back",
                order.number,
                order.payment_state,
                order.totals.total,
                payment.number,
                payment.amount,
                order.refunded,
                payment.refunded
            )
        });
        Ok(())
    }
}

/// Whether lines and totals add up, as they did when the order was drafted.
pub(crate) fn adds_up(order: &Order) -> bool {
    let totals = &order.totals;
    let sum = |of: fn(&crate::model::OrderLine) -> Money| {
        Money::sum(totals.total.currency, order.lines.iter().map(of))
    };
    let equations = || -> Result<bool, MoneyError> {
        for line in &order.lines {
            if line.unit_price.times(line.quantity)? != line.subtotal
                || line.discount.amount > line.subtotal.amount
            {
                return Ok(false);
            }
        }
        let net = totals.subtotal.minus(totals.discount)?.plus(totals.shipping)?;
        // Where prices include tax it is told, but not added.
        Ok(sum(|line| line.subtotal)? == totals.subtotal
            && sum(|line| line.discount)? == totals.discount
            && (totals.total == net || totals.total == net.plus(totals.tax)?))
    };
    !order.lines.is_empty() && equations().unwrap_or(false)
}

/// Why the history is not one that could have been.
fn off_the_path(order: &Order, history: &[OrderHistoryView]) -> Option<String> {
    let (Some(first), Some(last)) = (history.first(), history.last()) else {
        return Some("it has no history".to_owned());
    };
    // What happened in another shop followed that shop's rules.
    let elsewhere = |step: &OrderHistoryView| step.reason.starts_with(ELSEWHERE);
    if first.from.is_some() || (first.to != OrderState::PendingPayment && !elsewhere(first)) {
        return Some(format!("its history begins with {:?}", first.to));
    }
    for pair in history.windows(2) {
        let (before, step) = (&pair[0], &pair[1]);
        let leads = step.from == Some(before.to);
        let stays = before.to == step.to || elsewhere(step);
        if !leads || !(stays || STEPS.iter().any(|by| next(before.to, *by) == Some(step.to))) {
            return Some(format!(
                "its history goes from {:?} to {:?} (as if from {:?})",
                before.to, step.to, step.from
            ));
        }
    }
    if last.to != order.state {
        return Some(format!("its history ends with {:?}, it is {:?}", last.to, order.state));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, AT};

    fn step(from: Option<OrderState>, to: OrderState) -> OrderHistoryView {
        OrderHistoryView { at: AT, actor: "system".into(), from, to, reason: String::new() }
    }

    #[test]
    fn a_sum_that_is_off_by_one_is_found() {
        let order = testing::order();
        assert!(adds_up(&order));
        for spoil in [
            |order: &mut Order| order.totals.total.amount += 1,
            |order: &mut Order| order.totals.discount.amount += 1,
            |order: &mut Order| order.lines[0].subtotal.amount -= 1,
            |order: &mut Order| order.lines[0].quantity += 1,
            |order: &mut Order| order.lines.clear(),
        ] {
            let mut wrong = order.clone();
            spoil(&mut wrong);
            assert!(!adds_up(&wrong), "{wrong:?}");
        }
    }

    #[test]
    fn only_paths_of_the_state_machine_are_histories() {
        use OrderState::{Cancelled, Closed, Paid, PendingPayment};
        let mut order = testing::order();
        let begin = step(None, PendingPayment);
        assert_eq!(off_the_path(&order, std::slice::from_ref(&begin)), None);
        assert!(off_the_path(&order, &[]).is_some());
        order.state = Paid;
        let paid = step(Some(PendingPayment), Paid);
        assert_eq!(off_the_path(&order, &[begin.clone(), paid.clone()]), None);
        assert!(off_the_path(&order, std::slice::from_ref(&begin)).is_some(), "a step is missing");
        assert!(
            off_the_path(&order, &[begin.clone(), step(Some(Cancelled), Paid)]).is_some(),
            "from nowhere"
        );
        order.state = PendingPayment;
        let back = [begin.clone(), paid, step(Some(Paid), PendingPayment)];
        assert!(off_the_path(&order, &back).is_some(), "nothing leads back");
        order.state = Closed;
        assert!(off_the_path(&order, &[begin.clone(), step(Some(PendingPayment), Closed)]).is_some());
        let closed =
            OrderHistoryView { reason: format!("{ELSEWHERE}closed"), ..step(Some(PendingPayment), Closed) };
        assert_eq!(off_the_path(&order, &[begin, closed]), None, "another shop's rules are not ours");
    }
}
