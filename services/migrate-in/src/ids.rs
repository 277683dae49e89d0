//! Ids that follow from a source and its keys: the same row is the same id, however often it is taken in.

use contracts::{
    UserId,
    account::AddressId,
    catalog::{ProductId, SkuId},
    order::OrderId,
    payment::{AttemptId, PaymentId, RefundId},
};
use kernel::{Id, Kind, Shard};

/// Makes them.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    source: String,
    shards: u16,
}

impl Ids {
    /// Of this source, in a database of so many shards.
    pub(crate) fn of(source: &str, shards: u16) -> Self {
        Self { source: source.to_owned(), shards: shards.max(1) }
    }

    fn id<K: Kind>(&self, shard: Shard, table: &str, key: &str) -> Id<K> {
        Id::derive(shard, &[b"migrate-in", self.source.as_bytes(), table.as_bytes(), key.as_bytes()])
    }

    /// An owner's shard: by its key, so that all shards get their share.
    fn home(&self, table: &str, key: &str) -> Shard {
        // Of an id on no shard in particular the first bytes are as good as random.
        let any: UserId = self.id(Shard::new(0), table, key);
        let bytes = any.uuid().into_bytes();
        Shard::new(u16::from_be_bytes([bytes[0], bytes[1]]) % self.shards)
    }

    pub(crate) fn user(&self, key: &str) -> UserId {
        self.id(self.home("users", key), "users", key)
    }

    pub(crate) fn address(&self, user: UserId, key: &str) -> AddressId {
        self.id(user.shard(), "user_addresses", key)
    }

    pub(crate) fn product(&self, key: &str) -> ProductId {
        self.id(self.home("products", key), "products", key)
    }

    pub(crate) fn sku(&self, product: ProductId, key: &str) -> SkuId {
        self.id(product.shard(), "skus", key)
    }

    pub(crate) fn order(&self, user: UserId, key: &str) -> OrderId {
        self.id(user.shard(), "orders", key)
    }

    /// The payment of an order, by the order's key.
    pub(crate) fn payment(&self, order: OrderId, order_key: &str) -> PaymentId {
        self.id(order.shard(), "order's payment", order_key)
    }

    pub(crate) fn attempt(&self, order: OrderId, key: &str) -> AttemptId {
        self.id(order.shard(), "payments", key)
    }

    pub(crate) fn refund(&self, order: OrderId, key: &str) -> RefundId {
        self.id(order.shard(), "refunds", key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_row_is_the_same_id_and_no_two_rows_are() {
        let (a, b) = (Ids::of("a", 16), Ids::of("b", 16));
        assert_eq!(a.user("1"), a.user("1"));
        assert_ne!(a.user("1"), a.user("2"));
        assert_ne!(a.user("1"), b.user("1"));
        let (order, other) = (a.order(a.user("1"), "7"), a.order(a.user("2"), "7"));
        assert_eq!(order.shard(), a.user("1").shard());
        assert_ne!(order, other);
        assert_eq!(a.payment(order, "7").shard(), order.shard());
    }

    #[test]
    fn every_shard_gets_its_share() {
        let ids = Ids::of("a", 16);
        let mut seen = [0_u32; 16];
        for key in 0..1_600 {
            seen[usize::from(ids.user(&key.to_string()).shard().number())] += 1;
        }
        assert!(seen.iter().all(|count| (50..200).contains(count)), "{seen:?}");
    }
}
