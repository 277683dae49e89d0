//! Invariant 1 of regions, as far as one database can be asked: the answer that acknowledged an order is kept under its key, so
//! the order it names must be there. That a client got an answer which the database does not have, only the client knows.

use std::sync::{Arc, Mutex, PoisonError};

use contracts::order::OrderId;
use kernel::{Result, Shard};
use platform_runtime::{Check, Finding, Scope};
use serde::Deserialize;

use crate::{
    OrderService,
    store::{self, Kept},
};

/// Answers that are read at once.
const PAGE: u32 = 200;

/// How far the walk through the answers has come: it goes on there, and begins anew after the last shard.
#[derive(Clone, Debug, Default)]
struct Position {
    shard: u16,
    principal: String,
    key: String,
}

/// What is read of an answer.
#[derive(Deserialize)]
struct Answer {
    id: OrderId,
}

/// Looks at every answer by command; in the background, at some of them with each look, and so in time at all.
pub(crate) fn check(service: &Arc<OrderService>) -> Check {
    let (service, position) = (Arc::clone(service), Arc::new(Mutex::new(Position::default())));
    Check::new("audit.requests", move |scope| {
        let (service, position) = (Arc::clone(&service), Arc::clone(&position));
        async move { Ok(vec![service.acknowledged(&scope, &position).await?]) }
    })
}

impl OrderService {
    async fn acknowledged(&self, scope: &Scope, position: &Mutex<Position>) -> Result<Finding> {
        let mut finding = Finding::of("request.effect");
        let mut at = match scope.most {
            Some(_) => position.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            None => Position::default(),
        };
        let (mut left, mut shards) = (scope.most.unwrap_or(u32::MAX), 0);
        while left > 0 && shards < self.db.shards() {
            let (wanted, shard) = (PAGE.min(left), Shard::new(at.shard));
            let after = (at.principal.as_str(), at.key.as_str());
            let page = store::answers(self.db.read(), shard, after, wanted).await?;
            let read = u32::try_from(page.len()).unwrap_or(u32::MAX);
            if let Some(last) = page.last() {
                (at.principal, at.key) = (last.principal.clone(), last.key.clone());
            }
            let since = scope.since.filter(|_| scope.most.is_none());
            let page = page.into_iter().filter(|kept| since.is_none_or(|since| kept.at >= since));
            self.hold_answers(shard, page.collect(), &mut finding).await?;
            left -= read.min(left);
            if read < wanted {
                at = Position { shard: (at.shard + 1) % self.db.shards(), ..Position::default() };
                shards += 1;
            }
        }
        if scope.most.is_some() {
            *position.lock().unwrap_or_else(PoisonError::into_inner) = at;
        }
        Ok(finding)
    }

    /// Holds a page of one shard's answers to the orders that are there.
    async fn hold_answers(&self, shard: Shard, page: Vec<Kept>, finding: &mut Finding) -> Result<()> {
        let id = |kept: &Kept| serde_json::from_slice::<Answer>(&kept.answer).ok().map(|answer| answer.id);
        let named: Vec<(Option<OrderId>, Kept)> = page.into_iter().map(|kept| (id(&kept), kept)).collect();
        let ids: Vec<OrderId> = named.iter().filter_map(|(id, _)| *id).collect();
        let there = store::present(self.db.read(), shard, &ids).await?;
        for (id, kept) in named {
            finding.hold(id.is_some_and(|id| there.contains(&id)), || {
                let what =
                    id.map_or_else(|| "an order that has no id".to_owned(), |id| format!("order {id}"));
                format!("{what} was acknowledged at {} and is not there", kept.at)
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use contracts::order::{Orders, PlaceOrder};
    use kernel::Timestamp;

    use super::*;
    use crate::testing::{AT, Shop, address_id, item, request, shop, system, user};

    impl Shop {
        async fn look(&self, scope: &Scope, position: &Mutex<Position>) -> Finding {
            self.service.acknowledged(scope, position).await.unwrap()
        }
    }

    fn scope(since: Option<i64>, most: Option<u32>) -> Scope {
        Scope { since: since.map(Timestamp::from_micros), most, ctx: system() }
    }

    #[tokio::test]
    async fn an_order_that_was_acknowledged_and_is_gone_is_found() {
        let shop = shop().await;
        let start = Mutex::new(Position::default());
        assert_eq!(shop.look(&scope(None, None), &start).await, Finding::of("request.effect"));
        let items = Some(vec![item(1, 1)]);
        let place = PlaceOrder { address_id: address_id(), items, quote: None, remark: None };
        shop.service.place(&request(user(1), "k"), place).await.unwrap();
        let found = shop.look(&scope(None, None), &start).await;
        assert_eq!((found.looked_at, found.wrong), (1, 0), "{:?}", found.examples);

        let last = shop.db.shards() - 1;
        for (shard, key, at) in [(0, "a", 10), (0, "b", 20), (last, "a", 30)] {
            shop.acknowledge(shard, key, at).await;
        }
        let found = shop.look(&scope(None, None), &start).await;
        assert_eq!((found.looked_at, found.wrong), (4, 3));
        assert!(found.examples[0].contains("is not there"), "{:?}", found.examples);
        let young = shop.look(&scope(Some(20), None), &start).await;
        assert_eq!((young.looked_at, young.wrong), (3, 2));
        let now = shop.look(&scope(Some(AT.micros()), None), &start).await;
        assert_eq!((now.looked_at, now.wrong), (1, 0));
    }

    #[tokio::test]
    async fn the_background_walks_round() {
        let shop = shop().await;
        for (shard, key) in [(0, "a"), (0, "b"), (1, "a")] {
            shop.acknowledge(shard, key, 10).await;
        }
        let position = Mutex::new(Position::default());
        let mut looked = Vec::new();
        for _ in 0..3 {
            looked.push(shop.look(&scope(Some(50), Some(2)), &position).await.looked_at);
        }
        assert_eq!(looked, [2, 1, 2], "a look ends where it was at every shard");
    }
}
