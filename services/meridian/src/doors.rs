//! The doors of the domains for a migration from another shop.

use std::sync::Arc;

use contracts::intake::{ForgetSkus, Intake, Intakes, TakeOrder, TakePayment, TakeProduct, TakeUser};

/// The doors for a migration of the modules that run here.
#[derive(Default)]
pub(crate) struct Doors {
    pub(crate) users: Option<Arc<dyn Intake<TakeUser>>>,
    pub(crate) products: Option<Arc<dyn Intake<TakeProduct>>>,
    pub(crate) orders: Option<Arc<dyn Intake<TakeOrder>>>,
    pub(crate) payments: Option<Arc<dyn Intake<TakePayment>>>,
    pub(crate) prices: Option<Arc<dyn ForgetSkus>>,
    pub(crate) stock: Option<Arc<dyn ForgetSkus>>,
}

impl Doors {
    /// All of them, where all modules run here.
    pub(crate) fn all(self) -> Option<Intakes> {
        Some(Intakes {
            users: self.users?,
            products: self.products?,
            orders: self.orders?,
            payments: self.payments?,
            prices: self.prices?,
            stock: self.stock?,
        })
    }
}
