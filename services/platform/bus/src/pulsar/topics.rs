//! Where events lie in the broker.

use kernel::Shard;

use crate::PulsarConfig;

/// The domain of an event's topic: `order` of `order.placed.v1`.
pub(crate) fn domain(topic: &str) -> &str {
    topic.split('.').next().unwrap_or(topic)
}

impl PulsarConfig {
    /// The namespace of a domain's topic, `tenant/namespace`.
    pub(crate) fn namespace_of(&self, domain: &str) -> String {
        let global = self.global.iter().any(|global| global == domain);
        let namespace = if global { &self.global_namespace } else { &self.namespace };
        format!("{}/{namespace}", self.tenant)
    }

    /// A domain's topic, `tenant/namespace/domain`.
    pub(crate) fn topic_of(&self, domain: &str) -> String {
        format!("{}/{domain}", self.namespace_of(domain))
    }

    /// How many partitions a domain's topic has.
    pub(crate) fn partitions_of(&self, domain: &str) -> u32 {
        self.topics.get(domain).copied().unwrap_or(1)
    }

    /// The full name of every partition of a domain's topic.
    pub(crate) fn every_partition(&self, domain: &str) -> impl Iterator<Item = String> + use<> {
        let topic = self.topic_of(domain);
        (0..self.partitions_of(domain)).map(move |number| format!("persistent://{topic}-partition-{number}"))
    }

    /// The partition that a shard's events of a domain lie in.
    pub(crate) fn partition(&self, domain: &str, shard: Shard) -> String {
        let number = u32::from(shard.number()) % self.partitions_of(domain).max(1);
        format!("persistent://{}-partition-{number}", self.topic_of(domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_stays_in_its_partition() {
        let mut config = PulsarConfig::default();
        config.topics.insert("order".to_owned(), 3);
        let at = |domain, shard| config.partition(domain, Shard::new(shard));
        assert_eq!(at("order", 7), "persistent://meridian/regional/order-partition-1");
        assert_eq!(at("catalog", 7), "persistent://meridian/global/catalog-partition-3");
        assert_eq!(at("unheard", 7), "persistent://meridian/regional/unheard-partition-0");
        assert!(config.every_partition("order").any(|partition| partition == at("order", 7)));
        assert_eq!(config.every_partition("order").count(), 3);
        assert_eq!(domain("order.placed.v1"), "order");
    }
}
