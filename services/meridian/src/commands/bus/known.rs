//! The subscriptions of this version: all of them, whichever modules run in a process.

use anyhow::{Context, Result};
use contracts::{
    EventBody,
    catalog::{BrandChanged, CategoryChanged, ProductChanged},
    inventory::{AvailabilityChanged, QuotaShort},
    order::{OrderCancelled, OrderPaid, OrderPlaced},
    payment::{PaymentCaptured, PaymentConflicted, PaymentRefunded},
    pricing::PriceChanged,
};
use coordinator::RegionConfig;
use kernel::Region;
use platform_bus::{Scope, Subscribed};
use platform_db::Db;

use crate::{Settings, regions};

/// What is asked of a broker and a database must not depend on which modules a process happens to run, nor start them: so they
/// stand here once more. A test compares.
const ALL: [(&str, Scope, &[&str]); 8] = [
    ("cart.ordered", Scope::Shop, &[OrderPlaced::TOPIC]),
    ("catalog.forget", Scope::Region, &[ProductChanged::TOPIC, CategoryChanged::TOPIC, BrandChanged::TOPIC]),
    ("inventory.rebalance", Scope::Shop, &[QuotaShort::TOPIC]),
    (
        "order.settle",
        Scope::Shop,
        &[PaymentCaptured::TOPIC, PaymentConflicted::TOPIC, PaymentRefunded::TOPIC],
    ),
    ("order.unwind", Scope::Shop, &[OrderCancelled::TOPIC]),
    ("pricing.forget", Scope::Region, &[PriceChanged::TOPIC]),
    ("search.count_sales", Scope::Shop, &[OrderPaid::TOPIC]),
    (
        "search.mark",
        Scope::Region,
        &[
            ProductChanged::TOPIC,
            CategoryChanged::TOPIC,
            BrandChanged::TOPIC,
            PriceChanged::TOPIC,
            AvailabilityChanged::TOPIC,
        ],
    ),
];

/// Those of a shop of these regions, under the names they run under.
fn all(regions: &[Region]) -> Vec<Subscribed> {
    let known = |(name, scope, topics): (&str, Scope, &'static [&'static str])| {
        Subscribed { name: name.to_owned(), topics, scope }.among(regions)
    };
    ALL.into_iter().flat_map(known).collect()
}

/// Those of the shop in this database, which has the map of its regions.
pub(super) async fn subscriptions(settings: &Settings, db: &Db) -> Result<Vec<Subscribed>> {
    let config: RegionConfig = settings.config.section("region")?;
    let scene = regions::journal(db).read().await.context("the map of regions cannot be read")?;
    let mut regions: Vec<Region> = scene.world.desired.regions.into_keys().collect();
    if let Some(own) = config.region()
        && !regions.contains(&own)
    {
        regions.push(own);
    }
    Ok(all(&regions))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use platform_runtime::Telemetry;

    use super::*;
    use crate::{Cli, Shop, Targets};

    #[test]
    fn regions_have_names_of_their_own() {
        let regions = [Region::new("eu-west"), Region::new("us-east")];
        let names: Vec<String> = all(&regions).into_iter().map(|known| known.name).collect();
        assert_eq!(names.len(), ALL.len() + 3);
        assert!(names.contains(&"catalog.forget@us-east".to_owned()), "{names:?}");
        assert!(!names.contains(&"catalog.forget".to_owned()) && names.contains(&"order.settle".to_owned()));
    }

    /// Who adds a consumer, or a topic to one, adds it here: else `bus forget` would forget a subscription that is in use.
    #[tokio::test(flavor = "multi_thread")]
    async fn these_are_the_subscriptions_of_the_whole_shop() {
        // The binary installs it first of all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let line = ["meridian", "--profile", "test", "--data", data, "serve", "--no-sample"];
        let settings = Settings::load(&Cli::try_parse_from(line).unwrap()).unwrap();
        let app = settings.app(Some(([127, 0, 0, 1], 0).into())).unwrap();
        let shop = Box::pin(Shop::open(settings, &Targets::all())).await.unwrap();
        let running = Box::pin(shop.start(app, Telemetry::metrics_only().unwrap())).await.unwrap();
        let mut running_here = running.bus().subscriptions();
        running_here.sort_by(|one, other| one.name.cmp(&other.name));
        assert!(running.stop().await);
        let mut known = all(&[]);
        // Stock is divided anew where there are regions to divide it over, and here is one.
        known.retain(|known| known.name != "inventory.rebalance");
        assert_eq!(running_here, known);
    }
}
