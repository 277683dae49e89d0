//! A program that was built without Pulsar.

use platform_bus::{BusConfig, BusEngine};
use platform_regions::Regions;

use crate::stand::{Engine, fixture};

#[tokio::test]
async fn says_how_to_have_pulsar() {
    let f = fixture(Engine::Embedded).await;
    let wanted = BusConfig { engine: BusEngine::Pulsar, ..f.config.clone() };
    let failure =
        platform_bus::open(f.db.clone(), Vec::new(), wanted.clone(), Regions::single()).err().unwrap();
    assert!(failure.cause().unwrap().to_string().contains("--features pulsar"), "{failure:?}");
    assert!(wanted.validate().unwrap_err().cause().unwrap().to_string().contains("protoc"));
    assert!(platform_bus::setup(&wanted).await.is_err());
}
