//! What the pages are made from.

use std::sync::Arc;

use contracts::{
    account::Accounts, cart::Carts, catalog::Catalog, inventory::Inventory, order::Orders, payment::Payments,
    pricing::Pricing, search::Search,
};
use kernel::Clock;

use crate::{categories::Categories, config::StorefrontConfig, token::FormTokens};

/// What the pages are made from: the contracts, the clock, the keys. Shared by all workers.
pub(crate) struct Shop {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) pricing: Arc<dyn Pricing>,
    pub(crate) inventory: Arc<dyn Inventory>,
    pub(crate) carts: Arc<dyn Carts>,
    pub(crate) orders: Arc<dyn Orders>,
    pub(crate) payments: Arc<dyn Payments>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) search: Arc<dyn Search>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) categories: Categories,
    pub(crate) tokens: FormTokens,
    pub(crate) config: StorefrontConfig,
}
