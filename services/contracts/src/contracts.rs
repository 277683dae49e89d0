//! All contracts together.

use std::sync::Arc;

use crate::{
    Transport,
    account::{Accounts, AccountsClient},
    cart::{Carts, CartsClient},
    catalog::{Catalog, CatalogClient},
    import::{Imports, ImportsClient},
    inventory::{Inventory, InventoryClient},
    order::{Orders, OrdersClient},
    payment::{Payments, PaymentsClient},
    pricing::{Pricing, PricingClient},
    region::{Regions, RegionsClient},
    search::{Search, SearchClient},
};

/// Every contract, answered here or elsewhere: what a whole shop can do.
#[derive(Clone)]
pub struct Contracts {
    /// Accounts and sessions.
    pub accounts: Arc<dyn Accounts>,
    /// Categories, brands, products.
    pub catalog: Arc<dyn Catalog>,
    /// Prices and quotes.
    pub pricing: Arc<dyn Pricing>,
    /// Stock.
    pub inventory: Arc<dyn Inventory>,
    /// Carts.
    pub carts: Arc<dyn Carts>,
    /// Orders.
    pub orders: Arc<dyn Orders>,
    /// Payments.
    pub payments: Arc<dyn Payments>,
    /// Search and listings.
    pub search: Arc<dyn Search>,
    /// Imports.
    pub imports: Arc<dyn Imports>,
    /// Regions, for staff.
    pub regions: Arc<dyn Regions>,
}

impl Contracts {
    /// All of them behind one transport.
    pub fn over(transport: &Arc<dyn Transport>) -> Self {
        Self {
            accounts: Arc::new(AccountsClient(Arc::clone(transport))),
            catalog: Arc::new(CatalogClient(Arc::clone(transport))),
            pricing: Arc::new(PricingClient(Arc::clone(transport))),
            inventory: Arc::new(InventoryClient(Arc::clone(transport))),
            carts: Arc::new(CartsClient(Arc::clone(transport))),
            orders: Arc::new(OrdersClient(Arc::clone(transport))),
            payments: Arc::new(PaymentsClient(Arc::clone(transport))),
            search: Arc::new(SearchClient(Arc::clone(transport))),
            imports: Arc::new(ImportsClient(Arc::clone(transport))),
            regions: Arc::new(RegionsClient(Arc::clone(transport))),
        }
    }
}

impl std::fmt::Debug for Contracts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contracts")
    }
}
