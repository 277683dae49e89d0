//! Prices items for a shopper, before they order.

use contracts::{
    Ctx,
    order::AskQuote,
    pricing::{QuoteRequest, QuoteView},
};
use kernel::Result;

use crate::{
    demand::Demand,
    service::{OrderService, destination},
};

impl OrderService {
    /// A signed quote. An address needs somebody logged in; without one, anybody may ask.
    pub(crate) async fn quote_now(&self, ctx: &Ctx, command: AskQuote) -> Result<QuoteView> {
        let demand = Demand::of(&command.items)?;
        let destination = match command.address_id {
            Some(id) => {
                ctx.user()?;
                Some(destination(&self.address(ctx, id).await?))
            }
            None => None,
        };
        let request = QuoteRequest { lines: demand.lines().to_vec(), destination };
        self.pricing.quote(ctx, request).await.map_err(|failure| demand.name(failure))
    }
}
