//! Addresses that are known only once something listens.

use std::sync::{Arc, PoisonError, RwLock};

use crate::config::PaymentConfig;

/// Where the shop and the sandbox's provider are. What the configuration says counts; the rest is told after binding.
/// Clones share what was told.
#[derive(Clone, Debug)]
pub struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shop: Place,
    provider: Place,
    callback: Option<String>,
}

#[derive(Debug)]
struct Place {
    configured: Option<String>,
    told: RwLock<Option<String>>,
}

impl Place {
    fn new(configured: Option<&String>) -> Self {
        let configured = configured.map(|url| url.trim_end_matches('/').to_owned());
        Self { configured, told: RwLock::default() }
    }

    fn tell(&self, url: &str) {
        *self.told.write().unwrap_or_else(PoisonError::into_inner) =
            Some(url.trim_end_matches('/').to_owned());
    }

    fn get(&self) -> Option<String> {
        let told = || self.told.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.configured.clone().or_else(told)
    }
}

impl Places {
    /// What the configuration says.
    pub fn new(config: &PaymentConfig) -> Self {
        Self(Arc::new(Inner {
            shop: Place::new(config.public_url.as_ref()),
            provider: Place::new(config.sandbox.url.as_ref()),
            callback: config.sandbox.callback_url.clone(),
        }))
    }

    /// Tells where the shop listens, such as `http://127.0.0.1:8080`.
    pub fn shop_is_at(&self, url: &str) {
        self.0.shop.tell(url);
    }

    /// Tells where the sandbox's provider listens.
    pub(crate) fn provider_is_at(&self, url: &str) {
        self.0.provider.tell(url);
    }

    /// The sandbox's provider, when known.
    pub(crate) fn provider(&self) -> Option<String> {
        self.0.provider.get()
    }

    /// The page where a shopper pays; without a host while that is not known.
    pub(crate) fn pay_page(&self, id: &str) -> String {
        format!("{}/pay/{id}", self.0.shop.get().unwrap_or_default())
    }

    /// Where the sandbox's provider calls back, when known.
    pub(crate) fn sandbox_callback(&self) -> Option<String> {
        let below = || self.0.shop.get().map(|shop| format!("{shop}/api/v1/payments/callbacks/sandbox"));
        self.0.callback.clone().or_else(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_counts_more_than_what_was_told() {
        let told = Places::new(&PaymentConfig::default());
        assert_eq!(told.pay_page("pay_1"), "/pay/pay_1");
        assert_eq!(told.sandbox_callback(), None);
        told.shop_is_at("http://127.0.0.1:8080/");
        assert_eq!(told.pay_page("pay_1"), "http://127.0.0.1:8080/pay/pay_1");
        let configured = Places::new(&PaymentConfig {
            public_url: Some("https://shop.example/".into()),
            ..PaymentConfig::default()
        });
        configured.shop_is_at("http://127.0.0.1:8080");
        assert_eq!(
            configured.sandbox_callback().unwrap(),
            "https://shop.example/api/v1/payments/callbacks/sandbox"
        );
    }
}
