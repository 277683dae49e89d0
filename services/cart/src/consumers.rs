//! Events in.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{Event, EventBody, order::OrderPlaced};
use kernel::Result;
use platform_bus::Consumer;
use platform_db::Tx;

use crate::{
    model::{Key, rest},
    service::CartService,
    store,
};

const SUBSCRIPTION: &str = "cart.ordered";

/// Takes what was ordered out of the cart it was ordered from: no more than that, whatever was put in meanwhile.
pub(crate) struct Ordered(pub(crate) Arc<CartService>);

#[async_trait]
impl Consumer for Ordered {
    fn subscription(&self) -> &'static str {
        SUBSCRIPTION
    }

    fn topics(&self) -> &'static [&'static str] {
        &[OrderPlaced::TOPIC]
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        let Some(placed) = event.body::<OrderPlaced>()?.filter(|placed| placed.from_cart) else {
            return Ok(());
        };
        self.0
            .db
            .write(event.shard, (event.clone(), placed), |tx, (event, placed)| {
                Box::pin(async move {
                    if tx.first_time(SUBSCRIPTION, event).await? {
                        take_out(tx, placed).await
                    } else {
                        Ok(())
                    }
                })
            })
            .await
    }
}

async fn take_out(tx: &Tx, placed: &OrderPlaced) -> Result<()> {
    let key = Key::of_member(placed.user_id);
    if !store::take(tx, &key).await? {
        return Ok(());
    }
    let mut gone = Vec::new();
    for line in store::lines(tx, &key).await? {
        let ordered: i64 = placed
            .lines
            .iter()
            .filter(|ordered| ordered.sku_id == line.sku_id)
            .map(|ordered| ordered.quantity)
            .sum();
        if ordered == 0 {
            continue;
        }
        match rest(&line, ordered) {
            Some(left) => store::put(tx, &key, &left).await?,
            None => gone.push(line.sku_id),
        }
    }
    if !gone.is_empty() {
        store::remove(tx, &key, &gone).await?;
    }
    Ok(())
}
