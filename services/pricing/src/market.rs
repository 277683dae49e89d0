//! Which tax and shipping a destination has. Pure.

use std::collections::BTreeMap;

use contracts::pricing::Destination;
use kernel::{Currency, Money};

use crate::config::{ELSEWHERE, MarketConfig, RegionConfig};

/// The market of a destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Market<'a> {
    /// ISO country or `*`.
    pub(crate) code: &'a str,
    config: &'a MarketConfig,
    region: Option<(&'a str, &'a RegionConfig)>,
    elsewhere: Option<&'a MarketConfig>,
}

impl<'a> Market<'a> {
    /// The market of `destination`, or the one called `default` without one.
    pub(crate) fn of(
        markets: &'a BTreeMap<String, MarketConfig>,
        destination: Option<&Destination>,
        default: &str,
    ) -> Option<Self> {
        let country = destination.map_or(default, |place| place.country.as_str()).trim().to_uppercase();
        let (code, config) = markets.get_key_value(&country).or_else(|| markets.get_key_value(ELSEWHERE))?;
        let region = destination.and_then(|place| region(config, &place.region));
        Some(Self { code, config, region, elsewhere: markets.get(ELSEWHERE) })
    }

    /// Its name in an explanation: `US-CA`.
    pub(crate) fn name(&self) -> String {
        self.region.map_or_else(|| self.code.to_owned(), |(region, _)| format!("{}-{region}", self.code))
    }

    pub(crate) fn prices_include_tax(&self) -> bool {
        self.config.prices_include_tax
    }

    /// Basis points on goods of a tax category: the region's rate for it, the country's, the region's standard rate, the
    /// country's.
    pub(crate) fn rate(&self, category: &str) -> i64 {
        let of_region = self.region.and_then(|(_, region)| region.categories.get(category));
        of_region.or_else(|| self.config.categories.get(category)).copied().unwrap_or_else(|| self.standard())
    }

    fn standard(&self) -> i64 {
        self.region.map_or(self.config.rate_bp, |(_, region)| region.rate_bp)
    }

    /// Basis points on shipping.
    pub(crate) fn shipping_rate(&self) -> i64 {
        let taxed =
            self.region.and_then(|(_, region)| region.tax_shipping).unwrap_or(self.config.tax_shipping);
        if taxed { self.standard() } else { 0 }
    }

    /// The flat rate, where there is one in this currency.
    pub(crate) fn shipping(&self, currency: Currency) -> Option<Money> {
        let own = self.config.shipping.get(currency.code());
        own.or_else(|| self.elsewhere?.shipping.get(currency.code()))
            .map(|&amount| Money::new(amount, currency))
    }
}

/// A state by its code or its name, whatever the case.
fn region<'a>(market: &'a MarketConfig, text: &str) -> Option<(&'a str, &'a RegionConfig)> {
    let text = text.trim();
    let same = |other: &str| !other.is_empty() && other.eq_ignore_ascii_case(text);
    market
        .regions
        .iter()
        .find(|(code, region)| same(code) || same(&region.name))
        .map(|(code, region)| (code.as_str(), region))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    fn to(country: &str, region: &str) -> Destination {
        Destination { country: country.to_owned(), region: region.to_owned(), address_id: None }
    }

    #[test]
    fn finds_country_and_region() {
        let markets = tables::markets();
        let rate = |country: &str, region: &str, category: &str| {
            Market::of(&markets, Some(&to(country, region)), "US").unwrap().rate(category)
        };
        assert_eq!(rate("US", "CA", "apparel"), 725);
        assert_eq!(rate("us", " california ", "apparel"), 725);
        assert_eq!(rate("US", "Oregon", "apparel"), 0);
        assert_eq!(rate("CA", "ON", "toys"), 1_300, "Canada is not California");
        assert_eq!(rate("CA", "ON", "food"), 0, "zero-rated in every province");
        assert_eq!(rate("CA", "ON", "books"), 500);
        assert_eq!(rate("DE", "Bavaria", "books"), 700);
        assert_eq!(rate("DE", "", "apparel"), 1_900);
        assert_eq!(rate("BR", "", "apparel"), 0);
        assert_eq!(Market::of(&markets, Some(&to("BR", "")), "US").unwrap().code, "*");
        assert_eq!(Market::of(&markets, None, "GB").unwrap().name(), "GB");
        assert_eq!(Market::of(&markets, Some(&to("US", "NY")), "GB").unwrap().name(), "US-NY");
    }

    #[test]
    fn shipping_has_its_own_rules() {
        let markets = tables::markets();
        let market =
            |country: &str, region: &str| Market::of(&markets, Some(&to(country, region)), "US").unwrap();
        assert_eq!(market("US", "NY").shipping_rate(), 400);
        assert_eq!(market("US", "CA").shipping_rate(), 0);
        assert_eq!(market("GB", "").shipping_rate(), 2_000);
        assert_eq!(market("GB", "").shipping(Currency::GBP).unwrap().amount, 399);
        assert_eq!(market("GB", "").shipping(Currency::JPY).unwrap().amount, 1_500, "as elsewhere");
        assert!(market("GB", "").shipping(Currency::XAU).is_none());
    }
}
