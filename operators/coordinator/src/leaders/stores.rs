//! The database's servers by region, and whether leaders can move to them.

use std::collections::BTreeMap;

use kernel::{Region, Result};
use placement::Servers;
use platform_db::DbResult;

use super::{Leaders, NO_PD, is_plain};

/// What a store that serves is called.
const UP: &str = "Up";
/// What TiDB says where its storage is none of its kind.
const NO_TIKV: &str = "only when the storage is TiKV";
/// What `SHOW PLACEMENT` says of rows for which PD finds no place.
const PENDING: &str = "PENDING";

impl Leaders {
    /// The servers that are labelled with a region. Empty where there is no PD to ask: a TiDB with its built-in store.
    pub async fn stores(&self) -> Result<BTreeMap<Region, Servers>> {
        let mut found: BTreeMap<Region, Servers> = BTreeMap::new();
        let stores = "SELECT LABEL, STORE_STATE_NAME FROM information_schema.tikv_store_status";
        let stores = match self.ask(stores).await {
            Err(failure) if failure.cause().is_some_and(|cause| is_none(&cause.to_string())) => {
                return Ok(found);
            }
            stores => stores?,
        };
        for row in stores {
            let (labels, state): (serde_json::Value, String) =
                (row.try_get_by_index(0).db()?, row.try_get_by_index(1).db()?);
            if let Some(region) = region_of(&labels) {
                let servers = found.entry(region).or_default();
                servers.all += 1;
                servers.up += u32::from(state == UP);
            }
        }
        if found.is_empty() {
            return Ok(found);
        }
        let database = self.database().await?;
        for row in self.ask("SHOW PLACEMENT").await? {
            let [target, placed, state]: [Option<String>; 3] =
                [row.try_get_by_index(0).db()?, row.try_get_by_index(1).db()?, row.try_get_by_index(2).db()?];
            let ours = target.is_none_or(|target| !is_anothers(&target, &database));
            let stuck = ours && state.is_some_and(|state| state == PENDING);
            let home = placed.as_deref().filter(|_| stuck).and_then(home_of);
            if let Some(servers) = home.and_then(|home| found.get_mut(&home)) {
                servers.stuck = true;
            }
        }
        Ok(found)
    }
}

/// Whether TiDB says that it has no such servers.
fn is_none(said: &str) -> bool {
    said.contains(NO_PD) || said.contains(NO_TIKV)
}

/// The region that a store is labelled with: `[{"key": "region", "value": "eu"}, …]`.
fn region_of(labels: &serde_json::Value) -> Option<Region> {
    let label = labels.as_array()?.iter().find(|label| label["key"] == "region")?;
    label["value"].as_str().filter(|name| is_plain(name)).map(Region::new)
}

/// Whether a target such as `TABLE shop.orders PARTITION p0` or `DATABASE shop` is of another database of the cluster: what is
/// stuck there holds nobody up here.
fn is_anothers(target: &str, database: &str) -> bool {
    let of = target.strip_prefix("TABLE ").and_then(|table| Some(table.split_once('.')?.0));
    let of = of.or_else(|| target.strip_prefix("DATABASE "));
    of.is_some_and(|of| !of.eq_ignore_ascii_case(database))
}

/// Where leaders belong, by a placement such as `PRIMARY_REGION="eu" REGIONS="eu,us"`.
fn home_of(placement: &str) -> Option<Region> {
    let (_, rest) = placement.split_once("PRIMARY_REGION=\"")?;
    let (name, _) = rest.split_once('"')?;
    is_plain(name).then(|| Region::new(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_placements_name_regions() {
        let labels = serde_json::json!([{"key": "zone", "value": "a"}, {"key": "region", "value": "eu"}]);
        assert_eq!(region_of(&labels), Some(Region::new("eu")));
        for none in [serde_json::json!(null), serde_json::json!([{"key": "zone", "value": "a"}])] {
            assert_eq!(region_of(&none), None);
        }
        assert_eq!(home_of("PRIMARY_REGION=\"eu\" REGIONS=\"eu,us\""), Some(Region::new("eu")));
        assert_eq!(home_of("FOLLOWERS=2"), None);
    }

    #[test]
    fn what_is_stuck_in_another_shops_database_is_none_of_ours() {
        for (target, anothers) in [
            ("TABLE shop.orders", false),
            ("TABLE Shop.orders PARTITION p0", false),
            ("DATABASE shop", false),
            ("POLICY meridian_eu_any", false),
            ("TABLE shop2.orders PARTITION p0", true),
            ("DATABASE other", true),
        ] {
            assert_eq!(is_anothers(target, "shop"), anothers, "{target}");
        }
    }
}
