//! Shows a cart with live prices and stock.

use contracts::{
    Ctx,
    cart::{CartView, code},
    pricing::LineInput,
};
use kernel::{Failure, Result};

use crate::{
    model::{self, Key, NewlySeen},
    service::{CartService, Named},
    store,
};

impl CartService {
    /// The cart as it is now. What the shopper sees for the first time is noted afterwards; a cart that looks as it did
    /// before is only read.
    pub(crate) async fn view(&self, ctx: &Ctx, named: Named) -> Result<CartView> {
        let cart = store::find(self.db.read(), &named.key).await?;
        let named = match &cart {
            // The name is somebody else's cart: this guest gets one of their own.
            None if named.token.is_some() && store::is_foreign(self.db.read(), &named.key).await? => {
                self.new_guest()
            }
            _ => named,
        };
        let token = named.token.as_ref().map(crate::token::Token::reveal);
        let Some(cart) = cart else {
            return Ok(CartView {
                id: None,
                token,
                items: Vec::new(),
                quantity: 0,
                subtotal: None,
                updated_at: None,
            });
        };
        let skus: Vec<_> = cart.lines.iter().map(|line| line.sku_id).collect();
        let facts = self.facts(ctx, &skus).await?;
        let (items, news) = model::show(&cart.lines, &facts);
        self.note(named.key, news).await;
        let (quantity, subtotal) = model::totals(&items);
        Ok(CartView {
            id: Some(cart.id),
            token,
            items,
            quantity,
            subtotal,
            updated_at: Some(cart.updated_at),
        })
    }

    /// Notes prices as seen. Where that fails they are told as news once more, which is no reason not to show the cart.
    async fn note(&self, key: Key, news: Vec<NewlySeen>) {
        if news.is_empty() {
            return;
        }
        let id = key.id;
        let noted = self
            .db
            .write(key.shard(), (key, news), |tx, (key, news)| {
                Box::pin(async move {
                    for seen in news {
                        store::note_seen(tx, key, seen).await?;
                    }
                    Ok(())
                })
            })
            .await;
        if let Err(failure) = noted {
            tracing::warn!(cart.id = %id, %failure, "prices seen were not noted");
        }
    }

    /// The lines a checkout would order.
    pub(crate) async fn lines_to_order(&self, ctx: &Ctx) -> Result<Vec<LineInput>> {
        let named = self.named(ctx)?;
        let lines = store::find(self.db.read(), &named.key).await?.map_or_else(Vec::new, |cart| cart.lines);
        let skus: Vec<_> = lines.iter().map(|line| line.sku_id).collect();
        let sold = model::sold(&lines, &self.facts(ctx, &skus).await?);
        if sold.is_empty() { Err(Failure::new(code::EMPTY)) } else { Ok(sold) }
    }
}
