//! Section `storefront` of the configuration.

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};
use url::Url;

/// When cookies are marked `Secure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecureCookies {
    /// When the request came over https, as the connection or the proxy's `X-Forwarded-Proto` says.
    #[default]
    Auto,
    /// On every answer: for a shop that is only reached over https.
    Always,
    /// On none.
    Never,
}

/// How the pages behave.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorefrontConfig {
    /// The shop's address as shoppers type it, such as `https://shop.example`; for links in the heads of pages, and
    /// accepted as the origin of forms. Taken from each request when empty.
    pub public_url: String,
    /// When cookies are marked `Secure`.
    pub secure_cookies: SecureCookies,
    /// The payment channel checkout uses.
    pub payment_channel: String,
    /// Whether the pay page shows the sandbox's buttons. The payment service decides whether they do anything.
    pub sandbox_buttons: bool,
    /// Products on a page of results: 1 to 100.
    pub page_size: u32,
    /// Days a guest's cart and a log-in are remembered by the browser.
    pub remember_days: u32,
}

impl Default for StorefrontConfig {
    fn default() -> Self {
        Self {
            public_url: String::new(),
            secure_cookies: SecureCookies::Auto,
            payment_channel: "sandbox".to_owned(),
            sandbox_buttons: true,
            page_size: 24,
            remember_days: 30,
        }
    }
}

impl StorefrontConfig {
    /// The host name in `public_url`, where there is one.
    pub fn public_host(&self) -> Option<String> {
        Url::parse(&self.public_url).ok()?.host_str().map(str::to_owned)
    }

    /// Refuses values that no page can be made with, naming them.
    pub(crate) fn validate(&self) -> Result<()> {
        let refuse = |key: &str, why: &str| Err(Failure::invalid(format!("storefront.{key}"), why));
        if !(1..=100).contains(&self.page_size) {
            return refuse("page_size", "must lie between 1 and 100");
        }
        if !(1..=400).contains(&self.remember_days) {
            return refuse("remember_days", "must lie between 1 and 400");
        }
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.path() == "/";
        if !self.public_url.is_empty() && !Url::parse(&self.public_url).is_ok_and(|url| is_web(&url)) {
            return refuse("public_url", "must be scheme and host, such as https://shop.example");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert!(StorefrontConfig::default().validate().is_ok());
        let refused = |change: fn(&mut StorefrontConfig)| {
            let mut config = StorefrontConfig::default();
            change(&mut config);
            config.validate().unwrap_err().fields()[0].pointer.clone()
        };
        assert_eq!(refused(|c| c.page_size = 0), "storefront.page_size");
        assert_eq!(refused(|c| c.remember_days = 0), "storefront.remember_days");
        assert_eq!(refused(|c| c.public_url = "shop.example".to_owned()), "storefront.public_url");
    }
}
