//! Sets the units of a SKU, and takes a SKU out.

use contracts::{
    Ctx,
    cart::{CartView, code},
    catalog::SkuId,
    pricing::{self, LineInput, MAX_LINES, MAX_QUANTITY},
};
use kernel::{Failure, Money, Result};
use platform_db::{Tx, is_duplicate};

use crate::{
    model::{Key, Line, next_position},
    service::{CartService, Named},
    store,
};

/// First writes of one cart that may meet.
const TRIES: u32 = 4;

struct Put {
    key: Key,
    line: LineInput,
    price: Money,
}

enum Outcome {
    Done,
    /// The cart is somebody else's.
    Foreign,
}

impl CartService {
    /// Sets the units of a SKU that is sold, and shows the cart.
    pub(crate) async fn put_line(&self, ctx: &Ctx, line: LineInput) -> Result<CartView> {
        if !(1..=MAX_QUANTITY).contains(&line.quantity) {
            return Err(Failure::invalid("/quantity", format!("must lie between 1 and {MAX_QUANTITY}")));
        }
        let mut named = self.named(ctx)?;
        let facts = self.facts(ctx, &[line.sku_id]).await?;
        let fact = facts.get(&line.sku_id).ok_or_else(|| Failure::not_found("SKU"))?;
        let price = fact.sold_for().ok_or_else(|| Failure::new(pricing::code::NOT_SOLD))?;
        for _ in 0..TRIES {
            match self.put_in(&named, line, price).await {
                Ok(Outcome::Done) => return self.view(ctx, named).await,
                Ok(Outcome::Foreign) => named = self.new_guest(),
                // Another first line made the cart at the same moment.
                Err(failure) if is_duplicate(&failure, store::CARTS) => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::new(kernel::code::UNAVAILABLE).retry_after(1))
    }

    async fn put_in(&self, named: &Named, line: LineInput, price: Money) -> Result<Outcome> {
        let put = Put { key: named.key.clone(), line, price };
        self.db.write(named.key.shard(), put, |tx, put| Box::pin(put.run(tx))).await
    }

    /// Takes a SKU out, and shows the cart; nothing is written when it was not in.
    pub(crate) async fn remove_line(&self, ctx: &Ctx, sku_id: SkuId) -> Result<CartView> {
        let named = self.named(ctx)?;
        let cart = store::find(self.db.read(), &named.key).await?;
        if cart.is_some_and(|cart| cart.lines.iter().any(|line| line.sku_id == sku_id)) {
            self.db
                .write(named.key.shard(), (named.key.clone(), sku_id), |tx, (key, sku_id)| {
                    Box::pin(async move {
                        if store::take(tx, key).await? {
                            store::remove(tx, key, &[*sku_id]).await?;
                        }
                        Ok(())
                    })
                })
                .await?;
        }
        self.view(ctx, named).await
    }
}

impl Put {
    async fn run(&self, tx: &Tx) -> Result<Outcome> {
        if !store::take_or_make(tx, &self.key).await? {
            return Ok(Outcome::Foreign);
        }
        let lines = store::lines(tx, &self.key).await?;
        let known = lines.iter().find(|line| line.sku_id == self.line.sku_id);
        if known.is_none() && lines.len() >= MAX_LINES {
            return Err(Failure::new(code::FULL).detail(format!("at most {MAX_LINES} lines")));
        }
        let line = Line {
            sku_id: self.line.sku_id,
            position: known.map_or_else(|| next_position(&lines), |line| line.position),
            quantity: self.line.quantity,
            seen: Some(self.price),
            added_at: known.map_or(tx.now(), |line| line.added_at),
        };
        store::put(tx, &self.key, &line).await?;
        Ok(Outcome::Done)
    }
}
