//! Section `storefront` of the configuration.

use serde::Deserialize;

/// When cookies are marked `Secure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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
