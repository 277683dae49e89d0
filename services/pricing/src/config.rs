//! Section `pricing` of the configuration.

use std::{collections::BTreeMap, time::Duration};

use kernel::{Currency, Failure, Result};
use serde::{Deserialize, Deserializer, Serialize};

use crate::tables;

/// The market of destinations that have no own one.
pub(crate) const ELSEWHERE: &str = "*";

/// Section `pricing`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PricingConfig {
    /// How long a quote binds us.
    #[serde(with = "humantime_serde")]
    pub quote_life: Duration,
    /// How long this process keeps a SKU's prices at most while it does not hear of changes: without a Redis another
    /// process's change shows after this time at the latest, its own at once. Windows open and close on time all the same.
    #[serde(with = "humantime_serde")]
    pub cache_ttl: Duration,
    /// SKUs whose prices are kept.
    pub cached_skus: u64,
    /// How often windows that opened or closed are announced.
    #[serde(with = "humantime_serde")]
    pub windows_every: Duration,
    /// The market of a quote without a destination.
    pub default_market: String,
    /// Tax and shipping by market: ISO 3166-1 alpha-2 country, `*` for all others. A market named here replaces the
    /// built-in one of that name as a whole; the other built-in ones stay.
    #[serde(deserialize_with = "over_defaults")]
    pub markets: BTreeMap<String, MarketConfig>,
}

/// Tax and shipping of a market.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarketConfig {
    /// Whether list and sale prices (and shipping rates) include tax. If not, tax is added; if so, it is contained in the
    /// total and only told.
    pub prices_include_tax: bool,
    /// Whether shipping is taxed, at the standard rate.
    pub tax_shipping: bool,
    /// Standard rate in basis points: 2,000 is 20 %.
    pub rate_bp: i64,
    /// Rates of tax categories (the slug of a product's top category) that differ.
    pub categories: BTreeMap<String, i64>,
    /// States or provinces whose rates differ, by code (`CA`).
    pub regions: BTreeMap<String, RegionConfig>,
    /// Flat shipping rate by currency, in minor units. A currency that is missing is looked up in the market `*`.
    pub shipping: BTreeMap<String, i64>,
}

/// Tax of a state or province: the whole rate, not what it adds to the country's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegionConfig {
    /// Its name, as an address may have it instead of the code.
    pub name: String,
    /// Standard rate in basis points.
    pub rate_bp: i64,
    /// Whether shipping is taxed; as in the market when absent.
    pub tax_shipping: Option<bool>,
    /// Rates of tax categories that differ.
    pub categories: BTreeMap<String, i64>,
}

impl Default for PricingConfig {
    fn default() -> Self {
        Self {
            quote_life: Duration::from_secs(10 * 60),
            cache_ttl: Duration::from_secs(10),
            cached_skus: 200_000,
            windows_every: Duration::from_secs(5),
            default_market: "US".to_owned(),
            markets: tables::markets(),
        }
    }
}

/// The built-in markets with those of the configuration over them. Variables arrive in lower case, so that codes are
/// compared in upper case.
fn over_defaults<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, MarketConfig>, D::Error> {
    let given = BTreeMap::<String, MarketConfig>::deserialize(deserializer)?;
    let mut markets = tables::markets();
    markets.extend(given.into_iter().map(|(code, market)| (code.to_uppercase(), market.upper())));
    Ok(markets)
}

impl MarketConfig {
    fn upper(mut self) -> Self {
        self.regions = self.regions.into_iter().map(|(code, region)| (code.to_uppercase(), region)).collect();
        self.shipping = self.shipping.into_iter().map(|(code, rate)| (code.to_uppercase(), rate)).collect();
        self
    }

    fn rates(&self) -> impl Iterator<Item = i64> + '_ {
        let regions = self
            .regions
            .values()
            .flat_map(|r| std::iter::once(r.rate_bp).chain(r.categories.values().copied()));
        std::iter::once(self.rate_bp).chain(self.categories.values().copied()).chain(regions)
    }
}

impl PricingConfig {
    /// `request.invalid` naming the setting that is out of range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: String, text: &str| Err(Failure::invalid(format!("pricing.{field}"), text));
        for (field, value) in [
            ("quote_life", self.quote_life),
            ("cache_ttl", self.cache_ttl),
            ("windows_every", self.windows_every),
        ] {
            if value.is_zero() || value > Duration::from_secs(24 * 3600) {
                return wrong(field.to_owned(), "must be longer than nothing and at most a day");
            }
        }
        if !self.markets.contains_key(&self.default_market) {
            return wrong("default_market".to_owned(), "is none of the markets");
        }
        if !self.markets.contains_key(ELSEWHERE) {
            return wrong("markets".to_owned(), "must have *");
        }
        for (code, market) in &self.markets {
            if market.rates().any(|rate| !(0..=10_000).contains(&rate)) {
                return wrong(format!("markets.{code}"), "rates must lie between 0 and 10000 basis points");
            }
            for (currency, rate) in &market.shipping {
                let known = Currency::from_code(currency).is_some();
                if !known || !(0..=1_000_000_000).contains(rate) {
                    return wrong(
                        format!("markets.{code}.shipping.{currency}"),
                        "must be a currency's minor units",
                    );
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        PricingConfig::default().validate().unwrap();
    }

    #[test]
    fn a_market_of_the_configuration_replaces_only_its_own() {
        let text =
            r#"{"markets": {"de": {"prices_include_tax": true, "rate_bp": 1900, "shipping": {"eur": 490}}}}"#;
        let config: PricingConfig = serde_json::from_str(text).unwrap();
        assert!(config.markets["DE"].prices_include_tax);
        assert_eq!(config.markets["DE"].shipping["EUR"], 490);
        assert!(config.markets["DE"].categories.is_empty());
        assert_eq!(config.markets["FR"], PricingConfig::default().markets["FR"]);
        config.validate().unwrap();
    }

    #[test]
    fn names_what_is_wrong() {
        let mut config = PricingConfig::default();
        config.markets.entry("DE".to_owned()).or_default().rate_bp = 10_001;
        assert_eq!(config.validate().unwrap_err().fields()[0].pointer, "pricing.markets.DE");
    }
}
