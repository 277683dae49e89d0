//! What the pages are made from.

use std::{ops::Deref, sync::Arc};

use contracts::Contracts;
use kernel::Clock;

use crate::{categories::Categories, config::StorefrontConfig, token::FormTokens};

/// What the pages are made from: the contracts, the clock, the keys. Shared by all workers.
pub(crate) struct Shop {
    pub(crate) contracts: Contracts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) categories: Categories,
    pub(crate) tokens: FormTokens,
    pub(crate) config: StorefrontConfig,
}

/// Pages say `shop.orders`.
impl Deref for Shop {
    type Target = Contracts;

    fn deref(&self) -> &Contracts {
        &self.contracts
    }
}
