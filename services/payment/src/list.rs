//! Reads payments.

use contracts::{
    Ctx, Permission,
    order::OrderId,
    payment::{ListPayments, PaymentView},
};
use kernel::{Cursors, Page, Result, page_limit};

use crate::{PaymentService, store};

impl PaymentService {
    /// An order's payments, newest first; none of an order of somebody else.
    pub(crate) async fn payments_of_order(&self, ctx: &Ctx, order: OrderId) -> Result<Vec<PaymentView>> {
        let rows = store::of_order(self.db.read(), order).await?;
        rows.iter()
            .filter(|row| ctx.may_see(row.user(), Permission::PaymentRead))
            .map(|row| row.view(&self.places))
            .collect()
    }

    /// Every payment, newest first.
    pub(crate) async fn list_payments(&self, ctx: &Ctx, query: ListPayments) -> Result<Page<PaymentView>> {
        ctx.require(Permission::PaymentRead)?;
        let limit = page_limit(query.limit)?;
        let cursors = Cursors::of("payment.payments", &query.state);
        let after = cursors.read(query.cursor.as_deref())?;
        let rows = store::intents(self.db.read(), query.state, after, limit).await?;
        let page = cursors.page(rows, limit, |row| (row.created_at, row.id));
        let items = page.items.iter().map(|row| row.view(&self.places)).collect::<Result<_>>()?;
        Ok(Page { items, next_cursor: page.next_cursor })
    }
}
