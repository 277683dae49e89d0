//! Under whose law accounts lie.

use kernel::{Region, Shard};
use placement::{
    Degraded, Jurisdiction, MapVersion, Placing, RegionRow, RegionSpec, Role, ShardRow, State, World,
};

use super::*;

/// Shards of `us` and `eu`, where the last is under the law `eu`; as `us` sees them.
fn two_laws(eu: State) -> World {
    let law = |name: &str| Jurisdiction::new(name);
    let spec = |laws: &[&str]| RegionSpec {
        role: Role::Full,
        endpoint: String::new(),
        capacity: 4,
        weight: 1,
        jurisdictions: laws.iter().map(|name| law(name)).collect(),
        failover_ready: true,
        degraded: Degraded::default(),
    };
    let mut world = World::default();
    world.observed.version = MapVersion(u64::from(eu != State::Active) + 1);
    for (name, laws, state) in [("us", &["any"][..], State::Active), ("eu", &["any", "eu"], eu)] {
        let row = RegionRow { state, ..RegionRow::new(spec(laws)) };
        world.desired.regions.insert(Region::new(name), row);
    }
    for (shard, home, under) in [(0, "us", "any"), (1, "us", "any"), (2, "eu", "any"), (3, "eu", "eu")] {
        let row = ShardRow {
            home: Region::new(home),
            jurisdiction: law(under),
            placing: Placing::Settled,
            version: MapVersion(1),
        };
        world.observed.shards.insert(Shard::new(shard), row);
    }
    world
}

#[tokio::test]
async fn an_account_gets_a_shard_under_the_law_of_its_country() {
    let regions = Regions::of(Region::new("us"), two_laws(State::Active));
    let shop = Shop::among(regions.clone()).await;
    let homes = regions.clone();
    shop.db.prefer_shards(move || homes.homed_here().unwrap_or_default());
    let register = async |email: &str, country: Option<&str>| {
        let command = Register {
            email: format!("{email}@example.org"),
            password: PASSWORD.to_owned(),
            name: "Ada".to_owned(),
            country: country.map(str::to_owned),
        };
        shop.accounts.register(&shop.stranger(), command).await.map(|account| account.id.shard().number())
    };
    for n in 0..8 {
        assert_eq!(register(&format!("de{n}"), Some("DE")).await.unwrap(), 3);
        assert!(
            register(&format!("jp{n}"), Some("JP")).await.unwrap() < 2,
            "at home here, under no law of its own"
        );
        assert!(register(&format!("nowhere{n}"), None).await.unwrap() < 2);
    }
    assert_eq!(register("wrong", Some("de")).await.unwrap_err().fields()[0].pointer, "/country");
    // Its law allows no other region.
    regions.publish(two_laws(State::Fenced));
    let refused = register("late", Some("DE")).await.unwrap_err();
    assert!(refused.is(kernel::code::UNAVAILABLE) && refused.problem().retry_after == Some(5));
    assert!(register("late", Some("JP")).await.is_ok());
}

/// Without regions the country is no more than a word.
#[tokio::test]
async fn a_shop_without_regions_has_one_law() {
    let shop = Shop::new().await;
    let command = Register {
        email: "ada@example.org".to_owned(),
        password: PASSWORD.to_owned(),
        name: "Ada".to_owned(),
        country: Some("DE".to_owned()),
    };
    shop.accounts.register(&shop.stranger(), command).await.unwrap();
}
